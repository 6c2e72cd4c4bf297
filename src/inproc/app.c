/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/app.h"

#include <stdlib.h>
#include <sys/eventfd.h>

#include "ap_listen.h"
#include "apr_strings.h"
#include "http_log.h"
#include "http_main.h"
#include "base/clock.h"
#include "inproc/end.h"
#include "inproc/guard.h"
#include "inproc/leave.h"
#include "inproc/minder.h"
#include "inproc/outcome.h"
#include "inproc/output.h"
#include "inproc/thread.h"
#include "inproc/watch.h"

APLOG_USE_MODULE(appcore);

/* How long child_init waits for all apps together. */
#define PATIENCE apr_time_from_sec(5)
#define WHY_MAX 1000
/* Nothing that httpd's parent would take for more than the end of a child. */
#define EXITED 1
/* While apps start, and afterwards. */
#define SIGNALS_EVERY apr_time_from_msec(100)
#define SIGNALS_LATER apr_time_from_msec(400)

static struct {
    ac_inproc_t **by_index;     /* of ac_mount_t */
    int n;
    pthread_mutex_t mutex;      /* of the next two */
    pthread_cond_t settled;
    int starting;               /* apps that child_init still waits for */
} apps = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static const char *const state_names[] = {
    [AC_INPROC_NONE] = "none",
    [AC_INPROC_STARTING] = "starting",
    [AC_INPROC_READY] = "ready",
    [AC_INPROC_FAILED] = "failed",
    [AC_INPROC_OFFLINE] = "offline",
    [AC_INPROC_LEAVING] = "leaving",
    [AC_INPROC_OUTSIDE] = "outside",
};

const char *ac_inproc_state_name(ac_inproc_state_e state)
{
    return (unsigned)state <= AC_INPROC_OUTSIDE ? state_names[state] : "unknown";
}

ac_inproc_t *ac_inproc_of(const ac_mount_t *mount)
{
    return mount->index < apps.n ? apps.by_index[mount->index] : NULL;
}

int ac_inproc_count(void)
{
    return apps.n;
}

ac_inproc_t *ac_inproc_at(int index)
{
    return apps.by_index[index];
}

/* One that no longer starts is no longer waited for. */
static void settle(void)
{
    pthread_mutex_lock(&apps.mutex);
    apps.starting--;
    pthread_cond_signal(&apps.settled);
    pthread_mutex_unlock(&apps.mutex);
}

void ac_inproc_become(ac_inproc_t *inproc, ac_inproc_state_e state)
{
    ac_inproc_waiter_t *waiter;
    int before;

    pthread_mutex_lock(&inproc->mutex);
    if (inproc->has_ended && state == AC_INPROC_READY) {
        state = AC_INPROC_LEAVING;
    }
    before = atomic_exchange(&inproc->state, (int)state);
    APR_RING_FOREACH(waiter, &inproc->waiters, ac_inproc_waiter_t, link) {
        eventfd_write(waiter->fd, 1);
    }
    pthread_mutex_unlock(&inproc->mutex);
    ap_log_error(APLOG_MARK, APLOG_DEBUG, 0, inproc->server, "app %s in process: %s, was "
                 "%s", inproc->mount->spec->name, ac_inproc_state_name(state),
                 ac_inproc_state_name((ac_inproc_state_e)before));
    if (before == AC_INPROC_STARTING) {
        settle();
    }
    ac_minder_wake();
}

void ac_inproc_join(ac_inproc_t *inproc, ac_inproc_waiter_t *waiter)
{
    pthread_mutex_lock(&inproc->mutex);
    APR_RING_INSERT_TAIL(&inproc->waiters, waiter, ac_inproc_waiter_t, link);
    pthread_mutex_unlock(&inproc->mutex);
}

void ac_inproc_leave(ac_inproc_t *inproc, ac_inproc_waiter_t *waiter)
{
    pthread_mutex_lock(&inproc->mutex);
    APR_RING_REMOVE(waiter, link);
    pthread_mutex_unlock(&inproc->mutex);
}

static int length(appcore_str text)
{
    return !text.p ? 0 : text.len < WHY_MAX ? (int)text.len : WHY_MAX;
}

/* It goes on until the MPM has no more requests for it. */
void ac_inproc_replace(ac_inproc_t *inproc, appcore_str why)
{
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, inproc->server, "app %s: %.*s; this "
                 "process of httpd is replaced", inproc->mount->spec->name, length(why),
                 why.p ? why.p : "");
    ac_inproc_lost(inproc);
    ac_leave_begin(1);
}

