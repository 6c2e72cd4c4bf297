/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Chunked bodies. The first byte says how the rest is cut into pieces: payload,
 * trailers and outcome must be those of one piece. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>
#include <apr_pools.h>

#include "http1/chunk.h"

#define CHECK(condition) do { if (!(condition)) { abort(); } } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

typedef struct outcome_t {
    apr_status_t rv;
    apr_size_t used;
    char *payload;
    apr_size_t len;
    int trailers;
} outcome_t;

static outcome_t decode(const char *data, apr_size_t len, apr_size_t step, apr_pool_t *p)
{
    ac_chunk_decoder_t decoder;
    outcome_t out = { APR_INCOMPLETE, 0, apr_palloc(p, len + 1), 0, 0 };

    ac_chunk_decoder_init(&decoder, p);
    while (out.used < len && (out.rv == APR_INCOMPLETE || out.rv == APR_SUCCESS)) {
        apr_size_t left = len - out.used, n = left < step ? left : step, used, run;
        const char *payload;

        out.rv = ac_chunk_decode(&decoder, data + out.used, n, &used, &payload, &run);
        CHECK(used <= n && run <= used);
        CHECK((out.rv == APR_SUCCESS) == (run > 0));
        CHECK(out.rv != APR_INCOMPLETE || used == n);
        if (run) {
            CHECK(payload >= data + out.used && payload + run <= data + out.used + used);
            memcpy(out.payload + out.len, payload, run);
            out.len += run;
        }
        out.used += used;
    }
    out.trailers = decoder.trailers ? apr_table_elts(decoder.trailers)->nelts : 0;
    return out;
}

static int has_ended(const outcome_t *out)
{
    return out->rv == APR_EOF || out->rv == APR_EGENERAL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    outcome_t whole, pieces;
    apr_pool_t *p;

    if (len < 1) {
        return 0;
    }
    apr_initialize();
    apr_pool_create(&p, NULL);
    whole = decode((const char *)data + 1, len - 1, len, p);
    pieces = decode((const char *)data + 1, len - 1, 1 + data[0] % 64, p);
    CHECK(has_ended(&whole) == has_ended(&pieces));
    CHECK(!has_ended(&whole) || whole.rv == pieces.rv);
    CHECK(whole.len == pieces.len && !memcmp(whole.payload, pieces.payload, whole.len));
    CHECK(whole.used == pieces.used && whole.trailers == pieces.trailers);
    apr_pool_destroy(p);
    return 0;
}
