/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_ENV_H
#define AC_SPEC_ENV_H

/* Pieces of an app's environment that a look needs as well as a start does.
 *
 * Pure functions; environments are those of spec/expand.h. */

#include "spec/expand.h"
#include "spec/settings.h"

/* PATH, LANG and TZ of `inherited` (NAME=value, NULL-terminated, may be NULL)
 * and nothing else; a PATH of ours where it has none. */
apr_array_header_t *ac_env_base(const char *const *inherited, apr_pool_t *p);

/* The settings' variables, lowest origin first, each expanded against what is
 * in env by then. */
void ac_env_add_settings(apr_array_header_t *env, const ac_settings_t *set,
                         apr_pool_t *p);

#endif
