/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/look.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include "spec/companion.h"
#include "spec/detect.h"
#include "spec/env.h"
#include "spec/look_as.h"
#include "spec/shadow.h"

extern char **environ;

static ac_detect_fn *const steps[] = {
    ac_detect_web_config,
    ac_detect_process_path,
    ac_detect_dotnet,
    ac_detect_shared_object,
    ac_detect_procfile,
    ac_detect_package_json,
    ac_detect_python,
    ac_detect_ruby,
};

void ac_look_request_put(ac_wire_writer_t *w, const ac_look_request_t *req)
{
    ac_settings_t set = *req->set;
    const apr_array_header_t *all = req->set->environment.v;
    int i;

    /* The looking process has the app's identity and needs no secrets to look. */
    set.environment.v = apr_array_make(w->p, all->nelts, sizeof(ac_env_var_t));
    for (i = 0; i < all->nelts; ++i) {
        const ac_env_var_t *var = &APR_ARRAY_IDX(all, i, ac_env_var_t);

        if (!var->secret) {
            APR_ARRAY_PUSH(set.environment.v, ac_env_var_t) = *var;
        }
    }
    ac_wire_put_str(w, req->folder);
    ac_wire_put_str(w, req->prefix);
    ac_wire_put_str(w, req->name);
    ac_settings_put(w, &set);
    ac_wire_put_str(w, req->companions);
}

ac_look_request_t *ac_look_request_get(ac_wire_reader_t *r, apr_pool_t *p)
{
    ac_look_request_t *req = apr_pcalloc(p, sizeof(*req));

    req->folder = ac_wire_get_str(r, p);
    req->prefix = ac_wire_get_str(r, p);
    req->name = ac_wire_get_str(r, p);
    req->set = ac_settings_get(r, p);
    req->companions = ac_wire_get_str(r, p);
    if (!req->folder || *req->folder != '/' || !req->prefix || !req->name) {
        r->status = APR_EINVAL;
    }
    return r->status == APR_SUCCESS ? req : NULL;
}

int ac_look_fail(ac_look_t *look, ac_fault_e fault, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    ac_result_set(&look->launch->result, APR_EGENERAL, AC_STAGE_LOOK, fault, "%s",
                  apr_pvsprintf(look->p, fmt, ap));
    va_end(ap);
    return 1;
}

void ac_look_notice(ac_look_t *look, const char *fmt, ...)
{
    va_list ap;

    if (look->launch->notices->nelts < AC_LAUNCH_NOTICES_MAX) {
        va_start(ap, fmt);
        APR_ARRAY_PUSH(look->launch->notices, const char *) =
            apr_pvsprintf(look->p, fmt, ap);
        va_end(ap);
    }
}

void ac_look_hint(ac_look_t *look, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    APR_ARRAY_PUSH(look->hints, const char *) = apr_pvsprintf(look->p, fmt, ap);
    va_end(ap);
}

void ac_look_found(ac_look_t *look, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    look->launch->found = apr_pvsprintf(look->p, fmt, ap);
    va_end(ap);
}

void ac_look_arg(ac_look_t *look, const char *arg)
{
    APR_ARRAY_PUSH(look->launch->argv, const char *) = arg;
}

void ac_look_variable(ac_look_t *look, const char *name, const char *value)
{
    ac_env_var_t var = { .name = name, .value = value, .origin = AC_ORIGIN_WEBCONFIG };
    ac_list_t *environment = &look->launch->overlay->environment;

    if (environment->v->nelts < AC_LAUNCH_ENV_MAX) {
        environment->origin = AC_ORIGIN_WEBCONFIG;
        APR_ARRAY_PUSH(environment->v, ac_env_var_t) = var;
    }
    ac_look_refresh(look);
}

void ac_look_refresh(ac_look_t *look)
{
    look->set = ac_settings_merge(look->req->set, look->launch->overlay, look->p);
    look->env = ac_env_base((const char *const *)environ, look->p);
    ac_env_add_settings(look->env, look->set, look->p);
}

