/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_CONTEXT_H
#define AC_REQUEST_CONTEXT_H

/* What one request remembers between httpd's phases, in r->pool. */

#include "httpd.h"
#include "conf/conf.h"

#define AC_HANDLER "appcore"

typedef struct ac_context_t {
    const char *original_path;  /* r->uri as httpd normalised it */
    const ac_mount_t *mount;    /* NULL: not an app's */
    int was_checked;            /* httpd had a user's credentials verified */
    const char *request_id;     /* the same on every attempt; NULL until needed */
    int declined;               /* by the app: no mount of its is looked for again */
} ac_context_t;

/* NULL for a request that no mount could concern. */
ac_context_t *ac_context_get(request_rec *r);

/* The app does not want it: httpd serves it as if nothing were mounted here. What the
 * handler returns. */
int ac_route_decline(request_rec *r);

void ac_route_register(apr_pool_t *p);

#endif
