/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_spec.h"

#define LIMIT (1024 * 1024)

static ac_settings_t *some_settings(void)
{
    ac_settings_t *set = ac_settings_create(p);

    set->process_path.v = "dotnet";
    set->process_path.origin = AC_ORIGIN_APP;
    set->arguments.v = "";
    set->arguments.origin = AC_ORIGIN_APP;
    set->umask.v = 022;
    set->umask.origin = AC_ORIGIN_VHOST;
    add_var(set, AC_ORIGIN_APP, "NAME", "value");
    APR_ARRAY_IDX(set->environment.v, 0, ac_env_var_t).origin = AC_ORIGIN_SERVER;
    APR_ARRAY_IDX(set->environment.v, 0, ac_env_var_t).secret = 1;
    APR_ARRAY_PUSH(set->trusted_proxies.v, const char *) = "10.0.0.0/8";
    set->trusted_proxies.origin = AC_ORIGIN_SERVER;
    return set;
}

static ac_spec_t *some_spec(void)
{
    ac_spec_t *spec = apr_pcalloc(p, sizeof(*spec));

    spec->name = "shop";
    spec->prefix = "/shop";
    spec->folder = "/srv/shop";
    spec->host = "www.example.org";
    spec->scheme = "https";
    spec->port = 443;
    spec->https_port = 443;
    spec->login = 1;
    spec->log_index = 5;
    spec->log_level = 4;
    spec->plain_level = 6;
    spec->default_user = "appcore";
    spec->state_dir = "/var/lib/appcore";
    spec->set = some_settings();
    ac_spec_seal(spec, p);
    return spec;
}

static ac_launch_t *some_launch(void)
{
    ac_launch_t *launch = apr_pcalloc(p, sizeof(*launch));

    launch->kind = AC_KIND_DOTNET;
    launch->reach = AC_REACH_PORT;
    launch->port = 5000;
    launch->found = "web.config: dotnet";
    launch->folder = "/srv/shop";
    launch->argv = apr_array_make(p, 2, sizeof(const char *));
    APR_ARRAY_PUSH(launch->argv, const char *) = "/usr/bin/dotnet";
    APR_ARRAY_PUSH(launch->argv, const char *) = "shop.dll";
    launch->overlay = ac_settings_create(p);
    launch->overlay->startup_time_limit.v = 60;
    launch->overlay->startup_time_limit.origin = AC_ORIGIN_WEBCONFIG;
    add_var(launch->overlay, AC_ORIGIN_WEBCONFIG, "A", "b");
    APR_ARRAY_IDX(launch->overlay->environment.v, 0, ac_env_var_t).origin =
        AC_ORIGIN_WEBCONFIG;
    launch->max_content_length = 30000000;
    launch->notices = apr_array_make(p, 1, sizeof(const char *));
    APR_ARRAY_PUSH(launch->notices, const char *) = "a notice";
    launch->uid = 1000;
    launch->gid = 1001;
    launch->user = "shop";
    launch->home = "/home/shop";
    return launch;
}

static ac_wire_writer_t writer(void)
{
    ac_wire_writer_t w;

    ac_wire_writer_init(&w, LIMIT, p);
    return w;
}

static ac_launch_t *through_wire(const ac_launch_t *launch)
{
    ac_wire_writer_t w = writer();
    ac_wire_reader_t r;

    ac_launch_put(&w, launch);
    ck_assert_int_eq(w.status, APR_SUCCESS);
    ac_wire_reader_init(&r, w.data, w.len);
    return ac_launch_get(&r, p);
}

START_TEST(settings_survive)
{
    ac_wire_writer_t w = writer();
    ac_wire_reader_t r;
    const ac_settings_t *set;
    const ac_env_var_t *var;

    ac_settings_put(&w, some_settings());
    ac_wire_reader_init(&r, w.data, w.len);
    set = ac_settings_get(&r, p);
    ck_assert_int_eq(ac_wire_reader_end(&r), APR_SUCCESS);
    ck_assert_str_eq(set->process_path.v, "dotnet");
    ck_assert_str_eq(set->arguments.v, "");
    ck_assert_ptr_null(set->user.v);
    ck_assert_int_eq(set->umask.v, 022);
    ck_assert_int_eq(set->umask.origin, AC_ORIGIN_VHOST);
    ck_assert_str_eq(words(set->trusted_proxies.v), "10.0.0.0/8");
    var = ac_settings_env(set, "NAME");
    ck_assert_str_eq(var->value, "value");
    ck_assert_int_eq(var->secret, 1);
    ck_assert_int_eq(var->origin, AC_ORIGIN_SERVER);
}
END_TEST

