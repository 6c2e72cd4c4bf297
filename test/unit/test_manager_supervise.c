/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The life of one app without a reload: starts, failures, breaker, permits. */

#include "test_manager.h"
#include "test_manager_world.h"

#include <signal.h>

#define ck_state(expected) \
    ck_assert_str_eq(ac_app_state_name(app()->view.state), ac_app_state_name(expected))

static void setup(void)
{
    ac_sup_conf_t conf = conf_default();

    world_setup();
    configure(1, &conf);
}

START_TEST(test_nothing_runs_before_a_request)
{
    ck_done("");
    ck_state(AC_APP_IDLE);
    ck_assert(ac_sup_due(sup) == 0);
}
END_TEST

START_TEST(test_cold_start_step_by_step)
{
    ac_sup_wake(app());
    ck_state(AC_APP_STARTING);
    ck_done("look");
    looked();
    ck_done("listen:1");
    listening(1);
    ck_done("spawn:1");
    executed(1);
    ck_done("probe:1");
    ck_state(AC_APP_STARTING);
    ready(1);
    ck_done("");
    ck_assert_msg(!app()->has_launch, "kept although nothing starts any more");
    ck_state(AC_APP_RUNNING);
    ck_assert_ptr_eq(app()->slots[0].current, proc(1));
    ck_assert_msg(ac_sup_due(sup) == 0, "a running app needs no timer");
}
END_TEST

START_TEST(test_many_wakes_start_once)
{
    ac_sup_wake(app());
    ac_sup_wake(app());
    ck_done("look");
    looked();
    ac_sup_wake(app());
    ck_done("listen:1");
    bring_up(1);
    ac_sup_wake(app());
    ck_done("");
}
END_TEST

START_TEST(test_refused_folder_is_looked_at_again_later)
{
    ac_result_t res;

    fails(&res, AC_FAULT_CONFIG);
    ac_sup_wake(app());
    forget_done();
    ac_sup_looked(app(), &res, NULL);
    ck_done("report=config");
    ck_assert_msg(app()->view.failures == 0, "shown before its report was written");
    ck_state(AC_APP_STARTING);
    reported();
    ck_state(AC_APP_REFUSED);
    ck_assert_uint_eq(app()->view.failures, 1);
    ck_assert_uint_eq(app()->view.http_status, 500);
    ck_assert(app()->view.retry_at >= now + SECOND);
    pass(2 * SECOND);
    ck_done("");
    ck_state(AC_APP_IDLE);
    ac_sup_wake(app());
    ck_done("look");
}
END_TEST

START_TEST(test_refusals_never_open_the_breaker)
{
    ac_result_t res;
    int i;

    fails(&res, AC_FAULT_ACCESS_RULES);
    for (i = 0; i < 30; ++i) {
        ac_sup_wake(app());
        ac_sup_looked(app(), &res, NULL);
        reported();
        ck_state(AC_APP_REFUSED);
        ck_assert_uint_eq(app()->view.substatus, 19);
        pass(6 * SECOND);
    }
    ck_assert_uint_eq(app()->failures, 30);
}
END_TEST

START_TEST(test_exec_failure)
{
    ac_result_t res;

    fails(&res, AC_FAULT_EXEC);
    ac_sup_wake(app());
    looked();
    listening(1);
    forget_done();
    ac_sup_executed(proc(1), &res);
    ck_done("report=exec forget:1 free:1");
    reported();
    ck_assert_uint_eq(app()->view.failures, 1);
    ck_assert_uint_eq(app()->view.http_status, 502);
    ck_assert_uint_eq(app()->view.substatus, 5);
    ck_state(AC_APP_IDLE);
    ac_sup_wake(app());
    ck_done("look");
}
END_TEST

START_TEST(test_listen_failure)
{
    ac_result_t res;

    fails(&res, AC_FAULT_LISTEN);
    ac_sup_wake(app());
    looked();
    forget_done();
    ac_sup_listening(proc(1), &res, 0);
    ck_done("report=listen forget:1 free:1");
}
END_TEST

START_TEST(test_silent_keeper_holds_no_permit_for_ever)
{
    ac_sup_wake(app());
    looked();
    forget_done();
    if (_i) {
        listening(1);
        forget_done();
    }
    pass(AC_SUP_ANSWER_LIMIT);
    ck_done("report=internal signal9g:1 forget:1 free:1");
    reported();
    ck_assert_uint_eq(app()->view.failures, 1);
}
END_TEST

START_TEST(test_look_without_an_answer)
{
    ac_sup_wake(app());
    forget_done();
    pass(60 * SECOND);
    ck_done("report=internal");
    reported();
    ck_assert_uint_eq(app()->view.failures, 1);
    ck_assert(ac_sup_due(sup) == 0);
}
END_TEST

