/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_HTTP1_RESPONSE_H
#define AC_HTTP1_RESPONSE_H

/* An incremental parser for the head of a response, RFC 9112.
 *
 * One parser per exchange, fed with whatever arrived; it consumes at most one
 * head (interim or final) and says how the body is framed. It allocates header
 * names and values in the request's pool, nothing else, and stops at hard
 * limits. It never blocks and touches no descriptor. Rejected: bare CR, NUL and
 * other control bytes, a space before the colon, a name that is no token,
 * obs-fold, differing Content-Length, any Transfer-Encoding but "chunked" once
 * (nothing else can be decoded here), status below 100. Above 599 there is no
 * meaning, but apps use it and clients take it for 500 (RFC 9110 15).
 * A lone LF ends a line as CRLF does. Content-Length beside Transfer-Encoding
 * is dropped and the connection not used again (RFC 9112 6.3). */

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_errno.h>

typedef struct ac_response_limits_t {
    apr_size_t line;            /* bytes of one line; 16 KiB */
    apr_size_t head;            /* bytes of a whole head; 64 KiB */
    int fields;                 /* 200 */
} ac_response_limits_t;

typedef enum ac_framing_e {
    AC_FRAMING_NONE = 0,        /* HEAD, 1xx, 204, 304: no body whatever headers say */
    AC_FRAMING_LENGTH,
    AC_FRAMING_CHUNKED,
    AC_FRAMING_EOF,             /* until the app closes */
    AC_FRAMING_STREAM,          /* HTTP/2, never of this parser: its stream ends */
    AC_FRAMING_TUNNEL           /* 101: bytes both ways */
} ac_framing_e;

typedef struct ac_response_t {
    int status;
    int minor;                  /* HTTP/1.minor */
    const char *reason;         /* control bytes removed, may be "" */
    apr_table_t *headers;       /* hop-by-hop removed by ac_response_finish() */
    ac_framing_e framing;
    apr_int64_t length;         /* AC_FRAMING_LENGTH */
    int keep_alive;             /* the connection may serve another request */
    apr_interval_time_t idle;   /* Keep-Alive: timeout=N in µs, 0 if not said */
} ac_response_t;

typedef struct ac_response_parser_t ac_response_parser_t;

ac_response_parser_t *ac_response_parser_create(const ac_response_limits_t *limits,
                                                apr_pool_t *p);
/* For the next head on the same exchange (after an interim one). */
void ac_response_parser_reset(ac_response_parser_t *parser);

/* Consumes from data: APR_SUCCESS when a head is complete (*pused bytes were
 * part of it), APR_INCOMPLETE when more is needed (all was taken), APR_EGENERAL
 * when it is no acceptable response; ac_response_parser_error() says why. */
apr_status_t ac_response_parse(ac_response_parser_t *parser, const char *data,
                               apr_size_t len, apr_size_t *pused);
const char *ac_response_parser_error(const ac_response_parser_t *parser);

/* The head just completed. head_request: the request was HEAD. Computes framing
 * and keep-alive and removes hop-by-hop fields: Connection and what it names,
 * Keep-Alive, Proxy-Connection, Transfer-Encoding, TE, Upgrade (kept on 101),
 * and Content-Length only where it is wrong. Trailer is kept. */
const ac_response_t *ac_response_finish(ac_response_parser_t *parser, int head_request);

#endif
