/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The app's answer: its head, one that is given whole, fields behind it, its end. */

#include "inproc/send.h"

#include "http_protocol.h"
#include "util_filter.h"
#include "apr_strings.h"
#include "conn/park.h"
#include "inproc/fields.h"
#include "inproc/table.h"
#include "outproc/head.h"

/* With a 401: the app wants the challenge of httpd's login. */
#define CHALLENGE "AppCore-Challenge"

/* The head */

static int ask_for_login(ac_call_t *call, int status, apr_table_t *fields)
{
    if (status == HTTP_UNAUTHORIZED && call->challenge
        && apr_table_get(fields, CHALLENGE) && !ap_is_HTTP_ERROR(call->prior_status)) {
        call->instead = call->challenge(call->r);
        if (call->instead != OK) {
            ac_send_settle(call);
        }
    }
    return call->instead != OK;
}

static int start(ac_call_t *call, int status, appcore_str reason,
                 const appcore_field *fields, size_t n)
{
    request_rec *r = call->r;
    const char *text = ac_answer_reason(reason, r->pool);
    ac_answer_head_t head;

    if (call->started || call->upgraded || status < 200 || status > 999 || !text
        || !ac_answer_head(&head, fields, n, r->pool)) {
        return APPCORE_INVALID;
    }
    call->started = 1;
    call->bodiless = r->header_only || status == HTTP_NO_CONTENT
                     || status == HTTP_NOT_MODIFIED;
    call->left = head.length;
    if (ask_for_login(call, status, head.fields)) {
        return APPCORE_OK;
    }
    ac_head_private(head.fields);
    ac_head_apply(r, status, text, head.fields, call->prior_status);
    if (head.close) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    if (status == HTTP_NO_CONTENT) {
        apr_table_unset(head.fields, "Content-Length");
    }
    if (!r->main && apr_table_get(r->headers_in, "Range")) {
        /* The app had the chance to answer with a range. */
        ap_remove_output_filter_byhandle(r->output_filters, "BYTERANGE");
    }
    return APPCORE_OK;
}

int ac_answer_begin(ac_call_t *call)
{
    const appcore_str none = { "", 0 };

    return call->started || call->upgraded ? APPCORE_OK
                                           : start(call, HTTP_OK, none, NULL, 0);
}

int ac_table_start(appcore_request number, int status, appcore_str reason,
                   const appcore_field *fields, size_t n)
{
    int rv;
    ac_call_t *call = ac_call_acquire(number, &rv);

    if (call) {
        rv = start(call, status, reason, fields, n);
        ac_call_release(call);
    }
    return rv;
}

static int inform(ac_call_t *call, int status, const appcore_field *fields, size_t n)
{
    request_rec *r = call->r;
    ac_answer_head_t head;

    if (call->started || call->upgraded || status < 100 || status > 199
        || status == HTTP_SWITCHING_PROTOCOLS
        || !ac_answer_head(&head, fields, n, r->pool)) {
        return APPCORE_INVALID;
    }
    if (status == HTTP_CONTINUE) {
        if (call->body) {
            ac_body_release(call->body);
        }
        return APPCORE_OK;
    }
    if (r->proto_num >= HTTP_VERSION(1, 1)) {
        ac_head_interim(r, status, "", head.fields);
    }
    return r->connection->aborted ? APPCORE_GONE : APPCORE_OK;
}

int ac_table_inform(appcore_request number, int status, const appcore_field *fields,
                    size_t n)
{
    int rv;
    ac_call_t *call = ac_call_acquire(number, &rv);

    if (call) {
        rv = inform(call, status, fields, n);
        ac_call_release(call);
    }
    return rv;
}

/* The end */

static void undo(ac_call_t *call)
{
    if (call->started) {
        ac_head_undo(call->r, call->prior_headers, call->prior_status);
    }
    if (call->bb) {
        apr_brigade_cleanup(call->bb);
    }
}

/* mod_http2 takes a status that HTTP does not have for the code to reset with. */
static void reset_stream(ac_call_t *call)
{
    request_rec *r = call->r;
    apr_bucket_brigade *bb;
    int status = r->status;

    undo(call);
    r->status = (int)call->reset_code;
    bb = ac_send_brigade(call);
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(r->connection->bucket_alloc));
    call->finished = 1;
    ac_send_pass(call, 0);
    r->status = status;
}

