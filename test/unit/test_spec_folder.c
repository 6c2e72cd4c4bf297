/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_spec.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "spec/folder.h"

char folder[80];

static char base[64];

void make_folder(void)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(base, sizeof(base), "%.30s/test_spec.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(base));
    snprintf(folder, sizeof(folder), "%s/app", base);
    ck_assert_int_eq(mkdir(folder, 0755), 0);
    ck_assert_int_eq(mkdir(in_folder("bin"), 0755), 0);
    ck_assert_int_eq(setenv("PATH", in_folder("bin"), 1), 0);
    ck_assert_int_eq(unsetenv("DOTNET_ROOT"), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void remove_folder(void)
{
    nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *in_folder(const char *name)
{
    return apr_pstrcat(p, folder, "/", name, NULL);
}

void put_bytes(const char *name, const void *data, size_t len)
{
    FILE *f = fopen(in_folder(name), "wb");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, len, f), len);
    ck_assert_int_eq(fclose(f), 0);
}

void put_file(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

void put_program(const char *name)
{
    put_file(name, "#!/bin/sh\n");
    ck_assert_int_eq(chmod(in_folder(name), 0755), 0);
}

const char *words(const apr_array_header_t *list)
{
    return apr_array_pstrcat(p, list, '|');
}

int mentions(const apr_array_header_t *list, const char *text)
{
    return strstr(words(list), text) != NULL;
}

ac_launch_t *look_at(const ac_settings_t *set)
{
    ac_look_request_t req = { folder, "/shop", "shop", set, NULL, 0 };

    if (!set) {
        req.set = ac_settings_create(p);
    }
    return ac_look_as(&req, geteuid(), p);
}

static ac_folder_t *open_as(const char *path, uid_t uid, ac_result_t *res)
{
    ac_result_t none = AC_RESULT_OK;

    *res = none;
    return ac_folder_open(path, uid, res, p);
}

START_TEST(folder_of_its_user_opens)
{
    ac_result_t res;

    ck_assert_ptr_nonnull(open_as(folder, geteuid(), &res));
    ck_assert_ptr_nonnull(open_as("/", geteuid(), &res));
    ck_assert_int_eq(symlink("app", apr_pstrcat(p, base, "/link", NULL)), 0);
    ck_assert_ptr_nonnull(open_as(apr_pstrcat(p, base, "/link", NULL), geteuid(), &res));
    ck_assert_int_eq(symlink(folder, in_folder("abs")), 0);
    ck_assert_ptr_nonnull(open_as(in_folder("abs/bin"), geteuid(), &res));
}
END_TEST

START_TEST(folder_that_is_none)
{
    ac_result_t res;

    ck_assert_ptr_null(open_as(in_folder("nowhere"), geteuid(), &res));
    ck_assert_int_eq(res.fault, AC_FAULT_CONFIG);
    ck_assert_int_eq(res.status, ENOENT);
    put_file("file", "");
    ck_assert_ptr_null(open_as(in_folder("file"), geteuid(), &res));
    ck_assert_int_eq(symlink("loop", in_folder("loop")), 0);
    ck_assert_ptr_null(open_as(in_folder("loop"), geteuid(), &res));
    ck_assert_int_eq(res.status, ELOOP);
}
END_TEST

START_TEST(every_owner_on_the_way_counts)
{
    ac_result_t res;

    if (geteuid() != 0) {
        return;
    }
    /* Root's own are everybody's; those of a third user are not. */
    ck_assert_ptr_nonnull(open_as(folder, 4711, &res));
    ck_assert_int_eq(chown(base, 4712, 0), 0);
    ck_assert_ptr_null(open_as(folder, 4711, &res));
    ck_assert_int_eq(res.fault, AC_FAULT_IDENTITY);
    ck_assert_ptr_nonnull(strstr(res.detail, "uid 4712"));
    ck_assert_ptr_nonnull(open_as(folder, 4712, &res));
    ck_assert_int_eq(chown(base, 0, 0), 0);
    ck_assert_int_eq(symlink("bin", in_folder("link")), 0);
    ck_assert_int_eq(lchown(in_folder("link"), 4712, 0), 0);
    ck_assert_ptr_null(open_as(in_folder("link"), 4711, &res));
}
END_TEST

START_TEST(without_the_other_user_it_is_refused_all_the_same)
{
    ac_result_t res;

    if (geteuid() == 0) {
        return;
    }
    ck_assert_ptr_null(open_as(folder, geteuid() + 1, &res));
    ck_assert_int_eq(res.fault, AC_FAULT_IDENTITY);
}
END_TEST

START_TEST(files_are_read_whole)
{
    ac_result_t res;
    const ac_folder_t *f = open_as(folder, geteuid(), &res);
    char *big = apr_pcalloc(p, AC_LOOK_FILE_MAX + 1);
    apr_size_t len = 0;

    put_bytes("f", "a\0b", 3);
    ck_assert_mem_eq(ac_folder_read(f, "f", &len, &res), "a\0b", 4);
    ck_assert_uint_eq(len, 3);
    put_file("empty", "");
    ck_assert_str_eq(ac_folder_read(f, "empty", &len, &res), "");
    ck_assert_ptr_null(ac_folder_read(f, "missing", &len, &res));
    ck_assert_int_eq(res.fault, AC_FAULT_NONE);
    put_bytes("big", big, AC_LOOK_FILE_MAX);
    ck_assert_ptr_nonnull(ac_folder_read(f, "big", &len, &res));
    ck_assert_uint_eq(len, AC_LOOK_FILE_MAX);
    put_bytes("big", big, AC_LOOK_FILE_MAX + 1);
    ck_assert_ptr_null(ac_folder_read(f, "big", &len, &res));
    ck_assert_ptr_nonnull(strstr(res.detail, "larger than 1 MiB"));
}
END_TEST

START_TEST(only_regular_files_are_read)
{
    ac_result_t res;
    const ac_folder_t *f = open_as(folder, geteuid(), &res);
    apr_size_t len;

    ck_assert_int_eq(symlink("/etc/passwd", in_folder("link")), 0);
    ck_assert_ptr_null(ac_folder_read(f, "link", &len, &res));
    ck_assert_int_eq(res.fault, AC_FAULT_CONFIG);
    ck_assert_ptr_nonnull(strstr(res.detail, "symbolic link"));
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0);
    ck_assert_ptr_null(ac_folder_read(f, "pipe", &len, &res));
    ck_assert_ptr_nonnull(strstr(res.detail, "regular file"));
    ck_assert_ptr_null(ac_folder_read(f, "bin", &len, &res));
    ck_assert_ptr_nonnull(strstr(res.detail, "regular file"));
}
END_TEST

START_TEST(files_of_others_are_not_read)
{
    ac_result_t res;
    const ac_folder_t *f = open_as(folder, 4711, &res);
    apr_size_t len;

    if (geteuid() != 0) {
        return;
    }
    put_file("f", "x");
    ck_assert_ptr_nonnull(ac_folder_read(f, "f", &len, &res));
    ck_assert_int_eq(chown(in_folder("f"), 4712, 0), 0);
    ck_assert_ptr_null(ac_folder_read(f, "f", &len, &res));
    ck_assert_int_eq(res.fault, AC_FAULT_CONFIG);
}
END_TEST

START_TEST(names_of_windows_are_found)
{
    ac_result_t res;
    const ac_folder_t *f = open_as(folder, geteuid(), &res);

    put_file("Shop.dll", "");
    ck_assert_str_eq(ac_folder_spelling(f, "Shop.dll"), "Shop.dll");
    ck_assert_str_eq(ac_folder_spelling(f, "./SHOP.DLL"), "Shop.dll");
    ck_assert_ptr_null(ac_folder_spelling(f, "store.dll"));
    put_file("shop.dll", "");
    ck_assert_ptr_null(ac_folder_spelling(f, "SHOP.DLL"));
}
END_TEST

START_TEST(lists_are_sorted_and_limited)
{
    ac_result_t res;
    const ac_folder_t *f = open_as(folder, geteuid(), &res);

    put_file("b.so", "");
    put_file("a.so", "");
    put_file("c.so", "");
    put_file(".so", "");
    ck_assert_int_eq(mkdir(in_folder("d.so"), 0755), 0);
    ck_assert_str_eq(words(ac_folder_list(f, ".so", 10)), "a|b|c");
    ck_assert_int_eq(ac_folder_list(f, ".so", 2)->nelts, 2);
}
END_TEST

TCase *folder_case(void)
{
    TCase *tc = case_create("folder");

    tcase_add_checked_fixture(tc, make_folder, remove_folder);
    tcase_add_test(tc, folder_of_its_user_opens);
    tcase_add_test(tc, folder_that_is_none);
    tcase_add_test(tc, every_owner_on_the_way_counts);
    tcase_add_test(tc, without_the_other_user_it_is_refused_all_the_same);
    tcase_add_test(tc, files_are_read_whole);
    tcase_add_test(tc, only_regular_files_are_read);
    tcase_add_test(tc, files_of_others_are_not_read);
    tcase_add_test(tc, names_of_windows_are_found);
    tcase_add_test(tc, lists_are_sorted_and_limited);
    return tc;
}
