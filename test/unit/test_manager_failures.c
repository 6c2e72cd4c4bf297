/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Failures in a row: delays, the breaker, and what ends them. */

#include "test_manager.h"
#include "test_manager_world.h"

#include <string.h>

#define ck_state(expected) \
    ck_assert_str_eq(ac_app_state_name(app()->view.state), ac_app_state_name(expected))

static void setup(void)
{
    ac_sup_conf_t conf = conf_default();

    world_setup();
    configure(1, &conf);
}

START_TEST(test_crashes_delay_more_and_more)
{
    apr_interval_time_t delay, before = 0;
    uint32_t g;

    start_first();
    for (g = 1; g <= 5; ++g) {
        exited(g);
        reported();
        delay = app()->pause ? app()->retry_at - now : 0;
        if (g == 1) {
            ck_assert(delay == 0);
        }
        else {
            ck_state(AC_APP_BACKOFF);
            ck_assert(delay > before);
            before = delay;
        }
        pass(delay);
        looked();
        bring_up(g + 1);
    }
    ck_state(AC_APP_RUNNING);
}
END_TEST

START_TEST(test_stable_process_restarts_at_once_again)
{
    uint32_t g;

    start_first();
    for (g = 1; g <= 5; ++g) {
        pass(11 * SECOND);
        exited(g);
        reported();
        ck_assert(app()->pause == AC_PAUSE_NONE);
        looked();
        bring_up(g + 1);
    }
}
END_TEST

/* Whoever waits is told of the second failed start, not of the first. */
START_TEST(test_an_app_that_ran_may_fail_to_start_once)
{
    ac_result_t res;
    uint32_t g;

    fails(&res, AC_FAULT_EXITED);
    start_first();
    exited(1);
    reported();
    for (g = 2; g <= 3; ++g) {
        looked();
        listening(g);
        executed(g);
        ac_sup_exited(proc(g), &res, 0);
        reported();
        ck_assert_uint_eq(app()->view.failures, g - 2);
        pass(app()->retry_at - now);
    }
    looked();
    bring_up(4);
    exited(4);
    reported();
    ck_assert_uint_eq(app()->view.failures, 1);
}
END_TEST

START_TEST(test_request_in_backoff_starts_when_it_is_over)
{
    ac_result_t res;
    int i;

    fails(&res, AC_FAULT_EXEC);
    for (i = 0; i < 2; ++i) {
        ac_sup_wake(app());
        looked();
        listening((uint32_t)i + 1);
        ac_sup_executed(proc((uint32_t)i + 1), &res);
        reported();
    }
    ck_state(AC_APP_BACKOFF);
    forget_done();
    ac_sup_wake(app());
    ck_done("");
    pass(app()->retry_at - now - 1);
    ck_done("");
    pass(1);
    ck_done("look");
}
END_TEST

START_TEST(test_backoff_without_a_request_ends_idle)
{
    ac_result_t res;
    int i;

    fails(&res, AC_FAULT_EXEC);
    for (i = 0; i < 2; ++i) {
        ac_sup_wake(app());
        looked();
        listening((uint32_t)i + 1);
        ac_sup_executed(proc((uint32_t)i + 1), &res);
        reported();
    }
    forget_done();
    pass(SECOND);
    ck_done("");
    ck_state(AC_APP_IDLE);
    ck_assert(ac_sup_due(sup) == 0);
}
END_TEST

/* Fails starts until the breaker opens; returns their number. */
static uint32_t open_breaker(uint32_t g)
{
    ac_result_t res;

    fails(&res, AC_FAULT_EXEC);
    while (!app()->breaker.open) {
        ac_sup_wake(app());
        if (app()->pause) {
            pass(app()->retry_at - now);
        }
        looked();
        listening(g);
        ac_sup_executed(proc(g), &res);
        reported();
        ck_assert_uint_lt(++g, 100);
    }
    forget_done();
    return g;
}

START_TEST(test_breaker_opens_and_probes)
{
    ac_result_t res;
    uint32_t g;

    fails(&res, AC_FAULT_EXEC);
    g = open_breaker(1);
    ck_assert_msg(g == 12, "the eleventh failure exceeds ten in a minute");
    ck_state(AC_APP_BROKEN);
    ck_assert_uint_eq(app()->view.failures, 11);
    ck_assert(app()->view.retry_at > now + 5 * SECOND);
    pass(SECOND);
    ck_state(AC_APP_BROKEN);
    pass(app()->retry_at - now);
    ck_done("");
    ck_state(AC_APP_IDLE);
    ac_sup_wake(app());
    looked();
    listening(g);
    ac_sup_executed(proc(g), &res);
    reported();
    ck_state(AC_APP_BROKEN);
    pass(app()->retry_at - now);
    ac_sup_wake(app());
    looked();
    forget_done();
    bring_up(g + 1);
    ck_state(AC_APP_RUNNING);
    ck_assert(!app()->breaker.open);
}
END_TEST

