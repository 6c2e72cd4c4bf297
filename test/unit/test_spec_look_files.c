/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Looks that the files of a folder decide, one kind after the other. */

#include "test_spec.h"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRAMEWORK(name) "{\"runtimeOptions\": {\"framework\": {\"name\": \"" name "\"}}}"
#define WEB FRAMEWORK("Microsoft.AspNetCore.App")
#define CONSOLE FRAMEWORK("Microsoft.NETCore.App")
#define INCLUDED "{\"runtimeOptions\": {\"includedFrameworks\": [{\"name\": " \
    "\"Microsoft.NETCore.App\"}, {\"name\": \"Microsoft.AspNetCore.App\"}]}}"

/* "bin/NAME|rest" with the folder in front. */
static const char *run(const char *program, const char *rest)
{
    return apr_pstrcat(p, in_folder(program), *rest ? "|" : "", rest, NULL);
}

static const char *variable(const ac_launch_t *launch, const char *name)
{
    const ac_env_var_t *var = ac_settings_env(launch->overlay, name);

    return var ? var->value : NULL;
}

START_TEST(runtimeconfig_runs_the_dll)
{
    const ac_launch_t *launch;

    put_program("bin/dotnet");
    put_program("App");
    put_file("App.dll", "");
    put_file("App.runtimeconfig.json", "\xef\xbb\xbf" WEB);
    launch = look_at(NULL);
    ck_launch(launch);
    ck_argv(launch, run("bin/dotnet", "App.dll"));
    ck_assert_int_eq(launch->kind, AC_KIND_DOTNET);
    ck_assert_uint_eq(launch->reach, AC_REACH_PORT);
    ck_assert_ptr_nonnull(strstr(launch->found, "App.runtimeconfig.json with App.dll"));
}
END_TEST

START_TEST(runtimeconfig_of_a_self_contained_app)
{
    put_file("App.dll", "");
    put_file("App.runtimeconfig.json", INCLUDED);
    ck_fault(look_at(NULL), AC_FAULT_EXEC, "chmod +x");
    put_program("App");
    ck_argv(look_at(NULL), in_folder("App"));
}
END_TEST

START_TEST(runtimeconfig_with_frameworks)
{
    put_program("bin/dotnet");
    put_file("App.dll", "");
    put_file("App.runtimeconfig.json", "{\"runtimeOptions\": {\"frameworks\": "
             "[{\"name\": \"Microsoft.NETCore.App\"}, {\"name\": "
             "\"Microsoft.AspNetCore.App\"}]}}");
    ck_argv(look_at(NULL), run("bin/dotnet", "App.dll"));
}
END_TEST

START_TEST(runtimeconfig_that_cannot_run)
{
    put_program("bin/dotnet");
    put_file("App.runtimeconfig.json", WEB);
    ck_fault(look_at(NULL), AC_FAULT_EXEC, "no App.dll");
    put_file("App.runtimeconfig.json", "{\"runtimeOptions\": ");
    ck_fault(look_at(NULL), AC_FAULT_CONFIG, "App.runtimeconfig.json is not valid JSON");
    put_file("App.runtimeconfig.json", "[]");
    ck_fault(look_at(NULL), AC_FAULT_CONFIG, "not an object");
    put_file("App.runtimeconfig.json", "{\"runtimeOptions\": 7}");
    ck_fault(look_at(NULL), AC_FAULT_CONFIG, "worker or console app");
    put_file("App.runtimeconfig.json", CONSOLE);
    ck_fault(look_at(NULL), AC_FAULT_CONFIG, "worker or console app");
}
END_TEST

START_TEST(runtimeconfig_among_several)
{
    put_program("bin/dotnet");
    put_file("App.dll", "");
    put_file("Lib.dll", "");
    put_file("App.runtimeconfig.json", WEB);
    put_file("Lib.runtimeconfig.json", CONSOLE);
    ck_argv(look_at(NULL), run("bin/dotnet", "App.dll"));
    put_file("Lib.runtimeconfig.json", WEB);
    ck_fault(look_at(NULL), AC_FAULT_CONFIG, "(App,Lib)");
    put_file("Lib.staticwebassets.endpoints.json", "{}");
    ck_argv(look_at(NULL), run("bin/dotnet", "Lib.dll"));
    put_file("App.staticwebassets.endpoints.json", "{}");
    ck_fault(look_at(NULL), AC_FAULT_CONFIG, "more than one ASP.NET Core app");
}
END_TEST