START_TEST(launch_survives)
{
    const ac_launch_t *launch = through_wire(some_launch());

    ck_assert_ptr_nonnull(launch);
    ck_assert_int_eq(launch->kind, AC_KIND_DOTNET);
    ck_assert_uint_eq(launch->reach, AC_REACH_PORT);
    ck_assert_uint_eq(launch->port, 5000);
    ck_assert_str_eq(launch->found, "web.config: dotnet");
    ck_assert_str_eq(launch->folder, "/srv/shop");
    ck_argv(launch, "/usr/bin/dotnet|shop.dll");
    ck_assert_int_eq(launch->overlay->startup_time_limit.v, 60);
    ck_assert_int_eq(launch->max_content_length, 30000000);
    ck_assert_str_eq(words(launch->notices), "a notice");
    ck_assert_uint_eq(launch->uid, 1000);
    ck_assert_uint_eq(launch->gid, 1001);
    ck_assert_str_eq(launch->user, "shop");
    ck_assert_str_eq(launch->home, "/home/shop");
}
END_TEST

START_TEST(launch_with_a_fault_needs_no_argv)
{
    ac_launch_t *launch = some_launch();

    apr_array_clear(launch->argv);
    ck_assert_ptr_null(through_wire(launch));
    launch->reach = 0;
    ac_result_set(&launch->result, APR_EINVAL, AC_STAGE_LOOK, AC_FAULT_CONFIG, "no");
    ck_assert_ptr_nonnull(through_wire(launch));
}
END_TEST

/* What an app's own user could write in place of the looking process. */
START_TEST(launch_is_not_believed)
{
    ac_launch_t *launch = some_launch();

    launch->kind = (ac_kind_e)99;
    ck_assert_ptr_null(through_wire(launch));
    launch = some_launch();
    launch->reach = 8;
    ck_assert_ptr_null(through_wire(launch));
    launch = some_launch();
    launch->port = 80;
    ck_assert_ptr_null(through_wire(launch));
    launch = some_launch();
    launch->folder = "shop";
    ck_assert_ptr_null(through_wire(launch));
    launch = some_launch();
    launch->overlay->startup_time_limit.v = 3601;
    ck_assert_ptr_null(through_wire(launch));
    launch = some_launch();
    launch->overlay->startup_time_limit.origin = AC_ORIGIN_APP;
    ck_assert_ptr_null(through_wire(launch));
    launch = some_launch();
    launch->overlay->user.v = "root";
    launch->overlay->user.origin = AC_ORIGIN_WEBCONFIG;
    ck_assert_ptr_null(through_wire(launch));
}
END_TEST

START_TEST(defaults_of_an_overlay_are_ours)
{
    ac_launch_t *launch = some_launch();

    launch->overlay->queue_limit.v = 1;
    launch = through_wire(launch);
    ck_assert_ptr_nonnull(launch);
    ck_assert_int_eq(ac_settings_merge(ac_settings_create(p), launch->overlay,
                                       p)->queue_limit.v, 1000);
}
END_TEST

START_TEST(every_truncated_launch_is_refused)
{
    ac_wire_writer_t w = writer();
    ac_wire_reader_t r;
    apr_size_t len;

    ac_launch_put(&w, some_launch());
    for (len = 0; len < w.len; ++len) {
        unsigned char *cut = malloc(len ? len : 1);

        memcpy(cut, w.data, len);
        ac_wire_reader_init(&r, cut, len);
        ck_assert_ptr_null(ac_launch_get(&r, p));
        ck_assert_int_ne(r.status, APR_SUCCESS);
        free(cut);
    }
}
END_TEST

