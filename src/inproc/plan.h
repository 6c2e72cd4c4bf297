/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_PLAN_H
#define AC_INPROC_PLAN_H

/* Whether an app that is allowed into httpd's children can live there.
 *
 * Decided from what a look in the child found, before anything is loaded. Pure but
 * for looking whether files of ours are there. */

#include "spec/launch.h"

typedef enum ac_plan_e {
    AC_PLAN_FAILED = 0,         /* result says why */
    AC_PLAN_OFFLINE,
    AC_PLAN_OBJECT,             /* loads `file` */
    AC_PLAN_DOTNET,             /* the same, which brings the runtime for `assembly` */
    AC_PLAN_OUTSIDE             /* hosted out of process; `why`, NULL: as asked for */
} ac_plan_e;

/* What the child is like. */
typedef struct ac_plan_child_t {
    int is_threaded;            /* by its MPM */
    int has_dotnet;             /* another app brought the runtime already */
    const char *dotnet_root;    /* AppCoreDotnetRoot, or NULL */
} ac_plan_child_t;

typedef struct ac_plan_t {
    ac_plan_e decision;
    const char *why;            /* the rest of a sentence that begins with the app */
    ac_result_t result;
    const char *file;           /* the shared object */
    const char *assembly;       /* App.dll, absolute */
    const char *companion;      /* AppCore.AspNetCore.dll, absolute */
    const char *dotnet_root;    /* or NULL, to be found */
    int first_argument;         /* of the launch's argv, that is the app's own */
} ac_plan_t;

void ac_plan_make(ac_plan_t *plan, const ac_spec_t *spec, const ac_settings_t *set,
                  const ac_launch_t *launch, const ac_plan_child_t *child,
                  apr_pool_t *p);

#endif
