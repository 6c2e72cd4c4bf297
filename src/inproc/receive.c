/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* What the client sends: the body, or its side of an upgraded connection. */

#include "inproc/table.h"

#include <poll.h>
#include <string.h>

#include "http_log.h"
#include "http_protocol.h"
#include "util_filter.h"
#include "apr_base64.h"
#include "apr_sha1.h"
#include "base/clock.h"
#include "conn/park.h"
#include "inproc/fields.h"
#include "outproc/head.h"

APLOG_USE_MODULE(appcore);

/* How soon who waits for a stream of HTTP/2 sees that it was cut off. */
#define LOOK_AGAIN_MS 200
#define WEBSOCKET_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static apr_bucket_brigade *input(ac_call_t *call)
{
    if (!call->in) {
        call->in = apr_brigade_create(call->r->pool, call->r->connection->bucket_alloc);
    }
    return call->in;
}

/* Moves up to size bytes of data out of the brigade; *pend: it said that nothing
 * follows. */
static int64_t take(apr_bucket_brigade *bb, char *to, size_t size, int *pend)
{
    size_t taken = 0;

    while (taken < size && !APR_BRIGADE_EMPTY(bb)) {
        apr_bucket *b = APR_BRIGADE_FIRST(bb);
        const char *data;
        apr_size_t n = 0;

        if (APR_BUCKET_IS_EOS(b)) {
            *pend = 1;
        }
        if (!APR_BUCKET_IS_METADATA(b)) {
            if (apr_bucket_read(b, &data, &n, APR_BLOCK_READ) != APR_SUCCESS) {
                return APPCORE_GONE;
            }
            if (n > size - taken) {
                n = size - taken;
                apr_bucket_split(b, n);
            }
            memcpy(to + taken, data, n);
            taken += n;
        }
        apr_bucket_delete(b);
    }
    return (int64_t)taken;
}

static int fault_of(const ac_call_t *call, apr_status_t rv)
{
    if (call->r->connection->aborted || rv == APR_INCOMPLETE || APR_STATUS_IS_EOF(rv)
        || APR_STATUS_IS_ECONNRESET(rv) || APR_STATUS_IS_ECONNABORTED(rv)
        || APR_STATUS_IS_EPIPE(rv)) {
        return APPCORE_GONE;
    }
    switch (call->body->http_status) {
    case HTTP_REQUEST_ENTITY_TOO_LARGE:
        return APPCORE_TOO_LARGE;
    case HTTP_REQUEST_TIME_OUT:
        return APPCORE_TIMEOUT;
    default:
        return APPCORE_MALFORMED;
    }
}

/* Whatever follows on this connection is no request. */
static int fault(ac_call_t *call, int error)
{
    call->fault = error;
    if (!call->r->connection->master) {
        call->r->connection->keepalive = AP_CONN_CLOSE;
    }
    return error;
}

/* All that came of who is gone has been read. */
static int again(ac_call_t *call)
{
    if (atomic_load(&call->gone)) {
        return fault(call, APPCORE_GONE);
    }
    call->want_client |= POLLIN;
    return APPCORE_AGAIN;
}

/* Who waits for a stream of HTTP/2 does it here: it has no socket that abort() could
 * shut down, and httpd's filters do not look up. -1: they are to wait. */
static int stream_of(const ac_call_t *call)
{
    conn_rec *c = call->r->connection;

    return c->master ? ac_task_stream_fd(c) : -1;
}

static void await_stream(int fd)
{
    struct pollfd pfd = { .fd = fd, .events = POLLIN };

    poll(&pfd, 1, LOOK_AGAIN_MS);
}

/* Nothing has come: 0 to look again, or what read() answers. */
static int wait_for_body(ac_call_t *call, int stream, int waits, apr_time_t *puntil)
{
    if (call->body->blocking) {
        return fault(call, APPCORE_TIMEOUT);
    }
    if (!waits || stream < 0 || atomic_load(&call->gone)) {
        return again(call);
    }
    if (!*puntil) {
        *puntil = ac_clock_now() + call->r->server->timeout;
    }
    await_stream(stream);
    return ac_clock_now() < *puntil ? 0 : fault(call, APPCORE_TIMEOUT);
}

