/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>
#include <apr_strings.h>

#include "base/clock.h"
#include "base/pidfd.h"
#include "keeper/helper.h"
#include "keeper/ledger.h"
#include "keeper/leftover.h"
#include "keeper/listen.h"
#include "keeper/service.h"
#include "keeper/spawn.h"
#include "keeper/stat.h"
#include "spec/launch.h"

ac_kproc_t *ac_kproc_find_any(ac_keeper_t *k, uint64_t tag)
{
    ac_kproc_t *proc = k->procs;

    while (proc && proc->is.tag != tag) {
        proc = proc->next;
    }
    return proc;
}

ac_kproc_t *ac_kproc_find(ac_keeper_t *k, uint64_t tag)
{
    ac_kproc_t *proc = ac_kproc_find_any(k, tag);

    return proc && !proc->forgotten ? proc : NULL;
}

int ac_kproc_alive(const ac_kproc_t *proc)
{
    return proc->is.pid && !proc->leaving && proc->is.state != AC_PROCESS_EXITED;
}

static void answer(ac_keeper_t *k, ac_message_e type, uint64_t tag, uint32_t value)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, type, k->ptemp);
    ac_wire_put_u64(&w, tag);
    ac_wire_put_u32(&w, value);
    ac_service_send(k, &k->manager, &w, NULL, 0);
}

static void answer_executed(ac_keeper_t *k, uint64_t tag, const ac_result_t *res)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_EXECUTED, k->ptemp);
    ac_wire_put_u64(&w, tag);
    ac_result_put(&w, res);
    ac_service_send(k, &k->manager, &w, NULL, 0);
}

