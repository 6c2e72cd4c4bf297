/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Ends and failures of processes, for the log and for the error page. A report
 * waits a moment for what the relay kept of the output, is written, and only
 * then may the board show the failure. */

#include "manager/loop.h"

#include <string.h>
#include <sys/wait.h>
#include <apr_strings.h>

#include "manager/diagnose.h"

/* The relay answers in microseconds; if it is stuck, so is the log, and the page
 * goes without output. */
#define CAPTURE_WAIT apr_time_from_msec(200)

struct ac_job_t {
    ac_job_t *next;
    ac_home_t *home;
    apr_pool_t *p;
    uint64_t tag;               /* whose output is waited for */
    apr_time_t due;
    ac_report_t report;
};

static const char *copy(apr_pool_t *p, const char *text)
{
    return text && *text ? apr_pstrdup(p, text) : NULL;
}

/* What ANCM adds to its page for hosters. */
static const char *error_link(const ac_home_t *home, apr_pool_t *p)
{
    const ac_settings_t *set = home->set ? home->set
                               : home->spec ? home->spec->set : NULL;
    const ac_env_var_t *var;

    var = set ? ac_settings_env(set, "ANCM_ADDITIONAL_ERROR_PAGE_LINK") : NULL;
    return var && !var->secret ? copy(p, var->value) : NULL;
}

static void describe_launch(ac_report_t *report, const ac_home_t *home, apr_pool_t *p)
{
    const ac_launch_t *launch = home->launch;
    int i;

    report->notices = apr_array_make(p, 4, sizeof(const char *));
    report->kind = home->facts.kind;
    report->link = error_link(home, p);
    if (!launch) {
        return;
    }
    report->found = copy(p, launch->found);
    report->folder = copy(p, launch->folder);
    report->user = copy(p, launch->user);
    for (i = 0; launch->notices && i < launch->notices->nelts; ++i) {
        APR_ARRAY_PUSH(report->notices, const char *)
            = copy(p, APR_ARRAY_IDX(launch->notices, i, const char *));
    }
}

static void describe_run(ac_report_t *report, const ac_run_t *run, apr_pool_t *p)
{
    report->pid = run->pid;
    report->slot = run->proc->is.slot;
    report->generation = run->proc->is.generation;
    report->wait_status = run->wait_status;
    report->command = copy(p, run->command);
    report->lasted = run->started ? run->m->now - run->started : 0;
    report->found = run->found ? copy(p, run->found) : report->found;
    report->folder = run->folder ? copy(p, run->folder) : report->folder;
    report->user = run->user ? copy(p, run->user) : report->user;
    if (run->status[0]) {
        APR_ARRAY_PUSH(report->notices, const char *)
            = apr_pstrcat(p, "the app's last status: ", run->status, NULL);
    }
}

/* That a process crashed or turned deaf was said when that was found. */
static void log_failure(const ac_job_t *job)
{
    const ac_report_t *report = &job->report;
    const char *hint = report->hint ? report->hint : "";
    const char *evidence = report->evidence
        ? apr_pstrcat(job->p, " [", report->evidence, "]", NULL) : "";
    apr_size_t len = strlen(report->result.detail);
    int dot = len > 0 && report->result.detail[len - 1] == '.';

    if (report->result.fault != AC_FAULT_CRASHED
        && report->result.fault != AC_FAULT_DEAF) {
        ac_talk_line(job->home->m, job->home, AC_LEVEL_ERR,
                     "did not start; it came as far as %s: %s%s%s%s",
                     ac_stage_text(report->result.stage), report->result.detail,
                     !*hint ? "" : dot ? " " : ". ", hint, evidence);
    }
    else if (*hint) {
        ac_talk_line(job->home->m, job->home, AC_LEVEL_NOTICE, "process %u: %s%s",
                     report->pid, hint, evidence);
    }
}

static void finish(ac_job_t *job)
{
    ac_manager_t *m = job->home->m;
    ac_job_t **at = &m->jobs;
    ac_sup_app_t *app = job->home->app;
    apr_status_t rv;

    while (*at != job) {
        at = &(*at)->next;
    }
    *at = job->next;
    ac_diagnose(&job->report, job->p);
    log_failure(job);
    rv = ac_report_write(m->table->globals.runtime_dir, app->id, &job->report, job->p);
    if (rv != APR_SUCCESS) {
        char reason[120];

        ac_talk_line(m, job->home, AC_LEVEL_WARNING,
                     "its failure report could not be written: %s",
                     apr_strerror(rv, reason, sizeof(reason)));
    }
    apr_pool_destroy(job->p);
    ac_sup_reported(app);
}

