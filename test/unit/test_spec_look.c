/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Looks that a processPath decides, and what is true of every look. */

#include "test_spec.h"

#include <sys/stat.h>

static ac_settings_t *with_program(const char *program, const char *arguments)
{
    ac_settings_t *set = ac_settings_create(p);

    set->process_path.v = program;
    set->process_path.origin = AC_ORIGIN_APP;
    set->arguments.v = arguments;
    set->arguments.origin = arguments ? AC_ORIGIN_APP : AC_ORIGIN_DEFAULT;
    return set;
}

static void put_web_config(const char *attributes, const char *beside)
{
    put_file("web.config", apr_pstrcat(p, "<configuration><system.webServer><aspNetCore ",
                                       attributes, "/>", beside,
                                       "</system.webServer></configuration>", NULL));
}

static const char *dotnet_with(const char *rest)
{
    return apr_pstrcat(p, in_folder("bin/dotnet"), "|", rest, NULL);
}

START_TEST(empty_folder_says_what_was_looked_for)
{
    const ac_launch_t *launch = look_at(NULL);

    ck_fault(launch, AC_FAULT_CONFIG, "nothing to run");
    ck_assert_ptr_nonnull(strstr(launch->result.detail, "Procfile"));
    ck_assert_ptr_nonnull(strstr(launch->result.detail, "config.ru"));
    ck_assert_int_eq(launch->result.http_status, 500);
}
END_TEST

START_TEST(missing_folder_is_a_fault)
{
    ac_look_request_t req = { "/nonexistent/app", "", "app", ac_settings_create(p),
                              NULL, 0 };

    ck_fault(ac_look(&req, p), AC_FAULT_CONFIG, "/nonexistent/app");
}
END_TEST

START_TEST(directive_decides_first)
{
    const ac_launch_t *launch;

    put_program("bin/server");
    put_file("Procfile", "web: other\n");
    put_web_config("processPath='bogus'", "");
    launch = look_at(with_program("server", "-x 'two words' \"%PATH%\""));
    ck_launch(launch);
    ck_assert_int_eq(launch->kind, AC_KIND_PROGRAM);
    ck_assert_uint_eq(launch->reach, AC_REACH_FD | AC_REACH_PORT);
    ck_argv(launch,
            apr_pstrcat(p, in_folder("bin/server"), "|-x|two words|%PATH%", NULL));
    ck_assert_ptr_nonnull(strstr(launch->found, "AppCoreProcessPath \"server\""));
    ck_assert_int_eq(launch->expand, AC_EXPAND_PERCENT);
}
END_TEST

START_TEST(directive_keeps_the_rest_of_web_config)
{
    const ac_launch_t *launch;

    put_program("bin/server");
    put_web_config("processPath='bogus' arguments='-w' startupTimeLimit='7'", "");
    launch = look_at(with_program("server", NULL));
    ck_launch(launch);
    ck_assert_int_eq(launch->argv->nelts, 1);
    ck_assert_int_eq(launch->overlay->startup_time_limit.v, 7);
}
END_TEST

START_TEST(server_wide_directive_yields_to_web_config)
{
    ac_settings_t *set = with_program("server", "x");
    const ac_launch_t *launch;

    put_program("bin/server");
    put_program("bin/dotnet");
    put_file("App.dll", "");
    put_web_config("processPath='dotnet' arguments='App.dll'", "");
    set->process_path.origin = set->arguments.origin = AC_ORIGIN_SERVER;
    launch = look_at(set);
    ck_launch(launch);
    ck_argv(launch, dotnet_with("App.dll"));
    set->web_config.v = AC_WEBCONFIG_OFF;
    launch = look_at(set);
    ck_argv(launch, apr_pstrcat(p, in_folder("bin/server"), "|x", NULL));
}
END_TEST

START_TEST(program_is_looked_for_in_folder_and_path)
{
    put_program("server");
    put_program("bin/server");
    ck_argv(look_at(with_program("server", NULL)), in_folder("server"));
    ck_argv(look_at(with_program("./server", NULL)), in_folder("server"));
    ck_argv(look_at(with_program("bin/server", NULL)), in_folder("bin/server"));
    ck_argv(look_at(with_program(in_folder("bin/server"), NULL)),
            in_folder("bin/server"));
    ck_argv(look_at(with_program("/bin/sh", NULL)), "/bin/sh");
}
END_TEST

