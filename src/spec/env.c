/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The environment of one process. Three layers, later ones winning: what may be
 * replaced, what administrator and web.config say, what belongs to the contract
 * and may not be replaced. The contract is applied before the second layer too,
 * so that %ASPNETCORE_PORT% means something in there. */

#include "spec/env.h"

#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include "spec/companion.h"
#include "spec/launch.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define HOSTING_STARTUP "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES"
#define NODE_OPTIONS "NODE_OPTIONS"
#define STARTUP_HOOKS "DOTNET_STARTUP_HOOKS"
#define COMPANION_NAME "AppCore.AspNetCore"
#define IIS_INTEGRATION "Microsoft.AspNetCore.Server.IISIntegration"

typedef struct process_t {
    const ac_spec_t *spec;
    const ac_launch_t *launch;
    const ac_instance_t *inst;
    const ac_settings_t *set;
    apr_array_header_t *env;
    apr_pool_t *p;
} process_t;

apr_array_header_t *ac_env_base(const char *const *inherited, apr_pool_t *p)
{
    static const char *const names[] = { "PATH", "LANG", "TZ" };
    apr_array_header_t *env = ac_env_make(p);
    apr_size_t i;

    ac_env_set(env, "PATH", DEFAULT_PATH);
    for (; inherited && *inherited; ++inherited) {
        for (i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
            apr_size_t len = strlen(names[i]);

            if (!strncmp(*inherited, names[i], len) && (*inherited)[len] == '='
                && (*inherited)[len + 1]) {
                ac_env_set(env, names[i], *inherited + len + 1);
            }
        }
    }
    return env;
}

/* The name under which a variable is in env: for one of web.config that may be
 * another spelling, and then %Path%;… extends PATH instead of shadowing it. */
static const char *spelling(const apr_array_header_t *env, const ac_env_var_t *var)
{
    const ac_env_var_t *there = (const ac_env_var_t *)env->elts;
    int i;

    for (i = 0; var->origin == AC_ORIGIN_WEBCONFIG && i < env->nelts; ++i) {
        if (!strcasecmp(there[i].name, var->name)) {
            return there[i].name;
        }
    }
    return var->name;
}

void ac_env_add_settings(apr_array_header_t *env, const ac_settings_t *set,
                         apr_pool_t *p)
{
    const apr_array_header_t *list = set->environment.v;
    int origin, i;

    for (origin = AC_ORIGIN_DEFAULT; origin <= AC_ORIGIN_APP; ++origin) {
        for (i = 0; i < list->nelts; ++i) {
            const ac_env_var_t *var = &APR_ARRAY_IDX(list, i, ac_env_var_t);

            if (var->origin == (ac_origin_e)origin) {
                ac_env_set(env, spelling(env, var), ac_env_expand(var->value, env, p));
            }
        }
    }
}

static void set_number(process_t *proc, const char *name, apr_int64_t value)
{
    ac_env_set(proc->env, name, apr_psprintf(proc->p, "%" APR_INT64_T_FMT, value));
}

static const char *home_of(const process_t *proc)
{
    const ac_spec_t *spec = proc->spec;
    char *name, *at;

    if (proc->launch->home) {
        return proc->launch->home;
    }
    if (!spec->state_dir) {
        return proc->launch->folder;
    }
    name = apr_pstrdup(proc->p, spec->name);
    for (at = name; *at; ++at) {
        *at = *at == '/' ? '_' : *at;
    }
    return apr_pstrcat(proc->p, spec->state_dir, "/", name, NULL);
}

static void add_dotnet_defaults(process_t *proc)
{
    apr_int64_t limit = proc->set->shutdown_time_limit.v;

    /* The app's own limit must pass before ours, or it is killed while it still
     * waits for its last requests. */
    set_number(proc, "ASPNETCORE_SHUTDOWNTIMEOUTSECONDS", limit > 1 ? limit - 1 : limit);
    if (proc->spec->https_port) {
        set_number(proc, "ASPNETCORE_ANCM_HTTPS_PORT", proc->spec->https_port);
    }
}

