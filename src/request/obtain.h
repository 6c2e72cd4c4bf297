/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_OBTAIN_H
#define AC_REQUEST_OBTAIN_H

/* A process of the app for a request, on which that is counted, and a connection to it.
 * For whoever holds the request; nothing here waits. */

#include "request/serve.h"

/* 1: the ready process with the fewest requests in flight is s->proc, and this one is
 * counted there; 0: there is none, or it has all that it may have. */
int ac_obtain_process(ac_serve_t *s);
/* That one had all that AppCoreMaxConcurrency allows. */
int ac_obtain_is_full(const ac_serve_t *s);
/* s->conn, pooled or new. ECONNREFUSED: the process is gone; EAGAIN: its backlog is
 * full. */
apr_status_t ac_obtain_connection(ac_serve_t *s);
/* The request is off the process, on which another one may be waited for. No harm if it
 * was not counted. */
void ac_obtain_release(ac_serve_t *s);
/* Some process has less than AppCoreMaxConcurrency. */
int ac_obtain_has_room(const ac_serve_t *s);

#endif
