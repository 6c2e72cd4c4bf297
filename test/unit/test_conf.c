/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <apr_general.h>
#include <apr_strings.h>
#include "conf/capacity.h"
#include "conf/values.h"
#include "spec/settings.h"

Suite *conf_envfile_suite(void);

static apr_pool_t *pool;

static void setup(void)
{
    apr_pool_create(&pool, NULL);
}

static void teardown(void)
{
    apr_pool_destroy(pool);
}

static const ac_value_word_t colours[] = {
    { "Red", 1 }, { "Green", 2 }, { "Blue", 3 }, { NULL, 0 }
};
static const ac_value_rule_t colour = { colours, 0, 0, 0 };
static const ac_value_rule_t percent = { NULL, 0, 100, 0 };
static const ac_value_rule_t hundred = { NULL, 1, 100, 0 };
static const ac_value_rule_t waiting = { NULL, 1000, 3600 * APR_INT64_C(1000000), 0 };
static const ac_value_rule_t volume = { NULL, 1, 1024 * 1024 * 1024, 1 };
static const ac_value_rule_t workers = { NULL, 1, 65535, 0 };

typedef struct good_t {
    ac_value_parse_fn *parse;
    const ac_value_rule_t *rule;
    const char *text;
    apr_int64_t value;
} good_t;

static const good_t good[] = {
    { ac_value_word, &colour, "Red", 1 },
    { ac_value_word, &colour, "bLUE", 3 },
    { ac_value_number, &percent, "0", 0 },
    { ac_value_number, &percent, "100", 100 },
    { ac_value_number, &percent, "007", 7 },
    { ac_value_time, &waiting, "30", 30000000 },
    { ac_value_time, &waiting, "30s", 30000000 },
    { ac_value_time, &waiting, "500ms", 500000 },
    { ac_value_time, &waiting, "1MS", 1000 },
    { ac_value_time, &waiting, "2m", 120000000 },
    { ac_value_time, &waiting, "2min", 120000000 },
    { ac_value_time, &waiting, "1h", 3600000000 },
    { ac_value_size, &volume, "4096", 4096 },
    { ac_value_size, &volume, "512K", 524288 },
    { ac_value_size, &volume, "10mb", 10485760 },
    { ac_value_size, &volume, "1G", 1073741824 },
    { ac_value_size, &volume, "off", 0 },
    { ac_value_share, &workers, "1", 1 },
    { ac_value_share, &workers, "65535", 65535 },
    { ac_value_share, &workers, "1%", -1 },
    { ac_value_share, &workers, "100%", -100 },
    { ac_value_range, &hundred, "1", 1 },
    { ac_value_range, &hundred, "100", 100 },
    { ac_value_range, &hundred, "2-8", AC_PROCESSES_RANGE(2, 8) },
    { ac_value_range, &hundred, "1-100", AC_PROCESSES_RANGE(1, 100) },
    { ac_value_range, &hundred, "7-7", 7 },
    { ac_value_umask, &percent, "0", 0 },
    { ac_value_umask, &percent, "0027", 027 },
    { ac_value_umask, &percent, "777", 0777 },
};

START_TEST(takes_what_is_allowed)
{
    const good_t *g = &good[_i];
    apr_int64_t v = -77;

    ck_assert_msg(!g->parse(&v, g->text, g->rule, pool), "%s was refused", g->text);
    ck_assert_msg(v == g->value, "%s gave %lld", g->text, (long long)v);
}
END_TEST

typedef struct bad_t {
    ac_value_parse_fn *parse;
    const ac_value_rule_t *rule;
    const char *text;
    const char *sentence;       /* what it must say */
} bad_t;

