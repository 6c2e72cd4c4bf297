/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <apr_strings.h>

#include "base/clock.h"
#include "keeper/identity.h"
#include "keeper/logfile.h"
#include "keeper/service.h"
#include "keeper/spawn.h"
#include "spec/argv.h"
#include "spec/look.h"

#define HELPER_TIME 10          /* seconds, by its own alarm */
#define KILL_TIME apr_time_from_sec(HELPER_TIME + 2)
#define PROGRAM_END_TIME apr_time_from_sec(5)
#define LOOK_MEMORY (256L * 1024 * 1024)
#define LINK 3                  /* the only descriptor of a helper's child */

int ac_helper_owns(const ac_keeper_t *k, pid_t pid)
{
    const ac_helper_t *helper = k->helpers;

    while (helper && helper->pid != pid) {
        helper = helper->next;
    }
    return helper != NULL;
}

static void on_end(ac_keeper_t *k, ac_kwatch_t *watch, uint32_t events)
{
    ac_helper_t *helper = watch->owner;
    ac_helper_t **at = &k->helpers;
    int status = 0;

    (void)events;
    if (waitpid(helper->pid, &status, WNOHANG) != helper->pid) {
        return;
    }
    while (*at != helper) {
        at = &(*at)->next;
    }
    *at = helper->next;
    ac_kwatch_close(k, watch);
    if (helper->done) {
        helper->done(k, helper, status);
    }
    if (helper->link >= 0) {
        close(helper->link);
    }
    free(helper);
}

/* Takes link over, also when it fails. */
static ac_helper_t *watch_child(ac_keeper_t *k, pid_t pid, int link)
{
    ac_helper_t *helper = calloc(1, sizeof(*helper));

    if (helper) {
        helper->pid = pid;
        helper->link = link;
        helper->kill_at = ac_clock_now() + KILL_TIME;
        ac_kwatch_init(&helper->pidfd, helper, on_end);
        if (ac_kwatch_pid(k, &helper->pidfd, pid) == APR_SUCCESS) {
            helper->next = k->helpers;
            k->helpers = helper;
            return helper;
        }
        free(helper);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    if (link >= 0) {
        close(link);
    }
    return NULL;
}

/* In a fresh child: `fd` is all that it keeps of the keeper's descriptors. */
static void begin_child(int fd)
{
    ac_spawn_reset_signals();
    ac_spawn_keep_one(fd);
    alarm(HELPER_TIME);
}

/* Looking */

static void limit_look(void)
{
    struct rlimit none = { 0, 0 }, memory;
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    setrlimit(RLIMIT_FSIZE, &none);
    setrlimit(RLIMIT_CORE, &none);
    if (f && fscanf(f, "%ld", &pages) == 1 && getrlimit(RLIMIT_AS, &memory) == 0) {
        /* What httpd mapped is no measure of what a look may need. */
        memory.rlim_cur = (rlim_t)(pages * sysconf(_SC_PAGESIZE) + LOOK_MEMORY);
        if (memory.rlim_cur < memory.rlim_max) {
            setrlimit(RLIMIT_AS, &memory);
        }
    }
    if (f) {
        fclose(f);
    }
}

static ac_launch_t *refused(const ac_keeper_app_t *app, const ac_result_t *res,
                            apr_pool_t *p)
{
    ac_launch_t *launch = apr_pcalloc(p, sizeof(*launch));

    launch->result = *res;
    launch->folder = app->folder;
    launch->argv = apr_array_make(p, 1, sizeof(const char *));
    launch->notices = apr_array_make(p, 1, sizeof(const char *));
    launch->overlay = ac_settings_create(p);
    launch->max_content_length = -1;
    return launch;
}

/* The folder is the configured one, whatever the request says. */
static ac_launch_t *look(const ac_keeper_app_t *app, const void *request, apr_size_t len,
                         apr_pool_t *p)
{
    ac_result_t res = AC_RESULT_OK;
    ac_look_request_t *req;
    ac_launch_t *launch;
    ac_wire_reader_t r;
    ac_identity_t id;
    const char *home;

    if (!ac_identity_resolve(&id, app, &res)) {
        return refused(app, &res, p);
    }
    home = ac_identity_home(&id, app, p);
    if (!ac_identity_take(&id, &res)) {
        return refused(app, &res, p);
    }
    limit_look();
    ac_wire_reader_init(&r, request, len);
    req = ac_look_request_get(&r, p);
    if (!req || ac_wire_reader_end(&r) != APR_SUCCESS) {
        ac_result_set(&res, APR_EINVAL, AC_STAGE_LOOK, AC_FAULT_INTERNAL,
                      "the question about the folder was garbled");
        return refused(app, &res, p);
    }
    req->folder = app->folder;
    launch = ac_look(req, p);
    launch->uid = id.uid;
    launch->gid = id.gid;
    launch->user = id.user[0] ? apr_pstrdup(p, id.user) : NULL;
    launch->home = home;
    return launch;
}

static void look_child(const ac_keeper_app_t *app, const void *request, apr_size_t len,
                       int out)
{
    ac_wire_writer_t w;
    apr_pool_t *p;
    apr_size_t at = 0;

    begin_child(out);
    apr_pool_create(&p, NULL);
    ac_wire_writer_init(&w, AC_LAUNCH_WIRE_MAX, p);
    ac_launch_put(&w, look(app, request, len, p));
    while (w.status == APR_SUCCESS && at < w.len) {
        ssize_t n = write(LINK, w.data + at, w.len - at);

        if (n <= 0) {
            _exit(1);
        }
        at += (apr_size_t)n;
    }
    _exit(0);
}

void ac_helper_look(ac_keeper_t *k, uint64_t tag, uint64_t app_id, const void *request,
                    apr_size_t len)
{
    const ac_keeper_app_t *app = ac_keeper_config_find(k->config, app_id);
    ac_wire_writer_t w;
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return;
    }
    /* Without a child the manager reads an end without bytes. */
    pid = app ? fork() : -1;
    if (pid == 0) {
        look_child(app, request, len, ends[1]);
    }
    close(ends[1]);
    ac_message_begin(&w, AC_MSG_LOOKED, k->ptemp);
    ac_wire_put_u64(&w, tag);
    ac_service_send(k, &k->manager, &w, &ends[0], 1);
    close(ends[0]);
    if (pid > 0) {
        watch_child(k, pid, -1);
    }
}

