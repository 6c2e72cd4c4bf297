/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Shadow copies: trees that are copied, and launches that run from them. */

#include "test_spec.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spec/copy.h"
#include "spec/handler.h"

static int open_in(const char *name)
{
    int fd = open(in_folder(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    return fd;
}

static const char *content(const char *name)
{
    char *text = apr_pcalloc(p, 100);
    int fd = open(in_folder(name), O_RDONLY | O_CLOEXEC);

    if (fd < 0 || read(fd, text, 99) < 0) {
        text = NULL;
    }
    if (fd >= 0) {
        close(fd);
    }
    return text;
}

static void make_source(void)
{
    mkdir(in_folder("a"), 0755);
    mkdir(in_folder("a/sub"), 0755);
    mkdir(in_folder("a/skip"), 0755);
    mkdir(in_folder("b"), 0755);
    put_file("a/App.dll", "code");
    put_file("a/sub/Other.DLL", "more");
    put_program("a/run");
    put_file("a/skip/x", "x");
    ck_assert_int_eq(symlink("App.dll", in_folder("a/link")), 0);
}

START_TEST(tree_is_copied)
{
    ac_copy_t copy = { 0 };
    struct stat st, there;
    int from, to;

    make_source();
    from = open_in("a");
    to = open_in("b");
    ck_assert_int_eq(stat(in_folder("a/skip"), &st), 0);
    copy.skip_dev = st.st_dev;
    copy.skip_ino = st.st_ino;
    ck_assert(!ac_copy_same(&copy, from, to, ".dll"));
    ck_assert_int_eq(ac_copy_tree(&copy, from, to), APR_SUCCESS);
    ck_assert(ac_copy_same(&copy, from, to, ".dll"));
    ck_assert_str_eq(content("b/App.dll"), "code");
    ck_assert_str_eq(content("b/sub/Other.DLL"), "more");
    ck_assert_str_eq(content("b/link"), "code");
    ck_assert_ptr_null(content("b/skip/x"));
    ck_assert_int_eq(access(in_folder("b/run"), X_OK), 0);
    /* What is the same stays, what changed is another file. */
    stat(in_folder("b/App.dll"), &st);
    put_file("a/sub/Other.DLL", "changed");
    ck_assert(!ac_copy_same(&copy, from, to, ".dll"));
    ck_assert_int_eq(ac_copy_tree(&copy, from, to), APR_SUCCESS);
    stat(in_folder("b/App.dll"), &there);
    ck_assert(st.st_ino == there.st_ino);
    ck_assert_str_eq(content("b/sub/Other.DLL"), "changed");
    ck_assert_int_eq(access(in_folder("b/.appcore-part"), F_OK), -1);
    close(from);
    close(to);
}
END_TEST

START_TEST(tree_is_removed)
{
    int fd = open_in(".");

    make_source();
    put_file("keep", "");
    ck_assert_int_eq(symlink("../keep", in_folder("a/out")), 0);
    ck_assert_int_eq(ac_copy_remove(fd, "a"), APR_SUCCESS);
    ck_assert_int_eq(access(in_folder("a"), F_OK), -1);
    ck_assert_int_eq(access(in_folder("keep"), F_OK), 0);
    ck_assert_int_eq(ac_copy_remove(fd, "nothing"), APR_SUCCESS);
    close(fd);
}
END_TEST

START_TEST(copying_ends_at_a_limit)
{
    ac_copy_t copy = { .bytes = AC_COPY_BYTES };
    int from, to;

    make_source();
    from = open_in("a");
    to = open_in("b");
    ck_assert_int_eq(ac_copy_tree(&copy, from, to), EFBIG);
    copy.bytes = 0;
    copy.entries = AC_COPY_ENTRIES;
    ck_assert_int_eq(ac_copy_tree(&copy, from, to), E2BIG);
    close(from);
    close(to);
}
END_TEST

static void put_app(const char *settings)
{
    put_program("bin/dotnet");
    put_file("App.dll", "code");
    put_file("App.runtimeconfig.json", "{\"runtimeOptions\":{\"framework\":{\"name\":"
             "\"Microsoft.AspNetCore.App\",\"version\":\"8.0.0\"}}}");
    put_file("web.config", apr_pstrcat(
        p, "<configuration><system.webServer><aspNetCore processPath='dotnet' "
        "arguments='.\\App.dll --flag'><handlerSettings>", settings,
        "</handlerSettings></aspNetCore></system.webServer></configuration>", NULL));
}

#define ENABLED "<handlerSetting name='EnableShadowCopy' value='true'/>"
#define DIRECTORY_ABOVE "<handlerSetting name='shadowCopyDirectory' value='..'/>"
#define DIRECTORY "<handlerSetting name='shadowCopyDirectory' value='%s'/>"

static void ck_runs_from(const char *directory)
{
    ac_launch_t *launch = look_at(NULL);

    ck_launch(launch);
    ck_argv(launch, apr_pstrcat(p, directory, "/bin/dotnet|", directory,
                                "/App.dll|--flag", NULL));
    ck_assert_str_eq(launch->folder, folder);
}

START_TEST(launch_runs_from_a_numbered_copy)
{
    ac_marks_t first, second;

    put_app(ENABLED);
    ck_runs_from(in_folder("ShadowCopyDirectory/0"));
    first = look_at(NULL)->survey.marks;
    ck_assert(first.copy == 1);
    ck_assert_str_eq(content("ShadowCopyDirectory/0/App.dll"), "code");
    ck_assert_ptr_null(content("ShadowCopyDirectory/0/ShadowCopyDirectory/0/App.dll"));
    /* Files that are no code come along without a new one. */
    put_file("appsettings.json", "{}");
    ck_runs_from(in_folder("ShadowCopyDirectory/0"));
    ck_assert_str_eq(content("ShadowCopyDirectory/0/appsettings.json"), "{}");
    put_file("App.dll", "better code");
    ck_runs_from(in_folder("ShadowCopyDirectory/1"));
    second = look_at(NULL)->survey.marks;
    ck_assert(ac_marks_changed(&first, &second, 0));
    ck_assert_str_eq(content("ShadowCopyDirectory/1/App.dll"), "better code");
    /* Nobody runs from the first one. */
    ck_assert_ptr_null(content("ShadowCopyDirectory/0/App.dll"));
}
END_TEST

START_TEST(numbers_that_are_taken_are_left)
{
    put_app(apr_psprintf(p, ENABLED DIRECTORY, "copies\\here"));
    mkdir(in_folder("copies"), 0755);
    mkdir(in_folder("copies/here"), 0755);
    mkdir(in_folder("copies/here/7"), 0755);
    mkdir(in_folder("copies/here/08"), 0755);
    mkdir(in_folder("copies/here/next.part"), 0755);
    ck_runs_from(in_folder("copies/here/8"));
}
END_TEST

START_TEST(clean_begins_anew)
{
    put_app(ENABLED "<handlerSetting name='cleanShadowCopyDirectory' value='TRUE'/>");
    mkdir(in_folder("ShadowCopyDirectory"), 0755);
    mkdir(in_folder("ShadowCopyDirectory/7"), 0755);
    mkdir(in_folder("ShadowCopyDirectory/mine"), 0755);
    ck_runs_from(in_folder("ShadowCopyDirectory/0"));
    ck_assert_int_eq(access(in_folder("ShadowCopyDirectory/7"), F_OK), -1);
    ck_assert_int_eq(access(in_folder("ShadowCopyDirectory/mine"), F_OK), 0);
}
END_TEST

static void ck_no_copy(const char *why)
{
    ac_launch_t *launch = look_at(NULL);

    ck_launch(launch);
    ck_argv(launch, apr_pstrcat(p, in_folder("bin/dotnet"), "|./App.dll|--flag", NULL));
    ck_assert_msg(!why || mentions(launch->notices, why), "%s", words(launch->notices));
    ck_assert(launch->survey.marks.copy == 0);
}

START_TEST(without_a_copy)
{
    put_app("");
    ck_no_copy(NULL);
    put_app(apr_psprintf(p, ENABLED DIRECTORY, "/proc/none"));
    ck_no_copy("cannot make /proc/none");
    put_app(apr_psprintf(p, ENABLED DIRECTORY, "."));
    ck_no_copy("beside its own");
    put_app(apr_psprintf(p, ENABLED DIRECTORY, "App.dll"));
    ck_no_copy("cannot be opened");
    /* Others could put a copy there. */
    put_app(apr_psprintf(p, ENABLED DIRECTORY, "open"));
    mkdir(in_folder("open"), 0755);
    chmod(in_folder("open"), 01777);
    ck_no_copy("beside its own");
    put_app(apr_psprintf(p, ENABLED DIRECTORY, "theirs\\copies"));
    mkdir(in_folder("theirs"), 0755);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(in_folder("theirs"), 12345, 12345), 0);
        ck_no_copy("belongs to uid 12345");
    }
}
END_TEST

