/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <apr_general.h>
#include <apr_strings.h>

#include "base/clock.h"
#include "base/pidfd.h"
#include "keeper/helper.h"
#include "keeper/process.h"
#include "keeper/runtime.h"
#include "keeper/service.h"
#include "keeper/spawn.h"

#define PARENT_OUTBOX (64 * 1024)
#define SERVICES_END_TIME apr_time_from_sec(2)

/* The end */

/* A limit may come from an app's folder, which httpd's parent has not read. */
static void tell_limit(ac_keeper_t *k)
{
    apr_time_t now = ac_clock_now(), last = now;
    const ac_kproc_t *proc;
    ac_wire_writer_t w;

    for (proc = k->procs; proc; proc = proc->next) {
        last = proc->kill_at > last ? proc->kill_at : last;
    }
    ac_message_begin(&w, AC_MSG_STOPPING, k->ptemp);
    ac_wire_put_u32(&w, (uint32_t)((last - now + APR_USEC_PER_SEC - 1)
                                   / APR_USEC_PER_SEC));
    ac_outbox_send(&k->to_parent, &w, NULL, 0);
}

static void begin_stop(ac_keeper_t *k)
{
    ac_wire_writer_t w;

    if (k->stop) {
        return;
    }
    k->stop = AC_STOP_APPS;
    ac_runtime_yield(k);
    ac_message_begin(&w, AC_MSG_STOP, k->ptemp);
    ac_service_send(k, &k->manager, &w, NULL, 0);
    ac_helper_stop_all(k);
    ac_kproc_stop_all(k);
    tell_limit(k);
    k->sweep = 1;
}

/* One step at a time, whenever something ended or a time is over. */
static void advance_stop(ac_keeper_t *k)
{
    apr_time_t now = ac_clock_now();

    if (k->stop == AC_STOP_APPS && !k->sweep && !k->left) {
        k->stop = AC_STOP_SERVICES;
        k->stop_at = now + SERVICES_END_TIME;
        /* The relay writes what it has and then ends; so do log programs, at the
         * end of their input. */
        ac_service_close_all(k);
        if (k->manager.pid) {
            kill(k->manager.pid, SIGTERM);
        }
    }
    if (k->stop == AC_STOP_SERVICES
        && (now >= k->stop_at || (!k->manager.pid && !k->relay.pid && !k->helpers))) {
        k->stop = AC_STOP_DONE;
    }
}

/* Whatever is a child of ours by now has no reason to live. */
static void kill_children(void)
{
    FILE *f = fopen("/proc/thread-self/children", "re");
    int pid;

    while (f && fscanf(f, "%d", &pid) == 1) {
        kill(pid, SIGKILL);
    }
    if (f) {
        fclose(f);
    }
}

static void end(ac_keeper_t *k)
{
    ac_service_kill_all(k);
    kill_children();
    ac_runtime_close(k);
    _exit(0);
}

/* The parent */

static void acknowledge(ac_keeper_t *k)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_ACK, k->ptemp);
    ac_wire_put_u32(&w, k->serial);
    ac_wire_put_u32(&w, ac_message_version);
    ac_outbox_send(&k->to_parent, &w, NULL, 0);
}

/* Batches come in order, the first one begins a new list. */
static void on_logs(ac_keeper_t *k, ac_message_t *msg)
{
    uint32_t first = ac_wire_get_u32(&msg->body);
    uint32_t count = ac_wire_get_u32(&msg->body);
    uint32_t i;

    if (ac_wire_reader_end(&msg->body) != APR_SUCCESS || count != (uint32_t)msg->n_fds
        || (first && first != k->n_logs) || first + count > AC_KEEPER_LOGS) {
        return;
    }
    while (!first && k->n_logs > 0) {
        close(k->logs[--k->n_logs]);
    }
    for (i = 0; i < count; ++i) {
        k->logs[k->n_logs++] = msg->fds[i];
        msg->fds[i] = -1;
    }
    if (!first && count) {
        /* What was standard error may be a log that is rotated away by now. */
        dup2(k->logs[0], STDERR_FILENO);
    }
    ac_service_send_logs(k, first, count);
}

/* Nothing runs yet, so a keeper that has no place to work just ends: the parent
 * sees that and starts another one with the next configuration. */
static void open_runtime(ac_keeper_t *k)
{
    apr_status_t rv = ac_runtime_open(k);
    char why[128];

    if (rv != APR_SUCCESS) {
        ac_keeper_log(k, AC_LEVEL_CRIT, NULL, "AppCoreRuntimeDir %s cannot be used, so "
                      "no app will start: %s", k->config->runtime_dir,
                      apr_strerror(rv, why, sizeof(why)));
        _exit(1);
    }
}

