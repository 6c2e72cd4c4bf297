/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_SPELLING_H
#define AC_REQUEST_SPELLING_H

/* Spellings that an app may read as another path than httpd did.
 *
 * httpd authorises r->uri. With AllowEncodedSlashes NoDecode that still holds
 * %2F where WSGI and ASGI apps see a slash, and it holds ";parameters" that
 * servlet-like apps cut off. Such a request must also be allowed at the path
 * that the app may read, so that <Location /admin> guards /admin%2Fx and
 * /admin;a/x too. All other URLs pay for one look at their bytes. */

#include <apr_pools.h>

/* The path with every %2F as a slash, or NULL when there is none. */
const char *ac_spelling_slashes(const char *path, apr_pool_t *p);
/* The path without ";…" in its segments, or NULL when there is none. */
const char *ac_spelling_params(const char *path, apr_pool_t *p);

#endif
