/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/end.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
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
/* For a callback that the minder is in. */
#define PATIENCE apr_time_from_sec(1)

static struct {
    pthread_mutex_t mutex;      /* of `ending` */
    pthread_cond_t ended;
    int ending;                 /* apps in shutdown() */
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

/* Once per app: the minder may be stuck in one of them. */
static void quiesce(ac_inproc_t *inproc)
{
    if (inproc->app.quiesce && is_there(inproc)
        && !atomic_exchange(&inproc->quiesced, 1)) {
        ac_thread_attach(inproc);
        inproc->app.quiesce(inproc->instance);
    }
}

static apr_time_t do_quiesce(apr_time_t now)
{
    int i;

    (void)now;
    for (i = 0; ac_leave_stopping() && i < ac_inproc_count(); i++) {
        if (ac_inproc_at(i)) {
            quiesce(ac_inproc_at(i));
        }
    }
    return 0;
}

/* What runs at the end of a thread that was in the app is the app's runtime's, which is
 * gone by then, or ours, which is being unloaded: the thread goes with the process. */
static void stay(void)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    for (;;) {
        pause();
    }
}

static void *shut_down(void *data)
{
    ac_inproc_t *inproc = data;

    quiesce(inproc);
    if (end.is_threaded) {
        ac_call_drop_all(inproc, ac_clock_now()
                         + ac_leave_for_requests(inproc->config.shutdown_ms));
    }
    atomic_store(&inproc->forgotten, 1);
    if (inproc->app.shutdown) {
        inproc->app.shutdown(inproc->instance, (uint32_t)apr_time_as_msec(
            ac_leave_left(inproc->config.shutdown_ms)));
    }
    pthread_mutex_lock(&end.mutex);
    inproc->is_down = 1;
    --end.ending;
    pthread_cond_signal(&end.ended);
    pthread_mutex_unlock(&end.mutex);
    stay();
    return NULL;
}

/* The longest limit of those that were told. */
static apr_interval_time_t shut_down_all(void)
{
    apr_interval_time_t limit = 0;
    int i;

    for (i = 0; i < ac_inproc_count(); i++) {
        ac_inproc_t *inproc = ac_inproc_at(i);
        pthread_t thread;
        apr_interval_time_t own;

        if (!inproc || !is_there(inproc)) {
            continue;
        }
        own = ac_leave_left(inproc->config.shutdown_ms);
        limit = own > limit ? own : limit;
        pthread_mutex_lock(&end.mutex);
        inproc->is_ending = pthread_create(&thread, NULL, shut_down, inproc) == 0;
        end.ending += inproc->is_ending;
        pthread_mutex_unlock(&end.mutex);
        if (inproc->is_ending) {
            pthread_detach(thread);
        }
    }
    return limit;
}

/* 1 if all of them are. */
static int wait_for_all(apr_interval_time_t limit)
{
    apr_time_t until = ac_clock_now() + limit;
    struct timespec ts = {
        .tv_sec = (time_t)apr_time_sec(until),
        .tv_nsec = (long)apr_time_usec(until) * 1000
    };
    int all;

    pthread_mutex_lock(&end.mutex);
    while (end.ending > 0
           && pthread_cond_timedwait(&end.ended, &end.mutex, &ts) == 0) {
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

/* Before anything else in the child's pool goes: apps may use all of it. Afterwards
 * nothing may go under the feet of an app that still runs. */
static apr_status_t finish(void *unused)
{
    apr_interval_time_t limit;
    int minded, all;

    (void)unused;
    ac_inproc_close();
    ac_guard_expect_exit();
    minded = ac_minder_stop(PATIENCE);
    limit = shut_down_all();
    all = wait_for_all(limit + SLACK);
    if (!minded && !ac_minder_stop(PATIENCE)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, ap_server_conf, "an app in process "
                     "did not return from quiesce() or on_disconnect(); its process "
                     "ends without it");
        all = 0;
    }
    name_stuck(limit);
    if (!all) {
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
    pthread_cond_init(&end.ended, &attr);
    pthread_condattr_destroy(&attr);
    ac_minder_add(do_quiesce);
    apr_pool_pre_cleanup_register(pchild, NULL, finish);
}