START_TEST(program_of_the_app_runs_from_a_copy)
{
    ac_launch_t *launch;

    put_app(ENABLED);
    put_program("App");
    put_file("plugin.dll", "more");
    put_file("web.config", "<configuration><system.webServer><aspNetCore "
             "processPath='.\\App.exe' arguments='plugin.dll'><handlerSettings>"
             ENABLED "</handlerSettings></aspNetCore></system.webServer>"
             "</configuration>");
    launch = look_at(NULL);
    ck_launch(launch);
    ck_argv(launch, apr_pstrcat(p, in_folder("ShadowCopyDirectory/0/App"),
                                "|plugin.dll", NULL));
}
END_TEST

/* The app's folder is itself a number beside which the copies go. */
START_TEST(own_folder_is_no_copy)
{
    const char *before = apr_pstrdup(p, folder);

    memcpy(strrchr(folder, '/'), "/300", 4);
    ck_assert_int_eq(rename(before, folder), 0);
    ck_assert_int_eq(setenv("PATH", in_folder("bin"), 1), 0);
    put_app(ENABLED DIRECTORY_ABOVE);
    ck_runs_from(in_folder("../0"));
    put_file("App.dll", "better code");
    ck_runs_from(in_folder("../1"));
    ck_assert_str_eq(content("App.dll"), "better code");
    ck_assert_ptr_null(content("../0/App.dll"));
}
END_TEST

