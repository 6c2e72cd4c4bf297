/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_http1.h"

#include "http1/chunk.h"

typedef struct decoded_t {
    apr_status_t rv;
    apr_size_t used;
    char *payload;
    apr_size_t len;
    apr_table_t *trailers;
} decoded_t;

static decoded_t decode_n(const char *data, apr_size_t len, apr_size_t step)
{
    ac_chunk_decoder_t decoder;
    decoded_t res = { APR_INCOMPLETE, 0, apr_pcalloc(p, len + 1), 0, NULL };

    ac_chunk_decoder_init(&decoder, p);
    while (res.used < len && (res.rv == APR_INCOMPLETE || res.rv == APR_SUCCESS)) {
        apr_size_t left = len - res.used, n = left < step ? left : step, used, run;
        const char *payload;

        res.rv = ac_chunk_decode(&decoder, data + res.used, n, &used, &payload, &run);
        ck_assert(used <= n);
        if (res.rv == APR_SUCCESS) {
            ck_assert(run > 0 && run <= used);
            ck_assert(payload >= data + res.used && payload + run <= data + len);
            memcpy(res.payload + res.len, payload, run);
            res.len += run;
        }
        ck_assert(res.rv != APR_INCOMPLETE || used == n);
        res.used += used;
    }
    res.trailers = decoder.trailers;
    return res;
}

static decoded_t decode(const char *data)
{
    return decode_n(data, strlen(data), strlen(data));
}

static const struct {
    const char *data;
    const char *payload;
    const char *rest;
} good[] = {
    { "0\r\n\r\n", "", "" },
    { "0\r\n\r\nHTTP/1.1 200 OK\r\n", "", "HTTP/1.1 200 OK\r\n" },
    { "5\r\nhello\r\n0\r\n\r\n", "hello", "" },
    { "5\r\nhello\r\n6\r\n world\r\n000\r\n\r\nX", "hello world", "X" },
    { "A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n", "0123456789abcdefghij", "" },
    { "0000000000000005\r\nhello\r\n0\r\n\r\n", "hello", "" },
    { "5;a=b\r\nhello\r\n0;last\r\n\r\n", "hello", "" },
    { "5 \t\r\nhello\r\n0 ; x=\"y\"\r\n\r\n", "hello", "" },
    { "2\r\n\r\n\r\n0\r\n\r\n", "\r\n", "" },
    { "5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n", "" },
    { "1\r\nx\r\n0\r\nA: b\r\n\r\nrest", "x", "rest" },
    { "1\r\nx\r\n0\r\nA: b\n\nrest", "x", "rest" }
};

START_TEST(accepted)
{
    const char *data = good[_i].data;
    apr_size_t step;

    for (step = 1; step <= strlen(data); ++step) {
        decoded_t res = decode_n(data, strlen(data), step);

        ck_assert_int_eq(res.rv, APR_EOF);
        ck_assert_str_eq(res.payload, good[_i].payload);
        ck_assert_str_eq(data + res.used, good[_i].rest);
    }
}
END_TEST

static const char *const bad[] = {
    "\r\n", "x\r\n", "g\r\n", "-1\r\n", "+5\r\nhello", " 5\r\nhello", "0x5\r\nhello",
    "5\nhello\r\n", "5\r\r\nhello", "5\rhello", "5;a\rb\r\n", "5;a\nhello", ";\r\n",
    "5,5\r\nhello", "5 5\rx", "5;\x01\r\n", "5\r\nhelloX", "5\r\nhello\n0\r\n\r\n",
    "5\r\nhello\rX", "5\r\nhello0\r\n\r\n", "5\r\nhello\r\n\r\n",
    "00000000000000005\r\nhello",           /* 17 digits */
    "4000000000000001\r\n", "8000000000000000\r\n", "ffffffffffffffff\r\n",
    "0\r\nA : b\r\n\r\n", "0\r\n folded\r\n\r\n", "0\r\nA\r\n\r\n",
    "0\r\nA: \x01\r\n\r\n",
    "0\r\nA: b\rc\r\n\r\n", "0\r\nA: b\r\n\rX", "0\r\n\rX", "0\r\n: b\r\n\r\n"
};

