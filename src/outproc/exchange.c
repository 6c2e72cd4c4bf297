/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "outproc/exchange.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "util_filter.h"
#include "apr_strings.h"
#include "base/clock.h"
#include "outproc/backpressure.h"
#include "outproc/respond.h"
#include "outproc/tunnel.h"
#include "outproc/wire.h"

APLOG_USE_MODULE(appcore);

#define RECEIVE_SIZE (64 * 1024)
#define SEND_VECTORS 32
#define INTERIMS_MAX 16
/* RFC 9110 10.1.1: nobody waits for 100 forever. An app that never says it gets
 * the body after a moment. */
#define CONTINUE_PATIENCE apr_time_from_sec(1)
/* Many apps write head and body, or body and end, one after the other: a young
 * response waits so long for the rest before it is flushed. */
#define FLUSH_PATIENCE apr_time_from_msec(1)
#define FLUSH_YOUNG apr_time_from_msec(20)
/* Bounds one step, so that one connection cannot keep a worker that others need. */
#define RECEIVES_PER_STEP 64

static const ac_response_limits_t limits = { 16 * 1024, 64 * 1024, 200 };

ac_exchange_t *ac_exchange_create(request_rec *r)
{
    ac_exchange_t *x = apr_pcalloc(r->pool, sizeof(*x));

    x->r = r;
    x->client_fd = -1;
    x->prior_status = r->status;
    x->out = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    x->bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    x->parser = ac_response_parser_create(&limits, r->pool);
    return x;
}

void ac_exchange_begin(ac_exchange_t *x, ac_appconn_t *conn)
{
    if (x->sent) {
        ac_body_rewind(x->body);
        ac_response_parser_reset(x->parser);
    }
    apr_brigade_cleanup(x->out);
    x->conn = conn;
    x->wire = conn->h2 ? &ac_wire_http2 : &ac_wire_http1;
    x->reused = conn->served > 0;
    x->phase = AC_PHASE_HEAD;
    x->outcome = AC_OUTCOME_RUNNING;
    x->sent = x->received = 0;
    x->request_sent = x->send_failed = x->unread = 0;
    x->got_app = x->got_client = 0;
    x->begun = x->progress = ac_clock_now();
    x->flush_at = 0;
    x->continue_at = x->body->held ? x->progress + CONTINUE_PATIENCE : 0;
    x->wire->begin(x);
}

void ac_exchange_fail(ac_exchange_t *x, ac_outcome_e outcome)
{
    x->outcome = outcome;
    x->phase = AC_PHASE_END;
}

ac_appconn_t *ac_exchange_take_conn(ac_exchange_t *x)
{
    ac_appconn_t *conn = x->conn;

    x->conn = NULL;
    if (conn && (x->outcome != AC_OUTCOME_DONE || !x->response
                 || !x->response->keep_alive || !x->request_sent || x->surplus)) {
        ac_appconn_close(&conn);
    }
    if (conn && conn->h2) {
        ac_h2_end(conn->h2);
        if (!ac_h2_reusable(conn->h2)) {
            ac_appconn_close(&conn);
        }
    }
    if (conn) {
        conn->served++;
        conn->keep = x->response->idle;
    }
    return conn;
}

/* To the app */

static void drop_sent(apr_bucket_brigade *bb, apr_size_t n)
{
    while (n && !APR_BRIGADE_EMPTY(bb)) {
        apr_bucket *b = APR_BRIGADE_FIRST(bb);

        if (b->length > n) {
            apr_bucket_split(b, n);
        }
        n -= b->length;
        apr_bucket_delete(b);
    }
}

static int collect(apr_bucket_brigade *bb, struct iovec *vec)
{
    apr_bucket *b;
    int n = 0;

    for (b = APR_BRIGADE_FIRST(bb);
         b != APR_BRIGADE_SENTINEL(bb) && n < SEND_VECTORS; b = APR_BUCKET_NEXT(b)) {
        const char *data;
        apr_size_t len;

        if (apr_bucket_read(b, &data, &len, APR_BLOCK_READ) == APR_SUCCESS) {
            vec[n].iov_base = (void *)data;
            vec[n++].iov_len = len;
        }
    }
    return n;
}

