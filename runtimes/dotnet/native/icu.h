/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef APPCORE_DOTNET_ICU_H
#define APPCORE_DOTNET_ICU_H

/* Whether the libraries are there without which the runtime aborts the process before
 * it runs anything of the app: those of ICU, unless the app does without cultures or
 * brings them itself. Any thread; reads the environment. */

#include "native/trouble.h"

/* The properties System.Globalization.Invariant and System.Globalization.AppLocalIcu;
 * NULL: not set. What the environment says counts as well. */
int ac_icu_is_wanted(const char *invariant, const char *local);
/* 1 if some version of that library can be loaded, as the runtime looks for it. */
int ac_icu_is_there(const char *library);
/* 0 with trouble if the runtime would end the process. */
int ac_icu_check(const char *invariant, const char *local, ac_trouble_t *trouble);

#endif
