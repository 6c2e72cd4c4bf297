/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* What an app lacks, computed anew after every event: events only note what
 * happened, so no order of them can leave an app without its next step. Also
 * the events that concern an app as a whole. */

#include "manager/fleet.h"

#include <string.h>

/* The keeper itself ends a look after 10 s. */
#define LOOK_LIMIT apr_time_from_sec(15)

static int is_wanted(const ac_sup_app_t *app)
{
    return app->mode == AC_SUP_CONFIGURED && !app->sup->stopping && !app->offline
           && (app->wanted || app->keep || app->conf.always_running);
}

static int is_stale(const ac_sup_proc_t *proc)
{
    const ac_sup_app_t *app = proc->app;

    return proc->is.leftover || memcmp(proc->is.digest, app->digest, AC_SUP_DIGEST) != 0
           || ac_marks_changed(&proc->is.marks, &app->marks, app->conf.keep_config);
}

static int is_occupied(const ac_sup_app_t *app, unsigned slot)
{
    const ac_sup_proc_t *proc;

    for (proc = app->procs; proc; proc = proc->next) {
        if (proc->is.slot == slot && proc->is.state != AC_PROC_DEAD) {
            return 1;
        }
    }
    return 0;
}

static int lacks_process(const ac_sup_app_t *app, unsigned i)
{
    const ac_sup_slot_t *slot = &app->slots[i];

    if (slot->next || (slot->current && (app->moving || !is_stale(slot->current)))) {
        return 0;
    }
    return !app->conf.alone || !is_occupied(app, i);
}

/* Every slot that is wanted has its new process. */
static int is_replaced(const ac_sup_app_t *app)
{
    unsigned i;

    for (i = 0; i < app->target && i < app->n_slots; ++i) {
        if (!app->slots[i].current || is_stale(app->slots[i].current)) {
            return 0;
        }
    }
    return 1;
}

static unsigned count_lacking(const ac_sup_app_t *app)
{
    unsigned i, n = 0;

    for (i = 0; i < app->target && i < app->n_slots; ++i) {
        n += (unsigned)lacks_process(app, i);
    }
    return n;
}

/* Too many by the new number of a changed configuration serve until those that
 * stay were replaced: it may not start, or with less than is needed. */
static int is_surplus(const ac_sup_app_t *app, const ac_sup_proc_t *proc)
{
    return proc->is.slot >= app->target
           && !(is_stale(proc) && proc->is.state == AC_PROC_READY && !app->conf.alone
                && is_wanted(app) && !is_replaced(app));
}

/* Ends what the configuration does not want any more. */
static void retire(ac_sup_app_t *app)
{
    ac_sup_proc_t *proc, *next;
    int gone = app->mode == AC_SUP_REMOVED || app->sup->stopping || app->offline
               || app->left_behind;

    for (proc = app->procs; proc; proc = next) {
        int surplus = gone || is_surplus(app, proc);

        next = proc->next;
        if (surplus || (is_stale(proc) && ac_fleet_is_starting(proc))) {
            ac_sup_end_proc(proc, !app->sup->stopping);
        }
        else if (app->conf.alone && is_stale(proc)) {
            ac_sup_end_proc(proc, 1);
        }
        else if (app->pause == AC_PAUSE_BROKEN && proc->is.state == AC_PROC_QUEUED) {
            ac_sup_end_proc(proc, 1);
        }
    }
}

static void add_processes(ac_sup_app_t *app)
{
    unsigned i, room = app->target;

    if (app->breaker.open) {
        room = ac_fleet_starting(app) ? 0 : 1;
    }
    for (i = 0; i < app->target && room > 0; ++i) {
        if (lacks_process(app, i)) {
            app->slots[i].next = ac_fleet_add_proc(app, i);
            --room;
        }
    }
}

static void ask(ac_sup_app_t *app)
{
    app->hinted = 0;
    app->look = AC_LOOK_ASKED;
    app->look_limit = app->sup->now + LOOK_LIMIT;
    ac_fleet_emit(app->sup, AC_ACT_LOOK, app, NULL);
}

/* A hint is of interest where somebody waits for its answer or runs what may be
 * out of date; an idle app is looked at when it is started. */
static int hint_matters(const ac_sup_app_t *app)
{
    return app->mode == AC_SUP_CONFIGURED && !app->sup->stopping
           && (is_wanted(app) || app->offline || app->procs || app->pause
               || app->look == AC_LOOK_ASKED);
}

static void follow_hint(ac_sup_app_t *app)
{
    if (!hint_matters(app)) {
        app->hinted = 0;
        app->suspected = 0;
    }
    if (app->hinted && app->look != AC_LOOK_ASKED) {
        ask(app);
    }
}

static void start_missing(ac_sup_app_t *app)
{
    if (app->pause || !is_wanted(app) || count_lacking(app) == 0) {
        return;
    }
    if (app->look == AC_LOOK_KNOWN) {
        add_processes(app);
    }
    else if (app->look == AC_LOOK_NONE) {
        ask(app);
    }
}

