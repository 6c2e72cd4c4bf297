/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* From a mount to an app: which one it means, its settings, its spec. */

#include "conf/config.h"

#include <string.h>
#include <unistd.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include "http_log.h"
#include "http_core.h"
#include "conf/envfile.h"
#include "conf/values.h"

APLOG_USE_MODULE(appcore);

void ac_config_mistake(ac_config_pass_t *pass, const char *where, const char *fmt, ...)
{
    va_list ap;

    ++pass->mistakes;
    va_start(ap, fmt);
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, NULL, "%s: %s", where,
                 apr_pvsprintf(pass->ptemp, fmt, ap));
    va_end(ap);
}

void ac_config_notice(const ac_config_pass_t *pass, const char *where,
                      const char *fmt, ...)
{
    va_list ap;

    if (!pass->checking) {
        return;
    }
    va_start(ap, fmt);
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, pass->main, "%s: %s", where,
                 apr_pvsprintf(pass->ptemp, fmt, ap));
    va_end(ap);
}

static int same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static int same_list(const ac_list_t *a, const ac_list_t *b)
{
    int i;

    for (i = 0; i < a->v->nelts && i < b->v->nelts; ++i) {
        if (!same_text(APR_ARRAY_IDX(a->v, i, const char *),
                       APR_ARRAY_IDX(b->v, i, const char *))) {
            return 0;
        }
    }
    return a->v->nelts == b->v->nelts;
}

/* Where a value comes from counts only as far as the app can notice: above or
 * below its web.config. */
static int same_rank(ac_origin_e a, ac_origin_e b)
{
    return (a > AC_ORIGIN_WEBCONFIG) == (b > AC_ORIGIN_WEBCONFIG);
}

static int same_pairs(const ac_list_t *a, const ac_list_t *b)
{
    int i;

    for (i = 0; i < a->v->nelts && i < b->v->nelts; ++i) {
        const ac_env_var_t *va = &APR_ARRAY_IDX(a->v, i, ac_env_var_t);
        const ac_env_var_t *vb = &APR_ARRAY_IDX(b->v, i, ac_env_var_t);

        if (!same_text(va->name, vb->name) || !same_text(va->value, vb->value)
            || !same_rank(va->origin, vb->origin)) {
            return 0;
        }
    }
    return a->v->nelts == b->v->nelts;
}

const char *ac_config_difference(const ac_settings_t *a, const ac_settings_t *b)
{
    if (!same_pairs(&a->handler_settings, &b->handler_settings)) {
        return "AppCoreHandlerSetting";
    }
#define RANKED(name, same, directive) \
    if (!(same) || !same_rank(a->name.origin, b->name.origin)) { \
        return directive; \
    }
#define NUM(name, directive, dflt) RANKED(name, a->name.v == b->name.v, directive)
#define STR(name, directive, dflt) \
    RANKED(name, same_text(a->name.v, b->name.v), directive)
#define LIST(name, directive) \
    if (strcmp(directive, "AppCoreEnvironmentVariable") \
        && strcmp(directive, "AppCoreHandlerSetting") \
        && !same_list(&a->name, &b->name)) { \
        return directive; \
    }
    AC_SETTINGS(NUM, STR, LIST)
#undef NUM
#undef STR
#undef LIST
#undef RANKED
    /* Last, because the variables of an AppCoreEnvironmentFile are in there. */
    return same_pairs(&a->environment, &b->environment) ? NULL
                                                        : "AppCoreEnvironmentVariable";
}

static const apr_array_header_t *env_file(ac_config_pass_t *pass, const char *where,
                                          const char *path)
{
    apr_array_header_t *vars = apr_hash_get(pass->env_files, path, APR_HASH_KEY_STRING);
    const char *err;

    if (!vars) {
        err = ac_envfile_read(&vars, path, pass->p);
        if (err) {
            ac_config_mistake(pass, where, "AppCoreEnvironmentFile %s %s", path, err);
            vars = apr_array_make(pass->p, 0, sizeof(ac_env_var_t));
        }
        apr_hash_set(pass->env_files, path, APR_HASH_KEY_STRING, vars);
    }
    return vars;
}

/* The layer that names the file, with the file's variables below its own. */
static const ac_settings_t *with_file(const ac_settings_t *layer,
                                      const apr_array_header_t *vars, apr_pool_t *p)
{
    ac_settings_t *file = ac_settings_create(p);

    file->environment.v = apr_array_copy(p, vars);
    file->environment.origin = layer->environment_file.origin;
    return ac_settings_merge(file, layer, p);
}

