/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_BASE_LOG_H
#define AC_BASE_LOG_H

/* Log levels outside httpd: the numbers of APLOG_EMERG … APLOG_TRACE1, so that
 * a level may cross from httpd's configuration to our processes and back. */

typedef enum ac_level_e {
    AC_LEVEL_EMERG = 0,
    AC_LEVEL_ALERT,
    AC_LEVEL_CRIT,
    AC_LEVEL_ERR,
    AC_LEVEL_WARNING,
    AC_LEVEL_NOTICE,
    AC_LEVEL_INFO,
    AC_LEVEL_DEBUG,
    AC_LEVEL_TRACE1
} ac_level_e;

/* "notice", as httpd writes it; "trace1" for everything above debug. */
const char *ac_level_name(unsigned level);

#endif
