/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* A session and what an app may send, and must not. */

#include "test_http2_peer.h"

#include <stdlib.h>
#include <string.h>
#include <apr_general.h>
#include <apr_strings.h>

START_TEST(a_request_without_body_is_one_frame)
{
    begin("GET", 0);
    drain();
    ck_assert_ptr_nonnull(find(NGHTTP2_SETTINGS));
    ck_assert_ptr_nonnull(find(NGHTTP2_HEADERS));
    ck_assert(find(NGHTTP2_HEADERS)->flags & NGHTTP2_FLAG_END_STREAM);
    ck_assert(h2->sent);
    ck_assert_str_eq(request_head, ":method: GET\n:scheme: http\n"
                     ":authority: example.org:81\n:path: /a?b\n"
                     "x-upper: Value\nte: trailers\n");
}
END_TEST

START_TEST(a_response_has_head_body_and_end)
{
    get();
    headers(0, ":status: 200\nx-a: 1\nx-a: 2\ncontent-length: 5\n");
    data(0, "he");
    give();
    ck_assert_int_eq(h2->state, AC_H2_OPEN);
    ck_assert_int_eq(head->status, 200);
    ck_assert_int_eq(head->framing, AC_FRAMING_STREAM);
    ck_assert_str_eq(apr_table_getm(p, head->headers, "X-A"), "1,2");
    data(NGHTTP2_FLAG_END_STREAM, "llo");
    give();
    ck_assert_int_eq(h2->state, AC_H2_ENDED);
    ck_assert_str_eq(got, "hello");
    ck_assert_ptr_null(h2->trailers);
    ck_assert(ac_h2_reusable(h2));
}
END_TEST

START_TEST(trailers_come_behind_the_body)
{
    get();
    headers(0, ":status: 200\n");
    data(0, "x");
    headers(NGHTTP2_FLAG_END_STREAM, "grpc-status: 0\n");
    give();
    ck_assert_int_eq(h2->state, AC_H2_ENDED);
    ck_assert_int_eq(heads, 1);
    ck_assert_str_eq(apr_table_get(h2->trailers, "Grpc-Status"), "0");
    ck_assert_ptr_null(apr_table_get(head->headers, "Grpc-Status"));
}
END_TEST

START_TEST(a_head_may_be_all)
{
    get();
    headers(NGHTTP2_FLAG_END_STREAM, ":status: 200\ngrpc-status: 5\n");
    give();
    ck_assert_int_eq(h2->state, AC_H2_ENDED);
    ck_assert_str_eq(apr_table_get(head->headers, "Grpc-Status"), "5");
    ck_assert_ptr_null(h2->trailers);
}
END_TEST

START_TEST(interim_heads_come_first)
{
    get();
    headers(0, ":status: 103\nlink: </a>\n");
    give();
    ck_assert_int_eq(head->status, 103);
    headers(NGHTTP2_FLAG_END_STREAM, ":status: 204\n");
    give();
    ck_assert_int_eq(heads, 2);
    ck_assert_int_eq(head->status, 204);
    ck_assert_ptr_null(apr_table_get(head->headers, "Link"));
    ck_assert_int_eq(h2->state, AC_H2_ENDED);
}
END_TEST

START_TEST(a_body_keeps_to_the_window)
{
    begin("POST", 1);
    settings(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 4);
    give();
    ck_assert(!(find(NGHTTP2_HEADERS)->flags & NGHTTP2_FLAG_END_STREAM));
    ck_assert_ptr_null(find(NGHTTP2_DATA));
    add_body("abc");
    add_body("def");
    ac_h2_body_end(h2, NULL);
    drain();
    ck_assert_uint_eq(find(NGHTTP2_DATA)->len, 4);
    ck_assert_int_eq(memcmp(find(NGHTTP2_DATA)->payload, "abcd", 4), 0);
    ck_assert(!h2->sent && !APR_BRIGADE_EMPTY(body));
    frame(NGHTTP2_WINDOW_UPDATE, 0, 1, number(100), 4);
    give();
    ck_assert_int_eq(memcmp(find(NGHTTP2_DATA)->payload, "ef", 2), 0);
    ck_assert(find(NGHTTP2_DATA)->flags & NGHTTP2_FLAG_END_STREAM);
    ck_assert(h2->sent && APR_BRIGADE_EMPTY(body));
}
END_TEST

