/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include <stdlib.h>
#include <string.h>
#include <check.h>
#include <apr_general.h>
#include <apr_strings.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "base/wire.h"

static apr_pool_t *p;

static void setup(void)
{
    apr_pool_create(&p, NULL);
}

static void teardown(void)
{
    apr_pool_destroy(p);
}

START_TEST(wire_gives_back_what_was_put)
{
    ac_wire_writer_t w;
    ac_wire_reader_t r;
    apr_size_t len;

    ac_wire_writer_init(&w, 4096, p);
    ac_wire_put_u8(&w, 0xab);
    ac_wire_put_u32(&w, 0xdeadbeef);
    ac_wire_put_u64(&w, 0x0123456789abcdefULL);
    ac_wire_put_i64(&w, -2);
    ac_wire_put_str(&w, "shop");
    ac_wire_put_str(&w, "");
    ac_wire_put_str(&w, NULL);
    ac_wire_put_bytes(&w, "a\0b", 3);
    ck_assert_int_eq(w.status, APR_SUCCESS);

    ac_wire_reader_init(&r, w.data, w.len);
    ck_assert_uint_eq(ac_wire_get_u8(&r), 0xab);
    ck_assert_uint_eq(ac_wire_get_u32(&r), 0xdeadbeef);
    ck_assert_uint_eq(ac_wire_get_u64(&r), 0x0123456789abcdefULL);
    ck_assert_int_eq(ac_wire_get_i64(&r), -2);
    ck_assert_str_eq(ac_wire_get_str(&r, p), "shop");
    ck_assert_str_eq(ac_wire_get_str(&r, p), "");
    ck_assert_ptr_null(ac_wire_get_str(&r, p));
    ck_assert_mem_eq(ac_wire_get_bytes(&r, &len), "a\0b", 3);
    ck_assert_uint_eq(len, 3);
    ck_assert_int_eq(ac_wire_reader_end(&r), APR_SUCCESS);
}
END_TEST

START_TEST(wire_is_little_endian_without_padding)
{
    static const unsigned char expected[] = { 7, 4, 3, 2, 1, 2, 0, 0, 0, 'h', 'i' };
    ac_wire_writer_t w;

    ac_wire_writer_init(&w, 4096, p);
    ac_wire_put_u8(&w, 7);
    ac_wire_put_u32(&w, 0x01020304);
    ac_wire_put_str(&w, "hi");
    ck_assert_uint_eq(w.len, sizeof(expected));
    ck_assert_mem_eq(w.data, expected, sizeof(expected));
}
END_TEST

START_TEST(wire_writer_grows_up_to_its_limit)
{
    ac_wire_writer_t w;
    int i;

    ac_wire_writer_init(&w, 1000, p);
    for (i = 0; i < 125; ++i) {
        ac_wire_put_u64(&w, (uint64_t)i);
    }
    ck_assert_int_eq(w.status, APR_SUCCESS);
    ck_assert_uint_eq(w.len, 1000);
    ck_assert_uint_eq(w.data[8], 1);
    ck_assert_uint_eq(w.data[992], 124);

    ac_wire_put_u8(&w, 1);
    ck_assert_int_eq(w.status, APR_ENOSPC);
    ck_assert_uint_eq(w.len, 1000);
}
END_TEST

START_TEST(wire_writer_stays_in_error)
{
    ac_wire_writer_t w;

    ac_wire_writer_init(&w, 8, p);
    ac_wire_put_str(&w, "too long for that");
    ck_assert_int_eq(w.status, APR_ENOSPC);
    ac_wire_put_u8(&w, 1);
    ck_assert_int_eq(w.status, APR_ENOSPC);
    ck_assert_uint_le(w.len, 8);
}
END_TEST

START_TEST(wire_reader_stays_in_error)
{
    static const unsigned char data[] = { 1, 2, 3 };
    ac_wire_reader_t r;

    ac_wire_reader_init(&r, data, sizeof(data));
    ck_assert_uint_eq(ac_wire_get_u32(&r), 0);
    ck_assert_int_eq(r.status, APR_EINVAL);
    ck_assert_uint_eq(ac_wire_get_u8(&r), 0);
    ck_assert_ptr_null(ac_wire_get_str(&r, p));
    ck_assert_int_eq(ac_wire_reader_end(&r), APR_EINVAL);
}
END_TEST

START_TEST(wire_reader_wants_every_byte_read)
{
    static const unsigned char data[] = { 1, 2 };
    ac_wire_reader_t r;

    ac_wire_reader_init(&r, data, sizeof(data));
    ac_wire_get_u8(&r);
    ck_assert_int_eq(ac_wire_reader_end(&r), APR_EINVAL);
    ac_wire_get_u8(&r);
    ck_assert_int_eq(ac_wire_reader_end(&r), APR_SUCCESS);
}
END_TEST

