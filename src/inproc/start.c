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
#include "inproc/load.h"
#include "inproc/outcome.h"
#include "inproc/output.h"
#include "inproc/thread.h"
#include "inproc/warm.h"
#include "inproc/watch.h"
#include "shared/target.h"
#include "spec/handler.h"
#include "spec/look.h"

APLOG_USE_MODULE(appcore);

/* Runtimes need more than the default of some systems, whatever ThreadStackSize. */
#define STACK_SIZE (8 * 1024 * 1024)
/* ANCM's sub-statuses of 500. */
#define START_FAILED 30
#define SUBSTATUS_MAX 38

static struct {
    pthread_mutex_t mutex;
    ac_plan_child_t is;
} child = { .mutex = PTHREAD_MUTEX_INITIALIZER };

void ac_inproc_start_init(int is_threaded)
{
    child.is.is_threaded = is_threaded;
    child.is.dotnet_root = ac_conf_dotnet_root();
}

static void look(ac_inproc_t *inproc)
{
    const ac_spec_t *spec = inproc->mount->spec;
    ac_look_request_t req = {
        .folder = spec->folder, .prefix = spec->prefix, .name = spec->name,
        .set = spec->set, .companions = spec->companions,
        .inside = AC_LOOK_TO_START
    };

    inproc->launch = ac_look_watched(&req, ac_watch_fd(), inproc->p);
    inproc->launch->home = ac_inproc_home(inproc);
    inproc->set = ac_launch_settings(spec, inproc->launch, inproc->p);
    inproc->max_body = inproc->launch->max_content_length;
    ac_log_target_choose(&inproc->log, spec, inproc->set, inproc->p);
}

/* The app's environment, from that of the process, and with it arguments, of which
 * even the name of what is loaded may hold %VAR%. */
static void expand(ac_inproc_t *inproc)
{
    const ac_spec_t *spec = inproc->mount->spec;
    const ac_instance_t inst = {
        .is_logged = inproc->log.mode == AC_LOG_ERRORLOG, .prefix = spec->prefix
    };
    const char **argv;

    inproc->env = ac_launch_env(spec, inproc->launch, &inst, (const char *const *)environ,
                                inproc->p);
    argv = ac_launch_argv(inproc->launch, &inst, inproc->env, inproc->p);
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

/* An app may say so on a thread of its own, and before init() has returned. */
void ac_inproc_started(ac_inproc_t *inproc, const appcore_failure *failure)
{
    pthread_mutex_lock(&inproc->mutex);
    if (!inproc->told) {
        note(inproc, failure != NULL, failure);
        pthread_cond_broadcast(&inproc->changed);
    }
    pthread_mutex_unlock(&inproc->mutex);
}

static void call_init(ac_inproc_t *inproc)
{
    appcore_failure failure = { .size = sizeof(failure) };
    int rv = APPCORE_OK;

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
    pthread_mutex_unlock(&inproc->mutex);
}

/* 1 once the app has said how it went; 0 if nobody wants to know any more. */
static int await_word(ac_inproc_t *inproc)
{
    int goes_on;

    pthread_mutex_lock(&inproc->mutex);
    while (!inproc->told && !inproc->concluded) {
        pthread_cond_wait(&inproc->changed, &inproc->mutex);
    }
    goes_on = !inproc->concluded;
    pthread_mutex_unlock(&inproc->mutex);
    return goes_on;
}

/* Once where nobody asked for more: the usual LogLevel has notices, and children come
 * and go. */
static void say_runs(const ac_inproc_t *inproc)
{
    int level = ac_inproc_says(inproc, AC_SAYS_RUNS) ? APLOG_NOTICE : APLOG_INFO;

    ap_log_error(APLOG_MARK, level, 0, inproc->server, "app %s runs in process, from %s, "
                 "ready after %" APR_TIME_T_FMT " ms", inproc->mount->spec->name,
                 inproc->plan.file, apr_time_as_msec(ac_clock_now() - inproc->begun));
}

static void conclude(ac_inproc_t *inproc)
{
    if (inproc->failed) {
        ac_outcome_fail(inproc, &inproc->result,
                        *inproc->evidence ? inproc->evidence : NULL);
        return;
    }
    if (!ac_inproc_warm_up(inproc) || !ac_outcome_claim(inproc)) {
        return;
    }
    say_runs(inproc);
    ac_inproc_become(inproc, AC_INPROC_READY);
}

/* .NET reads its own and the app's settings from the environment of its process.
 * The only .NET app of this child, and before the MPM has made its threads; a start
 * that comes later than that is the look's fault, on a disk that hangs. */
static void set_environment(ac_inproc_t *inproc)
{
    const char **var;

    pthread_mutex_lock(&child.mutex);
    for (var = inproc->env; *var; var++) {
        const char *sign = strchr(*var, '=');

        if (sign && sign != *var) {
            setenv(apr_pstrmemdup(inproc->p, *var, (apr_size_t)(sign - *var)), sign + 1,
                   1);
        }
    }
    /* The folder that httpd runs in has none of the app's content. */
    if (!ac_handler_is_on(inproc->set, AC_HANDLER_CHDIR, 1)) {
        setenv("ASPNETCORE_CONTENTROOT", inproc->launch->folder, 0);
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
        ac_outcome_fail(inproc, &result, NULL);
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
    if (await_word(inproc)) {
        conclude(inproc);
    }
}

static void leave_outside(ac_inproc_t *inproc)
{
    if (inproc->plan.why && ac_inproc_says(inproc, AC_SAYS_OUTSIDE)) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, inproc->server, "app %s is hosted out "
                     "of process, although AppCoreHostingModel says InProcess: %s",
                     inproc->mount->spec->name, inproc->plan.why);
    }
    ac_outcome_settle(inproc, AC_INPROC_OUTSIDE);
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
        ac_outcome_settle(inproc, AC_INPROC_OUTSIDE);
        return;
    }
    ac_inproc_refuse(&result, AC_FAULT_BREAKER, 0, "%s", why);
    result.http_status = 503;
    ac_outcome_fail(inproc, &result, NULL);
}

