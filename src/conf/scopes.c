/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Where directives are collected: servers, virtual hosts, <AppCoreApp>. */

#include "conf/config.h"

#include <string.h>
#include <apr_strings.h>
#include "http_core.h"
#include "http_main.h"
#include "conf/values.h"

extern module AP_MODULE_DECLARE_DATA appcore_module;

ac_config_t *ac_config_of(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &appcore_module);
}

const char *ac_config_place(const char *file, unsigned line, apr_pool_t *p)
{
    return apr_psprintf(p, "%s:%u", file ? file : "", line);
}

const char *ac_config_where(cmd_parms *cmd)
{
    return apr_psprintf(cmd->pool, "%s:%d", cmd->directive->filename,
                        cmd->directive->line_num);
}

void *ac_conf_create_server(apr_pool_t *p, server_rec *s)
{
    ac_config_t *conf = apr_pcalloc(p, sizeof(*conf));

    (void)s;
    conf->own = ac_settings_create(p);
    conf->apps = apr_array_make(p, 4, sizeof(ac_config_app_t *));
    conf->mounts = apr_array_make(p, 4, sizeof(ac_config_mount_t *));
    return conf;
}

/* Apps and mounts point at their scope, so the virtual host's struct itself
 * stays and only learns of the main server's. Values are merged per app, when
 * all layers are known. */
void *ac_conf_merge_server(apr_pool_t *p, void *base, void *add)
{
    ac_config_t *conf = add;

    (void)p;
    conf->global = base;
    return conf;
}

void *ac_conf_create_dir(apr_pool_t *p, char *dir)
{
    ac_config_dir_t *conf = apr_pcalloc(p, sizeof(*conf));

    (void)dir;
    conf->enabled = -1;
    conf->async = -1;
    return conf;
}

void *ac_conf_merge_dir(apr_pool_t *p, void *base, void *add)
{
    const ac_config_dir_t *below = base, *above = add;
    ac_config_dir_t *conf = apr_palloc(p, sizeof(*conf));

    conf->enabled = above->enabled != -1 ? above->enabled : below->enabled;
    conf->group_file = above->group_file ? above->group_file : below->group_file;
    conf->async = above->async != -1 ? above->async : below->async;
    return conf;
}

int ac_conf_enabled(request_rec *r)
{
    const ac_config_dir_t *conf = ap_get_module_config(r->per_dir_config,
                                                       &appcore_module);

    return conf->enabled != 0;
}

const char *ac_conf_group_file(request_rec *r)
{
    const ac_config_dir_t *conf = ap_get_module_config(r->per_dir_config,
                                                       &appcore_module);

    return conf->group_file;
}

const char *ac_conf_dotnet_root(void)
{
    return ac_config_of(ap_server_conf)->dotnet_root;
}

apr_interval_time_t ac_conf_keep_alive_hold(void)
{
    ac_num_t hold = ac_config_of(ap_server_conf)->own->keep_alive_hold;

    return hold.origin == AC_ORIGIN_DEFAULT ? 0 : hold.v;
}

int ac_conf_async(request_rec *r, const ac_mount_t *mount)
{
    const ac_config_dir_t *conf = ap_get_module_config(r->per_dir_config,
                                                       &appcore_module);

    return conf->async != -1 ? conf->async : mount->spec->set->async.v == AC_ON;
}

static const ac_config_mount_t *find_mount(const ac_config_t *conf, const char *prefix)
{
    int i;

    for (i = 0; i < conf->mounts->nelts; ++i) {
        const ac_config_mount_t *mount = APR_ARRAY_IDX(conf->mounts, i,
                                                       ac_config_mount_t *);
        if (!strcmp(mount->prefix, prefix)) {
            return mount;
        }
    }
    return NULL;
}

/* A folder or a name; NULL once *ptarget is fit for use. */
static const char *check_target(const char **ptarget, const char *text, apr_pool_t *p)
{
    if (*text == '/') {
        return ac_value_folder(ptarget, text, p);
    }
    if (ac_value_app_name(text, p)) {
        return apr_pstrcat(p, "must mount an absolute folder or the name of an "
                           "<AppCoreApp>, not ", ac_value_quote(text, p), NULL);
    }
    *ptarget = text;
    return NULL;
}