START_TEST(test_breaker_delay_grows)
{
    ac_sup_conf_t conf = conf_default();
    apr_interval_time_t first;
    ac_result_t res;
    uint32_t g;
    int i;

    conf.rapid_fails = 1;
    configure(2, &conf);
    g = open_breaker(1);
    first = app()->retry_at - now;
    fails(&res, AC_FAULT_EXEC);
    for (i = 0; i < 8; ++i) {
        ac_sup_wake(app());
        pass(app()->retry_at - now);
        looked();
        listening(g);
        ac_sup_executed(proc(g++), &res);
        reported();
    }
    ck_assert(app()->retry_at - now > first);
    ck_assert(app()->retry_at - now < 40 * SECOND);
}
END_TEST

START_TEST(test_crash_loop_opens_the_breaker)
{
    uint32_t g = 1;

    start_first();
    while (!app()->breaker.open) {
        exited(g);
        reported();
        if (app()->breaker.open) {
            break;
        }
        if (app()->pause) {
            pass(app()->retry_at - now);
        }
        looked();
        bring_up(++g);
        ck_assert_uint_lt(g, 50);
    }
    ck_state(AC_APP_BROKEN);
    ck_assert_uint_eq(app()->view.substatus, 3);
    forget_done();
    pass(3600 * SECOND);
    ck_done("");
    ck_state(AC_APP_IDLE);
}
END_TEST

START_TEST(test_rapid_fails_zero_opens_at_once)
{
    ac_sup_conf_t conf = conf_default();

    conf.rapid_fails = 0;
    configure(2, &conf);
    ck_assert_uint_eq(open_breaker(1), 2);
    ck_state(AC_APP_BROKEN);
}
END_TEST

START_TEST(test_broken_breaker_probes_one_slot)
{
    ac_sup_conf_t conf = conf_default();
    ac_result_t res;

    fails(&res, AC_FAULT_EXEC);
    conf.processes = 3;
    conf.rapid_fails = 0;
    configure(2, &conf);
    ac_sup_wake(app());
    looked();
    listening(1);
    listening(2);
    listening(3);
    ac_sup_executed(proc(1), &res);
    ac_sup_executed(proc(2), &res);
    ac_sup_executed(proc(3), &res);
    reported();
    ck_state(AC_APP_BROKEN);
    pass(app()->retry_at - now);
    forget_done();
    ac_sup_wake(app());
    looked();
    ck_done("look listen:4");
    listening(4);
    executed(4);
    forget_done();
    ready(4);
    ck_done("listen:5 listen:6");
}
END_TEST

START_TEST(test_always_running_goes_on_after_the_breaker)
{
    ac_sup_conf_t conf = conf_default();
    ac_result_t res;

    fails(&res, AC_FAULT_EXEC);
    conf.always_running = 1;
    conf.rapid_fails = 0;
    configure(2, &conf);
    looked();
    listening(1);
    ac_sup_executed(proc(1), &res);
    reported();
    ck_state(AC_APP_BROKEN);
    forget_done();
    pass(app()->retry_at - now);
    ck_done("look");
}
END_TEST

START_TEST(test_listener_is_given_up_when_nothing_follows)
{
    ac_sup_conf_t conf = conf_default();

    conf.rapid_fails = 0;
    configure(2, &conf);
    start_first();
    exited(1);
    ck_assert_msg(app()->breaker.open, "one crash opens it");
    ck_done("report=crashed signal9g:1 forget:1 free:1");
}
END_TEST

static void turn_deaf(uint32_t generation)
{
    ac_result_t res = AC_RESULT_OK;

    fails(&res, AC_FAULT_DEAF);
    ac_sup_deaf(proc(generation), &res, 0);
}

/* It may be busy with what it took, so it drains while its successor starts. */
START_TEST(test_deaf_process_is_replaced)
{
    start_first();
    pass(11 * SECOND);
    turn_deaf(1);
    ck_done("report=deaf look");
    reported();
    ck_state(AC_APP_STARTING);
    ck_assert_msg(app()->view.failures == 0, "a request waits for the successor");
    ck_assert(app()->slots[0].current == NULL);
    looked();
    ck_done("listen:2");
    bring_up(2);
    ck_state(AC_APP_RUNNING);
    pass(SECOND);
    forget_done();
    ac_sup_drained(proc(1));
    ck_done("signal15:1");
    exited(1);
    ck_done("forget:1 free:1");
    ck_state(AC_APP_RUNNING);
}
END_TEST

START_TEST(test_only_a_ready_process_can_turn_deaf)
{
    start_first();
    turn_deaf(1);
    reported();
    forget_done();
    turn_deaf(1);
    looked();
    listening(2);
    executed(2);
    forget_done();
    turn_deaf(2);
    ck_done("");
    ck_assert_uint_eq(app()->breaker.n, 1);
}
END_TEST

START_TEST(test_deafness_opens_the_breaker)
{
    ac_sup_conf_t conf = conf_default();

    conf.rapid_fails = 0;
    configure(2, &conf);
    start_first();
    turn_deaf(1);
    reported();
    ck_state(AC_APP_BROKEN);
    ck_assert_uint_eq(app()->view.http_status, 502);
    ck_assert_uint_eq(app()->view.substatus, 3);
}
END_TEST

