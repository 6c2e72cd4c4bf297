/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* What a changed folder means for an app, and when a folder is looked at. */

#include "test_manager.h"
#include "test_manager_world.h"

#include <string.h>
#include <sys/inotify.h>

#include "http1/target.h"
#include "manager/hint.h"
#include "manager/loop.h"

#define MS(n) apr_time_from_msec(n)
#define ck_state(expected) \
    ck_assert_str_eq(ac_app_state_name(app()->view.state), ac_app_state_name(expected))

static const ac_marks_t first = { 1, 10, 0, 0, 0 };

static void setup(void)
{
    ac_sup_conf_t conf = conf_default();

    world_setup();
    configure(1, &conf);
}

static void surveyed(const ac_marks_t *marks, int offline)
{
    ac_sup_surveyed(app(), marks, offline);
    looked();
}

/* Runs, started under the first marks. */
static void run(void)
{
    ac_sup_wake(app());
    surveyed(&first, 0);
    forget_done();
    bring_up(1);
}

static void run_with(const ac_sup_conf_t *conf)
{
    ac_result_t ok = AC_RESULT_OK;

    ac_sup_wake(app());
    ac_sup_surveyed(app(), &first, 0);
    ac_sup_looked(app(), &ok, conf);
    forget_done();
    bring_up(1);
}

static void hinted(const ac_marks_t *marks, int offline)
{
    ac_sup_hint(app());
    ck_done("look");
    surveyed(marks, offline);
}

START_TEST(test_idle_app_is_not_looked_at)
{
    ac_sup_hint(app());
    ck_done("");
    ck_state(AC_APP_IDLE);
}
END_TEST

START_TEST(test_nothing_changed)
{
    run();
    hinted(&first, 0);
    ck_done("");
    ck_state(AC_APP_RUNNING);
    ck_assert(!app()->has_launch);
    ck_assert(ac_sup_due(sup) == 0);
}
END_TEST

START_TEST(test_offline_while_running)
{
    run();
    hinted(&first, 1);
    ck_state(AC_APP_OFFLINE);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_DRAIN);
    ck_done("");
    ac_sup_wake(app());
    ck_done("");
    ac_sup_drained(proc(1));
    exited(1);
    ck_done("signal15:1 forget:1 free:1");
    ck_state(AC_APP_OFFLINE);
    ck_assert_msg(ac_sup_due(sup) == 0, "an app that is offline needs no timer");
    hinted(&first, 0);
    ck_done("");
    ck_state(AC_APP_IDLE);
    ac_sup_wake(app());
    ck_done("look");
}
END_TEST

START_TEST(test_offline_at_the_first_look)
{
    ac_sup_wake(app());
    ck_done("look");
    surveyed(&first, 1);
    ck_done("");
    ck_state(AC_APP_OFFLINE);
}
END_TEST

START_TEST(test_offline_while_starting)
{
    ac_sup_wake(app());
    surveyed(&first, 0);
    listening(1);
    executed(1);
    forget_done();
    hinted(&first, 1);
    ck_done("signal15:1");
    ck_state(AC_APP_OFFLINE);
    exited(1);
    reported();
    ck_assert_uint_eq(app()->failures, 0);
}
END_TEST

START_TEST(test_offline_and_back_before_the_old_one_ended)
{
    run();
    hinted(&first, 1);
    hinted(&first, 0);
    ac_sup_wake(app());
    ck_done("look");
    surveyed(&first, 0);
    ck_done("listen:2");
    bring_up(2);
    ck_state(AC_APP_RUNNING);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_DRAIN);
}
END_TEST

START_TEST(test_offline_ends_a_pause)
{
    ac_result_t res;

    fails(&res, AC_FAULT_CONFIG);
    ac_sup_wake(app());
    ac_sup_surveyed(app(), &first, 0);
    ac_sup_looked(app(), &res, NULL);
    reported();
    ck_state(AC_APP_REFUSED);
    forget_done();
    hinted(&first, 1);
    ck_state(AC_APP_OFFLINE);
    hinted(&first, 0);
    ck_state(AC_APP_IDLE);
    ck_done("");
}
END_TEST

START_TEST(test_always_running_starts_when_the_page_goes)
{
    ac_sup_conf_t conf = conf_default();

    conf.always_running = 1;
    configure(2, &conf);
    ck_done("look");
    surveyed(&first, 1);
    ck_done("");
    ac_sup_hint(app());
    ck_done("look");
    ac_sup_surveyed(app(), &first, 0);
    looked();
    ck_done("listen:1");
}
END_TEST

START_TEST(test_failed_look_leaves_an_app_offline)
{
    ac_result_t res;

    run();
    hinted(&first, 1);
    exited(1);
    fails(&res, AC_FAULT_INTERNAL);
    ac_sup_hint(app());
    forget_done();
    ac_sup_looked(app(), &res, NULL);
    ck_done("");
    ck_state(AC_APP_OFFLINE);
}
END_TEST

