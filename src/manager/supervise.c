/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* A process, from the wish for it to its end:
 *
 *   state    event                  next     actions
 *   -------  ---------------------  -------  ---------------------------------
 *   QUEUED   permit                 LISTEN   listen
 *   LISTEN   listening              EXEC     spawn
 *            fault, no answer       -        report, forget
 *   EXEC     executed               START    probe
 *            fault                  -        report, forget
 *            no answer              -        report, SIGKILL, forget
 *   START    ready                  READY    publish; the slot's old one: DRAIN
 *            failed, start-up limit TERM     report, SIGTERM
 *            exited                 DEAD     report, SIGKILL to its group
 *   READY    replaced, surplus      DRAIN    publish
 *            deaf                   DRAIN    report, publish
 *            exited (any status)    DEAD     report, publish, SIGKILL to its group
 *   DRAIN    drained, limit         TERM     SIGTERM
 *            exited                 -        forget
 *   TERM     limit                  KILL     SIGKILL to the group
 *            exited                 -        forget
 *   KILL     exited                 -        forget
 *   DEAD     successor listens      -        forget (its listener moved on)
 *            none will come         -        forget
 *
 * What is left of the group of a process that ended as it was told is ended by
 * the keeper, which holds the group's number until then.
 *
 * An app, as the board shows it; settle.c computes this after every event:
 *
 *   RUNNING   a slot is READY
 *   STARTING  a process is on its way, or a report is being written
 *   BACKOFF   a start failed; the next one, if wanted, at retry_at
 *   REFUSED   the folder or its configuration is wrong; looked at again when a
 *             request comes after retry_at
 *   BROKEN    the breaker is open; after retry_at one probe start at a time
 *   OFFLINE   its folder has an app_offline.htm; nothing starts, what ran drains
 *   IDLE      none of these: the next request starts it
 *
 * The folder, seen by looks that hints of it ask for (settle.c):
 *
 *   app_offline.htm is there    OFFLINE; pauses and failures are forgotten
 *   it went                     IDLE: the next request, or AlwaysRunning, starts it
 *   marks differ from those a   it is stale, as after a reload that changed the app:
 *   process was started under   replaced, new before old; pauses are forgotten
 *   the look fails              what runs under unchanged marks goes on
 *
 * Failures are shown once their report is on disk and nothing else is on its
 * way, so that a waiting request fails only when waiting became pointless. */

#include "manager/fleet.h"

#include <signal.h>
#include <string.h>

/* A process that was ready for so long, or got requests for the shorter time,
 * counts as stable: its end starts a new row of failures. */
#define STABLE_TIME apr_time_from_sec(10)
#define STABLE_SERVED_TIME apr_time_from_sec(1)

static void detach(ac_sup_proc_t *proc)
{
    ac_sup_slot_t *slot = &proc->app->slots[proc->is.slot];

    if (slot->current == proc) {
        slot->current = NULL;
    }
    if (slot->next == proc) {
        slot->next = NULL;
    }
    if (slot->heirloom == proc) {
        slot->heirloom = NULL;
    }
    proc->app->changed = 1;
}

static void set_limit(ac_sup_proc_t *proc, apr_interval_time_t after)
{
    proc->is.limit = proc->app->sup->now + after;
    proc->due = proc->is.limit;
}

static void emit(ac_sup_proc_t *proc, ac_act_e what)
{
    ac_fleet_emit(proc->app->sup, what, NULL, proc);
}

static void send_signal(ac_sup_proc_t *proc, int number, int group)
{
    ac_sup_action_t *act = ac_fleet_emit(proc->app->sup, AC_ACT_SIGNAL, NULL, proc);

    act->signal = number;
    act->group = group;
}

void ac_sup_say(ac_sup_app_t *app, ac_sup_proc_t *proc, ac_say_e what,
                apr_interval_time_t delay)
{
    ac_sup_action_t *act = ac_fleet_emit(app->sup, AC_ACT_SAY, app, proc);

    act->say = what;
    act->delay = delay;
}

void ac_sup_bury(ac_sup_proc_t *proc)
{
    ac_proc_state_e state = proc->is.state;

    detach(proc);
    ac_fleet_enter(proc, AC_PROC_DEAD);
    if (state == AC_PROC_START) {
        emit(proc, AC_ACT_QUIET);
    }
    if (state != AC_PROC_QUEUED) {
        emit(proc, AC_ACT_FORGET);
    }
    emit(proc, AC_ACT_FREE);
    ac_fleet_drop_proc(proc);
}

static void kill_proc(ac_sup_proc_t *proc)
{
    ac_fleet_enter(proc, AC_PROC_KILL);
    send_signal(proc, SIGKILL, 1);
}