/* Another manager: the same configuration, and what the former one left. */
static void next_manager(const ac_sup_memory_t *memory)
{
    ac_sup_conf_t conf = conf_default();
    unsigned char digest[AC_SUP_DIGEST];

    ac_sup_destroy(sup);
    sup = ac_sup_create(1000, 1);
    ac_sup_limit_spawns(sup, 4);
    ac_sup_tick(sup, now);
    memset(digest, 1, sizeof(digest));
    ac_sup_config_begin(sup);
    ac_sup_recall(ac_sup_configure(sup, APP, digest, &conf), memory);
    ac_sup_config_end(sup);
}

START_TEST(test_next_manager_keeps_the_breaker_open)
{
    ac_sup_memory_t memory;
    apr_time_t retry_at;
    ac_result_t res;
    uint32_t g;

    fails(&res, AC_FAULT_EXEC);
    g = open_breaker(1);
    retry_at = app()->retry_at;
    ac_sup_remember(app(), &memory);
    next_manager(&memory);
    ck_state(AC_APP_BROKEN);
    ck_assert(app()->view.retry_at == retry_at);
    ck_assert_uint_eq(app()->view.failures, 11);
    ck_assert_uint_eq(app()->view.http_status, 502);
    pass(retry_at - now);
    ck_done("");
    ck_state(AC_APP_IDLE);
    /* One probe start, with the next number; it fails, and the pause is longer. */
    ac_sup_wake(app());
    looked();
    listening(g);
    ac_sup_executed(proc(g), &res);
    reported();
    ck_state(AC_APP_BROKEN);
    ck_assert_uint_eq(app()->failures, 12);
    ck_assert_uint_eq(app()->breaker.streak, 12);
}
END_TEST

START_TEST(test_next_manager_counts_on)
{
    ac_sup_memory_t memory;
    ac_result_t res;
    int i;

    fails(&res, AC_FAULT_EXEC);
    for (i = 0; i < 11; ++i) {
        ck_assert(!app()->breaker.open);
        ac_sup_wake(app());
        if (app()->pause) {
            pass(app()->retry_at - now);
        }
        looked();
        listening((uint32_t)i + 1);
        ac_sup_executed(proc((uint32_t)i + 1), &res);
        reported();
        ac_sup_remember(app(), &memory);
        next_manager(&memory);
    }
    ck_state(AC_APP_BROKEN);
}
END_TEST

/* Nothing of it lives, but it is supervised. */
START_TEST(test_next_manager_starts_what_ran)
{
    ac_sup_memory_t memory;

    start_first();
    exited(1);
    reported();
    looked();
    bring_up(2);
    exited(2);
    reported();
    ck_state(AC_APP_BACKOFF);
    ac_sup_remember(app(), &memory);
    next_manager(&memory);
    ck_state(AC_APP_BACKOFF);
    forget_done();
    pass(app()->retry_at - now);
    ck_done("look");
    looked();
    ck_done("listen:3");
}
END_TEST

START_TEST(test_nonsense_is_not_recalled)
{
    ac_sup_memory_t memory;

    memset(&memory, 0xff, sizeof(memory));
    next_manager(&memory);
    ck_state(AC_APP_IDLE);
    memory.pause = AC_PAUSE_NONE;
    next_manager(&memory);
    ck_assert_uint_le(app()->breaker.n, AC_BREAKER_TIMES);
}
END_TEST

TCase *failures_case(void)
{
    TCase *tc = case_create("failures");

    tcase_add_checked_fixture(tc, setup, world_teardown);
    tcase_add_test(tc, test_crashes_delay_more_and_more);
    tcase_add_test(tc, test_stable_process_restarts_at_once_again);
    tcase_add_test(tc, test_an_app_that_ran_may_fail_to_start_once);
    tcase_add_test(tc, test_request_in_backoff_starts_when_it_is_over);
    tcase_add_test(tc, test_backoff_without_a_request_ends_idle);
    tcase_add_test(tc, test_breaker_opens_and_probes);
    tcase_add_test(tc, test_breaker_delay_grows);
    tcase_add_test(tc, test_crash_loop_opens_the_breaker);
    tcase_add_test(tc, test_rapid_fails_zero_opens_at_once);
    tcase_add_test(tc, test_broken_breaker_probes_one_slot);
    tcase_add_test(tc, test_always_running_goes_on_after_the_breaker);
    tcase_add_test(tc, test_listener_is_given_up_when_nothing_follows);
    tcase_add_test(tc, test_deaf_process_is_replaced);
    tcase_add_test(tc, test_only_a_ready_process_can_turn_deaf);
    tcase_add_test(tc, test_deafness_opens_the_breaker);
    tcase_add_test(tc, test_next_manager_keeps_the_breaker_open);
    tcase_add_test(tc, test_next_manager_counts_on);
    tcase_add_test(tc, test_next_manager_starts_what_ran);
    tcase_add_test(tc, test_nonsense_is_not_recalled);
    return tc;
}
