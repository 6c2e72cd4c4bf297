/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/outcome.h"

#include "http_log.h"
#include "base/clock.h"
#include "inproc/leave.h"
#include "inproc/load.h"
#include "inproc/output.h"
#include "inproc/warm.h"
#include "spec/handler.h"

APLOG_USE_MODULE(appcore);

/* ANCM's sub-status of 500. */
#define TOO_SLOW 37

int ac_outcome_claim(ac_inproc_t *inproc)
{
    int is_first;

    pthread_mutex_lock(&inproc->mutex);
    is_first = !inproc->concluded;
    inproc->concluded = 1;
    pthread_cond_broadcast(&inproc->changed);
    pthread_mutex_unlock(&inproc->mutex);
    return is_first;
}

void ac_outcome_settle(ac_inproc_t *inproc, ac_inproc_state_e state)
{
    if (ac_outcome_claim(inproc)) {
        ac_inproc_become(inproc, state);
    }
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

void ac_outcome_fail(ac_inproc_t *inproc, const ac_result_t *result,
                     const char *evidence)
{
    if (ac_outcome_claim(inproc)) {
        publish(inproc, result, evidence);
    }
}

void ac_outcome_give_up(ac_inproc_t *inproc, const ac_result_t *result)
{
    if (!ac_outcome_claim(inproc)) {
        return;
    }
    publish(inproc, result, NULL);
    if (!ac_handler_is_on(inproc->set, AC_HANDLER_NO_RECYCLE, 0)) {
        ac_inproc_lost(inproc);
        ac_leave_begin(0);
    }
}

static void too_slow(ac_inproc_t *inproc)
{
    ac_result_t result = AC_RESULT_OK;
    const char *page = ac_inproc_warm_stop(inproc);

    ac_inproc_hung(inproc);
    if (page) {
        ac_inproc_refuse(&result, AC_FAULT_TIMEOUT, TOO_SLOW, "the warm-up request for "
                         "%.200s (AppCoreWarmUpPath) was not answered within "
                         "AppCoreStartupTimeLimit (%d s)", page,
                         (int)inproc->set->startup_time_limit.v);
    }
    else {
        ac_inproc_refuse(&result, AC_FAULT_TIMEOUT, TOO_SLOW,
                         "it did not start within AppCoreStartupTimeLimit (%d s)",
                         (int)inproc->set->startup_time_limit.v);
    }
    ac_outcome_give_up(inproc, &result);
}

apr_time_t ac_outcome_check_limits(apr_time_t now)
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
        else {
            too_slow(inproc);
        }
    }
    return next;
}
