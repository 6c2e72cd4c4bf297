/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_COMPANION_H
#define AC_SPEC_COMPANION_H

/* Companions: files of ours that a runtime loads into an unmodified app, so that
 * it takes the inherited socket where it would open a port.
 *
 * They lie in a folder beside the module. A look decides whether an app can use
 * its kind's companion; the environment of a process then names it. Without it
 * the app is given a port. Pure functions but for one access(). */

#include "spec/launch.h"

#define AC_COMPANION_DOTNET_MIN 8       /* the oldest .NET that there can be one for */

/* The kind's companion in the folder, which may be NULL; NULL if there is none.
 * `version` is the .NET that it was built for, and 1 for the others. */
const char *ac_companion_path(const char *folder, ac_kind_e kind, unsigned version,
                              apr_pool_t *p);

/* Whether the caller, who has the app's identity, can read it. */
int ac_companion_is_usable(const char *folder, ac_kind_e kind, unsigned version,
                           apr_pool_t *p);

#endif
