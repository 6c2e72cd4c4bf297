/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Reloads, and a new manager that takes over. */

#include "test_manager.h"
#include "test_manager_world.h"

#include <string.h>

static ac_sup_conf_t conf;

static void setup(void)
{
    world_setup();
    conf = conf_default();
    configure(1, &conf);
}

START_TEST(test_same_digest_keeps_the_process)
{
    start_first();
    configure(1, &conf);
    ck_done("");
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_READY);
}
END_TEST

START_TEST(test_changed_digest_replaces_new_before_old)
{
    start_first();
    configure(2, &conf);
    ck_done("look");
    looked();
    ck_done("listen:2");
    ck_assert_ptr_eq(app()->slots[0].current, proc(1));
    listening(2);
    executed(2);
    ck_assert(proc(2)->heir_of == 0);
    forget_done();
    ready(2);
    ck_assert_ptr_eq(app()->slots[0].current, proc(2));
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_DRAIN);
    ck_assert_int_eq(app()->view.state, AC_APP_RUNNING);
    ck_done("");
    pass(AC_SUP_DRAIN_STEP);
    ck_done("count:1");
    ac_sup_drained(proc(1));
    ck_done("signal15:1");
    exited(1);
    ck_done("forget:1 free:1");
    ck_assert(ac_sup_due(sup) == 0);
}
END_TEST

START_TEST(test_drain_has_a_limit)
{
    start_first();
    configure(2, &conf);
    looked();
    bring_up(2);
    pass(9 * SECOND);
    forget_done();
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_DRAIN);
    pass(2 * SECOND);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_TERM);
}
END_TEST

START_TEST(test_end_while_draining_is_no_failure)
{
    start_first();
    configure(2, &conf);
    looked();
    bring_up(2);
    exited(1);
    ck_done("forget:1 free:1");
    ck_assert_uint_eq(app()->reports, 0);
}
END_TEST

START_TEST(test_failing_replacement_leaves_the_old_one)
{
    ac_result_t res;

    fails(&res, AC_FAULT_EXEC);
    start_first();
    configure(2, &conf);
    looked();
    listening(2);
    ac_sup_executed(proc(2), &res);
    reported();
    ck_assert_int_eq(app()->view.state, AC_APP_RUNNING);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_READY);
    looked();
    bring_up(3);
    ck_assert_ptr_eq(app()->slots[0].current, proc(3));
}
END_TEST

START_TEST(test_change_while_starting)
{
    ac_sup_wake(app());
    looked();
    listening(1);
    executed(1);
    forget_done();
    configure(2, &conf);
    ck_done("signal15:1 look");
    looked();
    ck_done("listen:2");
    exited(1);
    ck_done("forget:1 free:1");
    ck_assert_uint_eq(app()->failures, 0);
}
END_TEST

START_TEST(test_change_while_looking_looks_again)
{
    ac_sup_wake(app());
    forget_done();
    configure(2, &conf);
    ck_done("");
    looked();
    ck_done("look");
    looked();
    ck_done("listen:1");
}
END_TEST

START_TEST(test_added_again_while_looking)
{
    start_first();
    configure(2, &conf);
    ck_done("look");
    configure_none();
    forget_done();
    configure(2, &conf);
    ac_sup_wake(app());
    ck_done("look");
    looked();
    ck_done("listen:2");
}
END_TEST

START_TEST(test_idle_app_stays_idle_over_a_change)
{
    configure(2, &conf);
    ck_done("");
}
END_TEST

/* Children of httpd host it from now on; those of before go on using what runs. */
static void move_into_httpd(void)
{
    start_first();
    pass(apr_time_from_sec(1));
    conf.inside = 1;
    configure(2, &conf);
    ck_done("");
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_READY);
}

static void ck_ends(unsigned tag)
{
    ck_assert_int_eq(proc(tag)->is.state, AC_PROC_DRAIN);
    pass(AC_SUP_DRAIN_STEP);
    ac_sup_drained(proc(tag));
    exited(tag);
    ck_assert_int_eq(app()->view.state, AC_APP_IDLE);
    forget_done();
}

START_TEST(test_app_that_moves_into_httpd_ends)
{
    move_into_httpd();
    ac_sup_asked(app(), now - 1);
    ac_sup_wake(app());
    ac_sup_oldest(app(), now - 1);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_READY);
    pass(apr_time_from_sec(1));
    ac_sup_oldest(app(), now);
    ck_ends(1);
    /* A child that cannot host it asks for a process. */
    ac_sup_asked(app(), now);
    ac_sup_wake(app());
    ck_done("look");
    looked();
    ck_done("listen:2");
}
END_TEST