START_TEST(a_body_is_cut_into_frames)
{
    char *big = apr_pcalloc(p, 40001);

    memset(big, 'x', 40000);
    begin("POST", 1);
    settings(0, 0);
    give();
    add_body(big);
    drain();
    ck_assert_int_eq(n_sent, 3);
    ck_assert_uint_eq(sent[0].len, 16384);
    ck_assert_uint_eq(sent[2].len, 40000 - 2 * 16384);
    ac_h2_body_end(h2, NULL);
    drain();
    ck_assert_int_eq(n_sent, 1);
    ck_assert(sent[0].len == 0 && (sent[0].flags & NGHTTP2_FLAG_END_STREAM));
}
END_TEST

START_TEST(trailers_of_the_client_end_the_request)
{
    apr_table_t *trailers = apr_table_make(p, 1);

    begin("POST", 1);
    settings(0, 0);
    give();
    add_body("x");
    apr_table_setn(trailers, "X-Sum", "7");
    ac_h2_body_end(h2, trailers);
    drain();
    ck_assert(!(find(NGHTTP2_DATA)->flags & NGHTTP2_FLAG_END_STREAM));
    ck_assert(find(NGHTTP2_HEADERS)->flags & NGHTTP2_FLAG_END_STREAM);
    ck_assert_ptr_nonnull(strstr(request_head, "\nx-sum: 7\n"));
    ck_assert(h2->sent);
}
END_TEST

START_TEST(an_early_response_does_not_end_the_request)
{
    begin("POST", 1);
    settings(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1);
    give();
    add_body("abc");
    ac_h2_body_end(h2, NULL);
    drain();
    headers(NGHTTP2_FLAG_END_STREAM, ":status: 403\n");
    frame(NGHTTP2_WINDOW_UPDATE, 0, 1, number(100), 4);
    give();
    ck_assert_int_eq(h2->state, AC_H2_ENDED);
    ck_assert(!h2->sent && !find(NGHTTP2_DATA));
}
END_TEST

START_TEST(another_request_may_follow)
{
    get();
    headers(NGHTTP2_FLAG_END_STREAM, ":status: 200\n");
    give();
    ac_h2_end(h2);
    begin("HEAD", 0);
    drain();
    ck_assert_uint_eq(find(NGHTTP2_HEADERS)->stream, 3);
    headers(NGHTTP2_FLAG_END_STREAM, ":status: 200\ncontent-length: 7\n");
    give();
    ck_assert_int_eq(h2->state, AC_H2_ENDED);
}
END_TEST

static const struct {
    unsigned long code;
    int answered;
    ac_h2_state_e state;
} resets[] = {
    { NGHTTP2_INTERNAL_ERROR, 0, AC_H2_RESET },
    { NGHTTP2_REFUSED_STREAM, 0, AC_H2_UNREAD },
    { NGHTTP2_CANCEL, 1, AC_H2_RESET },
    { NGHTTP2_REFUSED_STREAM, 1, AC_H2_RESET },
    { NGHTTP2_NO_ERROR, 1, AC_H2_RESET },
};

START_TEST(a_reset_stream_says_what_became_of_it)
{
    get();
    if (resets[_i].answered) {
        headers(0, ":status: 200\n");
    }
    frame(NGHTTP2_RST_STREAM, 0, 1, number(resets[_i].code), 4);
    give();
    ck_assert_int_eq(h2->state, resets[_i].state);
}
END_TEST

START_TEST(goaway_tells_what_was_not_read)
{
    get();
    goaway(0, NGHTTP2_NO_ERROR);
    give();
    ck_assert_int_eq(h2->state, AC_H2_UNREAD);
    ck_assert(!ac_h2_reusable(h2));
}
END_TEST

