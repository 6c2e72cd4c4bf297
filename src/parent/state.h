/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_PARENT_STATE_H
#define AC_PARENT_STATE_H

/* What httpd's parent remembers from one configuration pass to the next.
 *
 * httpd unmaps modules between passes, so this is numbers in memory of
 * process->pool and nothing else. A module that finds those of another version
 * replaces its keeper and closes its descriptors, so these never move, and a later
 * version adds behind them. One thread, the parent's; a child of httpd has a copy. */

#include <apr_errno.h>
#include <apr_pools.h>

typedef struct ac_parent_state_t {
    int protocol;               /* ac_message_version of the writer; 0: nothing yet */
    int owner;                  /* pid of the parent that made the descriptors */
    int keeper;                 /* pid, 0 when none lives */
    int control;                /* our end of the link to it */
    /* Made once, handed to every keeper. */
    int board;
    int board_ro;
    int rows;
    int wake_receive;
    int wake_send;
    int table;                  /* memfd: the last one, for the next keeper */
    int serial;
    int n_apps;
    int shutdown_limit;         /* longest of its apps, seconds */
    int failures;               /* keepers that ended one soon after the other */
    int started;                /* ac_clock_now() of the last start, seconds */
} ac_parent_state_t;

/* This parent's state, made on first use. */
ac_parent_state_t *ac_parent_state(void);
/* Board, rows and wake socket, where they do not exist yet. */
apr_status_t ac_parent_state_open(ac_parent_state_t *state);
/* Closes and forgets everything. */
void ac_parent_state_reset(ac_parent_state_t *state);
void ac_parent_close(int *pfd);

#endif