apr_status_t ac_exchange_send(ac_exchange_t *x)
{
    while (!APR_BRIGADE_EMPTY(x->out)) {
        struct iovec vec[SEND_VECTORS];
        struct msghdr msg = { .msg_iov = vec };
        ssize_t n;

        msg.msg_iovlen = collect(x->out, vec);
        n = sendmsg(x->conn->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return errno == EWOULDBLOCK ? APR_EAGAIN : errno;
        }
        x->sent += (apr_uint64_t)n;
        if (!x->request_sent || !x->wire->talks) {
            x->progress = ac_clock_now();
        }
        drop_sent(x->out, (apr_size_t)n);
    }
    return APR_SUCCESS;
}

/* An app that closes while we send may have answered before: what it said comes
 * first, so a failed send only ends the sending. */
static void sending_failed(ac_exchange_t *x, apr_status_t rv)
{
    x->send_failed = 1;
    x->error = rv;
    x->got_app |= POLLIN;
    apr_brigade_cleanup(x->out);
}

static void client_fault(ac_exchange_t *x, int http_status)
{
    x->http_status = http_status;
    ac_exchange_fail(x, x->r->connection->aborted ? AC_OUTCOME_CLIENT_GONE
                                                  : AC_OUTCOME_CLIENT_FAULT);
}

int ac_exchange_client_dry(ac_exchange_t *x)
{
    if (x->client_dry && !x->got_client) {
        x->want_client |= POLLIN;
        return 1;
    }
    x->client_dry = 0;
    return 0;
}

int ac_exchange_pull(ac_exchange_t *x, apr_bucket_brigade *to)
{
    apr_status_t rv;

    if (x->body->held) {
        return 0;
    }
    if (ac_exchange_client_dry(x)) {
        return 0;
    }
    rv = ac_body_read(x->body, to);
    if (rv == APR_SUCCESS) {
        x->progress = ac_clock_now();
        return 1;
    }
    if (APR_STATUS_IS_EAGAIN(rv)) {
        x->client_dry = 1;
        x->want_client |= POLLIN;
    }
    else if (APR_STATUS_IS_EOF(rv) && x->body->ended) {
        x->request_sent = 1;
    }
    else {
        client_fault(x, x->body->http_status);
    }
    return 0;
}

static void send_request(ac_exchange_t *x)
{
    int more = 1;

    while (more && x->phase != AC_PHASE_END) {
        apr_status_t rv = ac_exchange_send(x);

        if (APR_STATUS_IS_EAGAIN(rv)) {
            x->want_app |= POLLOUT;
            return;
        }
        if (rv != APR_SUCCESS) {
            sending_failed(x, rv);
            return;
        }
        more = x->wire->fill(x);
    }
}

/* From the app */

void ac_exchange_malformed(ac_exchange_t *x, const char *why)
{
    x->why = why;
    ac_exchange_fail(x, x->response ? AC_OUTCOME_TRUNCATED : AC_OUTCOME_MALFORMED);
}

/* The app's part is over: whatever the client still has to take, the process
 * and its connection are free. */
void ac_exchange_finish(ac_exchange_t *x)
{
    x->outcome = AC_OUTCOME_DONE;
    x->phase = AC_PHASE_END;
    if (!x->body->complete && !ac_body_drain(x->body)) {
        x->r->connection->keepalive = AP_CONN_CLOSE;
    }
    if (x->app_done) {
        x->app_done(x);
    }
    if (!x->discard) {
        APR_BRIGADE_INSERT_TAIL(x->bb, apr_bucket_eos_create(x->bb->bucket_alloc));
    }
}

void ac_exchange_head(ac_exchange_t *x, const ac_response_t *response)
{
    x->response = response;
    ac_respond_head(x, response);
    x->phase = AC_PHASE_BODY;
    x->unflushed = 1;
}

void ac_exchange_interim(ac_exchange_t *x, const ac_response_t *response)
{
    if (++x->interims > INTERIMS_MAX) {
        ac_exchange_malformed(x, "it sent too many interim responses");
    }
    else {
        ac_respond_interim(x, response);
    }
}

void ac_exchange_payload(ac_exchange_t *x, const char *data, apr_size_t len)
{
    if (len && !x->discard) {
        APR_BRIGADE_INSERT_TAIL(x->bb, apr_bucket_transient_create(
                                           data, len, x->bb->bucket_alloc));
    }
}

