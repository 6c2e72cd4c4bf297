/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/child.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ap_mpm.h"
#include "http_config.h"
#include "http_log.h"
#include "base/clock.h"
#include "conn/task.h"
#include "inproc/app.h"
#include "inproc/call.h"
#include "parent/parent.h"
#include "request/client.h"
#include "request/dispatch.h"
#include "request/policy.h"
#include "request/request.h"
#include "request/warm.h"
#include "request/workers.h"
#include "shared/message.h"

APLOG_USE_MODULE(appcore);

#define ASK_GAP apr_time_from_sec(1)
#define IDLE_MIN 8
#define IDLE_MAX 256
#define CROWDED_EVERY apr_time_from_msec(250)

static ac_child_t child;
static int serving;

ac_child_t *ac_child(void)
{
    return serving ? &child : NULL;
}

void ac_child_hello(void)
{
    if (child.row >= 0 && child.event_fd >= 0) {
        ac_wake_send(child.wake_fd, AC_WAKE_HELLO, (uint64_t)child.row, child.event_fd);
    }
}

apr_status_t ac_child_wake(uint64_t app_id)
{
    static _Atomic uint32_t greeted;
    uint32_t manager = ac_board_manager(child.board);

    /* One that took over could not wake us. */
    if (atomic_exchange(&greeted, manager) != manager) {
        ac_child_hello();
    }
    return ac_wake_send(child.wake_fd, AC_WAKE_APP, app_id, -1);
}

void ac_child_ask(const ac_mount_t *mount)
{
    _Atomic apr_time_t *asked = &child.apps[mount->index].asked;
    apr_time_t now = ac_clock_now();
    apr_time_t before = atomic_load_explicit(asked, memory_order_relaxed);

    if (now - before >= ASK_GAP && atomic_compare_exchange_strong(asked, &before, now)) {
        ac_child_wake(mount->spec->id);
    }
}

/* The manager measures itself from then on, as long as that matters. */
void ac_child_crowded(const ac_mount_t *mount)
{
    _Atomic apr_time_t *told = &child.apps[mount->index].crowded;
    apr_time_t now = ac_clock_now();
    apr_time_t last = atomic_load_explicit(told, memory_order_relaxed);

    if (now - last >= CROWDED_EVERY
        && atomic_compare_exchange_strong(told, &last, now)) {
        ac_child_wake(mount->spec->id);
    }
}

int ac_child_app(const ac_mount_t *mount, ac_board_app_t *papp)
{
    ac_child_app_t *app = &child.apps[mount->index];
    uint64_t id = mount->spec->id;
    int index = atomic_load_explicit(&app->index, memory_order_relaxed);

    if (index >= 0 && ac_board_app(child.board, index, id, papp)) {
        return index;
    }
    index = ac_board_find(child.board, id);
    if (index >= 0 && !ac_board_app(child.board, index, id, papp)) {
        index = -1;
    }
    atomic_store_explicit(&app->index, index, memory_order_relaxed);
    return index;
}

static unsigned idle_capacity(void)
{
    unsigned n = child.threads[AC_WORKERS_PRIMARY] + child.threads[AC_WORKERS_STREAM];

    return n < IDLE_MIN ? IDLE_MIN : n > IDLE_MAX ? IDLE_MAX : n;
}

/* Whoever comes second throws its own away. */
static _Atomic(ac_pool_t *) *slots_of(ac_child_app_t *app)
{
    _Atomic(ac_pool_t *) *slots = atomic_load(&app->pools);
    _Atomic(ac_pool_t *) *mine;

    if (slots) {
        return slots;
    }
    mine = calloc(AC_BOARD_SLOTS, sizeof(*mine));
    if (mine && !atomic_compare_exchange_strong(&app->pools, &slots, mine)) {
        free(mine);
        return slots;
    }
    return mine;
}

