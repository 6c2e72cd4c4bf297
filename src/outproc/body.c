/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "outproc/body.h"

#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "util_filter.h"
#include "apr_strings.h"
#include "http1/chunk.h"

APLOG_USE_MODULE(appcore);

#define READ_SIZE (64 * 1024)

/* The original request's fields are still there when httpd serves an error
 * document or a part of a page, but their body is not. */
static int has_body(request_rec *r)
{
    if (r->main || (r->prev && ap_is_HTTP_ERROR(r->prev->status))) {
        return 0;
    }
    return ap_request_has_body(r);
}

/* RFC 8441: mod_http2 turns the extended CONNECT into a GET with Upgrade, a field
 * that no stream can bring along itself. What follows are frames, no body. */
static int is_stream_tunnel(request_rec *r)
{
    const char *upgrade = apr_table_get(r->headers_in, "Upgrade");

    return r->connection->master && upgrade && !r->main && r->method_number == M_GET
           && ap_find_token(r->pool, upgrade, "websocket");
}

static void choose_framing(ac_body_t *body)
{
    request_rec *r = body->r;
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    apr_off_t n = 0;
    int known = length && ap_parse_strict_length(&n, length)
                && !apr_table_get(r->headers_in, "Transfer-Encoding");

    body->tunnel = is_stream_tunnel(r);
    body->filtered = r->input_filters != r->proto_input_filters;
    if (body->tunnel || !has_body(r)) {
        /* "Content-Length: 0" tells the app that a POST is complete. */
        body->framing = known && n == 0 && !r->main ? AC_BODY_LENGTH : AC_BODY_NONE;
        body->complete = 1;
    }
    else if (known && !body->filtered) {
        body->framing = AC_BODY_LENGTH;
        body->length = n;
    }
    else {
        /* A filter in between (mod_deflate's inflate) may change the length. */
        body->framing = AC_BODY_CHUNKED;
    }
}

/* A body whose length says it all need not come, and the app need not hear of
 * it. Any other one meets LimitRequestBody in httpd's filter, ours in check_size(). */
static int is_too_long(const ac_body_t *body)
{
    apr_off_t most = ap_get_limit_req_body(body->r);

    return (body->limit >= 0 && body->length > body->limit)
           || (most > 0 && body->length > most);
}

ac_body_t *ac_body_create(request_rec *r, apr_int64_t limit, int *pstatus)
{
    ac_body_t *body = apr_pcalloc(r->pool, sizeof(*body));

    body->r = r;
    body->limit = limit;
    body->keep = AC_BODY_KEEP;
    body->replayable = 1;
    choose_framing(body);
    if (is_too_long(body)) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "a request body of %" APR_INT64_T_FMT
                      " bytes is more than is allowed", body->length);
        *pstatus = HTTP_REQUEST_ENTITY_TOO_LARGE;
        return NULL;
    }
    if (!body->complete) {
        body->held = r->expecting_100;
        body->in = apr_brigade_create(r->pool, r->connection->bucket_alloc);
        body->ready = apr_brigade_create(r->pool, r->connection->bucket_alloc);
        body->copy = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    }
    return body;
}

static apr_status_t fault(ac_body_t *body, apr_status_t rv, int http_status)
{
    body->http_status = http_status;
    body->replayable = 0;
    return rv;
}

/* Moves what was read to `ready`: data only, set aside because it may wait for
 * the app longer than the filter's buffer lives. */
static apr_status_t gather(ac_body_t *body)
{
    while (!APR_BRIGADE_EMPTY(body->in)) {
        apr_bucket *b = APR_BRIGADE_FIRST(body->in);
        const char *data;
        apr_size_t n = 0;
        apr_status_t rv;

        if (APR_BUCKET_IS_EOS(b)) {
            body->complete = 1;
            apr_brigade_cleanup(body->in);
            break;
        }
        if (!APR_BUCKET_IS_METADATA(b)) {
            rv = apr_bucket_read(b, &data, &n, APR_BLOCK_READ);
            if (rv == APR_SUCCESS) {
                rv = apr_bucket_setaside(b, body->r->pool);
            }
            if (rv != APR_SUCCESS && rv != APR_ENOTIMPL) {
                return fault(body, rv, HTTP_BAD_REQUEST);
            }
        }
        body->received += (apr_int64_t)n;
        APR_BUCKET_REMOVE(b);
        if (n) {
            APR_BRIGADE_INSERT_TAIL(body->ready, b);
        }
        else {
            apr_bucket_destroy(b);
        }
    }
    return APR_SUCCESS;
}

