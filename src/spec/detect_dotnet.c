/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/detect.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <apr_strings.h>
#include "spec/bundle.h"
#include "spec/expand.h"
#include "spec/json.h"

#define CANDIDATES_MAX 64
#define ASPNETCORE_FRAMEWORK "Microsoft.AspNetCore.App"

typedef struct framework_t {
    int aspnetcore;             /* it serves HTTP at all */
    int self_contained;         /* it brings its runtime: the apphost must run */
} framework_t;

static const char *beside(const ac_look_t *look, const char *base, const char *suffix)
{
    return apr_pstrcat(look->p, base, suffix, NULL);
}

static int is_aspnetcore(const json_t *framework)
{
    const char *name = json_string_value(json_object_get(framework, "name"));

    return name && !strcmp(name, ASPNETCORE_FRAMEWORK);
}

static int lists_aspnetcore(const json_t *frameworks)
{
    size_t i;

    for (i = 0; i < json_array_size(frameworks); ++i) {
        if (is_aspnetcore(json_array_get(frameworks, i))) {
            return 1;
        }
    }
    return 0;
}

/* 0 after a fault. */
static int read_runtimeconfig(ac_look_t *look, const char *base, framework_t *fw)
{
    json_t *tree = ac_json_read(look, beside(look, base, ".runtimeconfig.json"));
    const json_t *options = json_object_get(tree, "runtimeOptions");
    const json_t *included = json_object_get(options, "includedFrameworks");

    fw->self_contained = included != NULL;
    fw->aspnetcore = is_aspnetcore(json_object_get(options, "framework"))
                     || lists_aspnetcore(json_object_get(options, "frameworks"))
                     || lists_aspnetcore(included);
    return look->launch->result.fault == AC_FAULT_NONE;
}

static const char *aspnetcore_version(const json_t *options)
{
    const json_t *lists[] = { json_object_get(options, "frameworks"),
                              json_object_get(options, "includedFrameworks") };
    const json_t *one = json_object_get(options, "framework");
    size_t i, j;

    if (is_aspnetcore(one)) {
        return json_string_value(json_object_get(one, "version"));
    }
    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); ++i) {
        for (j = 0; j < json_array_size(lists[i]); ++j) {
            one = json_array_get(lists[i], j);
            if (is_aspnetcore(one)) {
                return json_string_value(json_object_get(one, "version"));
            }
        }
    }
    return NULL;
}

/* Trimmed apps come with it off: the runtime then ignores hooks without a word. */
static int runs_hooks(const json_t *options)
{
    const json_t *hooks = json_object_get(json_object_get(options, "configProperties"),
                                          "System.StartupHookProvider.IsSupported");
    const char *text = json_string_value(hooks);

    return !json_is_false(hooks) && !(text && !strcasecmp(text, "false"));
}

static const char *expanded(const ac_look_t *look, int i)
{
    const char *arg = APR_ARRAY_IDX(look->launch->argv, i, const char *);

    return look->launch->expand == AC_EXPAND_PERCENT
           ? ac_env_expand(arg, look->env, look->p) : arg;
}

/* What argv runs, without ".dll", relative to the folder; NULL where options of
 * the host may change what that means. */
static const char *base_of(const ac_look_t *look)
{
    const apr_array_header_t *argv = look->launch->argv;
    const char *arg = APR_ARRAY_IDX(argv, 0, const char *);
    const char *slash = strrchr(arg, '/');
    apr_size_t len = strlen(look->req->folder);

    if (!strcmp(slash ? slash + 1 : arg, "dotnet")) {
        arg = argv->nelts > 1 ? expanded(look, 1) : "";
        if (!strcmp(arg, "exec") && argv->nelts > 2) {
            arg = expanded(look, 2);
        }
        if (strlen(arg) < 5 || strcmp(arg + strlen(arg) - 4, ".dll")) {
            return NULL;
        }
        arg = apr_pstrndup(look->p, arg, strlen(arg) - 4);
    }
    if (!strncmp(arg, look->req->folder, len) && arg[len] == '/') {
        arg += len + 1;
    }
    while (!strncmp(arg, "./", 2)) {
        arg += 2;
    }
    return *arg == '/' ? NULL : arg;
}

/* A program in one file has its configuration inside. */
static json_t *read_bundled(ac_look_t *look, const char *program)
{
    int fd = ac_folder_open_file(look->folder, program);
    apr_size_t len = 0;
    const char *config;

    if (fd < 0) {
        return NULL;
    }
    config = ac_bundle_config(fd, &len, look->p);
    close(fd);
    return config ? ac_json_parse(look, program, config, len) : NULL;
}

/* One that is broken is the runtime's to complain about. */
static const json_t *read_options(ac_look_t *look, const char *base)
{
    ac_result_t before = look->launch->result;
    json_t *tree = ac_json_read(look, beside(look, base, ".runtimeconfig.json"));

    if (!tree && look->launch->result.fault == AC_FAULT_NONE) {
        tree = read_bundled(look, base);
    }
    look->launch->result = before;
    return json_object_get(tree, "runtimeOptions");
}

unsigned ac_look_hookable(ac_look_t *look)
{
    const char *base = base_of(look);
    const char *version;
    const json_t *options;

    if (!base) {
        return 0;
    }
    options = read_options(look, base);
    version = aspnetcore_version(options);
    return version && runs_hooks(options) ? (unsigned)strtoul(version, NULL, 10) & 0xff
                                          : 0;
}