START_TEST(test_changed_marks_replace)
{
    static const ac_marks_t changed[] = {
        { 2, 10, 0, 0, 0 }, { 1, 11, 0, 0, 0 }, { 1, 10, 5, 0, 0 }, { 1, 10, 0, 2, 0 },
    };

    run();
    hinted(&changed[_i], 0);
    ck_done("listen:2");
    ck_state(AC_APP_RUNNING);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_READY);
    bring_up(2);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_DRAIN);
    hinted(&changed[_i], 0);
    ck_done("");
}
END_TEST

START_TEST(test_replaced_one_after_the_other_where_it_must_be_alone)
{
    ac_sup_conf_t conf = conf_default();
    ac_marks_t changed = { 1, 11, 0, 0, 0 };

    conf.alone = 1;
    run_with(&conf);
    hinted(&changed, 0);
    ck_done("");
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_DRAIN);
    ac_sup_drained(proc(1));
    exited(1);
    ck_done("signal15:1 forget:1 free:1 look");
}
END_TEST

START_TEST(test_config_may_be_no_reason)
{
    ac_sup_conf_t conf = conf_default();
    ac_marks_t changed = { 1, 11, 0, 0, 0 }, restarted = { 1, 11, 7, 0, 0 };

    conf.keep_config = 1;
    run_with(&conf);
    hinted(&changed, 0);
    ck_done("");
    hinted(&restarted, 0);
    ck_done("listen:2");
}
END_TEST

START_TEST(test_changed_while_it_starts)
{
    ac_marks_t changed = { 1, 11, 0, 0, 0 };

    ac_sup_wake(app());
    surveyed(&first, 0);
    listening(1);
    executed(1);
    forget_done();
    hinted(&changed, 0);
    ck_done("signal15:1 listen:2");
}
END_TEST

START_TEST(test_fault_without_a_change_is_nobodys)
{
    ac_result_t res;

    run();
    fails(&res, AC_FAULT_INTERNAL);
    ac_sup_hint(app());
    ac_sup_looked(app(), &res, NULL);
    ck_done("look");
    ck_state(AC_APP_RUNNING);
    ck_assert_uint_eq(app()->reports, 0);
}
END_TEST

START_TEST(test_fault_of_a_changed_folder_keeps_the_old_process)
{
    ac_result_t res;
    ac_marks_t changed = { 1, 11, 0, 0, 0 }, better = { 1, 12, 0, 0, 0 };

    run();
    fails(&res, AC_FAULT_CONFIG);
    ac_sup_hint(app());
    ac_sup_surveyed(app(), &changed, 0);
    ac_sup_looked(app(), &res, NULL);
    ck_done("look report=config");
    reported();
    ck_state(AC_APP_RUNNING);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_READY);
    /* Mended: no need to wait for the end of the pause. */
    hinted(&better, 0);
    ck_state(AC_APP_RUNNING);
    ck_done("listen:2");
}
END_TEST

START_TEST(test_fault_buries_what_waits_for_its_start)
{
    ac_sup_conf_t conf = conf_default();
    ac_result_t res;

    conf.processes = 2;
    configure(2, &conf);
    ac_sup_limit_spawns(sup, 1);
    ac_sup_wake(app());
    surveyed(&first, 0);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_LISTEN);
    ck_assert_int_eq(proc(2)->is.state, AC_PROC_QUEUED);
    forget_done();
    fails(&res, AC_FAULT_CONFIG);
    ac_sup_hint(app());
    ac_sup_looked(app(), &res, NULL);
    ck_done("look free:2 forget:1 free:1 report=config");
}
END_TEST

START_TEST(test_hint_during_a_look_asks_again)
{
    run();
    ac_sup_hint(app());
    ck_done("look");
    ac_sup_hint(app());
    ck_done("");
    surveyed(&first, 0);
    ck_done("look");
    surveyed(&first, 1);
    ck_state(AC_APP_OFFLINE);
}
END_TEST

START_TEST(test_child_may_know_of_a_move_before_the_look)
{
    ac_sup_conf_t conf = conf_default();
    ac_marks_t changed = { 1, 11, 0, 0, 0 };
    ac_result_t ok = AC_RESULT_OK;
    apr_time_t hinted_at;

    run();
    pass(apr_time_from_sec(1));
    hinted_at = now;
    pass(apr_time_from_sec(1));
    ac_sup_suspect(app(), hinted_at);
    ac_sup_hint(app());
    ck_done("look");
    conf.inside = 1;
    ac_sup_surveyed(app(), &changed, 0);
    ac_sup_looked(app(), &ok, &conf);
    ac_sup_oldest(app(), hinted_at - 1);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_READY);
    ac_sup_oldest(app(), hinted_at);
    ck_assert_int_eq(proc(1)->is.state, AC_PROC_DRAIN);
    ck_assert_int_eq(app()->suspected, 0);
}
END_TEST

