/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The start of an app, on a thread of its own: from the look at its folder to its
 * word that it takes requests. */

#include "inproc/app.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ap_mpm.h"
#include "apr_strings.h"
#include "http_log.h"
#include "base/clock.h"
#include "inproc/host.h"
#include "inproc/leave.h"
#include "inproc/load.h"
#include "inproc/output.h"
#include "inproc/watch.h"
#include "spec/handler.h"
#include "spec/look.h"

APLOG_USE_MODULE(appcore);

/* Runtimes need more than the default of some systems, whatever ThreadStackSize. */
#define STACK_SIZE (8 * 1024 * 1024)
/* ANCM's sub-statuses of 500. */
#define START_FAILED 30
#define TOO_SLOW 37
#define SUBSTATUS_MAX 38

static struct {
    pthread_mutex_t mutex;
    ac_plan_child_t is;
} child = { .mutex = PTHREAD_MUTEX_INITIALIZER };

void ac_inproc_start_init(void)
{
    int threaded = AP_MPMQ_NOT_SUPPORTED;

    ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded);
    child.is.is_threaded = threaded != AP_MPMQ_NOT_SUPPORTED;
    child.is.dotnet_root = ac_conf_dotnet_root();
}

static void look(ac_inproc_t *inproc)
{
    const ac_spec_t *spec = inproc->mount->spec;
    ac_look_request_t req = {
        .folder = spec->folder, .prefix = spec->prefix, .name = spec->name,
        .set = spec->set, .companions = spec->companions, .inside = 1
    };

    inproc->launch = ac_look_watched(&req, ac_watch_fd(), inproc->p);
    inproc->launch->home = ac_inproc_home(inproc);
    inproc->set = ac_launch_settings(spec, inproc->launch, inproc->p);
    inproc->max_body = inproc->launch->max_content_length;
}

static const char **environment_of(const ac_inproc_t *inproc)
{
    const ac_spec_t *spec = inproc->mount->spec;
    const ac_instance_t nothing = { .is_logged = 1, .prefix = spec->prefix };

    return ac_launch_env(spec, inproc->launch, &nothing, (const char *const *)environ,
                         inproc->p);
}

/* The name of what is loaded, too, may hold %VAR%. */
static void expand(ac_inproc_t *inproc)
{
    const ac_instance_t nothing = { .prefix = inproc->mount->spec->prefix };
    const char *const *env = environment_of(inproc);
    const char **argv = ac_launch_argv(inproc->launch, &nothing, env, inproc->p);

    apr_array_clear(inproc->launch->argv);
    for (; *argv; argv++) {
        APR_ARRAY_PUSH(inproc->launch->argv, const char *) = *argv;
    }
}

/* Two apps may look at the same time; the first one gets the runtime. The process's
 * environment is read and changed under the same lock. */
static void decide(ac_inproc_t *inproc)
{
    pthread_mutex_lock(&child.mutex);
    if (inproc->launch->result.fault == AC_FAULT_NONE && inproc->launch->argv->nelts) {
        expand(inproc);
    }
    ac_plan_make(&inproc->plan, inproc->mount->spec, inproc->set, inproc->launch,
                 &child.is, inproc->p);
    child.is.has_dotnet |= inproc->plan.decision == AC_PLAN_DOTNET;
    pthread_mutex_unlock(&child.mutex);
}

static void say_notices(const ac_inproc_t *inproc)
{
    const apr_array_header_t *notices = inproc->launch->notices;
    int i, says = notices->nelts > 0 && ac_inproc_says(inproc, AC_SAYS_NOTICES);

    for (i = 0; says && i < notices->nelts; i++) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, inproc->server, "app %s: %s",
                     inproc->mount->spec->name, APR_ARRAY_IDX(notices, i, const char *));
    }
}

/* One outcome per start: its own, or that it takes too long. */
static int claim(ac_inproc_t *inproc)
{
    int is_first;

    pthread_mutex_lock(&inproc->mutex);
    is_first = !inproc->concluded;
    inproc->concluded = 1;
    pthread_mutex_unlock(&inproc->mutex);
    return is_first;
}