static const bad_t bad[] = {
    { ac_value_word, &colour, "pink", "must be Red, Green or Blue, not \"pink\"" },
    { ac_value_word, &colour, "", "must be Red, Green or Blue, not \"\"" },
    { ac_value_number, &percent, "101", "must be a whole number from 0 to 100, not" },
    { ac_value_number, &percent, "-1", "whole number from 0 to 100" },
    { ac_value_number, &percent, "1.5", "whole number" },
    { ac_value_number, &percent, "", "whole number" },
    { ac_value_number, &percent, "99999999999999999999", "whole number" },
    { ac_value_number, &percent, "10s", "whole number" },
    { ac_value_number, &percent, "Off", "whole number" },
    { ac_value_time, &waiting, "0", "must be a time from 1ms to 1h such as" },
    { ac_value_time, &waiting, "61m", "from 1ms to 1h" },
    { ac_value_time, &waiting, "30 s", "a time from" },
    { ac_value_time, &waiting, "s", "a time from" },
    { ac_value_time, &waiting, "9223372036854775807h", "a time from" },
    { ac_value_size, &volume, "0", "a size from 1 to 1G such as 64K or 10M, or Off" },
    { ac_value_size, &volume, "2G", "a size from" },
    { ac_value_size, &volume, "10X", "a size from" },
    { ac_value_size, &volume, "-5K", "a size from" },
    { ac_value_share, &workers, "0", "from 1 to 65535 or a share from 1% to 100%" },
    { ac_value_share, &workers, "0%", "a share from 1% to 100%" },
    { ac_value_share, &workers, "101%", "a share from 1% to 100%" },
    { ac_value_share, &workers, "65536", "a number from 1 to 65535" },
    { ac_value_share, &workers, "%", "a share" },
    { ac_value_share, &workers, "5%%", "a share" },
    { ac_value_range, &hundred, "0", "a whole number from 1 to 100, or two of them" },
    { ac_value_range, &hundred, "0-5", "or two of them as in 2-8" },
    { ac_value_range, &hundred, "101", "two of them" },
    { ac_value_range, &hundred, "5-101", "two of them" },
    { ac_value_range, &hundred, "8-2", "two of them" },
    { ac_value_range, &hundred, "2-", "two of them" },
    { ac_value_range, &hundred, "-2", "two of them" },
    { ac_value_range, &hundred, "2-8x", "two of them" },
    { ac_value_range, &hundred, "", "two of them" },
    { ac_value_umask, &percent, "08", "an octal number from 0 to 0777 such as 0027" },
    { ac_value_umask, &percent, "1000", "an octal number" },
    { ac_value_umask, &percent, "00022", "an octal number" },
    { ac_value_umask, &percent, "", "an octal number" },
};

START_TEST(refuses_and_names_what_is_allowed)
{
    const bad_t *b = &bad[_i];
    apr_int64_t v = -77;
    const char *err = b->parse(&v, b->text, b->rule, pool);

    ck_assert_msg(err != NULL, "%s was taken as %lld", b->text, (long long)v);
    ck_assert_msg(strstr(err, b->sentence) != NULL, "%s: %s", b->text, err);
    ck_assert_msg(v == -77, "%s changed the value", b->text);
}
END_TEST

START_TEST(limits_come_in_pairs)
{
    apr_int64_t pair[2];

    ck_assert_ptr_null(ac_value_rlimit(pair, "100", AC_UNIT_COUNT, pool));
    ck_assert(pair[0] == 100 && pair[1] == 100);
    ck_assert_ptr_null(ac_value_rlimit(pair, "100:200", AC_UNIT_COUNT, pool));
    ck_assert(pair[0] == 100 && pair[1] == 200);
    ck_assert_ptr_null(ac_value_rlimit(pair, "1G:unlimited", AC_UNIT_BYTES, pool));
    ck_assert(pair[0] == 1073741824 && pair[1] == AC_LIMIT_INFINITY);
    ck_assert_ptr_null(ac_value_rlimit(pair, "UNLIMITED", AC_UNIT_SECONDS, pool));
    ck_assert(pair[0] == AC_LIMIT_INFINITY && pair[1] == AC_LIMIT_INFINITY);
}
END_TEST

START_TEST(limits_are_checked)
{
    static const char *const wrong[] = { "", ":", "1:", ":1", "2:1", "unlimited:5",
                                         "1K", "1:2:3", "-1", "many" };
    apr_int64_t pair[2] = { 5, 6 };
    const char *err;
    size_t i;

    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); ++i) {
        err = ac_value_rlimit(pair, wrong[i], AC_UNIT_COUNT, pool);
        ck_assert_msg(err && strstr(err, "SOFT"), "%s: %s", wrong[i],
                      err ? err : "taken");
        ck_assert(pair[0] == 5 && pair[1] == 6);
    }
}
END_TEST

