/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* What an app sends to a session. The first byte says how the rest is cut into pieces
 * and whether the request has a body; the second how many requests there are. What
 * comes out must be a response as docs/contract.md allows it, however it ends. */

#include "http2/session.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#define CHECK(condition) do { if (!(condition)) { abort(); } } while (0)
#define OUT_MAX (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

typedef struct run_t {
    ac_h2_t *h2;
    apr_pool_t *p;
    apr_bucket_brigade *body, *out;
    const char *piece;
    apr_size_t piece_len;
    int final;
} run_t;

static int check_field(void *baton, const char *key, const char *value)
{
    (void)baton;
    CHECK(*key && !strpbrk(key, " \t\r\n") && key[0] != ':');
    CHECK(!strpbrk(value, "\r\n"));
    CHECK(strcmp(key, "connection") && strcmp(key, "transfer-encoding"));
    return 1;
}

static void on_head(void *baton, const ac_response_t *response)
{
    run_t *run = baton;

    CHECK(!run->final && response->status >= 100 && response->status <= 999);
    CHECK(response->status != 101);
    run->final = response->status >= 200;
    apr_table_do(check_field, NULL, response->headers, NULL);
}

static void on_data(void *baton, const char *bytes, apr_size_t len)
{
    run_t *run = baton;

    CHECK(run->final && len);
    CHECK(bytes >= run->piece && bytes + len <= run->piece + run->piece_len);
}

static void begin(run_t *run, int has_body)
{
    apr_table_t *fields = apr_table_make(run->p, 2);
    ac_h2_request_t request = { "POST", "/", fields, has_body };
    ac_h2_io_t io = { run->p, run->body, on_head, on_data, run };

    apr_table_setn(fields, "Host", "a");
    run->final = 0;
    if (ac_h2_begin(run->h2, &request, &io) == APR_SUCCESS && has_body) {
        APR_BRIGADE_INSERT_TAIL(run->body, apr_bucket_immortal_create(
                                               "body", 4, run->body->bucket_alloc));
        ac_h2_body_more(run->h2);
        ac_h2_body_end(run->h2, NULL);
    }
}

static void discard(run_t *run)
{
    apr_off_t len = 0;

    ac_h2_send(run->h2, run->out);
    apr_brigade_length(run->out, 1, &len);
    CHECK(len < OUT_MAX);
    apr_brigade_cleanup(run->out);
}

/* 0 when the connection is over. */
static int next(run_t *run, int *prequests, int has_body)
{
    ac_h2_t *h2 = run->h2;

    CHECK(h2->state != AC_H2_BROKEN || (h2->error && *h2->error));
    CHECK(h2->state != AC_H2_ENDED || run->final);
    CHECK(h2->state != AC_H2_UNREAD || !h2->answered);
    if (h2->trailers) {
        apr_table_do(check_field, NULL, h2->trailers, NULL);
    }
    if (h2->state == AC_H2_OPEN) {
        return 1;
    }
    ac_h2_end(h2);
    apr_brigade_cleanup(run->body);
    if (!ac_h2_reusable(h2) || (*prequests)-- <= 0) {
        return 0;
    }
    begin(run, has_body);
    return 1;
}

static void feed(run_t *run, const char *data, apr_size_t len, apr_size_t step,
                 int requests, int has_body)
{
    apr_size_t at;

    begin(run, has_body);
    discard(run);
    for (at = 0; at < len; at += run->piece_len) {
        run->piece = data + at;
        run->piece_len = len - at < step ? len - at : step;
        ac_h2_receive(run->h2, run->piece, run->piece_len);
        discard(run);
        if (!next(run, &requests, has_body)) {
            return;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    run_t run = { 0 };

    if (len < 2 || !ac_h2_supported()) {
        return 0;
    }
    apr_initialize();
    apr_pool_create(&run.p, NULL);
    run.body = apr_brigade_create(run.p, apr_bucket_alloc_create(run.p));
    run.out = apr_brigade_create(run.p, run.body->bucket_alloc);
    run.h2 = ac_h2_create();
    CHECK(run.h2);
    feed(&run, (const char *)data + 2, len - 2, data[0] & 64 ? len : 1u + data[0] % 64u,
         data[1] % 4, data[0] & 128);
    ac_h2_destroy(run.h2);
    apr_pool_destroy(run.p);
    return 0;
}
