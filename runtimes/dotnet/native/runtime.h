/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef APPCORE_DOTNET_RUNTIME_H
#define APPCORE_DOTNET_RUNTIME_H

/* The .NET runtime with one app in it, from finding hostfxr to the end of Main. All
 * of it on the app's own thread. There is one per process and ever: the runtime can be
 * neither unloaded nor started a second time. */

#include "native/find.h"
#include "native/hostfxr.h"
#include "native/trouble.h"

typedef struct ac_runtime_start_t {
    const char *assembly;       /* absolute path of App.dll */
    const char *companion;      /* that of AppCore.AspNetCore.dll */
    const char *dotnet_root;    /* AppCoreDotnetRoot or NULL */
    const char *stack_size;     /* of threads that managed code makes, hex; or NULL */
    const void *bridge;
    int argc;
    const char **argv;          /* after the assembly */
} ac_runtime_start_t;

typedef struct ac_runtime_t {
    ac_found_t found;
    ac_hostfxr_t hostfxr;
    void *handle;
} ac_runtime_t;

/* Everything that can fail before code of the app runs. 0: trouble says why. What
 * hostfxr says, now and later, is added to the evidence. */
int ac_runtime_prepare(ac_runtime_t *rt, const ac_runtime_start_t *start,
                       ac_trouble_t *trouble);

/* After ac_runtime_prepare(): runs Main, and returns what that returned. */
int ac_runtime_run(ac_runtime_t *rt);

/* The value of STARTUP_HOOKS with ours before others, which may be NULL and may have
 * it already. NULL: no memory. The caller frees it. */
char *ac_runtime_hooks(const char *ours, const char *others);

#endif