/* A stream of HTTP/2 has no socket to shut down. */
static ac_call_end_e cut_off(ac_call_t *call)
{
    conn_rec *c = call->r->connection;

    if (call->aborted && c->master && !call->finished) {
        /* That it is cut off has been noticed, but mod_http2 has still to be told. */
        c->aborted = 0;
        if (call->committed) {
            ac_head_broken(call->r, ac_send_brigade(call));
        }
        else if (call->reset_code > 0 && call->reset_code < 100) {
            reset_stream(call);
        }
    }
    c->aborted = 1;
    c->keepalive = AP_CONN_CLOSE;
    return AC_CALL_CLIENT_GONE;
}

ac_call_end_e ac_answer_end(ac_call_t *call, int result)
{
    int whole = result == APPCORE_OK && call->started
                && (call->left <= 0 || call->bodiless);
    int rv;

    if (call->aborted || (atomic_load(&call->gone) && !call->finished)) {
        return cut_off(call);
    }
    if (!whole && !call->finished
        && (call->fault == APPCORE_GONE || ac_call_look(call))) {
        return cut_off(call);
    }
    if (call->finished || call->upgraded) {
        return AC_CALL_ANSWERED;
    }
    if (!whole && !call->committed) {
        undo(call);
        return AC_CALL_NO_ANSWER;
    }
    if (!whole) {
        ac_head_broken(call->r, ac_send_brigade(call));
        return AC_CALL_BROKEN;
    }
    ac_send_end(call);
    rv = ac_send_pass(call, call->later);
    return rv == APPCORE_GONE ? AC_CALL_CLIENT_GONE : AC_CALL_ANSWERED;
}

void ac_answer_push(ac_call_t *call)
{
    conn_rec *c = call->r->connection;

    if (c->master || c->aborted) {
        return;
    }
    if (call->unflushed && call->finished) {
        call->unflushed = 0;
        ac_send_flush(call);
        ac_send_pass(call, 1);
    }
    if (c->data_in_output_filters) {
        ac_park_flush(c);
    }
    ac_send_close(call);
}

/* Whole */

static int respond(ac_call_t *call, const struct iovec *body, size_t n)
{
    request_rec *r = call->r;
    int64_t total = ac_send_length(body, n);

    if (call->instead) {
        call->finished = 1;
        return APPCORE_OK;
    }
    if (!call->bodiless) {
        ac_send_append(call, body, n, (size_t)total);
    }
    else if (r->header_only && call->left < 0) {
        ap_set_content_length(r, total);
    }
    call->left = 0;
    ac_send_end(call);
    call->unflushed = !call->later;
    return ac_send_pass(call, call->later);
}

int ac_table_respond(appcore_request number, int status, appcore_str reason,
                     const appcore_field *fields, size_t n,
                     const struct iovec *body, size_t n_body)
{
    int rv;
    ac_call_t *call = ac_call_acquire(number, &rv);

    if (!call) {
        return rv;
    }
    rv = start(call, status, reason, fields, n);
    if (rv == APPCORE_OK && call->left >= 0 && !call->bodiless
        && call->left != ac_send_length(body, n_body)) {
        undo(call);
        call->started = 0;
        rv = APPCORE_INVALID;
    }
    if (rv == APPCORE_OK) {
        rv = respond(call, body, n_body);
    }
    ac_call_release(call);
    return rv;
}

/* Behind the body */

static int trailer(ac_call_t *call, appcore_str name, appcore_str value)
{
    apr_pool_t *p = call->r->pool;

    /* httpd sends trailers on HTTP/2 streams only. */
    if (!call->r->connection->master) {
        return APPCORE_UNSUPPORTED;
    }
    if (call->finished || call->upgraded || !ac_answer_trailer_allowed(name, value)
        || apr_table_elts(call->r->trailers_out)->nelts >= AC_ANSWER_FIELDS
        || value.len > AC_ANSWER_BYTES) {
        return APPCORE_INVALID;
    }
    apr_table_addn(call->r->trailers_out, apr_pstrmemdup(p, name.p, name.len),
                   value.len ? apr_pstrmemdup(p, value.p, value.len) : "");
    return APPCORE_OK;
}

int ac_table_trailer(appcore_request number, appcore_str name, appcore_str value)
{
    int rv;
    ac_call_t *call = ac_call_acquire(number, &rv);

    if (call) {
        rv = trailer(call, name, value);
        ac_call_release(call);
    }
    return rv;
}