/* A folder for {socket} */

static void answer_listening(ac_keeper_t *k, uint64_t tag, apr_status_t rv)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_LISTENING, k->ptemp);
    ac_wire_put_u64(&w, tag);
    ac_wire_put_u32(&w, (uint32_t)rv);
    ac_service_send(k, &k->manager, &w, NULL, 0);
}

static void folder_child(ac_keeper_t *k, const ac_keeper_app_t *app,
                         const ac_kproc_t *proc)
{
    ac_identity_t id;
    ac_result_t res;
    apr_status_t rv;

    begin_child(k->private_fd);
    k->private_fd = LINK;
    if (!ac_identity_resolve(&id, app, &res)) {
        rv = res.status;
    }
    else {
        rv = ac_listen_make_folder(k, proc, id.uid);
    }
    _exit(rv >= 0 && rv < 255 ? rv : EPERM);
}

static void folder_done(ac_keeper_t *k, ac_helper_t *helper, int wait_status)
{
    ac_kproc_t *proc = ac_kproc_find(k, helper->tag);
    apr_status_t rv = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : ETIMEDOUT;

    if (proc) {
        proc->has_folder = 1;
        answer_listening(k, helper->tag, rv);
    }
}

void ac_helper_folder(ac_keeper_t *k, ac_kproc_t *proc)
{
    const ac_keeper_app_t *app = ac_keeper_config_find(k->config, proc->is.app_id);
    ac_helper_t *helper = NULL;
    pid_t pid = app ? fork() : -1;

    if (pid == 0) {
        folder_child(k, app, proc);
    }
    if (pid > 0) {
        helper = watch_child(k, pid, -1);
    }
    if (!helper) {
        answer_listening(k, proc->is.tag, app ? EAGAIN : ENOENT);
        return;
    }
    helper->tag = proc->is.tag;
    helper->done = folder_done;
}

