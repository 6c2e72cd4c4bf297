/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_OUTPROC_TUNNEL_H
#define AC_OUTPROC_TUNNEL_H

/* After 101: bytes both ways until either side closes.
 *
 * Bytes pass the connection filters, so TLS and HTTP/2 streams work as plain
 * connections do; request filters are out of the way. Parts of an exchange, used
 * by its step alone; what holds for that holds here. */

#include "outproc/exchange.h"

/* Passes the 101 on and turns the exchange into a tunnel. */
void ac_tunnel_begin(ac_exchange_t *x);
/* Bytes from the app; collected in x->bb and passed by the step, flushed. */
void ac_tunnel_to_client(ac_exchange_t *x, const char *data, apr_size_t len);
/* Whatever the client has sent goes to the app. */
void ac_tunnel_from_client(ac_exchange_t *x);

#endif
