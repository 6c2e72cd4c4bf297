/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "manager/fleet.h"

#include <stdlib.h>
#include <string.h>

struct ac_fleet_action_t {
    ac_fleet_action_t *next;
    ac_sup_action_t act;
    ac_result_t *result;
};

static const char *const proc_states[] = {
    [AC_PROC_QUEUED] = "queued",
    [AC_PROC_LISTEN] = "listen",
    [AC_PROC_EXEC] = "exec",
    [AC_PROC_START] = "start",
    [AC_PROC_READY] = "ready",
    [AC_PROC_DRAIN] = "drain",
    [AC_PROC_TERM] = "term",
    [AC_PROC_KILL] = "kill",
    [AC_PROC_DEAD] = "dead",
};

const char *ac_proc_state_name(ac_proc_state_e state)
{
    return (unsigned)state < sizeof(proc_states) / sizeof(proc_states[0])
           ? proc_states[state] : "unknown";
}

/* Out of memory there is nothing sane left to decide; the keeper starts another
 * manager, which finds every process again. */
static void *allocate(size_t size)
{
    void *at = calloc(1, size);

    if (!at) {
        abort();
    }
    return at;
}

ac_sup_t *ac_sup_create(uint64_t first_tag, uint32_t seed)
{
    ac_sup_t *sup = allocate(sizeof(*sup));

    sup->next_tag = first_tag ? first_tag : 1;
    sup->random = seed ? seed : 1;
    sup->max_spawns = 1;
    sup->apps_end = &sup->apps;
    sup->last = &sup->first;
    return sup;
}

static void free_app(ac_sup_app_t *app)
{
    ac_sup_proc_t *proc, *next;

    for (proc = app->procs; proc; proc = next) {
        next = proc->next;
        free(proc);
    }
    ac_breaker_reset(&app->breaker);
    free(app->slots);
    free(app);
}

/* A FREE or REMOVE action owns its object once it is taken. */
static void release_taken(ac_sup_t *sup)
{
    ac_fleet_action_t *node = sup->taken;

    sup->taken = NULL;
    if (!node) {
        return;
    }
    if (node->act.what == AC_ACT_FREE) {
        free(node->act.proc);
    }
    else if (node->act.what == AC_ACT_REMOVE) {
        free_app(node->act.app);
    }
    free(node->result);
    free(node);
}

int ac_sup_next(ac_sup_t *sup, ac_sup_action_t *action)
{
    ac_fleet_action_t *node = sup->first;

    release_taken(sup);
    if (!node) {
        return 0;
    }
    sup->first = node->next;
    if (!sup->first) {
        sup->last = &sup->first;
        sup->newest = NULL;
    }
    if (node->act.what == AC_ACT_PUBLISH) {
        node->act.app->publishing = 0;
    }
    node->act.result = node->result;
    sup->taken = node;
    *action = node->act;
    return 1;
}

void ac_sup_destroy(ac_sup_t *sup)
{
    ac_sup_action_t action;
    ac_sup_app_t *app, *next;

    while (ac_sup_next(sup, &action)) {
    }
    for (app = sup->apps; app; app = next) {
        next = app->next;
        free_app(app);
    }
    free(sup);
}

ac_sup_action_t *ac_fleet_emit(ac_sup_t *sup, ac_act_e what, ac_sup_app_t *app,
                               ac_sup_proc_t *proc)
{
    ac_fleet_action_t *node = allocate(sizeof(*node));

    node->act.what = what;
    node->act.app = app ? app : proc->app;
    node->act.proc = proc;
    *sup->last = node;
    sup->last = &node->next;
    sup->newest = node;
    return &node->act;
}

void ac_fleet_attach(ac_sup_t *sup, const ac_result_t *res)
{
    sup->newest->result = allocate(sizeof(*res));
    *sup->newest->result = *res;
}

void ac_sup_limit_spawns(ac_sup_t *sup, unsigned max_spawns)
{
    sup->max_spawns = max_spawns ? max_spawns : 1;
}

ac_sup_app_t *ac_sup_first(const ac_sup_t *sup)
{
    return sup->apps;
}

ac_sup_app_t *ac_sup_find(const ac_sup_t *sup, uint64_t id)
{
    ac_sup_app_t *app = sup->hash[id % AC_FLEET_HASH];

    while (app && app->id != id) {
        app = app->chain;
    }
    return app;
}

