/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "conn/poke.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http_log.h"
#include "base/clock.h"

APLOG_USE_MODULE(appcore);

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;     /* something is due earlier, or the end */
    ac_wheel_t wheel;
    ac_poke_t poked;            /* ring, oldest first */
    apr_time_t sleeps_until;    /* 0: for good */
    int fd;                     /* always readable */
    pthread_t thread;
    _Atomic int running;
    int stop;
    void (*stalled)(void);
    server_rec *server;
} pokes = { .mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

static void link_poked(ac_poke_t *poke)
{
    poke->prev = pokes.poked.prev;
    poke->next = &pokes.poked;
    poke->prev->next = poke;
    pokes.poked.prev = poke;
}

static void unlink_poked(ac_poke_t *poke)
{
    if (poke->next) {
        poke->prev->next = poke->next;
        poke->next->prev = poke->prev;
        poke->prev = poke->next = NULL;
    }
}

static void poke_due(apr_time_t now)
{
    ac_wheel_node_t *node;

    while ((node = ac_wheel_expire(&pokes.wheel, now)) != NULL) {
        ac_poke_t *poke = (ac_poke_t *)node;
        struct epoll_event event = { .events = EPOLLIN, .data.fd = pokes.fd };

        if (epoll_ctl(poke->epoll_fd, EPOLL_CTL_ADD, pokes.fd, &event) == 0) {
            poke->poked_at = now;
            link_poked(poke);
        }
        else {
            /* No memory in the kernel; it is the only wake-up there is. */
            ac_wheel_add(&pokes.wheel, node, now + apr_time_from_sec(1));
        }
    }
}

/* 1 if one did not come back; it is told of once. */
static int find_stalled(apr_time_t now)
{
    ac_poke_t *oldest = pokes.poked.next;

    if (oldest == &pokes.poked || now < oldest->poked_at + AC_POKE_PATIENCE) {
        return 0;
    }
    unlink_poked(oldest);
    return 1;
}

static apr_time_t next_due(void)
{
    apr_time_t due = ac_wheel_next(&pokes.wheel);
    const ac_poke_t *oldest = pokes.poked.next;

    if (oldest != &pokes.poked
        && (due == 0 || oldest->poked_at + AC_POKE_PATIENCE < due)) {
        due = oldest->poked_at + AC_POKE_PATIENCE;
    }
    return due;
}

static void sleep_until(apr_time_t due)
{
    struct timespec until = ac_clock_timespec(due);

    pokes.sleeps_until = due;
    if (due) {
        pthread_cond_timedwait(&pokes.changed, &pokes.mutex, &until);
    }
    else {
        pthread_cond_wait(&pokes.changed, &pokes.mutex);
    }
}

static void *run(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&pokes.mutex);
    while (!pokes.stop) {
        apr_time_t now = ac_clock_now();

        poke_due(now);
        if (find_stalled(now)) {
            pokes.stalled();
        }
        sleep_until(next_due());
    }
    pthread_mutex_unlock(&pokes.mutex);
    return NULL;
}

/* All signals blocked: they are the MPM's. */
static apr_status_t start_thread(void)
{
    sigset_t all, before;
    int error;

    if (pokes.fd < 0) {
        pokes.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    if (pokes.fd < 0) {
        return APR_EGENERAL;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&pokes.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

apr_status_t ac_poke_start(void)
{
    apr_status_t rv = APR_SUCCESS;

    if (atomic_load_explicit(&pokes.running, memory_order_acquire)) {
        return APR_SUCCESS;
    }
    pthread_mutex_lock(&pokes.mutex);
    if (!pokes.running && !pokes.stop) {
        rv = start_thread();
        pokes.running = rv == APR_SUCCESS;
    }
    pthread_mutex_unlock(&pokes.mutex);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, rv, pokes.server, "no thread for the "
                     "time limits of waiting requests: each holds a worker");
    }
    return rv;
}

/* Our code goes away with the module, so the thread must be over. */
static apr_status_t finish(void *unused)
{
    int running;

    (void)unused;
    pthread_mutex_lock(&pokes.mutex);
    running = pokes.running;
    pokes.running = 0;
    pokes.stop = 1;
    pthread_cond_signal(&pokes.changed);
    pthread_mutex_unlock(&pokes.mutex);
    if (running) {
        pthread_join(pokes.thread, NULL);
    }
    return APR_SUCCESS;
}

void ac_poke_init(apr_pool_t *pchild, server_rec *s, void (*stalled)(void))
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pokes.changed, &attr);
    pthread_condattr_destroy(&attr);
    ac_wheel_init(&pokes.wheel, ac_clock_now());
    pokes.poked.prev = pokes.poked.next = &pokes.poked;
    pokes.stalled = stalled;
    pokes.server = s;
    pokes.running = pokes.stop = 0;
    apr_pool_cleanup_register(pchild, NULL, finish, apr_pool_cleanup_null);
}

void ac_poke_at(ac_poke_t *poke, apr_time_t due)
{
    pthread_mutex_lock(&pokes.mutex);
    poke->poked_at = 0;
    ac_wheel_add(&pokes.wheel, &poke->node, due);
    if (pokes.sleeps_until == 0 || due < pokes.sleeps_until) {
        pthread_cond_signal(&pokes.changed);
    }
    pthread_mutex_unlock(&pokes.mutex);
}

int ac_poke_cancel(ac_poke_t *poke)
{
    int poked;

    pthread_mutex_lock(&pokes.mutex);
    ac_wheel_remove(&pokes.wheel, &poke->node);
    unlink_poked(poke);
    poked = poke->poked_at != 0;
    pthread_mutex_unlock(&pokes.mutex);
    if (poked) {
        epoll_ctl(poke->epoll_fd, EPOLL_CTL_DEL, pokes.fd, NULL);
        poke->poked_at = 0;
    }
    return poked;
}
