/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_spec.h"

#include <sys/stat.h>
#include "spec/companion.h"

#define PRELOAD "node-preload.js"

static ac_launch_t *look_with(ac_settings_t *set)
{
    ac_look_request_t req = { folder, "/shop", "shop", set, in_folder("c") };

    return ac_look_as(&req, geteuid(), p);
}

static void put_node_app(void)
{
    make_folder();
    ck_assert_int_eq(mkdir(in_folder("c"), 0755), 0);
    put_program("bin/node");
    put_file("package.json", "{}");
    put_file("index.js", "");
}

static const char *node_options(const ac_launch_t *launch, unsigned reach,
                                ac_settings_t *set)
{
    ac_spec_t spec = { .name = "shop", .prefix = "/shop", .folder = folder, .set = set,
                       .companions = in_folder("c") };
    ac_instance_t inst = { .reach = reach, .port = 20001, .prefix = "/shop" };
    const char **env = ac_launch_env(&spec, launch, &inst, NULL, p);
    const char *found = NULL;

    for (; *env; ++env) {
        if (!strncmp(*env, "NODE_OPTIONS=", 13)) {
            ck_assert_ptr_null(found);
            found = *env + 13;
        }
    }
    return found;
}

static const char *required(const char *rest)
{
    return apr_pstrcat(p, "--require=\"", in_folder("c/" PRELOAD), "\"", rest, NULL);
}

START_TEST(node_is_offered_the_socket_where_the_preload_is)
{
    ac_launch_t *launch = look_with(ac_settings_create(p));

    ck_launch(launch);
    ck_assert_uint_eq(launch->reach, AC_REACH_PORT);
    ck_assert_int_eq(launch->companion, 0);
    put_file("c/" PRELOAD, "");
    launch = look_with(ac_settings_create(p));
    ck_assert_uint_eq(launch->reach, AC_REACH_FD | AC_REACH_PORT);
    ck_assert_int_eq(launch->companion, 1);
}
END_TEST

START_TEST(port_that_was_asked_for_is_the_way)
{
    ac_settings_t *set = ac_settings_create(p);
    const ac_launch_t *launch;

    put_file("c/" PRELOAD, "");
    add_var(set, AC_ORIGIN_APP, "PORT", "8080");
    launch = look_with(set);
    ck_launch(launch);
    ck_assert_uint_eq(launch->reach, AC_REACH_PORT);
    ck_assert_int_eq(launch->companion, 0);
    put_file("package.json", "{\"scripts\": {\"start\": \"node x --port $PORT\"}}");
    launch = look_with(ac_settings_create(p));
    ck_assert_uint_eq(launch->reach, AC_REACH_PORT);
    put_file("package.json", "{\"scripts\": {\"start\": \"node x --fd {fd}\"}}");
    launch = look_with(ac_settings_create(p));
    ck_assert_uint_eq(launch->reach, AC_REACH_FD);
    ck_assert_int_eq(launch->companion, 0);
}
END_TEST

START_TEST(preload_stands_before_the_options_of_the_app)
{
    ac_settings_t *set = ac_settings_create(p);
    ac_launch_t *launch;

    put_file("c/" PRELOAD, "");
    launch = look_with(set);
    ck_assert_str_eq(node_options(launch, AC_REACH_FD, set), required(""));
    ck_assert_ptr_null(node_options(launch, AC_REACH_PORT, set));
    add_var(set, AC_ORIGIN_APP, "NODE_OPTIONS", "--no-warnings");
    ck_assert_str_eq(node_options(launch, AC_REACH_FD, set), required(" --no-warnings"));
    launch->companion = 0;
    ck_assert_str_eq(node_options(launch, AC_REACH_FD, set), "--no-warnings");
}
END_TEST

START_TEST(path_that_cannot_be_quoted_is_no_companion)
{
    ck_assert_ptr_null(ac_companion_path(NULL, AC_KIND_NODE, p));
    ck_assert_ptr_null(ac_companion_path("/a\"b", AC_KIND_NODE, p));
    ck_assert_ptr_null(ac_companion_path("/a\\b", AC_KIND_NODE, p));
    ck_assert_ptr_null(ac_companion_path("/a", AC_KIND_PROGRAM, p));
    ck_assert_ptr_null(ac_companion_path("/a", (ac_kind_e)77, p));
    ck_assert_str_eq(ac_companion_path("/a b", AC_KIND_NODE, p), "/a b/" PRELOAD);
}
END_TEST

START_TEST(launch_keeps_it_on_the_wire)
{
    ac_wire_writer_t w;
    ac_wire_reader_t r;
    ac_launch_t *launch;

    put_file("c/" PRELOAD, "");
    ac_wire_writer_init(&w, AC_LAUNCH_WIRE_MAX, p);
    ac_launch_put(&w, look_with(ac_settings_create(p)));
    ac_wire_reader_init(&r, w.data, w.len);
    launch = ac_launch_get(&r, p);
    ck_assert_ptr_nonnull(launch);
    ck_assert_int_eq(ac_wire_reader_end(&r), APR_SUCCESS);
    ck_assert_int_eq(launch->companion, 1);
}
END_TEST

TCase *companion_case(void)
{
    TCase *tc = case_create("companion");

    tcase_add_checked_fixture(tc, put_node_app, remove_folder);
    tcase_add_test(tc, node_is_offered_the_socket_where_the_preload_is);
    tcase_add_test(tc, port_that_was_asked_for_is_the_way);
    tcase_add_test(tc, preload_stands_before_the_options_of_the_app);
    tcase_add_test(tc, path_that_cannot_be_quoted_is_no_companion);
    tcase_add_test(tc, launch_keeps_it_on_the_wire);
    return tc;
}