START_TEST(dotnet_is_found_outside_of_path)
{
    ac_settings_t *set = ac_settings_create(p);

    put_file("App.dll", "");
    put_file("App.runtimeconfig.json", WEB);
    ck_assert_int_eq(mkdir(in_folder("root"), 0755), 0);
    put_program("root/dotnet");
    add_var(set, AC_ORIGIN_SERVER, "DOTNET_ROOT", in_folder("root"));
    ck_argv(look_at(set), run("root/dotnet", "App.dll"));
}
END_TEST

START_TEST(single_file_runs_itself)
{
    put_file("App.staticwebassets.endpoints.json", "{}");
    ck_fault(look_at(NULL), AC_FAULT_CONFIG, "nothing to run");
    put_file("App", "");
    ck_fault(look_at(NULL), AC_FAULT_EXEC, "chmod +x");
    put_program("App");
    ck_argv(look_at(NULL), in_folder("App"));
    put_file("Two.staticwebassets.endpoints.json", "{}");
    put_program("Two");
    ck_fault(look_at(NULL), AC_FAULT_CONFIG, "(App,Two)");
}
END_TEST

/* The smallest file that exports a symbol. */
typedef struct object_t {
    Elf64_Ehdr head;
    Elf64_Shdr sections[3];
    Elf64_Sym symbols[2];
    char names[32];
} object_t;

static object_t make_object(const char *symbol)
{
    const uint16_t one = 1;
    object_t o;

    memset(&o, 0, sizeof(o));
    memcpy(o.head.e_ident, ELFMAG, SELFMAG);
    o.head.e_ident[EI_CLASS] = ELFCLASS64;
    o.head.e_ident[EI_DATA] = *(const char *)&one ? ELFDATA2LSB : ELFDATA2MSB;
    o.head.e_type = ET_DYN;
    o.head.e_shoff = offsetof(object_t, sections);
    o.head.e_shnum = 3;
    o.head.e_shentsize = sizeof(Elf64_Shdr);
    o.sections[1].sh_type = SHT_DYNSYM;
    o.sections[1].sh_link = 2;
    o.sections[1].sh_offset = offsetof(object_t, symbols);
    o.sections[1].sh_size = sizeof(o.symbols);
    o.sections[2].sh_type = SHT_STRTAB;
    o.sections[2].sh_offset = offsetof(object_t, names);
    o.sections[2].sh_size = sizeof(o.names);
    o.symbols[1].st_name = 1;
    o.symbols[1].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
    o.symbols[1].st_shndx = 1;
    apr_cpystrn(o.names + 1, symbol, sizeof(o.names) - 1);
    return o;
}

static int seen(const object_t *o, size_t len)
{
    put_bytes("app.so", o, len);
    return mentions(look_at(NULL)->notices, "app.so is an app for httpd's own");
}

START_TEST(shared_object_is_known_by_its_symbol)
{
    object_t o = make_object("appcore_app_v1");

    ck_assert(seen(&o, sizeof(o)));
    ck_fault(look_at(NULL), AC_FAULT_CONFIG, "needs AppCoreHostingModel InProcess");
    o.symbols[1].st_shndx = SHN_UNDEF;
    ck_assert(!seen(&o, sizeof(o)));
    o = make_object("appcore_app_v2");
    ck_assert(!seen(&o, sizeof(o)));
    o = make_object("appcore_app_v1x");
    ck_assert(!seen(&o, sizeof(o)));
}
END_TEST

START_TEST(shared_object_may_be_anything)
{
    object_t o = make_object("appcore_app_v1");
    size_t at;

    for (at = 0; at < sizeof(o) - sizeof(o.names) + 1; ++at) {
        ck_assert(!seen(&o, at));
    }
    for (at = 0; at < sizeof(o); ++at) {
        ((unsigned char *)&o)[at] ^= 0xff;
        seen(&o, sizeof(o));
        ((unsigned char *)&o)[at] ^= 0xff;
    }
    ck_assert(seen(&o, sizeof(o)));
}
END_TEST

START_TEST(procfile_runs_its_web_line)
{
    const ac_launch_t *launch;

    put_program("bin/server");
    put_file("Procfile", "worker: x\nweb:  A=1 server --port $PORT\r\nweb: late\n");
    launch = look_at(NULL);
    ck_launch(launch);
    ck_argv(launch, run("bin/server", "--port|$PORT"));
    ck_assert_int_eq(launch->expand, AC_EXPAND_DOLLAR);
    ck_assert_int_eq(launch->kind, AC_KIND_PROGRAM);
    ck_assert_uint_eq(launch->reach, AC_REACH_PORT);
    ck_assert_str_eq(variable(launch, "A"), "1");
    ck_assert_ptr_nonnull(strstr(launch->found, "Procfile: \"A=1 server"));
    ck_assert_int_eq(launch->notices->nelts, 0);
}
END_TEST