/* What ANCM adds to its page for hosters. */
static const char *error_link(const ac_settings_t *set)
{
    const ac_env_var_t *var = ac_settings_env(set, "ANCM_ADDITIONAL_ERROR_PAGE_LINK");

    return var && !var->secret ? var->value : NULL;
}

/* Perhaps beside a thread that still looks or loads, hence the pool. */
static void publish(ac_inproc_t *inproc, const ac_result_t *result, const char *evidence)
{
    const ac_launch_t *launch = inproc->launch;
    ac_report_t *report;
    apr_pool_t *p;

    apr_pool_create_unmanaged_ex(&p, NULL, NULL);
    report = apr_pcalloc(p, sizeof(*report));
    report->result = *result;
    report->when = apr_time_now();
    report->wait_status = -1;
    report->lasted = ac_clock_now() - inproc->begun;
    report->evidence = evidence;
    report->folder = inproc->mount->spec->folder;
    report->output = ac_output_captured(p);
    report->link = error_link(inproc->set);
    if (launch) {
        report->found = launch->found;
        report->kind = (uint32_t)launch->kind;
        report->notices = launch->notices;
    }
    inproc->report = report;
    if (result->fault != AC_FAULT_BREAKER) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, inproc->server, "app %s did not start in "
                     "process (%d.%d): %s%s%s%s", inproc->mount->spec->name,
                     result->http_status, result->substatus, result->detail,
                     evidence ? " [" : "", evidence ? evidence : "",
                     evidence ? "]" : "");
    }
    ac_inproc_become(inproc, AC_INPROC_FAILED);
}

static void fail(ac_inproc_t *inproc, const ac_result_t *result, const char *evidence)
{
    if (claim(inproc)) {
        publish(inproc, result, evidence);
    }
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
    ac_inproc_refuse(&inproc->result, AC_FAULT_EXITED, failure.substatus,
                     "%s", *what ? what : "its start failed, and it did not say why");
}

/* After init() has returned and the app's word is known. */
static void conclude(ac_inproc_t *inproc)
{
    if (inproc->failed) {
        fail(inproc, &inproc->result, *inproc->evidence ? inproc->evidence : NULL);
        return;
    }
    if (!claim(inproc)) {
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
    if (rv != APPCORE_PENDING
        && (!inproc->told || (rv != APPCORE_OK && !inproc->failed))) {
        note(inproc, rv != APPCORE_OK, &failure);
    }
    now = inproc->told;
    pthread_mutex_unlock(&inproc->mutex);
    if (now) {
        conclude(inproc);
    }
}

/* .NET reads its own and the app's settings from the environment of its process.
 * The only .NET app of this child, and before the MPM has made its threads; a start
 * that comes later than that is the look's fault, on a disk that hangs. */
static void set_environment(ac_inproc_t *inproc)
{
    const char **env;

    pthread_mutex_lock(&child.mutex);
    for (env = environment_of(inproc); *env; env++) {
        const char *sign = strchr(*env, '=');

        if (sign && sign != *env) {
            setenv(apr_pstrmemdup(inproc->p, *env, (apr_size_t)(sign - *env)), sign + 1,
                   1);
        }
    }
    pthread_mutex_unlock(&child.mutex);
}

static void warn_of_copies(const ac_inproc_t *inproc)
{
    int n = 1;

    ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &n);
    if ((inproc->app.flags & APPCORE_SINGLE_PROCESS) && n > 1
        && ac_inproc_says(inproc, AC_SAYS_COPIES)) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, inproc->server, "app %s wants to run "
                     "once, but up to %d processes of httpd may serve, each with a copy "
                     "of it; httpd-conf/appcore-inprocess.conf has settings for one",
                     inproc->mount->spec->name, n);
    }
}

