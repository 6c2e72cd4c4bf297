/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_CONN_PARK_H
#define AC_CONN_PARK_H

/* Park: a request that waits gives its worker back to the event MPM.
 *
 *            budget over                      epoll readable
 *   RUNS on a worker --> (handler: SUSPENDED) PARKED --> RUNS on any worker
 *      | task ends                               | the MPM closes the connection
 *      v                                         v
 *   request finished                          request given up
 *
 * The connection stays in the MPM's books: it waits for "write completion", and
 * while it does its apr_socket_t names an epoll descriptor of ours in which client
 * and app are. The MPM's listener polls that and brings the connection back to a
 * worker; suspend and resume hooks swap the descriptors. So keep-alive, TLS,
 * access log, graceful restart and the MPM's accounts are as ever.
 *
 * Only for whole requests on connections of the event MPM of httpd 2.4. HTTP/2
 * streams, sub-requests, internal redirects and other MPMs block (conn/block.h),
 * and so does everybody while a parked connection fails to come back.
 *
 * All of it is called on workers, which own the connection meanwhile. docs/
 * architecture.md explains why nothing races. */

#include "conn/account.h"
#include "conn/task.h"

/* Hooks around connections; from the module file. */
void ac_park_register_hooks(apr_pool_t *p);
/* limit: requests that may be parked in this child; hold: AppCoreKeepAliveHold of
 * every connection, whatever it asks for. */
void ac_park_child_init(apr_pool_t *pchild, server_rec *s, unsigned limit,
                        apr_interval_time_t hold);

/* Requests of this child that wait without a worker, or have waited so. */
unsigned ac_park_waiting(void);

/* Runs the task: what the handler returns, SUSPENDED if it was parked. Then
 * task->end() is called later, on whichever worker ends it. */
int ac_park_run(ac_task_t *task);

/* The connection's worker may wait so long for its next request (conn/hold.h). */
void ac_park_hold(conn_rec *c, apr_interval_time_t time);

/* What the connection still holds for a client that is slow goes out as far as it
 * can without waiting. */
void ac_park_flush(conn_rec *c);
/* While on, FLUSH does not wait for the client, on any MPM; data_in_output_filters
 * says whether it has to take something yet. Not on HTTP/2 streams, which always
 * wait. */
void ac_park_quietly(conn_rec *c, int on);
/* From now on FLUSH blocks again, for last words before a connection is closed. */
void ac_park_block(conn_rec *c);

#endif
