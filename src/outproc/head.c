/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "outproc/head.h"

#include <stdlib.h>

#include "ap_mmn.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"
#include "util_filter.h"
#include "apr_strings.h"
#include "conn/park.h"

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

static void set_status(request_rec *r, int status, const char *reason)
{
    r->status = status;
    r->status_line = *reason ? apr_pstrcat(r->pool, apr_itoa(r->pool, status), " ",
                                           reason, NULL)
                             : apr_itoa(r->pool, status);
}

void ac_head_private(apr_table_t *headers)
{
    apr_table_unset(headers, "X-Sendfile");
    apr_table_unset(headers, "X-Accel-Redirect");
    apr_table_unset(headers, "AppCore-Challenge");
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

void ac_head_apply(request_rec *r, int status, const char *reason,
                   apr_table_t *headers, int prior_status)
{
    const char *type = apr_table_get(headers, "Content-Type");

    if (!apr_is_empty_table(r->headers_out)) {
        apr_table_do(keep_prior, headers, r->headers_out, NULL);
    }
    r->headers_out = headers;
    /* An app that supplies an ErrorDocument answers with 200; the client gets the
     * status of the error. */
    if (!ap_is_HTTP_ERROR(prior_status) || !ap_is_HTTP_SUCCESS(status)) {
        set_status(r, status, reason);
    }
    if (type) {
        apr_table_unset(headers, "Content-Type");
        set_content_type(r, type);
    }
    if (!r->connection->master) {
        /* httpd sends trailers on HTTP/2 streams only. */
        apr_table_unset(headers, "Trailer");
    }
    /* Makes httpd's header filter keep the app's Server and Date, as it does for
     * any proxy; all phases that ask for it are over. */
    r->proxyreq = PROXYREQ_REVERSE;
}

void ac_head_undo(request_rec *r, apr_table_t *prior_headers, int prior_status)
{
    r->headers_out = prior_headers;
    r->status = prior_status;
    r->status_line = NULL;
    r->content_type = NULL;
    r->proxyreq = PROXYREQ_NONE;
}

/* The space behind the number is no ornament (RFC 9112 4). */
static const char *interim_line(int status, const char *reason, apr_pool_t *p)
{
    const char *usual = ap_get_status_line(status);

    return *reason || atoi(usual) != status ? apr_psprintf(p, "%d %s", status, reason)
                                            : usual;
}

void ac_head_interim(request_rec *r, int status, const char *reason,
                     apr_table_t *headers)
{
    apr_table_t *own = r->headers_out;
    int prior_status = r->status;

    r->status = status;
    r->status_line = interim_line(status, reason, r->pool);
    ac_head_private(headers);
    apr_table_unset(headers, "Content-Length");
    r->headers_out = headers;
    ap_send_interim_response(r, 1);
    r->headers_out = own;
    r->status = prior_status;
    r->status_line = NULL;
}

void ac_head_switch(request_rec *r, apr_table_t *headers)
{
    conn_rec *c = r->connection;

    r->status = HTTP_SWITCHING_PROTOCOLS;
    r->status_line = NULL;
    r->headers_out = headers;
    ac_head_private(headers);
    apr_table_unset(headers, "Content-Length");
    apr_table_setn(headers, "Connection", "Upgrade");
    ap_send_interim_response(r, 1);

    /* Silence is no fault of a tunnel, and small writes must not wait. */
    ap_remove_input_filter_byhandle(c->input_filters, "reqtimeout");
    ap_remove_output_filter_byhandle(c->output_filters, "SSL/TLS Coalescing Filter");
    r->input_filters = r->proto_input_filters = c->input_filters;
    r->output_filters = r->proto_output_filters = c->output_filters;
    r->sent_bodyct = 1;
    c->keepalive = AP_CONN_CLOSE;
}

/* httpd counts the length of a response that comes in one piece, and some clients
 * take a length for the end: they would not wait for the trailers behind it. */
static int hides_trailers(request_rec *r, apr_bucket_brigade *bb, int first)
{
    return first && r->connection->master && !apr_is_empty_table(r->trailers_out)
           && !apr_table_get(r->headers_out, "Content-Length")
           && APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(bb));
}

apr_status_t ac_head_pass(request_rec *r, apr_bucket_brigade *bb, int first)
{
    apr_bucket *end = NULL;
    apr_status_t rv;

    if (hides_trailers(r, bb, first)) {
        end = APR_BRIGADE_LAST(bb);
        APR_BUCKET_REMOVE(end);
    }
    rv = ap_pass_brigade(r->output_filters, bb);
    apr_brigade_cleanup(bb);
    if (end) {
        APR_BRIGADE_INSERT_TAIL(bb, end);
        rv = rv == APR_SUCCESS ? ap_pass_brigade(r->output_filters, bb) : rv;
        apr_brigade_cleanup(bb);
    }
    return rv;
}

int ac_head_client_gone(request_rec *r, apr_status_t rv)
{
    return r->connection->aborted || APR_STATUS_IS_ECONNABORTED(rv)
           || APR_STATUS_IS_ECONNRESET(rv) || APR_STATUS_IS_EPIPE(rv)
           || APR_STATUS_IS_TIMEUP(rv);
}

void ac_head_broken(request_rec *r, apr_bucket_brigade *bb)
{
    conn_rec *c = r->connection;

    /* The error bucket keeps the chunk filter from writing a final chunk and
     * resets an HTTP/2 stream; the rest of the length stays missing. What httpd
     * still buffers would be dropped with the connection, so it is flushed. */
    r->no_cache = 1;
    c->keepalive = AP_CONN_CLOSE;
    ac_park_block(c);
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(c->bucket_alloc));
    APR_BRIGADE_INSERT_TAIL(bb, ap_bucket_error_create(HTTP_BAD_GATEWAY, NULL,
                                                       r->pool, c->bucket_alloc));
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(c->bucket_alloc));
    ac_head_pass(r, bb, 0);
    /* Nothing may pass for the regular end of a body that ends with the
     * connection. */
    c->aborted = 1;
}