static void load(ac_inproc_t *inproc)
{
    ac_result_t result = AC_RESULT_OK;

    ac_inproc_host(inproc);
    if (!ac_inproc_load(&inproc->app, inproc->plan.file, &result)) {
        fail(inproc, &result, NULL);
        return;
    }
    warn_of_copies(inproc);
    if (inproc->plan.decision == AC_PLAN_DOTNET) {
        set_environment(inproc);
    }
    ac_host_fill(&inproc->host);
    ac_inproc_fill_own(inproc);
    ac_inproc_fill_config(inproc);
    call_init(inproc);
}

static void settle(ac_inproc_t *inproc, ac_inproc_state_e state)
{
    if (claim(inproc)) {
        ac_inproc_become(inproc, state);
    }
}

static void leave_outside(ac_inproc_t *inproc)
{
    if (inproc->plan.why && ac_inproc_says(inproc, AC_SAYS_OUTSIDE)) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, inproc->server, "app %s is hosted out "
                     "of process, although AppCoreHostingModel says InProcess: %s",
                     inproc->mount->spec->name, inproc->plan.why);
    }
    settle(inproc, AC_INPROC_OUTSIDE);
}

/* What nobody else can host is not available until a reload. */
static void refuse_often(ac_inproc_t *inproc)
{
    static const char why[] = "it took processes of httpd down with it "
        "AppCoreRapidFailsPerMinute times within a minute; a reload of httpd tries again";
    ac_result_t result = AC_RESULT_OK;

    if (ac_inproc_says(inproc, AC_SAYS_TOO_OFTEN)) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, inproc->server, "app %s is no longer "
                     "hosted in process: %s", inproc->mount->spec->name, why);
    }
    if (inproc->plan.decision == AC_PLAN_DOTNET) {
        settle(inproc, AC_INPROC_OUTSIDE);
        return;
    }
    ac_inproc_refuse(&result, AC_FAULT_BREAKER, 0, "%s", why);
    result.http_status = 503;
    fail(inproc, &result, NULL);
}

static void *start(void *data)
{
    ac_inproc_t *inproc = data;

    look(inproc);
    decide(inproc);
    ac_watch_remember(inproc);
    switch (inproc->plan.decision) {
    case AC_PLAN_FAILED:
        fail(inproc, &inproc->plan.result, NULL);
        break;
    case AC_PLAN_OFFLINE:
        inproc->page = inproc->launch->survey.page;
        inproc->page_len = inproc->launch->survey.page_len;
        settle(inproc, AC_INPROC_OFFLINE);
        break;
    case AC_PLAN_OUTSIDE:
        leave_outside(inproc);
        break;
    default:
        if (ac_inproc_lost_too_often(inproc)) {
            refuse_often(inproc);
        }
        else {
            say_notices(inproc);
            load(inproc);
        }
        break;
    }
    return NULL;
}

int ac_inproc_start(ac_inproc_t *inproc)
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

/* Limits ------------------------------------------------------------------ */

/* As ANCM: the process is replaced, so that the next request tries again. */
static void give_up(ac_inproc_t *inproc)
{
    ac_result_t result = AC_RESULT_OK;

    ac_inproc_refuse(&result, AC_FAULT_TIMEOUT, TOO_SLOW,
                     "it did not start within AppCoreStartupTimeLimit (%d s)",
                     (int)inproc->set->startup_time_limit.v);
    publish(inproc, &result, NULL);
    if (!ac_handler_is_on(inproc->set, AC_HANDLER_NO_RECYCLE, 0)) {
        ac_inproc_lost(inproc);
        ac_leave_begin(0);
    }
}

apr_time_t ac_inproc_check_limits(apr_time_t now)
{
    apr_time_t next = 0;
    int i;

    for (i = 0; i < ac_inproc_count(); i++) {
        ac_inproc_t *inproc = ac_inproc_at(i);
        apr_time_t due;

        if (!inproc || atomic_load(&inproc->state) != AC_INPROC_STARTING) {
            continue;
        }
        due = inproc->begun + apr_time_from_sec(inproc->set->startup_time_limit.v);
        if (now < due) {
            next = ac_clock_earlier(next, due);
        }
        else if (claim(inproc)) {
            give_up(inproc);
        }
    }
    return next;
}
