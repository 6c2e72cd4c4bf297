/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_OUTPUT_H
#define AC_INPROC_OUTPUT_H

/* What apps in process print: stdout and stderr of the child of httpd.
 *
 * Both become a pipe, whose other end a small process of the child's own reads: it
 * writes the lines to the app's error log, as the relay does for other apps, and goes
 * on after a crash until it has read the last one. httpd's own messages keep the
 * descriptor that was stderr. */

#include "httpd.h"

/* child_init, while there is one thread. name: of the app, or of all that it may
 * be. app: whose error log and levels count; main: the first of all servers. On
 * failure everything stays as it was. */
apr_status_t ac_output_begin(server_rec *main_server, server_rec *app, const char *name,
                             unsigned log_level, unsigned plain_level,
                             apr_pool_t *pchild);

/* The first AC_CAPTURE_MAX bytes that were printed so far, or NULL. Waits a moment for
 * what is on its way. */
const char *ac_output_captured(apr_pool_t *p);

#endif