/* A launch is needed until the last process of this round was spawned. */
static void drop_look(ac_sup_app_t *app)
{
    int needed = app->look == AC_LOOK_ASKED || ac_fleet_starting(app) > 0
                 || (app->look == AC_LOOK_KNOWN && count_lacking(app) > 0);

    if (app->has_launch && !needed) {
        app->has_launch = 0;
        app->look = AC_LOOK_NONE;
        ac_fleet_emit(app->sup, AC_ACT_UNLOOK, app, NULL);
    }
}

/* A dead process's listener is worth keeping only while a successor comes soon;
 * otherwise whoever connected to it must hear so. */
static void drop_heirlooms(ac_sup_app_t *app)
{
    int soon = is_wanted(app) && app->pause != AC_PAUSE_BROKEN
               && app->pause != AC_PAUSE_REFUSED;
    unsigned i;

    for (i = 0; i < app->n_slots; ++i) {
        ac_sup_proc_t *heirloom = app->slots[i].heirloom;

        if (heirloom && (!soon || is_stale(heirloom) || i >= app->target)) {
            ac_sup_bury(heirloom);
        }
    }
}

static ac_app_state_e paused_state(const ac_sup_app_t *app)
{
    switch (app->pause) {
    case AC_PAUSE_BACKOFF:
        return AC_APP_BACKOFF;
    case AC_PAUSE_REFUSED:
        return AC_APP_REFUSED;
    case AC_PAUSE_BROKEN:
        return AC_APP_BROKEN;
    case AC_PAUSE_NONE:
        break;
    }
    return is_wanted(app) ? AC_APP_STARTING : AC_APP_IDLE;
}

static ac_app_state_e state_of(const ac_sup_app_t *app, int busy)
{
    if (app->sup->stopping) {
        return AC_APP_STOPPING;
    }
    if (app->offline && app->mode == AC_SUP_CONFIGURED) {
        return AC_APP_OFFLINE;
    }
    if (ac_fleet_ready(app) > 0) {
        return AC_APP_RUNNING;
    }
    if (app->mode == AC_SUP_REMOVED) {
        return app->procs ? AC_APP_STOPPING : AC_APP_REMOVED;
    }
    return busy ? AC_APP_STARTING : paused_state(app);
}

static void show(ac_sup_app_t *app)
{
    int busy = app->reports || app->look == AC_LOOK_ASKED || ac_fleet_starting(app) > 0;
    ac_sup_view_t view;

    memset(&view, 0, sizeof(view));
    view.state = state_of(app, busy);
    view.failures = busy ? app->view.failures : app->failures;
    view.http_status = busy ? app->view.http_status : app->http_status;
    view.substatus = busy ? app->view.substatus : app->substatus;
    view.retry_at = app->pause ? app->retry_at : 0;
    if (!app->changed && !memcmp(&view, &app->view, sizeof(view))) {
        return;
    }
    app->view = view;
    app->changed = 0;
    if (!app->publishing) {
        app->publishing = 1;
        ac_fleet_emit(app->sup, AC_ACT_PUBLISH, app, NULL);
    }
}

void ac_settle(ac_sup_app_t *app)
{
    ac_sup_t *sup = app->sup;

    if (app->gone) {
        return;
    }
    retire(app);
    follow_hint(app);
    start_missing(app);
    drop_look(app);
    drop_heirlooms(app);
    show(app);
    if (app->mode == AC_SUP_REMOVED && !app->procs && !app->reports) {
        app->gone = 1;
        ac_fleet_emit(sup, AC_ACT_REMOVE, app, NULL);
        ac_fleet_drop_app(app);
    }
    ac_settle_queue(sup);
}

static ac_sup_proc_t *oldest_queued(const ac_sup_t *sup)
{
    ac_sup_app_t *app;
    ac_sup_proc_t *proc, *oldest = NULL;

    for (app = sup->apps; app; app = app->next) {
        for (proc = app->procs; proc; proc = proc->next) {
            if (proc->is.state == AC_PROC_QUEUED
                && (!oldest || proc->is.tag < oldest->is.tag)) {
                oldest = proc;
            }
        }
    }
    return oldest;
}

void ac_settle_queue(ac_sup_t *sup)
{
    while (sup->queued > 0 && sup->starting < sup->max_spawns) {
        ac_sup_proc_t *proc = oldest_queued(sup);
        ac_sup_proc_t *heirloom = proc->app->slots[proc->is.slot].heirloom;

        ac_fleet_enter(proc, AC_PROC_LISTEN);
        proc->due = sup->now + AC_SUP_ANSWER_LIMIT;
        proc->heir_of = heirloom ? heirloom->is.tag : 0;
        ac_fleet_emit(sup, AC_ACT_LISTEN, NULL, proc);
    }
}

/* Events of an app */

void ac_sup_wake(ac_sup_app_t *app)
{
    if (app->mode != AC_SUP_CONFIGURED || app->offline) {
        return;
    }
    if (ac_fleet_ready(app) > 0) {
        ac_crowd_watch(app);
    }
    else {
        app->wanted = 1;
        ac_settle(app);
    }
}

