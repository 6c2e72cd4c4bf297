/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_OUTPUT_H
#define AC_INPROC_OUTPUT_H

/* What apps in process print: stdout and stderr of the child of httpd.
 *
 * Both become a pipe that a process of the child's own reads (inproc/reader.h), which
 * goes on after a crash until it has read the last word. httpd's own messages keep
 * the descriptor that was stderr. A child has one output, whatever the number of apps
 * in it. */

#include "httpd.h"
#include "shared/message.h"

/* child_init, while there is one thread. app: whose error log is to be written to;
 * main_server: the first of all. target: until ac_output_aim(), with all names that may
 * be meant. On failure everything stays as it was. */
apr_status_t ac_output_begin(server_rec *main_server, server_rec *app,
                             const ac_log_target_t *target, apr_pool_t *pchild);
/* Any thread, before the app in question is loaded: where output goes. The first one
 * counts. folder: of the app. */
void ac_output_aim(const ac_log_target_t *target, const char *folder);

/* The first AC_CAPTURE_MAX bytes that were printed so far, or NULL. Waits a moment for
 * what is on its way. */
const char *ac_output_captured(apr_pool_t *p);

#endif
