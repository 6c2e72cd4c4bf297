/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_inproc.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <apr_file_io.h>
#include <apr_general.h>
#include <apr_strings.h>
#include "inproc/load.h"
#include "inproc/losses.h"
#include "inproc/plan.h"

static apr_pool_t *p;
static const char *made;        /* a folder of a test, to be removed */

static void setup(void)
{
    apr_pool_create(&p, NULL);
}

static void teardown(void)
{
    if (made) {
        unlink(apr_pstrcat(p, made, "/appcore-dotnet.so", NULL));
        unlink(apr_pstrcat(p, made, "/App.dll", NULL));
        rmdir(made);
    }
    apr_pool_destroy(p);
}

/* Tables of apps ---------------------------------------------------------- */

static int handle(void *app, appcore_request r, const appcore_info *info, void **data)
{
    (void)app;
    (void)r;
    (void)info;
    (void)data;
    return APPCORE_DONE;
}

START_TEST(table_of_an_app_is_taken)
{
    const appcore_app theirs = {
        .size = sizeof(theirs), .version = APPCORE_ABI, .handle = handle
    };
    ac_result_t res = AC_RESULT_OK;
    appcore_app app;

    ck_assert(ac_inproc_take(&app, &theirs, "a.so", &res));
    ck_assert(app.handle == handle && !app.init);
}
END_TEST

START_TEST(table_that_is_none_is_refused)
{
    appcore_app theirs = { .size = sizeof(theirs), .version = 2, .handle = handle };
    ac_result_t res = AC_RESULT_OK;
    appcore_app app;

    ck_assert(!ac_inproc_take(&app, &theirs, "a.so", &res));
    ck_assert_int_eq(res.substatus, 33);
    theirs.version = APPCORE_ABI;
    theirs.size = offsetof(appcore_app, handle);
    ck_assert(!ac_inproc_take(&app, &theirs, "a.so", &res));
    theirs.size = sizeof(theirs);
    theirs.handle = NULL;
    ck_assert(!ac_inproc_take(&app, &theirs, "a.so", &res));
    ck_assert_ptr_nonnull(strstr(res.detail, "no handle()"));
    ck_assert(!ac_inproc_take(&app, NULL, "a.so", &res));
    ck_assert_int_eq(res.http_status, 500);
    ck_assert_int_eq(res.substatus, 30);
}
END_TEST

START_TEST(object_that_is_none_is_refused)
{
    ac_result_t res = AC_RESULT_OK;
    appcore_app app;

    ck_assert(!ac_inproc_load(&app, "/nonexistent/a.so", &res));
    ck_assert_int_eq(res.substatus, 33);
    ck_assert_ptr_nonnull(strstr(res.detail, "could not be loaded"));
}
END_TEST

/* Plans ------------------------------------------------------------------- */

static ac_spec_t spec = { .name = "shop", .prefix = "/shop", .folder = "/srv/shop" };
static ac_plan_child_t child;
static ac_settings_t *set;
static ac_launch_t launch;

static void set_up_plan(void)
{
    setup();
    memset(&child, 0, sizeof(child));
    memset(&launch, 0, sizeof(launch));
    child.is_threaded = 1;
    set = ac_settings_create(p);
    set->hosting_model.v = AC_HOSTING_IN_PROCESS;
    launch.folder = "/srv/shop";
    launch.argv = apr_array_make(p, 4, sizeof(const char *));
    spec.companions = NULL;
}

static void run(ac_kind_e kind, const char *line)
{
    char *rest = apr_pstrdup(p, line), *state, *word;

    launch.kind = kind;
    apr_array_clear(launch.argv);
    while ((word = apr_strtok(rest, " ", &state)) != NULL) {
        APR_ARRAY_PUSH(launch.argv, const char *) = word;
        rest = NULL;
    }
}

static ac_plan_t make(void)
{
    ac_plan_t plan;

    ac_plan_make(&plan, &spec, set, &launch, &child, p);
    return plan;
}

static void ck_outside(const char *why)
{
    ac_plan_t plan = make();

    ck_assert_int_eq(plan.decision, AC_PLAN_OUTSIDE);
    ck_assert(why ? plan.why && strstr(plan.why, why) : !plan.why);
}

START_TEST(object_is_loaded)
{
    run(AC_KIND_OBJECT, "/srv/shop/shop.so --tea");
    ck_assert_int_eq(make().decision, AC_PLAN_OBJECT);
    ck_assert_str_eq(make().file, "/srv/shop/shop.so");
    ck_assert_int_eq(make().first_argument, 1);
    child.is_threaded = 0;
    ck_assert_int_eq(make().decision, AC_PLAN_OBJECT);
}
END_TEST

