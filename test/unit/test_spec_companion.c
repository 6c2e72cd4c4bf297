/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_spec.h"

#include <stdio.h>
#include <sys/stat.h>
#include "spec/companion.h"

#define PRELOAD "node-preload.js"
#define HOOKS_VAR "DOTNET_STARTUP_HOOKS"
#define STARTUPS "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES"

static ac_launch_t *look_with(ac_settings_t *set)
{
    ac_look_request_t req = { folder, "/shop", "shop", set, in_folder("c"), 0 };

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

static const char *value_of(const ac_launch_t *launch, unsigned reach,
                            ac_settings_t *set, const char *name)
{
    ac_spec_t spec = { .name = "shop", .prefix = "/shop", .folder = folder, .set = set,
                       .companions = in_folder("c") };
    ac_instance_t inst = { .reach = reach, .port = 20001, .prefix = "/shop" };
    const char **env = ac_launch_env(&spec, launch, &inst, NULL, p);
    apr_size_t len = strlen(name);
    const char *found = NULL;

    for (; *env; ++env) {
        if (!strncmp(*env, name, len) && (*env)[len] == '=') {
            ck_assert_ptr_null(found);
            found = *env + len + 1;
        }
    }
    return found;
}

static const char *node_options(const ac_launch_t *launch, unsigned reach,
                                ac_settings_t *set)
{
    return value_of(launch, reach, set, "NODE_OPTIONS");
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
    ck_assert_ptr_null(ac_companion_path(NULL, AC_KIND_NODE, 1, p));
    ck_assert_ptr_null(ac_companion_path("/a\"b", AC_KIND_NODE, 1, p));
    ck_assert_ptr_null(ac_companion_path("/a\\b", AC_KIND_NODE, 1, p));
    ck_assert_ptr_null(ac_companion_path("/a", AC_KIND_PROGRAM, 1, p));
    ck_assert_ptr_null(ac_companion_path("/a", (ac_kind_e)77, 1, p));
    ck_assert_str_eq(ac_companion_path("/a b", AC_KIND_NODE, 1, p), "/a b/" PRELOAD);
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

#define WEB(version, more) \
    "{\"runtimeOptions\": {\"frameworks\": [{\"name\": \"Microsoft.NETCore.App\", " \
    "\"version\": \"" version "\"}, {\"name\": \"Microsoft.AspNetCore.App\", " \
    "\"version\": \"" version "\"}]" more "}}"
#define HOOKS(value) \
    ", \"configProperties\": {\"System.StartupHookProvider.IsSupported\": " value "}"

static void put_web_app(const char *config)
{
    ck_assert_int_eq(remove(in_folder("package.json")), 0);
    ck_assert_int_eq(mkdir(in_folder("c/net9.0"), 0755), 0);
    put_file("c/net9.0/AppCore.AspNetCore.dll", "");
    put_program("bin/dotnet");
    put_file("App.dll", "");
    put_file("App.runtimeconfig.json", config);
}

static int version_for(const char *config)
{
    ac_launch_t *launch;

    put_file("App.runtimeconfig.json", config);
    launch = look_with(ac_settings_create(p));
    ck_launch(launch);
    ck_assert_uint_eq(launch->reach, launch->companion ? AC_REACH_FD | AC_REACH_PORT
                                                       : AC_REACH_PORT);
    return launch->companion;
}

START_TEST(aspnetcore_takes_the_newest_that_it_can_load)
{
    put_web_app(WEB("9.0.0", ""));
    ck_assert_int_eq(version_for(WEB("9.0.0", "")), 9);
    ck_assert_int_eq(version_for(WEB("10.0.2", "")), 9);
    ck_assert_int_eq(version_for(WEB("8.0.0", "")), 0);
    ck_assert_int_eq(version_for(WEB("", "")), 0);
    ck_assert_int_eq(mkdir(in_folder("c/net8.0"), 0755), 0);
    put_file("c/net8.0/AppCore.AspNetCore.dll", "");
    ck_assert_int_eq(version_for(WEB("8.0.0", "")), 8);
    ck_assert_int_eq(version_for(WEB("9.0.0", "")), 9);
}
END_TEST

START_TEST(app_without_hooks_gets_a_port)
{
    put_web_app(WEB("9.0.0", ""));
    ck_assert_int_eq(version_for(WEB("9.0.0", HOOKS("true"))), 9);
    ck_assert_int_eq(version_for(WEB("9.0.0", HOOKS("false"))), 0);
    ck_assert_int_eq(version_for(WEB("9.0.0", HOOKS("\"False\""))), 0);
}
END_TEST

START_TEST(web_config_and_options_of_the_host)
{
    static const struct {
        const char *arguments;
        int version;
    } cases[] = {
        { ".\\App.dll --x", 9 }, { "exec ./App.dll", 9 }, { "exec", 0 },
        { "--fx-version 8.0.0 App.dll", 0 },
    };
    size_t i;

    put_web_app(WEB("9.0.0", ""));
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        put_file("web.config", apr_pstrcat(p, "<configuration><system.webServer>"
                 "<aspNetCore processPath=\"dotnet\" arguments=\"", cases[i].arguments,
                 "\" /></system.webServer></configuration>", NULL));
        ck_assert_int_eq(look_with(ac_settings_create(p))->companion, cases[i].version);
    }
    /* What is broken is left to the runtime, which has words for it. */
    put_file("App.runtimeconfig.json", "{");
    put_file("web.config", "<configuration><system.webServer><aspNetCore "
             "processPath=\"dotnet\" arguments=\"App.dll\" /></system.webServer>"
             "</configuration>");
    ck_launch(look_with(ac_settings_create(p)));
    ck_assert_int_eq(look_with(ac_settings_create(p))->companion, 0);
}
END_TEST

START_TEST(variables_may_name_the_app)
{
    ac_settings_t *set = ac_settings_create(p);

    put_web_app(WEB("9.0.0", ""));
    add_var(set, AC_ORIGIN_APP, "NAME", "App");
    add_var(set, AC_ORIGIN_APP, "WHERE", in_folder("App.dll"));
    put_file("web.config", "<configuration><system.webServer><aspNetCore "
             "processPath=\"dotnet\" arguments=\".\\%NAME%.dll --x\" />"
             "</system.webServer></configuration>");
    ck_assert_int_eq(look_with(set)->companion, 9);
    put_file("web.config", "<configuration><system.webServer><aspNetCore "
             "processPath=\"dotnet\" arguments=\"exec %WHERE%\" />"
             "</system.webServer></configuration>");
    ck_assert_int_eq(look_with(set)->companion, 9);
    ck_assert_int_eq(look_with(ac_settings_create(p))->companion, 0);
}
END_TEST

START_TEST(hook_is_first_and_startup_last)
{
    ac_settings_t *set = ac_settings_create(p);
    const char *hook = in_folder("c/net9.0/AppCore.AspNetCore.dll");
    const char *stock = "Microsoft.AspNetCore.Server.IISIntegration";
    const ac_launch_t *launch;

    put_web_app(WEB("9.0.0", ""));
    launch = look_with(set);
    ck_assert_str_eq(value_of(launch, AC_REACH_FD, set, HOOKS_VAR), hook);
    ck_assert_str_eq(value_of(launch, AC_REACH_FD, set, STARTUPS),
                     apr_pstrcat(p, stock, ";AppCore.AspNetCore", NULL));
    ck_assert_str_eq(value_of(launch, AC_REACH_FD, set, "ASPNETCORE_PORT"), "1");
    ck_assert_str_eq(value_of(launch, AC_REACH_FD | AC_REACH_PORT, set,
                              "ASPNETCORE_PORT"), "20001");
    ck_assert_ptr_null(value_of(launch, AC_REACH_PORT, set, HOOKS_VAR));
    ck_assert_str_eq(value_of(launch, AC_REACH_PORT, set, STARTUPS), stock);
    add_var(set, AC_ORIGIN_APP, HOOKS_VAR, "/x.dll");
    ck_assert_str_eq(value_of(launch, AC_REACH_FD, set, HOOKS_VAR),
                     apr_pstrcat(p, hook, ":/x.dll", NULL));
    ck_assert_str_eq(value_of(launch, AC_REACH_PORT, set, HOOKS_VAR), "/x.dll");
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
    tcase_add_test(tc, aspnetcore_takes_the_newest_that_it_can_load);
    tcase_add_test(tc, app_without_hooks_gets_a_port);
    tcase_add_test(tc, web_config_and_options_of_the_host);
    tcase_add_test(tc, variables_may_name_the_app);
    tcase_add_test(tc, hook_is_first_and_startup_last);
    return tc;
}
