/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_APP_H
#define AC_INPROC_APP_H

/* An app that runs inside this child of httpd (include/appcore.h).
 *
 * One per app and child, made in child_init, after the fork, and never freed. The
 * state is all that changes afterwards; any thread may read it. Requests hold
 * a pointer to it, so what is in the app's hands outlives every request.
 *
 *   STARTING --started()--> READY --ended(), folder changed--> LEAVING
 *      |                      \--app_offline.htm--> OFFLINE
 *      \--init() failed, time limit--> FAILED
 *
 * OUTSIDE: not served here but by processes of its own. */

#include <pthread.h>
#include <stdatomic.h>

#include "appcore.h"
#include "httpd.h"
#include "apr_ring.h"
#include "conf/conf.h"

typedef enum ac_inproc_state_e {
    AC_INPROC_NONE = 0,
    AC_INPROC_STARTING,
    AC_INPROC_READY,
    AC_INPROC_FAILED,
    AC_INPROC_OFFLINE,
    AC_INPROC_LEAVING,
    AC_INPROC_OUTSIDE
} ac_inproc_state_e;

/* A request that waits for another state; its owner's memory. */
typedef struct ac_inproc_waiter_t ac_inproc_waiter_t;
struct ac_inproc_waiter_t {
    APR_RING_ENTRY(ac_inproc_waiter_t) link;
    int fd;                     /* an eventfd, written when the state changes */
};
APR_RING_HEAD(ac_inproc_waiters_t, ac_inproc_waiter_t);

typedef struct ac_inproc_t {
    appcore_host host;          /* first: what the app is given leads back here */
    const ac_mount_t *mount;    /* the first one of the app */
    server_rec *server;         /* of that mount, for the log */
    appcore_app app;            /* what it left out is NULL */
    void *instance;             /* as init() set it */
    _Atomic int state;          /* ac_inproc_state_e */
    apr_int64_t max_body;       /* maxAllowedContentLength; -1: none */
    pthread_mutex_t serial;     /* held in callbacks of an app that is not thread-safe */
    pthread_mutex_t mutex;      /* of waiters */
    struct ac_inproc_waiters_t waiters;
} ac_inproc_t;

/* child_init: loads what is configured InProcess. */
void ac_inproc_child_init(apr_pool_t *pchild, server_rec *s);
/* NULL where the app is not in this child. */
ac_inproc_t *ac_inproc_of(const ac_mount_t *mount);

/* Any thread: the new state, seen by whoever waits for one. */
void ac_inproc_become(ac_inproc_t *inproc, ac_inproc_state_e state);
/* From now on a change of the state writes to waiter->fd. */
void ac_inproc_join(ac_inproc_t *inproc, ac_inproc_waiter_t *waiter);
void ac_inproc_leave(ac_inproc_t *inproc, ac_inproc_waiter_t *waiter);

#endif
