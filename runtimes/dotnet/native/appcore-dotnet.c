/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* appcore-dotnet.so: to httpd an app as any other shared object, behind which an
 * unmodified ASP.NET Core app runs. Requests go straight through to managed code, which
 * calls the host's functions itself; what is here stands between them only when the
 * app begins and ends. */

#include "native/app.h"

static int init(const appcore_host *host, const appcore_config *config, void **papp,
                appcore_failure *failure)
{
    *papp = &ac_app;
    return ac_app_start(host, config, failure);
}

/* Came in between the end of the app and httpd's knowledge of it. */
static int refuse(const ac_app_t *app, appcore_request request)
{
    static const appcore_field later = { { "Retry-After", 11 }, { "1", 1 } };
    static const appcore_str no_reason = { "", 0 };

    app->host->respond(request, 503, no_reason, &later, 1, NULL, 0);
    return APPCORE_DONE;
}

static int handle(void *data, appcore_request request, const appcore_info *info,
                  void **pdata)
{
    ac_app_t *app = data;
    int rc;

    if (!ac_gate_enter(&app->gate)) {
        return refuse(app, request);
    }
    rc = app->calls.handle(request, info, pdata);
    ac_gate_leave(&app->gate);
    return rc;
}

static void on_io(void *data, appcore_request request, void *mine, uint32_t events)
{
    ac_app_t *app = data;

    if (ac_gate_enter(&app->gate)) {
        app->calls.on_io(request, mine, events);
        ac_gate_leave(&app->gate);
    }
}

static void on_disconnect(void *data, appcore_request request, void *mine)
{
    ac_app_t *app = data;

    if (ac_gate_enter(&app->gate)) {
        app->calls.on_disconnect(request, mine);
        ac_gate_leave(&app->gate);
    }
}

static void thread_attach(void *data)
{
    (void)data;
    ac_app_open_signals();
}

static void quiesce(void *data)
{
    ac_app_quiesce(data);
}

static void shutdown(void *data, uint32_t limit_ms)
{
    ac_app_stop(data, limit_ms);
}

const appcore_app *appcore_app_v1(void)
{
    static const appcore_app app = {
        .size = sizeof(app),
        .version = APPCORE_ABI,
        .flags = APPCORE_NO_UNLOAD | APPCORE_SINGLE_PROCESS | APPCORE_THREAD_SAFE,
        .init = init,
        .handle = handle,
        .on_io = on_io,
        .on_disconnect = on_disconnect,
        .thread_attach = thread_attach,
        .quiesce = quiesce,
        .shutdown = shutdown
    };

    return &app;
}