/* The app closed, or the connection broke. */
static void app_closed(ac_exchange_t *x, apr_status_t rv)
{
    x->error = rv;
    if (x->phase == AC_PHASE_TUNNEL) {
        ac_exchange_fail(x, AC_OUTCOME_DONE);
    }
    else if (x->phase == AC_PHASE_BODY && rv == APR_EOF
             && x->response->framing == AC_FRAMING_EOF) {
        ac_exchange_finish(x);
    }
    else if (x->phase == AC_PHASE_BODY) {
        ac_exchange_fail(x, AC_OUTCOME_TRUNCATED);
    }
    else if (x->received) {
        ac_exchange_malformed(x, "it closed the connection within the response head");
    }
    else {
        ac_exchange_fail(x, AC_OUTCOME_CLOSED);
    }
}

/* A slow client may block this for long, which is not the app's silence. */
static void to_client(ac_exchange_t *x)
{
    ac_outcome_e outcome = ac_respond_pass(x);

    if (outcome != AC_OUTCOME_RUNNING) {
        ac_exchange_fail(x, outcome);
    }
    else if (x->phase != AC_PHASE_END) {
        x->progress = ac_clock_now();
    }
}

/* Before the buffer that the buckets point into goes. Of a response that broke
 * off, the client gets what there is only if it got some before. */
static void pass_on(ac_exchange_t *x)
{
    int wanted = x->outcome == AC_OUTCOME_RUNNING || x->outcome == AC_OUTCOME_DONE
                 || (x->outcome == AC_OUTCOME_TRUNCATED && x->committed);

    if (!wanted) {
        apr_brigade_cleanup(x->bb);
    }
    if (APR_BRIGADE_EMPTY(x->bb)) {
        return;
    }
    x->unflushed = 1;
    to_client(x);
}

/* Reads once. 0 when the socket is known to be empty now. */
static int receive(ac_exchange_t *x)
{
    char buf[RECEIVE_SIZE];
    apr_size_t room = ac_backpressure_room(x, sizeof(buf));
    ssize_t n = recv(x->conn->fd, buf, room, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        if (x->send_failed) {
            app_closed(x, x->error);
        }
        return 0;
    }
    if (n < 0 && errno == EINTR) {
        return 1;
    }
    if (n <= 0) {
        x->progress = ac_clock_now();
        app_closed(x, n == 0 ? APR_EOF : errno);
    }
    else {
        x->ahead += (apr_size_t)n;
        x->wire->take(x, buf, (apr_size_t)n);
    }
    pass_on(x);
    return n == (ssize_t)room || x->send_failed;
}

static void receive_response(ac_exchange_t *x)
{
    int i;

    for (i = 0; i < RECEIVES_PER_STEP && x->phase != AC_PHASE_END; i++) {
        if (!(x->got_app & (POLLIN | POLLHUP | POLLERR))) {
            break;
        }
        if (ac_backpressure_blocked(x)) {
            return;
        }
        if (!receive(x)) {
            x->got_app = 0;
        }
    }
    x->want_app |= POLLIN;
}

/* 1 while the rest may still come at once. */
static int flush_can_wait(ac_exchange_t *x)
{
    apr_time_t now = ac_clock_now();

    if (!x->flush_at) {
        x->flush_at = now < x->begun + FLUSH_YOUNG ? now + FLUSH_PATIENCE : now;
    }
    return now < x->flush_at;
}

/* The app pauses: what it said so far should not wait for more. */
static void flush(ac_exchange_t *x)
{
    if (!x->unflushed || x->discard || x->phase != AC_PHASE_BODY || flush_can_wait(x)) {
        return;
    }
    x->unflushed = 0;
    x->flush_at = 0;
    APR_BRIGADE_INSERT_TAIL(x->bb, apr_bucket_flush_create(x->bb->bucket_alloc));
    to_client(x);
}

/* Waiting */

/* 0 when the connection did not come about. */
static int connected(ac_exchange_t *x)
{
    apr_status_t rv;

    if (!x->conn->connecting) {
        return 1;
    }
    if (!x->got_app) {
        x->want_app = POLLOUT;
        return 0;
    }
    rv = ac_appconn_finish(x->conn);
    x->got_app = 0;
    if (rv != APR_SUCCESS) {
        x->error = rv;
        ac_exchange_fail(x, AC_OUTCOME_UNREACHABLE);
        return 0;
    }
    return 1;
}

int ac_exchange_client_quiet(const ac_exchange_t *x)
{
    return x->body->complete || x->body->held;
}

/* A client that closed its sending side counts as gone, once nothing of its
 * request is missing. */
