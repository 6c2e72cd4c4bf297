/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/dispatch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "http_log.h"
#include "request/child.h"

APLOG_USE_MODULE(appcore);

#define SWEEP_MS 5000

static struct {
    pthread_mutex_t mutex;
    APR_RING_HEAD(waiters_t, ac_waiter_t) waiters;
    pthread_t thread;
    _Atomic int running;
    _Atomic int stop;
    _Atomic int resting;        /* nothing idles: until told, nobody sweeps */
    server_rec *server;
} dispatch = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static int changed(const ac_waiter_t *waiter)
{
    const ac_board_t *board = ac_child()->board;
    ac_board_app_t now;

    if (waiter->index < 0) {
        return ac_board_find(board, waiter->app_id) >= 0;
    }
    return !ac_board_app(board, waiter->index, waiter->app_id, &now)
           || memcmp(&now, &waiter->seen, sizeof(now)) != 0;
}

/* Nobody in any child has waited longer: there may be a permit for it. */
static int is_first(const ac_waiter_t *waiter)
{
    return waiter->since && waiter->index >= 0
           && ac_rows_wait_is_first(ac_child()->rows, (unsigned)waiter->index,
                                    waiter->since);
}

static void call(ac_waiter_t *waiter)
{
    atomic_store(&waiter->called, 1);
    eventfd_write(waiter->fd, 1);
}

static void wake_waiters(void)
{
    ac_waiter_t *waiter;

    pthread_mutex_lock(&dispatch.mutex);
    APR_RING_FOREACH(waiter, &dispatch.waiters, ac_waiter_t, link) {
        if (is_first(waiter)) {
            call(waiter);
        }
        else if (changed(waiter)) {
            eventfd_write(waiter->fd, 1);
        }
    }
    pthread_mutex_unlock(&dispatch.mutex);
}

/* How long to sleep after it, in milliseconds, -1 for good. Whoever puts a connection
 * back after the sweep went by finds that the thread rests, and wakes it. */
static int sweep(void)
{
    atomic_store(&dispatch.resting, 1);
    if (ac_child_sweep() == 0) {
        return -1;
    }
    atomic_store(&dispatch.resting, 0);
    return SWEEP_MS;
}

/* The descriptor is shared with the manager and non-blocking on its account. */
static void *run(void *unused)
{
    int fd = ac_child()->event_fd;
    int patience = SWEEP_MS;

    (void)unused;
    while (!atomic_load(&dispatch.stop)) {
        struct pollfd pfd = { .fd = fd, .events = POLLIN };
        eventfd_t n;

        if (poll(&pfd, 1, patience) < 0 && errno != EINTR) {
            break;
        }
        if (eventfd_read(fd, &n) == 0 && !atomic_load(&dispatch.stop)) {
            wake_waiters();
        }
        patience = sweep();
    }
    return NULL;
}

/* All signals blocked: on prefork they are for the thread that serves. */
static void start(void)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&dispatch.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, error, dispatch.server,
                     "no thread for news of apps: waiting requests look again "
                     "once a second");
        return;
    }
    atomic_store(&dispatch.running, 1);
}

void ac_dispatch_ensure(void)
{
    if (atomic_load_explicit(&dispatch.running, memory_order_relaxed)) {
        if (atomic_load(&dispatch.resting) && atomic_exchange(&dispatch.resting, 0)) {
            eventfd_write(ac_child()->event_fd, 1);
        }
        return;
    }
    if (ac_child()->event_fd < 0) {
        return;
    }
    pthread_mutex_lock(&dispatch.mutex);
    if (!dispatch.running && !dispatch.stop) {
        start();
    }
    pthread_mutex_unlock(&dispatch.mutex);
}

/* Our code goes away with the pool's module, so the thread must be over. On
 * prefork this runs in a signal handler, which may have interrupted a holder of
 * the mutex: then nobody can be waited for, and the process exits anyway. */
static apr_status_t finish(void *unused)
{
    struct timespec until;
    int running;

    (void)unused;
    atomic_store(&dispatch.stop, 1);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    if (pthread_mutex_timedlock(&dispatch.mutex, &until) != 0) {
        return APR_SUCCESS;
    }
    running = atomic_exchange(&dispatch.running, 0);
    pthread_mutex_unlock(&dispatch.mutex);
    if (running) {
        eventfd_write(ac_child()->event_fd, 1);
        pthread_join(dispatch.thread, NULL);
    }
    return APR_SUCCESS;
}

void ac_dispatch_init(apr_pool_t *pchild, server_rec *s)
{
    APR_RING_INIT(&dispatch.waiters, ac_waiter_t, link);
    dispatch.server = s;
    atomic_store(&dispatch.stop, 0);
    atomic_store(&dispatch.running, 0);
    atomic_store(&dispatch.resting, 0);
    apr_pool_cleanup_register(pchild, NULL, finish, apr_pool_cleanup_null);
}

static ac_waiter_t *first_of(int index)
{
    ac_waiter_t *waiter, *first = NULL;

    APR_RING_FOREACH(waiter, &dispatch.waiters, ac_waiter_t, link) {
        if (waiter->since && waiter->index == index
            && (!first || (int32_t)(waiter->since - first->since) < 0)) {
            first = waiter;
        }
    }
    return first;
}

/* Tells the other children since when somebody of this one waits. */
static void announce(int index)
{
    ac_waiter_t *first = index >= 0 ? first_of(index) : NULL;

    if (index >= 0) {
        ac_rows_wait_since(ac_child()->rows, ac_child()->row, (unsigned)index,
                           first ? first->since : 0);
    }
}

void ac_dispatch_call(int index)
{
    ac_waiter_t *first;

    pthread_mutex_lock(&dispatch.mutex);
    first = first_of(index);
    if (first) {
        call(first);
    }
    pthread_mutex_unlock(&dispatch.mutex);
}

void ac_dispatch_join(ac_waiter_t *waiter)
{
    ac_dispatch_ensure();
    pthread_mutex_lock(&dispatch.mutex);
    APR_RING_INSERT_TAIL(&dispatch.waiters, waiter, ac_waiter_t, link);
    pthread_mutex_unlock(&dispatch.mutex);
}

void ac_dispatch_update(ac_waiter_t *waiter, int index, const ac_board_app_t *seen)
{
    int before;

    pthread_mutex_lock(&dispatch.mutex);
    before = waiter->index;
    waiter->index = index;
    waiter->seen = *seen;
    if (waiter->since && before != index) {
        announce(before);
        announce(index);
    }
    pthread_mutex_unlock(&dispatch.mutex);
}

void ac_dispatch_leave(ac_waiter_t *waiter)
{
    pthread_mutex_lock(&dispatch.mutex);
    APR_RING_REMOVE(waiter, link);
    if (waiter->since) {
        announce(waiter->index);
    }
    pthread_mutex_unlock(&dispatch.mutex);
}