const char *ac_config_set_mount(cmd_parms *cmd, void *dconf, const char *prefix,
                                const char *target)
{
    ac_config_t *conf = ac_config_of(cmd->server);
    ac_config_mount_t *mount = apr_pcalloc(cmd->pool, sizeof(*mount));
    const ac_config_mount_t *other;
    const char *err;

    (void)dconf;
    if (conf->current) {
        return "AppCoreMount stands outside of <AppCoreApp> and names it: "
               "AppCoreMount /url-path NAME";
    }
    err = ac_value_prefix(&mount->prefix, prefix, cmd->pool);
    if (!err) {
        err = check_target(&mount->target, target, cmd->pool);
    }
    if (err) {
        return apr_pstrcat(cmd->pool, "AppCoreMount ", err, NULL);
    }
    other = find_mount(conf, mount->prefix);
    if (other) {
        return apr_psprintf(cmd->pool, "AppCoreMount %s/ is already in use: %s mounts %s "
                            "there; a URL path belongs to one app", mount->prefix,
                            other->where, other->target);
    }
    mount->where = ac_config_where(cmd);
    mount->scope = conf;
    APR_ARRAY_PUSH(conf->mounts, ac_config_mount_t *) = mount;
    return NULL;
}

/* The name from "<AppCoreApp" on: one word, perhaps quoted, up to ">". */
static const char *take_name(const char **pname, const char *arg, apr_pool_t *p)
{
    const char *end = strrchr(arg, '>');
    const char *rest, *name;

    if (!end) {
        return "<AppCoreApp> lacks its closing \">\"";
    }
    rest = apr_pstrmemdup(p, arg, end - arg);
    name = ap_getword_conf(p, &rest);
    if (!*name || *rest) {
        return "<AppCoreApp> takes one name: <AppCoreApp NAME>";
    }
    *pname = name;
    name = ac_value_app_name(name, p);
    return name ? apr_pstrcat(p, "<AppCoreApp> ", name, NULL) : NULL;
}

/* Directives of other modules would silently apply to the whole server. */
static const char *check_contents(const cmd_parms *cmd, const char *name,
                                  const ap_directive_t **pwrong)
{
    const ap_directive_t *d;

    for (d = cmd->directive->first_child; d; d = d->next) {
        if (ap_cstr_casecmpn(d->directive, "AppCore", 7)
            && ap_cstr_casecmpn(d->directive, "<AppCoreApp", 11)) {
            *pwrong = d;
            return apr_psprintf(cmd->pool, "%s does not belong into <AppCoreApp %s>: "
                                "only AppCore directives do", d->directive, name);
        }
    }
    return NULL;
}

static const char *add_app(ac_config_app_t **papp, cmd_parms *cmd, const char *name)
{
    ac_config_t *conf = ac_config_of(cmd->server);
    ac_config_app_t *app;
    int i;

    for (i = 0; i < conf->apps->nelts; ++i) {
        app = APR_ARRAY_IDX(conf->apps, i, ac_config_app_t *);
        if (!strcmp(app->name, name)) {
            return apr_psprintf(cmd->pool, "<AppCoreApp %s> is already defined at %s; "
                                "give this one another name", name, app->where);
        }
    }
    app = apr_pcalloc(cmd->pool, sizeof(*app));
    app->name = name;
    app->where = ac_config_where(cmd);
    app->set = ac_settings_create(cmd->pool);
    app->scope = conf;
    APR_ARRAY_PUSH(conf->apps, ac_config_app_t *) = app;
    *papp = app;
    return NULL;
}

const char *ac_config_open_app(cmd_parms *cmd, void *dconf, const char *arg)
{
    ac_config_t *conf = ac_config_of(cmd->server);
    const ap_directive_t *wrong = NULL;
    const char *name, *err;

    (void)dconf;
    err = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
    if (!err && conf->current) {
        err = apr_psprintf(cmd->pool, "<AppCoreApp> cannot be inside of another one "
                           "(<AppCoreApp %s>)", conf->current->name);
    }
    if (!err) {
        err = take_name(&name, arg, cmd->pool);
    }
    if (!err) {
        err = check_contents(cmd, name, &wrong);
        cmd->err_directive = wrong;
    }
    if (!err) {
        err = add_app(&conf->current, cmd, name);
    }
    if (err) {
        return err;
    }
    err = ap_walk_config(cmd->directive->first_child, cmd, cmd->context);
    conf->current = NULL;
    return err;
}