START_TEST(test_last_request_of_before_starts_what_ends)
{
    conf.inside = 1;
    configure(2, &conf);
    ac_sup_asked(app(), now - 1);
    ac_sup_wake(app());
    looked();
    listening(1);
    executed(1);
    ready(1);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_READY);
    ac_sup_oldest(app(), 0);
    ck_ends(1);
}
END_TEST

START_TEST(test_app_that_a_later_child_needs_is_replaced)
{
    move_into_httpd();
    ac_sup_asked(app(), now);
    ac_sup_wake(app());
    ck_done("look");
    looked();
    ck_done("listen:2");
    listening(2);
    executed(2);
    ready(2);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_DRAIN);
    ac_sup_oldest(app(), 0);
    ck_assert_int_eq(proc(2)->is.state, AC_PROC_READY);
}
END_TEST

START_TEST(test_reload_forgives)
{
    ac_result_t res;

    fails(&res, AC_FAULT_EXEC);
    conf.rapid_fails = 0;
    configure(2, &conf);
    ac_sup_wake(app());
    looked();
    listening(1);
    ac_sup_executed(proc(1), &res);
    reported();
    ck_assert_int_eq(app()->view.state, AC_APP_BROKEN);
    configure(2, &conf);
    ck_assert_int_eq(app()->view.state, AC_APP_IDLE);
}
END_TEST

START_TEST(test_removed_app_is_drained_and_goes)
{
    start_first();
    configure_none();
    ck_assert_int_eq(app()->view.state, AC_APP_STOPPING);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_DRAIN);
    ac_sup_wake(app());
    ck_done("");
    pass(AC_SUP_DRAIN_STEP);
    ac_sup_drained(proc(1));
    forget_done();
    exited(1);
    ck_done("forget:1 free:1 remove");
    ck_assert_ptr_null(app());
}
END_TEST

START_TEST(test_removed_idle_app_goes_at_once)
{
    configure_none();
    ck_done("remove");
    ck_assert_ptr_null(app());
    ck_assert_ptr_null(ac_sup_first(sup));
}
END_TEST

START_TEST(test_app_added_again_while_draining)
{
    start_first();
    configure_none();
    forget_done();
    configure(1, &conf);
    ck_assert_int_eq(app()->view.state, AC_APP_IDLE);
    ac_sup_wake(app());
    looked();
    bring_up(2);
    ck_assert_int_eq(app()->view.state, AC_APP_RUNNING);
    ac_sup_drained(proc(1));
    exited(1);
    ck_done("signal15:1 forget:1 free:1");
    ck_assert_int_eq(app()->view.state, AC_APP_RUNNING);
}
END_TEST

START_TEST(test_fewer_processes)
{
    conf.processes = 3;
    configure(2, &conf);
    ac_sup_wake(app());
    looked();
    bring_up(1);
    bring_up(2);
    bring_up(3);
    conf.processes = 1;
    configure(3, &conf);
    /* Those beyond the new number help until the first is replaced. */
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_READY);
    ck_assert_int_eq(proc(2)->is.state, AC_PROC_READY);
    ck_assert_int_eq(proc(3)->is.state, AC_PROC_READY);
    looked();
    bring_up(4);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_DRAIN);
    ck_assert_int_eq(proc(2)->is.state, AC_PROC_DRAIN);
    ck_assert_int_eq(proc(3)->is.state, AC_PROC_DRAIN);
}
END_TEST

START_TEST(test_alone_ends_the_old_one_first)
{
    conf.alone = 1;
    configure(2, &conf);
    start_first();
    configure(3, &conf);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_DRAIN);
    ck_done("");
    ac_sup_drained(proc(1));
    ck_done("signal15:1");
    exited(1);
    ck_done("forget:1 free:1 look");
    looked();
    ck_done("listen:2");
}
END_TEST

static ac_sup_note_t note(ac_proc_state_e state, unsigned char d)
{
    ac_sup_note_t is = { .tag = 500, .slot = 0, .generation = 9, .state = state,
                         .since = now - SECOND };

    memset(is.digest, d, sizeof(is.digest));
    return is;
}

static void adopt(const ac_sup_note_t *is, unsigned char d)
{
    unsigned char digest[AC_SUP_DIGEST];

    memset(digest, d, sizeof(digest));
    ac_sup_config_begin(sup);
    if (d) {
        ac_sup_configure(sup, APP, digest, &conf);
    }
    ck_assert_ptr_nonnull(ac_sup_adopt(sup, APP, is));
    ac_sup_config_end(sup);
}

