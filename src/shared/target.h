/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SHARED_TARGET_H
#define AC_SHARED_TARGET_H

/* Where the settings of an app say that its output goes, and how a program that takes
 * it is run. Pure but for the environment; strings are those of spec and settings, or
 * p's. */

#include "shared/message.h"
#include "spec/spec.h"

/* set: in force, with what web.config says. */
void ac_log_target_choose(ac_log_target_t *target, const ac_spec_t *spec,
                          const ac_settings_t *set, apr_pool_t *p);
/* "program arguments" or "$command for a shell", with or without the bar before it, as
 * httpd writes it; NULL for no program. */
const char **ac_log_program_argv(const char *line, apr_pool_t *p);
const char **ac_log_program_env(apr_pool_t *p);

#endif