void ac_sup_hint(ac_sup_app_t *app)
{
    app->hinted = 1;
    ac_settle(app);
}

/* The administrator touched something: a cause of failures may be gone. */
static void forgive(ac_sup_app_t *app)
{
    app->pause = AC_PAUSE_NONE;
    ac_breaker_reset(&app->breaker);
}

void ac_sup_surveyed(ac_sup_app_t *app, const ac_marks_t *marks, int offline)
{
    int changed = ac_marks_changed(&app->marks, marks, 0);

    if (app->look != AC_LOOK_ASKED || app->look_again) {
        return;
    }
    app->marks = *marks;
    if (offline != app->offline) {
        ac_sup_say(app, NULL, offline ? AC_SAY_OFFLINE : AC_SAY_ONLINE, 0);
    }
    if (changed || offline != app->offline) {
        forgive(app);
    }
    app->offline = offline != 0;
    if (offline) {
        app->wanted = 0;
        app->keep = 0;
        app->failed_starts = 0;
    }
}

static void bury_unborn(ac_sup_app_t *app)
{
    ac_sup_proc_t *proc, *next;

    for (proc = app->procs; proc; proc = next) {
        next = proc->next;
        if (proc->is.state == AC_PROC_QUEUED || proc->is.state == AC_PROC_LISTEN) {
            ac_sup_bury(proc);
        }
    }
}

/* What was to be started from the last launch cannot be any more. Otherwise a
 * fault concerns nobody where all that should run does: it goes on. */
static void not_found(ac_sup_app_t *app, const ac_result_t *res)
{
    bury_unborn(app);
    if (is_wanted(app) && count_lacking(app) > 0) {
        ac_sup_refuse(app, res);
    }
}

static void found(ac_sup_app_t *app, const ac_sup_conf_t *conf)
{
    int moves = conf->inside && !app->conf.inside;

    app->conf = *conf;
    if (moves) {
        ac_move_begin(app, app->suspected ? app->suspected : app->sup->now);
    }
    ac_crowd_reset(app);
    if (is_wanted(app) && !app->pause) {
        app->look = AC_LOOK_KNOWN;
    }
}

void ac_sup_looked(ac_sup_app_t *app, const ac_result_t *res, const ac_sup_conf_t *conf)
{
    if (app->look != AC_LOOK_ASKED) {
        return;
    }
    app->look = AC_LOOK_NONE;
    app->has_launch = 1;
    if (app->look_again) {
        app->look_again = 0;
    }
    else if (app->offline) {
        /* Whatever else is in the folder. */
    }
    else if (res->fault != AC_FAULT_NONE) {
        not_found(app, res);
    }
    else {
        found(app, conf);
    }
    if (!app->hinted) {
        app->suspected = 0;
    }
    ac_settle(app);
}

ac_sup_app_t *ac_sup_configure(ac_sup_t *sup, uint64_t id, const unsigned char *digest,
                               const ac_sup_conf_t *conf)
{
    ac_sup_app_t *app = ac_sup_find(sup, id);
    int fresh = !app;

    if (fresh) {
        app = ac_fleet_add_app(sup, id);
    }
    if (fresh || memcmp(app->digest, digest, AC_SUP_DIGEST) != 0) {
        memcpy(app->digest, digest, AC_SUP_DIGEST);
        app->conf = *conf;
        app->offline = 0;
        if (conf->inside) {
            ac_move_begin(app, app->sup->now);
        }
        else {
            app->moving = app->left_behind = 0;
        }
        app->look_again = app->look == AC_LOOK_ASKED;
        if (app->look == AC_LOOK_KNOWN) {
            app->look = AC_LOOK_NONE;
        }
    }
    app->mode = AC_SUP_CONFIGURED;
    app->seen = 1;
    ac_crowd_reset(app);
    forgive(app);
    return app;
}

void ac_sup_config_begin(ac_sup_t *sup)
{
    ac_sup_app_t *app;

    for (app = sup->apps; app; app = app->next) {
        app->seen = 0;
    }
}

static void settle_all(ac_sup_t *sup)
{
    ac_sup_app_t *app, *next;

    for (app = sup->apps; app; app = next) {
        next = app->next;
        ac_settle(app);
    }
}

void ac_sup_config_end(ac_sup_t *sup)
{
    ac_sup_app_t *app;

    for (app = sup->apps; app; app = app->next) {
        if (!app->seen) {
            app->mode = AC_SUP_REMOVED;
            app->look = AC_LOOK_NONE;
            app->look_again = 0;
            app->offline = 0;
            app->wanted = 0;
            app->keep = 0;
        }
    }
    settle_all(sup);
}

void ac_sup_stop(ac_sup_t *sup)
{
    sup->stopping = 1;
    settle_all(sup);
}

int ac_sup_stopped(const ac_sup_t *sup)
{
    const ac_sup_app_t *app;

    for (app = sup->apps; app; app = app->next) {
        if (app->procs || app->reports) {
            return 0;
        }
    }
    return sup->stopping;
}
