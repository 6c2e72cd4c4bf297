/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* An app that moves from processes of its own into httpd's children: children of before
 * go on using what runs, and when the last of them has ended nobody does. Unless a later
 * child asks: one that cannot host the app. */

#include "manager/fleet.h"

#include "base/clock.h"

static void release(ac_sup_app_t *app)
{
    app->moving = 0;
    app->left_behind = app->procs != NULL;
    app->keep = app->wanted = 0;
}

/* A child notices by itself what its folder says: its successor may be there before the
 * look that tells the manager. */
void ac_sup_suspect(ac_sup_app_t *app, apr_time_t since)
{
    app->suspected = ac_clock_earlier(app->suspected, since);
}

void ac_move_begin(ac_sup_app_t *app, apr_time_t since)
{
    app->moved = since;
    app->needed = app->left_behind = 0;
    app->moving = app->procs != NULL;
    if (!app->moving) {
        release(app);
    }
}

void ac_sup_asked(ac_sup_app_t *app, apr_time_t since)
{
    if (!app->conf.inside) {
        return;
    }
    app->needed |= !since || since >= app->moved;
    app->moving = !app->needed;
    app->left_behind = 0;
    ac_settle(app);
}

void ac_sup_oldest(ac_sup_app_t *app, apr_time_t since)
{
    if (app->moving && (!since || since >= app->moved)) {
        release(app);
        ac_settle(app);
    }
}
