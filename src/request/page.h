/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_PAGE_H
#define AC_REQUEST_PAGE_H

/* Error pages: sends what request/page_text.h makes, or the app's own. Called by the
 * handler before anything of a response went out, on the thread that has the
 * request. */

#include "httpd.h"
#include "request/page_text.h"

/* Sends the page and returns OK. Returns page->status instead, for the handler
 * to return, where an ErrorDocument is to answer: always when page->bare, and
 * instead of the short page when the administrator has one for that status.
 * Retry-After and the note appcore-substatus ("502.5", "503") are set in every
 * case. */
int ac_page_send(request_rec *r, const ac_page_t *page);

/* Sends 503 with the app's own page, which no ErrorDocument replaces; NULL: an
 * empty one. */
void ac_page_send_offline(request_rec *r, apr_file_t *page, apr_off_t size,
                          int retry_after);

/* The same with a page in memory that lives as long as the process. */
void ac_page_send_offline_text(request_rec *r, const char *page, apr_size_t len,
                               int retry_after);

#endif