/* Merges the layers, lowest first; the file that counts is the highest one's. */
static const ac_settings_t *merge_layers(ac_config_pass_t *pass, const char *where,
                                         const ac_settings_t **layers, int n)
{
    const ac_settings_t *set = layers[0];
    const apr_array_header_t *vars;
    int i, top = 0;

    for (i = 0; i < n; ++i) {
        top = layers[i]->environment_file.origin ? i : top;
    }
    if (layers[top]->environment_file.v) {
        vars = env_file(pass, where, layers[top]->environment_file.v);
        layers[top] = with_file(layers[top], vars, pass->p);
        set = layers[0];
    }
    for (i = 1; i < n; ++i) {
        set = ac_settings_merge(set, layers[i], pass->p);
    }
    return set;
}

static const ac_settings_t *effective_settings(ac_config_pass_t *pass,
                                               const ac_config_mount_t *mount,
                                               const ac_config_app_t *app)
{
    const ac_config_t *scope = app ? app->scope : mount->scope;
    const ac_settings_t *layers[3];
    int n = 0;

    if (scope->global) {
        layers[n++] = scope->global->own;
    }
    layers[n++] = scope->own;
    if (app) {
        layers[n++] = app->set;
    }
    return merge_layers(pass, app ? app->where : mount->where, layers, n);
}

static ac_config_app_t *find_app(const ac_config_t *conf, const char *name)
{
    int i;

    for (i = 0; conf && i < conf->apps->nelts; ++i) {
        ac_config_app_t *app = APR_ARRAY_IDX(conf->apps, i, ac_config_app_t *);

        if (!strcmp(app->name, name)) {
            return app;
        }
    }
    return NULL;
}

static const char *known_names(const ac_config_t *conf, apr_pool_t *p)
{
    const char *text = "";

    for (; conf; conf = conf->global) {
        int i;

        for (i = 0; i < conf->apps->nelts && strlen(text) < 200; ++i) {
            text = apr_pstrcat(p, text, *text ? ", " : "",
                               APR_ARRAY_IDX(conf->apps, i, ac_config_app_t *)->name,
                               NULL);
        }
    }
    return *text ? text : "none";
}

/* 1 with *papp (NULL for a plain folder) and *pfolder, or 0 after logging. */
static int find_target(ac_config_pass_t *pass, const ac_config_mount_t *mount,
                       ac_config_app_t **papp, const char **pfolder)
{
    ac_config_app_t *app;

    *papp = NULL;
    *pfolder = mount->target;
    if (*mount->target == '/') {
        return 1;
    }
    app = find_app(mount->scope, mount->target);
    if (!app) {
        app = find_app(mount->scope->global, mount->target);
    }
    if (!app) {
        ac_config_mistake(pass, mount->where, "AppCoreMount %s/ names the app \"%s\", "
                          "but there is no <AppCoreApp %s> in this virtual host or "
                          "outside of all (there: %s); a folder is written with its "
                          "absolute path", mount->prefix, mount->target, mount->target,
                          known_names(mount->scope, pass->ptemp));
        return 0;
    }
    *papp = app;
    *pfolder = app->folder ? app->folder : app->scope->folder;
    if (!*pfolder && app->scope->global) {
        *pfolder = app->scope->global->folder;
    }
    if (!*pfolder) {
        ac_config_mistake(pass, app->where, "<AppCoreApp %s> lacks AppCorePath, the "
                          "absolute path of its folder", app->name);
    }
    return *pfolder != NULL;
}

/* The last segment of the prefix, else of the folder, as a name may be. */
static const char *derive_name(const char *prefix, const char *folder, apr_pool_t *p)
{
    const char *path = *prefix ? prefix : folder;
    char *name = apr_pstrndup(p, strrchr(path, '/') + 1, AC_VALUE_NAME_MAX);
    char *s;

    for (s = name; *s; ++s) {
        if (!apr_isalnum(*s) && (s == name || !strchr("._-", *s))) {
            *s = '-';
        }
    }
    return name;
}

static const char *beneath(const char *folder, const char *path, apr_pool_t *p)
{
    return *path == '/' ? path : apr_pstrcat(p, folder, "/", path, NULL);
}

