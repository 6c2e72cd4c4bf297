/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* How many processes an app wants, where the configuration gives a range. More
 * when every ready process has had its share of requests, and then some, for a
 * while; fewer, one by one, when a smaller number would be half idle for longer.
 *
 * The load is asked for only while it matters: from a wake on, which is how a
 * child says that all are busy, until the app is back at its least number. */

#include "manager/fleet.h"

#define GROW_TIME apr_time_from_msec(500)
#define SHRINK_TIME apr_time_from_sec(10)
#define STEP_CROWDED apr_time_from_msec(100)
#define STEP_ROOMY apr_time_from_sec(1)

static unsigned least_of(const ac_sup_conf_t *conf)
{
    return conf->least && conf->least < conf->processes ? conf->least : conf->processes;
}

static unsigned share_of(const ac_sup_conf_t *conf)
{
    return conf->share ? conf->share : 1;
}

void ac_crowd_reset(ac_sup_app_t *app)
{
    const ac_sup_conf_t *conf = &app->conf;
    unsigned least = least_of(conf);

    if (app->target < least) {
        app->target = least;
    }
    if (app->target > conf->processes) {
        app->target = conf->processes;
    }
    ac_fleet_slots(app, conf->processes);
}

void ac_crowd_watch(ac_sup_app_t *app)
{
    if (!app->measure_at && least_of(&app->conf) < app->conf.processes) {
        app->measure_at = app->sup->now;
    }
}

int ac_crowd_tick(ac_sup_app_t *app)
{
    if (!app->measure_at || app->measure_at > app->sup->now) {
        return 0;
    }
    app->measure_at = 0;
    ac_fleet_emit(app->sup, AC_ACT_MEASURE, app, NULL);
    return 1;
}

static void resize(ac_sup_app_t *app, unsigned target, ac_say_e what)
{
    app->target = target;
    app->crowded_since = app->roomy_since = 0;
    ac_fleet_emit(app->sup, AC_ACT_SAY, app, NULL)->say = what;
}

/* Doubled at most: how long a start takes and what it costs is not known. */
static unsigned grown(const ac_sup_app_t *app, unsigned requests)
{
    unsigned share = share_of(&app->conf);
    unsigned needed = requests / share + (requests % share != 0);
    unsigned n = app->target * 2 < needed ? app->target * 2 : needed;

    n = n > app->target ? n : app->target + 1;
    return n < app->conf.processes ? n : app->conf.processes;
}

/* Since when a condition has held; 0 while it does not. */
static int held(apr_time_t *psince, int holds, apr_time_t now, apr_interval_time_t time)
{
    *psince = !holds ? 0 : *psince ? *psince : now;
    return holds && now - *psince >= time;
}

static void decide(ac_sup_app_t *app, unsigned requests)
{
    apr_time_t now = app->sup->now;
    unsigned share = share_of(&app->conf), ready = ac_fleet_ready(app);
    int busy = app->target < app->conf.processes && requests > (uint64_t)share * ready;
    int crowded = busy && ready >= app->target && !ac_fleet_starting(app);
    int roomy = app->target > least_of(&app->conf)
                && (uint64_t)requests * 2 <= (uint64_t)share * (app->target - 1);

    if (held(&app->crowded_since, crowded, now, GROW_TIME)) {
        resize(app, grown(app, requests), AC_SAY_GROW);
    }
    else if (held(&app->roomy_since, roomy, now, SHRINK_TIME)) {
        resize(app, app->target - 1, AC_SAY_SHRINK);
    }
    if (busy) {
        app->measure_at = now + STEP_CROWDED;
    }
    else if (app->target > least_of(&app->conf)) {
        app->measure_at = now + STEP_ROOMY;
    }
}

void ac_sup_load(ac_sup_app_t *app, unsigned requests)
{
    if (app->mode == AC_SUP_CONFIGURED && !app->sup->stopping) {
        decide(app, requests);
        ac_settle(app);
    }
}
