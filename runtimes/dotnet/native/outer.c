/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The host's functions as managed code calls them: its own, but for those that lead back
 * into managed code at another time, and those that want to know which host it is. */

#include "native/app.h"

#include <stdlib.h>
#include <string.h>

typedef struct errand_t {
    void (*fn)(void *app, appcore_request number, void *data, int result);
    void *data;
} errand_t;

/* Perhaps when the runtime is gone; what it was to free is gone then, too. */
static void run(void *data, appcore_request number, void *mine, int result)
{
    ac_app_t *app = data;
    errand_t errand = *(errand_t *)mine;

    free(mine);
    if (ac_gate_enter(&app->gate)) {
        errand.fn(app, number, errand.data, result);
        ac_gate_leave(&app->gate);
    }
}

static int post(appcore_request number,
                void (*fn)(void *app, appcore_request, void *data, int result),
                void *data)
{
    errand_t *errand = malloc(sizeof(*errand));
    int rv;

    if (!errand) {
        return APPCORE_FAILED;
    }
    *errand = (errand_t) { .fn = fn, .data = data };
    rv = ac_app.host->post(number, run, errand);
    if (rv != APPCORE_OK) {
        free(errand);
    }
    return rv;
}

static void log_text(const appcore_host *host, appcore_request number, int level,
                     appcore_str text)
{
    (void)host;
    ac_app.host->log(ac_app.host, number, level, text);
}

static int log_level(const appcore_host *host, appcore_request number)
{
    (void)host;
    return ac_app.host->log_level(ac_app.host, number);
}

void ac_app_fill_outer(ac_app_t *app)
{
    size_t size = app->host->size < sizeof(app->outer) ? app->host->size
                                                       : sizeof(app->outer);

    memcpy(&app->outer, app->host, size);
    app->outer.size = size;
    app->outer.post = post;
    app->outer.log = log_text;
    app->outer.log_level = log_level;
    /* Said by the bridge. */
    app->outer.started = NULL;
    app->outer.ended = NULL;
    app->outer.replace = NULL;
}
