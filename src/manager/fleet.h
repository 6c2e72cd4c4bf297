/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_MANAGER_FLEET_H
#define AC_MANAGER_FLEET_H

/* The data behind manager/supervise.h: all apps, their processes, and the
 * actions that wait to be taken. Included by supervise.c, settle.c, inherit.c,
 * crowd.c, move.c and fleet.c alone. Nothing here decides anything. */

#include "manager/supervise.h"

#define AC_FLEET_HASH 512

typedef struct ac_fleet_action_t ac_fleet_action_t;

struct ac_sup_t {
    apr_time_t now;
    uint64_t next_tag;
    uint32_t random;
    unsigned max_spawns;
    unsigned starting;          /* processes that hold a permit */
    unsigned queued;            /* processes that wait for one */
    unsigned stopping:1;
    ac_sup_app_t *apps;
    ac_sup_app_t **apps_end;
    ac_sup_app_t *hash[AC_FLEET_HASH];
    ac_fleet_action_t *first;
    ac_fleet_action_t **last;
    ac_fleet_action_t *newest;
    ac_fleet_action_t *taken;   /* what ac_sup_next() gave last */
};

/* An action without details; NULL app for one of a process. */
ac_sup_action_t *ac_fleet_emit(ac_sup_t *sup, ac_act_e what, ac_sup_app_t *app,
                               ac_sup_proc_t *proc);
/* Gives the action just emitted a copy of the result. */
void ac_fleet_attach(ac_sup_t *sup, const ac_result_t *res);

ac_sup_app_t *ac_fleet_add_app(ac_sup_t *sup, uint64_t id);
ac_sup_proc_t *ac_fleet_add_proc(ac_sup_app_t *app, uint32_t slot);
/* Takes them out; memory goes with their last action. */
void ac_fleet_drop_proc(ac_sup_proc_t *proc);
void ac_fleet_drop_app(ac_sup_app_t *app);
/* Room for n slots; slots beyond stay until they are empty. */
void ac_fleet_slots(ac_sup_app_t *app, unsigned n);

/* The one place where a state changes: counts permits and the queue. */
void ac_fleet_enter(ac_sup_proc_t *proc, ac_proc_state_e state);
/* 1 while the process was asked for and is not ready. */
int ac_fleet_is_starting(const ac_sup_proc_t *proc);
unsigned ac_fleet_starting(const ac_sup_app_t *app);
unsigned ac_fleet_ready(const ac_sup_app_t *app);
/* Xorshift: spreads delays, no secret. */
uint32_t ac_fleet_random(ac_sup_t *sup);

/* settle.c: after every event, does for the app whatever it now lacks. */
void ac_settle(ac_sup_app_t *app);
/* crowd.c: the number of processes as configured, at its lower end. */
void ac_crowd_reset(ac_sup_app_t *app);
/* crowd.c: the load is to be known from now on. */
void ac_crowd_watch(ac_sup_app_t *app);
/* crowd.c: 1 if a timer ran. */
int ac_crowd_tick(ac_sup_app_t *app);

/* move.c: children of httpd that came later than that host it. */
void ac_move_begin(ac_sup_app_t *app, apr_time_t since);

/* settle.c: permits for processes that wait, oldest first. */
void ac_settle_queue(ac_sup_t *sup);

/* supervise.c: a sentence about the app, or proc if that is not NULL. */
void ac_sup_say(ac_sup_app_t *app, ac_sup_proc_t *proc, ac_say_e what,
                apr_interval_time_t delay);
/* supervise.c: ends a process in the way its state asks for. */
void ac_sup_end_proc(ac_sup_proc_t *proc, int drain);
/* supervise.c: takes a process out that never ran or ended. */
void ac_sup_bury(ac_sup_proc_t *proc);
/* supervise.c: counts a failed start that got no further than the look. */
void ac_sup_refuse(ac_sup_app_t *app, const ac_result_t *res);

#endif