/* Log files and programs */

static void answer_log(ac_keeper_t *k, uint64_t tag, apr_status_t rv, int fd)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_LOG_FILE, k->ptemp);
    ac_wire_put_u64(&w, tag);
    ac_wire_put_u32(&w, (uint32_t)rv);
    ac_service_send(k, &k->relay, &w, &fd, rv == APR_SUCCESS);
}

static void file_child(ac_keeper_t *k, const ac_keeper_app_t *app, const ac_kproc_t *proc,
                       const char *stamp, int link)
{
    ac_identity_t id;
    ac_result_t res;
    ac_wire_writer_t w;
    apr_status_t rv;
    int fd = -1;

    begin_child(link);
    if (!ac_identity_resolve(&id, app, &res) || !ac_identity_take(&id, &res)) {
        rv = res.status;
    }
    else if (chdir(app->folder) < 0) {
        rv = errno;
    }
    else {
        umask(app->umask >= 0 ? (mode_t)app->umask & 0777 : 027);
        rv = ac_logfile_open(&fd, &proc->log, stamp, (pid_t)proc->is.pid, k->ptemp);
    }
    ac_message_begin(&w, AC_MSG_LOG_FILE, k->ptemp);
    ac_wire_put_u32(&w, (uint32_t)rv);
    ac_message_send(LINK, &w, &fd, rv == APR_SUCCESS);
    _exit(0);
}

static void file_done(ac_keeper_t *k, ac_helper_t *helper, int wait_status)
{
    static unsigned char buf[AC_MESSAGE_MAX];
    apr_status_t rv = ETIMEDOUT;
    ac_message_t msg;
    struct stat st;

    (void)wait_status;
    if (ac_message_receive(helper->link, buf, &msg) != APR_SUCCESS) {
        answer_log(k, helper->tag, rv, -1);
        return;
    }
    rv = (apr_status_t)ac_wire_get_u32(&msg.body);
    if (rv == APR_SUCCESS
        && (msg.n_fds != 1 || fstat(msg.fds[0], &st) < 0 || !S_ISREG(st.st_mode))) {
        rv = APR_EINVAL;
    }
    answer_log(k, helper->tag, rv, msg.fds[0]);
    ac_message_done(&msg);
}

static apr_status_t open_file(ac_keeper_t *k, const ac_keeper_app_t *app,
                              const ac_kproc_t *proc, const char *stamp)
{
    ac_helper_t *helper;
    int links[2];
    pid_t pid;

    if (ac_message_pair(links) != APR_SUCCESS) {
        return errno;
    }
    pid = fork();
    if (pid == 0) {
        file_child(k, app, proc, stamp, links[1]);
    }
    close(links[1]);
    if (pid < 0) {
        close(links[0]);
        return EAGAIN;
    }
    helper = watch_child(k, pid, links[0]);
    if (!helper) {
        return EAGAIN;
    }
    helper->tag = proc->is.tag;
    helper->done = file_done;
    return APR_SUCCESS;
}

static void program_done(ac_keeper_t *k, ac_helper_t *helper, int wait_status)
{
    ac_kproc_t *proc = ac_kproc_find_any(k, helper->tag);
    ac_result_t res = AC_RESULT_OK;

    if (ac_spawn_status(helper->link, &res) == APR_SUCCESS
        && res.fault != AC_FAULT_NONE) {
        ac_keeper_log(k, AC_LEVEL_ERR, proc, "the log program did not start: %s",
                      res.detail);
    }
    else if (!helper->kill_at && !k->stop) {
        ac_keeper_log(k, AC_LEVEL_WARNING, proc, "the log program ended (%s %d)",
                      WIFSIGNALED(wait_status) ? "signal" : "exit",
                      WIFSIGNALED(wait_status) ? WTERMSIG(wait_status)
                                               : WEXITSTATUS(wait_status));
    }
}

