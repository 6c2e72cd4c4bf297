/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/helper.h"
#include "keeper/ledger.h"
#include "keeper/leftover.h"
#include "keeper/stat.h"

/* What apps leave behind. The keeper is the subreaper, so whatever loses its
 * parent becomes its child. Such an orphan belongs to the app whose session it
 * is in: it was told to end with the app's main process and is killed a little
 * later. One that made a session of its own is a stray as soon as the app whose
 * mark it has ended; without a mark, as soon as no process of its user is kept. */

#define LINGER_TIME apr_time_from_sec(10)

static void finish(ac_keeper_t *k, ac_kproc_t *proc)
{
    if (!proc->left) {
        /* The zombie still holds the number: this cannot hit a stranger. */
        kill(-(pid_t)proc->is.pid, SIGKILL);
        waitpid((pid_t)proc->is.pid, NULL, 0);
    }
    ac_kwatch_close(k, &proc->pidfd);
    ac_ledger_remove(k, proc);
    proc->leaving = 0;
    proc->kill_at = 0;
    proc->linger_at = ac_clock_now() + LINGER_TIME;
    ac_kproc_release(k, proc);
}

static ac_kproc_t *find_session(ac_keeper_t *k, pid_t session)
{
    ac_kproc_t *proc = k->procs;

    while (proc && !((ac_kproc_alive(proc) || proc->leaving)
                     && (pid_t)proc->is.pid == session)) {
        proc = proc->next;
    }
    return proc;
}

/* The mark that the keeper has itself was made by somebody else. */
static int has_home(ac_keeper_t *k, pid_t pid)
{
    uint64_t found = ac_stat_mark(pid);
    uint64_t mark = found && found != ac_stat_mark(k->pid) ? found : 0;
    int64_t uid = mark ? -1 : ac_stat_uid(pid);
    ac_kproc_t *proc = k->procs;

    while (proc && !(ac_kproc_alive(proc)
                     && (mark ? proc->is.tag == mark : (int64_t)proc->is.uid == uid))) {
        proc = proc->next;
    }
    return proc != NULL;
}

/* 1 for a stray: a child that nobody here started and whose app is gone. */
static int look_at_child(ac_keeper_t *k, pid_t pid)
{
    ac_kproc_t *proc = find_session(k, pid);

    if (proc || ac_helper_owns(k, pid) || pid == k->manager.pid || pid == k->relay.pid) {
        return 0;
    }
    if (waitpid(pid, NULL, WNOHANG) == pid) {
        return 0;
    }
    proc = find_session(k, getsid(pid));
    if (proc) {
        proc->orphans++;
        return 0;
    }
    return !ac_helper_owns(k, getsid(pid)) && !has_home(k, pid);
}

/* All children of this process in *ppids, malloc'd; their number. */
static int list_children(pid_t **ppids)
{
    FILE *f = fopen("/proc/thread-self/children", "re");
    pid_t *pids = NULL;
    int pid, n = 0, size = 0;

    while (f && fscanf(f, "%d", &pid) == 1) {
        if (n == size) {
            pid_t *more = realloc(pids, (size_t)(size += 256) * sizeof(*pids));

            if (!more) {
                break;
            }
            pids = more;
        }
        pids[n++] = pid;
    }
    if (f) {
        fclose(f);
    }
    *ppids = pids;
    return n;
}

static void signal_stray(ac_keeper_t *k, pid_t pid, apr_time_t now)
{
    kill(pid, k->strays_at && now >= k->strays_at ? SIGKILL : SIGTERM);
}

static int sweep_strays(ac_keeper_t *k, apr_time_t now)
{
    pid_t *pids;
    int i, n = list_children(&pids), strays = 0;

    for (i = 0; i < n; ++i) {
        if (look_at_child(k, pids[i])) {
            signal_stray(k, pids[i], now);
            ++strays;
        }
    }
    free(pids);
    if (!strays) {
        k->strays_at = 0;
    }
    else if (!k->strays_at || now >= k->strays_at) {
        k->strays_at = now + AC_LEAVE_TIME;
    }
    return strays;
}

void ac_kproc_sweep(ac_keeper_t *k)
{
    ac_kproc_t *proc, *next;
    int left = 0;

    k->sweep = 0;
    for (proc = k->procs; proc; proc = proc->next) {
        proc->orphans = 0;
    }
    left = sweep_strays(k, ac_clock_now());
    for (proc = k->procs; proc; proc = next) {
        next = proc->next;
        left += ac_kproc_alive(proc) || proc->leaving;
        if (proc->left && proc->leaving) {
            proc->orphans = ac_leftover_signal(proc, 0);
        }
        if (proc->leaving && !proc->orphans) {
            finish(k, proc);
            --left;
        }
    }
    k->left = left;
}

static void kill_session(ac_kproc_t *proc)
{
    pid_t *pids;
    int i, n = list_children(&pids);

    for (i = 0; i < n; ++i) {
        if (getsid(pids[i]) == (pid_t)proc->is.pid) {
            kill(pids[i], SIGKILL);
        }
    }
    free(pids);
}

void ac_kproc_tick(ac_keeper_t *k, apr_time_t now)
{
    ac_kproc_t *proc, *next;

    for (proc = k->procs; proc; proc = next) {
        next = proc->next;
        if (proc->kill_at && now >= proc->kill_at) {
            ac_kproc_signal(proc, SIGKILL, 1);
            kill_session(proc);
            proc->kill_at = proc->leaving ? now + AC_LEAVE_TIME : 0;
            /* Of the ends of those that are not ours no signal tells. */
            k->sweep |= (int)proc->left;
        }
        if (proc->linger_at && now >= proc->linger_at) {
            proc->linger_at = 0;
            ac_kproc_close_output(proc);
            ac_kproc_release(k, proc);
        }
    }
    if (k->strays_at && now >= k->strays_at) {
        k->sweep = 1;
    }
}
