/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_KEEPER_STAT_H
#define AC_KEEPER_STAT_H

/* What /proc says of a process. A pid may mean another process a moment later:
 * the start time tells them apart. */

#include <stdint.h>
#include <sys/types.h>

typedef struct ac_stat_t {
    char state;
    pid_t parent;
    pid_t session;
    uint64_t start;             /* clock ticks since boot */
} ac_stat_t;

/* 1, or 0 when there is no such process. Zombies have all of it. */
int ac_stat_read(ac_stat_t *st, pid_t pid);
/* Its real uid, or -1. */
int64_t ac_stat_uid(pid_t pid);
/* What ac_spawn() marked it with, or an ancestor: 0 if nothing did. */
uint64_t ac_stat_mark(pid_t pid);
/* The time that a process starting now would have. */
uint64_t ac_stat_now(void);

#endif