static apr_status_t check_size(ac_body_t *body)
{
    if (body->limit >= 0 && body->received > body->limit) {
        return fault(body, APR_ENOSPC, HTTP_REQUEST_ENTITY_TOO_LARGE);
    }
    if (body->framing == AC_BODY_LENGTH
        && (body->received > body->length
            || (body->complete && body->received != body->length))) {
        return fault(body, APR_EGENERAL, HTTP_BAD_REQUEST);
    }
    return APR_SUCCESS;
}

/* In the place of the output filters. */
static apr_status_t take_refusal(ap_filter_t *f, apr_bucket_brigade *bb)
{
    int *pstatus = f->ctx;
    apr_bucket *b;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb);
         b = APR_BUCKET_NEXT(b)) {
        if (AP_BUCKET_IS_ERROR(b)) {
            *pstatus = ((ap_bucket_error *)b->data)->status;
        }
    }
    apr_brigade_cleanup(bb);
    return AP_FILTER_ERROR;
}

/* A filter of httpd's answers itself what it does not accept: before the app's answer,
 * or in the middle of it. Here it says its status to us instead. And it takes the body
 * of what is a proxy's for a response, which LimitRequestBody does not limit; once the
 * answer has begun the request looks like one. */
static apr_status_t read_client(ac_body_t *body, apr_read_type_e block, int *pstatus)
{
    static ap_filter_rec_t rec = {
        .name = "appcore_refusal", .filter_func.out_func = take_refusal,
        .ftype = AP_FTYPE_RESOURCE
    };
    request_rec *r = body->r;
    ap_filter_t refusal = { .frec = &rec, .ctx = pstatus, .c = r->connection };
    ap_filter_t *own = r->output_filters;
    int proxyreq = r->proxyreq;
    apr_status_t rv;

    r->output_filters = &refusal;
    r->proxyreq = PROXYREQ_NONE;
    rv = ap_get_brigade(r->input_filters, body->in, AP_MODE_READBYTES, block, READ_SIZE);
    r->proxyreq = proxyreq;
    r->output_filters = own;
    return rv;
}

/* One read from the client into `ready`. */
static apr_status_t pull(ac_body_t *body, apr_read_type_e block)
{
    int refused = 0;
    apr_status_t rv = read_client(body, block, &refused);

    if (refused) {
        apr_brigade_cleanup(body->in);
        return fault(body, AP_FILTER_ERROR, refused);
    }
    if (APR_STATUS_IS_EAGAIN(rv)) {
        return APR_EAGAIN;
    }
    if (rv != APR_SUCCESS) {
        return fault(body, rv, ap_map_http_request_error(rv, HTTP_BAD_REQUEST));
    }
    if (APR_BRIGADE_EMPTY(body->in)) {
        return APR_EAGAIN;
    }
    rv = gather(body);
    return rv == APR_SUCCESS ? check_size(body) : rv;
}

