/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_OUTPROC_WIRE_H
#define AC_OUTPROC_WIRE_H

/* How an exchange speaks: HTTP/1.1 or HTTP/2, as the app's process does.
 *
 * A wire turns the request into bytes in x->out and what came from the app into
 * calls of ac_exchange_head(), _payload(), _finish() and so on. It waits for
 * nothing and keeps its state in the exchange or its connection. Used by the
 * exchange's step alone. */

#include "outproc/exchange.h"

typedef struct ac_wire_t ac_wire_t;

struct ac_wire_t {
    /* A request from its beginning, on x->conn. */
    void (*begin)(ac_exchange_t *x);
    /* x->out is empty: 1 when there is more to send now. */
    int (*fill)(ac_exchange_t *x);
    /* All of what one read brought, and what follows from it. */
    void (*take)(ac_exchange_t *x, const char *data, apr_size_t len);
    /* Fills x->out even when the request is sent. */
    int talks;
};

extern const ac_wire_t ac_wire_http1;
extern const ac_wire_t ac_wire_http2;

/* What wires call. */

/* Reads from the client and appends to `to`; 1 when something was. */
int ac_exchange_pull(ac_exchange_t *x, apr_bucket_brigade *to);
/* An interim head other than 101. */
void ac_exchange_interim(ac_exchange_t *x, const ac_response_t *response);
/* The final head; its body follows. */
void ac_exchange_head(ac_exchange_t *x, const ac_response_t *response);
/* Lives until take() returns. */
void ac_exchange_payload(ac_exchange_t *x, const char *data, apr_size_t len);
/* The app's part is over. x->surplus is set before: it may give the connection
 * back. */
void ac_exchange_finish(ac_exchange_t *x);
/* The response is none; why lives as long as the request. */
void ac_exchange_malformed(ac_exchange_t *x, const char *why);

#endif
