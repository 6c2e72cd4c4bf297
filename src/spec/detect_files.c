/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/detect.h"

#include <string.h>
#include <unistd.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include "spec/argv.h"
#include "spec/elf.h"
#include "spec/expand.h"
#include "spec/json.h"

#define OBJECTS_MAX 64

int ac_look_is_inside(const ac_look_t *look)
{
    return look->req->inside && look->set->hosting_model.v == AC_HOSTING_IN_PROCESS;
}

int ac_look_object(ac_look_t *look, const char *source, const char *name)
{
    const char *path = *name == '/' ? name
        : apr_pstrcat(look->p, look->req->folder, "/", name, NULL);

    if (!ac_folder_has_file(look->folder, path)) {
        return ac_look_fail(look, AC_FAULT_EXEC, "%s names the shared object %.200s, "
                            "which is not there", source, path);
    }
    if (!ac_folder_trusts(look->folder, path)) {
        return ac_look_fail(look, AC_FAULT_EXEC, "%s names the shared object %.200s, "
                            "which others can write: it must belong to root or to "
                            "httpd's User, and nobody else may write it", source, path);
    }
    look->launch->kind = AC_KIND_OBJECT;
    ac_look_arg(look, path);
    ac_look_found(look, "%s: %s (%s)", source, path, ac_kind_name(AC_KIND_OBJECT));
    ac_look_arguments(look);
    return 1;
}

static int exports_app(const ac_look_t *look, const char *name)
{
    int fd = ac_folder_open_file(look->folder, name);
    int exports = fd >= 0 && ac_elf_exports(fd, "appcore_app_v1", look->p);

    if (fd >= 0) {
        close(fd);
    }
    return exports;
}

/* Elsewhere than in a child it is only mentioned. */
static void mention_object(ac_look_t *look, const char *name)
{
    if (look->set->hosting_model.v == AC_HOSTING_IN_PROCESS) {
        ac_look_hint(look, "%.60s runs in httpd's children only; ", name);
        return;
    }
    ac_look_notice(look, "%s is an app for httpd's own processes; AppCoreHostingModel "
                   "InProcess in httpd's configuration allows it there", name);
    ac_look_hint(look, "%.60s needs AppCoreHostingModel InProcess; ", name);
}

int ac_detect_shared_object(ac_look_t *look)
{
    apr_array_header_t *names = ac_folder_list(look->folder, ".so", OBJECTS_MAX);
    const char *found = NULL;
    int inside = ac_look_is_inside(look);
    int i;

    for (i = 0; i < names->nelts; ++i) {
        const char *name = apr_pstrcat(look->p, APR_ARRAY_IDX(names, i, const char *),
                                       ".so", NULL);

        if (!exports_app(look, name)) {
            if (inside) {
                ac_look_hint(look, "%.60s does not export appcore_app_v1; ", name);
            }
            continue;
        }
        if (!inside) {
            mention_object(look, name);
        }
        else if (found) {
            return ac_look_fail(look, AC_FAULT_CONFIG, "%s and %s both export "
                                "appcore_app_v1: say which one with AppCoreProcessPath",
                                found, name);
        }
        else {
            found = name;
        }
    }
    return found ? ac_look_object(look, "exports appcore_app_v1", found) : 0;
}

/* The command of a line "web: command", or NULL. */
static const char *web_line(const char *text, apr_pool_t *p)
{
    while (*text) {
        apr_size_t len = strcspn(text, "\r\n");

        if (!strncmp(text, "web:", 4)) {
            return apr_pstrmemdup(p, text + 4, len - 4);
        }
        text += len;
        text += strspn(text, "\r\n");
    }
    return NULL;
}

int ac_detect_procfile(ac_look_t *look)
{
    apr_size_t len = 0;
    const char *text = ac_folder_read(look->folder, "Procfile", &len,
                                      &look->launch->result);
    const char *command;

    if (!text) {
        return look->launch->result.fault != AC_FAULT_NONE;
    }
    if (strlen(text) != len) {
        return ac_look_fail(look, AC_FAULT_CONFIG, "Procfile has a NUL byte in it");
    }
    command = web_line(text, look->p);
    if (!command) {
        ac_look_hint(look, "Procfile has no web: line; ");
        return 0;
    }
    return ac_look_command(look, "Procfile", command + strspn(command, " \t"));
}

static const char *node_main(const ac_look_t *look, const json_t *package)
{
    const char *names[] = {
        json_string_value(json_object_get(package, "main")), "server.js", "index.js"
    };
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        if (names[i] && *names[i] && ac_folder_has_file(look->folder, names[i])) {
            return names[i];
        }
    }
    return NULL;
}