static void take_config(ac_keeper_t *k, ac_keeper_config_t *config)
{
    ac_keeper_config_t *old = k->config;

    k->config = config;
    if (!old) {
        open_runtime(k);
        return;
    }
    if (strcmp(old->runtime_dir, config->runtime_dir)) {
        ac_keeper_log(k, AC_LEVEL_WARNING, NULL, "AppCoreRuntimeDir stays %s until httpd "
                      "is stopped and started", old->runtime_dir);
        config->runtime_dir = apr_pstrdup(config->p, old->runtime_dir);
    }
    apr_pool_destroy(old->p);
}

static void on_config(ac_keeper_t *k, ac_message_t *msg)
{
    uint32_t serial = ac_wire_get_u32(&msg->body);
    ac_keeper_config_t *config;
    apr_status_t rv = APR_EINVAL;

    if (ac_wire_reader_end(&msg->body) == APR_SUCCESS && msg->n_fds == 1) {
        rv = ac_keeper_config_read(&config, msg->fds[0], k->p);
    }
    if (rv != APR_SUCCESS) {
        ac_keeper_log(k, AC_LEVEL_ERR, NULL, "the configuration from httpd is "
                      "unreadable; the former one stays in force");
        return;
    }
    if (k->config_fd >= 0) {
        close(k->config_fd);
    }
    k->config_fd = msg->fds[0];
    msg->fds[0] = -1;
    k->serial = serial;
    take_config(k, config);
    ac_service_send_config(k);
    ac_kproc_retarget(k);
    acknowledge(k);
}

static void on_control(ac_keeper_t *k, ac_kwatch_t *watch, uint32_t events)
{
    static unsigned char buf[AC_MESSAGE_MAX];
    ac_message_t msg;
    apr_status_t rv;

    (void)events;
    rv = ac_message_receive(watch->fd, buf, &msg);
    if (rv == APR_SUCCESS) {
        if (msg.type == AC_MSG_LOGS) {
            on_logs(k, &msg);
        }
        else if (msg.type == AC_MSG_CONFIG && !k->stop) {
            on_config(k, &msg);
        }
        else if (msg.type == AC_MSG_STOP) {
            begin_stop(k);
        }
        ac_message_done(&msg);
    }
    else if (!APR_STATUS_IS_EAGAIN(rv) && rv != APR_EINVAL) {
        /* It may only have ended its own direction. */
        begin_stop(k);
        k->to_parent.link = -1;
        ac_kwatch_close(k, watch);
    }
}

static void on_parent_end(ac_keeper_t *k, ac_kwatch_t *watch, uint32_t events)
{
    (void)events;
    ac_kwatch_close(k, watch);
    begin_stop(k);
}

static void on_signals(ac_keeper_t *k, ac_kwatch_t *watch, uint32_t events)
{
    struct signalfd_siginfo info;

    (void)events;
    if (read(watch->fd, &info, sizeof(info)) != sizeof(info)) {
        return;
    }
    if (info.ssi_signo == SIGCHLD) {
        k->sweep = 1;
    }
    else if (info.ssi_signo == SIGUSR2) {
        /* A keeper of another version goes on with the apps, as with those of one
         * that was killed; nothing is half done between two events. */
        _exit(0);
    }
    else {
        begin_stop(k);
    }
}

/* The loop */

static void sooner(apr_time_t *due, apr_time_t at)
{
    if (at && (!*due || at < *due)) {
        *due = at;
    }
}

static int timeout_of(const ac_keeper_t *k)
{
    apr_time_t due = 0, left;
    const ac_helper_t *helper;
    const ac_kproc_t *proc;

    for (proc = k->procs; proc; proc = proc->next) {
        sooner(&due, proc->kill_at);
        sooner(&due, proc->linger_at);
    }
    for (helper = k->helpers; helper; helper = helper->next) {
        sooner(&due, helper->kill_at);
    }
    if (k->sweep) {
        return 0;
    }
    sooner(&due, k->manager.start_at);
    sooner(&due, k->relay.start_at);
    sooner(&due, k->strays_at);
    sooner(&due, k->stop_at);
    if (!due) {
        return -1;
    }
    left = due - ac_clock_now();
    return left > 0 ? (int)((left + 999) / 1000) : 0;
}