static apr_ipsubnet_t **trusted(const ac_settings_t *set, apr_pool_t *p)
{
    const apr_array_header_t *list = set->trusted_proxies.v;
    apr_ipsubnet_t **nets = apr_pcalloc(p, (list->nelts + 1) * sizeof(*nets));
    int i;

    for (i = 0; i < list->nelts; ++i) {
        /* Checked when the directive was read. */
        ac_value_subnet(&nets[i], APR_ARRAY_IDX(list, i, const char *), p);
    }
    return nets;
}

static void fill_mount(ac_mount_t *mount, const ac_spec_t *spec, apr_pool_t *p)
{
    const ac_settings_t *set = spec->set;
    apr_array_header_t *folders = apr_array_make(p, set->sendfile.v->nelts,
                                                 sizeof(const char *));
    int i;

    for (i = 0; i < set->sendfile.v->nelts; ++i) {
        APR_ARRAY_PUSH(folders, const char *) =
            beneath(spec->folder, APR_ARRAY_IDX(set->sendfile.v, i, const char *), p);
    }
    mount->prefix = spec->prefix;
    mount->prefix_len = strlen(spec->prefix);
    mount->spec = spec;
    mount->trusted = trusted(set, p);
    mount->sendfile = folders;
    if (set->static_files.v) {
        mount->static_folder = beneath(spec->folder, set->static_files.v, p);
    }
}

/* What only a process of the app's own has, as far as it was asked for. */
static const char *idle_inside(const ac_settings_t *set, apr_pool_t *p)
{
    const struct {
        const char *directive;
        int is_set;
    } all[] = {
        { "AppCoreUser", set->user.origin },
        { "AppCoreLimit", set->limit_nofile_soft.origin | set->limit_nproc_soft.origin
                          | set->limit_as_soft.origin | set->limit_cpu_soft.origin
                          | set->limit_core_soft.origin },
        { "AppCoreUmask", set->umask.origin },
        { "AppCoreListen", set->listen.origin },
        { "AppCoreProtocol", set->protocol.origin },
        { "AppCoreProcessesPerApplication", set->processes_per_application.origin },
        { "AppCoreMaxConcurrency", set->max_concurrency.origin },
        { "AppCoreStartMode", set->start_mode.origin },
        { "AppCoreRecycleOnFileChange", set->recycle_files.origin },
    };
    const char *text = "";
    apr_size_t i;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); ++i) {
        if (all[i].is_set) {
            text = apr_pstrcat(p, text, *text ? ", " : "", all[i].directive, NULL);
        }
    }
    return text;
}

static void check_inside(ac_config_pass_t *pass, const char *where, const char *name,
                         const ac_settings_t *set)
{
    const char *idle = idle_inside(set, pass->ptemp);

    if (set->hosting_model.v == AC_HOSTING_IN_PROCESS && *idle) {
        ac_config_notice(pass, where, "app %s is hosted in process, as httpd's own user "
                         "and with its limits, once in every child: %s does not apply "
                         "there", name, idle);
    }
}

static void check_app(ac_config_pass_t *pass, const ac_config_known_t *known)
{
    const ac_settings_t *set = known->spec->set;
    const char *where = known->app ? known->app->where : known->first->where;
    const char *name = known->spec->name;

    if (set->environment_file.v
        && ac_envfile_is_inside(set->environment_file.v, known->spec->folder)) {
        ac_config_mistake(pass, where, "AppCoreEnvironmentFile %s lies inside of the "
                          "folder of app %s (%s), where the app could read or replace "
                          "it; keep it elsewhere, for instance in /etc/appcore",
                          set->environment_file.v, name, known->spec->folder);
    }
    check_inside(pass, where, name, set);
    if (set->user.v && geteuid() != 0) {
        ac_config_notice(pass, where, "AppCoreUser %s is ignored for app %s: httpd was "
                         "not started as root, so the app runs as httpd's own user",
                         set->user.v, name);
    }
    if (ac_processes_most(set) > 1) {
        ac_config_notice(pass, where, "app %s runs up to %u processes and any of them "
                         "may get a request; an app that keeps sessions in memory "
                         "(SignalR, for instance) needs AppCoreProcessesPerApplication "
                         "1, or clients that are bound to a process by other means", name,
                         ac_processes_most(set));
    }
}