START_TEST(program_that_is_not_there)
{
    put_file("plain", "x");
    ck_fault(look_at(with_program("bogus", NULL)), AC_FAULT_EXEC, "found neither in");
    ck_fault(look_at(with_program("bogus", NULL)), AC_FAULT_EXEC, in_folder("bin"));
    ck_fault(look_at(with_program("./bogus", NULL)), AC_FAULT_EXEC, "not there");
    ck_fault(look_at(with_program("/bogus", NULL)), AC_FAULT_EXEC, "/bogus");
    ck_fault(look_at(with_program("./bin", NULL)), AC_FAULT_EXEC, "not there");
    ck_fault(look_at(with_program("./plain", NULL)), AC_FAULT_EXEC, "chmod +x");
    ck_fault(look_at(with_program("/bin/sh", "'open")), AC_FAULT_CONFIG, "open quote");
}
END_TEST

static const struct {
    const char *program;
    ac_kind_e kind;
    unsigned reach;
} kinds[] = {
    { "node", AC_KIND_NODE, AC_REACH_PORT },
    { "npm", AC_KIND_NODE, AC_REACH_PORT },
    { "uvicorn", AC_KIND_ASGI, AC_REACH_FD | AC_REACH_PORT },
    { "gunicorn", AC_KIND_WSGI, AC_REACH_FD },
    { "puma", AC_KIND_RUBY, AC_REACH_FD | AC_REACH_PORT },
    { "Shop", AC_KIND_DOTNET, AC_REACH_PORT },
    { "other", AC_KIND_PROGRAM, AC_REACH_FD | AC_REACH_PORT },
};

START_TEST(names_of_programs_tell_the_kind)
{
    const ac_launch_t *launch;

    put_file("Shop.runtimeconfig.json", "{}");
    put_program(apr_pstrcat(p, "bin/", kinds[_i].program, NULL));
    launch = look_at(with_program(kinds[_i].program, NULL));
    ck_launch(launch);
    ck_assert_int_eq(launch->kind, kinds[_i].kind);
    ck_assert_uint_eq(launch->reach, kinds[_i].reach);
}
END_TEST

START_TEST(modules_tell_the_kind)
{
    const ac_launch_t *launch;

    put_program("bin/python3");
    put_file("Procfile", "web: python3 -m gunicorn x:y");
    launch = look_at(NULL);
    ck_assert_int_eq(launch->kind, AC_KIND_WSGI);
    ck_assert_uint_eq(launch->reach, AC_REACH_FD);
    put_file("Procfile", "web: python3 -m");
    ck_assert_int_eq(look_at(NULL)->kind, AC_KIND_PROGRAM);
    launch = look_at(with_program("python3", "-m uvicorn --fd {fd} x:y"));
    ck_assert_int_eq(launch->kind, AC_KIND_ASGI);
    ck_assert_uint_eq(launch->reach, AC_REACH_FD);
}
END_TEST

static const struct {
    const char *arguments;
    unsigned reach;
} asks[] = {
    { "--fd {fd}", AC_REACH_FD },
    { "--uds={socket}", AC_REACH_PATH },
    { "-p {port}", AC_REACH_PORT },
    { "{fd} {port}", AC_REACH_FD | AC_REACH_PORT },
    { "{path}", AC_REACH_FD | AC_REACH_PORT },
};

START_TEST(placeholders_tell_how_to_reach)
{
    put_program("server");
    ck_assert_uint_eq(look_at(with_program("server", asks[_i].arguments))->reach,
                      asks[_i].reach);
}
END_TEST

START_TEST(an_explicit_port_is_obeyed)
{
    ac_settings_t *set = with_program("server", NULL);
    const ac_launch_t *launch;

    put_program("server");
    add_var(set, AC_ORIGIN_APP, "PORT", "5000");
    launch = look_at(set);
    ck_assert_uint_eq(launch->reach, AC_REACH_PORT);
    ck_assert_uint_eq(launch->port, 5000);
    set->processes_per_application.v = 2;
    ck_assert(mentions(look_at(set)->notices, "one port for 2 processes"));
    add_var(set, AC_ORIGIN_APP, "ASPNETCORE_PORT", "48000");
    ck_assert_uint_eq(look_at(set)->port, 48000);
    set = with_program("server", "{fd}");
    add_var(set, AC_ORIGIN_APP, "PORT", "80");
    ck_assert_uint_eq(look_at(set)->reach, AC_REACH_FD);
    set = with_program("server", NULL);
    add_var(set, AC_ORIGIN_APP, "PORT", "");
    ck_assert_uint_eq(look_at(set)->port, 0);
    ck_assert_uint_eq(look_at(set)->reach, AC_REACH_FD | AC_REACH_PORT);
    set->listen.v = AC_LISTEN_TCP;
    ck_assert_uint_eq(look_at(set)->reach, AC_REACH_PORT);
}
END_TEST

