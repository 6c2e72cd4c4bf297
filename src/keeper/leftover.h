/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_KEEPER_LEFTOVER_H
#define AC_KEEPER_LEFTOVER_H

/* Processes that a former keeper left. They are no children of ours: nobody
 * waits for them here, how they end is not known, and a number may mean somebody
 * else as soon as they ended. So a signal goes through a pidfd, to a process that
 * was proven to be the recorded one, of its session, or started by one of those. */

#include "keeper/process.h"

/* Which process: the leader of a session, and what all that it starts is known by. */
typedef struct ac_leftover_t {
    int32_t pid;                /* 0: free */
    uint32_t uid;
    uint64_t start;             /* of ac_stat_t */
    uint64_t mark;              /* of ac_stat_mark() */
} ac_leftover_t;

/* An instance for it with what the reader says; NULL if it ended. */
ac_kproc_t *ac_leftover_adopt(ac_keeper_t *k, const ac_leftover_t *who,
                              ac_wire_reader_t *r);
/* Signals every process of it, or with 0 none; their number. */
int ac_leftover_signal(const ac_kproc_t *proc, int sig);
/* Ends them all, SIGTERM before SIGKILL; blocks up to two seconds. */
void ac_leftover_end(const ac_leftover_t *left, int n);

#endif
