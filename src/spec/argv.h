/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_ARGV_H
#define AC_SPEC_ARGV_H

/* A line of arguments to words, without a shell. Pure functions. */

#include <apr_pools.h>
#include <apr_tables.h>

typedef enum ac_quotes_e {
    /* '…' is literal; in "…" a backslash escapes " and \ only; outside it escapes
     * any character. */
    AC_QUOTES_UNIX = 0,
    /* As a Windows program splits its line: only " groups, \" is a quote, ""
     * within quotes is one, every other backslash stays. */
    AC_QUOTES_WINDOWS
} ac_quotes_e;

/* Words (const char *); NULL when a quote stays open (never with Windows rules,
 * which close it at the end), the line is longer than AC_LAUNCH_LINE_MAX or has
 * more than AC_LAUNCH_ARGS_MAX words. */
apr_array_header_t *ac_argv_split(const char *line, ac_quotes_e rules, apr_pool_t *p);

/* For logs: words joined, quoted where a shell would need it. */
const char *ac_argv_join(const apr_array_header_t *words, apr_pool_t *p);

#endif
