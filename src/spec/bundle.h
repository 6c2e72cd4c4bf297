/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_BUNDLE_H
#define AC_SPEC_BUNDLE_H

/* .NET apps that were published as a single file: what they would have said in
 * NAME.runtimeconfig.json beside them stands in the program.
 *
 * Called with the app's identity by whoever looks at its folder. The file is read
 * piecewise and nothing in it is trusted. */

#include <apr_pools.h>

/* The runtimeconfig.json in the program that fd is open on, NUL-terminated, its
 * length in *plen; NULL: it is no such program. */
char *ac_bundle_config(int fd, apr_size_t *plen, apr_pool_t *p);

#endif
