/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_OUTPROC_RESPOND_H
#define AC_OUTPROC_RESPOND_H

/* The app's response on its way into httpd's: head, interim heads, end.
 *
 * Parts of an exchange, used by its step alone. They write to r and pass
 * brigades to the output filters, which may block on a slow client. */

#include "outproc/exchange.h"

/* A 1xx head other than 101 goes to the client as it came. */
void ac_respond_interim(ac_exchange_t *x, const ac_response_t *response);
/* The final head becomes r's status and headers. */
void ac_respond_head(ac_exchange_t *x, const ac_response_t *response);
/* Takes the head back, as long as nothing was passed on. */
void ac_respond_undo(ac_exchange_t *x);

/* Passes x->bb. RUNNING; CLIENT_GONE; or FILTERED when a filter refused it. */
ac_outcome_e ac_respond_pass(ac_exchange_t *x);
/* Ends a response that the app broke off so that the client sees it. */
void ac_respond_broken(ac_exchange_t *x);

#endif
