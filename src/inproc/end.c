/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/end.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "http_log.h"
#include "http_main.h"
#include "base/clock.h"
#include "inproc/call.h"
#include "inproc/guard.h"
#include "inproc/leave.h"
#include "inproc/minder.h"
#include "inproc/thread.h"

APLOG_USE_MODULE(appcore);

/* What an app may take beyond its limit to notice that itself. */
#define SLACK apr_time_from_msec(200)
/* For a minder, where the limits of apps are shorter. */
#define PATIENCE apr_time_from_sec(1)

static struct {
    pthread_mutex_t mutex;      /* of what follows */
    pthread_cond_t changed;
    int ending;                 /* apps that have a thread for it and are not down */
    apr_time_t since;           /* when the last request was over; 0: it is not */
    int is_threaded;            /* the MPM; prefork ends in the middle of a request */
} end = { .mutex = PTHREAD_MUTEX_INITIALIZER };

/* Whether its callbacks may be called at all. */
static int is_there(ac_inproc_t *inproc)
{
    int state = atomic_load(&inproc->state);
    int is_there;

    /* One that runs may have failed all the same: by what it answered before it was
     * ready. */
    pthread_mutex_lock(&inproc->mutex);
    is_there = inproc->returned && (inproc->told ? !inproc->failed
                                                 : state != AC_INPROC_FAILED);
    pthread_mutex_unlock(&inproc->mutex);
    return is_there;
}

/* Before that there is nothing that it would have to quiesce, and requests may wait for
 * its start, which it would call off. */
static int has_started(ac_inproc_t *inproc)
{
    int has_started;

    pthread_mutex_lock(&inproc->mutex);
    has_started = inproc->returned && inproc->told && !inproc->failed;
    pthread_mutex_unlock(&inproc->mutex);
    return has_started;
}

/* Milliseconds of its limit. What it took of them in quiesce() counts, a moment without
 * a processor does not, hence whole seconds. */
static uint32_t remaining(const ac_inproc_t *inproc)
{
    apr_int64_t took = 1000 * apr_time_sec(ac_clock_now() - end.since);

    return took < inproc->config.shutdown_ms
        ? inproc->config.shutdown_ms - (uint32_t)took : 0;
}

static void await_requests(void)
{
    pthread_mutex_lock(&end.mutex);
    while (!end.since) {
        pthread_cond_wait(&end.changed, &end.mutex);
    }
    pthread_mutex_unlock(&end.mutex);
}

static void note_down(ac_inproc_t *inproc)
{
    pthread_mutex_lock(&end.mutex);
    inproc->is_down = 1;
    --end.ending;
    pthread_cond_broadcast(&end.changed);
    pthread_mutex_unlock(&end.mutex);
}

static void block_signals(void)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
}

/* What runs at the end of a thread that was in the app is the app's runtime's, which is
 * gone by then, or ours, which is being unloaded: the thread goes with the process. */
static void stay(void)
{
    block_signals();
    for (;;) {
        pause();
    }
}

/* The thread on which an app ends: one that takes its time holds up nobody else. */
static void *see_out(void *data)
{
    ac_inproc_t *inproc = data;

    block_signals();
    if (inproc->app.quiesce && has_started(inproc)) {
        ac_thread_attach(inproc);
        inproc->app.quiesce(inproc->instance);
    }
    await_requests();
    if (end.is_threaded) {
        ac_call_drop_all(inproc, ac_clock_now()
                         + ac_leave_for_requests(remaining(inproc)));
    }
    atomic_store(&inproc->forgotten, 1);
    if (inproc->app.shutdown) {
        inproc->app.shutdown(inproc->instance, (uint32_t)apr_time_as_msec(
            ac_leave_left(remaining(inproc))));
    }
    note_down(inproc);
    stay();
    return NULL;
}

/* Once per app. */
static void begin(ac_inproc_t *inproc)
{
    pthread_t thread;

    pthread_mutex_lock(&end.mutex);
    if (!inproc->is_ending) {
        inproc->is_ending = pthread_create(&thread, NULL, see_out, inproc) == 0;
        if (inproc->is_ending) {
            pthread_detach(thread);
            end.ending++;
        }
    }
    pthread_mutex_unlock(&end.mutex);
}

/* A duty of the minder, who is woken when an app has started after all. */
static apr_time_t do_quiesce(apr_time_t now)
{
    int i;

    (void)now;
    for (i = 0; ac_leave_stopping() && i < ac_inproc_count(); i++) {
        ac_inproc_t *inproc = ac_inproc_at(i);

        if (inproc && has_started(inproc)) {
            begin(inproc);
        }
    }
    return 0;
}

