/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/app.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "ap_mpm.h"
#include "apr_strings.h"
#include "http_log.h"
#include "base/clock.h"
#include "inproc/host.h"
#include "inproc/load.h"
#include "spec/look.h"

APLOG_USE_MODULE(appcore);

/* How long child_init waits for all apps together. */
#define PATIENCE apr_time_from_sec(5)
/* Runtimes need more than the default of some systems, whatever ThreadStackSize. */
#define STACK_SIZE (8 * 1024 * 1024)
/* ANCM's sub-statuses of 500. */
#define START_FAILED 30
#define SUBSTATUS_MAX 38
#define WHY_MAX 1000

static struct {
    ac_inproc_t **by_index;     /* of ac_mount_t */
    int n;
    pthread_mutex_t mutex;      /* of the next three */
    pthread_cond_t settled;
    int starting;               /* apps that child_init still waits for */
    ac_plan_child_t child;
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

void ac_inproc_ended(ac_inproc_t *inproc, int exit_code, appcore_str why)
{
    int len = !why.p ? 0 : why.len < WHY_MAX ? (int)why.len : WHY_MAX;

    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, inproc->server, "app %s has ended with "
                 "exit code %d%s%.*s", inproc->mount->spec->name, exit_code,
                 len ? ": " : "", len, why.p);
    ac_inproc_become(inproc, AC_INPROC_LEAVING);
}

/* The start: one thread per app ------------------------------------------- */

static void look(ac_inproc_t *inproc)
{
    const ac_spec_t *spec = inproc->mount->spec;
    ac_look_request_t req = {
        .folder = spec->folder, .prefix = spec->prefix, .name = spec->name,
        .set = spec->set, .companions = spec->companions, .inside = 1
    };

    inproc->launch = ac_look(&req, inproc->p);
    inproc->set = ac_launch_settings(spec, inproc->launch, inproc->p);
    inproc->max_body = inproc->launch->max_content_length;
}

/* Two apps may look at the same time; the first one gets the runtime. */
static void decide(ac_inproc_t *inproc)
{
    pthread_mutex_lock(&apps.mutex);
    ac_plan_make(&inproc->plan, inproc->mount->spec, inproc->set, inproc->launch,
                 &apps.child, inproc->p);
    apps.child.has_dotnet |= inproc->plan.decision == AC_PLAN_DOTNET;
    pthread_mutex_unlock(&apps.mutex);
}

static void say_notices(const ac_inproc_t *inproc)
{
    const apr_array_header_t *notices = inproc->launch->notices;
    int i;

    for (i = 0; i < notices->nelts; i++) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, inproc->server, "app %s: %s",
                     inproc->mount->spec->name, APR_ARRAY_IDX(notices, i, const char *));
    }
}

static void fail(ac_inproc_t *inproc, const ac_result_t *result, const char *evidence)
{
    ac_report_t *report = apr_pcalloc(inproc->p, sizeof(*report));

    report->result = *result;
    report->when = apr_time_now();
    report->found = inproc->launch->found;
    report->folder = inproc->launch->folder;
    report->wait_status = -1;
    report->kind = (uint32_t)inproc->launch->kind;
    report->lasted = ac_clock_now() - inproc->begun;
    report->evidence = evidence;
    report->notices = inproc->launch->notices;
    inproc->report = report;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, inproc->server, "app %s did not start in "
                 "process (500.%d): %s%s%s%s", inproc->mount->spec->name,
                 result->substatus, result->detail, evidence ? " [" : "",
                 evidence ? evidence : "", evidence ? "]" : "");
    ac_inproc_become(inproc, AC_INPROC_FAILED);
}

static const char *text(const appcore_str *str, apr_size_t max, apr_pool_t *p)
{
    return str->p ? apr_pstrmemdup(p, str->p, str->len < max ? str->len : max) : "";
}

/* Under the mutex: whoever comes first. The app's strings need not live on. */
static void note(ac_inproc_t *inproc, int failed, const appcore_failure *theirs)
{
    appcore_failure failure = { .size = sizeof(failure) };
    const char *what;

    inproc->told = 1;
    inproc->failed = failed;
    if (!failed) {
        return;
    }
    if (theirs) {
        memcpy(&failure, theirs, theirs->size < sizeof(failure) ? theirs->size
                                                                : sizeof(failure));
    }
    what = text(&failure.what, AC_RESULT_DETAIL, inproc->p);
    inproc->evidence = text(&failure.evidence, AC_REPORT_MAX / 4, inproc->p);
    if (failure.substatus < START_FAILED || failure.substatus > SUBSTATUS_MAX) {
        failure.substatus = START_FAILED;
    }
    ac_inproc_refuse(&inproc->result, AC_STAGE_READY, AC_FAULT_EXITED, failure.substatus,
                     "%s", *what ? what : "its start failed, and it did not say why");
}

/* After init() has returned and the app's word is known. */
static void conclude(ac_inproc_t *inproc)
{
    if (inproc->failed) {
        fail(inproc, &inproc->result, *inproc->evidence ? inproc->evidence : NULL);
        return;
    }
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, inproc->server, "app %s runs in process, "
                 "from %s, ready after %" APR_TIME_T_FMT " ms", inproc->mount->spec->name,
                 inproc->plan.file, apr_time_as_msec(ac_clock_now() - inproc->begun));
    ac_inproc_become(inproc, AC_INPROC_READY);
}

/* An app may say so on a thread of its own before init() has returned and self is
 * known. */
