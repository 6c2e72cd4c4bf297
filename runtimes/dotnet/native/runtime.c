/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "native/runtime.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "native/fit.h"
#include "native/icu.h"

/* hostfxr's writer has no argument, but belongs to the thread that set it. */
static _Thread_local ac_trouble_t *listener;

static void hear(const char *message)
{
    ac_trouble_add(listener, message, strlen(message));
}

static int find(ac_runtime_t *rt, const ac_runtime_start_t *start, ac_trouble_t *trouble)
{
    char folder[PATH_MAX];
    ac_find_t find = {
        .app = folder,
        .chosen = start->dotnet_root,
        .env = (const char *(*)(const char *))getenv,
        .prefix = ""
    };
    const char *slash = strrchr(start->assembly, '/');

    snprintf(folder, sizeof(folder), "%.*s",
             slash ? (int)(slash - start->assembly) : 0, start->assembly);
    if (ac_find_hostfxr(&find, &rt->found)) {
        return 1;
    }
    ac_trouble_add(trouble, rt->found.places, rt->found.n_places);
    return ac_trouble_set(trouble, AC_TROUBLE_RUNTIME, "No .NET runtime was found: "
                          "host/fxr/VERSION/libhostfxr.so is in none of the places "
                          "(AppCoreDotnetRoot, DOTNET_ROOT, /etc/dotnet, "
                          "/usr/share/dotnet, /usr/lib/dotnet, /usr/lib64/dotnet)");
}

