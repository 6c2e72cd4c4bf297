/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The floor of the measurements: a handler that answers from memory what the app
 * behind the other servers answers. */

#include <string.h>

#include "httpd.h"
#include "http_config.h"
#include "http_protocol.h"

#define LARGEST (1024 * 1024)

static char body[LARGEST];

static apr_size_t size_of(const char *uri)
{
    const char *name = strrchr(uri, '/');

    if (name && !strcmp(name, "/1m")) {
        return LARGEST;
    }
    return name && !strcmp(name, "/10k") ? 10 * 1024 : 12;
}

static int handler(request_rec *r)
{
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_bucket_brigade *bb;
    apr_size_t size;

    if (!r->handler || strcmp(r->handler, "bench")) {
        return DECLINED;
    }
    size = size_of(r->uri);
    ap_set_content_type(r, "text/plain");
    ap_set_content_length(r, (apr_off_t)size);
    bb = apr_brigade_create(r->pool, alloc);
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_immortal_create(body, size, alloc));
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(alloc));
    ap_pass_brigade(r->output_filters, bb);
    return OK;
}

static void register_hooks(apr_pool_t *p)
{
    (void)p;
    memset(body, 'x', sizeof(body));
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(bench) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks,
    AP_MODULE_FLAG_NONE
};