/* Any byte changed: decoded within limits or refused, never more. */
START_TEST(every_changed_launch_is_bounded)
{
    ac_wire_writer_t w = writer();
    ac_wire_reader_t r;
    apr_size_t at;
    unsigned refused = 0;

    ac_launch_put(&w, some_launch());
    for (at = 0; at < w.len; ++at) {
        const ac_launch_t *launch;
        apr_pool_t *sub;

        apr_pool_create(&sub, p);
        w.data[at] ^= 0xff;
        ac_wire_reader_init(&r, w.data, w.len);
        launch = ac_launch_get(&r, sub);
        w.data[at] ^= 0xff;
        refused += launch == NULL;
        ck_assert(!launch || launch->argv->nelts <= AC_LAUNCH_ARGS_MAX);
        apr_pool_destroy(sub);
    }
    ck_assert_uint_gt(refused, 0);
}
END_TEST

static ac_spec_table_t *some_table(void)
{
    ac_spec_table_t *table = apr_pcalloc(p, sizeof(*table));
    ac_spec_t *other = some_spec();

    other->prefix = "";
    other->host = NULL;
    ac_spec_seal(other, p);
    table->globals.runtime_dir = "/run/appcore";
    table->globals.state_dir = "/var/lib/appcore";
    table->globals.server_uid = 33;
    table->globals.server_gid = 34;
    table->globals.max_spawns = 4;
    table->globals.log_level = 6;
    table->specs = apr_array_make(p, 2, sizeof(ac_spec_t *));
    APR_ARRAY_PUSH(table->specs, ac_spec_t *) = some_spec();
    APR_ARRAY_PUSH(table->specs, ac_spec_t *) = other;
    return table;
}

START_TEST(table_survives)
{
    const ac_spec_table_t *table = some_table();
    const ac_spec_t *before = APR_ARRAY_IDX(table->specs, 1, ac_spec_t *);
    const ac_spec_t *after;
    ac_wire_writer_t w = writer();
    ac_wire_reader_t r;

    ac_spec_table_put(&w, table);
    ac_wire_reader_init(&r, w.data, w.len);
    table = ac_spec_table_get(&r, p);
    ck_assert_int_eq(ac_wire_reader_end(&r), APR_SUCCESS);
    ck_assert_int_eq(table->specs->nelts, 2);
    ck_assert_str_eq(table->globals.runtime_dir, "/run/appcore");
    ck_assert_ptr_null(table->globals.server_user);
    ck_assert_uint_eq(table->globals.server_uid, 33);
    ck_assert_uint_eq(table->globals.max_spawns, 4);
    after = APR_ARRAY_IDX(table->specs, 1, ac_spec_t *);
    ck_assert_uint_eq(after->id, before->id);
    ck_assert_mem_eq(after->digest, before->digest, AC_SPEC_DIGEST);
    ck_assert_str_eq(after->name, "shop");
    ck_assert_str_eq(after->prefix, "");
    ck_assert_ptr_null(after->host);
    ck_assert_uint_eq(after->log_index, 5);
    ck_assert_uint_eq(after->log_level, 4);
    ck_assert_uint_eq(after->plain_level, 6);
    ck_assert_uint_eq(after->https_port, 443);
    ck_assert_int_eq(after->login, 1);
    ck_assert_str_eq(after->set->process_path.v, "dotnet");
}
END_TEST

START_TEST(every_truncated_table_is_refused)
{
    ac_wire_writer_t w = writer();
    ac_wire_reader_t r;
    apr_size_t len;

    ac_spec_table_put(&w, some_table());
    for (len = 0; len < w.len; ++len) {
        unsigned char *cut = malloc(len ? len : 1);

        memcpy(cut, w.data, len);
        ac_wire_reader_init(&r, cut, len);
        ck_assert_ptr_null(ac_spec_table_get(&r, p));
        free(cut);
    }
}
END_TEST

START_TEST(senseless_specs_are_refused)
{
    ac_spec_table_t *table = some_table();
    ac_wire_writer_t w = writer();
    ac_wire_reader_t r;

    APR_ARRAY_IDX(table->specs, 0, ac_spec_t *)->folder = "srv";
    ac_spec_table_put(&w, table);
    ac_wire_reader_init(&r, w.data, w.len);
    ck_assert_ptr_null(ac_spec_table_get(&r, p));
}
END_TEST