/* "|program arguments" or "|$command for a shell", as httpd writes it. */
static const char **program_argv(const char *line, apr_pool_t *p)
{
    apr_array_header_t *words;

    line += strspn(line, "|");
    if (*line == '$') {
        words = apr_array_make(p, 4, sizeof(const char *));
        APR_ARRAY_PUSH(words, const char *) = "/bin/sh";
        APR_ARRAY_PUSH(words, const char *) = "-c";
        APR_ARRAY_PUSH(words, const char *) = line + 1;
    }
    else {
        words = ac_argv_split(line, AC_QUOTES_UNIX, p);
    }
    if (!words || !words->nelts) {
        return NULL;
    }
    APR_ARRAY_PUSH(words, const char *) = NULL;
    return (const char **)words->elts;
}

static const char **program_env(apr_pool_t *p)
{
    static const char *const names[] = { "PATH", "LANG", "TZ" };
    const char **env = apr_pcalloc(p, 4 * sizeof(*env));
    int i, n = 0;

    for (i = 0; i < 3; ++i) {
        const char *value = getenv(names[i]);

        if (value) {
            env[n++] = apr_pstrcat(p, names[i], "=", value, NULL);
        }
    }
    return env;
}

static apr_status_t run_program(ac_keeper_t *k, const ac_keeper_app_t *app,
                                const ac_kproc_t *proc)
{
    ac_spawn_t what = {
        .app = app, .out = -1, .err = -1, .listener = -1, .files = &k->files
    };
    ac_helper_t *helper = NULL;
    apr_status_t rv;
    int ends[2], status;
    pid_t pid;

    what.argv = proc->log.file ? program_argv(proc->log.file, k->ptemp) : NULL;
    if (!what.argv) {
        return APR_EINVAL;
    }
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return errno;
    }
    what.env = program_env(k->ptemp);
    what.in = ends[0];
    rv = ac_spawn(&pid, &status, &what);
    close(ends[0]);
    if (rv == APR_SUCCESS) {
        helper = watch_child(k, pid, status);
        rv = helper ? APR_SUCCESS : EAGAIN;
    }
    if (helper) {
        helper->tag = proc->is.tag;
        helper->kill_at = 0;
        helper->done = program_done;
        answer_log(k, proc->is.tag, APR_SUCCESS, ends[1]);
    }
    close(ends[1]);
    return rv;
}

void ac_helper_open_log(ac_keeper_t *k, uint64_t tag, const char *stamp)
{
    ac_kproc_t *proc = ac_kproc_find_any(k, tag);
    const ac_keeper_app_t *app = NULL;
    apr_status_t rv = ESRCH;

    if (proc) {
        app = ac_keeper_config_find(k->config, proc->is.app_id);
    }

    if (app && proc->log.mode == AC_LOG_FILE && proc->log.file) {
        rv = open_file(k, app, proc, stamp);
    }
    else if (app && proc->log.mode == AC_LOG_PROGRAM) {
        rv = run_program(k, app, proc);
    }
    if (rv != APR_SUCCESS) {
        answer_log(k, tag, rv, -1);
    }
}

/* Its pipe ends with the relay's stream; what does not read to the end and go
 * is ended. Helpers that answer somebody have a limit already. */
void ac_helper_orphan(ac_keeper_t *k, uint64_t tag)
{
    ac_helper_t *helper;

    for (helper = k->helpers; helper; helper = helper->next) {
        if (helper->tag == tag && !helper->kill_at) {
            helper->kill_at = ac_clock_now() + PROGRAM_END_TIME;
        }
    }
}

static void kill_helper(const ac_helper_t *helper)
{
    kill(helper->pid, SIGKILL);
    kill(-helper->pid, SIGKILL);
}

void ac_helper_tick(ac_keeper_t *k, apr_time_t now)
{
    ac_helper_t *helper;

    for (helper = k->helpers; helper; helper = helper->next) {
        if (helper->kill_at && now >= helper->kill_at) {
            kill_helper(helper);
            helper->kill_at = now + KILL_TIME;
        }
    }
}

void ac_helper_stop_all(ac_keeper_t *k)
{
    ac_helper_t *helper;

    for (helper = k->helpers; helper; helper = helper->next) {
        if (helper->done != program_done) {
            kill_helper(helper);
        }
    }
}