START_TEST(test_other_settings_forget_the_page)
{
    ac_sup_conf_t conf = conf_default();

    run();
    hinted(&first, 1);
    exited(1);
    configure(2, &conf);
    ck_state(AC_APP_IDLE);
}
END_TEST

/* Hints ----------------------------------------------------------------- */

START_TEST(test_what_events_say)
{
    static const struct { ac_watched_e what; uint32_t mask; const char *name;
                          ac_hint_e kind; } events[] = {
        { AC_WATCHED_FOLDER, IN_CREATE, "app_offline.htm", AC_HINT_NOW },
        { AC_WATCHED_FOLDER, IN_DELETE, "APP_Offline.HTM", AC_HINT_NOW },
        { AC_WATCHED_FOLDER, IN_CREATE, "app_offline.html", AC_HINT_NONE },
        { AC_WATCHED_FOLDER, IN_CLOSE_WRITE, "web.config", AC_HINT_FILE },
        { AC_WATCHED_FOLDER, IN_CREATE | IN_ISDIR, "tmp", AC_HINT_FILE },
        { AC_WATCHED_FOLDER, IN_CREATE, "restart.txt", AC_HINT_NONE },
        { AC_WATCHED_FOLDER, IN_CLOSE_WRITE, "App.DLL", AC_HINT_CODE },
        { AC_WATCHED_FOLDER, IN_CLOSE_WRITE, ".dll", AC_HINT_NONE },
        { AC_WATCHED_FOLDER, IN_ATTRIB, "", AC_HINT_NONE },
        { AC_WATCHED_FOLDER, IN_MOVE_SELF, "", AC_HINT_NOW },
        { AC_WATCHED_TMP, IN_ATTRIB, "restart.txt", AC_HINT_FILE },
        { AC_WATCHED_TMP, IN_CREATE, "web.config", AC_HINT_NONE },
        { AC_WATCHED_WAY, IN_CREATE, "web.config", AC_HINT_NONE },
        { AC_WATCHED_WAY, IN_ATTRIB, "", AC_HINT_NOW },
        { AC_WATCHED_WAY, IN_IGNORED, "", AC_HINT_NOW },
        { AC_WATCHED_PARENT, IN_CREATE, "any", AC_HINT_FILE },
        { AC_WATCHED_FILES, IN_DELETE, "any", AC_HINT_FILE },
        { AC_WATCHED_FILES, IN_ATTRIB, "", AC_HINT_NONE },
        { AC_WATCHED_FILES, IN_DELETE_SELF, "", AC_HINT_NOW },
    };
    size_t i;

    for (i = 0; i < sizeof(events) / sizeof(events[0]); ++i) {
        ck_assert_msg(ac_hint_of(events[i].what, events[i].mask, events[i].name)
                      == events[i].kind, "event %zu", i);
    }
}
END_TEST

START_TEST(test_page_at_once_files_when_settled)
{
    ac_hint_t hint = { 0 };

    ck_assert(ac_hint_due(&hint) == 0);
    ac_hint_take(&hint, AC_HINT_NONE, SECOND);
    ck_assert(ac_hint_due(&hint) == 0);
    ac_hint_take(&hint, AC_HINT_FILE, SECOND);
    ck_assert(ac_hint_due(&hint) == SECOND + AC_HINT_SETTLE);
    ac_hint_take(&hint, AC_HINT_FILE, SECOND + MS(100));
    ck_assert(ac_hint_due(&hint) == SECOND + MS(100) + AC_HINT_SETTLE);
    ac_hint_take(&hint, AC_HINT_FILE, SECOND + AC_HINT_SETTLE_MAX - 1);
    ck_assert(ac_hint_due(&hint) == SECOND + AC_HINT_SETTLE_MAX);
    ac_hint_take(&hint, AC_HINT_NOW, SECOND + MS(150));
    ck_assert(ac_hint_due(&hint) == SECOND + MS(150));
    ck_assert(hint.first == SECOND);
    ac_hint_looked(&hint, SECOND + MS(150));
    ck_assert(ac_hint_due(&hint) == 0 && hint.first == 0);
}
END_TEST

