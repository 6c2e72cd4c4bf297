/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_OUTPROC_BACKPRESSURE_H
#define AC_OUTPROC_BACKPRESSURE_H

/* A client that takes the response more slowly than the app gives it.
 *
 * Where writing does not block (ac_exchange_t.async) httpd's core filter keeps
 * what the socket did not take, and blocks all the same above 64 KiB. So only a
 * little is passed on ahead of the client; then the app is not read until the
 * client took it all. In every other exchange none of this does anything. */

#include "outproc/exchange.h"

/* At the start of a step: writes on what is held, if the client takes more. */
void ac_backpressure_begin(ac_exchange_t *x);
/* 1: read nothing of the app now. */
int ac_backpressure_blocked(ac_exchange_t *x);
/* How much of the app may be read at once, at most size. */
apr_size_t ac_backpressure_room(const ac_exchange_t *x, apr_size_t size);
/* At the end of a step: waits for the client to take what it is meant to have. */
void ac_backpressure_want(ac_exchange_t *x);

#endif
