/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_END_H
#define AC_INPROC_END_H

/* How apps learn that their child ends: quiesce() when httpd begins to end it and they
 * have started, shutdown() when that has returned and no worker is left, both together
 * within AppCoreShutdownTimeLimit from then on. An app that does not return is ended
 * with the process. */

#include "httpd.h"

/* child_init, after everything that apps need was made in pchild. is_threaded: the
 * MPM. */
void ac_end_init(apr_pool_t *pchild, int is_threaded);

#endif