static const char *explicit_port(const ac_look_t *look, const char **pname)
{
    static const char *const names[] = { "ASPNETCORE_PORT", "PORT" };
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        const char *value = ac_settings_env(look->set, names[i])
                            ? ac_env_get(look->env, names[i]) : NULL;

        if (value && *value) {
            *pname = names[i];
            return value;
        }
    }
    return NULL;
}

int ac_look_wants_port(const ac_look_t *look)
{
    const char *name;

    return look->set->listen.v == AC_LISTEN_TCP || explicit_port(look, &name);
}

static unsigned reach_by_placeholders(const ac_launch_t *launch)
{
    unsigned reach = 0;
    int i;

    for (i = 1; launch->expand != AC_EXPAND_NONE && i < launch->argv->nelts; ++i) {
        const char *arg = APR_ARRAY_IDX(launch->argv, i, const char *);

        reach |= strstr(arg, "{fd}") ? AC_REACH_FD : 0;
        reach |= strstr(arg, "{socket}") ? AC_REACH_PATH : 0;
        reach |= strstr(arg, "{port}") ? AC_REACH_PORT : 0;
    }
    return reach;
}

/* ANCM's rule: what is not a port in its range is no reason to take another. */
static int read_explicit_port(ac_look_t *look)
{
    const char *name = "PORT";
    const char *value = explicit_port(look, &name);
    apr_size_t len = value ? strlen(value) : 0;
    int port = len && len < 6 && strspn(value, "0123456789") == len ? atoi(value) : 0;

    if (!value) {
        return 1;
    }
    if (port < AC_PORT_MIN || port > AC_PORT_MAX) {
        ac_look_fail(look, AC_FAULT_LISTEN, "%s is \"%.40s\", but must be a port from "
                     "%d to %d, or empty for any", name, value, AC_PORT_MIN,
                     AC_PORT_MAX);
        return 0;
    }
    look->launch->port = (uint32_t)port;
    if (ac_processes_most(look->set) > 1) {
        ac_look_notice(look, "%s names one port for %d processes; only one of them can "
                       "listen there", name, (int)ac_processes_most(look->set));
    }
    return 1;
}

/* The version of the companion that the app can use, or 0. One built for a newer
 * .NET than the app's would not load. */
static unsigned companion_of(ac_look_t *look, ac_kind_e kind)
{
    int is_dotnet = kind == AC_KIND_DOTNET;
    unsigned version = is_dotnet ? ac_look_hookable(look) : 1;
    unsigned min = is_dotnet ? AC_COMPANION_DOTNET_MIN : 1;

    for (; version >= min; --version) {
        if (ac_companion_is_usable(look->req->companions, kind, version, look->p)) {
            return version;
        }
    }
    return 0;
}

unsigned ac_look_reach_of(ac_look_t *look, ac_kind_e kind)
{
    switch (kind) {
    case AC_KIND_DOTNET:
    case AC_KIND_NODE:
        /* What the companion does not understand still finds its port. */
        return AC_REACH_PORT | (companion_of(look, kind) ? AC_REACH_FD : 0);
    case AC_KIND_WSGI:
        /* gunicorn takes LISTEN_FDS; a PORT beside it would open a second door. */
        return AC_REACH_FD;
    default:
        return AC_REACH_FD | AC_REACH_PORT;
    }
}

int ac_look_reach(ac_look_t *look, unsigned reach)
{
    ac_launch_t *launch = look->launch;
    unsigned asked = reach_by_placeholders(launch);

    if (look->req->inside) {
        launch->reach = reach;
        launch->companion = (uint8_t)companion_of(look, launch->kind);
        return 1;
    }
    if (asked && !(asked & AC_REACH_PORT)) {
        launch->reach = asked;
        return 1;
    }
    if (!read_explicit_port(look)) {
        return 1;
    }
    launch->reach = asked ? asked : ac_look_wants_port(look) ? AC_REACH_PORT : reach;
    launch->companion = !asked && (launch->reach & AC_REACH_FD)
                        ? (uint8_t)companion_of(look, launch->kind) : 0;
    return 1;
}