static const char *const bad_ports[] = {
    "1024", "48001", "noninteger", "0", "-1", "5000 ", "99999999999", "0x1388"
};

START_TEST(a_bad_port_is_a_fault)
{
    const ac_launch_t *launch;

    put_program("bin/dotnet");
    put_file("App.dll", "");
    put_file("web.config", apr_pstrcat(
        p, "<configuration><system.webServer><aspNetCore processPath='dotnet' "
        "arguments='App.dll'><environmentVariables><environmentVariable "
        "name='aspnetcore_port' value='", bad_ports[_i],
        "'/></environmentVariables></aspNetCore></system.webServer></configuration>",
        NULL));
    launch = look_at(NULL);
    ck_fault(launch, AC_FAULT_LISTEN, "1025 to 48000");
    ck_assert_int_eq(launch->result.http_status, 502);
    ck_assert_int_eq(launch->result.substatus, 5);
}
END_TEST

static const struct {
    const char *attributes;
    const char *rest;           /* after the path of dotnet */
} spellings[] = {
    { "processPath='dotnet' arguments='.\\App.dll'", "./App.dll" },
    { "processPath='dotnet.exe' arguments='./App.dll'", "./App.dll" },
    { "processPath='DOTNET.EXE' arguments='app.DLL'", "App.dll" },
    { "processPath='C:\\Program Files\\dotnet\\dotnet.exe' arguments='App.dll'",
      "App.dll" },
    { "processPath='%ProgramFiles%\\dotnet\\dotnet.exe' arguments='App.dll'", "App.dll" },
    { "processPath='.\\App.exe'", "App.dll" },
    { "processPath='App.exe' arguments='x'", "App.dll|x" },
    { "processPath='app'", "App.dll" },
    { "processPath='D:\\site\\App.exe'", "App.dll" },
    { "processPath='dotnet' arguments='bin\\App.dll'", "bin/App.dll" },
    { "processPath='dotnet' arguments='exec &quot;.\\App.dll&quot; a &quot;b c&quot;'",
      "exec|./App.dll|a|b c" },
    { "processPath='dotnet' arguments='--depsfile x.json App.dll --re \\d+'",
      "--depsfile|x.json|App.dll|--re|\\d+" },
    { "processPath='dotnet' arguments='%Prefix%App.dll'", "%Prefix%App.dll" },
    { "processPath='%Host%' arguments='App.dll'", "App.dll" },
};

START_TEST(spellings_of_windows_work)
{
    ac_settings_t *set = ac_settings_create(p);
    const ac_launch_t *launch;

    put_program("bin/dotnet");
    put_file("App.dll", "");
    put_file("bin/App.dll", "");
    add_var(set, AC_ORIGIN_SERVER, "Prefix", "./");
    add_var(set, AC_ORIGIN_SERVER, "Host", in_folder("bin/dotnet"));
    put_web_config(spellings[_i].attributes, "");
    launch = look_at(set);
    ck_launch(launch);
    ck_argv(launch, dotnet_with(spellings[_i].rest));
    ck_assert_int_eq(launch->kind, AC_KIND_DOTNET);
    ck_assert_uint_eq(launch->reach, AC_REACH_PORT);
    ck_assert_ptr_nonnull(strstr(launch->found, "web.config: processPath \""));
}
END_TEST

START_TEST(apphost_runs_when_it_may)
{
    put_program("bin/dotnet");
    put_file("App.dll", "");
    put_program("App");
    put_web_config("processPath='.\\App.exe' arguments='additional arguments'", "");
    ck_argv(look_at(NULL),
            apr_pstrcat(p, in_folder("App"), "|additional|arguments", NULL));
    ck_assert_int_eq(chmod(in_folder("App"), 0644), 0);
    ck_argv(look_at(NULL), dotnet_with("App.dll|additional|arguments"));
}
END_TEST

#define LAUNCHER "processPath='%LAUNCHER_PATH%' arguments='%LAUNCHER_ARGS%'"