static void add_defaults(process_t *proc)
{
    ac_kind_e kind = proc->launch->kind;

    ac_env_set(proc->env, "HOME", home_of(proc));
    if (kind == AC_KIND_DOTNET) {
        add_dotnet_defaults(proc);
    }
    /* Who can connect to a port may be anybody on this machine; to our socket,
     * only httpd. */
    if ((kind == AC_KIND_ASGI || kind == AC_KIND_WSGI)
        && !(proc->inst->reach & AC_REACH_PORT)) {
        ac_env_set(proc->env, "FORWARDED_ALLOW_IPS", "*");
    }
}

static void add_reach(process_t *proc)
{
    static const char *const ours[] = {
        "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "APPCORE_SOCKET"
    };
    const ac_instance_t *inst = proc->inst;
    apr_size_t i;

    for (i = 0; i < sizeof(ours) / sizeof(ours[0]); ++i) {
        ac_env_unset(proc->env, ours[i]);
    }
    if (inst->reach & AC_REACH_FD) {
        ac_env_set(proc->env, "LISTEN_FDS", "1");
        ac_env_set(proc->env, "LISTEN_PID", "");
    }
    if (inst->socket_path) {
        ac_env_set(proc->env, "APPCORE_SOCKET", inst->socket_path);
    }
    if (inst->notify_path) {
        ac_env_set(proc->env, "NOTIFY_SOCKET", inst->notify_path);
    }
    if (inst->reach & AC_REACH_PORT) {
        set_number(proc, "PORT", inst->port);
    }
}

/* Only the companion can make a user of what we say. An app in process is not reached
 * at all: it is here. */
static int tells_users(const process_t *proc)
{
    return proc->spec->login && proc->set->forward_windows_auth_token.v
           && proc->launch->companion
           && (!proc->inst->reach || (proc->inst->reach & AC_REACH_FD));
}

static void add_dotnet_contract(process_t *proc)
{
    const ac_spec_t *spec = proc->spec;
    const ac_instance_t *inst = proc->inst;
    apr_array_header_t *env = proc->env;

    ac_env_set(env, "ASPNETCORE_APPL_PATH", *spec->prefix ? spec->prefix : "/");
    ac_env_set(env, "ASPNETCORE_IIS_PHYSICAL_PATH",
               apr_pstrcat(proc->p, proc->launch->folder, "/", NULL));
    /* Without it the app waits for Windows tokens and fails on Linux; and without
     * the next one it takes the kernel's version for that of Windows. */
    ac_env_set(env, "ASPNETCORE_IIS_HTTPAUTH", tells_users(proc) ? "windows;"
                                                                 : "anonymous;");
    ac_env_set(env, "ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED",
               proc->set->websockets.v == AC_OFF ? "false" : "true");
    if (inst->token) {
        ac_env_set(env, "ASPNETCORE_TOKEN", inst->token);
    }
    if (inst->reach & AC_REACH_PORT) {
        set_number(proc, "ASPNETCORE_PORT", inst->port);
        ac_env_set(env, "ASPNETCORE_URLS",
                   apr_psprintf(proc->p, "http://127.0.0.1:%u", inst->port));
    }
}

static void add_contract(process_t *proc)
{
    add_reach(proc);
    ac_env_set(proc->env, "APPCORE_APP", proc->spec->name);
    ac_env_unset(proc->env, "APPCORE_LOG");
    if (proc->inst->is_logged) {
        ac_env_set(proc->env, "APPCORE_LOG", "errorlog");
    }
    set_number(proc, "APPCORE_PROCESS", proc->inst->slot);
    set_number(proc, "APPCORE_GENERATION", proc->inst->generation);
    if (proc->launch->kind == AC_KIND_DOTNET) {
        add_dotnet_contract(proc);
    }
}

/* As ANCM: what a web.config says replaces everything, an administrator's list
 * is kept and extended. */
