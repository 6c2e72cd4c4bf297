/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/leftover.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <apr_strings.h>

#include "base/clock.h"
#include "base/pidfd.h"
#include "keeper/stat.h"
#include "spec/launch.h"

#define END_TERM_MSEC 1000
#define END_KILL_MSEC 500

/* The descriptor comes first: if the number means the recorded process after
 * that, so does the descriptor. */
static int open_process(pid_t pid, uint64_t start)
{
    int fd = ac_pidfd_open(pid);
    ac_stat_t st;

    if (fd >= 0 && (!ac_stat_read(&st, pid) || st.start != start)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* A number is not used again while a session has it. Once the leader is gone, a
 * later session of the same number can be told by its user and by when its
 * processes started. The mark goes to those that left the session, too. */
static int is_member(const ac_leftover_t *who, pid_t pid, const ac_stat_t *st,
                     uint64_t until)
{
    if (st->state == 'Z' || ac_stat_uid(pid) != (int64_t)who->uid) {
        return 0;
    }
    return (st->session == who->pid && st->start <= until)
           || (who->mark && ac_stat_mark(pid) == who->mark);
}

/* Signals every living member; their number. */
static int each_member(const ac_leftover_t *who, uint64_t until, int sig)
{
    DIR *dir = opendir("/proc");
    struct dirent *name;
    int n = 0;

    while (dir && (name = readdir(dir)) != NULL) {
        pid_t pid = atoi(name->d_name);
        ac_stat_t st;
        int fd;

        if (pid <= 1 || !ac_stat_read(&st, pid) || !is_member(who, pid, &st, until)) {
            continue;
        }
        ++n;
        fd = sig ? open_process(pid, st.start) : -1;
        if (fd >= 0) {
            ac_pidfd_signal(fd, sig);
            close(fd);
        }
    }
    if (dir) {
        closedir(dir);
    }
    return n;
}

int ac_leftover_signal(const ac_kproc_t *proc, int sig)
{
    const ac_leftover_t who = {
        .pid = (int32_t)proc->is.pid, .uid = proc->is.uid, .start = proc->start,
        .mark = proc->is.tag
    };

    return each_member(&who, proc->ended ? proc->ended : UINT64_MAX, sig);
}

static void name_log(ac_keeper_t *k, ac_kproc_t *proc)
{
    const ac_keeper_app_t *app = ac_keeper_config_find(k->config, proc->is.app_id);

    proc->log.mode = AC_LOG_NONE;
    if (app) {
        proc->log.log_index = app->log_index;
        proc->log.app = apr_pstrdup(proc->p, app->name);
    }
}

static void describe(ac_kproc_t *proc, const ac_process_t *is, const ac_leftover_t *who)
{
    proc->is = *is;
    proc->is.note = NULL;
    proc->is.note_len = 0;
    proc->is.pid = (uint32_t)who->pid;
    proc->is.wait_status = -1;
    ac_kproc_note(proc, is->note, is->note_len);
    proc->start = who->start;
    proc->left = 1;
    /* What is not there is not missed when it is removed. */
    proc->has_path = 1;
    proc->has_folder = (is->reach & AC_REACH_PATH) != 0;
}

ac_kproc_t *ac_leftover_adopt(ac_keeper_t *k, const ac_leftover_t *who,
                              ac_wire_reader_t *r)
{
    uint32_t limit = ac_wire_get_count(r, AC_SHUTDOWN_SECONDS_MAX);
    ac_process_t is;
    ac_kproc_t *proc;
    int64_t uid;
    int fd;

    ac_process_get(r, &is, k->ptemp);
    if (ac_wire_reader_end(r) != APR_SUCCESS || ac_kproc_find_any(k, is.tag)) {
        return NULL;
    }
    fd = open_process(who->pid, who->start);
    if (fd < 0) {
        return NULL;
    }
    proc = ac_kproc_create(k, is.tag, is.app_id);
    if (!proc) {
        close(fd);
        return NULL;
    }
    describe(proc, &is, who);
    /* It may have been written down before it became its user; or be gone by now,
     * while others of its session are not. */
    uid = ac_stat_uid(who->pid);
    proc->is.uid = uid >= 0 ? (uint32_t)uid : who->uid;
    proc->shutdown_limit = apr_time_from_sec(limit);
    name_log(k, proc);
    if (ac_kproc_watch_end(k, proc, fd) != APR_SUCCESS) {
        proc->is.pid = 0;
        ac_kproc_forget(k, proc);
        return NULL;
    }
    return proc;
}

static void wait_all(const int *fds, int n, int msec)
{
    apr_time_t end = ac_clock_now() + apr_time_from_msec(msec);
    int i;

    for (i = 0; i < n; ++i) {
        struct pollfd poll_fd = { .fd = fds[i], .events = POLLIN };
        apr_time_t left = end - ac_clock_now();

        poll(&poll_fd, 1, left > 0 ? (int)(left / 1000) + 1 : 0);
    }
}

void ac_leftover_end(const ac_leftover_t *left, int n)
{
    int *leaders = calloc((size_t)n, sizeof(int));
    int i, alive = 0;

    for (i = 0; leaders && i < n; ++i) {
        int fd = open_process(left[i].pid, left[i].start);

        if (fd >= 0) {
            each_member(&left[i], UINT64_MAX, SIGTERM);
            leaders[alive++] = fd;
        }
    }
    if (leaders) {
        wait_all(leaders, alive, END_TERM_MSEC);
    }
    for (i = 0; i < n; ++i) {
        /* A number that means another process by now is no session of ours. */
        ac_stat_t st;

        if (!ac_stat_read(&st, left[i].pid) || st.start == left[i].start) {
            each_member(&left[i], ac_stat_now(), SIGKILL);
        }
    }
    for (i = 0; i < alive; ++i) {
        ac_pidfd_signal(leaders[i], SIGKILL);
    }
    wait_all(leaders, alive, END_KILL_MSEC);
    while (alive > 0) {
        close(leaders[--alive]);
    }
    free(leaders);
}