void ac_inproc_ended(ac_inproc_t *inproc, int exit_code, appcore_str why)
{
    int len = length(why);
    int before;

    pthread_mutex_lock(&inproc->mutex);
    before = inproc->has_ended;
    inproc->has_ended = 1;
    /* A start that was not over has no other outcome. */
    inproc->concluded |= !inproc->told;
    pthread_cond_broadcast(&inproc->changed);
    pthread_mutex_unlock(&inproc->mutex);
    if (before) {
        return;
    }
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, inproc->server, "app %s has ended with "
                 "exit code %d%s%.*s", inproc->mount->spec->name, exit_code,
                 len ? ": " : "", len, why.p);
    ac_inproc_lost(inproc);
    ac_leave_begin(0);
    /* Why it never started is worth more than that it has ended. */
    if (atomic_load(&inproc->state) != AC_INPROC_FAILED) {
        ac_inproc_become(inproc, AC_INPROC_LEAVING);
    }
}

/* child_init -------------------------------------------------------------- */

/* Pools of their own: threads of an app may outlive the child's. */
static ac_inproc_t *make(const ac_mount_t *mount, server_rec *s)
{
    apr_pool_t *p;
    ac_inproc_t *inproc;

    apr_pool_create_unmanaged_ex(&p, NULL, NULL);
    inproc = apr_pcalloc(p, sizeof(*inproc));
    inproc->p = p;
    inproc->mount = mount;
    inproc->server = s;
    inproc->set = mount->spec->set;
    inproc->max_body = -1;
    pthread_mutex_init(&inproc->serial, NULL);
    pthread_mutex_init(&inproc->mutex, NULL);
    pthread_cond_init(&inproc->changed, NULL);
    APR_RING_INIT(&inproc->waiters, ac_inproc_waiter_t, link);
    return inproc;
}

/* An app's first virtual host keeps its log. */
static int collect(server_rec *s)
{
    int n, i, found = 0;
    const ac_mount_t *mounts = ac_conf_mounts(s, &n);

    for (i = 0; i < n; i++) {
        const ac_mount_t *mount = &mounts[i];

        if (mount->spec->set->hosting_model.v == AC_HOSTING_IN_PROCESS
            && !apps.by_index[mount->index]) {
            apps.by_index[mount->index] = make(mount, s);
            found++;
        }
    }
    return found;
}

static void begin(ac_inproc_t *inproc)
{
    int rv;

    inproc->begun = ac_clock_now();
    pthread_mutex_lock(&apps.mutex);
    apps.starting++;
    pthread_mutex_unlock(&apps.mutex);
    ac_inproc_become(inproc, AC_INPROC_STARTING);
    rv = ac_inproc_start(inproc);
    if (rv != 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, inproc->server, "app %s: no thread can "
                     "be made for its start", inproc->mount->spec->name);
        ac_inproc_become(inproc, AC_INPROC_OUTSIDE);
    }
}

void ac_inproc_restart(ac_inproc_t *inproc)
{
    pthread_mutex_lock(&inproc->mutex);
    inproc->returned = inproc->told = inproc->failed = inproc->concluded = 0;
    pthread_mutex_unlock(&inproc->mutex);
    begin(inproc);
}

static void start_all(void)
{
    int i;

    for (i = 0; i < apps.n; i++) {
        if (apps.by_index[i]) {
            begin(apps.by_index[i]);
        }
    }
}

/* 1: somebody still starts. */
static int wait_until(apr_time_t when)
{
    struct timespec until = ac_clock_timespec(when);
    int starting;

    pthread_mutex_lock(&apps.mutex);
    while (apps.starting > 0
           && pthread_cond_timedwait(&apps.settled, &apps.mutex, &until) == 0) {
    }
    starting = apps.starting;
    pthread_mutex_unlock(&apps.mutex);
    return starting > 0;
}

/* One that hung in another child may do so again: meanwhile this one is there for
 * others. */
static apr_interval_time_t patience(void)
{
    int i;

    for (i = 0; i < apps.n; i++) {
        if (apps.by_index[i] && ac_inproc_hung_lately(apps.by_index[i])) {
            return 0;
        }
    }
    return PATIENCE;
}