START_TEST(goaway_lets_the_current_request_end)
{
    get();
    goaway(0x7fffffff, NGHTTP2_NO_ERROR);
    give();
    ck_assert_int_eq(h2->state, AC_H2_OPEN);
    headers(NGHTTP2_FLAG_END_STREAM, ":status: 200\n");
    give();
    ck_assert_int_eq(h2->state, AC_H2_ENDED);
    ck_assert(!ac_h2_reusable(h2));
}
END_TEST

static const char *const malformed[] = {
    ":status: 200\nconnection: close\n",
    ":status: 200\ntransfer-encoding: chunked\n",
    ":status: 200\nX-Upper: 1\n",
    ":status: 200\ncontent-length: 1\ncontent-length: 2\n",
    ":status: 200\ncontent-length: x\n",
    ":status: 101\n",
    ":status: 099\n",
    ":status: 2x0\n",
    "x-a: 1\n",
    "x-a: 1\n:status: 200\n",
    ":status: 200\n:path: /\n",
};

START_TEST(a_malformed_head_is_refused)
{
    get();
    headers(0, malformed[_i]);
    give();
    ck_assert_int_eq(h2->state, AC_H2_BROKEN);
    ck_assert(*h2->error);
    ck_assert_int_eq(heads, 0);
}
END_TEST

static const char *const lengths[] = { "content-length: 3\n", "content-length: 1\n" };

START_TEST(a_wrong_length_is_noticed)
{
    get();
    headers(0, apr_pstrcat(p, ":status: 200\n", lengths[_i], NULL));
    data(NGHTTP2_FLAG_END_STREAM, "xx");
    give();
    ck_assert_int_eq(h2->state, AC_H2_BROKEN);
}
END_TEST

START_TEST(many_fields_are_too_many)
{
    const char *fields = ":status: 200\n";
    int i;

    for (i = 0; i < 200; ++i) {
        fields = apr_pstrcat(p, fields, "a: b\n", NULL);
    }
    get();
    headers(0, fields);
    give();
    ck_assert_int_eq(h2->state, AC_H2_BROKEN);
    ck_assert_str_eq(h2->error, "headers that are too large");
}
END_TEST

/* One field in the table of HPACK, and 64 times the byte that repeats it. */
START_TEST(a_head_stays_small_when_it_is_unpacked)
{
    char block[3000], *at = block;
    int i;

    get();
    *at++ = (char)0x88;                 /* :status: 200 */
    *at++ = 0x40;
    *at++ = 1;
    *at++ = 'a';
    *at++ = 0x7f;                       /* 127 + 1873 = 2000 bytes */
    *at++ = (char)0xd1;
    *at++ = 0x0e;
    memset(at, 'v', 2000);
    at += 2000;
    for (i = 0; i < 64; ++i) {
        *at++ = (char)0xbe;
    }
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, block,
          (apr_size_t)(at - block));
    give();
    ck_assert_int_eq(h2->state, AC_H2_BROKEN);
    ck_assert_str_eq(h2->error, "headers that are too large");
    ck_assert(!ac_h2_reusable(h2));
}
END_TEST

START_TEST(another_protocol_is_named)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

    begin("GET", 0);
    drain();
    ac_h2_receive(h2, answer, sizeof(answer) - 1);
    drain();
    ck_assert_int_eq(h2->state, AC_H2_BROKEN);
    ck_assert_ptr_nonnull(strstr(h2->error, "SETTINGS"));
}
END_TEST

START_TEST(what_concerns_the_connection_is_no_activity)
{
    unsigned before;

    get();
    before = h2->activity;
    frame(NGHTTP2_PING, 0, 0, "12345678", 8);
    settings(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 7);
    give();
    ck_assert_uint_eq(h2->activity, before);
    ck_assert(find(NGHTTP2_PING)->flags & NGHTTP2_FLAG_ACK);
    headers(0, ":status: 200\n");
    give();
    ck_assert_uint_gt(h2->activity, before);
}
END_TEST