START_TEST(test_exit_before_ready)
{
    ac_sup_wake(app());
    looked();
    listening(1);
    executed(1);
    forget_done();
    exited(1);
    ck_done("report=exited signal9g:1 forget:1 free:1");
    reported();
    ck_assert_uint_eq(app()->view.failures, 1);
    ck_assert_ptr_null(app()->procs);
}
END_TEST

START_TEST(test_exit_may_overtake_exec)
{
    ac_sup_wake(app());
    looked();
    listening(1);
    forget_done();
    exited(1);
    ck_done("report=exited signal9g:1 forget:1 free:1");
}
END_TEST

START_TEST(test_start_limit)
{
    ac_sup_wake(app());
    looked();
    listening(1);
    executed(1);
    forget_done();
    pass(119 * SECOND);
    ck_done("");
    pass(SECOND);
    ck_done("report=timeout signal15:1");
    reported();
    ck_assert_uint_eq(app()->view.failures, 1);
    ck_state(AC_APP_IDLE);
    pass(10 * SECOND);
    ck_done("signal9g:1");
    exited(1);
    ck_done("forget:1 free:1");
    ck_assert_uint_eq(app()->failures, 1);
}
END_TEST

START_TEST(test_never_ready_says_so_at_once)
{
    ac_result_t res;

    fails(&res, AC_FAULT_WRONG_LISTENER);
    ac_sup_wake(app());
    looked();
    listening(1);
    executed(1);
    forget_done();
    ac_sup_failed(proc(1), &res);
    ck_done("report=wrong-listener signal15:1");
    ready(1);
    ck_state(AC_APP_STARTING);
    reported();
    ck_state(AC_APP_IDLE);
}
END_TEST

START_TEST(test_crash_restarts_at_once_on_the_same_socket)
{
    start_first();
    pass(20 * SECOND);
    exited(1);
    ck_done("report=crashed signal9g:1 look");
    ck_state(AC_APP_STARTING);
    looked();
    ck_done("listen<heir:2");
    ck_assert(proc(2)->heir_of == proc(1)->is.tag);
    listening(2);
    ck_done("forget:1 free:1 spawn:2");
    executed(2);
    ready(2);
    ck_state(AC_APP_RUNNING);
    reported();
    ck_state(AC_APP_RUNNING);
    ck_assert_msg(app()->failures == 0, "a crash is no failed start");
}
END_TEST

START_TEST(test_clean_exit_is_an_end_as_well)
{
    ac_result_t res;

    fails(&res, AC_FAULT_CRASHED);
    start_first();
    pass(20 * SECOND);
    ac_sup_exited(proc(1), &res, 1);
    ck_done("report=crashed signal9g:1 look");
}
END_TEST

START_TEST(test_all_slots_start_on_the_first_wake)
{
    ac_sup_conf_t conf = conf_default();

    conf.processes = 3;
    configure(2, &conf);
    ac_sup_wake(app());
    looked();
    ck_done("look listen:1 listen:2 listen:3");
    bring_up(2);
    ck_state(AC_APP_RUNNING);
    ck_assert_ptr_eq(app()->slots[1].current, proc(2));
    bring_up(1);
    bring_up(3);
    ck_assert(app()->look == AC_LOOK_NONE);
}
END_TEST

START_TEST(test_one_failing_slot_does_not_fail_who_waits)
{
    ac_sup_conf_t conf = conf_default();

    conf.processes = 2;
    configure(2, &conf);
    ac_sup_wake(app());
    looked();
    listening(1);
    listening(2);
    executed(1);
    executed(2);
    exited(1);
    reported();
    ck_state(AC_APP_STARTING);
    ck_assert_uint_eq(app()->view.failures, 0);
    ready(2);
    ck_state(AC_APP_RUNNING);
    forget_done();
    looked();
    ck_done("listen:3");
}
END_TEST

START_TEST(test_crash_of_one_slot_leaves_the_others)
{
    ac_sup_conf_t conf = conf_default();

    conf.processes = 2;
    configure(2, &conf);
    ac_sup_wake(app());
    looked();
    bring_up(1);
    bring_up(2);
    exited(1);
    ck_state(AC_APP_RUNNING);
    ck_assert_ptr_null(app()->slots[0].current);
    ck_assert_ptr_eq(app()->slots[1].current, proc(2));
    reported();
    looked();
    bring_up(3);
    ck_assert_ptr_eq(app()->slots[0].current, proc(3));
}
END_TEST

