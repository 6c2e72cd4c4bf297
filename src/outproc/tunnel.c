/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "outproc/tunnel.h"

#include <poll.h>

#include "http_log.h"
#include "http_protocol.h"
#include "util_filter.h"
#include "apr_strings.h"
#include "outproc/head.h"

APLOG_USE_MODULE(appcore);

#define READ_SIZE (32 * 1024)

void ac_tunnel_begin(ac_exchange_t *x)
{
    ac_head_switch(x->r, x->response->headers);
    x->committed = 1;
    x->phase = AC_PHASE_TUNNEL;
    /* Frames may have come with the request already. */
    x->client_dry = 0;
}

void ac_tunnel_to_client(ac_exchange_t *x, const char *data, apr_size_t len)
{
    apr_bucket_alloc_t *list = x->bb->bucket_alloc;

    x->r->bytes_sent += (apr_off_t)len;
    APR_BRIGADE_INSERT_TAIL(x->bb, apr_bucket_transient_create(data, len, list));
    APR_BRIGADE_INSERT_TAIL(x->bb, apr_bucket_flush_create(list));
}

/* Moves data from a brigade of the connection to x->out; 0 at its end. */
static int move_data(ac_exchange_t *x, apr_bucket_brigade *in)
{
    int open = 1;

    while (!APR_BRIGADE_EMPTY(in)) {
        apr_bucket *b = APR_BRIGADE_FIRST(in);
        const char *data;
        apr_size_t n = 0;

        if (APR_BUCKET_IS_EOS(b)) {
            /* mod_http2 ends the request, which has no body, before the stream
             * goes on. */
            open = x->body->tunnel;
            x->body->tunnel = 0;
        }
        if (!APR_BUCKET_IS_METADATA(b)
            && apr_bucket_read(b, &data, &n, APR_BLOCK_READ) == APR_SUCCESS && n) {
            apr_bucket_setaside(b, x->r->pool);
            APR_BUCKET_REMOVE(b);
            APR_BRIGADE_INSERT_TAIL(x->out, b);
        }
        else {
            apr_bucket_delete(b);
        }
    }
    return open;
}

void ac_tunnel_from_client(ac_exchange_t *x)
{
    apr_bucket_brigade *in = x->body->in;
    int open = 1;

    if (!in) {
        in = x->body->in = apr_brigade_create(x->r->pool,
                                              x->r->connection->bucket_alloc);
    }
    while (open) {
        apr_status_t rv = ac_exchange_send(x);

        if (APR_STATUS_IS_EAGAIN(rv)) {
            x->want_app |= POLLOUT;
            return;
        }
        if (rv != APR_SUCCESS) {
            break;
        }
        if (ac_exchange_client_dry(x)) {
            return;
        }
        /* Until EAGAIN: bytes that TLS holds decrypted wake no poll(). */
        rv = ap_get_brigade(x->r->input_filters, in, AP_MODE_READBYTES,
                            APR_NONBLOCK_READ, READ_SIZE);
        if (APR_STATUS_IS_EAGAIN(rv) || (rv == APR_SUCCESS && APR_BRIGADE_EMPTY(in))) {
            x->client_dry = 1;
            x->want_client |= POLLIN;
            return;
        }
        open = rv == APR_SUCCESS && move_data(x, in);
    }
    /* Either side is gone; what the client said last is sent if it can be. */
    ac_exchange_send(x);
    ac_exchange_fail(x, AC_OUTCOME_DONE);
}
