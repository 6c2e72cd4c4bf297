/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_CONN_POKE_H
#define AC_CONN_POKE_H

/* Time limits of parked connections.
 *
 * A parked connection is polled by the MPM's listener through an epoll descriptor
 * of its own. One thread of a child keeps their limits in a wheel, and at a limit
 * makes that descriptor readable by adding an eventfd to it that always is. That
 * is all it may touch: connection and request belong to a worker. It starts with
 * the first limit, sleeps for good while there is none, and is joined before the
 * child's pool goes.
 *
 * Any worker thread; nothing blocks beyond a short lock. */

#include "httpd.h"
#include "conn/wheel.h"

typedef struct ac_poke_t {
    ac_wheel_node_t node;       /* first: the wheel's node is its poke */
    struct ac_poke_t *prev, *next;  /* of those poked and not yet back */
    int epoll_fd;
    apr_time_t poked_at;        /* 0: not yet */
} ac_poke_t;

/* A connection that was poked so long ago and has not come back: the MPM does not
 * do what parking relies on, or all its workers are busy. */
#define AC_POKE_PATIENCE apr_time_from_sec(5)

/* child_init. stalled() is called by the thread, once for each such connection. */
void ac_poke_init(apr_pool_t *pchild, server_rec *s, void (*stalled)(void));
/* APR_SUCCESS once the thread runs. */
apr_status_t ac_poke_start(void);

/* poke->epoll_fd is made readable at that time (ac_clock_now() scale). */
void ac_poke_at(ac_poke_t *poke, apr_time_t due);
/* From now on it is not touched any more. 1 if it had been poked. */
int ac_poke_cancel(ac_poke_t *poke);

#endif