#define LOOKS 4

static int looks_fine(void)
{
    ac_launch_t *launch = look_at(NULL);

    return launch->survey.marks.copy == 1 && !mentions(launch->notices, "no shadow copy");
}

/* Several apps may have one folder. */
START_TEST(looks_at_once_make_one_copy)
{
    char *code = apr_pcalloc(p, 1000001);
    pid_t pids[LOOKS];
    int i, status;

    put_app(ENABLED);
    for (i = 0; i < 20; ++i) {
        put_file(apr_psprintf(p, "Part%d.dll", i), memset(code, 'a' + i, 1000000));
    }
    for (i = 0; i < LOOKS; ++i) {
        pids[i] = fork();
        if (pids[i] == 0) {
            _exit(looks_fine() ? 0 : 1);
        }
        ck_assert_int_ge(pids[i], 0);
    }
    for (i = 0; i < LOOKS; ++i) {
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_eq(access(in_folder("ShadowCopyDirectory/1"), F_OK), -1);
}
END_TEST

/* Of a child of httpd. */
static ac_launch_t *look_inside(ac_look_inside_e inside)
{
    ac_settings_t *set = ac_settings_create(p);
    ac_look_request_t req = { folder, "/shop", "shop", set, NULL, inside };
    ac_launch_t *launch;

    set->hosting_model.v = AC_HOSTING_IN_PROCESS;
    set->hosting_model.origin = AC_ORIGIN_APP;
    launch = ac_look(&req, p);
    ck_launch(launch);
    return launch;
}

static int is_there(const char *name)
{
    return access(in_folder(name), F_OK) == 0;
}

START_TEST(copies_of_children_stay_as_long_as_they_are_held)
{
    ac_launch_t *first, *second, *third;

    put_app(ENABLED);
    first = look_inside(AC_LOOK_TO_START);
    ck_assert_str_eq(APR_ARRAY_IDX(first->argv, 1, const char *),
                     in_folder("ShadowCopyDirectory/0/App.dll"));
    ck_assert_str_eq(first->folder, folder);
    ck_assert_int_ge(first->copy_fd, 0);
    put_file("App.dll", "better code");
    second = look_inside(AC_LOOK_TO_START);
    ck_assert_str_eq(content("ShadowCopyDirectory/0/App.dll"), "code");
    ck_assert_str_eq(content("ShadowCopyDirectory/1/App.dll"), "better code");
    close(first->copy_fd);
    third = look_inside(AC_LOOK_TO_START);
    ck_assert(!is_there("ShadowCopyDirectory/0"));
    ck_assert(third->survey.marks.copy == second->survey.marks.copy);
    close(third->copy_fd);
    close(second->copy_fd);
}
END_TEST

START_TEST(child_that_looks_again_makes_nothing)
{
    ac_launch_t *first, *again;

    put_app(ENABLED);
    first = look_inside(AC_LOOK_TO_START);
    again = look_inside(AC_LOOK_AGAIN);
    ck_assert_int_eq(again->copy_fd, -1);
    ck_assert(again->survey.marks.copy == first->survey.marks.copy);
    put_file("App.dll", "better code");
    again = look_inside(AC_LOOK_AGAIN);
    ck_assert(again->survey.marks.copy == first->survey.marks.copy + 1);
    ck_assert(!is_there("ShadowCopyDirectory/1"));
    ck_assert_str_eq(content("ShadowCopyDirectory/0/App.dll"), "code");
    close(first->copy_fd);
}
END_TEST

TCase *shadow_case(void)
{
    TCase *tc = case_create("shadow");

    tcase_add_checked_fixture(tc, make_folder, remove_folder);
    tcase_add_test(tc, tree_is_copied);
    tcase_add_test(tc, tree_is_removed);
    tcase_add_test(tc, copying_ends_at_a_limit);
    tcase_add_test(tc, launch_runs_from_a_numbered_copy);
    tcase_add_test(tc, numbers_that_are_taken_are_left);
    tcase_add_test(tc, clean_begins_anew);
    tcase_add_test(tc, without_a_copy);
    tcase_add_test(tc, program_of_the_app_runs_from_a_copy);
    tcase_add_test(tc, own_folder_is_no_copy);
    tcase_add_test(tc, looks_at_once_make_one_copy);
    tcase_add_test(tc, copies_of_children_stay_as_long_as_they_are_held);
    tcase_add_test(tc, child_that_looks_again_makes_nothing);
    return tc;
}
