/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_CHILD_H
#define AC_REQUEST_CHILD_H

/* What one httpd child holds for all its requests: board, rows, its eventfd and
 * per app the connections and the number of workers inside.
 *
 * One per child, made in child_init, read by every worker thread. Only the
 * atomic members change afterwards; nothing here takes a lock. */

#include <stdatomic.h>

#include "httpd.h"
#include "conf/conf.h"
#include "conn/park.h"
#include "outproc/pool.h"
#include "shared/board.h"
#include "shared/rows.h"

/* Workers: primary connections and HTTP/2 streams run on threads of their own
 * kind, so they are counted apart. */
enum { AC_WORKERS_PRIMARY = 0, AC_WORKERS_STREAM, AC_WORKERS_KINDS };

typedef struct ac_workers_t {
    _Atomic unsigned held;      /* inside, whatever they do */
    _Atomic unsigned slow;      /* of these, inside for long already */
} ac_workers_t;

typedef struct ac_child_app_t {
    ac_workers_t workers[AC_WORKERS_KINDS];
    ac_park_account_t parking;
    _Atomic unsigned waiting;   /* in process: requests that wait for its start */
    _Atomic int index;          /* in the board; -1 until found */
    _Atomic apr_time_t asked;   /* when ac_child_ask() told the manager last */
    _Atomic unsigned turn;      /* where to look first among equals */
    _Atomic apr_time_t crowded; /* when the manager was told so last */
    _Atomic(_Atomic(ac_pool_t *) *) pools;  /* by slot; made when first needed */
} ac_child_app_t;

typedef struct ac_child_t {
    ac_board_t *board;
    ac_rows_t *rows;
    int row;                    /* -1: counted in totals only */
    int wake_fd;
    int event_fd;
    unsigned threads[AC_WORKERS_KINDS];
    unsigned weight;            /* of one, in requests that wait without a worker */
    ac_workers_t workers[AC_WORKERS_KINDS];     /* of all apps */
    ac_child_app_t *apps;       /* by ac_mount_t.index */
    int n_apps;
} ac_child_t;

/* NULL where no app can be served: before child_init, or without a board. */
ac_child_t *ac_child(void);

/* The app's board index and a copy of its entry; -1 if the board does not know
 * it (yet). */
int ac_child_app(const ac_mount_t *mount, ac_board_app_t *papp);
/* The app's connections to a slot; NULL only when memory ran out. */
ac_pool_t *ac_child_pool(const ac_mount_t *mount, unsigned slot);
/* Closes idle connections that lead nowhere any more, of all apps; the number of
 * those that stay. */
unsigned ac_child_sweep(void);

/* Tells the manager that a request waits for this app. APR_EAGAIN when too many
 * others do the same at this moment. */
apr_status_t ac_child_wake(uint64_t app_id);
/* The same for a folder that nobody can watch, at most once a second: the manager
 * then looks whether it changed. */
void ac_child_ask(const ac_mount_t *mount);
/* Tells it, now and then, that all processes of this app are busy. */
void ac_child_crowded(const ac_mount_t *mount);
/* Makes this child known to the manager, as often as needed. */
void ac_child_hello(void);

#endif
