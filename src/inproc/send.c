/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/send.h"

#include <poll.h>
#include <sys/socket.h>

#include "http_protocol.h"
#include "http_ssl.h"
#include "util_filter.h"
#include "conn/park.h"
#include "inproc/table.h"
#include "outproc/head.h"

/* httpd's core filter holds what the socket did not take, and waits for the client
 * above 64 KiB. NONBLOCK keeps below, framing and TLS included. */
#define AHEAD (48 * 1024)

apr_bucket_brigade *ac_send_brigade(ac_call_t *call)
{
    if (!call->bb) {
        call->bb = apr_brigade_create(call->r->pool, call->r->connection->bucket_alloc);
    }
    return call->bb;
}

static void append(ac_call_t *call, apr_bucket *b)
{
    apr_bucket_brigade *bb = ac_send_brigade(call);

    APR_BRIGADE_INSERT_TAIL(bb, b);
}

void ac_send_append(ac_call_t *call, const struct iovec *data, size_t n, size_t total)
{
    apr_bucket_alloc_t *list = call->r->connection->bucket_alloc;
    size_t i;

    for (i = 0; i < n && total; i++) {
        size_t len = data[i].iov_len < total ? data[i].iov_len : total;

        if (len) {
            append(call, apr_bucket_transient_create(data[i].iov_base, len, list));
            total -= len;
        }
    }
}

void ac_send_flush(ac_call_t *call)
{
    append(call, apr_bucket_flush_create(call->r->connection->bucket_alloc));
}

int64_t ac_send_length(const struct iovec *data, size_t n)
{
    int64_t total = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        total += (int64_t)data[i].iov_len;
    }
    return total;
}

int ac_send_pass(ac_call_t *call, int quietly)
{
    request_rec *r = call->r;
    int first = !call->committed;
    apr_status_t rv;

    call->committed = 1;
    if (call->body) {
        call->body->answered = 1;
    }
    if (quietly) {
        ac_park_quietly(r->connection, 1);
    }
    rv = ac_head_pass(r, ac_send_brigade(call), first);
    if (quietly) {
        ac_park_quietly(r->connection, 0);
    }
    /* mod_http2 marks a stream that it has all of as well. */
    if (rv == APR_SUCCESS && (call->finished || !r->connection->aborted)) {
        return APPCORE_OK;
    }
    if (ac_head_client_gone(r, rv)) {
        return APPCORE_GONE;
    }
    r->connection->keepalive = AP_CONN_CLOSE;
    call->finished = 1;
    call->instead = AP_FILTER_ERROR;
    return APPCORE_FAILED;
}

/* A stream whose answer is complete before its body is reset by mod_http2, and there
 * are clients that throw the answer away then. So a short body of known length is
 * waited for, as httpd's own handlers do; a longer one, or an exchange in both
 * directions, is not. */
static void settle_stream(const ac_call_t *call, ac_body_t *body)
{
    if (body->framing == AC_BODY_LENGTH && body->length <= AC_BODY_DRAIN && !body->held
        && (!call->fault || call->fault == APPCORE_TOO_LARGE)) {
        body->blocking = 1;
        body->limit = -1;
        ac_body_buffer(body, AC_BODY_DRAIN);
    }
}

/* What came already is kept for read(), and the head can still say that the connection
 * ends. */
void ac_send_settle(ac_call_t *call)
{
    ac_body_t *body = call->body;
    conn_rec *c = call->r->connection;

    if (!body || body->complete) {
        return;
    }
    if (c->master) {
        settle_stream(call, body);
        return;
    }
    if (c->keepalive == AP_CONN_CLOSE) {
        return;
    }
    if (!body->held && !call->fault) {
        body->blocking = 0;
        ac_body_buffer(body, AC_BODY_DRAIN);
    }
    if (!body->complete) {
        c->keepalive = AP_CONN_CLOSE;
    }
}

void ac_send_end(ac_call_t *call)
{
    ac_send_settle(call);
    if (call->later) {
        ac_send_flush(call);
    }
    append(call, apr_bucket_eos_create(call->r->connection->bucket_alloc));
    call->finished = 1;
}