START_TEST(procfile_tells_how_it_listens)
{
    put_program("bin/server");
    put_file("Procfile", "web: server");
    ck_assert_uint_eq(look_at(NULL)->reach, AC_REACH_FD | AC_REACH_PORT);
    put_file("Procfile", "web: server --fd {fd}");
    ck_assert_uint_eq(look_at(NULL)->reach, AC_REACH_FD);
    put_file("Procfile", "web: server --fd 3");
    ck_assert_uint_eq(look_at(NULL)->reach, AC_REACH_FD);
    put_file("Procfile", "web: server -b fd://3");
    ck_assert_uint_eq(look_at(NULL)->reach, AC_REACH_FD);
    put_file("Procfile", "web: server --fd 30");
    ck_assert_uint_eq(look_at(NULL)->reach, AC_REACH_FD | AC_REACH_PORT);
    put_file("Procfile", "web: server $APPCORE_SOCKET");
    ck_assert_uint_eq(look_at(NULL)->reach, AC_REACH_PATH);
    put_file("Procfile", "web: server $PORTAL");
    ck_assert_uint_eq(look_at(NULL)->reach, AC_REACH_FD | AC_REACH_PORT);
    put_file("Procfile", "web: PORT=5050 server");
    ck_assert_uint_eq(look_at(NULL)->port, 5050);
    put_file("Procfile", "web: cd x && server");
    ck_assert_uint_eq(look_at(NULL)->reach, AC_REACH_PORT);
}
END_TEST

START_TEST(procfile_with_more_than_words_gets_a_shell)
{
    const ac_launch_t *launch;

    put_file("Procfile", "web: server ${PORT:-80}");
    launch = look_at(NULL);
    ck_launch(launch);
    ck_argv(launch, "/bin/sh|-c|exec server ${PORT:-80}");
    ck_assert_int_eq(launch->expand, AC_EXPAND_NONE);
    ck_assert(mentions(launch->notices, "needs a shell"));
}
END_TEST

START_TEST(procfile_that_is_wrong)
{
    put_file("Procfile", "worker: x\n");
    ck_fault(look_at(NULL), AC_FAULT_CONFIG, "Procfile has no web: line");
    put_file("Procfile", "web:\n");
    ck_fault(look_at(NULL), AC_FAULT_CONFIG, "empty");
    put_file("Procfile", "web: bogus x\n");
    ck_fault(look_at(NULL), AC_FAULT_EXEC, "\"bogus\"");
    put_bytes("Procfile", "web: x\0y", 8);
    ck_fault(look_at(NULL), AC_FAULT_CONFIG, "NUL");
    ck_assert_int_eq(unlink(in_folder("Procfile")), 0);
    ck_assert_int_eq(symlink("/etc/passwd", in_folder("Procfile")), 0);
    ck_fault(look_at(NULL), AC_FAULT_CONFIG, "symbolic link");
}
END_TEST

START_TEST(package_json_starts_its_script)
{
    const ac_launch_t *launch;

    put_program("bin/node");
    put_file("package.json", "{\"main\": \"x.js\", \"scripts\": {\"start\": "
             "\"NODE_ENV=test node server.js\"}}");
    launch = look_at(NULL);
    ck_launch(launch);
    ck_argv(launch, run("bin/node", "server.js"));
    ck_assert_int_eq(launch->kind, AC_KIND_NODE);
    ck_assert_uint_eq(launch->reach, AC_REACH_PORT);
    ck_assert_str_eq(variable(launch, "NODE_ENV"), "test");
}
END_TEST

START_TEST(package_json_finds_programs_of_the_app)
{
    const ac_launch_t *launch;

    ck_assert_int_eq(mkdir(in_folder("node_modules"), 0755), 0);
    ck_assert_int_eq(mkdir(in_folder("node_modules/.bin"), 0755), 0);
    put_program("node_modules/.bin/next");
    put_file("package.json", "{\"scripts\": {\"start\": \"next start\"}}");
    launch = look_at(NULL);
    ck_launch(launch);
    ck_argv(launch, run("node_modules/.bin/next", "start"));
    ck_assert_int_eq(launch->kind, AC_KIND_NODE);
    ck_assert_str_eq(variable(launch, "PATH"),
                     apr_pstrcat(p, in_folder("node_modules/.bin"), ":%PATH%", NULL));
}
END_TEST

