/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_spec.h"

static const char *const inherited[] = {
    "PATH=/bin", "LANG=C.UTF-8", "TZ=UTC", "SECRET_OF_HTTPD=1", "PATHX=no", NULL
};

static ac_spec_t spec;
static ac_launch_t launch;
static ac_instance_t inst;
static ac_settings_t *set;

static void describe(void)
{
    memset(&spec, 0, sizeof(spec));
    memset(&launch, 0, sizeof(launch));
    memset(&inst, 0, sizeof(inst));
    set = ac_settings_create(p);
    spec.name = "shop";
    spec.prefix = "/shop";
    spec.folder = "/srv/shop";
    spec.state_dir = "/var/lib/appcore";
    spec.set = set;
    launch.kind = AC_KIND_DOTNET;
    launch.folder = "/srv/shop";
    launch.overlay = ac_settings_create(p);
    launch.argv = apr_array_make(p, 2, sizeof(const char *));
    APR_ARRAY_PUSH(launch.argv, const char *) = "/bin/app";
    inst.slot = 2;
    inst.generation = 7;
    inst.reach = AC_REACH_PORT;
    inst.port = 20001;
    inst.token = "b7a5";
    inst.notify_path = "/run/appcore/notify";
}

static const char *find(const char **env, const char *name)
{
    apr_size_t len = strlen(name);
    const char *found = NULL;

    for (; *env; ++env) {
        if (!strncmp(*env, name, len) && (*env)[len] == '=') {
            ck_assert_msg(!found, "%s is there twice", name);
            found = *env + len + 1;
        }
    }
    return found;
}

static const char *in_env(const char *name)
{
    return find(ac_launch_env(&spec, &launch, &inst, inherited, p), name);
}

static const char **env_of(void)
{
    return ac_launch_env(&spec, &launch, &inst, inherited, p);
}

START_TEST(only_three_are_inherited)
{
    const char **env = env_of();

    ck_assert_str_eq(find(env, "PATH"), "/bin");
    ck_assert_str_eq(find(env, "LANG"), "C.UTF-8");
    ck_assert_str_eq(find(env, "TZ"), "UTC");
    ck_assert_ptr_null(find(env, "SECRET_OF_HTTPD"));
    ck_assert_ptr_null(find(env, "PATHX"));
    env = ac_launch_env(&spec, &launch, &inst, NULL, p);
    ck_assert_ptr_nonnull(strstr(find(env, "PATH"), "/usr/bin"));
    ck_assert_ptr_null(find(env, "LANG"));
}
END_TEST

START_TEST(everybody_is_told_who_it_is)
{
    const char **env;

    launch.kind = AC_KIND_PROGRAM;
    env = env_of();
    ck_assert_str_eq(find(env, "APPCORE_APP"), "shop");
    ck_assert_str_eq(find(env, "APPCORE_PROCESS"), "2");
    ck_assert_str_eq(find(env, "APPCORE_GENERATION"), "7");
    ck_assert_str_eq(find(env, "NOTIFY_SOCKET"), "/run/appcore/notify");
    ck_assert_str_eq(find(env, "PORT"), "20001");
    ck_assert_ptr_null(find(env, "LISTEN_FDS"));
    ck_assert_ptr_null(find(env, "APPCORE_SOCKET"));
    ck_assert_ptr_null(find(env, "APPCORE_LOG"));
    inst.is_logged = 1;
    ck_assert_str_eq(in_env("APPCORE_LOG"), "errorlog");
    inst.is_logged = 0;
    for (; *env; ++env) {
        ck_assert_int_ne(strncmp(*env, "ASPNETCORE_", 11), 0);
    }
}
END_TEST

START_TEST(aspnetcore_gets_its_contract)
{
    const char **env;

    spec.https_port = 443;
    env = env_of();
    ck_assert_str_eq(find(env, "ASPNETCORE_PORT"), "20001");
    ck_assert_str_eq(find(env, "ASPNETCORE_APPL_PATH"), "/shop");
    ck_assert_str_eq(find(env, "ASPNETCORE_TOKEN"), "b7a5");
    ck_assert_str_eq(find(env, "ASPNETCORE_URLS"), "http://127.0.0.1:20001");
    ck_assert_str_eq(find(env, "ASPNETCORE_IIS_HTTPAUTH"), "anonymous;");
    ck_assert_str_eq(find(env, "ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED"), "true");
    ck_assert_str_eq(find(env, "ASPNETCORE_IIS_PHYSICAL_PATH"), "/srv/shop/");
    ck_assert_str_eq(find(env, "ASPNETCORE_ANCM_HTTPS_PORT"), "443");
    ck_assert_str_eq(find(env, "ASPNETCORE_SHUTDOWNTIMEOUTSECONDS"), "9");
    ck_assert_str_eq(find(env, "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES"),
                     "Microsoft.AspNetCore.Server.IISIntegration");
    spec.prefix = "";
    spec.https_port = 0;
    set->websockets.v = AC_OFF;
    env = env_of();
    ck_assert_str_eq(find(env, "ASPNETCORE_APPL_PATH"), "/");
    ck_assert_ptr_null(find(env, "ASPNETCORE_ANCM_HTTPS_PORT"));
    ck_assert_str_eq(find(env, "ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED"), "false");
}
END_TEST