/* Nobody waits for them any more. 0: one goes on all the same. */
static int end_starts(apr_time_t until)
{
    int i, all = 1;

    for (i = 0; i < ac_inproc_count(); i++) {
        if (ac_inproc_at(i)) {
            all &= ac_inproc_end_start(ac_inproc_at(i), until);
        }
    }
    return all;
}

static void begin_all(void)
{
    int i;

    for (i = 0; i < ac_inproc_count(); i++) {
        if (ac_inproc_at(i) && is_there(ac_inproc_at(i))) {
            begin(ac_inproc_at(i));
        }
    }
    pthread_mutex_lock(&end.mutex);
    end.since = ac_clock_now();
    pthread_cond_broadcast(&end.changed);
    pthread_mutex_unlock(&end.mutex);
}

/* What `left` says of the limits of those that are there; the longest one. */
static apr_interval_time_t longest(apr_interval_time_t (*left)(uint32_t limit_ms))
{
    apr_interval_time_t limit = 0;
    int i;

    for (i = 0; i < ac_inproc_count(); i++) {
        ac_inproc_t *inproc = ac_inproc_at(i);

        if (inproc && is_there(inproc)) {
            apr_interval_time_t own = left(inproc->config.shutdown_ms);

            limit = own > limit ? own : limit;
        }
    }
    return limit;
}

/* 1 if all of them are. */
static int wait_for_all(apr_interval_time_t limit)
{
    apr_time_t until = ac_clock_now() + limit;
    struct timespec ts = ac_clock_timespec(until);
    int all;

    pthread_mutex_lock(&end.mutex);
    while (end.ending > 0
           && pthread_cond_timedwait(&end.changed, &end.mutex, &ts) == 0) {
    }
    all = end.ending == 0;
    pthread_mutex_unlock(&end.mutex);
    return all;
}

/* limit: what they had. */
static void name_stuck(apr_interval_time_t limit)
{
    int i;

    for (i = 0; i < ac_inproc_count(); i++) {
        const ac_inproc_t *inproc = ac_inproc_at(i);

        if (inproc && inproc->is_ending && !inproc->is_down) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, inproc->server, "app %s did not "
                         "end within AppCoreShutdownTimeLimit (%u s%s); its process ends "
                         "without it", inproc->mount->spec->name,
                         inproc->config.shutdown_ms / 1000,
                         limit < apr_time_from_msec(
                             (apr_time_t)inproc->config.shutdown_ms)
                         ? ", of which httpd leaves less" : "");
        }
    }
}

/* 1 if it has ended. A callback that it is in has the time that requests have, and
 * shutdown(), the last call of all, comes behind it. It also may get no processor. */
static int stop_minder(ac_minder_e which, const char *why)
{
    apr_interval_time_t limit = longest(ac_leave_for_requests);
    int is_over = ac_minder_stop(which, limit > PATIENCE ? limit : PATIENCE);

    if (!is_over) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, ap_server_conf, "%s; its process "
                     "ends without it", why);
    }
    return is_over;
}

/* Before anything else in the child's pool goes: apps may use all of it. Afterwards
 * nothing may go under the feet of an app that still runs. */
static apr_status_t finish(void *unused)
{
    apr_interval_time_t limit;
    int minded, started, all;

    (void)unused;
    ac_inproc_close();
    ac_guard_expect_exit();
    minded = stop_minder(AC_MINDER_CALLBACKS, "an app in process did not return from "
                         "on_disconnect()");
    minded &= stop_minder(AC_MINDER_CHILD, "the folder of an app in process cannot be "
                          "looked at");
    started = end_starts(ac_clock_now() + SLACK);
    limit = longest(ac_leave_left);
    begin_all();
    all = wait_for_all(limit + SLACK);
    name_stuck(limit);
    if (!minded || !started || !all) {
        _exit(0);
    }
    ac_guard_let_exit();
    return APR_SUCCESS;
}

void ac_end_init(apr_pool_t *pchild, int is_threaded)
{
    pthread_condattr_t attr;

    end.is_threaded = is_threaded;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&end.changed, &attr);
    pthread_condattr_destroy(&attr);
    ac_minder_add(AC_MINDER_CHILD, do_quiesce);
    apr_pool_pre_cleanup_register(pchild, NULL, finish);
}
