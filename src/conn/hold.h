/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_CONN_HOLD_H
#define AC_CONN_HOLD_H

/* Hold: a worker that answered waits a moment for the next request of the same
 * connection, before it gives the connection back to the event MPM.
 *
 * A busy keep-alive connection otherwise changes threads twice for every request,
 * from the worker to the listener and to a worker again. Only while a quarter of
 * the child's workers is idle and the others are not more than the processors will
 * soon have come round to, by at most half of them, and not while the child is
 * stopping: then the connection goes back at once.
 *
 * And only a connection whose last request came soon after the answer before it,
 * held or not; after some in a row the MPM has to say so again: where it keeps others
 * waiting this one waits with them. So a browser that pauses costs nothing, and nobody
 * is served at the cost of others for long. */

#include "httpd.h"
#include "http_config.h"

void ac_hold_register_hooks(apr_pool_t *p);
/* child_init, on the event MPM. */
void ac_hold_child_init(apr_pool_t *pchild, unsigned threads);

/* A worker begins and ends with a connection. */
void ac_hold_enter(void);
void ac_hold_leave(void);

/* What is remembered of a connection, by who holds it. All zero at first. */
typedef struct ac_hold_t {
    apr_time_t answered;        /* when it went back to the MPM; 0: not to be known */
    apr_interval_time_t gap;    /* from then to its next request; 0: not known */
    unsigned row;               /* requests since the MPM brought one */
} ac_hold_t;

/* The MPM says that a request of the connection is there. */
void ac_hold_came(ac_hold_t *state);

/* After the hooks of a connection returned: waits that long (µs, 0: not at all)
 * for the next request. 1: it is there, and the hooks are to be run again. */
int ac_hold_next(conn_rec *c, ac_hold_t *state, apr_interval_time_t time);

#endif
