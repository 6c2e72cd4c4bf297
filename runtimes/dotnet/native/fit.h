/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef APPCORE_DOTNET_FIT_H
#define APPCORE_DOTNET_FIT_H

/* Whether an app can be run here, and our server brought into it. The runtime is not
 * asked: it ends the process if a start-up hook was built for a newer one, says nothing
 * if the app's assembly is missing, and nothing if it ignores hooks. Reads files of the
 * app's folder, with limits; any thread. */

#include "native/trouble.h"

/* assembly: path of App.dll; companion: that of AppCore.AspNetCore.dll, in a folder
 * netN.0 that names the .NET it was built for; NULL: there is none. 0 if they do not
 * fit; trouble says why. A *.runtimeconfig.json that cannot be read or parsed is
 * hostfxr's to complain about. */
int ac_fit_check(const char *assembly, const char *companion, ac_trouble_t *trouble);

#endif
