/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* A process that was ready may close its listener and live on. httpd's children
 * meet that as ECONNREFUSED, and all they can say is that they need the app: so
 * whoever wakes a running app makes the manager knock at its processes. A program
 * that renews its listener refuses for a moment as well, so only two refusals in
 * a row are believed. */

#include "manager/loop.h"

#include <unistd.h>

#include "manager/knock.h"
#include "manager/port.h"

/* However many requests wake it, an app meets no more connections of ours. */
#define KNOCK_EVERY apr_time_from_sec(1)
#define KNOCK_AGAIN apr_time_from_msec(200)
#define REFUSALS 2

void ac_doubt_stop(ac_run_t *run)
{
    ac_run_t **at = &run->m->doubted;

    while (*at && *at != run) {
        at = &(*at)->next_doubted;
    }
    if (*at) {
        *at = run->next_doubted;
    }
    run->doubt_at = 0;
    run->refusals = 0;
}

static void doubt(ac_run_t *run)
{
    ac_manager_t *m = run->m;
    apr_time_t next = run->knocked_last + KNOCK_EVERY;

    if (!run->doubt_at) {
        run->doubt_at = next > m->now ? next : m->now;
        run->next_doubted = m->doubted;
        m->doubted = run;
    }
}

void ac_doubt_app(ac_home_t *home)
{
    const ac_sup_app_t *app = home->app;
    unsigned i;

    for (i = 0; i < app->n_slots; ++i) {
        if (app->slots[i].current) {
            doubt(ac_run_of(app->slots[i].current));
        }
    }
}

/* Why nobody should be sent there any more, or NULL. */
static const char *fault_of_port(const ac_run_t *run)
{
    ac_port_query_t query = { run->port, run->uid, run->ipv6 };
    ac_knock_e knock = ac_knock_port(run->port, run->ipv6);
    ac_port_owner_t owner = { 0 };

    if (knock == AC_KNOCK_TAKEN) {
        ac_port_owner(&owner, &query);
    }
    return knock == AC_KNOCK_REFUSED ? "it does not listen to its port any more"
           : owner.found && owner.foreign ? "somebody else listens to its port" : NULL;
}

static const char *fault_of_socket(const ac_run_t *run)
{
    char path[256];
    ac_knock_e knock;
    int fd;

    ac_run_socket_path(path, sizeof(path), run);
    knock = ac_knock_path(path, &fd);
    if (fd >= 0) {
        close(fd);
    }
    return knock == AC_KNOCK_REFUSED ? "it closed its socket" : NULL;
}

static void replace(ac_run_t *run, const char *why)
{
    ac_result_t res = AC_RESULT_OK;

    ac_talk_run(run, AC_LEVEL_WARNING, "takes no connections any more, although it"
                " lives: %s", why);
    ac_result_set(&res, APR_EGENERAL, AC_STAGE_RUN, AC_FAULT_DEAF,
                  "process %u takes no connections any more, although it lives: %s",
                  run->pid, why);
    ac_sup_deaf(run->proc, &res,
                ac_home_total(ac_home_of(run->proc->app)) > run->served);
}

static void verify(ac_run_t *run)
{
    const char *why = NULL;

    if (run->proc->is.state == AC_PROC_READY) {
        run->knocked_last = run->m->now;
        why = run->address == AC_ADDRESS_TCP ? fault_of_port(run) : fault_of_socket(run);
    }
    if (why && ++run->refusals < REFUSALS) {
        run->doubt_at = run->m->now + KNOCK_AGAIN;
        return;
    }
    ac_doubt_stop(run);
    if (why) {
        replace(run, why);
    }
}

/* What is done about one may end another, so each round starts over. */
void ac_doubt_tick(ac_manager_t *m)
{
    ac_run_t *run = m->doubted;

    while (run) {
        if (run->doubt_at <= m->now) {
            verify(run);
            ac_perform_all(m);
            run = m->doubted;
        }
        else {
            run = run->next_doubted;
        }
    }
}

apr_time_t ac_doubt_due(const ac_manager_t *m)
{
    const ac_run_t *run;
    apr_time_t due = 0;

    for (run = m->doubted; run; run = run->next_doubted) {
        due = !due || run->doubt_at < due ? run->doubt_at : due;
    }
    return due;
}
