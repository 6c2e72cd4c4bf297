/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "conn/hold.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"
#include "mpm_common.h"
#include "apr_portable.h"
#include "base/clock.h"
#include "conn/park.h"

APLOG_USE_MODULE(appcore);

/* With more busy workers than this the MPM always has connections at hand that are
 * ready, and serves them with fewer changes of threads than workers could that
 * sleep in turn. */
#define PER_CORE 16
/* Requests of one connection that one worker serves in turn. */
#define ROW 16
/* A child that stops need not call back who holds for no longer than this. */
#define UNNOTICED apr_time_from_msec(10)

static struct {
    unsigned threads;           /* 0: not on this MPM */
    unsigned crowd;             /* that many busy workers are too many */
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

    return busy <= hold.crowd
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
    nfds_t n = time > UNNOTICED ? 2 : 1;
    struct timespec patience;

    if (time < limit) {
        limit = time;
    }
    patience = ac_clock_timespec(limit);
    apr_os_sock_get(&pfd[0].fd, ap_get_conn_socket(c));
    return ppoll(pfd, n, &patience, NULL) > 0 && pfd[0].revents == POLLIN
           && !pfd[1].revents;
}

static void came(ac_hold_t *state)
{
    if (state->answered) {
        state->gap = ac_clock_now() - state->answered + 1;
        state->answered = 0;
    }
}

void ac_hold_came(ac_hold_t *state)
{
    state->row = 0;
    came(state);
}

/* Half of the time, so that few wait in vain. */
static int is_hot(const ac_hold_t *state, apr_interval_time_t time)
{
    return state->gap > 0 && state->gap <= time / 2 && state->row < ROW;
}

int ac_hold_next(conn_rec *c, ac_hold_t *state, apr_interval_time_t time)
{
    int comes;

    if (time <= 0 || hold.threads == 0) {
        return 0;
    }
    state->answered = ac_clock_now();
    if (!is_hot(state, time) || !enough_idle() || !is_between_requests(c)
        || !take_place()) {
        return 0;
    }
    comes = request_comes(c, time);
    atomic_fetch_sub(&hold.holding, 1);
    if (comes) {
        state->row++;
        came(state);
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

static unsigned crowd_of(unsigned threads)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned most = threads - threads / 4;
    unsigned soon = PER_CORE * (unsigned)(cores > 0 ? cores : 1);

    return soon < most ? soon : most;
}

void ac_hold_child_init(apr_pool_t *pchild, unsigned threads)
{
    (void)pchild;
    hold.threads = threads;
    hold.crowd = crowd_of(threads);
    atomic_store(&hold.busy, 0);
    atomic_store(&hold.holding, 0);
    atomic_store(&hold.stopping, 0);
    hold.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}