START_TEST(package_json_falls_back_to_main)
{
    put_file("package.json", "{\"main\": \"lib/app.js\"}");
    ck_fault(look_at(NULL), AC_FAULT_CONFIG, "neither scripts.start nor a main");
    put_file("server.js", "");
    ck_fault(look_at(NULL), AC_FAULT_EXEC, "needs node");
    put_program("bin/node");
    ck_argv(look_at(NULL), run("bin/node", "server.js"));
    ck_assert_int_eq(mkdir(in_folder("lib"), 0755), 0);
    put_file("lib/app.js", "");
    ck_argv(look_at(NULL), run("bin/node", "lib/app.js"));
    put_file("package.json", "{\"main\": 7, \"scripts\": []}");
    ck_argv(look_at(NULL), run("bin/node", "server.js"));
    put_file("package.json", "{");
    ck_fault(look_at(NULL), AC_FAULT_CONFIG, "package.json is not valid JSON");
}
END_TEST

START_TEST(asgi_gets_the_socket)
{
    ac_settings_t *set = ac_settings_create(p);
    const ac_launch_t *launch;

    put_program("bin/uvicorn");
    put_file("asgi.py", "import x\napplication = x()\napp = 1\n");
    launch = look_at(NULL);
    ck_launch(launch);
    ck_argv(launch, run("bin/uvicorn", "asgi:application|--fd|{fd}|--no-access-log"));
    ck_assert_int_eq(launch->kind, AC_KIND_ASGI);
    ck_assert_uint_eq(launch->reach, AC_REACH_FD);
    put_file("asgi.py", "async def app(scope, receive, send):\n    pass\n");
    set->listen.v = AC_LISTEN_TCP;
    launch = look_at(set);
    ck_argv(launch, run("bin/uvicorn", "asgi:app|--host|127.0.0.1|--port|{port}|"
                        "--no-access-log"));
    ck_assert_uint_eq(launch->reach, AC_REACH_PORT);
}
END_TEST

START_TEST(main_with_app_is_asgi_or_wsgi)
{
    put_program("bin/uvicorn");
    put_program("bin/gunicorn");
    put_file("main.py", "from fastapi import FastAPI\napp = FastAPI()\n");
    ck_argv(look_at(NULL), run("bin/uvicorn", "main:app|--fd|{fd}|--no-access-log"));
    put_file("main.py", "from flask import Flask\napp: Flask = Flask('x')\n");
    ck_argv(look_at(NULL), run("bin/gunicorn", "main:app"));
    put_file("main.py", "application = 1\n");
    ck_fault(look_at(NULL), AC_FAULT_CONFIG, "main.py defines no \"app\"");
}
END_TEST

START_TEST(wsgi_gets_the_socket)
{
    ac_settings_t *set = ac_settings_create(p);
    const ac_launch_t *launch;

    put_program("bin/gunicorn");
    put_file("passenger_wsgi.py", "from x import application\n");
    ck_argv(look_at(NULL), run("bin/gunicorn", "passenger_wsgi:application"));
    put_file("wsgi.py", "app = 1\n");
    launch = look_at(NULL);
    ck_argv(launch, run("bin/gunicorn", "wsgi:app"));
    ck_assert_int_eq(launch->kind, AC_KIND_WSGI);
    ck_assert_uint_eq(launch->reach, AC_REACH_FD);
    add_var(set, AC_ORIGIN_APP, "PORT", "5000");
    launch = look_at(set);
    ck_argv(launch, run("bin/gunicorn", "--bind|127.0.0.1:{port}|wsgi:app"));
    ck_assert_uint_eq(launch->port, 5000);
    ck_assert_uint_eq(launch->reach, AC_REACH_PORT);
}
END_TEST

START_TEST(python_comes_from_where_it_can)
{
    put_file("asgi.py", "app = 1\n");
    ck_fault(look_at(NULL), AC_FAULT_EXEC, "needs uvicorn or python3");
    put_program("bin/python3");
    ck_argv(look_at(NULL), run("bin/python3", "-m|uvicorn|asgi:app|--fd|{fd}|"
                               "--no-access-log"));
    put_program("bin/uvicorn");
    ck_argv(look_at(NULL), run("bin/uvicorn", "asgi:app|--fd|{fd}|--no-access-log"));
    ck_assert_int_eq(mkdir(in_folder(".venv"), 0755), 0);
    ck_assert_int_eq(mkdir(in_folder(".venv/bin"), 0755), 0);
    put_program(".venv/bin/python");
    ck_argv(look_at(NULL), run(".venv/bin/python", "-m|uvicorn|asgi:app|--fd|{fd}|"
                               "--no-access-log"));
}
END_TEST