static void terminate(ac_sup_proc_t *proc)
{
    ac_proc_state_e state = proc->is.state;

    detach(proc);
    if (state == AC_PROC_START) {
        emit(proc, AC_ACT_QUIET);
    }
    ac_fleet_enter(proc, AC_PROC_TERM);
    send_signal(proc, SIGTERM, 0);
    set_limit(proc, proc->app->conf.shutdown_limit);
    emit(proc, AC_ACT_NOTE);
    if (proc->app->conf.shutdown_limit == 0) {
        kill_proc(proc);
    }
}

static void drain(ac_sup_proc_t *proc)
{
    detach(proc);
    ac_fleet_enter(proc, AC_PROC_DRAIN);
    set_limit(proc, proc->app->conf.shutdown_limit);
    /* A child may have chosen this process just before the board changed: the
     * first count is trusted only a step later. */
    proc->due = proc->app->sup->now + AC_SUP_DRAIN_STEP;
    ac_sup_say(proc->app, proc, AC_SAY_DRAIN, 0);
    emit(proc, AC_ACT_NOTE);
}

void ac_sup_end_proc(ac_sup_proc_t *proc, int gently)
{
    switch (proc->is.state) {
    case AC_PROC_QUEUED:
    case AC_PROC_LISTEN:
        ac_sup_bury(proc);
        break;
    case AC_PROC_EXEC:
    case AC_PROC_START:
        terminate(proc);
        break;
    case AC_PROC_READY:
        if (gently) {
            drain(proc);
            break;
        }
        terminate(proc);
        break;
    case AC_PROC_DRAIN:
        if (!gently) {
            terminate(proc);
        }
        break;
    case AC_PROC_TERM:
    case AC_PROC_KILL:
    case AC_PROC_DEAD:
        break;
    }
}

/* Failures ------------------------------------------------------------- */

static int is_refusal(ac_fault_e fault)
{
    return fault == AC_FAULT_CONFIG || fault == AC_FAULT_WEB_CONFIG
           || fault == AC_FAULT_ACCESS_RULES || fault == AC_FAULT_IDENTITY;
}

static void pause_app(ac_sup_app_t *app, ac_fault_e fault)
{
    uint32_t random = ac_fleet_random(app->sup);
    unsigned was_open = app->breaker.open;
    apr_interval_time_t delay;

    if (is_refusal(fault)) {
        delay = ac_breaker_refuse(&app->breaker, app->conf.always_running, random);
        app->pause = AC_PAUSE_REFUSED;
    }
    else {
        delay = ac_breaker_fail(&app->breaker, app->conf.rapid_fails, app->sup->now,
                                random);
        app->pause = app->breaker.open ? AC_PAUSE_BROKEN : AC_PAUSE_BACKOFF;
    }
    if (delay == 0) {
        app->pause = AC_PAUSE_NONE;
    }
    app->retry_at = app->sup->now + delay;
    if ((app->pause == AC_PAUSE_BROKEN || app->pause == AC_PAUSE_REFUSED)
        && ac_fleet_ready(app) == 0) {
        app->keep = 0;
    }
    if (app->breaker.open && !was_open) {
        ac_sup_say(app, NULL, AC_SAY_BREAKER_OPEN, delay);
    }
    else if (delay > 0) {
        ac_sup_say(app, NULL, AC_SAY_NEXT_START, delay);
    }
}

static void forget_look(ac_sup_app_t *app)
{
    if (app->look == AC_LOOK_KNOWN) {
        app->look = AC_LOOK_NONE;
    }
}

/* Is waiting in vain? Where a process had worked, the next start will show; and an
 * app that ran until now may fail to start once for a reason that passes, such as
 * another kill in the middle of it. */
static int is_hopeless(ac_sup_app_t *app, ac_fault_e fault)
{
    if (fault == AC_FAULT_CRASHED || fault == AC_FAULT_DEAF) {
        return 0;
    }
    return ++app->failed_starts > 1 || !app->keep || is_refusal(fault);
}

static void count_failure(ac_sup_app_t *app, ac_sup_proc_t *proc, const ac_result_t *res)
{
    ac_fleet_emit(app->sup, AC_ACT_REPORT, app, proc);
    ac_fleet_attach(app->sup, res);
    ++app->reports;
    app->http_status = (uint16_t)res->http_status;
    app->substatus = (uint16_t)res->substatus;
    if (is_hopeless(app, res->fault)) {
        ++app->failures;
        app->wanted = 0;
    }
    /* The folder may change before the next start, so it is looked at again. */
    forget_look(app);
    pause_app(app, res->fault);
}

void ac_sup_refuse(ac_sup_app_t *app, const ac_result_t *res)
{
    count_failure(app, NULL, res);
}