START_TEST(a_launcher_takes_the_place_of_web_config)
{
    ac_settings_t *set = ac_settings_create(p);
    const ac_launch_t *launch;

    put_program("bin/dotnet");
    put_program("bin/other");
    put_file("App.dll", "");
    put_web_config("processPath='nope' arguments='nope'", "");
    add_var(set, AC_ORIGIN_SERVER, "ANCM_LAUNCHER_PATH", in_folder("bin/dotnet"));
    add_var(set, AC_ORIGIN_SERVER, "ANCM_LAUNCHER_ARGS", "App.dll \"a b\"");
    launch = look_at(set);
    ck_launch(launch);
    ck_argv(launch, dotnet_with("App.dll|a b"));
    ck_assert(mentions(launch->notices, "ANCM_LAUNCHER_PATH"));

    put_web_config(LAUNCHER, "");
    ck_launch(look_at(set));
    set = ac_settings_create(p);
    add_var(set, AC_ORIGIN_APP, "LAUNCHER_PATH", "dotnet");
    add_var(set, AC_ORIGIN_APP, "LAUNCHER_ARGS", "App.dll");
    launch = look_at(set);
    ck_launch(launch);
    ck_argv(launch, dotnet_with("%LAUNCHER_ARGS%"));

    put_web_config("processPath='other' arguments='x'", "");
    add_var(set, AC_ORIGIN_APP, "ANCM_LAUNCHER_PATH", "");
    ck_argv(look_at(set), apr_pstrcat(p, in_folder("bin/other"), "|x", NULL));
}
END_TEST

static const char *variable_of(const ac_settings_t *set, const char *name)
{
    const ac_env_var_t *var = ac_settings_env(set, name);

    return var ? var->value : NULL;
}

START_TEST(variables_from_outside_are_preferred_on_request)
{
    ac_settings_t *set = ac_settings_create(p);
    const ac_launch_t *launch;

    put_program("bin/other");
    put_file("web.config", "<configuration><system.webServer><aspNetCore "
             "processPath='other'><environmentVariables><environmentVariable name='a' "
             "value='web'/><environmentVariable name='B' value='web'/>"
             "</environmentVariables></aspNetCore></system.webServer></configuration>");
    add_var(set, AC_ORIGIN_SERVER, "A", "server");
    launch = look_at(set);
    ck_assert_str_eq(variable_of(ac_settings_merge(set, launch->overlay, p), "A"), "web");
    add_var(set, AC_ORIGIN_SERVER, "ANCM_PREFER_ENVIRONMENT_VARIABLES", "True");
    launch = look_at(set);
    ck_assert_int_eq(launch->overlay->environment.v->nelts, 1);
    ck_assert_str_eq(variable_of(launch->overlay, "B"), "web");
}
END_TEST

static const struct {
    const char *attributes;
    ac_fault_e fault;
    const char *message;
} wrong[] = {
    { "processPath='bogus'", AC_FAULT_EXEC, "\"bogus\"" },
    { "processPath='.\\sub\\bogus.exe'", AC_FAULT_EXEC, "sub/bogus" },
    { "processPath='dotnet'", AC_FAULT_CONFIG, "Application arguments are empty" },
    { "processPath='dotnet' arguments='Other.dll'", AC_FAULT_EXEC,
      "Other.dll is not in" },
    { "processPath='dotnet' arguments='exec .\\Other.dll'", AC_FAULT_EXEC,
      "./Other.dll" },
    { "processPath='%LAUNCHER_PATH%'", AC_FAULT_CONFIG, "dotnet publish" },
    { "processPath=''", AC_FAULT_CONFIG, "Attribute 'processPath' is required." },
    { "processPath='dotnet' hostingModel='bogus'", AC_FAULT_CONFIG,
      "Unknown hosting model 'bogus'" },
};

START_TEST(wrong_web_configs_say_what_is_wrong)
{
    put_program("bin/dotnet");
    put_web_config(wrong[_i].attributes, "");
    ck_fault(look_at(NULL), wrong[_i].fault, wrong[_i].message);
}
END_TEST

START_TEST(access_rules_stop_the_app_until_ignored)
{
    ac_settings_t *set = ac_settings_create(p);
    const ac_launch_t *launch;

    put_program("bin/dotnet");
    put_file("App.dll", "");
    put_web_config("processPath='dotnet' arguments='App.dll'",
                   "<security><ipSecurity allowUnlisted='false'/></security>");
    launch = look_at(set);
    ck_fault(launch, AC_FAULT_ACCESS_RULES, "AppCoreWebConfig IgnoreAccessRules");
    ck_assert_int_eq(launch->result.substatus, 19);
    set->web_config.v = AC_WEBCONFIG_IGNORE_ACCESS_RULES;
    launch = look_at(set);
    ck_launch(launch);
    ck_assert(mentions(launch->notices, "security/ipSecurity"));
}
END_TEST