void ac_inproc_started(ac_inproc_t *inproc, const appcore_failure *failure)
{
    int is_first;

    pthread_mutex_lock(&inproc->mutex);
    is_first = !inproc->told;
    if (is_first) {
        note(inproc, failure != NULL, failure);
    }
    is_first &= inproc->returned;
    pthread_mutex_unlock(&inproc->mutex);
    if (is_first) {
        conclude(inproc);
    }
}

static void call_init(ac_inproc_t *inproc)
{
    appcore_failure failure = { .size = sizeof(failure) };
    int rv = APPCORE_OK;
    int now;

    if (inproc->app.init) {
        rv = inproc->app.init(&inproc->host, &inproc->config, &inproc->instance,
                              &failure);
    }
    pthread_mutex_lock(&inproc->mutex);
    inproc->returned = 1;
    if (rv != APPCORE_PENDING && (!inproc->told || rv != APPCORE_OK)) {
        note(inproc, rv != APPCORE_OK, &failure);
    }
    now = inproc->told;
    pthread_mutex_unlock(&inproc->mutex);
    if (now) {
        conclude(inproc);
    }
}

static void load(ac_inproc_t *inproc)
{
    ac_result_t result = AC_RESULT_OK;

    if (!ac_inproc_load(&inproc->app, inproc->plan.file, &result)) {
        fail(inproc, &result, NULL);
        return;
    }
    ac_host_fill(&inproc->host);
    ac_inproc_fill_own(inproc);
    ac_inproc_fill_config(inproc);
    call_init(inproc);
}

static void leave_outside(ac_inproc_t *inproc)
{
    if (inproc->plan.why) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, inproc->server, "app %s is hosted out "
                     "of process, although AppCoreHostingModel says InProcess: %s",
                     inproc->mount->spec->name, inproc->plan.why);
    }
    ac_inproc_become(inproc, AC_INPROC_OUTSIDE);
}

static void *start(void *data)
{
    ac_inproc_t *inproc = data;

    look(inproc);
    decide(inproc);
    switch (inproc->plan.decision) {
    case AC_PLAN_FAILED:
        fail(inproc, &inproc->plan.result, NULL);
        break;
    case AC_PLAN_OFFLINE:
        inproc->page = inproc->launch->survey.page;
        inproc->page_len = inproc->launch->survey.page_len;
        ac_inproc_become(inproc, AC_INPROC_OFFLINE);
        break;
    case AC_PLAN_OUTSIDE:
        leave_outside(inproc);
        break;
    default:
        say_notices(inproc);
        load(inproc);
        break;
    }
    return NULL;
}

static int start_thread(ac_inproc_t *inproc)
{
    pthread_attr_t attr;
    pthread_t thread;
    int rv;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    rv = pthread_create(&thread, &attr, start, inproc);
    pthread_attr_destroy(&attr);
    return rv;
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
    inproc->begun = ac_clock_now();
    pthread_mutex_init(&inproc->serial, NULL);
    pthread_mutex_init(&inproc->mutex, NULL);
    APR_RING_INIT(&inproc->waiters, ac_inproc_waiter_t, link);
    atomic_store(&inproc->state, AC_INPROC_STARTING);
    return inproc;
}

/* An app's first virtual host keeps its log. */
static void collect(server_rec *s)
{
    int n, i;
    const ac_mount_t *mounts = ac_conf_mounts(s, &n);

    for (i = 0; i < n; i++) {
        const ac_mount_t *mount = &mounts[i];

        if (mount->spec->set->hosting_model.v == AC_HOSTING_IN_PROCESS
            && !apps.by_index[mount->index]) {
            apps.by_index[mount->index] = make(mount, s);
        }
    }
}

static void start_all(void)
{
    int i;

    for (i = 0; i < apps.n; i++) {
        ac_inproc_t *inproc = apps.by_index[i];
        int rv;

        if (!inproc) {
            continue;
        }
        pthread_mutex_lock(&apps.mutex);
        apps.starting++;
        pthread_mutex_unlock(&apps.mutex);
        rv = start_thread(inproc);
        if (rv != 0) {
            inproc->plan.why = "there is no thread to be had";
            ap_log_error(APLOG_MARK, APLOG_ERR, rv, inproc->server, "app %s: no thread "
                         "can be made for its start", inproc->mount->spec->name);
            leave_outside(inproc);
        }
    }
}

static void wait_for_all(void)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += apr_time_sec(PATIENCE);
    pthread_mutex_lock(&apps.mutex);
    while (apps.starting > 0
           && pthread_cond_timedwait(&apps.settled, &apps.mutex, &until) == 0) {
    }
    pthread_mutex_unlock(&apps.mutex);
}

static void init_child(int n)
{
    pthread_condattr_t attr;
    int threaded = AP_MPMQ_NOT_SUPPORTED;

    apps.n = n;
    apps.by_index = calloc((size_t)n, sizeof(*apps.by_index));
    if (!apps.by_index) {
        apps.n = 0;
    }
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&apps.settled, &attr);
    pthread_condattr_destroy(&attr);
    ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded);
    apps.child.is_threaded = threaded != AP_MPMQ_NOT_SUPPORTED;
}

void ac_inproc_child_init(apr_pool_t *pchild, server_rec *s)
{
    server_rec *server;

    (void)pchild;
    init_child(ac_conf_app_count());
    for (server = s; server && apps.n > 0; server = server->next) {
        collect(server);
    }
    start_all();
    wait_for_all();
}
