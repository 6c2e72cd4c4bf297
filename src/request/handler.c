/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* A request of an app: a static file of it, or what request/serve makes of it. */

#include <string.h>

#include "httpd.h"
#include "http_config.h"
#include "http_connection.h"
#include "http_log.h"
#include "http_protocol.h"
#include "conn/park.h"
#include "request/client.h"
#include "request/context.h"
#include "request/error.h"
#include "request/inside.h"
#include "request/request.h"
#include "request/serve.h"
#include "request/static.h"
#include "request/warm.h"

APLOG_USE_MODULE(appcore);

/* The app's user is known once its folder was looked at. */
static uid_t app_uid(const ac_board_app_t *app, int index)
{
    return index >= 0 && app->facts.request_time > 0 ? (uid_t)app->facts.uid
                                                     : (uid_t)-1;
}

static int serve_static(request_rec *r, const ac_mount_t *mount)
{
    ac_board_app_t app;
    int index;

    if (!mount->static_folder) {
        return DECLINED;
    }
    index = ac_child_app(mount, &app);
    if (index >= 0 && app.state == AC_APP_OFFLINE) {
        return DECLINED;
    }
    return ac_static_serve(r, mount, app_uid(&app, index));
}

/* A request that need not hold a worker needs no permit to begin with; one that must
 * asks for it (task.hold). */
static int serve_app(request_rec *r, const ac_mount_t *mount)
{
    ac_serve_t *s = ac_serve_create(r, mount);

    ac_park_hold(r->connection, mount->spec->set->keep_alive_hold.v);
    s->task.hurry = !ac_workers_try(&s->permit, r, mount);
    return ac_park_run(&s->task);
}

/* NULL for an app in processes of its own. */
static ac_inproc_t *inside(const ac_mount_t *mount)
{
    ac_inproc_t *inproc = ac_inproc_of(mount);

    if (inproc && atomic_load(&inproc->state) == AC_INPROC_OUTSIDE) {
        ac_inside_ask(inproc);
        return NULL;
    }
    return inproc;
}

static int answer(request_rec *r, const ac_mount_t *mount)
{
    ac_inproc_t *inproc;
    int rv;

    if (!ac_child()) {
        return ac_error_unavailable(r, mount, 0, "the supervisor does not run");
    }
    rv = serve_static(r, mount);
    if (rv != DECLINED) {
        return rv;
    }
    inproc = inside(mount);
    return inproc ? ac_inside_serve(r, mount, inproc) : serve_app(r, mount);
}

static int handle(request_rec *r)
{
    ac_context_t *ctx;
    int rv;

    if (!r->handler || strcmp(r->handler, AC_HANDLER)) {
        return DECLINED;
    }
    ctx = ac_context_get(r);
    if (!ctx || !ctx->mount) {
        return DECLINED;
    }
    rv = answer(r, ctx->mount);
    return rv == AC_ANSWERED ? OK : rv;
}

void ac_request_register_hooks(apr_pool_t *p)
{
    ac_route_register(p);
    ac_request_warm_register();
    ap_hook_pre_connection(ac_client_pre_connection, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handle, NULL, NULL, APR_HOOK_MIDDLE);
}
