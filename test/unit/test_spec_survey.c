/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* What a look sees of a folder beside its app, and what it has watched. */

#include "test_spec.h"

#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "spec/files.h"

static ac_survey_t *survey(void)
{
    return &look_at(NULL)->survey;
}

static const char *words_of(char c, size_t n)
{
    char *text = apr_pcalloc(p, n + 1);

    memset(text, c, n);
    return text;
}

static void ck_changed(const ac_marks_t *then, int changed)
{
    ac_marks_t now = survey()->marks;

    ck_assert_int_eq(ac_marks_changed(then, &now, 0), changed);
}

START_TEST(an_ordinary_folder)
{
    ac_survey_t *seen = survey();

    ck_assert_int_eq(seen->is_offline, 0);
    ck_assert(seen->marks.folder && seen->marks.config);
    ck_assert(seen->marks.restart == 0);
    ck_assert_int_eq(seen->watched->nelts, 0);
    ck_assert_int_ne(seen->blind, 0);
    ck_changed(&seen->marks, 0);
}
END_TEST

START_TEST(offline_wins_over_everything)
{
    ac_launch_t *launch;

    put_file("web.config", "<no");
    put_file("App_Offline.HTM", "<p>later</p>");
    launch = look_at(NULL);
    ck_launch(launch);
    ck_assert_int_eq(launch->survey.is_offline, 1);
    ck_assert_str_eq(launch->survey.page, "<p>later</p>");
    ck_assert_uint_eq(launch->survey.page_len, 12);
    ck_assert_int_eq(launch->argv->nelts, 0);
}
END_TEST

START_TEST(what_is_no_page)
{
    ac_survey_t *seen;

    put_file("app_offline.html", "");
    ck_assert_int_eq(mkdir(in_folder("app_offline.htm"), 0755), 0);
    ck_assert_int_eq(survey()->is_offline, 0);
    ck_assert_int_eq(rmdir(in_folder("app_offline.htm")), 0);
    ck_assert_int_eq(symlink("nowhere", in_folder("app_offline.htm")), 0);
    ck_assert_int_eq(survey()->is_offline, 0);
    put_file("nowhere", "secret");
    seen = survey();
    ck_assert_int_eq(seen->is_offline, 1);
    ck_assert_uint_eq(seen->page_len, 0);
    ck_assert(strstr(seen->page_fault, "symbolic link"));
}
END_TEST

START_TEST(marks_of_web_config)
{
    ac_marks_t before = survey()->marks;

    put_file("web.config", "<configuration/>");
    ck_changed(&before, 1);
    before = survey()->marks;
    ck_changed(&before, 0);
    ck_assert_int_eq(rename(in_folder("web.config"), in_folder("away")), 0);
    ck_changed(&before, 1);
    usleep(20000);      /* times of files move in ticks */
    ck_assert_int_eq(rename(in_folder("away"), in_folder("web.config")), 0);
    ck_changed(&before, 1);
    before = survey()->marks;
    before.config ^= 1;
    ck_assert(!ac_marks_changed(&before, &survey()->marks, 1));
}
END_TEST

START_TEST(marks_of_restart_txt)
{
    ac_marks_t before = survey()->marks;

    ck_assert_int_eq(mkdir(in_folder("tmp"), 0755), 0);
    ck_changed(&before, 0);
    put_file("tmp/restart.txt", "");
    ck_changed(&before, 1);
    before = survey()->marks;
    usleep(20000);
    put_file("tmp/restart.txt", "");
    ck_changed(&before, 1);
    before = survey()->marks;
    unlink(in_folder("tmp/restart.txt"));
    ck_changed(&before, 0);
}
END_TEST

static ac_marks_t marks_with(const char *one, const char *two)
{
    ac_settings_t *set = ac_settings_create(p);

    APR_ARRAY_PUSH(set->recycle_files.v, const char *) = one;
    APR_ARRAY_PUSH(set->recycle_files.v, const char *) = two;
    set->recycle_files.origin = AC_ORIGIN_APP;
    return look_at(set)->survey.marks;
}

static void ck_files(ac_marks_t *before, int changed)
{
    ac_marks_t now = marks_with("*.dll", "conf/live/app.json");

    ck_assert_int_eq(ac_marks_changed(before, &now, 0), changed);
    *before = now;
}

