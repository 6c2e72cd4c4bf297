/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_REQUEST_H
#define AC_REQUEST_REQUEST_H

/* httpd's hooks for one request, in their order: route, handler, error.
 *
 * Any worker thread of a child; the handler blocks for as long as app and client
 * need. Everything per request lives in r->pool. */

#include "httpd.h"

/* child_init: maps board and rows, claims a row, says hello to the manager. */
void ac_request_child_init(apr_pool_t *pchild, server_rec *s);
/* Registers route, handler and log hooks; called from the module file. */
void ac_request_register_hooks(apr_pool_t *p);

#endif
