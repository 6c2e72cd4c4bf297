/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "keeper/identity.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"
#define STATUS_FD 4             /* in the child, above the listener */

/* All bits zero is the default action. By way of the kernel, since signal() will
 * not touch the two signals that libc keeps for itself, and posix_spawn() leaves
 * them ignored. */
void ac_spawn_reset_signals(void)
{
    static const unsigned char by_default[64];
    sigset_t none;
    int sig;

    for (sig = 1; sig < NSIG; ++sig) {
        syscall(SYS_rt_sigaction, sig, by_default, NULL, NSIG / 8);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void fail(ac_result_t *res, apr_status_t status, const char *what, const char *of)
{
    ac_result_set(res, status, AC_STAGE_EXEC, AC_FAULT_EXEC, "%s %s: %s", what, of,
                  strerror(status));
}

/* Every source is moved out of the way of the targets first, so no order of
 * numbers can overwrite one that is still needed. */
static int place(const int *sources, int n)
{
    int high[STATUS_FD + 1];
    int i;

    for (i = 0; i < n; ++i) {
        high[i] = sources[i] < 0 ? -1 : fcntl(sources[i], F_DUPFD_CLOEXEC, n);
        if (sources[i] >= 0 && high[i] < 0) {
            return 0;
        }
    }
    for (i = 0; i < n; ++i) {
        if (high[i] < 0) {
            close(i);
        }
        else if (dup2(high[i], i) < 0) {
            return 0;
        }
    }
    return close_range((unsigned)n, ~0u, 0) == 0;
}

void ac_spawn_keep_two(int fd, int second)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int sources[] = { null, null, null, fd, second };

    if (null < 0 || !place(sources, second < 0 ? 4 : 5)) {
        _exit(125);
    }
}

void ac_spawn_keep_one(int fd)
{
    ac_spawn_keep_two(fd, -1);
}

static int place_all(const ac_spawn_t *what, int status_fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int sources[] = {
        what->in >= 0 ? what->in : null,
        what->out >= 0 ? what->out : null,
        what->err >= 0 ? what->err : null,
        what->listener,
        status_fd
    };

    return null >= 0 && place(sources, STATUS_FD + 1)
           && fcntl(STATUS_FD, F_SETFD, FD_CLOEXEC) == 0;
}

static rlim_t as_limit(apr_int64_t v, rlim_t unset)
{
    if (v == AC_LIMIT_UNSET) {
        return unset;
    }
    return v == AC_LIMIT_INFINITY ? RLIM_INFINITY : (rlim_t)v;
}

/* A soft limit beyond the inherited hard one raises both where we may. */
static int set_limits(const ac_spawn_t *what)
{
    const ac_keeper_app_t *app = what->app;
    int i;

    if (setrlimit(RLIMIT_NOFILE, what->files) < 0) {
        return 0;
    }
    for (i = 0; i < AC_KEEPER_LIMITS; ++i) {
        const ac_keeper_limit_t *limit = &app->limits[i];
        struct rlimit rl;

        if (limit->soft == AC_LIMIT_UNSET && limit->hard == AC_LIMIT_UNSET) {
            continue;
        }
        if (getrlimit(limit->resource, &rl) < 0) {
            return 0;
        }
        rl.rlim_cur = as_limit(limit->soft, rl.rlim_cur);
        rl.rlim_max = as_limit(limit->hard, rl.rlim_max);
        if (rl.rlim_cur > rl.rlim_max) {
            if (limit->hard == AC_LIMIT_UNSET) {
                rl.rlim_max = rl.rlim_cur;
            }
            else {
                rl.rlim_cur = rl.rlim_max;
            }
        }
        if (setrlimit(limit->resource, &rl) < 0) {
            return 0;
        }
    }
    return 1;
}

/* Whatever an app starts inherits its limits, in whatever session and under whatever
 * parent, and cannot raise this one, which means nothing to Linux since 2.4.25. */
static void set_mark(const ac_spawn_t *what)
{
    const struct rlimit mark = { what->mark, what->mark };

    if (what->mark) {
        setrlimit(RLIMIT_LOCKS, &mark);
    }
}

static int become(const ac_spawn_t *what, ac_result_t *res)
{
    const ac_keeper_app_t *app = what->app;
    ac_identity_t id;

    if (!ac_identity_resolve(&id, app, res)) {
        return 0;
    }
    if (!set_limits(what)) {
        ac_result_set(res, errno, AC_STAGE_IDENTITY, AC_FAULT_IDENTITY,
                      "a limit of AppCoreLimit cannot be set: %s", strerror(errno));
        return 0;
    }
    set_mark(what);
    if (app->umask >= 0) {
        umask((mode_t)app->umask & 0777);
    }
    return ac_identity_take(&id, res) && ac_identity_enter(&id, app, res);
}

static const char *value_of(const char **env, const char *name, size_t len)
{
    for (; *env; ++env) {
        if (!strncmp(*env, name, len)) {
            return *env + len;
        }
    }
    return NULL;
}

static void complete_listen_pid(const char **env)
{
    static char entry[32];

    for (; *env; ++env) {
        if (!strcmp(*env, "LISTEN_PID=")) {
            snprintf(entry, sizeof(entry), "LISTEN_PID=%ld", (long)getpid());
            *env = entry;
        }
    }
}

/* As execvp(), but with the PATH that the app gets and without its fallback to
 * a shell. Returns errno; a program found but not to be run counts more than
 * one not found. */
static int run(const char **argv, const char **env)
{
    const char *path = value_of(env, "PATH=", 5);
    char file[PATH_MAX];
    int error = ENOENT;

    if (strchr(argv[0], '/')) {
        execve(argv[0], (char *const *)argv, (char *const *)env);
        return errno;
    }
    for (path = path ? path : DEFAULT_PATH; path; path = *path ? path + 1 : NULL) {
        size_t len = strcspn(path, ":");

        if (len && snprintf(file, sizeof(file), "%.*s/%s", (int)len, path, argv[0])
                   < (int)sizeof(file)) {
            execve(file, (char *const *)argv, (char *const *)env);
            error = errno == ENOENT || errno == ENOTDIR ? error : errno;
        }
        path += len;
    }
    return error;
}

static int is_released(const int go[2])
{
    char byte;

    close(go[1]);
    return read(go[0], &byte, 1) == 1;
}

static void child(const ac_spawn_t *what, int status_fd, const int go[2])
{
    ac_result_t res = AC_RESULT_OK;

    /* A session, not just a group: what the app leaves behind is found by it. */
    setsid();
    if (!is_released(go)) {
        _exit(126);
    }
    if (!place_all(what, status_fd)) {
        _exit(125);
    }
    if (become(what, &res)) {
        /* Name services may have left some of theirs. */
        close_range(STATUS_FD + 1, ~0u, 0);
        complete_listen_pid(what->env);
        ac_spawn_reset_signals();
        fail(&res, run(what->argv, what->env), "cannot run", what->argv[0]);
    }
    if (write(STATUS_FD, &res, sizeof(res)) < 0) {
        _exit(126);
    }
    _exit(127);
}

apr_status_t ac_spawn(ac_spawned_t *spawned, const ac_spawn_t *what)
{
    int status[2], go[2];
    apr_status_t rv = APR_SUCCESS;
    pid_t pid;

    if (pipe2(status, O_CLOEXEC | O_NONBLOCK) < 0) {
        return errno;
    }
    if (pipe2(go, O_CLOEXEC) < 0) {
        rv = errno;
        close(status[0]);
        close(status[1]);
        return rv;
    }
    pid = fork();
    if (pid == 0) {
        child(what, status[1], go);
    }
    rv = pid < 0 ? errno : APR_SUCCESS;
    close(status[1]);
    close(go[0]);
    if (rv != APR_SUCCESS) {
        close(status[0]);
        close(go[1]);
        return rv;
    }
    *spawned = (ac_spawned_t) { .pid = pid, .status = status[0], .go = go[1] };
    return APR_SUCCESS;
}

/* The child may be gone: SIGPIPE is blocked, and its end is told elsewhere. */
void ac_spawn_release(ac_spawned_t *spawned)
{
    ssize_t n = write(spawned->go, "", 1);

    (void)n;
    close(spawned->go);
    spawned->go = -1;
}

/* The bytes come from our own code, but in a process with the app's identity:
 * numbers are bounded by those who print them, the text is ended here. */
apr_status_t ac_spawn_status(int status_fd, ac_result_t *res)
{
    ssize_t n = read(status_fd, res, sizeof(*res));

    if (n < 0) {
        return errno;
    }
    if (n == 0) {
        memset(res, 0, sizeof(*res));
    }
    else if (n != sizeof(*res) || res->fault == AC_FAULT_NONE) {
        ac_result_set(res, APR_EGENERAL, AC_STAGE_EXEC, AC_FAULT_INTERNAL,
                      "the start ended without a reason");
    }
    res->detail[AC_RESULT_DETAIL - 1] = '\0';
    return APR_SUCCESS;
}