START_TEST(marks_of_files_that_were_named)
{
    ac_marks_t before = survey()->marks;

    ck_assert(before.files == 0);
    put_file("a.dll", "1");
    ck_changed(&before, 0);
    before = marks_with("*.dll", "conf/live/app.json");
    ck_files(&before, 0);
    put_file("a.dll", "12");
    ck_files(&before, 1);
    put_file("b.dll", "");
    ck_files(&before, 1);
    put_file("b.exe", "");
    put_file(".dll", "");
    ck_assert_int_eq(mkdir(in_folder("c.dll"), 0755), 0);
    ck_files(&before, 0);
    ck_assert_int_eq(mkdir(in_folder("conf"), 0755), 0);
    ck_assert_int_eq(mkdir(in_folder("conf/live"), 0755), 0);
    put_file("conf/live/a.dll", "");
    put_file("conf/app.json", "");
    ck_files(&before, 0);
    put_file("conf/live/app.json", "{}");
    ck_files(&before, 1);
    ck_assert_int_eq(rename(in_folder("a.dll"), in_folder("d.dll")), 0);
    ck_files(&before, 1);
    unlink(in_folder("b.dll"));
    ck_files(&before, 1);
}
END_TEST

START_TEST(what_is_a_pattern)
{
    static const char *const good[] = { "*.dll", "a", "a/b/[a-z]?.json", "..a", "a b" };
    static const char *const bad[] = {
        "", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a/.", "*/a", "a/b?/c", "a\nb"
    };
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); ++i) {
        ck_assert_msg(ac_files_is_pattern(good[i]), "%s", good[i]);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
        ck_assert_msg(!ac_files_is_pattern(bad[i]), "%s", bad[i]);
    }
    ck_assert(!ac_files_is_pattern(apr_pstrcat(p, "a/", words_of('x', 256), NULL)));
}
END_TEST

START_TEST(which_names_may_concern_a_pattern)
{
    apr_array_header_t *patterns = apr_array_make(p, 2, sizeof(const char *));

    ck_assert(!ac_files_may_match(patterns, "a.dll"));
    APR_ARRAY_PUSH(patterns, const char *) = "*.dll";
    APR_ARRAY_PUSH(patterns, const char *) = "conf/live/app.json";
    ck_assert(ac_files_may_match(patterns, "a.dll"));
    ck_assert(ac_files_may_match(patterns, "conf"));
    ck_assert(ac_files_may_match(patterns, "live"));
    ck_assert(ac_files_may_match(patterns, "app.json"));
    ck_assert(!ac_files_may_match(patterns, "con"));
    ck_assert(!ac_files_may_match(patterns, "conf.d"));
    ck_assert(!ac_files_may_match(patterns, "app.json~"));
    ck_assert(!ac_files_may_match(patterns, ".dll"));
}
END_TEST

START_TEST(unknown_marks_never_differ)
{
    ac_marks_t none = { 0, 0, 0, 0, 0 }, some = { 1, 2, 3, 4, 5 };

    ck_assert(!ac_marks_changed(&none, &some, 0));
    ck_assert(!ac_marks_changed(&some, &none, 0));
}
END_TEST

START_TEST(survey_over_the_wire)
{
    ac_watched_t watched = { 7, AC_WATCHED_TMP };
    ac_survey_t out = { .marks = { 1, 2, 3, 4, 5 }, .blind = 28, .is_offline = 1,
                        .page = "a\0b", .page_len = 3, .page_fault = "why" };
    ac_survey_t in;
    ac_wire_writer_t w;
    ac_wire_reader_t r;

    out.watched = apr_array_make(p, 1, sizeof(watched));
    APR_ARRAY_PUSH(out.watched, ac_watched_t) = watched;
    ac_wire_writer_init(&w, 4096, p);
    ac_survey_put(&w, &out);
    ac_wire_reader_init(&r, w.data, w.len);
    memset(&in, 0, sizeof(in));
    ac_survey_get(&r, &in, p);
    ck_assert_int_eq(ac_wire_reader_end(&r), APR_SUCCESS);
    ck_assert(memcmp(&in.marks, &out.marks, sizeof(in.marks)) == 0);
    ck_assert_int_eq(in.blind, 28);
    ck_assert_int_eq(in.watched->nelts, 1);
    ck_assert_int_eq(APR_ARRAY_IDX(in.watched, 0, ac_watched_t).number, 7);
    ck_assert_int_eq(APR_ARRAY_IDX(in.watched, 0, ac_watched_t).what, AC_WATCHED_TMP);
    ck_assert_uint_eq(in.page_len, 3);
    ck_assert(memcmp(in.page, "a\0b", 3) == 0);
    ck_assert_str_eq(in.page_fault, "why");
    watched.what = (ac_watched_e)99;
    APR_ARRAY_PUSH(out.watched, ac_watched_t) = watched;
    ac_wire_writer_init(&w, 4096, p);
    ac_survey_put(&w, &out);
    ac_wire_reader_init(&r, w.data, w.len);
    ac_survey_get(&r, &in, p);
    ck_assert_int_ne(r.status, APR_SUCCESS);
}
END_TEST

