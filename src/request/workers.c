/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/workers.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "request/context.h"
#include "request/policy.h"

/* Those who wait for a permit; whom a leaving worker wakes looks for itself
 * whether it got its own. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t left;
    _Atomic unsigned waiting;
} queue = { .mutex = PTHREAD_MUTEX_INITIALIZER };

void ac_workers_init(apr_pool_t *pchild)
{
    pthread_condattr_t attr;

    (void)pchild;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&queue.left, &attr);
    pthread_condattr_destroy(&attr);
    atomic_store(&queue.waiting, 0);
}

static int take(ac_workers_t *workers, unsigned limit)
{
    if (atomic_fetch_add(&workers->held, 1) < limit) {
        return 1;
    }
    atomic_fetch_sub(&workers->held, 1);
    return 0;
}

typedef struct limits_t {
    ac_workers_t *app, *all;
    unsigned app_limit, all_limit;
} limits_t;

static int take_both(const limits_t *limits)
{
    if (!take(limits->app, limits->app_limit)) {
        return 0;
    }
    if (take(limits->all, limits->all_limit)) {
        return 1;
    }
    atomic_fetch_sub(&limits->app->held, 1);
    return 0;
}

static int hopeless(const limits_t *limits)
{
    return atomic_load(&limits->app->slow) >= limits->app_limit
           || atomic_load(&limits->all->slow) >= limits->all_limit;
}

static int wait_for_permit(const limits_t *limits)
{
    struct timespec until = ac_clock_timespec(ac_clock_now() + AC_WORKERS_PATIENCE);
    int got = 0, timed_out = 0;

    pthread_mutex_lock(&queue.mutex);
    atomic_fetch_add(&queue.waiting, 1);
    while (!(got = take_both(limits)) && !timed_out && !hopeless(limits)) {
        timed_out = pthread_cond_timedwait(&queue.left, &queue.mutex, &until) != 0;
    }
    atomic_fetch_sub(&queue.waiting, 1);
    pthread_mutex_unlock(&queue.mutex);
    return got;
}

/* With many connections that wait, the event MPM accepts no others while most workers
 * are busy. It does not count streams. */
static unsigned threads_to_grant(const ac_child_t *child, int kind)
{
    unsigned threads = child->threads[kind];

    return kind == AC_WORKERS_PRIMARY
           ? ac_policy_threads(threads, ac_park_waiting(), child->weight) : threads;
}

static limits_t limits_of(ac_permit_t *permit, request_rec *r, const ac_mount_t *mount)
{
    ac_child_t *child = ac_child();
    int kind = r->connection->master ? AC_WORKERS_STREAM : AC_WORKERS_PRIMARY;
    unsigned threads = threads_to_grant(child, kind);
    limits_t limits = {
        .app = &child->apps[mount->index].workers[kind],
        .all = &child->workers[kind],
        .app_limit = ac_policy_app_workers(mount->spec->set->max_workers.v, threads),
        .all_limit = ac_policy_all_workers(threads)
    };

    permit->app = NULL;
    permit->kind = kind;
    permit->slow = 0;
    return limits;
}

/* What a page of an app includes is made by the worker that makes the page: there need
 * not be another, and on the prefork MPM there is none. */
static int shares_worker(const request_rec *r)
{
    for (r = r->main; r; r = r->main) {
        if (r->handler && !strcmp(r->handler, AC_HANDLER)) {
            return 1;
        }
    }
    return 0;
}

static int admit(ac_permit_t *permit, request_rec *r, const ac_mount_t *mount, int waits)
{
    limits_t limits = limits_of(permit, r, mount);

    if (shares_worker(r)) {
        return 1;
    }
    if (!take_both(&limits) && !(waits && wait_for_permit(&limits))) {
        return 0;
    }
    permit->app = &ac_child()->apps[mount->index];
    return 1;
}

int ac_workers_try(ac_permit_t *permit, request_rec *r, const ac_mount_t *mount)
{
    return admit(permit, r, mount, 0);
}

int ac_workers_enter(ac_permit_t *permit, request_rec *r, const ac_mount_t *mount)
{
    return admit(permit, r, mount, 1);
}

void ac_workers_force(ac_permit_t *permit, request_rec *r, const ac_mount_t *mount)
{
    limits_t limits = limits_of(permit, r, mount);

    atomic_fetch_add(&limits.app->held, 1);
    atomic_fetch_add(&limits.all->held, 1);
    permit->app = &ac_child()->apps[mount->index];
}

void ac_workers_slow(ac_permit_t *permit)
{
    if (!permit->slow && permit->app) {
        permit->slow = 1;
        atomic_fetch_add(&permit->app->workers[permit->kind].slow, 1);
        atomic_fetch_add(&ac_child()->workers[permit->kind].slow, 1);
    }
}

void ac_workers_leave(ac_permit_t *permit)
{
    ac_child_app_t *entry = permit->app;
    ac_workers_t *app, *all;

    if (!entry) {
        return;
    }
    permit->app = NULL;
    app = &entry->workers[permit->kind];
    all = &ac_child()->workers[permit->kind];
    if (permit->slow) {
        atomic_fetch_sub(&app->slow, 1);
        atomic_fetch_sub(&all->slow, 1);
    }
    atomic_fetch_sub(&app->held, 1);
    atomic_fetch_sub(&all->held, 1);
    if (atomic_load(&queue.waiting)) {
        pthread_mutex_lock(&queue.mutex);
        pthread_cond_signal(&queue.left);
        pthread_mutex_unlock(&queue.mutex);
    }
}
