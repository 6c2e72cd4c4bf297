/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The connection's session speaks; this passes on between it and the exchange. An
 * exchange that ends gives its connection away, and the session with it, so it ends
 * only after the session's own functions have returned. */

#include "outproc/wire.h"

#include <stdlib.h>
#include <string.h>

#include "httpd.h"
#include "http_protocol.h"
#include "apr_strings.h"
#include "base/clock.h"

/* HTTP/2 has no reason phrases, HTTP/1.1 clients may want one. */
static const char *reason(request_rec *r, int status)
{
    const char *line = ap_get_status_line_ex(r->pool, status);

    return atoi(line) == status && strlen(line) > 4 ? line + 4 : "";
}

static void on_head(void *baton, const ac_response_t *response)
{
    ac_exchange_t *x = baton;
    ac_response_t *head;

    if (x->phase == AC_PHASE_END) {
        return;
    }
    head = apr_pmemdup(x->r->pool, response, sizeof(*response));
    head->reason = reason(x->r, response->status);
    if (response->status < 200) {
        ac_exchange_interim(x, head);
    }
    else {
        ac_exchange_head(x, head);
    }
}

static void on_data(void *baton, const char *data, apr_size_t len)
{
    ac_exchange_payload(baton, data, len);
}

static void begin(ac_exchange_t *x)
{
    request_rec *r = x->r;
    ac_body_t *body = x->body;
    ac_h2_request_t request = { r->method, x->target, x->fields, 0 };
    ac_h2_io_t io = { .p = r->pool, .head = on_head, .data = on_data, .baton = x };

    body->bare = 1;
    request.has_body = !body->complete || body->received > 0;
    x->pending = io.body = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    if (ac_h2_begin(x->conn->h2, &request, &io) != APR_SUCCESS) {
        x->unread = 1;
        ac_exchange_fail(x, AC_OUTCOME_CLOSED);
    }
}

/* RFC 9113 8.1.1: a stream that ends early is a response that breaks off. */
static void broke_off(ac_exchange_t *x)
{
    x->error = APR_ECONNRESET;
    if (x->phase == AC_PHASE_BODY) {
        ac_exchange_fail(x, AC_OUTCOME_TRUNCATED);
    }
    else if (x->conn->h2->answered) {
        ac_exchange_malformed(x, "it reset the stream within the response head");
    }
    else {
        ac_exchange_fail(x, AC_OUTCOME_CLOSED);
    }
}

/* Acknowledgements go out before others get the connection. */
static void ended(ac_exchange_t *x)
{
    if (!x->send_failed) {
        ac_exchange_send(x);
    }
    x->request_sent = x->conn->h2->sent;
    x->surplus = x->send_failed || !APR_BRIGADE_EMPTY(x->out);
    if (x->conn->h2->trailers) {
        x->r->trailers_out = x->conn->h2->trailers;
    }
    ac_exchange_finish(x);
}

static void conclude(ac_exchange_t *x)
{
    ac_h2_t *h2 = x->conn->h2;

    switch (h2->state) {
    case AC_H2_ENDED:
        ended(x);
        break;
    case AC_H2_UNREAD:
        x->unread = 1;
        broke_off(x);
        break;
    case AC_H2_RESET:
        broke_off(x);
        break;
    case AC_H2_BROKEN:
        ac_exchange_malformed(x, apr_pstrdup(x->r->pool, h2->error));
        break;
    default:
        break;
    }
}

/* Something of the body for the session; 0 when there is nothing now. */
static int feed(ac_exchange_t *x)
{
    ac_body_t *body = x->body;

    if (body->ended || !APR_BRIGADE_EMPTY(x->pending)
        || !ac_exchange_pull(x, x->pending)) {
        return 0;
    }
    if (body->ended) {
        ac_h2_body_end(x->conn->h2, ac_body_trailers(body));
    }
    else {
        ac_h2_body_more(x->conn->h2);
    }
    return 1;
}

static int fill(ac_exchange_t *x)
{
    ac_h2_t *h2 = x->conn->h2;

    ac_h2_send(h2, x->out);
    x->request_sent = h2->sent && APR_BRIGADE_EMPTY(x->out);
    while (h2->state == AC_H2_OPEN && !h2->sent && APR_BRIGADE_EMPTY(x->out)
           && feed(x)) {
        ac_h2_send(h2, x->out);
    }
    if (x->phase != AC_PHASE_END) {
        conclude(x);
    }
    return x->phase != AC_PHASE_END && !APR_BRIGADE_EMPTY(x->out);
}

/* What an app says about the connection is no sign of life for the request. While
 * the app does not read, answers stay in the session, which bounds them. */
static void take(ac_exchange_t *x, const char *data, apr_size_t len)
{
    ac_h2_t *h2 = x->conn->h2;
    unsigned activity = h2->activity;

    ac_h2_receive(h2, data, len);
    if (h2->activity != activity) {
        x->progress = ac_clock_now();
    }
    if (h2->answered) {
        x->received += len;
    }
    if (APR_BRIGADE_EMPTY(x->out)) {
        ac_h2_send(h2, x->out);
    }
    if (x->phase != AC_PHASE_END) {
        conclude(x);
    }
}

const ac_wire_t ac_wire_http2 = { begin, fill, take, 1 };