static void loop(ac_keeper_t *k)
{
    struct epoll_event event;
    apr_time_t now;

    while (k->stop != AC_STOP_DONE) {
        if (epoll_wait(k->epoll, &event, 1, timeout_of(k)) == 1) {
            ac_kwatch_t *watch = event.data.ptr;

            watch->ready(k, watch, event.events);
        }
        else if (k->sweep) {
            ac_kproc_sweep(k);
        }
        now = ac_clock_now();
        ac_kproc_tick(k, now);
        ac_helper_tick(k, now);
        ac_service_start_all(k);
        if (k->stop) {
            advance_stop(k);
        }
        apr_pool_clear(k->ptemp);
    }
}

/* The beginning */

/* All that the keeper was given, in the first numbers from 3 on. */
static int keep_descriptors(ac_keeper_args_t *args)
{
    int *const kept[] = {
        &args->control, &args->board_fd, &args->rows_fd, &args->wake_fd
    };
    const int n = (int)(sizeof(kept) / sizeof(kept[0]));
    int i, null;

    for (i = 0; i < n; ++i) {
        *kept[i] = fcntl(*kept[i], F_DUPFD_CLOEXEC, 3 + n);
    }
    null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(args->stderr_fd >= 0 ? args->stderr_fd : null, 2) < 0
        || dup2(null, 0) < 0 || dup2(null, 1) < 0) {
        return 0;
    }
    for (i = 0; i < n; ++i) {
        if (dup3(*kept[i], 3 + i, O_CLOEXEC) < 0) {
            return 0;
        }
        *kept[i] = 3 + i;
    }
    return close_range((unsigned)(3 + n), ~0u, 0) == 0;
}

/* Four descriptors per process and one per log pass what a login gets. */
static void raise_files(ac_keeper_t *k)
{
    struct rlimit more;

    getrlimit(RLIMIT_NOFILE, &k->files);
    more = k->files;
    more.rlim_cur = more.rlim_max;
    setrlimit(RLIMIT_NOFILE, &more);
}

static int become_keeper(ac_keeper_t *k)
{
    sigset_t watched, all;
    int fd;

    ac_spawn_reset_signals();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid();
    prctl(PR_SET_NAME, "appcore-keeper");
    if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0
        || chdir("/") < 0 || !keep_descriptors(&k->args)) {
        return 0;
    }
    raise_files(k);
    k->epoll = epoll_create1(EPOLL_CLOEXEC);
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGUSR2);
    fd = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    return k->epoll >= 0 && fd >= 0
           && ac_kwatch_set(k, &k->signals, fd, EPOLLIN) == APR_SUCCESS;
}

static int watch_parent(ac_keeper_t *k)
{
    int fd = ac_pidfd_open(k->args.parent);

    /* Had it died before, the number might be somebody else's by now. */
    if (fd < 0 || getppid() != k->args.parent) {
        return 0;
    }
    return ac_kwatch_set(k, &k->parent, fd, EPOLLIN) == APR_SUCCESS
           && ac_kwatch_set(k, &k->control, k->args.control, EPOLLIN) == APR_SUCCESS;
}

static ac_keeper_t *create(const ac_keeper_args_t *args, const ac_keeper_mains_t *mains)
{
    ac_keeper_t *k;
    apr_pool_t *p;

    apr_pool_create(&p, NULL);
    k = apr_pcalloc(p, sizeof(*k));
    k->p = p;
    apr_pool_create(&k->ptemp, p);
    k->args = *args;
    k->mains = *mains;
    k->pid = getpid();
    k->config_fd = k->runtime_fd = k->sockets_fd = k->private_fd = -1;
    k->notify_fd = k->ledger_fd = k->spare_link = -1;
    ac_kwatch_init(&k->signals, k, on_signals);
    ac_kwatch_init(&k->parent, k, on_parent_end);
    ac_kwatch_init(&k->control, k, on_control);
    ac_service_init(k, &k->manager, "appcore-manager", 0);
    ac_service_init(k, &k->relay, "appcore-relay", 1);
    return k;
}

void ac_keeper_run(const ac_keeper_args_t *args, const ac_keeper_mains_t *mains)
{
    ac_keeper_t *k = create(args, mains);

    if (!become_keeper(k) || !watch_parent(k)) {
        ac_keeper_complain(AC_LEVEL_CRIT, "the keeper cannot start, so no app will");
        _exit(1);
    }
    ac_outbox_init(&k->to_parent, k->args.control, PARENT_OUTBOX);
    loop(k);
    end(k);
    _exit(0);
}
