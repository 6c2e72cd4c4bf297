/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <apr_pools.h>
#include <apr_strings.h>
#include "conf/envfile.h"
#include "spec/settings.h"

Suite *conf_envfile_suite(void);

static apr_pool_t *pool;
static char folder[] = "/tmp/appcore-envfile-XXXXXX";
static const char *file;

static void write_file(const char *text, mode_t mode)
{
    FILE *f = fopen(file, "w");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    ck_assert_int_eq(chmod(file, mode), 0);
}

static void setup(void)
{
    apr_pool_create(&pool, NULL);
    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    file = apr_pstrcat(pool, folder, "/secrets", NULL);
}

static void teardown(void)
{
    unlink(file);
    rmdir(folder);
    apr_pool_destroy(pool);
}

static const char *value_of(const apr_array_header_t *vars, const char *name)
{
    int i;

    for (i = 0; i < vars->nelts; ++i) {
        const ac_env_var_t *var = &APR_ARRAY_IDX(vars, i, ac_env_var_t);

        if (!strcmp(var->name, name)) {
            ck_assert_int_eq(var->secret, 1);
            return var->value;
        }
    }
    return NULL;
}

START_TEST(reads_lines)
{
    apr_array_header_t *vars;

    write_file("# comment\n\n  # another\nA=1\r\nB=x=y\nC=\"with spaces \"\nD='q'\nE=\n"
               "F=\"open\nG=last", 0600);
    ck_assert_ptr_null(ac_envfile_read(&vars, file, pool));
    ck_assert_int_eq(vars->nelts, 7);
    ck_assert_str_eq(value_of(vars, "A"), "1");
    ck_assert_str_eq(value_of(vars, "B"), "x=y");
    ck_assert_str_eq(value_of(vars, "C"), "with spaces ");
    ck_assert_str_eq(value_of(vars, "D"), "q");
    ck_assert_str_eq(value_of(vars, "E"), "");
    ck_assert_str_eq(value_of(vars, "F"), "\"open");
    ck_assert_str_eq(value_of(vars, "G"), "last");
}
END_TEST

START_TEST(names_the_line_but_never_the_value)
{
    apr_array_header_t *vars = NULL;
    const char *err;

    write_file("A=1\nhunter2secret\n", 0600);
    err = ac_envfile_read(&vars, file, pool);
    ck_assert_ptr_nonnull(strstr(err, "line 2"));
    ck_assert_ptr_null(strstr(err, "hunter2"));
    write_file("bad name=hunter2\n", 0600);
    err = ac_envfile_read(&vars, file, pool);
    ck_assert_ptr_nonnull(strstr(err, "line 1"));
    ck_assert_ptr_null(strstr(err, "hunter2"));
    ck_assert_ptr_null(vars);
}
END_TEST

START_TEST(refuses_what_others_can_write)
{
    apr_array_header_t *vars;

    write_file("A=1\n", 0620);
    ck_assert_ptr_nonnull(strstr(ac_envfile_read(&vars, file, pool), "chmod 600"));
    write_file("A=1\n", 0602);
    ck_assert_ptr_nonnull(strstr(ac_envfile_read(&vars, file, pool), "chmod 600"));
    write_file("A=1\n", 0644);
    ck_assert_ptr_null(ac_envfile_read(&vars, file, pool));
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(file, 65534, 0), 0);
        ck_assert_ptr_nonnull(strstr(ac_envfile_read(&vars, file, pool),
                                     "belongs to root"));
    }
}
END_TEST

START_TEST(refuses_what_is_no_plain_file)
{
    apr_array_header_t *vars;
    const char *link = apr_pstrcat(pool, folder, "/link", NULL);

    ck_assert_ptr_nonnull(strstr(ac_envfile_read(&vars, file, pool), "cannot be opened"));
    ck_assert_ptr_nonnull(strstr(ac_envfile_read(&vars, folder, pool), "regular file"));
    ck_assert_int_eq(mkfifo(file, 0600), 0);
    ck_assert_ptr_nonnull(strstr(ac_envfile_read(&vars, file, pool), "regular file"));
    unlink(file);
    write_file("A=1\n", 0600);
    ck_assert_int_eq(symlink(file, link), 0);
    ck_assert_ptr_nonnull(strstr(ac_envfile_read(&vars, link, pool), "symbolic link"));
    unlink(link);
    ck_assert_int_eq(truncate(file, AC_ENVFILE_MAX + 1), 0);
    ck_assert_ptr_nonnull(strstr(ac_envfile_read(&vars, file, pool), "at most 64K"));
    ck_assert_int_eq(truncate(file, 10), 0);
    ck_assert_ptr_nonnull(strstr(ac_envfile_read(&vars, file, pool), "NUL"));
}
END_TEST

START_TEST(sees_the_app_folder_through_links)
{
    const char *link = apr_pstrcat(pool, folder, ".link", NULL);
    const char *through = apr_pstrcat(pool, link, "/secrets", NULL);

    write_file("A=1\n", 0600);
    ck_assert_int_eq(symlink(folder, link), 0);
    ck_assert_int_eq(ac_envfile_is_inside(file, folder), 1);
    ck_assert_int_eq(ac_envfile_is_inside(through, folder), 1);
    ck_assert_int_eq(ac_envfile_is_inside(file, "/tmp/appcore-env"), 0);
    ck_assert_int_eq(ac_envfile_is_inside("/etc/appcore/x.env", folder), 0);
    unlink(link);
}
END_TEST

Suite *conf_envfile_suite(void)
{
    Suite *suite = suite_create("envfile");
    TCase *tc = tcase_create("envfile");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, reads_lines);
    tcase_add_test(tc, names_the_line_but_never_the_value);
    tcase_add_test(tc, refuses_what_others_can_write);
    tcase_add_test(tc, refuses_what_is_no_plain_file);
    tcase_add_test(tc, sees_the_app_folder_through_links);
    suite_add_tcase(suite, tc);
    return suite;
}