static void add_hosting_startup(process_t *proc)
{
    const ac_env_var_t *var = ac_settings_env(proc->set, HOSTING_STARTUP);
    const char *value = var ? ac_env_get(proc->env, HOSTING_STARTUP) : NULL;

    if (!value || !*value) {
        ac_env_set(proc->env, HOSTING_STARTUP, IIS_INTEGRATION);
    }
    else if (var->origin != AC_ORIGIN_WEBCONFIG && !strstr(value, IIS_INTEGRATION)) {
        ac_env_set(proc->env, HOSTING_STARTUP,
                   apr_pstrcat(proc->p, value, ";" IIS_INTEGRATION, NULL));
    }
}

static const char *companion(const process_t *proc)
{
    return ac_companion_path(proc->spec->companions, proc->launch->kind,
                             proc->launch->companion, proc->p);
}

/* In front of what the app wants of node, once that is known. */
static void add_preload(process_t *proc)
{
    const char *path = companion(proc);
    const char *options = ac_env_get(proc->env, NODE_OPTIONS);

    if (path) {
        ac_env_set(proc->env, NODE_OPTIONS,
                   apr_pstrcat(proc->p, "--require=\"", path, "\"",
                               options && *options ? " " : "", options, NULL));
    }
}

static void extend_list(process_t *proc, const char *name, const char *first,
                        const char *last)
{
    const char *old = ac_env_get(proc->env, name);
    const char *separator = strcmp(name, STARTUP_HOOKS) ? ";" : ":";

    old = old && *old ? old : NULL;
    ac_env_set(proc->env, name,
               apr_pstrcat(proc->p, first, *first && old ? separator : "",
                           old ? old : "", old && *last ? separator : "", last, NULL));
}

/* First of the hooks, so that it takes the contract out of the environment before
 * another one starts programs; last of the hosting startups, to see what the
 * others did. Without a port there is one in name only: that of the socket. */
static void add_hook(process_t *proc)
{
    const char *path = companion(proc);

    if (!path) {
        return;
    }
    extend_list(proc, STARTUP_HOOKS, path, "");
    extend_list(proc, HOSTING_STARTUP, "", COMPANION_NAME);
    if (!(proc->inst->reach & AC_REACH_PORT)) {
        set_number(proc, "ASPNETCORE_PORT", 1);
    }
}

static void add_companion(process_t *proc)
{
    if (!proc->launch->companion || !(proc->inst->reach & AC_REACH_FD)) {
        return;
    }
    if (proc->launch->kind == AC_KIND_NODE) {
        add_preload(proc);
    }
    else if (proc->launch->kind == AC_KIND_DOTNET) {
        add_hook(proc);
    }
}

static const char **as_strings(const process_t *proc)
{
    const apr_array_header_t *env = proc->env;
    apr_size_t n = (apr_size_t)env->nelts + 1;
    const char **strings = apr_palloc(proc->p, n * sizeof(*strings));
    int i;

    for (i = 0; i < env->nelts; ++i) {
        const ac_env_var_t *var = &APR_ARRAY_IDX(env, i, ac_env_var_t);

        strings[i] = apr_pstrcat(proc->p, var->name, "=", var->value, NULL);
    }
    strings[i] = NULL;
    return strings;
}

const char **ac_launch_env(const ac_spec_t *spec, const ac_launch_t *launch,
                           const ac_instance_t *inst, const char *const *inherited,
                           apr_pool_t *p)
{
    process_t proc = { .spec = spec, .launch = launch, .inst = inst, .p = p };

    proc.set = ac_launch_settings(spec, launch, p);
    proc.env = ac_env_base(inherited, p);
    add_defaults(&proc);
    add_contract(&proc);
    ac_env_add_settings(proc.env, proc.set, p);
    add_contract(&proc);
    if (launch->kind == AC_KIND_DOTNET) {
        add_hosting_startup(&proc);
    }
    add_companion(&proc);
    return as_strings(&proc);
}