static uint32_t log_index(ac_config_pass_t *pass, server_rec *s)
{
    int i;

    for (i = 0; i < pass->logs->nelts; ++i) {
        if (APR_ARRAY_IDX(pass->logs, i, server_rec *)->error_log == s->error_log) {
            return (uint32_t)i;
        }
    }
    APR_ARRAY_PUSH(pass->logs, server_rec *) = s;
    return (uint32_t)i;
}

/* An app that says no levels is not silenced by httpd's own default, warn: its
 * lines are left out only where LogLevel names this module. */
static void set_levels(ac_spec_t *spec, const server_rec *s)
{
    const signed char *modules = s->log.module_levels;
    int level = ap_get_server_module_loglevel(s, APLOG_MODULE_INDEX);
    int is_named = modules && modules[APLOG_MODULE_INDEX] >= 0;

    spec->log_level = (uint32_t)level;
    spec->plain_level = (uint32_t)(is_named || level > APLOG_INFO ? level : APLOG_INFO);
}

static ac_config_known_t *make_app(ac_config_pass_t *pass, server_rec *s,
                                   const ac_config_mount_t *mount, ac_config_app_t *app,
                                   const char *folder)
{
    ac_config_known_t *known = apr_pcalloc(pass->p, sizeof(*known));
    ac_spec_t *spec = apr_pcalloc(pass->p, sizeof(*spec));
    const ac_config_t *conf = ac_config_of(pass->main);

    spec->name = app ? app->name : derive_name(mount->prefix, folder, pass->p);
    spec->named = app != NULL;
    spec->prefix = mount->prefix;
    spec->folder = folder;
    spec->host = s->server_hostname ? s->server_hostname : "localhost";
    spec->scheme = ac_config_scheme(pass, s);
    spec->port = ac_config_port(s);
    spec->log_index = log_index(pass, s);
    set_levels(spec, s);
    spec->default_user = conf->default_user ? conf->default_user
                                            : pass->table->globals.server_user;
    spec->state_dir = pass->table->globals.state_dir;
    spec->companions = pass->table->globals.companions;
    spec->set = effective_settings(pass, mount, app);
    known->spec = spec;
    known->first = mount;
    known->app = app;
    fill_mount(&known->mount, spec, pass->p);
    known->mount.index = pass->apps->nelts;
    known->addresses = apr_array_make(pass->p, 1, sizeof(const char *));
    known->mount.addresses = known->addresses;
    APR_ARRAY_PUSH(pass->apps, ac_config_known_t *) = known;
    APR_ARRAY_PUSH(pass->table->specs, ac_spec_t *) = spec;
    check_app(pass, known);
    return known;
}

/* Two mounts mean one app: they must agree about it. */
static void compare_apps(ac_config_pass_t *pass, const ac_config_known_t *known,
                         const ac_config_mount_t *mount, const ac_config_app_t *app,
                         const char *folder)
{
    const char *difference;

    if (known->app && known->app == app) {
        return;
    }
    difference = strcmp(known->spec->folder, folder)
        ? "AppCorePath"
        : ac_config_difference(known->spec->set, effective_settings(pass, mount, app));
    if (difference) {
        ac_config_mistake(pass, mount->where, "app %s at %s/ is mounted at %s as well, "
                          "with another value of %s; it is one app and needs one value: "
                          "write an <AppCoreApp> outside of the virtual hosts and mount "
                          "its name in each, or mount another name or URL path here",
                          known->spec->name, mount->prefix, known->first->where,
                          difference);
    }
}

ac_config_known_t *ac_config_take_app(ac_config_pass_t *pass, server_rec *s,
                                      const ac_config_mount_t *mount)
{
    ac_config_known_t *known;
    ac_config_app_t *app;
    const char *folder, *id;

    if (!find_target(pass, mount, &app, &folder)) {
        return NULL;
    }
    if (app) {
        app->mounted = 1;
    }
    id = apr_pstrcat(pass->ptemp, app ? app->name : folder, " ", mount->prefix, NULL);
    known = apr_hash_get(pass->by_id, id, APR_HASH_KEY_STRING);
    if (!known) {
        known = make_app(pass, s, mount, app, folder);
        apr_hash_set(pass->by_id, id, APR_HASH_KEY_STRING, known);
    }
    else if (known->first != mount) {
        compare_apps(pass, known, mount, app, folder);
    }
    return known;
}
