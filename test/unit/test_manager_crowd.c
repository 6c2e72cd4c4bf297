/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* A range of processes: grows with the load, shrinks without. */

#include "test_manager.h"
#include "test_manager_world.h"

#define MSEC (SECOND / 1000)

static ac_sup_conf_t conf;

/* One to five processes, ten requests each; the first runs. */
static void setup(void)
{
    conf = conf_default();
    conf.least = 1;
    conf.processes = 5;
    conf.share = 10;
    world_setup();
    configure(1, &conf);
    start_first();
}

/* Brings up whatever was asked for after a look; the newest generation. */
static uint32_t grow(uint32_t generation)
{
    looked();
    while (app()->last_generation > generation) {
        bring_up(++generation);
    }
    return generation;
}

START_TEST(test_least_number_starts)
{
    ck_assert_uint_eq(app()->target, 1);
    ck_assert_uint_eq(app()->last_generation, 1);
    ck_assert_msg(ac_sup_due(sup) == 0, "nobody measures without need");
}
END_TEST

START_TEST(test_grows_when_all_are_busy_for_a_while)
{
    load = 11;
    ac_sup_wake(app());
    pass(499 * MSEC);
    ck_done("");
    pass(101 * MSEC);
    ck_done("look");
    ck_assert_uint_eq(app()->target, 2);
    looked();
    ck_done("listen:2");
    bring_up(2);
    ck_assert_uint_eq(app()->view.state, AC_APP_RUNNING);
    pass(5 * SECOND);
    ck_assert_uint_eq(app()->target, 2);
}
END_TEST

START_TEST(test_their_share_is_no_crowd)
{
    load = 10;
    ac_sup_wake(app());
    pass(60 * SECOND);
    ck_done("");
    ck_assert_uint_eq(app()->target, 1);
    ck_assert(ac_sup_due(sup) == 0);
}
END_TEST

START_TEST(test_a_moment_is_no_crowd)
{
    int i;

    for (i = 0; i < 20; ++i) {
        load = 30;
        ac_sup_wake(app());
        pass(300 * MSEC);
        load = 3;
        pass(200 * MSEC);
    }
    ck_done("");
}
END_TEST

/* Doubled at most, up to what is needed, up to the most. */
START_TEST(test_growth_is_bounded)
{
    uint32_t g;

    load = 1000;
    ac_sup_wake(app());
    pass(SECOND);
    ck_assert_uint_eq(app()->target, 2);
    g = grow(1);
    pass(SECOND);
    ck_assert_uint_eq(app()->target, 4);
    g = grow(g);
    load = 41;
    pass(SECOND);
    ck_assert_uint_eq(app()->target, 5);
    g = grow(g);
    ck_assert_uint_eq(g, 5);
    load = 1000;
    pass(60 * SECOND);
    ck_done("");
    ck_assert_uint_eq(app()->target, 5);
}
END_TEST

START_TEST(test_no_growth_while_one_starts)
{
    load = 1000;
    ac_sup_wake(app());
    pass(SECOND);
    ck_done("look");
    pass(10 * SECOND);
    looked();
    pass(10 * SECOND);
    ck_assert_uint_eq(app()->target, 2);
    ck_done("listen:2");
}
END_TEST

START_TEST(test_shrinks_one_by_one)
{
    load = 1000;
    ac_sup_wake(app());
    pass(SECOND);
    grow(1);
    pass(SECOND);
    ck_assert_uint_eq(grow(2), 4);
    load = 15;
    pass(9 * SECOND);
    ck_assert_uint_eq(app()->target, 4);
    pass(2 * SECOND);
    ck_assert_uint_eq(app()->target, 3);
    ck_assert_int_eq(proc(4)->is.state, AC_PROC_DRAIN);
    ck_assert_int_eq(proc(3)->is.state, AC_PROC_READY);
    /* 15 is more than half of what two can take. */
    pass(60 * SECOND);
    ck_assert_uint_eq(app()->target, 3);
    load = 0;
    pass(60 * SECOND);
    ck_assert_uint_eq(app()->target, 1);
    ck_assert_uint_eq(app()->measure_at, 0);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_READY);
}
END_TEST

START_TEST(test_range_survives_a_crash)
{
    load = 25;
    ac_sup_wake(app());
    pass(SECOND);
    grow(1);
    exited(2);
    reported();
    looked();
    ck_done("report=crashed signal9g:2 look listen<heir:3");
    ck_assert_uint_eq(app()->target, 2);
}
END_TEST

START_TEST(test_next_manager_finds_more_than_the_least)
{
    ac_sup_note_t note = { .tag = 5, .slot = 2, .generation = 3, .state = AC_PROC_READY };
    ac_sup_app_t *at;
    unsigned char digest[AC_SUP_DIGEST] = { 0 };

    world_teardown();
    world_setup();
    ac_sup_config_begin(sup);
    at = ac_sup_configure(sup, APP, digest, &conf);
    ck_assert_ptr_nonnull(ac_sup_adopt(sup, APP, &note));
    ac_sup_config_end(sup);
    ck_assert_uint_eq(at->target, 3);
    ck_assert_msg(at->measure_at != 0, "it may have too many");
    ck_assert_uint_eq(at->conf.processes, 5);
}
END_TEST

START_TEST(test_number_without_range_is_never_measured)
{
    conf.least = 0;
    conf.processes = 1;
    configure(2, &conf);
    load = 1000;
    ac_sup_wake(app());
    ck_assert_uint_eq(app()->measure_at, 0);
    ac_sup_load(app(), 1000);
    ck_assert_uint_eq(app()->target, 1);
    ck_assert_uint_eq(app()->measure_at, 0);
}
END_TEST

TCase *crowd_case(void)
{
    TCase *tc = case_create("crowd");

    tcase_add_checked_fixture(tc, setup, world_teardown);
    tcase_add_test(tc, test_least_number_starts);
    tcase_add_test(tc, test_grows_when_all_are_busy_for_a_while);
    tcase_add_test(tc, test_their_share_is_no_crowd);
    tcase_add_test(tc, test_a_moment_is_no_crowd);
    tcase_add_test(tc, test_growth_is_bounded);
    tcase_add_test(tc, test_no_growth_while_one_starts);
    tcase_add_test(tc, test_shrinks_one_by_one);
    tcase_add_test(tc, test_range_survives_a_crash);
    tcase_add_test(tc, test_next_manager_finds_more_than_the_least);
    tcase_add_test(tc, test_number_without_range_is_never_measured);
    return tc;
}
