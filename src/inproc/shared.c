/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* What all children of one configuration have in common: made by httpd's parent in
 * post_config, inherited by them, gone at a reload. */

#include "inproc/app.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "apr_strings.h"
#include "http_log.h"
#include "base/clock.h"
#include "inproc/losses.h"
#include "keeper/identity.h"

APLOG_USE_MODULE(appcore);

#define NAMES_MAX 300

static struct {
    const ac_spec_table_t *table;
    ac_losses_t *losses;        /* NULL without apps in process */
    int row;                    /* this child's */
    const char **homes;         /* by ac_mount_t.index */
} shared;

void ac_inproc_enter(void)
{
    if (shared.losses) {
        shared.row = ac_losses_enter(shared.losses, (uint32_t)getpid());
    }
}

void ac_inproc_lost(ac_inproc_t *inproc)
{
    if (shared.losses && !atomic_exchange(&inproc->is_lost, 1)) {
        ac_losses_add(shared.losses, inproc->mount->index, ac_clock_now());
    }
}

void ac_inproc_hung(const ac_inproc_t *inproc)
{
    if (shared.losses) {
        ac_losses_hung(shared.losses, inproc->mount->index, ac_clock_now());
    }
}

int ac_inproc_hung_lately(const ac_inproc_t *inproc)
{
    return shared.losses
           && ac_losses_hung_lately(shared.losses, inproc->mount->index, ac_clock_now());
}

int ac_inproc_lost_too_often(ac_inproc_t *inproc)
{
    return shared.losses
           && ac_losses_too_many(shared.losses, inproc->mount->index,
                                 (unsigned)inproc->set->rapid_fails_per_minute.v,
                                 ac_clock_now());
}

int ac_inproc_says(const ac_inproc_t *inproc, unsigned what)
{
    return !shared.losses || ac_losses_first(shared.losses, inproc->mount->index, what);
}

void ac_inproc_host(const ac_inproc_t *inproc)
{
    if (shared.losses) {
        ac_losses_host(shared.losses, inproc->mount->index);
    }
}

void ac_inproc_close(void)
{
    if (shared.losses) {
        ac_losses_leave(shared.losses, shared.row);
    }
}

/* The user that children of httpd become. */
static void find_user(ac_identity_t *id, const ac_globals_t *globals)
{
    const struct passwd *pw = getpwuid(globals->server_uid);

    memset(id, 0, sizeof(*id));
    id->uid = globals->server_uid;
    id->gid = globals->server_gid;
    id->drop = geteuid() == 0;
    apr_cpystrn(id->home, pw && pw->pw_dir ? pw->pw_dir : "", sizeof(id->home));
}

/* Folders for what apps keep are made by root, as the keeper does for others. */
static void prepare(const ac_spec_t *spec, int index, const ac_identity_t *id,
                    apr_pool_t *pconf)
{
    ac_keeper_app_t app = {
        .id = spec->id, .name = spec->name, .state_dir = spec->state_dir
    };

    shared.homes[index] = ac_identity_home(id, &app, pconf);
}

int ac_inproc_post_config(apr_pool_t *pconf, const ac_spec_table_t *table)
{
    int i, n = 0, children = 1;
    ac_identity_t id;

    find_user(&id, &table->globals);
    shared.table = table;
    shared.losses = NULL;
    shared.homes = apr_pcalloc(pconf, (apr_size_t)table->specs->nelts * sizeof(char *));
    for (i = 0; i < table->specs->nelts; i++) {
        const ac_spec_t *spec = APR_ARRAY_IDX(table->specs, i, ac_spec_t *);

        if (spec->set->hosting_model.v == AC_HOSTING_IN_PROCESS) {
            prepare(spec, i, &id, pconf);
            n++;
        }
    }
    if (n > 0) {
        ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &children);
        shared.losses = ac_losses_create(table->specs->nelts, children, pconf);
    }
    return n == 0 || shared.losses ? APR_SUCCESS : APR_ENOMEM;
}

const char *ac_inproc_home(const ac_inproc_t *inproc)
{
    return shared.homes[inproc->mount->index];
}

/* Which of them it was that crashed nobody can tell. */
static const char *hosted(char *names, apr_size_t size)
{
    int i, at = 0;

    *names = '\0';
    for (i = 0; i < shared.table->specs->nelts; i++) {
        if (ac_losses_is_hosted(shared.losses, i)) {
            at += apr_snprintf(names + at, size - (apr_size_t)at, "%s%s",
                               at ? ", " : "",
                               APR_ARRAY_IDX(shared.table->specs, i, ac_spec_t *)->name);
        }
    }
    return names;
}

void ac_inproc_child_status(server_rec *s, pid_t pid, ap_generation_t generation,
                            int slot, mpm_child_status state)
{
    char names[NAMES_MAX];

    (void)generation;
    (void)slot;
    /* MPM_CHILD_LOST_SLOT comes before the end of a child that still has requests. */
    if (shared.losses && state == MPM_CHILD_EXITED
        && ac_losses_exited(shared.losses, (uint32_t)pid, ac_clock_now())) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, "the process %d of httpd ended "
                     "while it hosted apps in process: %s", (int)pid,
                     hosted(names, sizeof(names)));
    }
}
