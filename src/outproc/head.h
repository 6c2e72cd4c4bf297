/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_OUTPROC_HEAD_H
#define AC_OUTPROC_HEAD_H

/* What an app answers becomes httpd's response, wherever the app runs.
 *
 * Called by whoever holds the request; passing a brigade may block on a slow
 * client. Tables and strings live as long as the request. */

#include "httpd.h"
#include "apr_buckets.h"

/* Takes away the fields that an app writes for httpd, not for clients. */
void ac_head_private(apr_table_t *headers);

/* Status and fields become r's. What modules set before stays unless the app says
 * its own. prior_status: r's before, an error where the app supplies an
 * ErrorDocument. */
void ac_head_apply(request_rec *r, int status, const char *reason,
                   apr_table_t *headers, int prior_status);
/* Takes that back, as long as nothing was passed on. */
void ac_head_undo(request_rec *r, apr_table_t *prior_headers, int prior_status);

/* A 1xx head goes to the client; r stays as it is. */
void ac_head_interim(request_rec *r, int status, const char *reason,
                     apr_table_t *headers);

/* Turns r into a stream of bytes in both directions, after a 101 with these
 * fields. */
void ac_head_switch(request_rec *r, apr_table_t *headers);

/* Passes a brigade and empties it. first: nothing was passed before. */
apr_status_t ac_head_pass(request_rec *r, apr_bucket_brigade *bb, int first);
/* 1 if that status means that the client is gone. */
int ac_head_client_gone(request_rec *r, apr_status_t rv);

/* Ends a response that broke off so that the client sees it. */
void ac_head_broken(request_rec *r, apr_bucket_brigade *bb);

#endif