static const struct {
    const char *said;
    const char *meant;          /* NULL: not usable; relative: in the folder */
} logs[] = {
    { ".\\logs\\stdout", "logs/stdout" },
    { "logs/out", "logs/out" },
    { "|rm -rf x", "|rm -rf x" },
    { "errorlog", "errorlog" },
    { "/var/log/app", "/var/log/app" },
    { "\\\\?\\%home%\\LogFiles\\stdout", "/h/LogFiles/stdout" },
    { "Q:\\std", NULL },
};

START_TEST(log_files_are_prefixes_of_files)
{
    ac_settings_t *set = ac_settings_create(p);
    const ac_launch_t *launch;
    const char *meant = logs[_i].meant;

    put_program("bin/dotnet");
    put_file("App.dll", "");
    add_var(set, AC_ORIGIN_SERVER, "HOME", "/h");
    put_web_config(apr_pstrcat(p, "processPath='dotnet' arguments='App.dll' "
                   "stdoutLogEnabled='true' stdoutLogFile='", logs[_i].said, "'", NULL),
                   "");
    launch = look_at(set);
    ck_launch(launch);
    if (!meant) {
        ck_assert_int_eq(launch->overlay->stdout_log_enabled.origin, AC_ORIGIN_DEFAULT);
        ck_assert(mentions(launch->notices, "stdoutLogFile"));
        return;
    }
    ck_assert_str_eq(launch->overlay->stdout_log_file.v,
                     *meant == '/' ? meant : in_folder(meant));
    ck_assert_int_eq(launch->overlay->stdout_log_enabled.v, AC_ON);
}
END_TEST

START_TEST(what_goes_to_logs_is_clean)
{
    const ac_launch_t *launch;

    put_web_config("processPath='bo&#10;gus&#9;'", "");
    launch = look_at(NULL);
    ck_fault(launch, AC_FAULT_EXEC, "bo?gus");
}
END_TEST

/* What a look makes is what a manager accepts. */
START_TEST(launches_pass_the_wire)
{
    ac_wire_writer_t w;
    ac_wire_reader_t r;
    const ac_launch_t *launch;

    put_program("bin/dotnet");
    put_file("App.dll", "");
    put_web_config("processPath='dotnet' arguments='App.dll' stdoutLogEnabled='true' "
                   "requestTimeout='00:00:00' hostingModel='outofprocess'",
                   "<webSocket enabled='false'/><rewrite/>");
    launch = look_at(NULL);
    ck_launch(launch);
    ac_wire_writer_init(&w, AC_LAUNCH_WIRE_MAX, p);
    ac_launch_put(&w, launch);
    ac_wire_reader_init(&r, w.data, w.len);
    launch = ac_launch_get(&r, p);
    ck_assert_ptr_nonnull(launch);
    ck_argv(launch, dotnet_with("App.dll"));
    ck_assert_int_eq(launch->overlay->websockets.v, AC_OFF);
}
END_TEST

#define LOOP(tc, test, table) \
    tcase_add_loop_test(tc, test, 0, sizeof(table) / sizeof((table)[0]))

TCase *look_case(void)
{
    TCase *tc = case_create("look");

    tcase_add_checked_fixture(tc, make_folder, remove_folder);
    tcase_add_test(tc, empty_folder_says_what_was_looked_for);
    tcase_add_test(tc, missing_folder_is_a_fault);
    tcase_add_test(tc, directive_decides_first);
    tcase_add_test(tc, directive_keeps_the_rest_of_web_config);
    tcase_add_test(tc, server_wide_directive_yields_to_web_config);
    tcase_add_test(tc, program_is_looked_for_in_folder_and_path);
    tcase_add_test(tc, program_that_is_not_there);
    LOOP(tc, names_of_programs_tell_the_kind, kinds);
    tcase_add_test(tc, modules_tell_the_kind);
    LOOP(tc, placeholders_tell_how_to_reach, asks);
    tcase_add_test(tc, an_explicit_port_is_obeyed);
    LOOP(tc, a_bad_port_is_a_fault, bad_ports);
    LOOP(tc, spellings_of_windows_work, spellings);
    tcase_add_test(tc, apphost_runs_when_it_may);
    tcase_add_test(tc, a_launcher_takes_the_place_of_web_config);
    tcase_add_test(tc, variables_from_outside_are_preferred_on_request);
    LOOP(tc, wrong_web_configs_say_what_is_wrong, wrong);
    tcase_add_test(tc, access_rules_stop_the_app_until_ignored);
    LOOP(tc, log_files_are_prefixes_of_files, logs);
    tcase_add_test(tc, what_goes_to_logs_is_clean);
    tcase_add_test(tc, launches_pass_the_wire);
    return tc;
}