static int run_node(ac_look_t *look, const char *script)
{
    const char *node = ac_look_path_search(look, "node");

    if (!node) {
        node = ac_look_path_search(look, "nodejs");
    }
    if (!node) {
        return ac_look_fail(look, AC_FAULT_EXEC, "package.json with %.100s needs node, "
                            "which was not found in PATH (%.200s)", script,
                            ac_env_get(look->env, "PATH"));
    }
    look->launch->kind = AC_KIND_NODE;
    ac_look_arg(look, node);
    ac_look_arg(look, script);
    ac_look_found(look, "package.json with %s: %s %s (%s)", script, node, script,
                  ac_kind_name(AC_KIND_NODE));
    return ac_look_reach(look, ac_look_reach_of(look, AC_KIND_NODE));
}

int ac_detect_package_json(ac_look_t *look)
{
    json_t *package = ac_json_read(look, "package.json");
    const char *start = json_string_value(
        json_object_get(json_object_get(package, "scripts"), "start"));
    const char *script;

    if (!package) {
        return look->launch->result.fault != AC_FAULT_NONE;
    }
    if (start && *start) {
        look->launch->kind = AC_KIND_NODE;
        return ac_look_command(look, "package.json, scripts.start", start);
    }
    script = node_main(look, package);
    if (!script) {
        ac_look_hint(look, "package.json has neither scripts.start nor a main that "
                     "exists; ");
        return 0;
    }
    return run_node(look, script);
}

/* Whether a line of the module begins by defining `name`; good enough to choose
 * between spellings, the server itself reports the rest. */
static int defines_name(const char *text, const char *name)
{
    apr_size_t len = strlen(name);

    for (; text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL) {
        const char *at = text;

        at += !strncmp(at, "async ", 6) ? 6 : 0;
        at += !strncmp(at, "def ", 4) ? 4 : 0;
        if (!strncmp(at, name, len) && strchr(" =:(,\t", at[len])) {
            return 1;
        }
    }
    return 0;
}

/* The server as a module of the app's own interpreter where it has one: scripts
 * in a virtual environment name the folder in which it was made. */
static int push_server(ac_look_t *look, const char *server)
{
    static const char *const venvs[] = { "venv/bin/python", ".venv/bin/python" };
    const char *program = NULL;
    apr_size_t i;

    for (i = 0; !program && i < sizeof(venvs) / sizeof(venvs[0]); ++i) {
        if (ac_folder_has_program(look->folder, venvs[i])) {
            program = apr_pstrcat(look->p, look->req->folder, "/", venvs[i], NULL);
        }
    }
    if (!program) {
        const char *script = ac_look_path_search(look, server);

        if (script) {
            ac_look_arg(look, script);
            return 1;
        }
        program = ac_look_path_search(look, "python3");
    }
    if (!program) {
        ac_look_fail(look, AC_FAULT_EXEC, "a Python app needs %s or python3, and "
                     "neither was found in PATH (%.200s), venv or .venv", server,
                     ac_env_get(look->env, "PATH"));
        return 0;
    }
    ac_look_arg(look, program);
    ac_look_arg(look, "-m");
    ac_look_arg(look, server);
    return 1;
}

static int run_asgi(ac_look_t *look, const char *file, const char *app)
{
    look->launch->kind = AC_KIND_ASGI;
    if (!push_server(look, "uvicorn")) {
        return 1;
    }
    ac_look_arg(look, app);
    if (ac_look_wants_port(look)) {
        ac_look_arg(look, "--host");
        ac_look_arg(look, "127.0.0.1");
        ac_look_arg(look, "--port");
        ac_look_arg(look, "{port}");
    }
    else {
        ac_look_arg(look, "--fd");
        ac_look_arg(look, "{fd}");
    }
    ac_look_arg(look, "--no-access-log");
    ac_look_found(look, "%s: %s (%s)", file, ac_argv_join(look->launch->argv, look->p),
                  ac_kind_name(AC_KIND_ASGI));
    return ac_look_reach(look, AC_REACH_FD);
}

static int run_wsgi(ac_look_t *look, const char *file, const char *app)
{
    look->launch->kind = AC_KIND_WSGI;
    if (!push_server(look, "gunicorn")) {
        return 1;
    }
    /* Without --bind it takes the inherited socket. */
    if (ac_look_wants_port(look)) {
        ac_look_arg(look, "--bind");
        ac_look_arg(look, "127.0.0.1:{port}");
    }
    ac_look_arg(look, app);
    ac_look_found(look, "%s: %s (%s)", file, ac_argv_join(look->launch->argv, look->p),
                  ac_kind_name(AC_KIND_WSGI));
    return ac_look_reach(look, AC_REACH_FD);
}