/* A length that the bytes do not bear out: one too many, and the largest. */
START_TEST(wire_reader_trusts_no_length)
{
    static const uint32_t lengths[] = { 3, 0x7fffffff, 0xfffffffe };
    uint32_t claimed = lengths[_i];
    ac_wire_writer_t w;
    ac_wire_reader_t r;
    apr_size_t len = 99;

    ac_wire_writer_init(&w, 64, p);
    ac_wire_put_u32(&w, claimed);
    ac_wire_put_u8(&w, 'a');
    ac_wire_put_u8(&w, 'b');

    ac_wire_reader_init(&r, w.data, w.len);
    ck_assert_ptr_null(ac_wire_get_str(&r, p));
    ck_assert_int_eq(r.status, APR_EINVAL);
    ac_wire_reader_init(&r, w.data, w.len);
    ck_assert_ptr_null(ac_wire_get_bytes(&r, &len));
    ck_assert_uint_eq(len, 0);
    ck_assert_int_eq(r.status, APR_EINVAL);
}
END_TEST

START_TEST(wire_string_has_no_nul_inside)
{
    ac_wire_writer_t w;
    ac_wire_reader_t r;

    ac_wire_writer_init(&w, 64, p);
    ac_wire_put_bytes(&w, "a\0b", 3);
    ac_wire_reader_init(&r, w.data, w.len);
    ck_assert_ptr_null(ac_wire_get_str(&r, p));
    ck_assert_int_eq(r.status, APR_EINVAL);
}
END_TEST

START_TEST(wire_count_is_bounded)
{
    static const unsigned char three[] = { 3, 0, 0, 0 };
    ac_wire_reader_t r;

    ac_wire_reader_init(&r, three, sizeof(three));
    ck_assert_uint_eq(ac_wire_get_count(&r, 3), 3);
    ck_assert_int_eq(ac_wire_reader_end(&r), APR_SUCCESS);
    ac_wire_reader_init(&r, three, sizeof(three));
    ck_assert_uint_eq(ac_wire_get_count(&r, 2), 0);
    ck_assert_int_eq(r.status, APR_EINVAL);
}
END_TEST

START_TEST(result_crosses_the_wire)
{
    ac_result_t sent = AC_RESULT_OK;
    ac_result_t got;
    ac_wire_writer_t w;
    ac_wire_reader_t r;

    ac_result_set(&sent, APR_ENOENT, AC_STAGE_EXEC, AC_FAULT_EXEC, "no program %s", "x");
    ac_wire_writer_init(&w, 4096, p);
    ac_result_put(&w, &sent);
    ac_wire_reader_init(&r, w.data, w.len);
    ac_result_get(&r, &got);
    ck_assert_int_eq(ac_wire_reader_end(&r), APR_SUCCESS);
    ck_assert_int_eq(got.status, APR_ENOENT);
    ck_assert_int_eq(got.stage, AC_STAGE_EXEC);
    ck_assert_int_eq(got.fault, AC_FAULT_EXEC);
    ck_assert_int_eq(got.http_status, 502);
    ck_assert_int_eq(got.substatus, 5);
    ck_assert_str_eq(got.detail, "no program x");
}
END_TEST

START_TEST(result_detail_is_cut)
{
    ac_result_t res = AC_RESULT_OK;
    char *text = apr_palloc(p, 2 * AC_RESULT_DETAIL);
    ac_wire_writer_t w;
    ac_wire_reader_t r;

    memset(text, 'x', 2 * AC_RESULT_DETAIL);
    text[2 * AC_RESULT_DETAIL - 1] = '\0';
    ac_result_set(&res, 0, AC_STAGE_RUN, AC_FAULT_CRASHED, "%s", text);
    ck_assert_uint_eq(strlen(res.detail), AC_RESULT_DETAIL - 1);

    /* A peer that sends more than fits does not overrun us. */
    ac_wire_writer_init(&w, 8192, p);
    ac_wire_put_u32(&w, 0);
    ac_wire_put_u8(&w, AC_STAGE_RUN);
    ac_wire_put_u8(&w, AC_FAULT_CRASHED);
    ac_wire_put_u32(&w, 502);
    ac_wire_put_u32(&w, 3);
    ac_wire_put_str(&w, text);
    ac_wire_reader_init(&r, w.data, w.len);
    ac_result_get(&r, &res);
    ck_assert_int_eq(ac_wire_reader_end(&r), APR_SUCCESS);
    ck_assert_uint_eq(strlen(res.detail), AC_RESULT_DETAIL - 1);
}
END_TEST

START_TEST(stages_and_faults_have_names)
{
    int i, j;

    for (i = AC_STAGE_NONE; i <= AC_STAGE_RUN; ++i) {
        ck_assert_str_ne(ac_stage_name((ac_stage_e)i), "unknown");
        ck_assert_str_ne(ac_stage_text((ac_stage_e)i), "unknown");
        for (j = AC_STAGE_NONE; j < i; ++j) {
            ck_assert_str_ne(ac_stage_name((ac_stage_e)i), ac_stage_name((ac_stage_e)j));
        }
    }
    for (i = AC_FAULT_NONE; i <= AC_FAULT_INTERNAL; ++i) {
        ck_assert_str_ne(ac_fault_name((ac_fault_e)i), "unknown");
    }
    ck_assert_str_eq(ac_stage_name((ac_stage_e)99), "unknown");
    ck_assert_str_eq(ac_fault_name((ac_fault_e)99), "unknown");
}
END_TEST