static int64_t read_body(ac_call_t *call, char *to, size_t size, uint32_t flags)
{
    ac_body_t *body = call->body;
    apr_bucket_brigade *in = input(call);
    int end = 0, stream = stream_of(call), waits;
    apr_time_t until = 0;

    if (!body) {
        return 0;
    }
    /* An app that reads a stream would else write nothing until its client sends. */
    waits = !(flags & APPCORE_NONBLOCK) || (call->r->connection->master && stream < 0);
    body->blocking = waits && stream < 0 && !atomic_load(&call->gone);
    ac_body_release(body);
    while (APR_BRIGADE_EMPTY(in)) {
        apr_status_t rv = ac_body_read(body, in);
        int error = 0;

        if (APR_STATUS_IS_EOF(rv) && body->ended) {
            return 0;
        }
        if (APR_STATUS_IS_EAGAIN(rv)) {
            error = wait_for_body(call, stream, waits, &until);
        }
        else if (rv != APR_SUCCESS) {
            error = fault(call, fault_of(call, rv));
        }
        if (error) {
            return error;
        }
    }
    return take(in, to, size, &end);
}

/* How to look for more of it. */
static apr_read_type_e stream_mode(const ac_call_t *call, int stream, uint32_t flags)
{
    return (flags & APPCORE_NONBLOCK) || stream >= 0 || atomic_load(&call->gone)
           ? APR_NONBLOCK_READ : APR_BLOCK_READ;
}

static int64_t read_stream(ac_call_t *call, char *to, size_t size, uint32_t flags)
{
    request_rec *r = call->r;
    apr_bucket_brigade *in = input(call);
    int stream = stream_of(call), looks = 0;
    int64_t n;

    for (;;) {
        int end = 0;
        apr_status_t rv;

        n = take(in, to, size, &end);
        if (n) {
            return n;
        }
        if (end && !call->tunnel) {
            call->stream_ended = 1;
            return 0;
        }
        /* mod_http2 ends the request, which has no body, before the stream goes on. */
        if (end) {
            call->tunnel = 0;
        }
        rv = ap_get_brigade(r->input_filters, in, AP_MODE_READBYTES,
                            stream_mode(call, stream, flags), (apr_off_t)size);
        if (APR_STATUS_IS_EOF(rv)) {
            call->stream_ended = 1;
            return 0;
        }
        if (APR_STATUS_IS_EAGAIN(rv) || (rv == APR_SUCCESS && APR_BRIGADE_EMPTY(in))) {
            /* httpd reads a closed socket as nothing, and only then as its end. */
            if (atomic_load(&call->gone) && !looks++) {
                continue;
            }
            if ((flags & APPCORE_NONBLOCK) || atomic_load(&call->gone)) {
                return again(call);
            }
            if (stream >= 0) {
                await_stream(stream);
            }
        }
        else if (rv != APR_SUCCESS && !APR_STATUS_IS_TIMEUP(rv)) {
            return fault(call, APPCORE_GONE);
        }
    }
}

static int64_t read_some(ac_call_t *call, void *data, size_t size, uint32_t flags)
{
    if (call->fault || call->stream_ended) {
        return call->fault;
    }
    return call->upgraded ? read_stream(call, data, size, flags)
                          : read_body(call, data, size, flags);
}

/* The client may wait for the rest of what was written before it goes on to send. */
static void push_before_waiting(const ac_call_t *call)
{
    struct pollfd pfd = { .fd = call->client_fd, .events = POLLIN | POLLOUT };
    conn_rec *c = call->r->connection;
    int timeout = (int)apr_time_as_msec(call->r->server->timeout);

    while (c->data_in_output_filters && !c->aborted && poll(&pfd, 1, timeout) > 0
           && !(pfd.revents & ~POLLOUT)) {
        ac_park_flush(c);
    }
}