START_TEST(users_are_announced_where_there_can_be_some)
{
    const char *name = "ASPNETCORE_IIS_HTTPAUTH";

    spec.login = 1;
    launch.companion = 8;
    ck_assert_str_eq(in_env(name), "anonymous;");
    inst.reach = AC_REACH_FD | AC_REACH_PORT;
    ck_assert_str_eq(in_env(name), "windows;");
    launch.overlay->forward_windows_auth_token.v = AC_OFF;
    launch.overlay->forward_windows_auth_token.origin = AC_ORIGIN_WEBCONFIG;
    ck_assert_str_eq(in_env(name), "anonymous;");
    launch.overlay->forward_windows_auth_token.origin = AC_ORIGIN_DEFAULT;
    launch.companion = 0;
    ck_assert_str_eq(in_env(name), "anonymous;");
    launch.companion = 8;
    spec.login = 0;
    ck_assert_str_eq(in_env(name), "anonymous;");
}
END_TEST

START_TEST(contract_cannot_be_replaced)
{
    static const char *const names[] = {
        "ASPNETCORE_IIS_HTTPAUTH", "aspnetcore_appl_path", "ASPNETCORE_URLS",
        "LISTEN_FDS", "NOTIFY_SOCKET", "APPCORE_APP", "PORT"
    };
    const char **env;
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        add_var(launch.overlay, AC_ORIGIN_WEBCONFIG, names[i], "shouldberemoved");
    }
    for (env = env_of(); *env; ++env) {
        ck_assert_msg(!strstr(*env, "shouldberemoved"), "%s", *env);
    }
}
END_TEST

START_TEST(some_of_it_can)
{
    const char **env;

    spec.https_port = 443;
    add_var(launch.overlay, AC_ORIGIN_WEBCONFIG, "ASPNETCORE_ANCM_HTTPS_PORT", "123");
    add_var(launch.overlay, AC_ORIGIN_WEBCONFIG, "ASPNETCORE_SHUTDOWNTIMEOUTSECONDS",
            "3");
    add_var(launch.overlay, AC_ORIGIN_WEBCONFIG, "HOME", "/srv/home");
    env = env_of();
    ck_assert_str_eq(find(env, "ASPNETCORE_ANCM_HTTPS_PORT"), "123");
    ck_assert_str_eq(find(env, "ASPNETCORE_SHUTDOWNTIMEOUTSECONDS"), "3");
    ck_assert_str_eq(find(env, "HOME"), "/srv/home");
}
END_TEST

START_TEST(hosting_startup_is_extended_or_replaced)
{
    const char *name = "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES";

    add_var(set, AC_ORIGIN_SERVER, name, "Asm1");
    ck_assert_str_eq(in_env(name), "Asm1;Microsoft.AspNetCore.Server.IISIntegration");
    add_var(launch.overlay, AC_ORIGIN_WEBCONFIG, name, "Asm2");
    ck_assert_str_eq(in_env(name), "Asm2");
    describe();
    add_var(set, AC_ORIGIN_SERVER, name, "Microsoft.AspNetCore.Server.IISIntegration;X");
    ck_assert_str_eq(in_env(name), "Microsoft.AspNetCore.Server.IISIntegration;X");
}
END_TEST

START_TEST(last_origin_wins_and_nothing_is_appended)
{
    add_var(set, AC_ORIGIN_SERVER, "ASPNETCORE_ENVIRONMENT", "Development");
    add_var(launch.overlay, AC_ORIGIN_WEBCONFIG, "ASPNETCORE_ENVIRONMENT", "Production");
    ck_assert_str_eq(in_env("ASPNETCORE_ENVIRONMENT"), "Production");
    describe();
    add_var(set, AC_ORIGIN_APP, "ASPNETCORE_ENVIRONMENT", "Staging");
    add_var(launch.overlay, AC_ORIGIN_WEBCONFIG, "ASPNETCORE_ENVIRONMENT", "Production");
    ck_assert_str_eq(in_env("ASPNETCORE_ENVIRONMENT"), "Staging");
}
END_TEST