START_TEST(every_fault_has_a_status)
{
    ac_result_t res = AC_RESULT_OK;
    int i;

    for (i = AC_FAULT_NONE + 1; i <= AC_FAULT_INTERNAL; ++i) {
        ac_result_set(&res, APR_EGENERAL, AC_STAGE_LOOK, (ac_fault_e)i, "x");
        ck_assert_int_ge(res.http_status, 500);
        ck_assert_int_le(res.http_status, 504);
    }
    ac_result_set(&res, APR_EGENERAL, AC_STAGE_LOOK, AC_FAULT_ACCESS_RULES, "x");
    ck_assert_int_eq(res.http_status, 500);
    ck_assert_int_eq(res.substatus, 19);
}
END_TEST

START_TEST(clock_never_goes_back)
{
    apr_time_t last = ac_clock_now();
    int i;

    ck_assert_int_gt(last, 0);
    for (i = 0; i < 1000; ++i) {
        apr_time_t now = ac_clock_now();

        ck_assert_int_ge(now, last);
        last = now;
    }
}
END_TEST

START_TEST(clock_as_the_c_library_has_it)
{
    struct timespec ts = ac_clock_timespec(3 * APR_USEC_PER_SEC + 250001);

    ck_assert_int_eq(ts.tv_sec, 3);
    ck_assert_int_eq(ts.tv_nsec, 250001000);
}
END_TEST

START_TEST(backoff_starts_at_once_and_grows)
{
    const uint32_t middle = UINT32_MAX / 2;
    apr_interval_time_t previous = 0;
    unsigned failures;

    ck_assert_int_eq(ac_backoff_delay(0, middle), 0);
    ck_assert_int_eq(ac_backoff_delay(1, middle), 0);
    for (failures = 2; failures < 9; ++failures) {
        apr_interval_time_t delay = ac_backoff_delay(failures, middle);

        ck_assert_int_gt(delay, previous);
        previous = delay;
    }
    ck_assert_int_eq(ac_backoff_delay(1000, middle),
                     ac_backoff_delay(UINT32_MAX, middle));
}
END_TEST

START_TEST(backoff_is_spread_within_a_quarter)
{
    ck_assert_int_eq(ac_backoff_delay(2, 0), 187500);
    ck_assert_int_eq(ac_backoff_delay(2, UINT32_MAX), 312500);
    ck_assert_int_eq(ac_backoff_delay(100, 0), apr_time_from_msec(22500));
    ck_assert_int_eq(ac_backoff_delay(100, UINT32_MAX), apr_time_from_msec(37500));
}
END_TEST

START_TEST(levels_have_the_names_of_httpd)
{
    ck_assert_str_eq(ac_level_name(AC_LEVEL_EMERG), "emerg");
    ck_assert_str_eq(ac_level_name(AC_LEVEL_ERR), "error");
    ck_assert_str_eq(ac_level_name(AC_LEVEL_DEBUG), "debug");
    ck_assert_str_eq(ac_level_name(15), "trace1");
}
END_TEST

static TCase *wire_case(void)
{
    TCase *tc = tcase_create("wire");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, wire_gives_back_what_was_put);
    tcase_add_test(tc, wire_is_little_endian_without_padding);
    tcase_add_test(tc, wire_writer_grows_up_to_its_limit);
    tcase_add_test(tc, wire_writer_stays_in_error);
    tcase_add_test(tc, wire_reader_stays_in_error);
    tcase_add_test(tc, wire_reader_wants_every_byte_read);
    tcase_add_loop_test(tc, wire_reader_trusts_no_length, 0, 3);
    tcase_add_test(tc, wire_string_has_no_nul_inside);
    tcase_add_test(tc, wire_count_is_bounded);
    return tc;
}

static TCase *result_case(void)
{
    TCase *tc = tcase_create("result");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, result_crosses_the_wire);
    tcase_add_test(tc, result_detail_is_cut);
    tcase_add_test(tc, stages_and_faults_have_names);
    tcase_add_test(tc, every_fault_has_a_status);
    return tc;
}

static TCase *log_case(void)
{
    TCase *tc = tcase_create("log");

    tcase_add_test(tc, levels_have_the_names_of_httpd);
    return tc;
}

static TCase *clock_case(void)
{
    TCase *tc = tcase_create("clock");

    tcase_add_test(tc, clock_never_goes_back);
    tcase_add_test(tc, clock_as_the_c_library_has_it);
    tcase_add_test(tc, backoff_starts_at_once_and_grows);
    tcase_add_test(tc, backoff_is_spread_within_a_quarter);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("base");
    SRunner *runner;
    int failed;

    apr_initialize();
    suite_add_tcase(suite, wire_case());
    suite_add_tcase(suite, result_case());
    suite_add_tcase(suite, clock_case());
    suite_add_tcase(suite, log_case());
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    apr_terminate();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
