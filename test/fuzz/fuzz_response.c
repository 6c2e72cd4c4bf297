/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Heads of responses. The first byte says how the rest is cut into pieces; the
 * outcome must be that of one piece, and nothing that a client could read as
 * another message may be left in what comes out. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>
#include <apr_pools.h>

#include "http1/response.h"

#define CHECK(condition) do { if (!(condition)) { abort(); } } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static apr_status_t feed(ac_response_parser_t *parser, const char *data, apr_size_t len,
                         apr_size_t step, apr_size_t *pused)
{
    apr_status_t rv = APR_INCOMPLETE;
    apr_size_t at = 0;

    while (rv == APR_INCOMPLETE && at < len) {
        apr_size_t n = len - at < step ? len - at : step, used;

        rv = ac_response_parse(parser, data + at, n, &used);
        CHECK(used <= n && (rv != APR_INCOMPLETE || used == n));
        at += used;
    }
    *pused = at;
    return rv;
}

static int check_field(void *baton, const char *key, const char *value)
{
    (void)baton;
    CHECK(*key && !strpbrk(key, " \t\r\n:"));
    CHECK(!strpbrk(value, "\r\n"));
    CHECK(*value != ' ' && *value != '\t');
    return 1;
}

static void check_response(const ac_response_t *res)
{
    const char *length = apr_table_get(res->headers, "Content-Length");

    apr_table_do(check_field, NULL, res->headers, NULL);
    CHECK(res->status >= 100 && res->status <= 599);
    CHECK(!strpbrk(res->reason, "\r\n"));
    CHECK(!apr_table_get(res->headers, "Transfer-Encoding"));
    CHECK(!apr_table_get(res->headers, "Connection"));
    CHECK(res->length >= 0 && res->idle >= 0);
    CHECK(res->framing != AC_FRAMING_EOF || !res->keep_alive);
    CHECK(res->framing != AC_FRAMING_CHUNKED || !length);
    CHECK(!length || !length[strspn(length, "0123456789")]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const ac_response_limits_t limits = { 256, 2048, 20 };
    ac_response_parser_t *whole, *pieces;
    apr_size_t used, used_pieces;
    apr_status_t rv;
    apr_pool_t *p;

    if (len < 1) {
        return 0;
    }
    apr_initialize();
    apr_pool_create(&p, NULL);
    whole = ac_response_parser_create(&limits, p);
    pieces = ac_response_parser_create(&limits, p);
    rv = feed(whole, (const char *)data + 1, len - 1, len, &used);
    CHECK(feed(pieces, (const char *)data + 1, len - 1, 1 + data[0] % 64, &used_pieces)
          == rv);
    if (rv == APR_SUCCESS) {
        CHECK(used == used_pieces && used <= limits.head);
        check_response(ac_response_finish(whole, data[0] & 64));
        check_response(ac_response_finish(pieces, data[0] & 64));
    }
    else if (rv == APR_EGENERAL) {
        CHECK(ac_response_parser_error(whole) && ac_response_parser_error(pieces));
    }
    apr_pool_destroy(p);
    return 0;
}
