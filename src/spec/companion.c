/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/companion.h"

#include <string.h>
#include <unistd.h>
#include <apr_strings.h>

const char *ac_companion_path(const char *folder, ac_kind_e kind, unsigned version,
                              apr_pool_t *p)
{
    /* In NODE_OPTIONS the path stands between quotes, in DOTNET_STARTUP_HOOKS
     * between colons. */
    if (!folder || !version || strpbrk(folder, "\"\\:")) {
        return NULL;
    }
    switch (kind) {
    case AC_KIND_DOTNET:
        return apr_psprintf(p, "%s/net%u.0/AppCore.AspNetCore.dll", folder, version);
    case AC_KIND_NODE:
        return apr_pstrcat(p, folder, "/node-preload.js", NULL);
    default:
        return NULL;
    }
}

int ac_companion_is_usable(const char *folder, ac_kind_e kind, unsigned version,
                           apr_pool_t *p)
{
    const char *path = ac_companion_path(folder, kind, version, p);

    return path && access(path, R_OK) == 0;
}
