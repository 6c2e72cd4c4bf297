/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_SERVE_H
#define AC_REQUEST_SERVE_H

/* An app's answer to one request, as a task (conn/task.h).
 *
 *   AWAIT    a process of the app is ready --> OBTAIN; hopeless --> end
 *   OBTAIN   body read as far as it is buffered (waits for it), process chosen, connected
 *            --> EXCHANGE; nobody takes it now --> PAUSE
 *   PAUSE    wait for news of the app, or a moment --> AWAIT
 *   EXCHANGE request and response --> DECIDE
 *   DECIDE   answered, or failed for good --> end; once again --> AWAIT or PAUSE
 *
 * One per request, in r->pool, touched by whoever holds the request. Its step
 * blocks in httpd's filters where the task is not async, nowhere else. */

#include "conn/task.h"
#include "conf/conf.h"
#include "outproc/exchange.h"
#include "request/child.h"
#include "request/wait.h"
#include "request/workers.h"

typedef enum ac_serve_phase_e {
    AC_SERVE_AWAIT = 0, AC_SERVE_OBTAIN, AC_SERVE_PAUSE, AC_SERVE_EXCHANGE,
    AC_SERVE_DECIDE
} ac_serve_phase_e;

typedef struct ac_serve_t {
    ac_task_t task;             /* first: a task is its serve_t */
    const ac_mount_t *mount;
    ac_child_t *child;
    ac_permit_t permit;
    int was_parked;             /* a worker has left it once */
    ac_wait_t wait;
    ac_serve_phase_e phase;
    unsigned limit;             /* AppCoreMaxConcurrency, 0: none */
    unsigned share;             /* requests for one process of a range; 0: no range */
    int index;                  /* of the app on the board */
    ac_board_app_t app;
    unsigned proc_index;
    uint32_t load;              /* of that process, when it was chosen */
    ac_board_proc_t proc;
    int counted;                /* in flight on proc_index */
    unsigned failed_proc;       /* could not be connected to last time */
    ac_body_t *body;
    apr_int64_t body_seen;      /* buffered when last looked at */
    apr_time_t body_since;      /* nothing came since; 0: not waited for yet */
    ac_appconn_t *conn;         /* obtained, not yet the exchange's */
    ac_exchange_t *x;
    unsigned naps;              /* times that the backlog was full */
    int again;                  /* this is not the first attempt */
    int repeats;
} ac_serve_t;

/* A task for r that has begun nothing yet; ac_park_run() runs it. */
ac_serve_t *ac_serve_create(request_rec *r, const ac_mount_t *mount);
/* Again a task of these functions, if others were put in their place. */
void ac_serve_take(ac_serve_t *s);

#endif