START_TEST(addresses_and_networks)
{
    static const char *const right[] = { "127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8",
                                         "192.168.0.0/255.255.0.0" };
    static const char *const wrong[] = { "", "localhost", "10.0.0.0/33", "10.0.0.0/",
                                         "/8", "1.2.3.4.5", "10.0.0.0/x", "unix:/x" };
    apr_ipsubnet_t *net;
    size_t i;

    for (i = 0; i < sizeof(right) / sizeof(right[0]); ++i) {
        ck_assert_msg(!ac_value_subnet(&net, right[i], pool), "%s", right[i]);
    }
    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); ++i) {
        ck_assert_msg(ac_value_subnet(&net, wrong[i], pool) != NULL, "%s", wrong[i]);
    }
}
END_TEST

typedef const char *path_fn(const char **ppath, const char *text, apr_pool_t *p);
static const struct {
    path_fn *parse;
    const char *text;
    const char *path;           /* NULL: refused */
} paths[] = {
    { ac_value_prefix, "/", "" },
    { ac_value_prefix, "/shop", "/shop" },
    { ac_value_prefix, "/shop/", "/shop" },
    { ac_value_prefix, "/a b/c", "/a b/c" },
    { ac_value_prefix, "", NULL },
    { ac_value_prefix, "shop", NULL },
    { ac_value_prefix, "/shop//x", NULL },
    { ac_value_prefix, "//", NULL },
    { ac_value_prefix, "/./x", NULL },
    { ac_value_prefix, "/x/..", NULL },
    { ac_value_prefix, "/x?y", NULL },
    { ac_value_prefix, "/x%20y", NULL },
    { ac_value_prefix, "/*", NULL },
    { ac_value_prefix, "/a\nb", NULL },
    { ac_value_folder, "/srv/shop", "/srv/shop" },
    { ac_value_folder, "/srv//shop/./", "/srv/shop" },
    { ac_value_folder, "/.hidden", "/.hidden" },
    { ac_value_folder, "/", NULL },
    { ac_value_folder, "/.", NULL },
    { ac_value_folder, "srv/shop", NULL },
    { ac_value_folder, "/srv/../etc", NULL },
    { ac_value_folder, "", NULL },
    { ac_value_beneath, "wwwroot", "wwwroot" },
    { ac_value_beneath, "./a//b/", "a/b" },
    { ac_value_beneath, "..", NULL },
    { ac_value_beneath, "a/../../b", NULL },
    { ac_value_beneath, "/etc", NULL },
    { ac_value_beneath, ".", NULL },
    { ac_value_beneath, "", NULL },
};

START_TEST(takes_paths_of_each_kind)
{
    const char *path = "untouched";
    const char *err = paths[_i].parse(&path, paths[_i].text, pool);

    if (paths[_i].path) {
        ck_assert_msg(!err, "%s: %s", paths[_i].text, err);
        ck_assert_str_eq(path, paths[_i].path);
    }
    else {
        ck_assert_msg(err && !strncmp(err, "must be ", 8), "%s", paths[_i].text);
        ck_assert_str_eq(path, "untouched");
    }
}
END_TEST

START_TEST(names_are_bounded)
{
    char name[AC_VALUE_NAME_MAX + 2];

    memset(name, 'a', sizeof(name));
    name[AC_VALUE_NAME_MAX + 1] = '\0';
    ck_assert_ptr_nonnull(ac_value_app_name(name, pool));
    name[AC_VALUE_NAME_MAX] = '\0';
    ck_assert_ptr_null(ac_value_app_name(name, pool));
    ck_assert_ptr_null(ac_value_app_name("a.b_c-9", pool));
    ck_assert_ptr_nonnull(ac_value_app_name("", pool));
    ck_assert_ptr_nonnull(ac_value_app_name(".a", pool));
    ck_assert_ptr_nonnull(ac_value_app_name("a/b", pool));
    ck_assert_ptr_nonnull(ac_value_app_name("a b", pool));
    ck_assert_ptr_null(ac_value_env_name("Logging__LogLevel:Default", pool));
    ck_assert_ptr_nonnull(ac_value_env_name("A=B", pool));
    ck_assert_ptr_nonnull(ac_value_env_name("A B", pool));
    ck_assert_ptr_nonnull(ac_value_env_name("", pool));
}
END_TEST

