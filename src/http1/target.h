/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_HTTP1_TARGET_H
#define AC_HTTP1_TARGET_H

/* The request target that the app sees; see docs/contract.md.
 *
 * Raw bytes of the request line are used only if nothing changed the URI
 * between the wire and the handler and decoding them removes no path segment;
 * otherwise the normalised path, escaped again. Either way the result decodes
 * to a path inside the mount: what httpd authorised is what the app gets. Pure
 * functions; results are in p or point into what was given. */

#include <apr_pools.h>

/* 1 iff path (decoded, as r->uri) lies in prefix on whole segments. prefix "" is
 * everything; it never ends with a slash. */
int ac_target_in_mount(const char *path, const char *prefix);

/* unparsed: r->unparsed_uri (origin-form or absolute-form). path: r->uri now,
 * decoded and normalised by httpd. args: r->args or NULL. original_path: r->uri
 * as it was right after httpd's own normalisation; NULL if unknown. "*" is its
 * own target at the root mount. NULL when no spelling of it lies inside the
 * mount: the path is another's, or has a segment that is "." or ".." to an app
 * which decodes "%2F" and "%5C", reads "\" as "/" or drops ";parameters". */
const char *ac_target_build(const char *unparsed, const char *original_path,
                            const char *path, const char *args, const char *prefix,
                            apr_pool_t *p);

/* For an app inside httpd: the part of path (r->uri) below the mount, "" at it. NULL
 * where ac_target_build() gives none, and for a control byte, which http.sys refuses
 * as well. */
const char *ac_target_below(const char *path, const char *prefix);

/* Percent-encodes a decoded path for a request line: everything but unreserved,
 * sub-delims, ":", "@" and "/". */
const char *ac_target_escape(const char *path, apr_pool_t *p);

/* The path of a redirect, relative or absolute, that stays in the mount; else NULL.
 * prefix as it stands in a URL. */
const char *ac_target_inside(const char *location, const char *prefix);

#endif