START_TEST(test_adopt_ready)
{
    ac_sup_note_t is = note(AC_PROC_READY, 1);

    adopt(&is, 1);
    ck_done("");
    ck_assert_int_eq(app()->view.state, AC_APP_RUNNING);
    ck_assert(proc(9)->is.tag == 500);
    exited(9);
    reported();
    looked();
    forget_done();
    ck_assert_msg(proc(10)->is.tag > 500, "tags stay unique");
    bring_up(10);
}
END_TEST

START_TEST(test_adopt_of_another_spec_is_replaced)
{
    ac_sup_note_t is = note(AC_PROC_READY, 1);

    adopt(&is, 2);
    ck_done("look");
    looked();
    bring_up(10);
    ck_assert_int_eq(proc(9)->is.state, AC_PROC_DRAIN);
}
END_TEST

START_TEST(test_adopt_starting)
{
    ac_sup_note_t is = note(AC_PROC_START, 1);

    is.limit = now + 5 * SECOND;
    adopt(&is, 1);
    ck_done("probe:9");
    ck_assert_int_eq(app()->view.state, AC_APP_STARTING);
    pass(5 * SECOND);
    ck_done("report=timeout signal15:9");
}
END_TEST

START_TEST(test_adopt_starting_that_never_ran)
{
    ac_sup_note_t is = note(AC_PROC_START, 1);
    ac_result_t res;

    fails(&res, AC_FAULT_EXEC);
    adopt(&is, 1);
    forget_done();
    ac_sup_executed(proc(9), &res);
    ck_done("report=exec forget:9 free:9");
}
END_TEST

START_TEST(test_adopt_drain_and_term)
{
    ac_sup_note_t drain = note(AC_PROC_DRAIN, 1), term = note(AC_PROC_TERM, 1);

    drain.limit = now + SECOND;
    term.tag = 501;
    term.generation = 8;
    term.limit = now + SECOND;
    configure_none();
    forget_done();
    ac_sup_config_begin(sup);
    ck_assert_ptr_nonnull(ac_sup_adopt(sup, APP, &drain));
    ck_assert_ptr_nonnull(ac_sup_adopt(sup, APP, &term));
    ac_sup_config_end(sup);
    forget_done();
    pass(AC_SUP_DRAIN_STEP);
    ck_done("count:9");
    ac_sup_drained(proc(9));
    pass(SECOND);
    ck_done("signal15:9 signal9g:8");
    exited(8);
    exited(9);
    ck_done("forget:8 free:8 forget:9 free:9 remove");
}
END_TEST

START_TEST(test_adopt_of_a_removed_app)
{
    ac_sup_note_t is = note(AC_PROC_READY, 1);

    configure_none();
    adopt(&is, 0);
    ck_assert_int_eq(proc(9)->is.state, AC_PROC_DRAIN);
}
END_TEST

START_TEST(test_adopt_two_of_one_slot)
{
    ac_sup_note_t newer = note(AC_PROC_READY, 1), older = note(AC_PROC_READY, 1);

    older.tag = 400;
    older.generation = 3;
    ac_sup_config_begin(sup);
    ac_sup_configure(sup, APP, app()->digest, &conf);
    ac_sup_adopt(sup, APP, &newer);
    ac_sup_adopt(sup, APP, &older);
    ac_sup_config_end(sup);
    ck_assert_ptr_eq(app()->slots[0].current, proc(9));
    ck_assert_int_eq(proc(3)->is.state, AC_PROC_DRAIN);
    ck_assert_uint_eq(app()->last_generation, 9);
}
END_TEST

/* The configuration knows of one process, web.config asked for more. */
START_TEST(test_adopt_more_than_configured)
{
    ac_sup_note_t first = note(AC_PROC_READY, 1), third = note(AC_PROC_READY, 1);
    ac_result_t ok = AC_RESULT_OK;

    third.tag = 502;
    third.generation = 11;
    third.slot = 2;
    ac_sup_config_begin(sup);
    ac_sup_configure(sup, APP, app()->digest, &conf);
    ac_sup_adopt(sup, APP, &first);
    ac_sup_adopt(sup, APP, &third);
    ac_sup_config_end(sup);
    ck_assert_int_eq(proc(11)->is.state, AC_PROC_READY);
    ck_done("look");
    conf.processes = 2;
    ac_sup_looked(app(), &ok, &conf);
    ck_assert_int_eq(proc(11)->is.state, AC_PROC_DRAIN);
}
END_TEST

START_TEST(test_adopt_refuses_nonsense)
{
    ac_sup_note_t is = note(AC_PROC_READY, 1);

    is.slot = AC_BOARD_SLOTS;
    ck_assert_ptr_null(ac_sup_adopt(sup, APP, &is));
    is.slot = 0;
    ck_assert_ptr_nonnull(ac_sup_adopt(sup, APP, &is));
    ck_assert_ptr_null(ac_sup_adopt(sup, APP, &is));
}
END_TEST