START_TEST(quotes_stay_short_and_clean)
{
    char text[500];
    const char *quoted;

    memset(text, 'x', sizeof(text));
    text[3] = '\n';
    text[499] = '\0';
    quoted = ac_value_quote(text, pool);
    ck_assert_int_le(strlen(quoted), 70);
    ck_assert_ptr_null(strchr(quoted, '\n'));
    ck_assert_int_eq(strncmp(quoted, "\"xxx?xx", 7), 0);
}
END_TEST

START_TEST(as_many_wait_as_the_child_bears)
{
    ac_capacity_t stock = { 64, 2, 1024 }, large = { 32, 500, 20000 };
    ac_capacity_t few_files = { 64, 2, 100 }, none = { 64, 0, 1024 };

    ck_assert_uint_eq(ac_capacity_limit(&stock, 0), 64);
    ck_assert_uint_eq(ac_capacity_limit(&stock, 10), 10);
    ck_assert_uint_eq(ac_capacity_limit(&stock, 1000), 64);
    ck_assert_uint_eq(ac_capacity_of_mpm(&large), 8000);
    ck_assert_uint_eq(ac_capacity_of_files(&large), 6600);
    ck_assert_uint_eq(ac_capacity_limit(&large, 0), 6600);
    ck_assert_uint_eq(ac_capacity_limit(&few_files, 5), 0);
    ck_assert_uint_eq(ac_capacity_limit(&none, 5), 0);
    large.files = RLIM_INFINITY;
    ck_assert_uint_eq(ac_capacity_limit(&large, 0), 8000);
}
END_TEST

/* Whatever is busy or waits: the event MPM goes on to accept. */
START_TEST(busy_and_waiting_leave_room_for_others)
{
    ac_capacity_t capacity = { 0, 0, 1024 };
    double factors[] = { 0, 0.5, 2, 2.5, 100 };
    unsigned i;

    for (i = 0; i < sizeof(factors) / sizeof(factors[0]); i++) {
        capacity.factor = factors[i];
        for (capacity.threads = 2; capacity.threads < 130; capacity.threads++) {
            unsigned waiting = ac_capacity_limit(&capacity, 0);
            unsigned taken = waiting / ac_capacity_weight(&capacity);
            unsigned busy = capacity.threads - 1 - taken;

            ck_assert_double_lt(waiting + busy, capacity.threads
                                + (capacity.threads - busy) * capacity.factor);
        }
    }
}
END_TEST

START_TEST(what_would_let_more_wait)
{
    ac_capacity_t capacity = { 64, 2, 1024 };

    ck_assert_uint_eq(ac_capacity_factor_for(&capacity, 5000), 157);
    capacity.factor = 157;
    ck_assert_uint_ge(ac_capacity_of_mpm(&capacity), 5000);
    capacity.files = ac_capacity_files_for(5000);
    ck_assert_uint_eq(ac_capacity_limit(&capacity, 5000), 5000);
    capacity.files--;
    ck_assert_uint_eq(ac_capacity_limit(&capacity, 5000), 4999);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static Suite *conf_values_suite(void)
{
    Suite *suite = suite_create("values");
    TCase *tc = tcase_create("values");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, takes_what_is_allowed, 0, COUNT(good));
    tcase_add_loop_test(tc, refuses_and_names_what_is_allowed, 0, COUNT(bad));
    tcase_add_test(tc, limits_come_in_pairs);
    tcase_add_test(tc, limits_are_checked);
    tcase_add_test(tc, addresses_and_networks);
    tcase_add_test(tc, as_many_wait_as_the_child_bears);
    tcase_add_test(tc, busy_and_waiting_leave_room_for_others);
    tcase_add_test(tc, what_would_let_more_wait);
    tcase_add_loop_test(tc, takes_paths_of_each_kind, 0, COUNT(paths));
    tcase_add_test(tc, names_are_bounded);
    tcase_add_test(tc, quotes_stay_short_and_clean);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(conf_values_suite());
    int failed;

    apr_initialize();
    srunner_add_suite(runner, conf_envfile_suite());
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    apr_terminate();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