START_TEST(values_expand_once)
{
    const char **env;

    add_var(set, AC_ORIGIN_SERVER, "TestVariable", "World");
    add_var(set, AC_ORIGIN_SERVER, "Trap", "%TestVariable%%%LANG%");
    add_var(launch.overlay, AC_ORIGIN_WEBCONFIG, "OtherVariable", "%TestVariable%;Hello");
    add_var(launch.overlay, AC_ORIGIN_WEBCONFIG, "Unknown", "%nope% 100% %");
    add_var(launch.overlay, AC_ORIGIN_WEBCONFIG, "Path", "/opt/x:%Path%");
    add_var(launch.overlay, AC_ORIGIN_WEBCONFIG, "Listen", "%ASPNETCORE_PORT%");
    add_var(launch.overlay, AC_ORIGIN_WEBCONFIG, "Literal", "%Quote%");
    add_var(launch.overlay, AC_ORIGIN_WEBCONFIG, "Quote", "%Literal%");
    env = env_of();
    ck_assert_str_eq(find(env, "OtherVariable"), "World;Hello");
    ck_assert_str_eq(find(env, "Trap"), "World%C.UTF-8");
    ck_assert_str_eq(find(env, "Unknown"), "%nope% 100% %");
    ck_assert_str_eq(find(env, "PATH"), "/opt/x:/bin");
    ck_assert_ptr_null(find(env, "Path"));
    ck_assert_str_eq(find(env, "Listen"), "20001");
    ck_assert_str_eq(find(env, "Literal"), "%Quote%");
    ck_assert_str_eq(find(env, "Quote"), "%Quote%");
}
END_TEST

START_TEST(long_values_survive)
{
    char *text = apr_palloc(p, 100001);
    const char *twice = "%LONG%%LONG%%LONG%%LONG%%LONG%%LONG%%LONG%%LONG%%LONG%%LONG%";

    memset(text, 'a', 100000);
    text[100000] = '\0';
    add_var(set, AC_ORIGIN_SERVER, "LONG", text);
    add_var(set, AC_ORIGIN_SERVER, "LONGER", twice);
    ck_assert_str_eq(in_env("LONG"), text);
    ck_assert_str_eq(in_env("LONGER"), twice);
    text[402] = '\0';
    ck_assert_uint_eq(strlen(in_env("LONGER")), 4020);
}
END_TEST

START_TEST(home_is_writable_somewhere)
{
    ck_assert_str_eq(in_env("HOME"), "/var/lib/appcore/shop");
    spec.name = "a/b";
    ck_assert_str_eq(in_env("HOME"), "/var/lib/appcore/a_b");
    launch.home = "/home/shop";
    ck_assert_str_eq(in_env("HOME"), "/home/shop");
}
END_TEST

START_TEST(python_trusts_a_socket_and_no_port)
{
    launch.kind = AC_KIND_ASGI;
    ck_assert_ptr_null(in_env("FORWARDED_ALLOW_IPS"));
    inst.reach = AC_REACH_FD | AC_REACH_PORT;
    ck_assert_ptr_null(in_env("FORWARDED_ALLOW_IPS"));
    inst.reach = AC_REACH_FD;
    ck_assert_str_eq(in_env("FORWARDED_ALLOW_IPS"), "*");
    launch.kind = AC_KIND_WSGI;
    inst.reach = AC_REACH_PATH;
    ck_assert_str_eq(in_env("FORWARDED_ALLOW_IPS"), "*");
    launch.kind = AC_KIND_NODE;
    ck_assert_ptr_null(in_env("FORWARDED_ALLOW_IPS"));
}
END_TEST

START_TEST(sockets_are_announced)
{
    const char **env;

    launch.kind = AC_KIND_PROGRAM;
    inst.reach = AC_REACH_FD;
    env = env_of();
    ck_assert_str_eq(find(env, "LISTEN_FDS"), "1");
    ck_assert_str_eq(find(env, "LISTEN_PID"), "");
    ck_assert_ptr_null(find(env, "PORT"));
    inst.reach = AC_REACH_PATH;
    inst.socket_path = "/run/appcore/p/1/app.sock";
    env = env_of();
    ck_assert_str_eq(find(env, "APPCORE_SOCKET"), "/run/appcore/p/1/app.sock");
    ck_assert_ptr_null(find(env, "LISTEN_FDS"));
}
END_TEST