static int client_left(const ac_exchange_t *x)
{
    if (x->r->connection->aborted) {
        return 1;
    }
    if (!x->client_is_socket) {
        return 0;
    }
    return (x->got_client & (POLLHUP | POLLERR))
           || ((x->got_client & POLLRDHUP) && ac_exchange_client_quiet(x)
               && x->phase != AC_PHASE_TUNNEL);
}

/* As long as httpd waits for a client that does not read. */
static void client_takes_nothing(ac_exchange_t *x)
{
    x->deadline = x->progress + x->r->server->timeout;
    if (ac_clock_now() >= x->deadline) {
        ac_exchange_fail(x, AC_OUTCOME_CLIENT_GONE);
    }
}

/* Nobody's time is up: until when that stays so. A client that is slow with its
 * body is httpd's Timeout, not the app's silence. */
static void check_time(ac_exchange_t *x)
{
    apr_time_t now;
    int client_is_late = (x->want_client & POLLIN) && !x->response
                         && APR_BRIGADE_EMPTY(x->out);

    if (x->want_client & POLLOUT) {
        client_takes_nothing(x);
        return;
    }
    /* A tunnel may be silent, but not refuse what the client said. */
    if (x->phase == AC_PHASE_TUNNEL && APR_BRIGADE_EMPTY(x->out)) {
        x->deadline = 0;
        return;
    }
    x->deadline = x->progress + (client_is_late ? x->r->server->timeout : x->silence);
    if (x->continue_at && x->body->held && x->continue_at < x->deadline) {
        x->deadline = x->continue_at;
    }
    now = ac_clock_now();
    if (now < x->deadline) {
        if (x->flush_at && x->flush_at < x->deadline) {
            x->deadline = x->flush_at;
        }
        return;
    }
    if (x->deadline == x->continue_at) {
        x->continue_at = 0;
        ac_body_release(x->body);
        x->deadline = now;
    }
    else if (client_is_late) {
        client_fault(x, HTTP_REQUEST_TIME_OUT);
    }
    else {
        ac_exchange_fail(x, AC_OUTCOME_SILENT);
    }
}

static void serve_client(ac_exchange_t *x)
{
    if (x->phase == AC_PHASE_TUNNEL) {
        ac_tunnel_from_client(x);
    }
    else if ((!x->request_sent || x->wire->talks) && !x->send_failed) {
        send_request(x);
    }
}

static void advance(ac_exchange_t *x)
{
    ac_phase_e phase = x->phase;
    int held = x->body->held;

    ac_backpressure_begin(x);
    serve_client(x);
    if (x->phase != AC_PHASE_END) {
        receive_response(x);
    }
    /* 100 lets the body go, 101 makes a tunnel: now the client is to be heard, and
     * without a look at it nobody would wait for what it says. HTTP/2 has answers of
     * its own to what came, and a window that may be open again. */
    if ((x->phase == AC_PHASE_TUNNEL && phase != AC_PHASE_TUNNEL)
        || (x->phase != AC_PHASE_END
            && ((held && !x->body->held) || x->wire->talks))) {
        serve_client(x);
    }
    if (x->phase != AC_PHASE_END) {
        flush(x);
    }
    if (x->phase != AC_PHASE_END) {
        ac_backpressure_want(x);
        check_time(x);
    }
}

/* The client has part of a response that never will be whole. */
static int broke_off(const ac_exchange_t *x)
{
    return x->committed && x->response->framing != AC_FRAMING_TUNNEL
           && (x->outcome == AC_OUTCOME_TRUNCATED || x->outcome == AC_OUTCOME_SILENT
               || x->outcome == AC_OUTCOME_CLIENT_FAULT);
}

ac_step_e ac_exchange_step(ac_exchange_t *x)
{
    x->want_app = x->want_client = 0;
    if (x->phase != AC_PHASE_END && client_left(x)) {
        ac_exchange_fail(x, x->phase == AC_PHASE_TUNNEL ? AC_OUTCOME_DONE
                                                        : AC_OUTCOME_CLIENT_GONE);
    }
    if (x->phase != AC_PHASE_END && connected(x)) {
        advance(x);
    }
    else if (x->phase != AC_PHASE_END) {
        check_time(x);
    }
    if (x->phase != AC_PHASE_END) {
        return AC_STEP_WAIT;
    }
    if (broke_off(x)) {
        ac_respond_broken(x);
    }
    return AC_STEP_END;
}
