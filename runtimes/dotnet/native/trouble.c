/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "native/trouble.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "native/hostfxr.h"

int ac_trouble_set(ac_trouble_t *t, int substatus, const char *format, ...)
{
    va_list args;

    if (!t->substatus) {
        t->substatus = substatus;
        va_start(args, format);
        vsnprintf(t->what, sizeof(t->what), format, args);
        va_end(args);
    }
    return 0;
}

void ac_trouble_add(ac_trouble_t *t, const char *text, size_t len)
{
    size_t room = sizeof(t->evidence) - t->n_evidence;

    if (!len || room < 2) {
        return;
    }
    len = len < room - 1 ? len : room - 1;
    memcpy(t->evidence + t->n_evidence, text, len);
    t->n_evidence += len;
    if (text[len - 1] != '\n') {
        t->evidence[t->n_evidence++] = '\n';
    }
}

int ac_trouble_of_hostfxr(int rc)
{
    switch ((unsigned)rc) {
    case AC_HOSTFXR_APP_MISSING:
        return AC_TROUBLE_APP;
    case AC_HOSTFXR_SECOND_APP:
        return AC_TROUBLE_SECOND;
    default:
        return AC_TROUBLE_RUNTIME;
    }
}

int ac_trouble_is_hostfxr(int rc)
{
    return (unsigned)rc >= AC_HOSTFXR_FIRST_ERROR
           && (unsigned)rc <= AC_HOSTFXR_LAST_ERROR;
}

appcore_failure ac_trouble_failure(const ac_trouble_t *t)
{
    return (appcore_failure){
        .size = sizeof(appcore_failure),
        .substatus = t->substatus,
        .exit_code = t->exit_code,
        .what = { t->what, strlen(t->what) },
        .evidence = { t->evidence, t->n_evidence }
    };
}
