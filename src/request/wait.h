/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_WAIT_H
#define AC_REQUEST_WAIT_H

/* A request that waits until its app can take it.
 *
 * The queue is counted over the whole server (AppCoreQueueLimit) and timed
 * (AppCoreQueueTimeLimit). Nothing here sleeps: a waiter has an eventfd, written by
 * the dispatcher when the app's entry on the board changes, and a time; whoever
 * drives the request polls both, and the client. Nothing depends on a single
 * wake-up: every second a waiter looks for itself and asks again, which also
 * bridges a change of managers.
 *
 * With AppCoreMaxConcurrency there is an order: the one who has waited longest over
 * all children is called when a permit comes free, by the child that gave it back
 * or, from another child, by way of the manager. */

#include "request/dispatch.h"
#include "conf/conf.h"

#define AC_WAIT_TURN apr_time_from_sec(1)

typedef enum ac_wait_e {
    AC_WAIT_PENDING = 0,        /* until waiter.fd is readable, or w->until */
    AC_WAIT_AGAIN,              /* the app changed, or the nap is over: try again */
    AC_WAIT_FULL,               /* the queue is full */
    AC_WAIT_TIME,               /* waited for too long */
    AC_WAIT_FAILED,             /* a start failed since the request came */
    AC_WAIT_ABANDONED,          /* there is nobody who could start the app */
    AC_WAIT_CLIENT_GONE
} ac_wait_e;

typedef struct ac_wait_t {
    request_rec *r;
    const ac_mount_t *mount;
    ac_waiter_t waiter;
    int joined;
    int place;                  /* board index of the queue place, -1: none */
    apr_interval_time_t left;   /* of AppCoreQueueTimeLimit */
    apr_time_t deadline;        /* while joined */
    apr_time_t nap_end;         /* 0: none */
    apr_time_t until;           /* when to look again */
    apr_time_t ask_at;          /* when to tell the manager next */
    int asked;
    int turn;                   /* a call ends the wait: after an attempt that failed,
                                   its own permit would be what it is called for */
    int overdue;                /* nobody called it for long: its turn is now */
    uint32_t failures;          /* of the app, when the request came */
    int failures_known;
} ac_wait_t;

/* Prepares; takes no place yet and opens nothing. */
void ac_wait_init(ac_wait_t *w, request_rec *r, const ac_mount_t *mount);
/* The first look at the app: failures beyond these are news. */
void ac_wait_arrive(ac_wait_t *w, const ac_board_app_t *app);

/* Waits until the app is no longer as `seen` (index as well; -1: not on the
 * board) or, if nap is above 0, that time passed; with AC_WAIT_TURN also until it is
 * called. */
ac_wait_e ac_wait_begin(ac_wait_t *w, int index, const ac_board_app_t *seen,
                        apr_interval_time_t nap);
/* Something happened to the eventfd or to the client (poll()'s events), or it is
 * time: how does it stand? */
ac_wait_e ac_wait_check(ac_wait_t *w, short got, short got_client);
/* AppCoreMaxConcurrency: may this request have a permit, if there is one, before
 * all others that wait? Who may not, or gets none, waits for at most
 * AC_WAIT_TURN at a time. */
int ac_wait_is_turn(ac_wait_t *w, int index);
/* A permit is free: calls whoever has waited longest for one. */
void ac_wait_call_next(const ac_mount_t *mount, int index);
/* Gives the place back; harmless when there is none. The time waited counts for
 * the request as a whole, however often it has to wait. */
void ac_wait_end(ac_wait_t *w);

#endif