START_TEST(what_a_folder_says_comes_first)
{
    run(AC_KIND_OBJECT, "/srv/shop/shop.so");
    launch.survey.is_offline = 1;
    ck_assert_int_eq(make().decision, AC_PLAN_OFFLINE);
    set->hosting_model.v = AC_HOSTING_OUT_OF_PROCESS;
    ck_outside(NULL);
}
END_TEST

START_TEST(fault_of_the_look_fails)
{
    ac_plan_t plan;

    ac_result_set(&launch.result, APR_EGENERAL, AC_STAGE_LOOK, AC_FAULT_EXEC, "gone");
    plan = make();
    ck_assert_int_eq(plan.decision, AC_PLAN_FAILED);
    ck_assert_int_eq(plan.result.http_status, 500);
    ck_assert_int_eq(plan.result.substatus, 0);
    launch.kind = AC_KIND_DOTNET;
    ck_assert_int_eq(make().result.substatus, 38);
    ac_result_set(&launch.result, APR_EGENERAL, AC_STAGE_LOOK, AC_FAULT_WEB_CONFIG, "x");
    ck_assert_int_eq(make().result.substatus, 19);
    ac_result_set(&launch.result, APR_EACCES, AC_STAGE_LOOK, AC_FAULT_IDENTITY, "other");
    ck_outside("other");
}
END_TEST

/* A folder with all the files that a .NET app in process needs. */
static void set_up_dotnet(void)
{
    char *folder = apr_pstrdup(p, "/tmp/appcore-inproc-XXXXXX");
    static const char *const files[] = { "appcore-dotnet.so", "App.dll" };
    apr_size_t i;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (i = 0; i < sizeof(files) / sizeof(files[0]); ++i) {
        apr_file_t *file;

        apr_file_open(&file, apr_pstrcat(p, folder, "/", files[i], NULL),
                      APR_FOPEN_CREATE | APR_FOPEN_WRITE, APR_FPROT_OS_DEFAULT, p);
        apr_file_close(file);
    }
    spec.companions = launch.folder = made = folder;
    launch.companion = 8;
}

START_TEST(dotnet_runs_inside)
{
    ac_plan_t plan;

    set_up_dotnet();
    child.dotnet_root = "/opt/dotnet";
    run(AC_KIND_DOTNET, "/usr/bin/dotnet ./App.dll --tea");
    plan = make();
    ck_assert_int_eq(plan.decision, AC_PLAN_DOTNET);
    ck_assert_str_eq(plan.assembly, apr_pstrcat(p, launch.folder, "/App.dll", NULL));
    ck_assert_str_eq(plan.dotnet_root, "/opt/dotnet");
    ck_assert_int_eq(plan.first_argument, 2);
    run(AC_KIND_DOTNET, "/usr/bin/dotnet exec App.dll");
    ck_assert_int_eq(make().first_argument, 3);
    run(AC_KIND_DOTNET, apr_pstrcat(p, launch.folder, "/App a b", NULL));
    ck_assert_int_eq(make().decision, AC_PLAN_DOTNET);
    ck_assert_int_eq(make().first_argument, 1);
}
END_TEST

START_TEST(dotnet_that_cannot_is_left_outside)
{
    run(AC_KIND_DOTNET, "/usr/bin/dotnet App.dll");
    ck_outside("package appcore-dotnet");
    set_up_dotnet();
    run(AC_KIND_DOTNET, "/usr/bin/dotnet Gone.dll");
    ck_outside("single file");
    run(AC_KIND_DOTNET, "/usr/bin/dotnet --fx-version 8.0.1 App.dll");
    ck_outside("options of the dotnet program");
    run(AC_KIND_DOTNET, "/usr/bin/dotnet App.dll");
    launch.companion = 0;
    ck_outside("trimmed");
    launch.companion = 8;
    child.has_dotnet = 1;
    ck_outside("another app");
    child.is_threaded = 0;
    ck_outside("prefork");
    run(AC_KIND_NODE, "/usr/bin/node server.js");
    ck_outside("of the kind node");
}
END_TEST

/* Losses ------------------------------------------------------------------ */

#define NOW apr_time_from_sec(1000)

START_TEST(child_that_leaves_is_no_loss)
{
    ac_losses_t *losses = ac_losses_create(2, 4, p);
    int row = ac_losses_enter(losses, 77);

    ac_losses_host(losses, 1);
    ac_losses_leave(losses, row);
    ck_assert_int_eq(ac_losses_exited(losses, 77, NOW), 0);
    ck_assert_int_eq(ac_losses_too_many(losses, 1, 1, NOW), 0);
}
END_TEST