void ac_failure_report(ac_home_t *home, ac_run_t *run, const ac_result_t *res)
{
    ac_manager_t *m = home->m;
    ac_wire_writer_t w;
    apr_pool_t *p;
    ac_job_t *job;

    apr_pool_create(&p, m->p);
    job = apr_pcalloc(p, sizeof(*job));
    job->p = p;
    job->home = home;
    job->report.result = *res;
    job->report.when = apr_time_now();
    job->report.wait_status = -1;
    describe_launch(&job->report, home, p);
    if (home->spec && !job->report.folder) {
        job->report.folder = copy(p, home->spec->folder);
    }
    if (run) {
        describe_run(&job->report, run, p);
    }
    job->next = m->jobs;
    m->jobs = job;
    if (!run || !run->pid || m->relay.fd < 0) {
        finish(job);
        return;
    }
    job->tag = run->proc->is.tag;
    job->due = m->now + CAPTURE_WAIT;
    ac_talk_begin(m, &w, AC_MSG_CAPTURE, job->tag);
    ac_talk_relay(m, &w);
}

void ac_failure_captured(ac_manager_t *m, uint64_t tag, const char *data, apr_size_t len)
{
    ac_job_t *job = m->jobs;

    while (job && job->tag != tag) {
        job = job->next;
    }
    if (job) {
        apr_size_t i;
        char *output = apr_pstrmemdup(job->p, data ? data : "", len);

        for (i = 0; i < len; ++i) {
            output[i] = output[i] ? output[i] : ' ';
        }
        job->report.output = output;
        finish(job);
    }
}

void ac_failure_tick(ac_manager_t *m)
{
    ac_job_t *job = m->jobs, *next;

    for (; job; job = next) {
        next = job->next;
        if (job->due <= m->now) {
            finish(job);
        }
    }
}

apr_time_t ac_failure_due(const ac_manager_t *m)
{
    const ac_job_t *job;
    apr_time_t due = 0;

    for (job = m->jobs; job; job = job->next) {
        due = !due || job->due < due ? job->due : due;
    }
    return due;
}

/* "with exit code 3", "by signal 9 (Killed)" */
static const char *how_it_ended(int status, apr_pool_t *p)
{
    if (status == AC_WAIT_UNKNOWN) {
        return "in a way that nobody saw";
    }
    if (WIFSIGNALED(status)) {
        return apr_psprintf(p, "by signal %d (%s)%s", WTERMSIG(status),
                            strsignal(WTERMSIG(status)),
                            WCOREDUMP(status) ? ", a core was dumped" : "");
    }
    return apr_psprintf(p, "with exit code %d", WEXITSTATUS(status));
}

static void log_end(const ac_run_t *run, const char *how)
{
    ac_proc_state_e state = run->proc->is.state;
    char span[32];

    ac_talk_span(span, sizeof(span), run->m->now - run->started);
    ac_talk_run(run, state == AC_PROC_READY ? AC_LEVEL_WARNING : AC_LEVEL_NOTICE,
                "ended %s after %s%s", how, span,
                state == AC_PROC_READY ? ", although nobody had stopped it" : "");
}

void ac_failure_exited(ac_run_t *run, int wait_status)
{
    int ready = run->proc->is.state == AC_PROC_READY;
    const char *how = how_it_ended(wait_status, run->m->ptemp);
    ac_result_t res = AC_RESULT_OK;

    run->wait_status = wait_status;
    log_end(run, how);
    ac_result_set(&res, APR_EGENERAL, ready ? AC_STAGE_RUN : AC_STAGE_READY,
                  ready ? AC_FAULT_CRASHED : AC_FAULT_EXITED,
                  ready ? "process %u ended %s" : "process %u ended %s before it accepted"
                  " connections", run->pid, how);
    ac_sup_exited(run->proc, &res,
                  ac_home_total(ac_home_of(run->proc->app)) > run->served);
}
