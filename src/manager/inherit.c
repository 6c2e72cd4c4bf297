/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* What a manager takes over from the one before, as manager/adopt.c finds it: processes
 * in whatever state they are, and what is remembered of their apps. */

#include "manager/fleet.h"

#include <string.h>

/* For a process whose app is configured no more: AppCoreShutdownTimeLimit's
 * default. */
#define UNKNOWN_SHUTDOWN_LIMIT apr_time_from_sec(10)

static void adopt_ready(ac_sup_proc_t *proc)
{
    ac_sup_slot_t *slot = &proc->app->slots[proc->is.slot];
    ac_sup_proc_t *older = slot->current;

    if (older && older->is.generation > proc->is.generation) {
        ac_sup_end_proc(proc, 1);
        return;
    }
    slot->current = proc;
    proc->app->keep = 1;
    if (older) {
        ac_sup_end_proc(older, 1);
    }
}

static void adopt_starting(ac_sup_proc_t *proc, apr_time_t limit)
{
    ac_sup_app_t *app = proc->app;

    ac_fleet_enter(proc, AC_PROC_START);
    app->slots[proc->is.slot].next = proc;
    proc->is.limit = limit ? limit : app->sup->now + app->conf.startup_limit;
    proc->due = proc->is.limit;
    ac_fleet_emit(app->sup, AC_ACT_PROBE, NULL, proc);
}

static void adopt_state(ac_sup_proc_t *proc, const ac_sup_note_t *note)
{
    ac_fleet_enter(proc, note->state);
    proc->is.since = note->since;
    proc->is.limit = note->limit;
    switch (note->state) {
    case AC_PROC_READY:
        adopt_ready(proc);
        break;
    case AC_PROC_DRAIN:
        proc->due = proc->app->sup->now + AC_SUP_DRAIN_STEP;
        break;
    case AC_PROC_TERM:
        proc->due = note->limit ? note->limit : proc->app->sup->now;
        break;
    case AC_PROC_KILL:
    case AC_PROC_DEAD:
        /* Whether the signal was sent is not known: again, it does no harm. */
        ac_fleet_enter(proc, AC_PROC_TERM);
        proc->due = proc->app->sup->now;
        break;
    default:
        if (proc->is.leftover) {
            /* Neither its output nor the end of its exec would ever be known. */
            ac_fleet_enter(proc, AC_PROC_START);
            ac_sup_end_proc(proc, 0);
            break;
        }
        adopt_starting(proc, note->limit);
        break;
    }
}

ac_sup_proc_t *ac_sup_adopt(ac_sup_t *sup, uint64_t app_id, const ac_sup_note_t *note)
{
    ac_sup_app_t *app = ac_sup_find(sup, app_id);
    ac_sup_proc_t *proc;
    uint32_t generation;

    if (note->slot >= AC_BOARD_SLOTS || ac_sup_find_proc(sup, note->tag)) {
        return NULL;
    }
    if (!app) {
        app = ac_fleet_add_app(sup, app_id);
        app->mode = AC_SUP_REMOVED;
        app->conf.shutdown_limit = UNKNOWN_SHUTDOWN_LIMIT;
    }
    ac_fleet_slots(app, note->slot + 1);
    generation = app->last_generation;
    proc = ac_fleet_add_proc(app, note->slot);
    proc->is.tag = note->tag;
    proc->is.generation = note->generation;
    proc->is.listener = note->listener && !note->leftover;
    proc->is.leftover = note->leftover;
    memcpy(proc->is.digest, note->digest, AC_SUP_DIGEST);
    proc->is.marks = note->marks;
    app->last_generation = note->generation > generation ? note->generation : generation;
    if (sup->next_tag <= note->tag) {
        sup->next_tag = note->tag + 1;
    }
    /* That many may come from a web.config, which only the next look reads. */
    if (note->state == AC_PROC_READY && note->slot >= app->target
        && !memcmp(note->digest, app->digest, AC_SUP_DIGEST)) {
        app->target = note->slot + 1;
        ac_crowd_watch(app);
    }
    if (app->conf.processes < app->target) {
        app->conf.processes = app->target;
    }
    adopt_state(proc, note);
    return proc;
}

/* What of an app outlives its processes */

void ac_sup_remember(const ac_sup_app_t *app, ac_sup_memory_t *memory)
{
    const ac_breaker_t *b = &app->breaker;

    memset(memory, 0, sizeof(*memory));
    memory->retry_at = app->pause ? app->retry_at : 0;
    memory->pause = (uint32_t)app->pause;
    memory->failures = app->failures;
    memory->failed_starts = app->failed_starts;
    memory->last_generation = app->last_generation;
    memory->http_status = app->http_status;
    memory->substatus = app->substatus;
    memory->keep = app->keep;
    memory->open = b->open;
    memory->streak = b->streak;
    memory->n = (uint16_t)b->n;
    if (b->n) {
        memcpy(memory->times, b->times, b->n * sizeof(*b->times));
    }
}

void ac_sup_recall(ac_sup_app_t *app, const ac_sup_memory_t *memory)
{
    if (memory->pause > AC_PAUSE_BROKEN) {
        return;
    }
    app->retry_at = memory->retry_at;
    app->pause = (ac_sup_pause_e)memory->pause;
    app->failures = memory->failures;
    app->failed_starts = memory->failed_starts;
    app->http_status = memory->http_status;
    app->substatus = memory->substatus;
    app->keep = memory->keep != 0;
    app->breaker.open = memory->open != 0;
    app->breaker.streak = memory->streak;
    ac_breaker_recall(&app->breaker, memory->times, memory->n);
    if (app->last_generation < memory->last_generation) {
        app->last_generation = memory->last_generation;
    }
}
