/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_DISPATCH_H
#define AC_REQUEST_DISPATCH_H

/* News from the manager to the requests of this child that wait for them.
 *
 * The manager writes to the child's one eventfd; a thread of ours reads it,
 * wakes the waiters whose app changed on the board and closes pooled connections
 * that lead to nobody any more or idled too long: an app that serves one
 * connection at a time is blocked by every other that is kept open. The thread is
 * made when the child first needs it, sleeps for good while no connection idles,
 * and is joined before the child's pool goes. */

#include <stdatomic.h>

#include "httpd.h"
#include "apr_ring.h"
#include "shared/board.h"

typedef struct ac_waiter_t ac_waiter_t;
struct ac_waiter_t {
    APR_RING_ENTRY(ac_waiter_t) link;
    uint64_t app_id;
    int index;                  /* in the board, -1 if it was not there */
    ac_board_app_t seen;        /* what the waiter knows of the app */
    uint32_t since;             /* ac_rows_moment(); 0: order does not matter */
    _Atomic int called;         /* its turn may have come */
    int fd;                     /* its eventfd */
};

void ac_dispatch_init(apr_pool_t *pchild, server_rec *s);
/* A connection was put into a pool, or a request waits: starts the thread unless it
 * runs, and lets it look after what idles. */
void ac_dispatch_ensure(void);

/* From now on changes against waiter->seen reach waiter->fd. */
void ac_dispatch_join(ac_waiter_t *waiter);
/* What the waiter has seen meanwhile. */
void ac_dispatch_update(ac_waiter_t *waiter, int index, const ac_board_app_t *seen);
void ac_dispatch_leave(ac_waiter_t *waiter);
/* Calls the one of this child that has waited longest for the app. */
void ac_dispatch_call(int index);

#endif