static int load(ac_runtime_t *rt, ac_trouble_t *trouble)
{
    static const char *const names[] = {
        "hostfxr_set_error_writer", "hostfxr_initialize_for_dotnet_command_line",
        "hostfxr_get_runtime_property_value", "hostfxr_set_runtime_property_value",
        "hostfxr_run_app", "hostfxr_close"
    };
    void *symbols[sizeof(names) / sizeof(names[0])];
    /* It cannot be unloaded, whatever is closed. */
    void *lib = dlopen(rt->found.hostfxr, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    const char *why;
    size_t i;

    if (!lib) {
        why = dlerror();
        ac_trouble_add(trouble, why, strlen(why));
        return ac_trouble_set(trouble, AC_TROUBLE_HOST, "%s cannot be loaded",
                              rt->found.hostfxr);
    }
    for (i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        symbols[i] = dlsym(lib, names[i]);
        if (!symbols[i]) {
            return ac_trouble_set(trouble, AC_TROUBLE_HOST, "%s has no %s: it is older "
                                  "than .NET 6, or no hostfxr", rt->found.hostfxr,
                                  names[i]);
        }
    }
    _Static_assert(sizeof(symbols) == sizeof(rt->hostfxr), "one member per name");
    memcpy(&rt->hostfxr, symbols, sizeof(symbols));
    return 1;
}

/* Failures that hostfxr leaves without a word, in ours. */
static int explain(const ac_runtime_start_t *start, int rc, ac_trouble_t *trouble)
{
    int substatus = ac_trouble_of_hostfxr(rc);

    switch (substatus) {
    case AC_TROUBLE_APP:
        return ac_trouble_set(trouble, substatus, "%s is no assembly that .NET can run",
                              start->assembly);
    case AC_TROUBLE_SECOND:
        return ac_trouble_set(trouble, substatus, "Another .NET app runs in this process "
                              "already, or ran");
    default:
        return ac_trouble_set(trouble, substatus, "The .NET runtime for the app could "
                              "not be loaded (hostfxr: 0x%08x)", (unsigned)rc);
    }
}

static int initialize(ac_runtime_t *rt, const ac_runtime_start_t *start,
                      ac_trouble_t *trouble)
{
    ac_hostfxr_parameters_t how = { sizeof(how), "", rt->found.root };
    const char **argv = calloc((size_t)start->argc + 2, sizeof(*argv));
    int i, rc = -1;

    if (!argv) {
        return ac_trouble_set(trouble, AC_TROUBLE_START, "No memory");
    }
    argv[0] = start->assembly;
    for (i = 0; i < start->argc; ++i) {
        argv[i + 1] = start->argv[i];
    }
    rc = rt->hostfxr.initialize(start->argc + 1, argv, &how, &rt->handle);
    free(argv);
    return rc >= 0 && rt->handle ? 1 : explain(start, rc, trouble);
}

char *ac_runtime_hooks(const char *ours, const char *others)
{
    size_t ours_len = strlen(ours), size, len;
    const char *at = others ? others : "";
    char *hooks;

    size = ours_len + strlen(at) + 2;
    hooks = malloc(size);
    if (!hooks) {
        return NULL;
    }
    memcpy(hooks, ours, ours_len + 1);
    for (; *at; at += len + (at[len] == ':')) {
        len = strcspn(at, ":");
        if (len && (len != ours_len || memcmp(at, ours, len))) {
            size_t end = strlen(hooks);

            snprintf(hooks + end, size - end, ":%.*s", (int)len, at);
        }
    }
    return hooks;
}

/* In front of the app's own hooks: whatever they do, ours was asked for the bridge
 * before. As a property it is not inherited by what the app starts. */
static int set_hooks(ac_runtime_t *rt, const char *ours)
{
    const char *others = NULL;
    char *hooks;
    int rc;

    if (rt->hostfxr.get_property(rt->handle, "STARTUP_HOOKS", &others) != 0) {
        others = NULL;
    }
    hooks = ac_runtime_hooks(ours, others);
    rc = hooks ? rt->hostfxr.set_property(rt->handle, "STARTUP_HOOKS", hooks) : -1;
    free(hooks);
    return rc;
}

static int set_properties(ac_runtime_t *rt, const ac_runtime_start_t *start,
                          ac_trouble_t *trouble)
{
    char address[2 * sizeof(uintptr_t) + 1];
    int rc;

    snprintf(address, sizeof(address), "%" PRIxPTR, (uintptr_t)start->bridge);
    rc = rt->hostfxr.set_property(rt->handle, "APPCORE_NATIVE", address);
    if (rc >= 0) {
        rc = set_hooks(rt, start->companion);
    }
    if (rc >= 0 && start->stack_size) {
        rc = rt->hostfxr.set_property(rt->handle, "DEFAULT_STACK_SIZE",
                                      start->stack_size);
    }
    return rc >= 0 ? 1 : ac_trouble_set(trouble, AC_TROUBLE_HOST, "hostfxr refused a "
                                        "runtime property (0x%08x)", (unsigned)rc);
}

/* Asked of the runtime, which knows what the app's files say. */
static int find_icu(ac_runtime_t *rt, ac_trouble_t *trouble)
{
    static const char *const names[] = {
        "System.Globalization.Invariant", "System.Globalization.AppLocalIcu"
    };
    const char *values[] = { NULL, NULL };
    int i;

    for (i = 0; i < 2; ++i) {
        if (rt->hostfxr.get_property(rt->handle, names[i], &values[i]) != 0) {
            values[i] = NULL;
        }
    }
    return ac_icu_check(values[0], values[1], trouble);
}

int ac_runtime_prepare(ac_runtime_t *rt, const ac_runtime_start_t *start,
                       ac_trouble_t *trouble)
{
    memset(rt, 0, sizeof(*rt));
    listener = trouble;
    if (!ac_fit_check(start->assembly, start->companion, trouble)
        || !find(rt, start, trouble) || !load(rt, trouble)) {
        return 0;
    }
    rt->hostfxr.set_error_writer(hear);
    if (initialize(rt, start, trouble) && find_icu(rt, trouble)
        && set_properties(rt, start, trouble)) {
        return 1;
    }
    /* One that is left open keeps every later attempt waiting for it. */
    if (rt->handle) {
        rt->hostfxr.close(rt->handle);
        rt->handle = NULL;
    }
    return 0;
}

int ac_runtime_run(ac_runtime_t *rt)
{
    int rc = rt->hostfxr.run_app(rt->handle);

    rt->hostfxr.close(rt->handle);
    rt->handle = NULL;
    return rc;
}
