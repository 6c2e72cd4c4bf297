/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "base/log.h"

static const char *const names[] = {
    [AC_LEVEL_EMERG] = "emerg",
    [AC_LEVEL_ALERT] = "alert",
    [AC_LEVEL_CRIT] = "crit",
    [AC_LEVEL_ERR] = "error",
    [AC_LEVEL_WARNING] = "warn",
    [AC_LEVEL_NOTICE] = "notice",
    [AC_LEVEL_INFO] = "info",
    [AC_LEVEL_DEBUG] = "debug",
    [AC_LEVEL_TRACE1] = "trace1",
};

const char *ac_level_name(unsigned level)
{
    return names[level < AC_LEVEL_TRACE1 ? level : AC_LEVEL_TRACE1];
}