START_TEST(test_code_is_left_alone_for_longer)
{
    ac_hint_t hint = { 0 };
    apr_time_t at;

    for (at = SECOND; at < 100 * SECOND; at += SECOND) {
        ac_hint_take(&hint, AC_HINT_CODE, at);
        if (ac_hint_due(&hint) <= at) {
            break;
        }
    }
    ck_assert(at == SECOND + AC_HINT_CODE_MAX);
    ac_hint_drop(&hint);
    ac_hint_take(&hint, AC_HINT_CODE, at);
    ck_assert(ac_hint_due(&hint) == at + AC_HINT_CODE_SETTLE);
    ac_hint_take(&hint, AC_HINT_FILE, at);
    ck_assert(ac_hint_due(&hint) == at + AC_HINT_SETTLE);
}
END_TEST

START_TEST(test_looks_keep_a_growing_distance)
{
    ac_hint_t hint = { 0 };
    apr_time_t at = SECOND;
    int looks = 0;

    for (; at < 21 * SECOND; at += MS(1)) {
        ac_hint_take(&hint, AC_HINT_NOW, at);
        if (ac_hint_due(&hint) <= at) {
            ac_hint_looked(&hint, at);
            ++looks;
        }
    }
    ck_assert_int_ge(looks, 20);
    ck_assert_int_le(looks, 26);
    /* Calm again. */
    at += 6 * SECOND;
    ac_hint_take(&hint, AC_HINT_NOW, at);
    ac_hint_looked(&hint, at);
    ac_hint_take(&hint, AC_HINT_NOW, at + MS(1));
    ck_assert(ac_hint_due(&hint) == at + AC_HINT_GAP_MIN);
}
END_TEST

START_TEST(test_missed_looks_become_rare)
{
    ac_hint_t hint = { 0 };
    int i;

    for (i = 0; i < 20; ++i) {
        ac_hint_missed(&hint, SECOND);
    }
    ck_assert(ac_hint_due(&hint) == 33 * SECOND);
}
END_TEST

START_TEST(test_redirects_that_stay_in_the_app)
{
    static const struct { const char *location, *prefix, *path; } seen[] = {
        { "/shop/x?y", "/shop", "/shop/x?y" }, { "/shop/", "/shop", "/shop/" },
        { "http://any:1/shop/x", "/shop", "/shop/x" },
        { "HTTPS://any/x", "", "/x" }, { "/x", "", "/x" },
        { "/shopping", "/shop", NULL }, { "/shop", "/shop", NULL },
        { "//other/shop/", "/shop", NULL }, { "http://any", "", NULL },
        { "relative", "", NULL }, { "ftp://any/x", "", NULL }, { "", "", NULL },
        { "/a b", "", NULL }, { "/a\r\nX: y", "", NULL },
    };
    size_t i;

    for (i = 0; i < sizeof(seen) / sizeof(seen[0]); ++i) {
        const char *path = ac_target_inside(seen[i].location, seen[i].prefix);

        ck_assert_msg(!path == !seen[i].path, "%s", seen[i].location);
        ck_assert(!path || strcmp(path, seen[i].path) == 0);
    }
}
END_TEST

TCase *folder_case(void)
{
    TCase *tc = case_create("folder");

    tcase_add_checked_fixture(tc, setup, world_teardown);
    tcase_add_test(tc, test_idle_app_is_not_looked_at);
    tcase_add_test(tc, test_nothing_changed);
    tcase_add_test(tc, test_offline_while_running);
    tcase_add_test(tc, test_offline_at_the_first_look);
    tcase_add_test(tc, test_offline_while_starting);
    tcase_add_test(tc, test_offline_and_back_before_the_old_one_ended);
    tcase_add_test(tc, test_offline_ends_a_pause);
    tcase_add_test(tc, test_always_running_starts_when_the_page_goes);
    tcase_add_test(tc, test_failed_look_leaves_an_app_offline);
    tcase_add_loop_test(tc, test_changed_marks_replace, 0, 4);
    tcase_add_test(tc, test_replaced_one_after_the_other_where_it_must_be_alone);
    tcase_add_test(tc, test_config_may_be_no_reason);
    tcase_add_test(tc, test_changed_while_it_starts);
    tcase_add_test(tc, test_fault_without_a_change_is_nobodys);
    tcase_add_test(tc, test_fault_of_a_changed_folder_keeps_the_old_process);
    tcase_add_test(tc, test_fault_buries_what_waits_for_its_start);
    tcase_add_test(tc, test_hint_during_a_look_asks_again);
    tcase_add_test(tc, test_child_may_know_of_a_move_before_the_look);
    tcase_add_test(tc, test_other_settings_forget_the_page);
    tcase_add_test(tc, test_what_events_say);
    tcase_add_test(tc, test_page_at_once_files_when_settled);
    tcase_add_test(tc, test_code_is_left_alone_for_longer);
    tcase_add_test(tc, test_looks_keep_a_growing_distance);
    tcase_add_test(tc, test_missed_looks_become_rare);
    tcase_add_test(tc, test_redirects_that_stay_in_the_app);
    return tc;
}