START_TEST(test_always_running)
{
    ac_sup_conf_t conf = conf_default();

    conf.always_running = 1;
    configure(2, &conf);
    ck_done("look");
    looked();
    ck_done("listen:1");
}
END_TEST

START_TEST(test_permits_are_shared_by_all_apps)
{
    unsigned char digest[AC_SUP_DIGEST] = { 0 };
    ac_sup_conf_t conf = conf_default();
    ac_result_t ok = AC_RESULT_OK;
    ac_sup_app_t *other;

    ac_sup_limit_spawns(sup, 1);
    ac_sup_config_begin(sup);
    ac_sup_configure(sup, APP, app()->digest, &conf);
    other = ac_sup_configure(sup, 9, digest, &conf);
    ac_sup_config_end(sup);
    ac_sup_wake(app());
    ac_sup_wake(other);
    looked();
    ac_sup_looked(other, &ok, &conf);
    ck_done("look look listen:1");
    ck_assert_int_eq(other->procs->is.state, AC_PROC_QUEUED);
    listening(1);
    executed(1);
    ck_assert_int_eq(other->procs->is.state, AC_PROC_QUEUED);
    ready(1);
    ck_assert_int_eq(other->procs->is.state, AC_PROC_LISTEN);
}
END_TEST

START_TEST(test_stop_ends_everything)
{
    start_first();
    ck_assert(!ac_sup_stopped(sup));
    ac_sup_stop(sup);
    ck_done("signal15:1");
    ck_state(AC_APP_STOPPING);
    ac_sup_wake(app());
    ck_done("");
    ck_assert(!ac_sup_stopped(sup));
    exited(1);
    ck_done("forget:1 free:1");
    ck_assert(ac_sup_stopped(sup));
}
END_TEST

START_TEST(test_stop_of_a_stubborn_process)
{
    start_first();
    ac_sup_stop(sup);
    forget_done();
    pass(10 * SECOND);
    ck_done("signal9g:1");
    exited(1);
    ck_assert(ac_sup_stopped(sup));
}
END_TEST

START_TEST(test_stop_in_the_middle_of_a_start)
{
    ac_sup_wake(app());
    looked();
    listening(1);
    executed(1);
    forget_done();
    ac_sup_stop(sup);
    ck_done("signal15:1");
    exited(1);
    ck_done("forget:1 free:1");
    ck_assert(ac_sup_stopped(sup));
    ck_assert_uint_eq(app()->failures, 0);
}
END_TEST

START_TEST(test_shutdown_limit_zero_kills_at_once)
{
    ac_sup_conf_t conf = conf_default();

    conf.shutdown_limit = 0;
    configure(2, &conf);
    start_first();
    ac_sup_stop(sup);
    ck_done("signal15:1 signal9g:1");
}
END_TEST

TCase *supervise_case(void)
{
    TCase *tc = case_create("supervise");

    tcase_add_checked_fixture(tc, setup, world_teardown);
    tcase_add_test(tc, test_nothing_runs_before_a_request);
    tcase_add_test(tc, test_cold_start_step_by_step);
    tcase_add_test(tc, test_many_wakes_start_once);
    tcase_add_test(tc, test_refused_folder_is_looked_at_again_later);
    tcase_add_test(tc, test_refusals_never_open_the_breaker);
    tcase_add_test(tc, test_exec_failure);
    tcase_add_test(tc, test_listen_failure);
    tcase_add_loop_test(tc, test_silent_keeper_holds_no_permit_for_ever, 0, 2);
    tcase_add_test(tc, test_look_without_an_answer);
    tcase_add_test(tc, test_exit_before_ready);
    tcase_add_test(tc, test_exit_may_overtake_exec);
    tcase_add_test(tc, test_start_limit);
    tcase_add_test(tc, test_never_ready_says_so_at_once);
    tcase_add_test(tc, test_crash_restarts_at_once_on_the_same_socket);
    tcase_add_test(tc, test_clean_exit_is_an_end_as_well);
    tcase_add_test(tc, test_all_slots_start_on_the_first_wake);
    tcase_add_test(tc, test_one_failing_slot_does_not_fail_who_waits);
    tcase_add_test(tc, test_crash_of_one_slot_leaves_the_others);
    tcase_add_test(tc, test_always_running);
    tcase_add_test(tc, test_permits_are_shared_by_all_apps);
    tcase_add_test(tc, test_stop_ends_everything);
    tcase_add_test(tc, test_stop_of_a_stubborn_process);
    tcase_add_test(tc, test_stop_in_the_middle_of_a_start);
    tcase_add_test(tc, test_shutdown_limit_zero_kills_at_once);
    return tc;
}
