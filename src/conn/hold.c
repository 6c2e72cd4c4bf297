/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "conn/hold.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"
#include "mpm_common.h"
#include "apr_portable.h"
#include "conn/park.h"

APLOG_USE_MODULE(appcore);

static struct {
    unsigned threads;           /* 0: not on this MPM */
    _Atomic unsigned busy;      /* workers with a connection, those that hold too */
    _Atomic unsigned holding;
    _Atomic int stopping;
    int stop_fd;                /* readable once the child is stopping */
} hold = { .stop_fd = -1 };

void ac_hold_enter(void)
{
    atomic_fetch_add_explicit(&hold.busy, 1, memory_order_relaxed);
}

void ac_hold_leave(void)
{
    atomic_fetch_sub_explicit(&hold.busy, 1, memory_order_relaxed);
}

static int enough_idle(void)
{
    unsigned busy = atomic_load_explicit(&hold.busy, memory_order_relaxed);

    return busy + hold.threads / 4 <= hold.threads
           && !atomic_load_explicit(&hold.stopping, memory_order_relaxed);
}

static int take_place(void)
{
    if (atomic_fetch_add(&hold.holding, 1) < hold.threads / 2) {
        return 1;
    }
    atomic_fetch_sub(&hold.holding, 1);
    return 0;
}

/* The states in which the event MPM would wait for the next request. What the
 * client has still to take, or has sent already, is the MPM's. */
static int is_between_requests(conn_rec *c)
{
    if (!c->cs || c->cs->state != CONN_STATE_WRITE_COMPLETION || c->aborted
        || c->keepalive != AP_CONN_KEEPALIVE || c->clogging_input_filters) {
        return 0;
    }
    ac_park_flush(c);
    return !c->aborted && !c->data_in_output_filters && !c->data_in_input_filters;
}

static int request_comes(conn_rec *c, apr_interval_time_t time)
{
    apr_interval_time_t limit = c->base_server->keep_alive_timeout;
    struct pollfd pfd[2] = { { .events = POLLIN }, { hold.stop_fd, POLLIN, 0 } };
    struct timespec patience;

    if (time < limit) {
        limit = time;
    }
    patience.tv_sec = (time_t)apr_time_sec(limit);
    patience.tv_nsec = (long)apr_time_usec(limit) * 1000;
    apr_os_sock_get(&pfd[0].fd, ap_get_conn_socket(c));
    return ppoll(pfd, 2, &patience, NULL) > 0 && pfd[0].revents == POLLIN
           && !pfd[1].revents;
}

int ac_hold_next(conn_rec *c, apr_interval_time_t time)
{
    int comes;

    if (time <= 0 || hold.threads == 0 || !enough_idle() || !is_between_requests(c)
        || !take_place()) {
        return 0;
    }
    comes = request_comes(c, time);
    atomic_fetch_sub(&hold.holding, 1);
    if (comes) {
        c->cs->state = CONN_STATE_READ_REQUEST_LINE;
        c->cs->sense = CONN_SENSE_DEFAULT;
    }
    return comes;
}

static void child_stopping(apr_pool_t *pchild, int graceful)
{
    (void)pchild;
    (void)graceful;
    atomic_store(&hold.stopping, 1);
    if (hold.stop_fd >= 0) {
        eventfd_write(hold.stop_fd, 1);
    }
}

void ac_hold_register_hooks(apr_pool_t *p)
{
    (void)p;
    ap_hook_child_stopping(child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
}

void ac_hold_child_init(apr_pool_t *pchild, unsigned threads)
{
    (void)pchild;
    hold.threads = threads;
    atomic_store(&hold.busy, 0);
    atomic_store(&hold.holding, 0);
    atomic_store(&hold.stopping, 0);
    hold.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}