apr_status_t ac_body_buffer(ac_body_t *body, apr_size_t size)
{
    apr_status_t rv = APR_SUCCESS;

    while (!body->complete && body->received < (apr_int64_t)size) {
        ac_body_release(body);
        rv = pull(body, body->blocking ? APR_BLOCK_READ : APR_NONBLOCK_READ);
        if (APR_STATUS_IS_EAGAIN(rv) && body->blocking) {
            return fault(body, APR_TIMEUP, HTTP_REQUEST_TIME_OUT);
        }
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    if (body->complete && body->framing == AC_BODY_CHUNKED) {
        body->framing = AC_BODY_LENGTH;
        body->length = body->received;
    }
    if (body->complete && body->received > (apr_int64_t)body->keep) {
        body->keep = (apr_size_t)body->received;
    }
    return APR_SUCCESS;
}

/* A second attempt needs all that this one sends, so one byte too many makes
 * the whole copy useless. */
static void keep_copy(ac_body_t *body)
{
    apr_bucket *b;

    for (b = APR_BRIGADE_FIRST(body->ready);
         body->replayable && b != APR_BRIGADE_SENTINEL(body->ready);
         b = APR_BUCKET_NEXT(b)) {
        apr_bucket *twin = NULL;

        body->kept += b->length;
        if (body->kept > body->keep || apr_bucket_copy(b, &twin) != APR_SUCCESS) {
            body->replayable = 0;
            apr_brigade_cleanup(body->copy);
            return;
        }
        APR_BRIGADE_INSERT_TAIL(body->copy, twin);
    }
}

static void append(apr_bucket_brigade *to, const char *text, apr_size_t len)
{
    APR_BRIGADE_INSERT_TAIL(to, apr_bucket_heap_create(text, len, NULL,
                                                       to->bucket_alloc));
}

/* Fields of a trailer are the client's word only: nothing that frames, routes or
 * vouches for the request may come after its body. */
static int keep_trailer(void *v, const char *name, const char *value)
{
    static const char *const never[] = {
        "Authorization", "Cache-Control", "Content-Encoding", "Content-Range",
        "Content-Type", "Cookie",
    };
    apr_table_t *kept = v;
    unsigned i;

    for (i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        if (ap_cstr_casecmp(name, never[i]) == 0) {
            return 1;
        }
    }
    if (ac_fields_plain(name) && !*ap_scan_http_token(name)
        && !*ap_scan_http_field_content(value)) {
        apr_table_addn(kept, name, value);
    }
    return 1;
}

apr_table_t *ac_body_trailers(const ac_body_t *body)
{
    apr_table_t *kept = apr_table_make(body->r->pool, 2);

    apr_table_do(keep_trailer, kept, body->r->trailers_in, NULL);
    return kept;
}

static int append_trailer(void *v, const char *name, const char *value)
{
    apr_bucket_brigade *to = v;

    append(to, name, strlen(name));
    append(to, ": ", 2);
    append(to, value, strlen(value));
    append(to, "\r\n", 2);
    return 1;
}

/* 1 iff chunks are to be made. */
static int is_chunked(const ac_body_t *body)
{
    return body->framing == AC_BODY_CHUNKED && !body->bare;
}

static void append_end(ac_body_t *body, apr_bucket_brigade *to)
{
    body->ended = 1;
    if (is_chunked(body)) {
        append(to, "0\r\n", 3);
        apr_table_do(append_trailer, to, ac_body_trailers(body), NULL);
        append(to, "\r\n", 2);
    }
}

static void append_ready(ac_body_t *body, apr_bucket_brigade *to)
{
    apr_off_t n = 0;
    char head[20];

    keep_copy(body);
    apr_brigade_length(body->ready, 0, &n);
    if (is_chunked(body)) {
        append(to, head, ac_chunk_head(head, (apr_uint64_t)n));
    }
    APR_BRIGADE_CONCAT(to, body->ready);
    if (is_chunked(body)) {
        append(to, "\r\n", 2);
    }
}

apr_status_t ac_body_read(ac_body_t *body, apr_bucket_brigade *to)
{
    apr_status_t rv;

    if (body->ended) {
        return APR_EOF;
    }
    if (!body->complete && APR_BRIGADE_EMPTY(body->ready)) {
        rv = pull(body, body->blocking ? APR_BLOCK_READ : APR_NONBLOCK_READ);
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    if (body->ready && !APR_BRIGADE_EMPTY(body->ready)) {
        append_ready(body, to);
    }
    if (body->complete) {
        append_end(body, to);
    }
    return APR_SUCCESS;
}

void ac_body_release(ac_body_t *body)
{
    request_rec *r = body->r;
    int status = r->status;
    const char *line = r->status_line;

    if (!body->held) {
        return;
    }
    body->held = 0;
    if (body->answered) {
        /* Nor may httpd's own filter say so when it is read. */
        r->expecting_100 = 0;
    }
    if (r->expecting_100) {
        r->status = HTTP_CONTINUE;
        r->status_line = NULL;
        ap_send_interim_response(r, 0);
        r->status = status;
        r->status_line = line;
    }
}

void ac_body_rewind(ac_body_t *body)
{
    apr_bucket_brigade *again;

    body->ended = 0;
    if (!body->copy) {
        return;
    }
    /* What was read but not sent comes after what is kept. */
    again = body->copy;
    body->copy = body->in;
    APR_BRIGADE_CONCAT(again, body->ready);
    body->in = body->ready;
    body->ready = again;
    body->kept = 0;
}

int ac_body_drain(ac_body_t *body)
{
    apr_int64_t enough = body->received + AC_BODY_DRAIN;

    if (body->held && body->r->expecting_100) {
        /* The client was never told to send: httpd closes after the answer. */
        return 0;
    }
    body->limit = -1;
    while (!body->complete && body->received < enough) {
        if (pull(body, APR_NONBLOCK_READ) != APR_SUCCESS) {
            break;
        }
        apr_brigade_cleanup(body->ready);
    }
    return body->complete;
}