void ac_sup_reported(ac_sup_app_t *app)
{
    if (app->reports) {
        --app->reports;
    }
    ac_settle(app);
}

/* Answers about a process ----------------------------------------------- */

void ac_sup_listening(ac_sup_proc_t *proc, const ac_result_t *res, int listener)
{
    ac_sup_app_t *app = proc->app;
    ac_sup_proc_t *heirloom = app->slots[proc->is.slot].heirloom;

    if (proc->is.state != AC_PROC_LISTEN) {
        return;
    }
    if (heirloom) {
        ac_sup_bury(heirloom);
    }
    if (res->fault != AC_FAULT_NONE) {
        count_failure(app, proc, res);
        ac_sup_bury(proc);
    }
    else {
        proc->is.listener = listener != 0;
        ac_fleet_enter(proc, AC_PROC_EXEC);
        proc->due = app->sup->now + AC_SUP_ANSWER_LIMIT;
        emit(proc, AC_ACT_SPAWN);
    }
    ac_settle(app);
}

void ac_sup_executed(ac_sup_proc_t *proc, const ac_result_t *res)
{
    ac_sup_app_t *app = proc->app;

    if (res->fault != AC_FAULT_NONE) {
        /* An adopted one may be thought to run already. */
        if (proc->is.state == AC_PROC_EXEC || proc->is.state == AC_PROC_START) {
            count_failure(app, proc, res);
        }
        ac_sup_bury(proc);
    }
    else if (proc->is.state == AC_PROC_EXEC) {
        ac_fleet_enter(proc, AC_PROC_START);
        set_limit(proc, app->conf.startup_limit);
        emit(proc, AC_ACT_PROBE);
        emit(proc, AC_ACT_NOTE);
    }
    ac_settle(app);
}

void ac_sup_ready(ac_sup_proc_t *proc)
{
    ac_sup_app_t *app = proc->app;
    ac_sup_slot_t *slot = &app->slots[proc->is.slot];
    ac_sup_proc_t *old = slot->current;

    if (proc->is.state != AC_PROC_START) {
        return;
    }
    emit(proc, AC_ACT_QUIET);
    ac_fleet_enter(proc, AC_PROC_READY);
    slot->next = NULL;
    slot->current = proc;
    app->keep = 1;
    app->wanted = 0;
    app->failed_starts = 0;
    app->pause = AC_PAUSE_NONE;
    if (ac_breaker_succeed(&app->breaker)) {
        ac_sup_say(app, NULL, AC_SAY_BREAKER_CLOSED, 0);
    }
    emit(proc, AC_ACT_NOTE);
    if (old) {
        drain(old);
    }
    ac_settle(app);
}

void ac_sup_failed(ac_sup_proc_t *proc, const ac_result_t *res)
{
    if (proc->is.state == AC_PROC_START) {
        count_failure(proc->app, proc, res);
        terminate(proc);
        ac_settle(proc->app);
    }
}

void ac_sup_drained(ac_sup_proc_t *proc)
{
    if (proc->is.state == AC_PROC_DRAIN) {
        terminate(proc);
        ac_settle(proc->app);
    }
}

static int was_stable(const ac_sup_proc_t *proc, int served)
{
    apr_interval_time_t lasted = proc->app->sup->now - proc->is.since;

    return lasted >= (served ? STABLE_SERVED_TIME : STABLE_TIME);
}

/* It may still be busy with requests that it took before, so it is not ended at
 * once. Its listener is of no use to a successor. */
void ac_sup_deaf(ac_sup_proc_t *proc, const ac_result_t *res, int served)
{
    if (proc->is.state != AC_PROC_READY) {
        return;
    }
    if (was_stable(proc, served)) {
        ac_breaker_stable(&proc->app->breaker);
    }
    drain(proc);
    count_failure(proc->app, proc, res);
    ac_settle(proc->app);
}

/* The leader ended by itself: nobody is left to guide the others, and they must
 * not accept from a socket that a successor inherits, so they go at once. The
 * listener is kept for that successor. */
static void lay_out(ac_sup_proc_t *proc)
{
    ac_sup_slot_t *slot = &proc->app->slots[proc->is.slot];

    send_signal(proc, SIGKILL, 1);
    if (proc->is.listener && !slot->current && !slot->next) {
        if (slot->heirloom) {
            ac_sup_bury(slot->heirloom);
        }
        slot->heirloom = proc;
    }
    else {
        ac_sup_bury(proc);
    }
}