void ac_send_close(ac_call_t *call)
{
    conn_rec *c = call->r->connection;

    if (call->upgraded && call->finished && !call->closed_ours
        && !c->data_in_output_filters && call->client_fd >= 0
        && !ap_ssl_conn_is_ssl(c)) {
        call->closed_ours = 1;
        shutdown(call->client_fd, SHUT_WR);
    }
}

/* How much of that may be passed on now. */
static size_t room(ac_call_t *call, size_t total, uint32_t flags)
{
    conn_rec *c = call->r->connection;

    if (!(flags & APPCORE_NONBLOCK) || c->master) {
        return total;
    }
    if (c->data_in_output_filters && call->ahead >= AHEAD) {
        ac_park_flush(c);
    }
    if (!c->data_in_output_filters) {
        call->ahead = 0;
    }
    if (call->ahead >= AHEAD) {
        return 0;
    }
    return total < AHEAD - call->ahead ? total : AHEAD - call->ahead;
}

void ac_send_count(ac_call_t *call, apr_off_t n, uint32_t flags)
{
    call->r->bytes_sent += n;
    if (flags & APPCORE_LAST) {
        call->finished = 1;
        ac_send_close(call);
    }
}

static int64_t write_piece(ac_call_t *call, const struct iovec *data, size_t n,
                           size_t part, uint32_t flags)
{
    int quietly = (flags & APPCORE_NONBLOCK) != 0;
    int rv;

    if (!call->bodiless) {
        ac_send_append(call, data, n, part);
    }
    if ((flags & APPCORE_FLUSH) || call->upgraded) {
        ac_send_flush(call);
    }
    if ((flags & APPCORE_LAST) && !call->upgraded) {
        ac_send_end(call);
    }
    rv = APR_BRIGADE_EMPTY(ac_send_brigade(call)) ? APPCORE_OK
                                                  : ac_send_pass(call, quietly);
    if (rv != APPCORE_OK) {
        return rv;
    }
    call->unflushed = !(flags & APPCORE_FLUSH);
    call->ahead += part;
    call->since = 0;
    if (call->left >= 0) {
        call->left -= (apr_int64_t)part;
    }
    if (call->upgraded) {
        ac_send_count(call, (apr_off_t)part, flags);
    }
    return (int64_t)part;
}

int ac_send_check(ac_call_t *call, int64_t total, uint32_t flags)
{
    if (atomic_load(&call->gone) || call->r->connection->aborted) {
        return APPCORE_GONE;
    }
    if (call->finished || ac_answer_begin(call) != APPCORE_OK) {
        return APPCORE_INVALID;
    }
    if (call->left >= 0 && !call->upgraded && !call->bodiless
        && (total > call->left || ((flags & APPCORE_LAST) && total < call->left))) {
        return APPCORE_INVALID;
    }
    return APPCORE_OK;
}

static int64_t write_some(ac_call_t *call, const struct iovec *data, size_t n,
                          uint32_t flags)
{
    int64_t total = ac_send_length(data, n);
    int rv = ac_send_check(call, total, flags);
    size_t part;

    if (rv != APPCORE_OK) {
        return rv;
    }
    if (call->instead) {
        return total;
    }
    part = call->bodiless ? (size_t)total : room(call, (size_t)total, flags);
    if ((int64_t)part < total) {
        call->want_client |= POLLOUT;
        flags = (flags | APPCORE_FLUSH) & ~APPCORE_LAST;
        return part ? write_piece(call, data, n, part, flags) : APPCORE_AGAIN;
    }
    return write_piece(call, data, n, part, flags);
}

int64_t ac_table_write(appcore_request number, const struct iovec *data, size_t n,
                       uint32_t flags)
{
    int error = APPCORE_OK;
    ac_call_t *call = ac_call_acquire(number, &error);
    int64_t rv = error;

    if (call) {
        rv = write_some(call, data, n, flags);
        ac_call_release(call);
    }
    return rv;
}
