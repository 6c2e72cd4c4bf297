/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_KEEPER_PROCESS_H
#define AC_KEEPER_PROCESS_H

/* Process instances: from LISTEN or SPAWN until they ended, were forgotten by
 * the manager, and left nothing behind.
 *
 * Those that a former keeper left are among them. A main process of our own that
 * ended stays a zombie until its session is empty or was
 * killed: so its number, which names the group, cannot mean anybody else. */

#include "keeper/state.h"

#define AC_SHUTDOWN_SECONDS_MAX 600
#define AC_LEAVE_TIME apr_time_from_sec(2)  /* from SIGTERM to SIGKILL for the rest */

struct ac_kproc_t {
    ac_kproc_t *next;
    apr_pool_t *p;
    ac_process_t is;            /* note is malloc'd */
    ac_kwatch_t pidfd;          /* of the main process */
    ac_kwatch_t status;         /* its way up to exec */
    int listener;
    int out;                    /* reading ends of its output */
    int err;
    ac_log_target_t log;
    apr_interval_time_t shutdown_limit;
    uint64_t start;             /* of ac_stat_t */
    uint64_t ended;             /* the same clock, once a process left over ended */
    apr_time_t kill_at;         /* SIGKILL for all of it */
    apr_time_t linger_at;       /* it ended; the relay may ask for its log till then */
    int ledger;
    int orphans;                /* seen by the last sweep */
    unsigned left:1;            /* by a former keeper: see keeper/leftover.h */
    unsigned leaving:1;         /* the main process ended, its session may not have */
    unsigned forgotten:1;
    unsigned has_path:1;        /* in s/ */
    unsigned has_folder:1;      /* in p/ */
};

typedef struct ac_spawn_request_t {
    uint64_t tag;
    uint64_t app_id;
    uint32_t slot;
    uint32_t generation;
    uint32_t reach;
    uint32_t proc;
    uint32_t shutdown_limit;    /* seconds */
    const char **argv;
    const char **env;
    ac_log_target_t log;
} ac_spawn_request_t;

/* The main process has not ended. */
int ac_kproc_alive(const ac_kproc_t *proc);
/* A relay that starts from now on does not get what is left in its pipes. */
void ac_kproc_close_output(ac_kproc_t *proc);
/* Frees it once nobody can ask for it and nothing of it is left. */
void ac_kproc_release(ac_keeper_t *k, ac_kproc_t *proc);
ac_kproc_t *ac_kproc_find(ac_keeper_t *k, uint64_t tag);
/* Also one that the manager has forgotten. */
ac_kproc_t *ac_kproc_find_any(ac_keeper_t *k, uint64_t tag);
/* NULL when the table is full. */
ac_kproc_t *ac_kproc_create(ac_keeper_t *k, uint64_t tag, uint64_t app_id);
/* Runs it; answers the manager. */
void ac_kproc_spawn(ac_keeper_t *k, const ac_spawn_request_t *req);
/* Watches its end through that pidfd, which is the instance's from now on. */
apr_status_t ac_kproc_watch_end(ac_keeper_t *k, ac_kproc_t *proc, int pidfd);
void ac_kproc_signal(ac_kproc_t *proc, int sig, int group);
void ac_kproc_note(ac_kproc_t *proc, const void *note, apr_size_t len);
void ac_kproc_forget(ac_keeper_t *k, ac_kproc_t *proc);

/* To the manager and relay at their start, and after a CONFIG. */
void ac_kproc_hand_over(ac_keeper_t *k, ac_service_t *to);
void ac_kproc_retarget(ac_keeper_t *k);

/* SIGTERM now, SIGKILL at each one's limit. */
void ac_kproc_stop_all(ac_keeper_t *k);
/* leave.c: reaps orphans, ends sessions whose main process ended, kills strays, and
 * counts in k->left what is left of apps. Called when k->sweep is set and no
 * other event waits: it looks at every child. */
void ac_kproc_sweep(ac_keeper_t *k);
void ac_kproc_tick(ac_keeper_t *k, apr_time_t now);

#endif
