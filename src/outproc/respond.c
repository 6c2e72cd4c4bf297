/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "outproc/respond.h"

#include "ap_mmn.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"
#include "util_filter.h"
#include "apr_strings.h"
#include "conn/park.h"

APLOG_USE_MODULE(appcore);

/* httpd 2.4.60 and later: a content type set by the app must never choose a
 * handler. Absent before, where the loader leaves it NULL. */
#if !AP_MODULE_MAGIC_AT_LEAST(20120211, 132)
AP_DECLARE(void) ap_set_content_type_ex(request_rec *r, const char *ct, int trusted);
#endif
#pragma weak ap_set_content_type_ex

static void set_content_type(request_rec *r, const char *type)
{
    if (ap_set_content_type_ex) {
        ap_set_content_type_ex(r, type, 0);
    }
    else {
        ap_set_content_type(r, type);
    }
}

static void set_status(request_rec *r, const ac_response_t *response)
{
    r->status = response->status;
    r->status_line = *response->reason
                     ? apr_pstrcat(r->pool, apr_itoa(r->pool, response->status), " ",
                                   response->reason, NULL)
                     : apr_itoa(r->pool, response->status);
}

static const char *const sendfile_names[] = { "X-Sendfile", "X-Accel-Redirect" };
#define SENDFILE_NAMES (sizeof(sendfile_names) / sizeof(sendfile_names[0]))

/* With a 401: the app has no challenge of its own and wants httpd's. */
#define CHALLENGE "AppCore-Challenge"

static void drop_sendfile(apr_table_t *headers)
{
    unsigned i;

    for (i = 0; i < SENDFILE_NAMES; i++) {
        apr_table_unset(headers, sendfile_names[i]);
    }
}

void ac_respond_private(apr_table_t *headers)
{
    drop_sendfile(headers);
    apr_table_unset(headers, CHALLENGE);
}

void ac_respond_interim(ac_exchange_t *x, const ac_response_t *response)
{
    request_rec *r = x->r;
    apr_table_t *headers = r->headers_out;

    if (response->status == HTTP_CONTINUE) {
        ac_body_release(x->body);
        return;
    }
    set_status(r, response);
    ac_respond_private(response->headers);
    r->headers_out = response->headers;
    ap_send_interim_response(r, 1);
    r->headers_out = headers;
    r->status = x->prior_status;
    r->status_line = NULL;
}

/* Fields that modules set before the handler stay unless the app says its own;
 * cookies of both count. */
static int keep_prior(void *v, const char *name, const char *value)
{
    apr_table_t *headers = v;

    if (!apr_table_get(headers, name) || !ap_cstr_casecmp(name, "Set-Cookie")) {
        apr_table_addn(headers, name, value);
    }
    return 1;
}

/* The path the app wants sent, if that is allowed here; the field itself is not
 * for clients either way. */
static void take_sendfile(ac_exchange_t *x, apr_table_t *headers)
{
    unsigned i;

    for (i = 0; i < SENDFILE_NAMES && x->sendfile && !x->sendfile_path; i++) {
        x->sendfile_path = apr_table_get(headers, sendfile_names[i]);
    }
    if (x->sendfile_path) {
        x->discard = 1;
        apr_table_unset(headers, "Content-Length");
    }
    drop_sendfile(headers);
}

/* 1 if the login of httpd answers in the app's place, with a redirect perhaps. What
 * it says itself is in err_headers_out and goes with the app's answer. */
static int ask_for_login(ac_exchange_t *x, const ac_response_t *response)
{
    if (!apr_table_get(response->headers, CHALLENGE)) {
        return 0;
    }
    apr_table_unset(response->headers, CHALLENGE);
    if (x->challenge && response->status == HTTP_UNAUTHORIZED
        && !ap_is_HTTP_ERROR(x->prior_status)) {
        x->instead = x->challenge(x);
    }
    x->discard = x->instead != OK;
    return x->discard;
}

