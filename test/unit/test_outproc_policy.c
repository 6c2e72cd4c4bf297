/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_outproc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "request/policy.h"

typedef struct mount_t {
    const char *prefix;
    apr_size_t prefix_len;
    int payload;
} mount_t;

static int by_length(const void *a, const void *b)
{
    const mount_t *ma = a, *mb = b;

    if (ma->prefix_len != mb->prefix_len) {
        return ma->prefix_len > mb->prefix_len ? -1 : 1;
    }
    return memcmp(ma->prefix, mb->prefix, ma->prefix_len);
}

static void sorted(mount_t *mounts, int n)
{
    int i;

    for (i = 0; i < n; i++) {
        mounts[i].prefix_len = strlen(mounts[i].prefix);
    }
    qsort(mounts, (size_t)n, sizeof(*mounts), by_length);
}

static const char *match(const mount_t *mounts, int n, const char *path)
{
    int i = ac_policy_match(mounts, sizeof(*mounts), n, path);

    return i < 0 ? NULL : mounts[i].prefix;
}

START_TEST(longest_prefix_wins_on_whole_segments)
{
    mount_t m[] = { { "/shop", 0, 0 }, { "/shop/admin", 0, 0 }, { "/s", 0, 0 },
                    { "/zoo", 0, 0 }, { "/Shop", 0, 0 } };

    sorted(m, 5);
    ck_assert_str_eq(match(m, 5, "/shop"), "/shop");
    ck_assert_str_eq(match(m, 5, "/shop/"), "/shop");
    ck_assert_str_eq(match(m, 5, "/shop/adm"), "/shop");
    ck_assert_str_eq(match(m, 5, "/shop/admin"), "/shop/admin");
    ck_assert_str_eq(match(m, 5, "/shop/admin/x/y/z"), "/shop/admin");
    ck_assert_str_eq(match(m, 5, "/Shop/x"), "/Shop");
    ck_assert_str_eq(match(m, 5, "/s/hop"), "/s");
    ck_assert_ptr_null(match(m, 5, "/shopping"));
    ck_assert_ptr_null(match(m, 5, "/SHOP"));
    ck_assert_ptr_null(match(m, 5, "/"));
    ck_assert_ptr_null(match(m, 5, "shop"));
    ck_assert_ptr_null(match(m, 5, "*"));
    ck_assert_ptr_null(match(m, 5, ""));
}
END_TEST

START_TEST(root_mount_takes_the_rest)
{
    mount_t m[] = { { "", 0, 0 }, { "/shop", 0, 0 } };

    sorted(m, 2);
    ck_assert_str_eq(match(m, 2, "/"), "");
    ck_assert_str_eq(match(m, 2, "/shopping"), "");
    ck_assert_str_eq(match(m, 2, "/shop"), "/shop");
    ck_assert_ptr_null(match(m, 2, "*"));
}
END_TEST

START_TEST(no_mounts_match_nothing)
{
    ck_assert_int_eq(ac_policy_match(NULL, sizeof(mount_t), 0, "/x"), -1);
}
END_TEST

#define MANY 500

START_TEST(each_of_many_is_found)
{
    static mount_t m[MANY];
    static char names[MANY][32];
    char path[64];
    int i;

    for (i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), i % 3 ? "/app%d" : "/group/app%d", i);
        m[i].prefix = names[i];
    }
    sorted(m, MANY);
    for (i = 0; i < MANY; i++) {
        snprintf(path, sizeof(path), "%.31s/a/b", names[i]);
        ck_assert_str_eq(match(m, MANY, path), names[i]);
        snprintf(path, sizeof(path), "%.31sx", names[i]);
        ck_assert_ptr_null(match(m, MANY, path));
    }
}
END_TEST

START_TEST(workers_leave_the_last_eighth_alone)
{
    ck_assert_uint_eq(ac_policy_all_workers(64), 56);
    ck_assert_uint_eq(ac_policy_all_workers(25), 21);
    ck_assert_uint_eq(ac_policy_all_workers(2), 1);
    ck_assert_uint_eq(ac_policy_all_workers(1), 1);
    ck_assert_uint_eq(ac_policy_app_workers(-50, 64), 32);
    ck_assert_uint_eq(ac_policy_app_workers(-100, 64), 56);
    ck_assert_uint_eq(ac_policy_app_workers(10, 64), 10);
    ck_assert_uint_eq(ac_policy_app_workers(1000, 64), 56);
    ck_assert_uint_eq(ac_policy_app_workers(-50, 1), 1);
    ck_assert_uint_eq(ac_policy_app_workers(-1, 10), 1);
    ck_assert_uint_eq(ac_policy_app_workers(0, 10), 1);
}
END_TEST

START_TEST(those_who_wait_leave_fewer_workers)
{
    ck_assert_uint_eq(ac_policy_threads(16, 0, 3), 16);
    ck_assert_uint_eq(ac_policy_threads(16, 2, 3), 16);
    ck_assert_uint_eq(ac_policy_threads(16, 16, 3), 11);
    ck_assert_uint_eq(ac_policy_threads(4, 100, 101), 4);
    ck_assert_uint_eq(ac_policy_threads(4, 200, 101), 3);
    ck_assert_uint_eq(ac_policy_threads(1, 0, 1), 1);
    ck_assert_uint_eq(ac_policy_threads(2, 9, 1), 1);
}
END_TEST

START_TEST(hope_depends_on_state_and_time)
{
    ac_board_app_t app = { .state = AC_APP_BROKEN, .retry_at = 100 };

    ck_assert(!ac_policy_hope(&app, 99));
    ck_assert(ac_policy_hope(&app, 100));
    app.state = AC_APP_REFUSED;
    ck_assert(!ac_policy_hope(&app, 99));
    app.state = AC_APP_BACKOFF;
    ck_assert(ac_policy_hope(&app, 99));
    app.state = AC_APP_IDLE;
    ck_assert(ac_policy_hope(&app, 0));
    app.state = AC_APP_STOPPING;
    ck_assert(!ac_policy_hope(&app, 1000));
}
END_TEST

START_TEST(a_full_backlog_is_tried_less_and_less_often)
{
    unsigned n;

    ck_assert_int_eq(ac_policy_nap(0), apr_time_from_msec(3));
    ck_assert_int_eq(ac_policy_nap(1), apr_time_from_msec(6));
    for (n = 1; n < 100; n++) {
        ck_assert_int_ge(ac_policy_nap(n), ac_policy_nap(n - 1));
    }
    ck_assert_int_eq(ac_policy_nap(1000000), apr_time_from_msec(96));
}
END_TEST

TCase *test_outproc_policy(void)
{
    TCase *tc = tcase_create("policy");

    tcase_add_test(tc, longest_prefix_wins_on_whole_segments);
    tcase_add_test(tc, root_mount_takes_the_rest);
    tcase_add_test(tc, no_mounts_match_nothing);
    tcase_add_test(tc, each_of_many_is_found);
    tcase_add_test(tc, workers_leave_the_last_eighth_alone);
    tcase_add_test(tc, those_who_wait_leave_fewer_workers);
    tcase_add_test(tc, hope_depends_on_state_and_time);
    tcase_add_test(tc, a_full_backlog_is_tried_less_and_less_often);
    return tc;
}
