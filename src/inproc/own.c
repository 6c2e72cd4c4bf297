/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* What an app asks of its host that is about the app as a whole. */

#include "inproc/app.h"

#include <stdint.h>

#include "http_log.h"

APLOG_USE_MODULE(appcore);

#define TEXT_MAX 8192

static ac_inproc_t *app_of(const appcore_host *host)
{
    return (ac_inproc_t *)(uintptr_t)host;
}

static void say(const appcore_host *host, appcore_request id, int level, appcore_str line)
{
    const ac_inproc_t *inproc = app_of(host);
    int len = line.len < TEXT_MAX ? (int)line.len : TEXT_MAX;

    (void)id;
    level = level < APPCORE_LOG_ERROR ? APPCORE_LOG_ERROR
            : level > APLOG_TRACE8 ? APLOG_TRACE8 : level;
    if (line.p) {
        ap_log_error(APLOG_MARK, level, 0, inproc->server, "app %s: %.*s",
                     inproc->mount->spec->name, len, line.p);
    }
}

static int log_level(const appcore_host *host, appcore_request id)
{
    (void)id;
    return ap_get_server_module_loglevel(app_of(host)->server, APLOG_MODULE_INDEX);
}

static void started(const appcore_host *host, const appcore_failure *failure)
{
    ac_inproc_started(app_of(host), failure);
}

static void ended(const appcore_host *host, int exit_code, appcore_str why)
{
    ac_inproc_ended(app_of(host), exit_code, why);
}

void ac_inproc_fill_own(ac_inproc_t *inproc)
{
    if (!inproc->host.log) {
        inproc->host.log = say;
        inproc->host.log_level = log_level;
    }
    inproc->host.started = started;
    inproc->host.ended = ended;
}
