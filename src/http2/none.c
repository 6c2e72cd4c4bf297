/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* In place of session.c where the module is built without libnghttp2. */

#include "http2/session.h"

#include <stdlib.h>

int ac_h2_supported(void)
{
    return 0;
}

ac_h2_t *ac_h2_create(void)
{
    return NULL;
}

/* Without a session nobody calls the rest. */

void ac_h2_destroy(ac_h2_t *h2)
{
    (void)h2;
}

apr_status_t ac_h2_begin(ac_h2_t *h2, const ac_h2_request_t *request,
                         const ac_h2_io_t *io)
{
    (void)h2;
    (void)request;
    (void)io;
    return APR_ENOTIMPL;
}

void ac_h2_body_more(ac_h2_t *h2)
{
    (void)h2;
}

void ac_h2_body_end(ac_h2_t *h2, apr_table_t *trailers)
{
    (void)h2;
    (void)trailers;
}

void ac_h2_send(ac_h2_t *h2, apr_bucket_brigade *out)
{
    (void)h2;
    (void)out;
}

void ac_h2_receive(ac_h2_t *h2, const char *data, apr_size_t len)
{
    (void)h2;
    (void)data;
    (void)len;
}

apr_ssize_t ac_h2_drain(ac_h2_t *h2, char *out, apr_size_t size)
{
    (void)h2;
    (void)out;
    (void)size;
    return -1;
}

void ac_h2_end(ac_h2_t *h2)
{
    (void)h2;
}

int ac_h2_reusable(const ac_h2_t *h2)
{
    (void)h2;
    return 0;
}

apr_ssize_t ac_h2_idle(ac_h2_t *h2, const char *data, apr_size_t len, char *answer,
                       apr_size_t size)
{
    (void)h2;
    (void)data;
    (void)len;
    (void)answer;
    (void)size;
    return -1;
}