ac_pool_t *ac_child_pool(const ac_mount_t *mount, unsigned slot)
{
    _Atomic(ac_pool_t *) *slots = slots_of(&child.apps[mount->index]);
    ac_pool_t *pool, *mine;

    if (!slots || slot >= AC_BOARD_SLOTS) {
        return NULL;
    }
    pool = atomic_load(&slots[slot]);
    if (pool) {
        return pool;
    }
    mine = ac_pool_create(idle_capacity());
    if (mine && !atomic_compare_exchange_strong(&slots[slot], &pool, mine)) {
        ac_pool_destroy(mine);
        return pool;
    }
    return mine;
}

unsigned ac_child_sweep(void)
{
    apr_time_t now = ac_clock_now();
    unsigned kept = 0;
    int i, slot;

    for (i = 0; i < child.n_apps; i++) {
        _Atomic(ac_pool_t *) *slots = atomic_load(&child.apps[i].pools);

        for (slot = 0; slots && slot < AC_BOARD_SLOTS; slot++) {
            ac_pool_t *pool = atomic_load(&slots[slot]);

            if (pool) {
                kept += ac_pool_sweep(pool, child.board, now);
            }
        }
    }
    return kept;
}

/* mod_http2's default is 1.5 workers for every thread of the child. */
static unsigned stream_threads(unsigned threads)
{
    const char *given = ac_conf_foreign("H2MaxWorkers");
    int n = given ? atoi(given) : 0;

    return n > 0 ? (unsigned)n : threads + threads / 2;
}

static void count_threads(void)
{
    int n = 1;

    if (ap_mpm_query(AP_MPMQ_MAX_THREADS, &n) != APR_SUCCESS || n < 1) {
        n = 1;
    }
    child.threads[AC_WORKERS_PRIMARY] = (unsigned)n;
    child.threads[AC_WORKERS_STREAM] = stream_threads((unsigned)n);
}

/* Requests that may wait without a worker here, and of each app. */
static void limit_parking(apr_pool_t *pchild, server_rec *s)
{
    unsigned all = ac_conf_async_limit();
    server_rec *server;

    for (server = s; server; server = server->next) {
        int n, i;
        const ac_mount_t *mounts = ac_conf_mounts(server, &n);

        for (i = 0; i < n; i++) {
            unsigned own = (unsigned)mounts[i].spec->set->async_limit.v;

            child.apps[mounts[i].index].parking.limit = own && own < all ? own : all;
        }
    }
    child.weight = ac_conf_async_weight();
    ac_park_child_init(pchild, s, all, ac_conf_keep_alive_hold());
}

static apr_status_t map_shared(apr_pool_t *pchild)
{
    ac_parent_fds_t fds;
    apr_status_t rv = ac_parent_child_fds(&fds);

    if (rv == APR_SUCCESS && (fds.board_ro < 0 || fds.rows < 0)) {
        rv = APR_ENOENT;
    }
    if (rv == APR_SUCCESS) {
        rv = ac_board_map(fds.board_ro, 0, &child.board, pchild);
    }
    if (rv == APR_SUCCESS) {
        rv = ac_rows_map(fds.rows, &child.rows, pchild);
    }
    child.wake_fd = fds.wake;
    return rv;
}

void ac_request_child_init(apr_pool_t *pchild, server_rec *s)
{
    apr_status_t rv;
    int i;

    memset(&child, 0, sizeof(child));
    serving = 0;
    child.n_apps = ac_conf_app_count();
    rv = map_shared(pchild);
    if (child.n_apps == 0) {
        return;
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, "apps cannot be served by this "
                     "process: it has no board");
        return;
    }
    count_threads();
    child.apps = apr_pcalloc(pchild, (apr_size_t)child.n_apps * sizeof(*child.apps));
    for (i = 0; i < child.n_apps; i++) {
        child.apps[i].index = -1;
    }
    child.row = ac_rows_claim(child.rows, (uint32_t)getpid());
    child.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ac_task_init();
    ac_client_init();
    ac_workers_init(pchild);
    ac_dispatch_init(pchild, s);
    limit_parking(pchild, s);
    serving = 1;
    ac_child_hello();
    ac_call_child_init(pchild);
    ac_request_warm_init();
    ac_inproc_child_init(pchild, s);
}