START_TEST(stop_limit_leaves_room)
{
    set->shutdown_time_limit.v = 1;
    ck_assert_str_eq(in_env("ASPNETCORE_SHUTDOWNTIMEOUTSECONDS"), "1");
    set->shutdown_time_limit.v = 0;
    ck_assert_str_eq(in_env("ASPNETCORE_SHUTDOWNTIMEOUTSECONDS"), "0");
    launch.overlay->shutdown_time_limit.v = 60;
    launch.overlay->shutdown_time_limit.origin = AC_ORIGIN_WEBCONFIG;
    ck_assert_str_eq(in_env("ASPNETCORE_SHUTDOWNTIMEOUTSECONDS"), "59");
}
END_TEST

static const char *argv_of(const char *word)
{
    const char **argv;
    apr_array_header_t *list = apr_array_make(p, 4, sizeof(const char *));

    APR_ARRAY_PUSH(launch.argv, const char *) = word;
    argv = ac_launch_argv(&launch, &inst, (const char *const *)env_of(), p);
    ck_assert_str_eq(argv[0], "/bin/app");
    for (++argv; *argv; ++argv) {
        APR_ARRAY_PUSH(list, const char *) = *argv;
    }
    apr_array_pop(launch.argv);
    return words(list);
}

START_TEST(placeholders_are_filled_where_offered)
{
    ck_assert_str_eq(argv_of("--port={port}"), "--port=20001");
    inst.prefix = "/shop";
    ck_assert_str_eq(argv_of("{path}/x"), "/shop/x");
    ck_assert_str_eq(argv_of("{fd}{socket}{other}{"), "{fd}{socket}{other}{");
    inst.reach = AC_REACH_FD | AC_REACH_PATH;
    inst.socket_path = "/run/s";
    ck_assert_str_eq(argv_of("fd://{fd} unix:{socket} {port}"),
                     "fd://3 unix:/run/s {port}");
}
END_TEST

START_TEST(variables_are_filled_by_the_kind_of_text)
{
    add_var(set, AC_ORIGIN_APP, "WORDS", "two words {port}");
    add_var(set, AC_ORIGIN_APP, "EMPTY", "");
    ck_assert_str_eq(argv_of("%WORDS%"), "two words {port}");
    ck_assert_str_eq(argv_of("%aspnetcore_port%$PORT"), "20001$PORT");
    ck_assert_str_eq(argv_of("%NONE%%"), "%NONE%%");
    launch.expand = AC_EXPAND_DOLLAR;
    ck_assert_str_eq(argv_of("$PORT%PORT%"), "20001%PORT%");
    ck_assert_str_eq(argv_of("x${PORT}y$"), "x20001y$");
    ck_assert_str_eq(argv_of("${WORDS}"), "two words {port}");
    ck_assert_str_eq(argv_of("$WORDS"), "two|words|{port}");
    ck_assert_str_eq(argv_of("$NONE"), "");
    ck_assert_str_eq(argv_of("${NONE}"), "");
    ck_assert_str_eq(argv_of("a$NONE"), "a");
    launch.expand = AC_EXPAND_NONE;
    ck_assert_str_eq(argv_of("$PORT %PORT% {port}"), "$PORT %PORT% {port}");
}
END_TEST

START_TEST(program_is_never_expanded)
{
    APR_ARRAY_IDX(launch.argv, 0, const char *) = "/bin/%PATH%{port}";
    ck_assert_str_eq(ac_launch_argv(&launch, &inst, (const char *const *)env_of(), p)[0],
                     "/bin/%PATH%{port}");
}
END_TEST

TCase *env_case(void)
{
    TCase *tc = case_create("env");

    tcase_add_checked_fixture(tc, describe, NULL);
    tcase_add_test(tc, only_three_are_inherited);
    tcase_add_test(tc, everybody_is_told_who_it_is);
    tcase_add_test(tc, aspnetcore_gets_its_contract);
    tcase_add_test(tc, users_are_announced_where_there_can_be_some);
    tcase_add_test(tc, contract_cannot_be_replaced);
    tcase_add_test(tc, some_of_it_can);
    tcase_add_test(tc, hosting_startup_is_extended_or_replaced);
    tcase_add_test(tc, last_origin_wins_and_nothing_is_appended);
    tcase_add_test(tc, values_expand_once);
    tcase_add_test(tc, long_values_survive);
    tcase_add_test(tc, home_is_writable_somewhere);
    tcase_add_test(tc, python_trusts_a_socket_and_no_port);
    tcase_add_test(tc, sockets_are_announced);
    tcase_add_test(tc, stop_limit_leaves_room);
    tcase_add_test(tc, placeholders_are_filled_where_offered);
    tcase_add_test(tc, variables_are_filled_by_the_kind_of_text);
    tcase_add_test(tc, program_is_never_expanded);
    return tc;
}
