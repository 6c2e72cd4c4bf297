/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef APPCORE_DOTNET_FIND_H
#define APPCORE_DOTNET_FIND_H

/* Where libhostfxr.so is, in the order of .NET's own hosts:
 *
 *   beside the app              it brings its runtime
 *   AppCoreDotnetRoot           which then is the only place
 *   DOTNET_ROOT_<ARCH>, DOTNET_ROOT
 *   /etc/dotnet/install_location_<arch>, /etc/dotnet/install_location
 *   /usr/share/dotnet, /usr/lib/dotnet, /usr/lib64/dotnet
 *
 * The first place that has a host/fxr counts, there the newest version, previews
 * included: a host serves the runtimes of its own version and older ones. */

#include <limits.h>
#include <stddef.h>

typedef struct ac_find_t {
    const char *app;            /* folder of the assembly */
    const char *chosen;         /* AppCoreDotnetRoot; NULL: none */
    const char *(*env)(const char *name);
    const char *prefix;         /* before the places of the system: "" but in tests */
} ac_find_t;

typedef struct ac_found_t {
    int self_contained;
    char root[PATH_MAX];
    char hostfxr[PATH_MAX];
    /* Where it was looked for, one line each, bounded. */
    size_t n_places;
    char places[4096];
} ac_found_t;

/* 1 if it was found; else only the places are set. */
int ac_find_hostfxr(const ac_find_t *find, ac_found_t *found);

#endif