void ac_sup_exited(ac_sup_proc_t *proc, const ac_result_t *res, int served)
{
    ac_sup_app_t *app = proc->app;
    ac_proc_state_e was = proc->is.state;
    int failed = was <= AC_PROC_READY;

    if (was == AC_PROC_DEAD) {
        return;
    }
    if (was == AC_PROC_START) {
        emit(proc, AC_ACT_QUIET);
    }
    if (was == AC_PROC_READY && was_stable(proc, served)) {
        ac_breaker_stable(&app->breaker);
    }
    detach(proc);
    ac_fleet_enter(proc, AC_PROC_DEAD);
    if (failed) {
        count_failure(app, proc, res);
        lay_out(proc);
    }
    else {
        ac_sup_bury(proc);
    }
    ac_settle(app);
}

/* Time -------------------------------------------------------------------- */

static void start_limit(ac_sup_proc_t *proc)
{
    ac_result_t res = AC_RESULT_OK;
    long seconds = (long)apr_time_sec(proc->app->conf.startup_limit);

    ac_result_set(&res, APR_TIMEUP, AC_STAGE_READY, AC_FAULT_TIMEOUT,
                  "the app did not accept connections within %ld second%s"
                  " (AppCoreStartupTimeLimit)", seconds, seconds == 1 ? "" : "s");
    ac_sup_failed(proc, &res);
}

/* Nobody knows whether there is a process: if so, it goes. */
static void no_answer(ac_sup_proc_t *proc)
{
    ac_result_t res = AC_RESULT_OK;

    ac_result_set(&res, APR_TIMEUP, AC_STAGE_EXEC, AC_FAULT_INTERNAL,
                  "the process that starts apps did not answer");
    count_failure(proc->app, proc, &res);
    send_signal(proc, SIGKILL, 1);
    ac_sup_bury(proc);
}

static void no_look(ac_sup_app_t *app)
{
    ac_result_t res = AC_RESULT_OK;

    ac_result_set(&res, APR_TIMEUP, AC_STAGE_LOOK, AC_FAULT_INTERNAL,
                  "looking at the app's folder did not end");
    ac_sup_looked(app, &res, NULL);
}

static void drain_step(ac_sup_proc_t *proc)
{
    apr_time_t now = proc->app->sup->now;

    if (now >= proc->is.limit) {
        ac_sup_say(proc->app, proc, AC_SAY_DRAIN_LIMIT, 0);
        terminate(proc);
        return;
    }
    proc->due = now + AC_SUP_DRAIN_STEP;
    if (proc->due > proc->is.limit) {
        proc->due = proc->is.limit;
    }
    emit(proc, AC_ACT_COUNT);
}

static void run_timer(ac_sup_proc_t *proc)
{
    switch (proc->is.state) {
    case AC_PROC_LISTEN:
    case AC_PROC_EXEC:
        no_answer(proc);
        break;
    case AC_PROC_START:
        start_limit(proc);
        break;
    case AC_PROC_DRAIN:
        drain_step(proc);
        break;
    case AC_PROC_TERM:
        ac_sup_say(proc->app, proc, AC_SAY_KILL, 0);
        kill_proc(proc);
        break;
    default:
        proc->due = 0;
        break;
    }
}

static int run_timers(ac_sup_app_t *app)
{
    ac_sup_proc_t *proc, *next;
    apr_time_t now = app->sup->now;
    int ran = 0;

    for (proc = app->procs; proc; proc = next) {
        next = proc->next;
        if (proc->due && proc->due <= now) {
            run_timer(proc);
            ran = 1;
        }
    }
    if (app->pause && app->retry_at <= now) {
        app->pause = AC_PAUSE_NONE;
        ran = 1;
    }
    if (app->look == AC_LOOK_ASKED && app->look_limit <= now) {
        no_look(app);
        ran = 1;
    }
    return ac_crowd_tick(app) || ran;
}

void ac_sup_tick(ac_sup_t *sup, apr_time_t now)
{
    ac_sup_app_t *app, *next;

    sup->now = now;
    for (app = sup->apps; app; app = next) {
        next = app->next;
        if (run_timers(app)) {
            ac_settle(app);
        }
    }
}

static apr_time_t sooner(apr_time_t a, apr_time_t b)
{
    return a && (a < b || !b) ? a : b;
}

apr_time_t ac_sup_due(const ac_sup_t *sup)
{
    const ac_sup_app_t *app;
    const ac_sup_proc_t *proc;
    apr_time_t due = 0;

    for (app = sup->apps; app; app = app->next) {
        due = app->pause ? sooner(app->retry_at, due) : due;
        due = app->look == AC_LOOK_ASKED ? sooner(app->look_limit, due) : due;
        due = sooner(app->measure_at, due);
        for (proc = app->procs; proc; proc = proc->next) {
            due = sooner(proc->due, due);
        }
    }
    return due;
}