ac_kproc_t *ac_kproc_create(ac_keeper_t *k, uint64_t tag, uint64_t app_id)
{
    ac_kproc_t *proc;
    apr_pool_t *p;
    int n = 0;

    for (proc = k->procs; proc; proc = proc->next) {
        ++n;
    }
    if (n >= AC_BOARD_PROCS || apr_pool_create(&p, k->p) != APR_SUCCESS) {
        return NULL;
    }
    proc = apr_pcalloc(p, sizeof(*proc));
    proc->p = p;
    proc->is.tag = tag;
    proc->is.app_id = app_id;
    proc->is.wait_status = -1;
    proc->listener = proc->out = proc->err = proc->ledger = -1;
    proc->pidfd.fd = proc->status.fd = -1;
    proc->next = k->procs;
    k->procs = proc;
    return proc;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

void ac_kproc_close_output(ac_kproc_t *proc)
{
    close_fd(&proc->out);
    close_fd(&proc->err);
}

void ac_kproc_release(ac_keeper_t *k, ac_kproc_t *proc)
{
    ac_kproc_t **at = &k->procs;

    if (!proc->forgotten || proc->leaving || ac_kproc_alive(proc)
        || (!k->stop && proc->linger_at > ac_clock_now())) {
        return;
    }
    while (*at != proc) {
        at = &(*at)->next;
    }
    *at = proc->next;
    ac_listen_drop(k, proc);
    ac_helper_orphan(k, proc->is.tag);
    ac_kwatch_close(k, &proc->status);
    ac_kwatch_close(k, &proc->pidfd);
    ac_kproc_close_output(proc);
    free((void *)proc->is.note);
    apr_pool_destroy(proc->p);
}

void ac_kproc_forget(ac_keeper_t *k, ac_kproc_t *proc)
{
    proc->forgotten = 1;
    ac_listen_drop(k, proc);
    ac_kproc_release(k, proc);
}

void ac_kproc_note(ac_kproc_t *proc, const void *note, apr_size_t len)
{
    void *copy = len && len <= AC_NOTE_MAX ? malloc(len) : NULL;

    free((void *)proc->is.note);
    if (copy) {
        memcpy(copy, note, len);
    }
    proc->is.note = copy;
    proc->is.note_len = copy ? len : 0;
}

static void signal_all(ac_kproc_t *proc, int sig)
{
    if (proc->left) {
        ac_leftover_signal(proc, sig);
    }
    else {
        kill(-(pid_t)proc->is.pid, sig);
    }
}

void ac_kproc_signal(ac_kproc_t *proc, int sig, int group)
{
    if (ac_kproc_alive(proc) && !group) {
        ac_pidfd_signal(proc->pidfd.fd, sig);
    }
    else if (group && (ac_kproc_alive(proc) || proc->leaving)) {
        signal_all(proc, sig);
    }
}

static void send_stream(ac_keeper_t *k, const ac_kproc_t *proc, int with_pipes)
{
    const int fds[] = { proc->out, proc->err };
    ac_wire_writer_t w;

    if (proc->out >= 0 && proc->err >= 0) {
        ac_message_begin(&w, AC_MSG_STREAM, k->ptemp);
        ac_wire_put_u64(&w, proc->is.tag);
        ac_wire_put_u32(&w, proc->is.pid);
        ac_log_target_put(&w, &proc->log);
        ac_service_send(k, &k->relay, &w, fds, with_pipes ? 2 : 0);
    }
}

/* Whether what the configuration says of the error log is news. */
static int set_log(ac_log_target_t *log, const ac_keeper_app_t *app)
{
    if (log->log_index == app->log_index && log->log_level == app->log_level
        && log->plain_level == app->plain_level) {
        return 0;
    }
    log->log_index = app->log_index;
    log->log_level = app->log_level;
    log->plain_level = app->plain_level;
    return 1;
}

/* The app's error log may have another index or level after a reload. */
void ac_kproc_retarget(ac_keeper_t *k)
{
    ac_kproc_t *proc;

    for (proc = k->procs; proc; proc = proc->next) {
        const ac_keeper_app_t *app = ac_keeper_config_find(k->config, proc->is.app_id);

        if (app && set_log(&proc->log, app)) {
            send_stream(k, proc, 0);
        }
    }
}

static void on_status(ac_keeper_t *k, ac_kwatch_t *watch, uint32_t events)
{
    ac_kproc_t *proc = watch->owner;
    ac_result_t res;
    int64_t uid;

    (void)events;
    if (ac_spawn_status(watch->fd, &res) != APR_SUCCESS) {
        return;
    }
    ac_kwatch_close(k, watch);
    if (res.fault == AC_FAULT_NONE) {
        uid = ac_stat_uid((pid_t)proc->is.pid);
        proc->is.uid = uid >= 0 ? (uint32_t)uid : 0;
        proc->is.state = AC_PROCESS_RUNNING;
        ac_ledger_put(k, proc);
    }
    answer_executed(k, proc->is.tag, &res);
}

/* waitid() tells si_code and si_status; everybody else speaks waitpid(). */
static int32_t wait_status_of(const siginfo_t *info)
{
    return info->si_code == CLD_EXITED ? (info->si_status & 0xff) << 8
                                       : (info->si_status & 0x7f)
                                         | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

static int read_status(const ac_kproc_t *proc, int32_t *pstatus)
{
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    if (waitid(P_PID, proc->is.pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0
        || !info.si_pid) {
        return 0;
    }
    *pstatus = wait_status_of(&info);
    return 1;
}

static void on_exit_of(ac_keeper_t *k, ac_kwatch_t *watch, uint32_t events)
{
    ac_kproc_t *proc = watch->owner;
    apr_time_t leave = ac_clock_now() + AC_LEAVE_TIME;
    int32_t status = AC_WAIT_UNKNOWN;

    if (!proc->left && !read_status(proc, &status)) {
        return;
    }
    if (proc->status.fd >= 0) {
        on_status(k, &proc->status, events);
        ac_kwatch_close(k, &proc->status);
    }
    ac_kwatch_close(k, watch);
    proc->is.wait_status = status;
    proc->is.state = AC_PROCESS_EXITED;
    proc->leaving = 1;
    proc->ended = ac_stat_now();
    signal_all(proc, SIGTERM);
    if (!proc->kill_at || proc->kill_at > leave) {
        proc->kill_at = leave;
    }
    answer(k, AC_MSG_EXITED, proc->is.tag, (uint32_t)proc->is.wait_status);
    k->sweep = 1;
}

apr_status_t ac_kproc_watch_end(ac_keeper_t *k, ac_kproc_t *proc, int pidfd)
{
    ac_kwatch_init(&proc->pidfd, proc, on_exit_of);
    return ac_kwatch_set(k, &proc->pidfd, pidfd, EPOLLIN);
}

/* Watches what was spawned, writes it down, and only then lets it go on. */
static apr_status_t follow(ac_keeper_t *k, ac_kproc_t *proc, ac_spawned_t *spawned)
{
    apr_status_t rv;
    ac_stat_t st;
    int pidfd;

    proc->is.pid = (uint32_t)spawned->pid;
    ac_kwatch_init(&proc->status, proc, on_status);
    rv = ac_kwatch_set(k, &proc->status, spawned->status, EPOLLIN);
    if (rv == APR_SUCCESS) {
        pidfd = ac_pidfd_open(spawned->pid);
        rv = pidfd < 0 ? errno : ac_kproc_watch_end(k, proc, pidfd);
    }
    if (rv == APR_SUCCESS) {
        proc->start = ac_stat_read(&st, spawned->pid) ? st.start : 0;
        ac_ledger_put(k, proc);
    }
    else {
        /* Unwatched it would be lost: it ends here and now. */
        kill(spawned->pid, SIGKILL);
        waitpid(spawned->pid, NULL, 0);
        proc->is.pid = 0;
        ac_kwatch_close(k, &proc->status);
    }
    ac_spawn_release(spawned);
    return rv;
}

static apr_status_t start(ac_keeper_t *k, ac_kproc_t *proc, const ac_spawn_request_t *req,
                          const ac_keeper_app_t *app)
{
    int out[2] = { -1, -1 }, err[2] = { -1, -1 };
    ac_spawn_t what = {
        .app = app, .argv = req->argv, .env = req->env, .in = -1, .files = &k->files
    };
    apr_status_t rv = APR_SUCCESS;
    ac_spawned_t spawned;

    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0) {
        rv = errno;
    }
    if (rv == APR_SUCCESS) {
        what.mark = proc->is.tag;
        what.out = out[1];
        what.err = err[1];
        what.listener = req->reach & AC_REACH_FD ? proc->listener : -1;
        rv = ac_spawn(&spawned, &what);
    }
    close_fd(&out[1]);
    close_fd(&err[1]);
    proc->out = out[0];
    proc->err = err[0];
    if (rv == APR_SUCCESS) {
        rv = follow(k, proc, &spawned);
    }
    if (rv != APR_SUCCESS) {
        ac_kproc_close_output(proc);
    }
    return rv;
}

static void describe(ac_kproc_t *proc, const ac_spawn_request_t *req,
                     const ac_keeper_app_t *app)
{
    proc->is.reach = req->reach;
    proc->is.proc = req->proc;
    proc->is.started = ac_clock_now();
    proc->is.state = AC_PROCESS_STARTING;
    proc->log = req->log;
    set_log(&proc->log, app);
    proc->log.app = apr_pstrdup(proc->p, app->name);
    proc->log.file = apr_pstrdup(proc->p, req->log.file);
    proc->shutdown_limit = apr_time_from_sec(req->shutdown_limit);
}

static void not_started(ac_keeper_t *k, uint64_t tag, apr_status_t rv, const char *why)
{
    ac_result_t res;

    ac_result_set(&res, rv, AC_STAGE_EXEC, AC_FAULT_INTERNAL,
                  "the process could not be made: %s", why);
    answer_executed(k, tag, &res);
}

void ac_kproc_spawn(ac_keeper_t *k, const ac_spawn_request_t *req)
{
    const ac_keeper_app_t *app = ac_keeper_config_find(k->config, req->app_id);
    ac_kproc_t *proc = ac_kproc_find(k, req->tag);
    apr_status_t rv;

    if (!app || (proc && (proc->is.pid || proc->is.app_id != req->app_id))) {
        not_started(k, req->tag, APR_EINVAL, "there is no such app");
        return;
    }
    if (!proc) {
        proc = ac_kproc_create(k, req->tag, req->app_id);
        if (!proc) {
            not_started(k, req->tag, APR_ENOMEM, "too many processes");
            return;
        }
        proc->is.slot = req->slot;
        proc->is.generation = req->generation;
    }
    describe(proc, req, app);
    rv = start(k, proc, req, app);
    if (rv != APR_SUCCESS) {
        proc->is.state = AC_PROCESS_LISTENING;
        not_started(k, req->tag, rv, strerror(rv));
        return;
    }
    send_stream(k, proc, 1);
    answer(k, AC_MSG_SPAWNED, req->tag, proc->is.pid);
}

static void adopt(ac_keeper_t *k, ac_kproc_t *proc, ac_service_t *to)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_ADOPT, k->ptemp);
    ac_process_put(&w, &proc->is);
    ac_service_send(k, to, &w, &proc->listener, proc->listener >= 0);
}

void ac_kproc_hand_over(ac_keeper_t *k, ac_service_t *to)
{
    ac_kproc_t *proc;

    for (proc = k->procs; proc; proc = proc->next) {
        if (to->is_relay) {
            send_stream(k, proc, 1);
        }
        else if (!proc->forgotten) {
            adopt(k, proc, to);
        }
    }
}

void ac_kproc_stop_all(ac_keeper_t *k)
{
    apr_time_t now = ac_clock_now();
    ac_kproc_t *proc, *next;

    for (proc = k->procs; proc; proc = next) {
        next = proc->next;
        proc->forgotten = 1;
        if (ac_kproc_alive(proc)) {
            ac_kproc_signal(proc, SIGTERM, 0);
            proc->kill_at = now + proc->shutdown_limit;
        }
        ac_kproc_release(k, proc);
    }
}
