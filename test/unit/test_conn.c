/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "conn/wheel.h"

#define TURN (AC_WHEEL_SLOTS * AC_WHEEL_TICK)

static ac_wheel_t wheel;

static void setup(void)
{
    ac_wheel_init(&wheel, apr_time_from_sec(1000));
}

static apr_time_t at(apr_interval_time_t ms)
{
    return apr_time_from_sec(1000) + apr_time_from_msec(ms);
}

START_TEST(test_empty)
{
    ck_assert_int_eq(ac_wheel_next(&wheel), 0);
    ck_assert_ptr_null(ac_wheel_expire(&wheel, at(100000)));
}
END_TEST

START_TEST(test_not_early_and_a_tick_late_at_most)
{
    ac_wheel_node_t node = { 0 };

    ac_wheel_add(&wheel, &node, at(100));
    ck_assert_ptr_null(ac_wheel_expire(&wheel, at(99)));
    ck_assert_int_ge(ac_wheel_next(&wheel), at(100));
    ck_assert_int_lt(ac_wheel_next(&wheel), at(100) + AC_WHEEL_TICK);
    ck_assert_ptr_eq(ac_wheel_expire(&wheel, at(100) + AC_WHEEL_TICK), &node);
    ck_assert_ptr_null(node.next);
    ck_assert_int_eq(ac_wheel_next(&wheel), 0);
}
END_TEST

START_TEST(test_the_past_is_due_at_once)
{
    ac_wheel_node_t node = { 0 };

    ac_wheel_add(&wheel, &node, at(-5000));
    ck_assert_int_le(ac_wheel_next(&wheel), at(0) + AC_WHEEL_TICK);
    ck_assert_ptr_eq(ac_wheel_expire(&wheel, at(0) + AC_WHEEL_TICK), &node);
}
END_TEST

START_TEST(test_more_than_a_turn_ahead)
{
    ac_wheel_node_t node = { 0 };
    apr_time_t due = at(100) + 3 * TURN;
    int looks = 0;

    ac_wheel_add(&wheel, &node, due);
    while (ac_wheel_next(&wheel) < due) {
        ck_assert_ptr_null(ac_wheel_expire(&wheel, ac_wheel_next(&wheel)));
        looks++;
    }
    /* Looked at once a turn, not at every tick. */
    ck_assert_int_le(looks, 4);
    ck_assert_ptr_eq(ac_wheel_expire(&wheel, due + AC_WHEEL_TICK), &node);
}
END_TEST

START_TEST(test_removed_is_never_due)
{
    ac_wheel_node_t a = { 0 }, b = { 0 };

    ac_wheel_add(&wheel, &a, at(50));
    ac_wheel_add(&wheel, &b, at(50));
    ac_wheel_remove(&wheel, &a);
    ac_wheel_remove(&wheel, &a);
    ck_assert_ptr_eq(ac_wheel_expire(&wheel, at(200)), &b);
    ck_assert_ptr_null(ac_wheel_expire(&wheel, at(200)));
    ac_wheel_add(&wheel, &a, at(300));
    ac_wheel_remove(&wheel, &a);
    ck_assert_int_eq(ac_wheel_next(&wheel), 0);
}
END_TEST

START_TEST(test_after_a_long_sleep)
{
    ac_wheel_node_t a = { 0 }, b = { 0 };

    ac_wheel_add(&wheel, &a, at(10));
    ac_wheel_add(&wheel, &b, at(20) + 5 * TURN);
    ck_assert_ptr_eq(ac_wheel_expire(&wheel, at(0) + 20 * TURN), &a);
    ck_assert_ptr_eq(ac_wheel_expire(&wheel, at(0) + 20 * TURN), &b);
    ck_assert_ptr_null(ac_wheel_expire(&wheel, at(0) + 20 * TURN));
}
END_TEST

/* Against a plain list, at random. */
START_TEST(test_many)
{
    enum { N = 500 };
    static ac_wheel_node_t nodes[N];
    static apr_time_t due[N];
    apr_time_t now = at(0);
    int i, round;

    memset(nodes, 0, sizeof(nodes));
    memset(due, 0, sizeof(due));
    srand(_i + 1);
    for (round = 0; round < 200; round++) {
        ac_wheel_node_t *node;

        i = rand() % N;
        ac_wheel_remove(&wheel, &nodes[i]);
        due[i] = now + rand() % (int)(2 * TURN);
        ac_wheel_add(&wheel, &nodes[i], due[i]);
        now += rand() % (int)apr_time_from_msec(200);
        while ((node = ac_wheel_expire(&wheel, now)) != NULL) {
            ck_assert_int_le(due[node - nodes], now);
            due[node - nodes] = 0;
        }
        for (i = 0; i < N; i++) {
            ck_assert(due[i] == 0 || due[i] > now - AC_WHEEL_TICK);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conn");
    TCase *tc = tcase_create("wheel");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, test_empty);
    tcase_add_test(tc, test_not_early_and_a_tick_late_at_most);
    tcase_add_test(tc, test_the_past_is_due_at_once);
    tcase_add_test(tc, test_more_than_a_turn_ahead);
    tcase_add_test(tc, test_removed_is_never_due);
    tcase_add_test(tc, test_after_a_long_sleep);
    tcase_add_loop_test(tc, test_many, 0, 20);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
