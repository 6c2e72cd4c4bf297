/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_LEAVE_H
#define AC_INPROC_LEAVE_H

/* The end of a child of httpd that hosts apps.
 *
 * httpd has no function by which a module replaces the child it is in. But every
 * MPM takes an accept function that answers APR_EGENERAL for a shortage of
 * resources: it stops accepting, serves what it has, ends, and the parent starts
 * another. So a child that leaves gets such accept functions, and the minder
 * connects to its listeners until the MPM has called one. Connections that come
 * meanwhile wait in the backlog or go to other children. */

#include "httpd.h"

/* child_init. is_threaded: the MPM. */
void ac_leave_init(server_rec *s, int is_threaded);
/* Any thread: httpd is to replace this child. still_serves: its apps can, so there is
 * time to tell clients; a later call without may cut that short. */
void ac_leave_begin(int still_serves);
int ac_leave_begun(void);

/* 1 once the MPM is ending this child, for whatever reason. */
int ac_leave_stopping(void);

/* How much of an app's limit (milliseconds) is left for its end, now that httpd ends
 * this child: httpd kills what it did not tell to end gracefully. And how much of that
 * its requests may take, of which clients are gone. */
apr_interval_time_t ac_leave_left(uint32_t limit_ms);
apr_interval_time_t ac_leave_for_requests(uint32_t limit_ms);

/* post_read_request: responses of a child that leaves close their connections. */
int ac_leave_see_request(request_rec *r);
/* child_stopping: httpd ends this child. */
void ac_leave_hook(apr_pool_t *pchild, int graceful);

#endif