static int is_wsgi_framework(const char *text)
{
    return strstr(text, "from flask") || strstr(text, "import flask")
           || strstr(text, "from bottle") || strstr(text, "import bottle");
}

static const char *module_app(ac_look_t *look, const char *module, const char *text)
{
    const char *app = defines_name(text, "application") ? "application"
                      : defines_name(text, "app") ? "app" : "application";

    return apr_pstrcat(look->p, module, ":", app, NULL);
}

/* 1 with *ptext set when the file is there; 0 with a fault or without. */
static int read_module(ac_look_t *look, const char *file, const char **ptext)
{
    apr_size_t len = 0;

    *ptext = ac_folder_read(look->folder, file, &len, &look->launch->result);
    return *ptext != NULL;
}

int ac_detect_python(ac_look_t *look)
{
    const ac_result_t *res = &look->launch->result;
    const char *text;

    if (read_module(look, "asgi.py", &text)) {
        return run_asgi(look, "asgi.py", module_app(look, "asgi", text));
    }
    if (res->fault == AC_FAULT_NONE && read_module(look, "main.py", &text)) {
        if (defines_name(text, "app")) {
            return (is_wsgi_framework(text) ? run_wsgi : run_asgi)(
                look, "main.py with app", "main:app");
        }
        ac_look_hint(look, "main.py defines no \"app\"; ");
    }
    if (res->fault == AC_FAULT_NONE && read_module(look, "wsgi.py", &text)) {
        return run_wsgi(look, "wsgi.py", module_app(look, "wsgi", text));
    }
    if (res->fault == AC_FAULT_NONE && read_module(look, "passenger_wsgi.py", &text)) {
        return run_wsgi(look, "passenger_wsgi.py",
                        module_app(look, "passenger_wsgi", text));
    }
    return res->fault != AC_FAULT_NONE;
}

static int run_rackup(ac_look_t *look, const char *rackup)
{
    ac_look_arg(look, rackup);
    ac_look_arg(look, "--host");
    ac_look_arg(look, "127.0.0.1");
    ac_look_arg(look, "--port");
    ac_look_arg(look, "{port}");
    ac_look_arg(look, "config.ru");
    ac_look_found(look, "config.ru: %s", ac_argv_join(look->launch->argv, look->p));
    return ac_look_reach(look, AC_REACH_PORT);
}

static int run_puma(ac_look_t *look, const char *bundle, const char *puma)
{
    if (bundle) {
        ac_look_arg(look, bundle);
        ac_look_arg(look, "exec");
    }
    ac_look_arg(look, puma);
    if (ac_look_wants_port(look)) {
        ac_look_arg(look, "--bind");
        ac_look_arg(look, "tcp://127.0.0.1:{port}");
    }
    else {
        /* Without "only" it listens to a port on all addresses as well. */
        ac_look_arg(look, "--bind-to-activated-sockets=only");
    }
    ac_look_arg(look, "config.ru");
    ac_look_found(look, "config.ru: %s", ac_argv_join(look->launch->argv, look->p));
    return ac_look_reach(look, AC_REACH_FD);
}

int ac_detect_ruby(ac_look_t *look)
{
    apr_size_t len = 0;
    const char *text = ac_folder_read(look->folder, "config.ru", &len,
                                      &look->launch->result);
    const char *lock, *bundle, *puma, *rackup;

    if (!text) {
        return look->launch->result.fault != AC_FAULT_NONE;
    }
    look->launch->kind = AC_KIND_RUBY;
    lock = ac_folder_read(look->folder, "Gemfile.lock", &len, &look->launch->result);
    if (look->launch->result.fault != AC_FAULT_NONE) {
        return 1;
    }
    bundle = lock && strstr(lock, "puma (") ? ac_look_path_search(look, "bundle") : NULL;
    puma = ac_look_path_search(look, "puma");
    rackup = ac_look_path_search(look, "rackup");
    if (bundle || puma) {
        return run_puma(look, bundle, bundle ? "puma" : puma);
    }
    return rackup ? run_rackup(look, rackup)
                  : ac_look_fail(look, AC_FAULT_EXEC, "config.ru needs puma or rackup, "
                                 "and neither was found in PATH (%.200s)",
                                 ac_env_get(look->env, "PATH"));
}