void ac_respond_head(ac_exchange_t *x, const ac_response_t *response)
{
    request_rec *r = x->r;
    apr_table_t *headers = response->headers;
    const char *type = apr_table_get(headers, "Content-Type");

    x->prior_headers = r->headers_out;
    if (ask_for_login(x, response)) {
        return;
    }
    take_sendfile(x, headers);
    if (!apr_is_empty_table(r->headers_out)) {
        apr_table_do(keep_prior, headers, r->headers_out, NULL);
    }
    r->headers_out = headers;
    /* An app that supplies an ErrorDocument answers with 200; the client gets the
     * status of the error. */
    if (!ap_is_HTTP_ERROR(x->prior_status) || !ap_is_HTTP_SUCCESS(response->status)) {
        set_status(r, response);
    }
    if (type) {
        apr_table_unset(headers, "Content-Type");
        set_content_type(r, type);
    }
    if (x->forward_close && !response->keep_alive) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    if (!r->connection->master) {
        /* httpd sends trailers on HTTP/2 streams only. */
        apr_table_unset(headers, "Trailer");
    }
    /* Makes httpd's header filter keep the app's Server and Date, as it does for
     * any proxy; all phases that ask for it are over. */
    r->proxyreq = PROXYREQ_REVERSE;
    if (!x->sendfile_path && apr_table_get(r->headers_in, "Range")) {
        /* The app had the chance to answer with a range. */
        ap_remove_output_filter_byhandle(r->output_filters, "BYTERANGE");
    }
}

void ac_respond_undo(ac_exchange_t *x)
{
    request_rec *r = x->r;

    if (!x->response || x->committed) {
        return;
    }
    r->headers_out = x->prior_headers;
    r->status = x->prior_status;
    r->status_line = NULL;
    r->content_type = NULL;
    r->proxyreq = PROXYREQ_NONE;
    apr_brigade_cleanup(x->bb);
}

/* httpd counts the length of a response that comes in one piece, and some clients
 * take a length for the end: they would not wait for the trailers behind it. */
static int hides_trailers(const ac_exchange_t *x)
{
    return !x->committed && x->r->connection->master
           && !apr_is_empty_table(x->r->trailers_out)
           && !apr_table_get(x->r->headers_out, "Content-Length")
           && APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(x->bb));
}

static apr_status_t pass_all(ac_exchange_t *x)
{
    apr_bucket *end = NULL;
    apr_status_t rv;

    if (hides_trailers(x)) {
        end = APR_BRIGADE_LAST(x->bb);
        APR_BUCKET_REMOVE(end);
    }
    x->committed = 1;
    rv = ap_pass_brigade(x->r->output_filters, x->bb);
    apr_brigade_cleanup(x->bb);
    if (end) {
        APR_BRIGADE_INSERT_TAIL(x->bb, end);
        rv = rv == APR_SUCCESS ? ap_pass_brigade(x->r->output_filters, x->bb) : rv;
        apr_brigade_cleanup(x->bb);
    }
    return rv;
}

/* A filter that refuses a response has often answered in its place, so the
 * connection is not to be torn down then. */
ac_outcome_e ac_respond_pass(ac_exchange_t *x)
{
    apr_status_t rv = pass_all(x);

    if (x->r->connection->aborted || APR_STATUS_IS_ECONNABORTED(rv)
        || APR_STATUS_IS_ECONNRESET(rv) || APR_STATUS_IS_EPIPE(rv)
        || APR_STATUS_IS_TIMEUP(rv)) {
        return AC_OUTCOME_CLIENT_GONE;
    }
    return rv == APR_SUCCESS ? AC_OUTCOME_RUNNING : AC_OUTCOME_FILTERED;
}

void ac_respond_broken(ac_exchange_t *x)
{
    request_rec *r = x->r;
    conn_rec *c = r->connection;

    /* The error bucket keeps the chunk filter from writing a final chunk and
     * resets an HTTP/2 stream; the rest of the length stays missing. What httpd
     * still buffers would be dropped with the connection, so it is flushed. */
    r->no_cache = 1;
    c->keepalive = AP_CONN_CLOSE;
    ac_park_block(c);
    APR_BRIGADE_INSERT_TAIL(x->bb, apr_bucket_flush_create(c->bucket_alloc));
    APR_BRIGADE_INSERT_TAIL(x->bb, ap_bucket_error_create(HTTP_BAD_GATEWAY, NULL,
                                                          r->pool, c->bucket_alloc));
    APR_BRIGADE_INSERT_TAIL(x->bb, apr_bucket_eos_create(c->bucket_alloc));
    ac_respond_pass(x);
    /* Nothing may pass for the regular end of a body that ends with the
     * connection. */
    c->aborted = 1;
}
