/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_CONN_TASK_H
#define AC_CONN_TASK_H

/* Work for one request that goes in steps and never waits itself.
 *
 * step() does what can be done now. When it has to wait it says so and leaves in
 * the task for which events on which two descriptors, and until when; whoever
 * waits puts in what happened and steps again. That may be a poll() on the worker
 * (conn/block.h) or the MPM (conn/park.h), and the next step may run on another
 * worker: a task belongs to a request, not to a thread, and whoever holds the
 * request is the only one who touches it. Lives in r->pool or longer. */

#include "httpd.h"
#include "apr_time.h"

/* What step() returns besides what a handler returns. */
#define AC_TASK_WAIT (-200)
/* The connection is gone with the request unanswered. */
#define AC_TASK_DROPPED (-201)

typedef struct ac_task_t ac_task_t;

struct ac_task_t {
    request_rec *r;
    int (*step)(ac_task_t *task);
    /* The worker waits for longer than AC_TASK_BUDGET; at most once. */
    void (*slow)(ac_task_t *task);
    /* The worker will be held, for lack of anything better: AC_TASK_WAIT if it may
     * be, else what the handler is to return. */
    int (*hold)(ac_task_t *task);
    /* The worker goes and another one will come; at most once. */
    void (*parked)(ac_task_t *task);
    /* What step() returned last, or AC_TASK_DROPPED: gives back what is held and
     * says what the handler returns, which nobody asks when it was dropped. Once. */
    int (*end)(ac_task_t *task, int rv);
    void *data;                 /* of whoever wrote the functions */
    struct ac_park_account_t *account;  /* NULL: never park */
    /* Writing does not block: FLUSH is taken off, and conn_rec.data_in_output_filters
     * says that the client has to take something first. */
    unsigned async:1;
    unsigned stay:1;            /* the connection must not go back to the MPM now */
    unsigned hurry:1;           /* no budget: other requests need the worker */

    /* The client; ac_task_attach(). */
    int client_fd;              /* -1: nothing to poll */
    unsigned client_is_socket:1;    /* RDHUP means that the client left */

    /* Set by a step that waits. Events are poll()'s. */
    int fd;                     /* app's connection or an eventfd; -1: none */
    short want, want_client;
    unsigned watch_client:1;    /* its end matters although nothing is wanted of it */
    unsigned reads_body:1;      /* mod_reqtimeout looks at its clock only in a read */
    apr_time_t deadline;        /* ac_clock_now() scale, 0: none */

    /* Set before the next step. */
    short got, got_client;
};

/* A request that takes longer than this blocks its worker. */
#define AC_TASK_BUDGET apr_time_from_msec(20)

/* Finds out what there is to poll of r's client. */
void ac_task_attach(ac_task_t *task, request_rec *r);

/* Readable when that stream of HTTP/2 has input; -1: nothing tells. */
int ac_task_stream_fd(conn_rec *c);

/* Resolves optional functions; call from child_init. */
void ac_task_init(void);

#endif
