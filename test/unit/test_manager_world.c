/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_manager_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <check.h>

ac_sup_t *sup;
apr_time_t now;
unsigned load;

static char words[8192];
static unsigned reports;

static const char *const names[] = {
    [AC_ACT_LOOK] = "look", [AC_ACT_LISTEN] = "listen",
    [AC_ACT_SPAWN] = "spawn", [AC_ACT_PROBE] = "probe", [AC_ACT_QUIET] = "quiet",
    [AC_ACT_COUNT] = "count", [AC_ACT_SIGNAL] = "signal", [AC_ACT_REPORT] = "report",
    [AC_ACT_PUBLISH] = "publish", [AC_ACT_NOTE] = "note", [AC_ACT_SAY] = "say",
    [AC_ACT_FORGET] = "forget", [AC_ACT_FREE] = "free", [AC_ACT_REMOVE] = "remove",
};

static void write_down(const ac_sup_action_t *act)
{
    size_t len = strlen(words);
    char *at = words + len;
    size_t room = sizeof(words) - len;

    len = (size_t)snprintf(at, room, "%s%s", len ? " " : "", names[act->what]);
    if (act->what == AC_ACT_SIGNAL) {
        len += (size_t)snprintf(at + len, room - len, "%d%s", act->signal,
                                act->group ? "g" : "");
    }
    if (act->what == AC_ACT_REPORT) {
        ck_assert_ptr_nonnull(act->result);
        len += (size_t)snprintf(at + len, room - len, "=%s",
                                ac_fault_name(act->result->fault));
        ++reports;
    }
    if (act->what == AC_ACT_LISTEN && act->proc->heir_of) {
        len += (size_t)snprintf(at + len, room - len, "<heir");
    }
    if (act->proc && act->what != AC_ACT_REPORT) {
        snprintf(at + len, room - len, ":%u", act->proc->is.generation);
    }
}

/* These happen so often that they would hide the rest. */
static void take_actions(void)
{
    ac_sup_action_t act;

    while (ac_sup_next(sup, &act)) {
        if (act.what == AC_ACT_MEASURE) {
            ac_sup_load(act.app, load);
        }
        else if (act.what != AC_ACT_PUBLISH && act.what != AC_ACT_NOTE
            && act.what != AC_ACT_SAY && act.what != AC_ACT_QUIET
            && act.what != AC_ACT_UNLOOK) {
            write_down(&act);
        }
    }
}

void world_setup(void)
{
    sup = ac_sup_create(100, 1);
    ac_sup_limit_spawns(sup, 4);
    now = 1000 * SECOND;
    ac_sup_tick(sup, now);
    words[0] = '\0';
    reports = 0;
    load = 0;
}

void world_teardown(void)
{
    ac_sup_destroy(sup);
}

ac_sup_conf_t conf_default(void)
{
    ac_sup_conf_t conf = { .processes = 1, .rapid_fails = 10,
                           .startup_limit = 120 * SECOND, .shutdown_limit = 10 * SECOND };

    return conf;
}

void configure(unsigned char d, const ac_sup_conf_t *conf)
{
    unsigned char digest[AC_SUP_DIGEST];

    memset(digest, d, sizeof(digest));
    ac_sup_config_begin(sup);
    ac_sup_configure(sup, APP, digest, conf);
    ac_sup_config_end(sup);
}

void configure_none(void)
{
    ac_sup_config_begin(sup);
    ac_sup_config_end(sup);
}

ac_sup_app_t *app(void)
{
    return ac_sup_find(sup, APP);
}

const char *done(void)
{
    static char copy[sizeof(words)];

    take_actions();
    memcpy(copy, words, sizeof(words));
    words[0] = '\0';
    return copy;
}

void forget_done(void)
{
    done();
}

ac_sup_proc_t *proc(uint32_t generation)
{
    ac_sup_proc_t *at = app()->procs;

    while (at && at->is.generation != generation) {
        at = at->next;
    }
    ck_assert_msg(at != NULL, "no process of generation %u", generation);
    return at;
}

void fails(ac_result_t *res, ac_fault_e fault)
{
    ac_result_set(res, APR_EGENERAL, AC_STAGE_READY, fault, "a test says so");
}

void looked(void)
{
    ac_result_t ok = AC_RESULT_OK;
    ac_sup_conf_t conf = app()->conf;

    ac_sup_looked(app(), &ok, &conf);
}

void listening(uint32_t generation)
{
    ac_result_t ok = AC_RESULT_OK;

    ac_sup_listening(proc(generation), &ok, 1);
}

void executed(uint32_t generation)
{
    ac_result_t ok = AC_RESULT_OK;

    ac_sup_executed(proc(generation), &ok);
}

void ready(uint32_t generation)
{
    ac_sup_ready(proc(generation));
}

void exited(uint32_t generation)
{
    int was_ready = proc(generation)->is.state == AC_PROC_READY;
    ac_result_t res = AC_RESULT_OK;

    fails(&res, was_ready ? AC_FAULT_CRASHED : AC_FAULT_EXITED);
    ac_sup_exited(proc(generation), &res, 0);
}

void bring_up(uint32_t generation)
{
    listening(generation);
    executed(generation);
    ready(generation);
    forget_done();
}

void start_first(void)
{
    ac_sup_wake(app());
    looked();
    forget_done();
    bring_up(1);
}

void reported(void)
{
    take_actions();
    while (reports > 0) {
        --reports;
        ac_sup_reported(app());
    }
    take_actions();
}

void pass(apr_interval_time_t span)
{
    apr_time_t end = now + span, due;

    take_actions();
    while ((due = ac_sup_due(sup)) != 0 && due <= end) {
        now = due > now ? due : now;
        ac_sup_tick(sup, now);
        take_actions();
    }
    now = end;
    ac_sup_tick(sup, now);
    take_actions();
}
