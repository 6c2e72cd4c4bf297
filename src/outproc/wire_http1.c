/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "outproc/wire.h"

#include "base/clock.h"
#include "outproc/tunnel.h"

static void begin(ac_exchange_t *x)
{
    x->body->bare = 0;
    APR_BRIGADE_INSERT_TAIL(x->out, apr_bucket_immortal_create(x->head, x->head_len,
                                                               x->out->bucket_alloc));
}

static int fill(ac_exchange_t *x)
{
    return ac_exchange_pull(x, x->out);
}

static void final_head(ac_exchange_t *x, const ac_response_t *response, int surplus)
{
    ac_exchange_head(x, response);
    x->left = response->length;
    if (response->framing == AC_FRAMING_CHUNKED) {
        ac_chunk_decoder_init(&x->chunks, x->r->pool);
    }
    if (response->framing == AC_FRAMING_NONE
        || (response->framing == AC_FRAMING_LENGTH && x->left == 0)) {
        x->surplus = surplus;
        ac_exchange_finish(x);
    }
}

/* surplus: bytes follow the head in what was read. */
static void take_head(ac_exchange_t *x, int surplus)
{
    const ac_response_t *response = ac_response_finish(x->parser, x->r->header_only);

    if (response->framing == AC_FRAMING_TUNNEL) {
        if (!x->upgrade_asked) {
            ac_exchange_malformed(x, "it switched protocols without being asked to");
            return;
        }
        x->response = response;
        ac_tunnel_begin(x);
    }
    else if (response->status >= 200) {
        final_head(x, response, surplus);
    }
    else {
        ac_exchange_interim(x, response);
        ac_response_parser_reset(x->parser);
    }
}

/* Servers of HTTP/2 say SETTINGS before anything else. */
static int is_http2(const ac_exchange_t *x, const char *data, apr_size_t len)
{
    return x->received == len && len >= 9 && data[0] == '\0' && data[3] == 4;
}

static apr_size_t parse_head(ac_exchange_t *x, const char *data, apr_size_t len)
{
    apr_size_t used = 0;
    apr_status_t rv = ac_response_parse(x->parser, data, len, &used);

    if (rv == APR_SUCCESS) {
        take_head(x, used < len);
    }
    else if (rv != APR_INCOMPLETE) {
        ac_exchange_malformed(x, is_http2(x, data, len)
                                 ? "it speaks HTTP/2, which 'AppCoreProtocol h2c' is for"
                                 : ac_response_parser_error(x->parser));
        used = len;
    }
    return used;
}

static apr_size_t take_chunks(ac_exchange_t *x, const char *data, apr_size_t len)
{
    apr_size_t used = 0, n = 0;
    const char *run = NULL;
    apr_status_t rv = ac_chunk_decode(&x->chunks, data, len, &used, &run, &n);

    if (rv == APR_SUCCESS) {
        ac_exchange_payload(x, run, n);
    }
    else if (rv == APR_EOF) {
        if (x->chunks.trailers) {
            x->r->trailers_out = x->chunks.trailers;
        }
        x->surplus = used < len;
        ac_exchange_finish(x);
    }
    else if (rv != APR_INCOMPLETE) {
        ac_exchange_malformed(x, "its chunked coding is wrong");
        used = len;
    }
    return used;
}

static apr_size_t take_body(ac_exchange_t *x, const char *data, apr_size_t len)
{
    switch (x->response->framing) {
    case AC_FRAMING_LENGTH:
        if ((apr_int64_t)len > x->left) {
            x->surplus = 1;
            len = (apr_size_t)x->left;
        }
        x->left -= (apr_int64_t)len;
        ac_exchange_payload(x, data, len);
        if (x->left == 0) {
            ac_exchange_finish(x);
        }
        return len;
    case AC_FRAMING_CHUNKED:
        return take_chunks(x, data, len);
    default:
        ac_exchange_payload(x, data, len);
        return len;
    }
}

/* Heads, body, the bytes of a tunnel. What comes after the end of the response is
 * surplus. */
static void take(ac_exchange_t *x, const char *data, apr_size_t len)
{
    x->received += len;
    x->progress = ac_clock_now();
    while (len && x->phase != AC_PHASE_END) {
        apr_size_t used;

        if (x->phase == AC_PHASE_HEAD) {
            used = parse_head(x, data, len);
        }
        else if (x->phase == AC_PHASE_BODY) {
            used = take_body(x, data, len);
        }
        else {
            ac_tunnel_to_client(x, data, len);
            used = len;
        }
        data += used;
        len -= used;
    }
}

const ac_wire_t ac_wire_http1 = { begin, fill, take, 0 };