START_TEST(the_apps_window_is_opened_again)
{
    static char piece[16384];
    int i;

    get();
    headers(0, ":status: 200\n");
    for (i = 0; i < 12; ++i) {
        frame(NGHTTP2_DATA, 0, 1, piece, sizeof(piece));
        got_len = 0;
        give();
        if (find(NGHTTP2_WINDOW_UPDATE)) {
            break;
        }
    }
    ck_assert_ptr_nonnull(find(NGHTTP2_WINDOW_UPDATE));
}
END_TEST

static apr_ssize_t idle(char *answer, apr_size_t size)
{
    apr_ssize_t n = ac_h2_idle(h2, in, in_len, answer, size);

    in_len = 0;
    return n;
}

static void finished(void)
{
    get();
    headers(NGHTTP2_FLAG_END_STREAM, ":status: 200\n");
    give();
    ac_h2_end(h2);
}

START_TEST(an_idle_connection_answers)
{
    char answer[100];

    finished();
    frame(NGHTTP2_PING, 0, 0, "12345678", 8);
    frame(NGHTTP2_WINDOW_UPDATE, 0, 0, number(1), 4);
    ck_assert_int_eq(idle(answer, sizeof(answer)), 17);
    ck_assert_int_eq(memcmp(answer + 9, "12345678", 8), 0);
    frame(NGHTTP2_PING, 0, 0, "12345678", 8);
    ck_assert_int_eq(idle(answer, 16), -1);
}
END_TEST

START_TEST(an_idle_connection_may_be_of_no_use)
{
    char answer[100];

    finished();
    if (_i == 0) {
        goaway(1, NGHTTP2_NO_ERROR);
    }
    else if (_i == 1) {
        frame(NGHTTP2_DATA, 0, 0, "x", 1);
    }
    else {
        settings(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0x80000000ul);
    }
    ck_assert_int_eq(idle(answer, sizeof(answer)), -1);
}
END_TEST

#define ADD_ALL(test, table) \
    tcase_add_loop_test(tc, test, 0, (int)(sizeof(table) / sizeof(table[0])))

int main(void)
{
    Suite *s = suite_create("http2");
    TCase *tc = tcase_create("session");
    SRunner *sr;
    int failed;

    if (!ac_h2_supported()) {
        return 77;
    }
    apr_initialize();
    tcase_add_checked_fixture(tc, peer_setup, peer_teardown);
    tcase_add_test(tc, a_request_without_body_is_one_frame);
    tcase_add_test(tc, a_response_has_head_body_and_end);
    tcase_add_test(tc, trailers_come_behind_the_body);
    tcase_add_test(tc, a_head_may_be_all);
    tcase_add_test(tc, interim_heads_come_first);
    tcase_add_test(tc, a_body_keeps_to_the_window);
    tcase_add_test(tc, a_body_is_cut_into_frames);
    tcase_add_test(tc, trailers_of_the_client_end_the_request);
    tcase_add_test(tc, an_early_response_does_not_end_the_request);
    tcase_add_test(tc, another_request_may_follow);
    ADD_ALL(a_reset_stream_says_what_became_of_it, resets);
    tcase_add_test(tc, goaway_tells_what_was_not_read);
    tcase_add_test(tc, goaway_lets_the_current_request_end);
    ADD_ALL(a_malformed_head_is_refused, malformed);
    ADD_ALL(a_wrong_length_is_noticed, lengths);
    tcase_add_test(tc, many_fields_are_too_many);
    tcase_add_test(tc, a_head_stays_small_when_it_is_unpacked);
    tcase_add_test(tc, another_protocol_is_named);
    tcase_add_test(tc, what_concerns_the_connection_is_no_activity);
    tcase_add_test(tc, the_apps_window_is_opened_again);
    tcase_add_test(tc, an_idle_connection_answers);
    tcase_add_loop_test(tc, an_idle_connection_may_be_of_no_use, 0, 3);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    apr_terminate();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