/* Those that mention ASP.NET Core; the others are left as a hint. NULL: fault. */
static apr_array_header_t *web_apps(ac_look_t *look, const apr_array_header_t *bases)
{
    apr_array_header_t *apps = apr_array_make(look->p, 2, sizeof(const char *));
    int i;

    for (i = 0; i < bases->nelts; ++i) {
        const char *base = APR_ARRAY_IDX(bases, i, const char *);
        framework_t fw;

        if (!read_runtimeconfig(look, base, &fw)) {
            return NULL;
        }
        if (fw.aspnetcore) {
            APR_ARRAY_PUSH(apps, const char *) = base;
        }
        else {
            ac_look_hint(look, "%.60s.runtimeconfig.json is that of a worker or "
                         "console app, which does not listen; ", base);
        }
    }
    return apps;
}

/* A library that the app refers to may have a runtimeconfig.json of its own; only
 * the app was published with its static assets. */
static apr_array_header_t *prefer_published(ac_look_t *look, apr_array_header_t *apps)
{
    apr_array_header_t *published = apr_array_make(look->p, 2, sizeof(const char *));
    int i;

    for (i = 0; i < apps->nelts; ++i) {
        const char *base = APR_ARRAY_IDX(apps, i, const char *);

        if (ac_folder_has_file(look->folder,
                               beside(look, base, ".staticwebassets.endpoints.json"))) {
            APR_ARRAY_PUSH(published, const char *) = base;
        }
    }
    return published->nelts == 1 ? published : apps;
}

static int run_apphost(ac_look_t *look, const char *base, const char *why)
{
    const char *program = ac_look_program(look, beside(look, "./", base));

    if (!program) {
        return ac_look_fail(look, AC_FAULT_EXEC, "%s, so its program %.100s must be "
                            "run, but that is missing in %s or may not be executed "
                            "(chmod +x)", why, base, look->req->folder);
    }
    ac_look_arg(look, program);
    ac_look_found(look, "%s: %s (%s)", why, program, ac_kind_name(AC_KIND_DOTNET));
    return ac_look_reach(look, ac_look_reach_of(look, AC_KIND_DOTNET));
}

static int run_dll(ac_look_t *look, const char *base)
{
    const char *dll = beside(look, base, ".dll");
    const char *dotnet = ac_look_dotnet(look);

    if (!ac_folder_has_file(look->folder, dll)) {
        return ac_look_fail(look, AC_FAULT_EXEC, "%s has %.100s.runtimeconfig.json but "
                            "no %.100s: the deployment is incomplete",
                            look->req->folder, base, dll);
    }
    if (!dotnet) {
        return ac_look_no_dotnet(look);
    }
    ac_look_arg(look, dotnet);
    ac_look_arg(look, dll);
    ac_look_found(look, "%s.runtimeconfig.json with %s: %s %s (%s)", base, dll, dotnet,
                  dll, ac_kind_name(AC_KIND_DOTNET));
    return ac_look_reach(look, ac_look_reach_of(look, AC_KIND_DOTNET));
}

static int run_app(ac_look_t *look, const char *base)
{
    framework_t fw;

    if (!read_runtimeconfig(look, base, &fw)) {
        return 1;
    }
    look->launch->kind = AC_KIND_DOTNET;
    if (fw.self_contained) {
        return run_apphost(look, base,
                           apr_psprintf(look->p, "%s.runtimeconfig.json says that the "
                                        "app brings its own runtime", base));
    }
    return run_dll(look, base);
}

static int ambiguous(ac_look_t *look, const apr_array_header_t *apps, const char *what)
{
    return ac_look_fail(look, AC_FAULT_CONFIG, "%s has more than one %s (%.200s): say "
                        "which one with AppCoreProcessPath and AppCoreArguments",
                        look->req->folder, what, apr_array_pstrcat(look->p, apps, ','));
}

/* An app in one file has neither dll nor runtimeconfig.json beside it. */
static int single_file(ac_look_t *look)
{
    apr_array_header_t *bases = ac_folder_list(look->folder,
                                               ".staticwebassets.endpoints.json",
                                               CANDIDATES_MAX);
    apr_array_header_t *apps = apr_array_make(look->p, 2, sizeof(const char *));
    int i;

    for (i = 0; i < bases->nelts; ++i) {
        const char *base = APR_ARRAY_IDX(bases, i, const char *);

        if (ac_folder_has_file(look->folder, base)) {
            APR_ARRAY_PUSH(apps, const char *) = base;
        }
    }
    if (apps->nelts == 0) {
        return 0;
    }
    if (apps->nelts > 1) {
        return ambiguous(look, apps, "program published as a single file");
    }
    look->launch->kind = AC_KIND_DOTNET;
    return run_apphost(look, APR_ARRAY_IDX(apps, 0, const char *),
                       "an ASP.NET Core app published as a single file");
}

int ac_detect_dotnet(ac_look_t *look)
{
    apr_array_header_t *bases = ac_folder_list(look->folder, ".runtimeconfig.json",
                                               CANDIDATES_MAX);
    apr_array_header_t *apps;

    if (bases->nelts == 0) {
        return single_file(look);
    }
    apps = web_apps(look, bases);
    if (!apps) {
        return 1;
    }
    apps = prefer_published(look, apps);
    if (apps->nelts > 1) {
        return ambiguous(look, apps, "ASP.NET Core app");
    }
    return apps->nelts == 1 ? run_app(look, APR_ARRAY_IDX(apps, 0, const char *)) : 0;
}