START_TEST(config_ru_runs_puma_or_rackup)
{
    ac_settings_t *set = ac_settings_create(p);
    const ac_launch_t *launch;

    put_file("config.ru", "run 1\n");
    ck_fault(look_at(NULL), AC_FAULT_EXEC, "puma or rackup");
    put_program("bin/rackup");
    launch = look_at(NULL);
    ck_argv(launch, run("bin/rackup", "--host|127.0.0.1|--port|{port}|config.ru"));
    ck_assert_uint_eq(launch->reach, AC_REACH_PORT);
    put_program("bin/puma");
    launch = look_at(NULL);
    ck_argv(launch, run("bin/puma", "--bind-to-activated-sockets=only|config.ru"));
    ck_assert_uint_eq(launch->reach, AC_REACH_FD);
    ck_assert_int_eq(launch->kind, AC_KIND_RUBY);
    put_program("bin/bundle");
    put_file("Gemfile.lock", "    puma (6.0)\n");
    set->listen.v = AC_LISTEN_TCP;
    ck_argv(look_at(set), run("bin/bundle", "exec|puma|--bind|tcp://127.0.0.1:{port}|"
                              "config.ru"));
}
END_TEST

START_TEST(first_match_decides)
{
    put_program("bin/dotnet");
    put_program("bin/node");
    put_program("bin/server");
    put_program("bin/uvicorn");
    put_file("config.ru", "");
    put_file("asgi.py", "app = 1\n");
    ck_assert_int_eq(look_at(NULL)->kind, AC_KIND_ASGI);
    put_file("package.json", "{\"scripts\": {\"start\": \"node x\"}}");
    ck_assert_int_eq(look_at(NULL)->kind, AC_KIND_NODE);
    put_file("Procfile", "web: server");
    ck_assert_int_eq(look_at(NULL)->kind, AC_KIND_PROGRAM);
    put_file("A.runtimeconfig.json", WEB);
    put_file("A.dll", "");
    ck_argv(look_at(NULL), run("bin/dotnet", "A.dll"));
    put_file("B.dll", "");
    put_file("web.config", "<configuration><system.webServer><aspNetCore "
             "processPath='dotnet' arguments='B.dll'/></system.webServer>"
             "</configuration>");
    ck_argv(look_at(NULL), run("bin/dotnet", "B.dll"));
}
END_TEST

TCase *look_dotnet_case(void)
{
    TCase *tc = case_create("look: .NET");

    tcase_add_checked_fixture(tc, make_folder, remove_folder);
    tcase_add_test(tc, runtimeconfig_runs_the_dll);
    tcase_add_test(tc, runtimeconfig_of_a_self_contained_app);
    tcase_add_test(tc, runtimeconfig_with_frameworks);
    tcase_add_test(tc, runtimeconfig_that_cannot_run);
    tcase_add_test(tc, runtimeconfig_among_several);
    tcase_add_test(tc, dotnet_is_found_outside_of_path);
    tcase_add_test(tc, single_file_runs_itself);
    tcase_add_test(tc, shared_object_is_known_by_its_symbol);
    tcase_add_test(tc, shared_object_may_be_anything);
    return tc;
}

TCase *look_files_case(void)
{
    TCase *tc = case_create("look: files");

    tcase_add_checked_fixture(tc, make_folder, remove_folder);
    tcase_add_test(tc, procfile_runs_its_web_line);
    tcase_add_test(tc, procfile_tells_how_it_listens);
    tcase_add_test(tc, procfile_with_more_than_words_gets_a_shell);
    tcase_add_test(tc, procfile_that_is_wrong);
    tcase_add_test(tc, package_json_starts_its_script);
    tcase_add_test(tc, package_json_finds_programs_of_the_app);
    tcase_add_test(tc, package_json_falls_back_to_main);
    tcase_add_test(tc, asgi_gets_the_socket);
    tcase_add_test(tc, main_with_app_is_asgi_or_wsgi);
    tcase_add_test(tc, wsgi_gets_the_socket);
    tcase_add_test(tc, python_comes_from_where_it_can);
    tcase_add_test(tc, config_ru_runs_puma_or_rackup);
    tcase_add_test(tc, first_match_decides);
    return tc;
}
