/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_WORKERS_H
#define AC_REQUEST_WORKERS_H

/* AppCoreMaxWorkers: how many workers of this child one app may hold.
 *
 * A request takes a permit of its app and one of all apps together, which never
 * get the last eighth of the workers, so that a stuck app leaves the rest of the
 * server alone. Requests that wait without a worker make it fewer, or the MPM would
 * accept no connection of anybody else's. Permits are atomic counters. Where none is
 * left a request waits a moment if the workers inside are quick, because a burst is
 * over in milliseconds, and is refused at once if they are slow. */

#include "request/child.h"

typedef struct ac_permit_t {
    ac_child_app_t *app;
    int kind;
    int slow;
} ac_permit_t;

/* 1 and a permit, or 0; what a page of an app includes has that page's. Waits
 * AC_WORKERS_PATIENCE at most. */
int ac_workers_enter(ac_permit_t *permit, request_rec *r, const ac_mount_t *mount);
/* The same without waiting. */
int ac_workers_try(ac_permit_t *permit, request_rec *r, const ac_mount_t *mount);
/* A permit beyond the limits, for what has gone too far to be refused: others are
 * refused in its place. */
void ac_workers_force(ac_permit_t *permit, request_rec *r, const ac_mount_t *mount);
/* This worker is held for long: whoever comes now need not wait for it. */
void ac_workers_slow(ac_permit_t *permit);
/* Harmless for one that has left. */
void ac_workers_leave(ac_permit_t *permit);

#define AC_WORKERS_PATIENCE apr_time_from_msec(20)

void ac_workers_init(apr_pool_t *pchild);

#endif
