/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_COMMAND_H
#define AC_SPEC_COMMAND_H

/* A command line written for a shell: of a Procfile or package.json.
 *
 * Quotes, $VAR, ${VAR} and leading NAME=value are understood and need no shell;
 * anything more makes it a text for /bin/sh -c. Pure function. */

#include <apr_pools.h>
#include <apr_tables.h>

#define AC_COMMAND_MAX 8192

typedef struct ac_command_t {
    apr_array_header_t *vars;   /* ac_env_var_t: leading NAME=value */
    apr_array_header_t *words;  /* for AC_EXPAND_DOLLAR: $NAME where it stood
                                   unquoted, ${NAME} where it was quoted */
    const char *shell;          /* NULL, or what /bin/sh -c gets */
    const char *program;        /* the first word of the command proper, for naming
                                   it only when there is a shell */
    const char *why;            /* what needs the shell, for the notice */
    int execs;                  /* shell begins with exec: no shell process stays */
} ac_command_t;

/* NULL when the text is empty, longer than AC_COMMAND_MAX or has too many words. */
ac_command_t *ac_command_parse(const char *text, apr_pool_t *p);

#endif