START_TEST(identity_is_folder_or_name_and_prefix)
{
    ac_spec_t *one = some_spec();
    ac_spec_t *two = some_spec();

    ck_assert_uint_ne(one->id, 0);
    two->name = "store";
    two->port = 80;
    ac_spec_seal(two, p);
    ck_assert_uint_eq(one->id, two->id);
    two->prefix = "/store";
    ac_spec_seal(two, p);
    ck_assert_uint_ne(one->id, two->id);

    one->named = two->named = 1;
    two->prefix = one->prefix;
    two->folder = "/srv/elsewhere";
    ac_spec_seal(one, p);
    ac_spec_seal(two, p);
    ck_assert_uint_ne(one->id, two->id);
    two->name = one->name;
    ac_spec_seal(two, p);
    ck_assert_uint_eq(one->id, two->id);
}
END_TEST

START_TEST(digest_is_of_what_the_app_can_notice)
{
    ac_spec_t *one = some_spec();
    ac_spec_t *two = some_spec();
    ac_settings_t *set;

    two->log_index = 9;
    two->log_level = 7;
    two->plain_level = 4;
    ac_spec_seal(two, p);
    ck_assert_mem_eq(one->digest, two->digest, AC_SPEC_DIGEST);
    ac_spec_seal(two, p);
    ck_assert_mem_eq(one->digest, two->digest, AC_SPEC_DIGEST);
    two->https_port = 8443;
    ac_spec_seal(two, p);
    ck_assert_mem_ne(one->digest, two->digest, AC_SPEC_DIGEST);
    two = some_spec();
    set = some_settings();
    add_var(set, AC_ORIGIN_APP, "MORE", "");
    two->set = set;
    ac_spec_seal(two, p);
    ck_assert_uint_eq(one->id, two->id);
    ck_assert_mem_ne(one->digest, two->digest, AC_SPEC_DIGEST);
}
END_TEST

START_TEST(look_request_has_no_secrets)
{
    ac_look_request_t req = { "/srv/shop", "/shop", "shop", some_settings(),
                              "/usr/lib/x", 0 };
    ac_settings_t *set = some_settings();
    ac_wire_writer_t w = writer();
    ac_wire_reader_t r;
    const ac_look_request_t *got;

    add_var(set, AC_ORIGIN_APP, "OPEN", "yes");
    req.set = set;
    ac_look_request_put(&w, &req);
    ac_wire_reader_init(&r, w.data, w.len);
    got = ac_look_request_get(&r, p);
    ck_assert_int_eq(ac_wire_reader_end(&r), APR_SUCCESS);
    ck_assert_str_eq(got->folder, "/srv/shop");
    ck_assert_str_eq(got->companions, "/usr/lib/x");
    ck_assert_ptr_null(ac_settings_env(got->set, "NAME"));
    ck_assert_ptr_nonnull(ac_settings_env(got->set, "OPEN"));
    ck_assert_ptr_null(memmem(w.data, w.len, "value", 5));
    while (r.len-- > 0) {
        r.pos = 0;
        r.status = APR_SUCCESS;
        ck_assert_ptr_null(ac_look_request_get(&r, p));
    }
}
END_TEST

START_TEST(kinds_have_names)
{
    ck_assert_str_eq(ac_kind_name(AC_KIND_DOTNET), "ASP.NET Core");
    ck_assert_str_eq(ac_kind_name((ac_kind_e)77), "unknown");
}
END_TEST

TCase *wire_case(void)
{
    TCase *tc = case_create("wire");

    tcase_add_test(tc, settings_survive);
    tcase_add_test(tc, launch_survives);
    tcase_add_test(tc, launch_with_a_fault_needs_no_argv);
    tcase_add_test(tc, launch_is_not_believed);
    tcase_add_test(tc, defaults_of_an_overlay_are_ours);
    tcase_add_test(tc, every_truncated_launch_is_refused);
    tcase_add_test(tc, every_changed_launch_is_bounded);
    tcase_add_test(tc, table_survives);
    tcase_add_test(tc, every_truncated_table_is_refused);
    tcase_add_test(tc, senseless_specs_are_refused);
    tcase_add_test(tc, identity_is_folder_or_name_and_prefix);
    tcase_add_test(tc, digest_is_of_what_the_app_can_notice);
    tcase_add_test(tc, look_request_has_no_secrets);
    tcase_add_test(tc, kinds_have_names);
    return tc;
}
