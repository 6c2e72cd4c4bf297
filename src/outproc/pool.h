/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_OUTPROC_POOL_H
#define AC_OUTPROC_POOL_H

/* Keep-alive connections of one httpd child to one slot of an app.
 *
 * A pool is an array of atomic pointers: whoever exchanges a pointer out owns
 * that connection until it puts it back, so no lock is held and no connection is
 * ever seen by two threads. Scans begin at index 0 in both directions, which
 * keeps the hot connections in front. Every connection remembers the process
 * instance it was made to; one to another instance is closed when it is met.
 *
 * Any thread of a child. Nothing blocks: connect() is non-blocking and may be
 * still under way when a connection is returned. Connections are of malloc and
 * outlive requests; a pool lives as long as its child. */

#include <stdint.h>
#include <apr_errno.h>
#include <apr_time.h>
#include "http2/session.h"
#include "shared/board.h"

/* One connection to one process instance. */
typedef struct ac_appconn_t {
    int fd;
    ac_h2_t *h2;                /* HTTP/2 is spoken; NULL: HTTP/1.1 */
    unsigned proc;              /* board index of the instance */
    uint32_t generation;
    int connecting;             /* writable means: ask for SO_ERROR first */
    unsigned served;            /* requests answered before this one */
    apr_time_t idle_since;      /* ac_clock_now() scale */
    apr_interval_time_t keep;   /* how long the app keeps it open; 0 unknown */
} ac_appconn_t;

typedef struct ac_pool_t ac_pool_t;

/* Longest time a connection stays unused, whatever the app says. */
#define AC_POOL_IDLE_MAX apr_time_from_sec(30)
/* A request that may not be repeated takes none that idled longer. */
#define AC_POOL_FRESH apr_time_from_sec(1)

/* NULL only when memory ran out. */
ac_pool_t *ac_pool_create(unsigned capacity);
void ac_pool_destroy(ac_pool_t *pool);

/* A living, idle connection to that instance, or NULL. With `careful` only one
 * that the app surely still keeps open: see AC_POOL_FRESH. */
ac_appconn_t *ac_pool_take(ac_pool_t *pool, unsigned proc, uint32_t generation,
                           int careful, apr_time_t now);
/* Gives *pconn back and clears it; closes it when the pool is full. */
void ac_pool_put(ac_pool_t *pool, ac_appconn_t **pconn, apr_time_t now);
/* Closes what idled too long, was closed by the app or leads to an instance that
 * takes no requests any more; the number of connections that stay. */
unsigned ac_pool_sweep(ac_pool_t *pool, const ac_board_t *board, apr_time_t now);

/* Opens a connection to the process of that board entry. APR_SUCCESS with
 * *pconn set, perhaps still connecting; APR_EAGAIN when its backlog is full; else
 * the cause, nothing was sent. */
apr_status_t ac_appconn_open(ac_appconn_t **pconn, const char *runtime_dir,
                             unsigned index, const ac_board_proc_t *proc);
/* The outcome of a connect() under way, once the descriptor is writable. */
apr_status_t ac_appconn_finish(ac_appconn_t *conn);
void ac_appconn_close(ac_appconn_t **pconn);
/* Looks at an idle one, and answers what HTTP/2 wants answered. 1 iff it may be used
 * again. */
int ac_appconn_idle(ac_appconn_t *conn);

/* 1 iff the process of that pid has ended or is about to, whatever the board still
 * says; 0 when it lives or nobody can tell. Reads /proc: not for every request. */
int ac_process_gone(uint32_t pid);

#endif