static int no_match(ac_look_t *look)
{
    const char *hints = apr_array_pstrcat(look->p, look->hints, 0);

    return ac_look_fail(look, AC_FAULT_CONFIG, "nothing to run was found in %s%s%s; "
                        "looked for: AppCoreProcessPath, web.config with <aspNetCore>, "
                        "NAME.runtimeconfig.json with NAME.dll, NAME.so, Procfile with "
                        "web:, package.json, asgi.py, main.py with app, wsgi.py, "
                        "passenger_wsgi.py, config.ru", look->req->folder,
                        *hints ? ": " : "", hints);
}

/* These go to logs and pages; names in a folder may hold anything. */
static void clean(char *text)
{
    for (; *text; ++text) {
        if (apr_iscntrl(*text)) {
            *text = '?';
        }
    }
}

static void tidy(ac_look_t *look)
{
    ac_launch_t *launch = look->launch;
    int i;

    if (!launch->found) {
        launch->found = "nothing";
    }
    launch->found = apr_pstrndup(look->p, launch->found, 1024);
    clean((char *)launch->found);
    clean(launch->result.detail);
    for (i = 0; i < launch->notices->nelts; ++i) {
        char *notice = apr_pstrndup(look->p, APR_ARRAY_IDX(launch->notices, i, char *),
                                    512);

        clean(notice);
        APR_ARRAY_IDX(launch->notices, i, char *) = notice;
    }
    if (launch->result.fault != AC_FAULT_NONE) {
        apr_array_clear(launch->argv);
        launch->reach = 0;
    }
}

static ac_launch_t *make_launch(const ac_look_request_t *req, apr_pool_t *p)
{
    ac_launch_t *launch = apr_pcalloc(p, sizeof(*launch));

    launch->folder = req->folder;
    launch->argv = apr_array_make(p, 8, sizeof(const char *));
    launch->overlay = ac_settings_create(p);
    launch->notices = apr_array_make(p, 4, sizeof(const char *));
    launch->max_content_length = -1;
    launch->copy_fd = -1;
    return launch;
}

static void take_steps(ac_look_t *look)
{
    apr_size_t i;

    ac_look_refresh(look);
    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); ++i) {
        if (steps[i](look)) {
            return;
        }
    }
    no_match(look);
}

static ac_launch_t *look_with(const ac_look_request_t *req, uid_t uid, int inotify,
                              apr_pool_t *p)
{
    ac_look_t look = { .p = p, .req = req };
    ac_launch_t *launch = make_launch(req, p);
    ac_watcher_t watcher;

    look.launch = launch;
    look.hints = apr_array_make(p, 2, sizeof(const char *));
    ac_watcher_init(&watcher, inotify, p);
    look.folder = ac_folder_open_watched(req->folder, uid, &watcher, &launch->result, p);
    if (look.folder) {
        ac_survey_take(&launch->survey, look.folder, req->set->recycle_files.v,
                       &watcher);
    }
    if (look.folder && !launch->survey.is_offline) {
        take_steps(&look);
        ac_shadow_apply(&look);
    }
    launch->survey.watched = watcher.watched;
    launch->survey.blind = watcher.blind;
    tidy(&look);
    return launch;
}

ac_launch_t *ac_look_as(const ac_look_request_t *req, uid_t uid, apr_pool_t *p)
{
    return look_with(req, uid, -1, p);
}

ac_launch_t *ac_look(const ac_look_request_t *req, apr_pool_t *p)
{
    return look_with(req, geteuid(), -1, p);
}

ac_launch_t *ac_look_watched(const ac_look_request_t *req, int inotify, apr_pool_t *p)
{
    return look_with(req, geteuid(), inotify, p);
}
