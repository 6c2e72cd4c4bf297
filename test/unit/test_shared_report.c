/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_shared.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <apr_strings.h>

#include "shared/report.h"

static char dir[] = "/tmp/appcore-report-XXXXXX";

static void make_dir(void)
{
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(mkdir(apr_pstrcat(p, dir, "/r", NULL), 0700), 0);
}

static void remove_dir(void)
{
    ac_report_remove(dir, 5);
    rmdir(apr_pstrcat(p, dir, "/r", NULL));
    ck_assert_int_eq(rmdir(dir), 0);
}

static ac_report_t sample(void)
{
    ac_report_t report = { .when = 17, .found = "a program", .command = "./run -x",
        .folder = "/srv/shop", .user = "shop", .pid = 41, .wait_status = -1, .slot = 2,
        .generation = 3, .lasted = 99, .kind = 1, .evidence = "there",
        .hint = "look", .link = "https://x/", .output = "oops\n" };

    ac_result_set(&report.result, ENOENT, AC_STAGE_EXEC, AC_FAULT_EXEC, "no %s", "run");
    report.notices = apr_array_make(p, 2, sizeof(const char *));
    APR_ARRAY_PUSH(report.notices, const char *) = "one";
    APR_ARRAY_PUSH(report.notices, const char *) = "two";
    return report;
}

START_TEST(a_report_is_read_as_written)
{
    ac_report_t report = sample();
    ac_report_t *got = NULL;

    ck_assert_int_eq(ac_report_read(dir, 5, &got, p), ENOENT);
    ck_assert_int_eq(ac_report_write(dir, 5, &report, p), APR_SUCCESS);
    report.output = "again";
    ck_assert_int_eq(ac_report_write(dir, 5, &report, p), APR_SUCCESS);
    ck_assert_int_eq(ac_report_read(dir, 5, &got, p), APR_SUCCESS);
    ck_assert_str_eq(got->output, "again");
    ck_assert_str_eq(got->result.detail, "no run");
    ck_assert_int_eq(got->result.substatus, 5);
    ck_assert_int_eq(got->wait_status, -1);
    ck_assert_uint_eq(got->kind, 1);
    ck_assert_str_eq(got->evidence, "there");
    ck_assert_str_eq(got->hint, "look");
    ck_assert_str_eq(got->link, "https://x/");
    ck_assert_uint_eq(got->pid, 41);
    ck_assert_int_eq(got->notices->nelts, 2);
    ck_assert_str_eq(APR_ARRAY_IDX(got->notices, 1, const char *), "two");
    ac_report_remove(dir, 5);
    ck_assert_int_eq(ac_report_read(dir, 5, &got, p), ENOENT);
}
END_TEST

START_TEST(no_report_may_grow_without_end)
{
    ac_report_t report = sample();
    char *large = apr_palloc(p, AC_REPORT_MAX + 1);

    memset(large, 'x', AC_REPORT_MAX);
    large[AC_REPORT_MAX] = '\0';
    report.output = large;
    ck_assert_int_eq(ac_report_write(dir, 5, &report, p), APR_ENOSPC);
    ck_assert_int_eq(ac_report_write("/nonexistent", 5, &report, p), APR_ENOSPC);
    report.output = NULL;
    ck_assert_int_eq(ac_report_write("/nonexistent", 5, &report, p), ENOENT);
}
END_TEST

START_TEST(foreign_files_are_refused)
{
    const char *path = apr_psprintf(p, "%s/r/%016x", dir, 5);
    ac_report_t *got = NULL;
    int fd;

    fd = open(path, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_eq(ac_report_read(dir, 5, &got, p), APR_EINVAL);
    ck_assert_int_eq(write(fd, "garbage garbage garbage", 23), 23);
    ck_assert_int_eq(ac_report_read(dir, 5, &got, p), APR_EINVAL);
    ck_assert_int_eq(ftruncate(fd, AC_REPORT_MAX + 1), 0);
    ck_assert_int_eq(ac_report_read(dir, 5, &got, p), APR_EINVAL);
    close(fd);
    unlink(path);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
    ck_assert_int_eq(ac_report_read(dir, 5, &got, p), ELOOP);
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(ac_report_read(dir, 5, &got, p), APR_EINVAL);
    ck_assert_ptr_null(got);
}
END_TEST

TCase *report_case(void)
{
    TCase *tc = case_create("report");

    tcase_add_checked_fixture(tc, make_dir, remove_dir);
    tcase_add_test(tc, a_report_is_read_as_written);
    tcase_add_test(tc, no_report_may_grow_without_end);
    tcase_add_test(tc, foreign_files_are_refused);
    return tc;
}
