/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef APPCORE_DOTNET_HOSTFXR_H
#define APPCORE_DOTNET_HOSTFXR_H

/* What we use of libhostfxr.so: our own declarations of a C interface that .NET keeps
 * since version 3, so that the build needs no .NET.
 *
 * One app per process and ever. A handle belongs to one thread, and so does the error
 * writer. Strings are UTF-8. Results below 0 are failures; run_app() returns what Main
 * returns, or such a failure if the runtime did not come that far. */

#include <stddef.h>

typedef void (*ac_hostfxr_writer_t)(const char *message);

typedef struct ac_hostfxr_parameters_t {
    size_t size;
    const char *host_path;      /* "": as `dotnet` is, not an apphost */
    const char *dotnet_root;
} ac_hostfxr_parameters_t;

typedef struct ac_hostfxr_t {
    ac_hostfxr_writer_t (*set_error_writer)(ac_hostfxr_writer_t writer);
    int (*initialize)(int argc, const char **argv, const ac_hostfxr_parameters_t *how,
                      void **phandle);
    int (*get_property)(void *handle, const char *name, const char **pvalue);
    int (*set_property)(void *handle, const char *name, const char *value);
    int (*run_app)(void *handle);
    int (*close)(void *handle);
} ac_hostfxr_t;

/* Of hostfxr's results, those that say more than its text. */
#define AC_HOSTFXR_APP_MISSING 0x80008094u      /* without text */
#define AC_HOSTFXR_SECOND_APP 0x800080a3u
#define AC_HOSTFXR_FIRST_ERROR 0x80008081u
#define AC_HOSTFXR_LAST_ERROR 0x800080ffu

#endif
