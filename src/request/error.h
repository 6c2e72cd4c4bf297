/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_ERROR_H
#define AC_REQUEST_ERROR_H

/* What a request gets instead of the app's answer.
 *
 * Every function logs one line for the administrator, sets Retry-After and the
 * note "appcore-substatus", and returns an HTTP status, which httpd turns into its
 * own or the configured error document, or AC_ANSWERED when nothing is left to be
 * done. Reading the report of a failed start may block on the disk. */

#include "httpd.h"
#include "conf/conf.h"
#include "inproc/app.h"
#include "outproc/exchange.h"
#include "shared/board.h"

/* Neither OK nor DONE, which mean "go on" while a request waits and is tried: the
 * handler returns OK for it, and nobody tries again. */
#define AC_ANSWERED (-100)

/* 503: cannot be served now, worth another try in `retry` (at least a second). */
int ac_error_unavailable(request_rec *r, const ac_mount_t *mount,
                         apr_interval_time_t retry, const char *why);

/* The app does not run because of a failure that is on the board and in the
 * report: 502.5 and its like with the reason, 503 while the breaker is open. */
int ac_error_start(request_rec *r, const ac_mount_t *mount, const ac_board_app_t *app);

/* The app is offline: 503 with the page that its folder has for that. */
int ac_error_offline(request_rec *r, const ac_mount_t *mount);

/* A WebSocket was asked for, and there is none to be had over HTTP/2: 501. */
int ac_error_upgrade(request_rec *r, const ac_mount_t *mount);

/* An app in process that is not READY: FAILED with its reason, OFFLINE with its page,
 * LEAVING without an answer where that makes the client ask again, else 503. */
int ac_error_inside(request_rec *r, const ac_mount_t *mount, const ac_inproc_t *inproc);

/* The exchange failed for good. */
int ac_error_exchange(ac_exchange_t *x, const ac_mount_t *mount,
                      const ac_board_proc_t *proc);

/* An output filter of httpd refused the response, and may have answered itself. */
int ac_error_filtered(request_rec *r, const ac_mount_t *mount);

/* The client left: nothing to answer. */
int ac_error_client_gone(request_rec *r);

#endif