static int has_event(int fd, uint32_t mask, const char *name)
{
    _Alignas(struct inotify_event) char events[4096];
    ssize_t n = read(fd, events, sizeof(events)), at = 0;

    while (at < n) {
        const struct inotify_event *event = (const void *)(events + at);

        at += (ssize_t)(sizeof(*event) + event->len);
        if ((event->mask & mask) && strcmp(event->len ? event->name : "", name) == 0) {
            return 1;
        }
    }
    return 0;
}

START_TEST(watches_see_what_matters)
{
    ac_look_request_t req = { in_folder("link"), "", "app", NULL, NULL, 0 };
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    ac_launch_t *launch;

    req.set = ac_settings_create(p);
    ck_assert_int_eq(mkdir(in_folder("site"), 0755), 0);
    ck_assert_int_eq(mkdir(in_folder("site/tmp"), 0755), 0);
    ck_assert_int_eq(symlink("site", in_folder("link")), 0);
    launch = ac_look_watched(&req, fd, p);
    ck_assert_int_eq(launch->survey.blind, 0);
    ck_assert_int_ge(launch->survey.watched->nelts, 5);
    put_file("site/app_offline.htm", "x");
    ck_assert(has_event(fd, IN_CLOSE_WRITE, "app_offline.htm"));
    put_file("site/tmp/restart.txt", "");
    ck_assert(has_event(fd, IN_CREATE, "restart.txt"));
    ck_assert_int_eq(symlink("bin", in_folder("next")), 0);
    ck_assert_int_eq(rename(in_folder("next"), in_folder("link")), 0);
    ck_assert(has_event(fd, IN_ATTRIB | IN_DELETE_SELF, ""));
    ck_assert_int_eq(rename(in_folder("site"), in_folder("gone")), 0);
    ck_assert(has_event(fd, IN_MOVE_SELF, ""));
    close(fd);
}
END_TEST

/* Those beyond are looked at when somebody asks. */
START_TEST(more_folders_than_are_watched)
{
    apr_array_header_t *patterns = apr_array_make(p, AC_FILES_MAX, sizeof(const char *));
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    ac_folder_t *folder;
    ac_watcher_t watcher;
    ac_result_t res = AC_RESULT_OK;
    int i, j;

    ac_watcher_init(&watcher, fd, p);
    folder = ac_folder_open_watched(in_folder("."), geteuid(), &watcher, &res, p);
    ck_assert_ptr_nonnull(folder);
    for (i = 0; i < AC_FILES_MAX; ++i) {
        const char *path = apr_psprintf(p, "%d", i);

        for (j = 0; j < AC_WATCHED_MAX / AC_FILES_MAX; ++j) {
            ck_assert_int_eq(mkdir(in_folder(path), 0755), 0);
            path = apr_pstrcat(p, path, "/d", NULL);
        }
        APR_ARRAY_PUSH(patterns, const char *) = path;
    }
    patterns->nelts = AC_FILES_MAX / 2;
    ac_files_mark(folder, patterns, &watcher);
    ck_assert_int_eq(watcher.blind, 0);
    patterns->nelts = AC_FILES_MAX;
    ac_files_mark(folder, patterns, &watcher);
    ck_assert_int_eq(watcher.watched->nelts, AC_WATCHED_MAX);
    ck_assert_int_ne(watcher.blind, 0);
    close(fd);
}
END_TEST

START_TEST(a_missing_folder_is_waited_for)
{
    ac_look_request_t req = { in_folder("later"), "", "app", NULL, NULL, 0 };
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    req.set = ac_settings_create(p);
    ck_assert_int_eq(ac_look_watched(&req, fd, p)->result.fault, AC_FAULT_CONFIG);
    ck_assert_int_eq(mkdir(in_folder("later"), 0755), 0);
    ck_assert(has_event(fd, IN_CREATE, "later"));
    close(fd);
}
END_TEST

TCase *survey_case(void)
{
    TCase *tc = case_create("survey");

    tcase_add_checked_fixture(tc, make_folder, remove_folder);
    tcase_add_test(tc, an_ordinary_folder);
    tcase_add_test(tc, offline_wins_over_everything);
    tcase_add_test(tc, what_is_no_page);
    tcase_add_test(tc, marks_of_web_config);
    tcase_add_test(tc, marks_of_restart_txt);
    tcase_add_test(tc, marks_of_files_that_were_named);
    tcase_add_test(tc, what_is_a_pattern);
    tcase_add_test(tc, which_names_may_concern_a_pattern);
    tcase_add_test(tc, unknown_marks_never_differ);
    tcase_add_test(tc, survey_over_the_wire);
    tcase_add_test(tc, watches_see_what_matters);
    tcase_add_test(tc, more_folders_than_are_watched);
    tcase_add_test(tc, a_missing_folder_is_waited_for);
    return tc;
}
