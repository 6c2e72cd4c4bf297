/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Warming up an app that speaks HTTP/2 alone. */

#include "manager/warm.h"

/* The request, or acknowledgements; who makes us say more is no honest server. */
#define OUT_MAX (32 * 1024)

static void on_head(void *baton, const ac_response_t *response)
{
    ac_warm_t *warm = baton;

    if (response->status >= 200) {
        warm->head = response;
    }
    else {
        ++warm->interims;
    }
}

static void on_data(void *baton, const char *data, apr_size_t len)
{
    ac_warm_t *warm = baton;

    (void)data;
    warm->body += (apr_int64_t)len;
}

static int drain(ac_warm_t *warm)
{
    apr_ssize_t n = ac_h2_drain(warm->h2, (char *)warm->request, OUT_MAX);

    warm->sent = 0;
    warm->len = n > 0 ? (apr_size_t)n : 0;
    return n >= 0;
}

int ac_warm_h2_open(ac_warm_t *warm)
{
    ac_h2_request_t request = { "GET", warm->target, warm->fields, 0 };
    ac_h2_io_t io = { .p = warm->conn_p, .head = on_head, .data = on_data,
                      .baton = warm };

    warm->h2 = ac_h2_create();
    warm->request = apr_palloc(warm->conn_p, OUT_MAX);
    return warm->h2 && ac_h2_begin(warm->h2, &request, &io) == APR_SUCCESS
           && drain(warm);
}

int ac_warm_h2_take(ac_warm_t *warm, const char *data, apr_size_t len)
{
    ac_h2_receive(warm->h2, data, len);
    if (warm->interims > AC_WARM_INTERIMS_MAX) {
        return 0;
    }
    /* With the last byte of the answer nothing matters any more. */
    return warm->h2->state == AC_H2_ENDED
           || (drain(warm) && warm->h2->state == AC_H2_OPEN);
}

void ac_warm_h2_close(ac_warm_t *warm)
{
    ac_h2_destroy(warm->h2);
    warm->h2 = NULL;
}
