/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef APPCORE_DOTNET_VERSION_H
#define APPCORE_DOTNET_VERSION_H

/* Versions of .NET, which are semantic versions: 10.0.1, 11.0.0-preview.4.25258.110.
 * Pure functions; any thread. */

/* Whether the whole text is one. */
int ac_dotnet_version_is(const char *text);

/* Below, equal to, above 0 as a is older than, the same as, newer than b; both are
 * versions. A preview is older than what it leads to; what follows a plus does not
 * count. */
int ac_dotnet_version_compare(const char *a, const char *b);

#endif