START_TEST(losses_of_a_minute_count)
{
    ac_losses_t *losses = ac_losses_create(2, 4, p);
    int i;

    ac_losses_host(losses, 1);
    ck_assert_int_eq(ac_losses_is_hosted(losses, 0), 0);
    ck_assert_int_eq(ac_losses_is_hosted(losses, 1), 1);
    for (i = 0; i < 3; ++i) {
        ck_assert_int_ge(ac_losses_enter(losses, 100 + i), 0);
        ck_assert_int_eq(ac_losses_exited(losses, 100 + i,
                                          NOW + apr_time_from_sec(40 * i)), 1);
        ck_assert_int_eq(ac_losses_too_many(losses, 1, 3, NOW
                                            + apr_time_from_sec(40 * i)), 0);
    }
    ck_assert_int_eq(ac_losses_too_many(losses, 1, 2, NOW + apr_time_from_sec(80)), 1);
    ck_assert_int_eq(ac_losses_hung_lately(losses, 1, NOW), 0);
    ac_losses_hung(losses, 1, NOW);
    ck_assert_int_eq(ac_losses_hung_lately(losses, 1, NOW + apr_time_from_sec(59)), 1);
    ck_assert_int_eq(ac_losses_hung_lately(losses, 1, NOW + apr_time_from_sec(60)), 0);
    ck_assert_int_eq(ac_losses_hung_lately(losses, 0, NOW), 0);
    /* For good, and not for the one that was never hosted. */
    ck_assert_int_eq(ac_losses_too_many(losses, 1, 3, NOW + apr_time_from_sec(900)), 1);
    ck_assert_int_eq(ac_losses_too_many(losses, 0, 1, NOW + apr_time_from_sec(80)), 0);
}
END_TEST

START_TEST(losses_have_bounds)
{
    ac_losses_t *losses = ac_losses_create(1, 2, p);
    int i;

    ck_assert_int_eq(ac_losses_enter(losses, 1), 0);
    ck_assert_int_eq(ac_losses_enter(losses, 2), 1);
    ck_assert_int_eq(ac_losses_enter(losses, 3), -1);
    ac_losses_leave(losses, -1);
    ac_losses_leave(losses, 2);
    for (i = 0; i < 3 * AC_LOSSES_TIMES; ++i) {
        ac_losses_add(losses, 0, NOW);
    }
    ck_assert_int_eq(ac_losses_too_many(losses, 0, AC_LOSSES_TIMES, NOW), 1);
}
END_TEST

START_TEST(once_is_said_once)
{
    ac_losses_t *losses = ac_losses_create(1, 1, p);

    ck_assert_int_eq(ac_losses_first(losses, 0, 1), 1);
    ck_assert_int_eq(ac_losses_first(losses, 0, 1), 0);
    ck_assert_int_eq(ac_losses_first(losses, 0, 4), 1);
    ck_assert_int_eq(ac_losses_first(losses, 0, 4), 0);
}
END_TEST

static TCase *tables(void)
{
    TCase *tc = tcase_create("load");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, table_of_an_app_is_taken);
    tcase_add_test(tc, table_that_is_none_is_refused);
    tcase_add_test(tc, object_that_is_none_is_refused);
    return tc;
}

static TCase *plans(void)
{
    TCase *tc = tcase_create("plan");

    tcase_add_checked_fixture(tc, set_up_plan, teardown);
    tcase_add_test(tc, object_is_loaded);
    tcase_add_test(tc, what_a_folder_says_comes_first);
    tcase_add_test(tc, fault_of_the_look_fails);
    tcase_add_test(tc, dotnet_runs_inside);
    tcase_add_test(tc, dotnet_that_cannot_is_left_outside);
    return tc;
}

static TCase *losses(void)
{
    TCase *tc = tcase_create("losses");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, child_that_leaves_is_no_loss);
    tcase_add_test(tc, losses_of_a_minute_count);
    tcase_add_test(tc, losses_have_bounds);
    tcase_add_test(tc, once_is_said_once);
    return tc;
}

int main(void)
{
    Suite *s = suite_create("inproc");
    SRunner *sr;
    int failed;

    apr_initialize();
    suite_add_tcase(s, test_inproc_abi());
    suite_add_tcase(s, tables());
    suite_add_tcase(s, plans());
    suite_add_tcase(s, losses());
    suite_add_tcase(s, test_inproc_slots());
    suite_add_tcase(s, test_inproc_fields());
    suite_add_tcase(s, test_inproc_guard());
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    apr_terminate();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