/* One event out of a random number, aimed at any process. */
static void any_event(uint32_t random)
{
    ac_sup_proc_t *at = app() ? app()->procs : NULL;
    ac_result_t res = AC_RESULT_OK;
    unsigned n;

    for (n = random >> 20 & 3; at && at->next && n; --n) {
        at = at->next;
    }
    if (random >> 16 & 1) {
        fails(&res, (ac_fault_e)(1 + (random >> 9 & 7)));
    }
    switch (at ? random >> 26 & 15 : random >> 26 & 7) {
    case 0:
        configure((unsigned char)(random >> 13 & 1), &conf);
        break;
    case 1:
        pass((random >> 10 & 255) * SECOND / 8);
        break;
    case 2:
    case 3:
        if (app()) {
            ac_sup_wake(app());
        }
        break;
    case 4:
    case 5:
        if (app()) {
            ac_sup_looked(app(), &res, &conf);
        }
        break;
    case 6:
        if (app() && app()->reports) {
            reported();
        }
        break;
    case 7:
        if (!(random & 0xf000)) {
            configure_none();
        }
        break;
    case 8:
    case 9:
        ac_sup_listening(at, &res, 1);
        break;
    case 10:
    case 11:
        ac_sup_executed(at, &res);
        break;
    case 12:
        ac_sup_ready(at);
        break;
    case 13:
        ac_sup_drained(at);
        break;
    case 14:
        if (at->is.state >= AC_PROC_EXEC) {
            ac_sup_exited(at, &res, (int)(random >> 7 & 1));
        }
        break;
    default:
        ac_sup_failed(at, &res);
        break;
    }
    forget_done();
}

/* Whatever the order of events, a stop leaves nothing. */
START_TEST(test_random_events_always_come_to_an_end)
{
    uint32_t random = (uint32_t)_i * 2654435761u + 1;
    ac_result_t res = AC_RESULT_OK;
    int i;

    conf.processes = 3;
    for (i = 0; i < 400; ++i) {
        random = random * 1103515245u + 12345u;
        any_event(random);
    }
    ac_sup_stop(sup);
    pass(60 * SECOND);
    while (app() && app()->procs) {
        ac_sup_exited(app()->procs, &res, 0);
        forget_done();
        ck_assert(++i < 1000);
    }
    while (app() && app()->reports) {
        ac_sup_reported(app());
    }
    ck_assert(ac_sup_stopped(sup));
}
END_TEST

TCase *reload_case(void)
{
    TCase *tc = case_create("reload");

    tcase_add_checked_fixture(tc, setup, world_teardown);
    tcase_add_test(tc, test_same_digest_keeps_the_process);
    tcase_add_test(tc, test_changed_digest_replaces_new_before_old);
    tcase_add_test(tc, test_drain_has_a_limit);
    tcase_add_test(tc, test_end_while_draining_is_no_failure);
    tcase_add_test(tc, test_failing_replacement_leaves_the_old_one);
    tcase_add_test(tc, test_change_while_starting);
    tcase_add_test(tc, test_change_while_looking_looks_again);
    tcase_add_test(tc, test_added_again_while_looking);
    tcase_add_test(tc, test_idle_app_stays_idle_over_a_change);
    tcase_add_test(tc, test_app_that_moves_into_httpd_ends);
    tcase_add_test(tc, test_last_request_of_before_starts_what_ends);
    tcase_add_test(tc, test_app_that_a_later_child_needs_is_replaced);
    tcase_add_test(tc, test_reload_forgives);
    tcase_add_test(tc, test_removed_app_is_drained_and_goes);
    tcase_add_test(tc, test_removed_idle_app_goes_at_once);
    tcase_add_test(tc, test_app_added_again_while_draining);
    tcase_add_test(tc, test_fewer_processes);
    tcase_add_test(tc, test_alone_ends_the_old_one_first);
    tcase_add_test(tc, test_adopt_ready);
    tcase_add_test(tc, test_adopt_of_another_spec_is_replaced);
    tcase_add_test(tc, test_adopt_starting);
    tcase_add_test(tc, test_adopt_starting_that_never_ran);
    tcase_add_test(tc, test_adopt_drain_and_term);
    tcase_add_test(tc, test_adopt_of_a_removed_app);
    tcase_add_test(tc, test_adopt_two_of_one_slot);
    tcase_add_test(tc, test_adopt_more_than_configured);
    tcase_add_test(tc, test_adopt_refuses_nonsense);
    tcase_add_loop_test(tc, test_random_events_always_come_to_an_end, 0, 200);
    return tc;
}