/* Limits of starts that are shorter than our patience come to their end meanwhile. */
static void wait_for_all(void)
{
    apr_time_t end = ac_clock_now() + patience(), now, next;
    int starting;

    do {
        now = ac_clock_now();
        next = ac_clock_earlier(ac_outcome_check_limits(now), now + SIGNALS_EVERY);
        starting = wait_until(ac_clock_earlier(next, end));
        ac_guard_restore_signals();
    } while (starting && now < end && !ac_guard_is_asked());
}

static void init_child(int n)
{
    pthread_condattr_t attr;

    apps.n = n;
    apps.by_index = calloc((size_t)n, sizeof(*apps.by_index));
    if (!apps.by_index) {
        apps.n = 0;
    }
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&apps.settled, &attr);
    pthread_condattr_destroy(&attr);
}

/* One name for what cannot be told apart. */
static const char *name_all(apr_pool_t *p)
{
    const char *names = "";
    int i;

    for (i = 0; i < apps.n; i++) {
        if (apps.by_index[i]) {
            names = apr_pstrcat(p, names, *names ? " or " : "",
                                apps.by_index[i]->mount->spec->name, NULL);
        }
    }
    return names;
}

/* The first one's log and levels are those of all. */
static void redirect_output(server_rec *s, apr_pool_t *pchild)
{
    ac_log_target_t target = { .mode = AC_LOG_ERRORLOG };
    ac_inproc_t *first = NULL;
    apr_status_t rv;
    int i;

    for (i = 0; i < apps.n && !first; i++) {
        first = apps.by_index[i];
    }
    first->speaks = 1;
    target.app = name_all(first->p);
    target.log_level = first->mount->spec->log_level;
    target.plain_level = first->mount->spec->plain_level;
    rv = ac_output_begin(s, first->server, &target, pchild);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, rv, s, "what apps in process print goes "
                     "to httpd's stderr as it is");
    }
}

static void warn_of_buckets(server_rec *s)
{
    int i = 0;

    if (ap_num_listen_buckets < 2) {
        return;
    }
    while (!apps.by_index[i]) {
        i++;
    }
    if (ac_inproc_says(apps.by_index[i], AC_SAYS_BUCKETS)) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, "ListenCoresBucketsRatio gives "
                     "children of httpd %d sets of listening sockets: those that host "
                     "apps in process cannot be replaced when an app ends or changes, "
                     "but by a graceful restart; 0 allows it", ap_num_listen_buckets);
    }
}

/* Some thread of the process called exit(): the others, and httpd, know nothing of
 * it. */
static int exiting(int status)
{
    const char *names;
    apr_pool_t *p;

    apr_pool_create_unmanaged_ex(&p, NULL, NULL);
    names = name_all(p);
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, ap_server_conf, "app %s called exit(%d), "
                 "which ends this process of httpd; another one takes its place", names,
                 status);
    return EXITED;
}

/* Also those of an app that starts late, or of a runtime that sets some when they are
 * first of use. */
static apr_time_t do_signals(apr_time_t now)
{
    int starting;

    pthread_mutex_lock(&apps.mutex);
    starting = apps.starting;
    pthread_mutex_unlock(&apps.mutex);
    ac_guard_restore_signals();
    return now + (starting ? SIGNALS_EVERY : SIGNALS_LATER);
}

static int is_threaded(void)
{
    int threaded = AP_MPMQ_NOT_SUPPORTED;

    ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded);
    return threaded != AP_MPMQ_NOT_SUPPORTED;
}

void ac_inproc_child_init(apr_pool_t *pchild, server_rec *s)
{
    int threaded = is_threaded();
    server_rec *server;
    apr_status_t rv;
    int n = 0;

    init_child(ac_conf_app_count());
    for (server = s; server && apps.n > 0; server = server->next) {
        n += collect(server);
    }
    if (n == 0) {
        return;
    }
    ac_inproc_enter();
    warn_of_buckets(s);
    redirect_output(s, pchild);
    ac_guard_init(exiting, threaded);
    ac_leave_init(s, threaded);
    ac_minder_add(AC_MINDER_CHILD, do_signals);
    ac_minder_add(AC_MINDER_CHILD, ac_outcome_check_limits);
    ac_watch_init();
    ac_end_init(pchild, threaded);
    ac_inproc_start_init(threaded);
    ac_thread_prepare();
    start_all();
    wait_for_all();
    rv = ac_minder_start();
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s, "no thread for what apps in process "
                     "need: this process is not replaced when one ends");
    }
}
