/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "outproc/pool.h"

#include <stdatomic.h>
#include <stdlib.h>

struct ac_pool_t {
    unsigned capacity;
    _Atomic(ac_appconn_t *) idle[];
};

ac_pool_t *ac_pool_create(unsigned capacity)
{
    ac_pool_t *pool = calloc(1, sizeof(*pool) + capacity * sizeof(pool->idle[0]));

    if (pool) {
        pool->capacity = capacity;
    }
    return pool;
}

void ac_pool_destroy(ac_pool_t *pool)
{
    unsigned i;

    for (i = 0; i < pool->capacity; i++) {
        ac_appconn_t *conn = atomic_exchange(&pool->idle[i], NULL);

        ac_appconn_close(&conn);
    }
    free(pool);
}

/* Into a free place at or after `from`; 0 if there is none. */
static int place(ac_pool_t *pool, unsigned from, ac_appconn_t *conn)
{
    unsigned i;

    for (i = from; i < pool->capacity; i++) {
        ac_appconn_t *none = NULL;

        if (atomic_load_explicit(&pool->idle[i], memory_order_relaxed) == NULL
            && atomic_compare_exchange_strong(&pool->idle[i], &none, conn)) {
            return 1;
        }
    }
    return 0;
}

/* Now the caller's; NULL where none is. */
static ac_appconn_t *take_out(ac_pool_t *pool, unsigned i)
{
    return atomic_load_explicit(&pool->idle[i], memory_order_relaxed)
           ? atomic_exchange(&pool->idle[i], NULL) : NULL;
}

static int expired(const ac_appconn_t *conn, apr_time_t now)
{
    apr_interval_time_t idle = now - conn->idle_since;

    return idle > AC_POOL_IDLE_MAX || (conn->keep && idle >= conn->keep);
}

/* RFC 9112 9.3: the app may close at any moment from its timeout on, so a
 * request that cannot be repeated stays a second away from it. */
static int fresh(const ac_appconn_t *conn, apr_time_t now)
{
    apr_interval_time_t idle = now - conn->idle_since;

    return idle <= AC_POOL_FRESH
           && (!conn->keep || idle < conn->keep - apr_time_from_sec(1));
}

ac_appconn_t *ac_pool_take(ac_pool_t *pool, unsigned proc, uint32_t generation,
                           int careful, apr_time_t now)
{
    unsigned i;

    for (i = 0; i < pool->capacity; i++) {
        ac_appconn_t *conn = take_out(pool, i);

        if (!conn) {
            continue;
        }
        if (conn->proc != proc || conn->generation != generation
            || expired(conn, now)) {
            ac_appconn_close(&conn);
            continue;
        }
        if (careful && !fresh(conn, now)) {
            if (!place(pool, i, conn)) {
                ac_appconn_close(&conn);
            }
            continue;
        }
        if (ac_appconn_idle(conn)) {
            return conn;
        }
        ac_appconn_close(&conn);
    }
    return NULL;
}

void ac_pool_put(ac_pool_t *pool, ac_appconn_t **pconn, apr_time_t now)
{
    ac_appconn_t *conn = *pconn;

    *pconn = NULL;
    conn->idle_since = now;
    if (!place(pool, 0, conn)) {
        ac_appconn_close(&conn);
    }
}

unsigned ac_pool_sweep(ac_pool_t *pool, const ac_board_t *board, apr_time_t now)
{
    unsigned i, kept = 0;

    for (i = 0; i < pool->capacity; i++) {
        ac_appconn_t *conn = take_out(pool, i);

        if (!conn) {
            continue;
        }
        if (!expired(conn, now) && ac_appconn_idle(conn)
            && ac_board_proc_current(board, conn->proc, conn->generation)
            && place(pool, i, conn)) {
            kept++;
        }
        else {
            ac_appconn_close(&conn);
        }
    }
    return kept;
}