START_TEST(refused)
{
    const char *data = bad[_i];
    apr_size_t step;

    for (step = 1; step <= strlen(data); ++step) {
        decoded_t res = decode_n(data, strlen(data), step);

        ck_assert_msg(res.rv == APR_EGENERAL, "%s", data);
    }
}
END_TEST

START_TEST(nul_in_trailer)
{
    static const char data[] = "0\r\nA: b\0c\r\n\r\n";

    ck_assert_int_eq(decode_n(data, sizeof(data) - 1, 100).rv, APR_EGENERAL);
}
END_TEST

START_TEST(incomplete)
{
    ck_assert_int_eq(decode("5\r\nhello\r\n0\r\n").rv, APR_INCOMPLETE);
    ck_assert_int_eq(decode("5\r\nhello\r\n0\r\nA: b\r\n").rv, APR_INCOMPLETE);
    ck_assert_int_eq(decode("5\r\nhello").rv, APR_SUCCESS);
    ck_assert_int_eq(decode("4000000000000000\r\n").rv, APR_INCOMPLETE);
}
END_TEST

START_TEST(fault_and_end_stay)
{
    ac_chunk_decoder_t decoder;
    const char *payload;
    apr_size_t used, n;

    ac_chunk_decoder_init(&decoder, p);
    ck_assert_int_eq(ac_chunk_decode(&decoder, "", 0, &used, &payload, &n),
                     APR_INCOMPLETE);
    ck_assert_int_eq(ac_chunk_decode(&decoder, "x", 1, &used, &payload, &n),
                     APR_EGENERAL);
    ck_assert_int_eq(ac_chunk_decode(&decoder, "0\r\n\r\n", 5, &used, &payload, &n),
                     APR_EGENERAL);
    ck_assert_uint_eq(used, 0);
    ac_chunk_decoder_init(&decoder, p);
    ck_assert_int_eq(ac_chunk_decode(&decoder, "0\r\n\r\n", 5, &used, &payload, &n),
                     APR_EOF);
    ck_assert_ptr_null(decoder.trailers);
    ck_assert_int_eq(ac_chunk_decode(&decoder, "1\r\nx", 4, &used, &payload, &n),
                     APR_EOF);
    ck_assert_uint_eq(used, 0);
}
END_TEST

START_TEST(trailers)
{
    const char *data = "1\r\nx\r\n0\r\nX-Sum: a b \r\nGrpc-Status: 0\r\nX-Sum: c\r\n"
                       "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: x\r\n"
                       "Trailer: y\r\nconnection: close\r\nSet-Cookie: a=b\r\n"
                       "Proxy-Authenticate: x\r\n\r\n";
    apr_size_t step;

    for (step = 1; step <= strlen(data); ++step) {
        decoded_t res = decode_n(data, strlen(data), step);
        const apr_table_entry_t *entry;

        ck_assert_int_eq(res.rv, APR_EOF);
        ck_assert_int_eq(apr_table_elts(res.trailers)->nelts, 3);
        entry = (const apr_table_entry_t *)apr_table_elts(res.trailers)->elts;
        ck_assert_str_eq(entry[0].key, "X-Sum");
        ck_assert_str_eq(entry[0].val, "a b");
        ck_assert_str_eq(entry[1].val, "0");
        ck_assert_str_eq(entry[2].val, "c");
    }
}
END_TEST

static const char *repeat(const char *before, const char *what, int n, const char *after)
{
    apr_size_t len = strlen(what);
    char *run = apr_palloc(p, len * n + 1);
    int i;

    for (i = 0; i < n; ++i) {
        memcpy(run + i * len, what, len);
    }
    run[len * n] = '\0';
    return apr_pstrcat(p, before, run, after, NULL);
}

