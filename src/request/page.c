/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/page.h"

#include <string.h>
#include "apr_strings.h"
#include "http_core.h"
#include "http_protocol.h"
#include "mod_core.h"
#include "util_filter.h"

static int error_document_wanted(request_rec *r, const ac_page_t *page)
{
    return page->bare
           || (!page->detailed
               && ap_response_code_string(r, ap_index_of_response(page->status)));
}

/* As ap_die() does it: what was meant for the app's response goes, what is to be
 * said on errors too stays. */
static void reset_headers(request_rec *r, int status)
{
    r->status = status;
    r->status_line = NULL;
    r->content_encoding = NULL;
    r->content_languages = NULL;
    apr_table_clear(r->headers_out);
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
}

static void set_headers(request_rec *r, const ac_page_t *page)
{
    reset_headers(r, page->status);
    apr_table_setn(r->headers_out, "Content-Security-Policy",
                   "default-src 'none'; style-src 'unsafe-inline'");
    ap_set_content_type(r, "text/html; charset=utf-8");
}

static void say_retry(request_rec *r, int seconds)
{
    apr_table_setn(r->err_headers_out, "Retry-After", apr_itoa(r->pool, seconds));
}

/* A client that left meanwhile is the connection's business. */
static void pass(request_rec *r, apr_bucket_brigade *bb)
{
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(r->connection->bucket_alloc));
    (void)ap_pass_brigade(r->output_filters, bb);
}

static apr_bucket_brigade *begin_offline(request_rec *r, apr_off_t size, int retry_after)
{
    apr_table_setn(r->notes, "appcore-substatus", "503");
    say_retry(r, retry_after);
    reset_headers(r, HTTP_SERVICE_UNAVAILABLE);
    ap_set_content_type(r, "text/html");
    ap_set_content_length(r, size);
    return apr_brigade_create(r->pool, r->connection->bucket_alloc);
}

void ac_page_send_offline_text(request_rec *r, const char *page, apr_size_t len,
                               int retry_after)
{
    apr_bucket_brigade *bb = begin_offline(r, (apr_off_t)len, retry_after);

    if (len > 0) {
        apr_bucket *text = apr_bucket_immortal_create(page, len, bb->bucket_alloc);

        APR_BRIGADE_INSERT_TAIL(bb, text);
    }
    pass(r, bb);
}

void ac_page_send_offline(request_rec *r, apr_file_t *page, apr_off_t size,
                          int retry_after)
{
    apr_bucket_brigade *bb = begin_offline(r, page ? size : 0, retry_after);

    if (page && size > 0) {
        apr_brigade_insert_file(bb, page, 0, size, r->pool);
    }
    pass(r, bb);
}

int ac_page_send(request_rec *r, const ac_page_t *page)
{
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_bucket_brigade *bb;
    apr_size_t len;
    const char *text;

    apr_table_setn(r->notes, "appcore-substatus",
                   page->substatus ? ac_page_number(page, r->pool)
                                   : apr_itoa(r->pool, page->status));
    if (page->status == HTTP_SERVICE_UNAVAILABLE && page->retry_after > 0) {
        say_retry(r, page->retry_after);
    }
    if (error_document_wanted(r, page)) {
        return page->status;
    }
    text = ac_page_text(page, r->pool);
    set_headers(r, page);
    len = strlen(text);
    ap_set_content_length(r, (apr_off_t)len);
    bb = apr_brigade_create(r->pool, alloc);
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_pool_create(text, len, r->pool, alloc));
    pass(r, bb);
    return OK;
}
