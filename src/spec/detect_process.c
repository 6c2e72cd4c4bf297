/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/detect.h"

#include <string.h>
#include <strings.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include "spec/argv.h"
#include "spec/expand.h"
#include "spec/webconfig.h"

#define PREFER_ENVIRONMENT "ANCM_PREFER_ENVIRONMENT_VARIABLES"

/* What a processPath comes to: a program, and the dll that dotnet is to run if
 * that was meant. */
typedef struct target_t {
    const char *program;
    const char *dll;
} target_t;

static const char *with_slashes(const char *text, apr_pool_t *p)
{
    char *out, *at;

    if (!strncmp(text, "\\\\?\\", 4)) {
        text += 4;
    }
    out = apr_pstrdup(p, text);
    for (at = out; *at; ++at) {
        *at = *at == '\\' ? '/' : *at;
    }
    return out;
}

static int ends_with(const char *text, const char *suffix)
{
    apr_size_t len = strlen(text);
    apr_size_t n = strlen(suffix);

    return len > n && !strcasecmp(text + len - n, suffix);
}

static int has_drive(const char *path)
{
    return apr_isalpha(path[0]) && path[1] == ':';
}

static const char *last_segment(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* A prefix of files, made absolute, so that it can never be read as one of the
 * words that AppCoreStdoutLogFile knows. */
static void settle_stdout_log(ac_look_t *look)
{
    ac_settings_t *overlay = look->launch->overlay;
    const ac_settings_t *nothing = ac_settings_create(look->p);
    const char *path = overlay->stdout_log_file.v;

    if (overlay->stdout_log_file.origin != AC_ORIGIN_WEBCONFIG) {
        return;
    }
    path = with_slashes(ac_env_expand(path, look->env, look->p), look->p);
    if (has_drive(path)) {
        ac_look_notice(look, "web.config: stdoutLogFile \"%.200s\" is a path of Windows; "
                       "output goes where httpd's configuration says", path);
        overlay->stdout_log_file = nothing->stdout_log_file;
        overlay->stdout_log_enabled = nothing->stdout_log_enabled;
        return;
    }
    while (!strncmp(path, "./", 2)) {
        path += 2;
    }
    overlay->stdout_log_file.v = *path == '/' ? path
        : apr_pstrcat(look->p, look->req->folder, "/", path, NULL);
}

static const char *join(const apr_array_header_t *list, apr_pool_t *p)
{
    const char *text = "";
    int i;

    for (i = 0; i < list->nelts; ++i) {
        text = apr_pstrcat(p, text, i ? ", " : "", APR_ARRAY_IDX(list, i, const char *),
                           NULL);
    }
    return text;
}

static int check_access_rules(ac_look_t *look, const ac_webconfig_t *web)
{
    const char *rules;

    if (!web->access_rules->nelts) {
        return 0;
    }
    rules = join(web->access_rules, look->p);
    if (look->set->web_config.v == AC_WEBCONFIG_IGNORE_ACCESS_RULES) {
        ac_look_notice(look, "web.config: access rules are ignored, as "
                       "AppCoreWebConfig says: %.300s", rules);
        return 0;
    }
    return ac_look_fail(look, AC_FAULT_ACCESS_RULES, "web.config restricts access in a "
                        "way that is not honoured here: %.280s; say the same with "
                        "Require in a <Location>, then AppCoreWebConfig "
                        "IgnoreAccessRules", rules);
}

static int is_true(const char *value)
{
    return value && (!strcmp(value, "1") || !strcasecmp(value, "true"));
}

/* ANCM_PREFER_ENVIRONMENT_VARIABLES: what was there before web.config wins, which
 * is what the administrator says anywhere. */
static void prefer_environment(ac_look_t *look, ac_settings_t *overlay)
{
    const ac_env_var_t *wish = ac_settings_env(look->req->set, PREFER_ENVIRONMENT);
    apr_array_header_t *kept;
    int i;

    if (!wish || !is_true(wish->value)) {
        return;
    }
    kept = apr_array_make(look->p, overlay->environment.v->nelts, sizeof(ac_env_var_t));
    for (i = 0; i < overlay->environment.v->nelts; ++i) {
        const ac_env_var_t *var = &APR_ARRAY_IDX(overlay->environment.v, i, ac_env_var_t);

        if (!ac_settings_env_any(look->req->set, var->name)) {
            APR_ARRAY_PUSH(kept, ac_env_var_t) = *var;
        }
    }
    overlay->environment.v = kept;
}

/* Visual Studio and other launchers take the place of what web.config runs. */
static void take_launcher(ac_look_t *look, ac_settings_t *overlay)
{
    const char *path = ac_env_get(look->env, "ANCM_LAUNCHER_PATH");
    const char *args = ac_env_get(look->env, "ANCM_LAUNCHER_ARGS");

    if (path && *path) {
        overlay->process_path.v = path;
        ac_look_notice(look, "ANCM_LAUNCHER_PATH takes the place of web.config's "
                       "processPath");
    }
    if (args && *args) {
        overlay->arguments.v = args;
        ac_look_notice(look, "ANCM_LAUNCHER_ARGS takes the place of web.config's "
                       "arguments");
    }
}

static void take_web_config(ac_look_t *look, const ac_webconfig_t *web)
{
    ac_launch_t *launch = look->launch;

    launch->max_content_length = web->max_content_length;
    launch->overlay = web->overlay;
    apr_array_cat(launch->notices, web->notices);
    if (web->asks_inside && look->req->set->hosting_model.v != AC_HOSTING_IN_PROCESS) {
        ac_look_notice(look, "web.config asks for hostingModel=\"inprocess\"; the app "
                       "runs out of process, because only AppCoreHostingModel InProcess "
                       "in httpd's configuration allows the other");
    }
    prefer_environment(look, web->overlay);
    ac_look_refresh(look);
    if (web->has_app) {
        take_launcher(look, web->overlay);
    }
    settle_stdout_log(look);
    ac_look_refresh(look);
    if (web->overlay->warm_up.v->nelts > 0
        && look->set->warm_up.origin == AC_ORIGIN_WEBCONFIG
        && look->set->start_mode.v != AC_START_ALWAYS_RUNNING
        && !ac_look_is_inside(look)) {
        ac_look_notice(look, "web.config: <applicationInitialization> needs "
                       "AppCoreStartMode AlwaysRunning");
    }
    if (!web->has_app) {
        ac_look_hint(look, "web.config has no <aspNetCore>; ");
    }
}

int ac_detect_web_config(ac_look_t *look)
{
    ac_result_t *res = &look->launch->result;
    ac_webconfig_t *web;
    apr_size_t len = 0;
    char *data;

    if (look->set->web_config.v == AC_WEBCONFIG_OFF) {
        return 0;
    }
    data = ac_folder_read(look->folder, "web.config", &len, res);
    if (!data && res->fault == AC_FAULT_NONE) {
        data = ac_folder_read(look->folder, "Web.config", &len, res);
    }
    if (!data) {
        return res->fault != AC_FAULT_NONE;
    }
    web = ac_webconfig_parse(data, len, res, look->p);
    if (!web) {
        return 1;
    }
    take_web_config(look, web);
    return check_access_rules(look, web);
}

static int no_program(ac_look_t *look, const char *source, const char *name)
{
    const char *below = *name == '/' ? name : apr_pstrcat(look->p, "./", name, NULL);

    if (ac_folder_has_file(look->folder, below)) {
        return ac_look_fail(look, AC_FAULT_EXEC, "%s names %.200s, which may not be "
                            "executed by the app's user (chmod +x)", source, name);
    }
    if (strchr(name, '/')) {
        return ac_look_fail(look, AC_FAULT_EXEC, "%s names %.200s, which is not there "
                            "(relative to %s)", source, name, look->req->folder);
    }
    return ac_look_fail(look, AC_FAULT_EXEC, "%s names \"%.200s\", which was found "
                        "neither in %s nor in PATH (%.200s)", source, name,
                        look->req->folder, ac_env_get(look->env, "PATH"));
}

/* Options of the dotnet host that take a value, before the app's dll. */
static int takes_value(const char *arg)
{
    static const char *const options[] = {
        "--additional-deps", "--additionalprobingpath", "--depsfile", "--fx-version",
        "--roll-forward", "--runtimeconfig",
    };
    apr_size_t i;

    for (i = 0; i < sizeof(options) / sizeof(options[0]); ++i) {
        if (!strcmp(arg, options[i])) {
            return 1;
        }
    }
    return 0;
}

static int dll_index(const apr_array_header_t *argv)
{
    int i;

    for (i = 1; i < argv->nelts; ++i) {
        const char *arg = APR_ARRAY_IDX(argv, i, const char *);

        if (takes_value(arg)) {
            ++i;
        }
        else if (*arg != '-' && strcmp(arg, "exec")) {
            return ends_with(arg, ".dll") ? i : -1;
        }
    }
    return -1;
}

/* Without its dll, dotnet takes the name for a command of the SDK, needs a second
 * to start that and then talks about something else. */
static int check_dll(ac_look_t *look)
{
    apr_array_header_t *argv = look->launch->argv;
    int at = dll_index(argv);
    const char *arg, *real;

    if (at < 0) {
        return 0;
    }
    arg = ac_env_expand(APR_ARRAY_IDX(argv, at, const char *), look->env, look->p);
    if (strpbrk(arg, "%{")) {
        return 0;
    }
    real = ac_folder_spelling(look->folder, arg);
    if (!real) {
        return ac_look_fail(look, AC_FAULT_EXEC, "the app's file %.200s is not in %s: "
                            "the deployment is incomplete, or the folder is that of "
                            "the project and not what dotnet publish made", arg,
                            look->req->folder);
    }
    if (!ac_folder_may_read(look->folder, real)) {
        return ac_look_fail(look, AC_FAULT_EXEC, "the app's file %.200s cannot be read "
                            "by the app's user (chmod, chown)", real);
    }
    if (real != arg) {
        ac_look_notice(look, "%.100s is spelt %.100s in the folder", arg, real);
        APR_ARRAY_IDX(argv, at, const char *) = real;
    }
    return 0;
}

static int add_arguments(ac_look_t *look, const apr_array_header_t *args,
                         const char *source)
{
    if (!args || look->launch->argv->nelts + args->nelts > AC_LAUNCH_ARGS_MAX) {
        return ac_look_fail(look, AC_FAULT_CONFIG, "%s: the arguments have an open "
                            "quote, are more than %d or longer than %d characters",
                            source, AC_LAUNCH_ARGS_MAX, AC_LAUNCH_LINE_MAX);
    }
    apr_array_cat(look->launch->argv, args);
    return 0;
}

static int finish(ac_look_t *look, const target_t *target, const apr_array_header_t *args,
                  const char *source)
{
    int is_dotnet = !strcmp(last_segment(target->program), "dotnet");

    ac_look_arg(look, target->program);
    if (target->dll) {
        ac_look_arg(look, target->dll);
    }
    if (add_arguments(look, args, source)) {
        return 1;
    }
    if (look->launch->kind == AC_KIND_PROGRAM) {
        look->launch->kind = ac_look_kind_of_words(look, look->launch->argv);
    }
    if (is_dotnet && look->launch->argv->nelts == 1) {
        return ac_look_fail(look, AC_FAULT_CONFIG, "%s: Application arguments are empty: "
                            "dotnet needs the app's dll there", source);
    }
    if (is_dotnet && check_dll(look)) {
        return 1;
    }
    ac_look_found(look, "%s: %s (%s)", source, ac_argv_join(look->launch->argv, look->p),
                  ac_kind_name(look->launch->kind));
    return ac_look_reach(look, ac_look_reach_of(look, look->launch->kind));
}

/* Those of a web.config belong to its processPath, which has lost. */
static apr_array_header_t *directive_arguments(const ac_look_t *look)
{
    const ac_str_t *args = &look->set->arguments;
    const char *line = args->v && args->origin != AC_ORIGIN_WEBCONFIG ? args->v : "";

    return ac_argv_split(line, AC_QUOTES_UNIX, look->p);
}

int ac_look_arguments(ac_look_t *look)
{
    return add_arguments(look, directive_arguments(look), "AppCoreArguments");
}

static int from_directive(ac_look_t *look)
{
    const char *name = ac_env_expand(look->set->process_path.v, look->env, look->p);
    target_t target = { NULL, NULL };

    if (ac_look_is_inside(look) && ends_with(name, ".so")) {
        return ac_look_object(look, "AppCoreProcessPath", name);
    }
    target.program = !strcmp(name, "dotnet") ? ac_look_dotnet(look)
                                             : ac_look_program(look, name);
    if (!target.program) {
        return !strcmp(name, "dotnet") ? ac_look_no_dotnet(look)
                                       : no_program(look, "AppCoreProcessPath", name);
    }
    look->launch->kind = ac_look_kind_of(look, target.program);
    return finish(look, &target, directive_arguments(look),
                  apr_psprintf(look->p, "AppCoreProcessPath \"%.200s\"",
                               look->set->process_path.v));
}

/* "App.exe" is the Linux apphost App, or the App.dll beside it when that is not
 * there or may not be executed: a copy from Windows has no such bits. */
static int resolve_below(ac_look_t *look, const char *name, target_t *target)
{
    const char *dll = apr_pstrcat(look->p, name, ".dll", NULL);
    const char *real = ac_folder_spelling(look->folder, name);

    target->program = ac_look_program(look, real ? real : name);
    if (target->program) {
        return 0;
    }
    dll = ac_folder_spelling(look->folder, dll);
    if (!dll) {
        return no_program(look, "web.config: processPath", name);
    }
    target->dll = dll;
    target->program = ac_look_dotnet(look);
    return target->program ? 0 : ac_look_no_dotnet(look);
}

static int resolve_windows(ac_look_t *look, target_t *target)
{
    const char *text = ac_env_expand(look->set->process_path.v, look->env, look->p);
    const char *name = with_slashes(text, look->p);

    if (strstr(name, "%LAUNCHER_PATH%")) {
        return ac_look_fail(look, AC_FAULT_CONFIG, "web.config still says "
                            "%%LAUNCHER_PATH%%: %s is the folder of the project; "
                            "publish it (dotnet publish) and mount what that made",
                            look->req->folder);
    }
    if (ends_with(name, ".exe")) {
        name = apr_pstrndup(look->p, name, strlen(name) - 4);
    }
    if (!strcasecmp(last_segment(name), "dotnet")) {
        target->program = *name == '/' ? ac_look_program(look, name) : NULL;
        if (!target->program) {
            target->program = ac_look_dotnet(look);
        }
        return target->program ? 0 : ac_look_no_dotnet(look);
    }
    if (has_drive(name)) {
        ac_look_notice(look, "web.config: processPath \"%.200s\" is a path of Windows; "
                       "its last part is looked for", text);
        name = last_segment(name);
    }
    while (!strncmp(name, "./", 2)) {
        name += 2;
    }
    return resolve_below(look, name, target);
}

/* Windows rules leave single backslashes alone, which is right for everything
 * but paths of files that the folder has under another spelling. */
static apr_array_header_t *split_windows(const char *line, apr_pool_t *p)
{
    apr_array_header_t *words = ac_argv_split(line, AC_QUOTES_WINDOWS, p);
    int i;

    for (i = 0; words && i < words->nelts; ++i) {
        const char **word = &APR_ARRAY_IDX(words, i, const char *);

        if (!strncmp(*word, ".\\", 2) || !strncmp(*word, "..\\", 3)
            || ends_with(*word, ".dll") || ends_with(*word, ".exe")) {
            *word = with_slashes(*word, p);
        }
    }
    return words;
}

static int from_web_config(ac_look_t *look)
{
    const ac_str_t *args = &look->set->arguments;
    const char *line = args->v ? args->v : "";
    apr_array_header_t *words = args->origin == AC_ORIGIN_WEBCONFIG
        ? split_windows(line, look->p) : ac_argv_split(line, AC_QUOTES_UNIX, look->p);
    target_t target = { NULL, NULL };
    const char *source;

    look->launch->kind = AC_KIND_DOTNET;
    source = apr_psprintf(look->p, "web.config: processPath \"%.200s\", arguments "
                          "\"%.200s\"", look->set->process_path.v, line);
    return resolve_windows(look, &target) || finish(look, &target, words, source);
}

int ac_detect_process_path(ac_look_t *look)
{
    if (!look->set->process_path.v || !*look->set->process_path.v) {
        return 0;
    }
    return look->set->process_path.origin == AC_ORIGIN_WEBCONFIG ? from_web_config(look)
                                                                 : from_directive(look);
}