ac_sup_proc_t *ac_sup_find_proc(const ac_sup_t *sup, uint64_t tag)
{
    ac_sup_app_t *app;
    ac_sup_proc_t *proc;

    for (app = sup->apps; app; app = app->next) {
        for (proc = app->procs; proc; proc = proc->next) {
            if (proc->is.tag == tag) {
                return proc;
            }
        }
    }
    return NULL;
}

ac_sup_app_t *ac_fleet_add_app(ac_sup_t *sup, uint64_t id)
{
    ac_sup_app_t *app = allocate(sizeof(*app));

    app->sup = sup;
    app->id = id;
    app->chain = sup->hash[id % AC_FLEET_HASH];
    sup->hash[id % AC_FLEET_HASH] = app;
    *sup->apps_end = app;
    sup->apps_end = &app->next;
    return app;
}

void ac_fleet_drop_app(ac_sup_app_t *app)
{
    ac_sup_t *sup = app->sup;
    ac_sup_app_t **at = &sup->apps;

    while (*at != app) {
        at = &(*at)->next;
    }
    *at = app->next;
    if (sup->apps_end == &app->next) {
        sup->apps_end = at;
    }
    at = &sup->hash[app->id % AC_FLEET_HASH];
    while (*at != app) {
        at = &(*at)->chain;
    }
    *at = app->chain;
}

ac_sup_proc_t *ac_fleet_add_proc(ac_sup_app_t *app, uint32_t slot)
{
    ac_sup_proc_t *proc = allocate(sizeof(*proc));

    proc->app = app;
    proc->is.tag = app->sup->next_tag++;
    proc->is.slot = slot;
    proc->is.generation = ++app->last_generation;
    proc->is.since = app->sup->now;
    memcpy(proc->is.digest, app->digest, AC_SUP_DIGEST);
    proc->is.marks = app->marks;
    ++app->sup->queued;
    proc->next = app->procs;
    app->procs = proc;
    return proc;
}

void ac_fleet_drop_proc(ac_sup_proc_t *proc)
{
    ac_sup_proc_t **at = &proc->app->procs;

    while (*at != proc) {
        at = &(*at)->next;
    }
    *at = proc->next;
}

void ac_fleet_slots(ac_sup_app_t *app, unsigned n)
{
    ac_sup_slot_t *slots;

    if (n <= app->n_slots) {
        return;
    }
    slots = allocate(n * sizeof(*slots));
    if (app->n_slots) {
        memcpy(slots, app->slots, app->n_slots * sizeof(*slots));
    }
    free(app->slots);
    app->slots = slots;
    app->n_slots = n;
}

int ac_fleet_is_starting(const ac_sup_proc_t *proc)
{
    return proc->is.state <= AC_PROC_START;
}

unsigned ac_fleet_starting(const ac_sup_app_t *app)
{
    const ac_sup_proc_t *proc;
    unsigned n = 0;

    for (proc = app->procs; proc; proc = proc->next) {
        n += (unsigned)ac_fleet_is_starting(proc);
    }
    return n;
}

unsigned ac_fleet_ready(const ac_sup_app_t *app)
{
    unsigned i, n = 0;

    for (i = 0; i < app->n_slots; ++i) {
        n += app->slots[i].current != NULL;
    }
    return n;
}

static int holds_permit(ac_proc_state_e state)
{
    return state == AC_PROC_LISTEN || state == AC_PROC_EXEC || state == AC_PROC_START;
}

void ac_fleet_enter(ac_sup_proc_t *proc, ac_proc_state_e state)
{
    ac_sup_t *sup = proc->app->sup;

    sup->queued -= proc->is.state == AC_PROC_QUEUED;
    sup->queued += state == AC_PROC_QUEUED;
    sup->starting -= (unsigned)holds_permit(proc->is.state);
    sup->starting += (unsigned)holds_permit(state);
    proc->is.state = state;
    proc->is.since = sup->now;
    proc->is.limit = 0;
    proc->due = 0;
    proc->app->changed = 1;
}

uint32_t ac_fleet_random(ac_sup_t *sup)
{
    sup->random ^= sup->random << 13;
    sup->random ^= sup->random >> 17;
    sup->random ^= sup->random << 5;
    return sup->random;
}
