/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* What an app asks of its host that is about the app as a whole. */

#include "inproc/app.h"

#include <stdint.h>

static ac_inproc_t *app_of(const appcore_host *host)
{
    return (ac_inproc_t *)(uintptr_t)host;
}

static void started(const appcore_host *host, const appcore_failure *failure)
{
    ac_inproc_started(app_of(host), failure);
}

static void ended(const appcore_host *host, int exit_code, appcore_str why)
{
    ac_inproc_ended(app_of(host), exit_code, why);
}

static void replace(const appcore_host *host, appcore_str why)
{
    ac_inproc_replace(app_of(host), why);
}

void ac_inproc_fill_own(ac_inproc_t *inproc)
{
    inproc->host.started = started;
    inproc->host.ended = ended;
    inproc->host.replace = replace;
}
