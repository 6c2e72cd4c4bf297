/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "native/icu.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LIBRARY "libicuuc.so"
/* Older ones no .NET takes; newer ones come every half year. */
#define OLDEST 50
#define NEWEST 120

static int is_true(const char *text)
{
    return text && (!strcmp(text, "1") || !strcasecmp(text, "true"));
}

static int is_set(const char *text)
{
    return text && *text;
}

int ac_icu_is_wanted(const char *invariant, const char *local)
{
    return !is_true(invariant)
           && !is_true(getenv("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT"))
           && !is_set(local)
           && !is_set(getenv("DOTNET_SYSTEM_GLOBALIZATION_APPLOCALICU"))
           /* It may name one that is called otherwise. */
           && !is_set(getenv("DOTNET_ICU_VERSION_OVERRIDE"))
           && !is_set(getenv("CLR_ICU_VERSION_OVERRIDE"));
}

static int loads(const char *name)
{
    void *object = dlopen(name, RTLD_LAZY | RTLD_LOCAL);

    return object && dlclose(object) == 0;
}

int ac_icu_is_there(const char *library)
{
    char name[80];
    int version, found = loads(library);

    for (version = NEWEST; version >= OLDEST && !found; --version) {
        snprintf(name, sizeof(name), "%s.%d", library, version);
        found = loads(name);
    }
    return found;
}

int ac_icu_check(const char *invariant, const char *local, ac_trouble_t *trouble)
{
    if (!ac_icu_is_wanted(invariant, local) || ac_icu_is_there(LIBRARY)) {
        return 1;
    }
    return ac_trouble_set(trouble, AC_TROUBLE_START, "The libraries of ICU, which .NET "
                          "needs for cultures, are not installed (package libicu). An "
                          "app that does without says so: "
                          "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1");
}
