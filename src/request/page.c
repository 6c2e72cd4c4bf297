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
static void set_headers(request_rec *r, const ac_page_t *page)
{
    r->status = page->status;
    r->status_line = NULL;
    r->content_encoding = NULL;
    r->content_languages = NULL;
    apr_table_clear(r->headers_out);
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(r->headers_out, "Content-Security-Policy",
                   "default-src 'none'; style-src 'unsafe-inline'");
    ap_set_content_type(r, "text/html; charset=utf-8");
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
        apr_table_setn(r->err_headers_out, "Retry-After",
                       apr_itoa(r->pool, page->retry_after));
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
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(alloc));
    /* A client that left meanwhile is the connection's business. */
    (void)ap_pass_brigade(r->output_filters, bb);
    return OK;
}