START_TEST(limits)
{
    ck_assert_int_eq(decode(repeat("1;", "e", 1023, "\r\nx\r\n0\r\n\r\n")).rv, APR_EOF);
    ck_assert_int_eq(decode(repeat("1;", "e", 1024, "\r\nx\r\n0\r\n\r\n")).rv,
                     APR_EGENERAL);
    ck_assert_int_eq(decode(repeat("", repeat("1;", "e", 600, "\r\nx\r\n"), 3,
                                   "0\r\n\r\n")).rv, APR_EOF);
    ck_assert_int_eq(decode(repeat("0\r\n", "A: b\r\n", 64, "\r\n")).rv, APR_EOF);
    ck_assert_int_eq(decode(repeat("0\r\n", "A: b\r\n", 65, "\r\n")).rv, APR_EGENERAL);
    ck_assert_int_eq(decode(repeat("0\r\nA:", "x", 8188, "\r\n\r\n")).rv, APR_EOF);
    ck_assert_int_eq(decode(repeat("0\r\nA:", "x", 8189, "\r\n\r\n")).rv, APR_EGENERAL);
    ck_assert_int_eq(decode(repeat("0\r\n", "TE: xxxxxxxxxxxxxx\r\n", 500, "\r\n")).rv,
                     APR_EGENERAL);
}
END_TEST

/* Whatever runs a sender makes, the payload comes out whole. */
START_TEST(round_trip)
{
    unsigned seed = 7, round;

    for (round = 0; round < 300; ++round) {
        char wire[8192], payload[4096];
        apr_size_t at = 0, total = 0, i;
        decoded_t res;

        while (total < 3000 && draw(&seed, 8)) {
            apr_size_t n = 1 + draw(&seed, 400);

            at += ac_chunk_head(wire + at, n);
            for (i = 0; i < n; ++i) {
                payload[total++] = wire[at++] = (char)draw(&seed, 256);
            }
            memcpy(wire + at, "\r\n", 2);
            at += 2;
        }
        memcpy(wire + at, "0\r\n\r\n", 5);
        res = decode_n(wire, at + 5, 1 + draw(&seed, 300));
        ck_assert_int_eq(res.rv, APR_EOF);
        ck_assert_uint_eq(res.used, at + 5);
        ck_assert_uint_eq(res.len, total);
        ck_assert(memcmp(res.payload, payload, total) == 0);
    }
}
END_TEST

START_TEST(head)
{
    static const struct {
        apr_uint64_t n;
        const char *text;
    } heads[] = {
        { 0, "0\r\n" }, { 1, "1\r\n" }, { 15, "f\r\n" }, { 16, "10\r\n" },
        { 0x1a2b, "1a2b\r\n" }, { 65536, "10000\r\n" },
        { APR_UINT64_C(0xffffffffffffffff), "ffffffffffffffff\r\n" }
    };
    unsigned i;

    for (i = 0; i < sizeof(heads) / sizeof(heads[0]); ++i) {
        char buf[20];
        apr_size_t n = ac_chunk_head(buf, heads[i].n);

        ck_assert_uint_eq(n, strlen(heads[i].text));
        ck_assert(memcmp(buf, heads[i].text, n) == 0);
    }
}
END_TEST

TCase *chunk_case(void)
{
    TCase *tc = case_create("chunk");

    tcase_add_loop_test(tc, accepted, 0, sizeof(good) / sizeof(good[0]));
    tcase_add_loop_test(tc, refused, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(tc, nul_in_trailer);
    tcase_add_test(tc, incomplete);
    tcase_add_test(tc, fault_and_end_stay);
    tcase_add_test(tc, trailers);
    tcase_add_test(tc, limits);
    tcase_add_test(tc, round_trip);
    tcase_add_test(tc, head);
    return tc;
}
