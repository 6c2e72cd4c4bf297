/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef APPCORE_DOTNET_TROUBLE_H
#define APPCORE_DOTNET_TROUBLE_H

/* Why an app did not start: sub-status as ANCM numbers them, a sentence, and lines of
 * evidence. One thread at a time; nothing is allocated. */

#include "appcore.h"

#define AC_TROUBLE_START 30     /* the app itself */
#define AC_TROUBLE_RUNTIME 31   /* .NET, or a framework of it, is missing */
#define AC_TROUBLE_HOST 32      /* hostfxr cannot be loaded */
#define AC_TROUBLE_HANDLER 33   /* our server cannot be brought into the app */
#define AC_TROUBLE_SECOND 35    /* another app runs in this process */
#define AC_TROUBLE_APP 38       /* the app's assembly is missing */

typedef struct ac_trouble_t {
    int substatus;              /* 0: none */
    int exit_code;
    char what[512];
    size_t n_evidence;
    char evidence[30000];
} ac_trouble_t;

/* The first one counts. Evidence that is there already is kept. Returns 0, so that
 * the caller can pass it on as "it did not work". */
int ac_trouble_set(ac_trouble_t *t, int substatus, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One more line, or several; what exceeds the limit is left out. */
void ac_trouble_add(ac_trouble_t *t, const char *text, size_t len);

/* The sub-status of what hostfxr answered to initialize(). */
int ac_trouble_of_hostfxr(int rc);

/* Whether run_app() answered that the runtime did not come up, rather than with the
 * exit code of Main. */
int ac_trouble_is_hostfxr(int rc);

/* The host's form of it; points into t. */
appcore_failure ac_trouble_failure(const ac_trouble_t *t);

#endif