static int64_t read_patiently(ac_call_t *call, void *data, size_t size, uint32_t flags)
{
    short wanted = call->want_client;
    int64_t rv = APPCORE_AGAIN;

    if (call->r->connection->data_in_output_filters && call->client_fd >= 0) {
        rv = read_some(call, data, size, flags | APPCORE_NONBLOCK);
        if (rv == APPCORE_AGAIN) {
            call->want_client = wanted;
            push_before_waiting(call);
        }
    }
    return rv == APPCORE_AGAIN ? read_some(call, data, size, flags) : rv;
}

int64_t ac_table_read(appcore_request number, void *data, size_t size, uint32_t flags)
{
    int error = APPCORE_OK;
    ac_call_t *call = ac_call_acquire(number, &error);
    int64_t rv = error;

    if (!call) {
        return rv;
    }
    call->was_read = 1;
    if (!size) {
        rv = APPCORE_INVALID;
    }
    else if (flags & APPCORE_NONBLOCK) {
        rv = read_some(call, data, size, flags);
    }
    else {
        rv = read_patiently(call, data, size, flags);
    }
    if (rv > 0) {
        call->since = 0;
    }
    ac_call_release(call);
    return rv;
}

int ac_table_limit_body(appcore_request number, int64_t size)
{
    int rv;
    ac_call_t *call = ac_call_acquire(number, &rv);

    if (!call) {
        return rv;
    }
    rv = call->was_read || size < -1 ? APPCORE_INVALID : APPCORE_OK;
    if (rv == APPCORE_OK && call->body) {
        /* The administrator's limit stays. */
        call->body->limit = size;
        if (call->inproc->max_body >= 0 && (size < 0 || size > call->inproc->max_body)) {
            call->body->limit = call->inproc->max_body;
        }
        call->fault = call->body->limit >= 0 && call->body->length > call->body->limit
                      ? APPCORE_TOO_LARGE : APPCORE_OK;
    }
    ac_call_release(call);
    return rv;
}

/* RFC 6455 4.2.2. mod_http2 makes a key for a stream and believes nobody who does not
 * answer it; apps know that HTTP/2 has none. */
static const char *websocket_accept(const char *key, apr_pool_t *p)
{
    unsigned char digest[APR_SHA1_DIGESTSIZE];
    apr_sha1_ctx_t sha1;
    char *text = apr_palloc(p, (apr_size_t)apr_base64_encode_len(sizeof(digest)));

    apr_sha1_init(&sha1);
    apr_sha1_update(&sha1, key, (unsigned)strlen(key));
    apr_sha1_update(&sha1, WEBSOCKET_GUID, sizeof(WEBSOCKET_GUID) - 1);
    apr_sha1_final(digest, &sha1);
    apr_base64_encode_binary(text, digest, sizeof(digest));
    return text;
}

static void accept_stream(request_rec *r, apr_table_t *fields)
{
    const char *key = apr_table_get(r->headers_in, "Sec-WebSocket-Key");

    if (key && !apr_table_get(fields, "Sec-WebSocket-Accept")) {
        apr_table_setn(fields, "Sec-WebSocket-Accept", websocket_accept(key, r->pool));
    }
}

static int upgrade(ac_call_t *call, const appcore_field *fields, size_t n)
{
    request_rec *r = call->r;
    ac_answer_head_t head;
    const char *protocol;

    if (call->started || call->upgraded || !ac_answer_head(&head, fields, n, r->pool)) {
        return APPCORE_INVALID;
    }
    if (!call->upgradable) {
        return APPCORE_UNSUPPORTED;
    }
    /* The client may have offered several. */
    protocol = head.upgrade ? head.upgrade : apr_table_get(r->headers_in, "Upgrade");
    if (protocol) {
        apr_table_setn(head.fields, "Upgrade", protocol);
    }
    if (call->tunnel) {
        accept_stream(r, head.fields);
    }
    ac_head_switch(r, head.fields);
    call->started = call->committed = call->upgraded = 1;
    call->left = -1;
    return r->connection->aborted ? APPCORE_GONE : APPCORE_OK;
}

int ac_table_upgrade(appcore_request number, const appcore_field *fields, size_t n)
{
    int rv;
    ac_call_t *call = ac_call_acquire(number, &rv);

    if (call) {
        rv = upgrade(call, fields, n);
        ac_call_release(call);
    }
    return rv;
}
