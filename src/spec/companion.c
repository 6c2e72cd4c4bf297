/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/companion.h"

#include <string.h>
#include <unistd.h>
#include <apr_strings.h>

static const char *const files[] = {
    [AC_KIND_NODE] = "node-preload.js",
};

const char *ac_companion_path(const char *folder, ac_kind_e kind, apr_pool_t *p)
{
    apr_size_t n = sizeof(files) / sizeof(files[0]);

    /* In NODE_OPTIONS the path stands between quotes. */
    if (!folder || strpbrk(folder, "\"\\") || (unsigned)kind >= n || !files[kind]) {
        return NULL;
    }
    return apr_pstrcat(p, folder, "/", files[kind], NULL);
}

int ac_companion_is_usable(const char *folder, ac_kind_e kind, apr_pool_t *p)
{
    const char *path = ac_companion_path(folder, kind, p);

    return path && access(path, R_OK) == 0;
}