/* The output of the child is that of the first of its apps, in the order of the
 * configuration, unless that lives elsewhere. One that is offline says so when it comes
 * back. */
static void aim_output(ac_inproc_t *inproc)
{
    ac_log_target_t elsewhere = { .mode = AC_LOG_ERRORLOG };

    if (!inproc->speaks || inproc->plan.decision == AC_PLAN_OFFLINE) {
        return;
    }
    elsewhere.log_level = inproc->log.log_level;
    elsewhere.plain_level = inproc->log.plain_level;
    ac_output_aim(inproc->plan.decision == AC_PLAN_OUTSIDE ? &elsewhere : &inproc->log,
                  inproc->mount->spec->folder);
}

static void *start(void *data)
{
    ac_inproc_t *inproc = data;

    look(inproc);
    decide(inproc);
    aim_output(inproc);
    ac_watch_remember(inproc);
    switch (inproc->plan.decision) {
    case AC_PLAN_FAILED:
        ac_outcome_fail(inproc, &inproc->plan.result, NULL);
        break;
    case AC_PLAN_OFFLINE:
        inproc->page = inproc->launch->survey.page;
        inproc->page_len = inproc->launch->survey.page_len;
        ac_outcome_settle(inproc, AC_INPROC_OFFLINE);
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
    int rv;

    if (inproc->has_starter) {
        /* Of a start that is over. */
        pthread_join(inproc->starter, NULL);
    }
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    rv = pthread_create(&inproc->starter, &attr, start, inproc);
    inproc->has_starter = rv == 0;
    pthread_attr_destroy(&attr);
    return rv;
}

int ac_inproc_end_start(ac_inproc_t *inproc, apr_time_t until)
{
    apr_interval_time_t left = until - ac_clock_now();

    ac_outcome_claim(inproc);
    ac_inproc_warm_stop(inproc);
    if (inproc->has_starter) {
        inproc->has_starter = !ac_thread_join(inproc->starter, left);
    }
    return !inproc->has_starter;
}
