/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Resolving: every server gets its sorted list of mounts, all of them together
 * one table of apps. Runs twice per pass: in check_config, which is as far as
 * configtest goes, for mistakes and notices; and in post_config, when error logs
 * are open and the protocols of listeners known, for use. */

#include "conf/config.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <apr_strings.h>
#include "ap_listen.h"
#include "http_core.h"
#include "http_log.h"
#include "http_main.h"
#include "unixd.h"

APLOG_USE_MODULE(appcore);

#define DEFAULT_RUNTIME_DIR "appcore"
#define DEFAULT_STATE_DIR "/var/lib/appcore"
#define COMPANIONS "appcore"
/* sun_path has room for 107 characters, and below the runtime directory an app
 * makes "/p/" 16 digits "." 2 "." 10 "/app.sock". */
#define RUNTIME_DIR_MAX 62

uint32_t ac_config_port(const server_rec *s)
{
    if (s->is_virtual && s->addrs && s->addrs->host_port) {
        return s->addrs->host_port;
    }
    return s->port;
}

static void note_port(const ac_config_pass_t *pass, ac_config_known_t *known,
                      server_rec *s)
{
    uint32_t port;

    if (known->https_ports > 1 || strcmp(ac_config_scheme(pass, s), "https")) {
        return;
    }
    port = ac_config_port(s);
    if (!port) {
        port = 443;
    }
    if (known->https_ports == 0) {
        known->spec->https_port = port;
        known->https_ports = 1;
    }
    else if (known->spec->https_port != port) {
        /* ANCM names a port only where there is no doubt. */
        known->spec->https_port = 0;
        known->https_ports = 2;
    }
}

static void note_address(const ac_config_pass_t *pass, ac_config_known_t *known,
                         const server_rec *s, uint32_t port)
{
    const char *host = s->server_hostname ? s->server_hostname : "localhost";
    const char *url = apr_psprintf(pass->p, "%s://%s:%u%s", ac_config_scheme(pass, s),
                                   host, port, known->spec->prefix);
    int i;

    for (i = 0; i < known->addresses->nelts; ++i) {
        if (!strcmp(APR_ARRAY_IDX(known->addresses, i, const char *), url)) {
            return;
        }
    }
    APR_ARRAY_PUSH(known->addresses, const char *) = url;
}

/* A virtual host may have several ports; a main server that names none has those that
 * are listened to. */
static void note_addresses(const ac_config_pass_t *pass, ac_config_known_t *known,
                           const server_rec *s)
{
    const server_addr_rec *addr;
    const ap_listen_rec *lr;

    if (s->is_virtual) {
        for (addr = s->addrs; addr; addr = addr->next) {
            uint32_t port = addr->host_port ? addr->host_port : s->port;

            if (port) {
                note_address(pass, known, s, port);
            }
        }
    }
    else if (s->port) {
        note_address(pass, known, s, s->port);
    }
    else {
        for (lr = ap_listeners; lr; lr = lr->next) {
            note_address(pass, known, s, lr->bind_addr->port);
        }
    }
}

/* Longest prefix first; among equal lengths by bytes, so that one length is a
 * run in which a binary search works. */
static int compare_mounts(const void *a, const void *b)
{
    const ac_mount_t *ma = a, *mb = b;

    if (ma->prefix_len != mb->prefix_len) {
        return ma->prefix_len > mb->prefix_len ? -1 : 1;
    }
    return memcmp(ma->prefix, mb->prefix, ma->prefix_len);
}

static void add_mounts(ac_config_pass_t *pass, server_rec *s,
                       const apr_array_header_t *mounts, apr_hash_t *hidden,
                       apr_array_header_t *list)
{
    int i;

    for (i = 0; i < mounts->nelts; ++i) {
        const ac_config_mount_t *mount = APR_ARRAY_IDX(mounts, i, ac_config_mount_t *);
        ac_config_known_t *known;

        if (apr_hash_get(hidden, mount->prefix, APR_HASH_KEY_STRING)) {
            continue;
        }
        apr_hash_set(hidden, mount->prefix, APR_HASH_KEY_STRING, mount);
        known = ac_config_take_app(pass, s, mount);
        if (known) {
            APR_ARRAY_PUSH(list, ac_mount_t) = known->mount;
            note_port(pass, known, s);
            note_addresses(pass, known, s);
            known->spec->login |= ac_config_has_login(pass, s, mount->prefix);
        }
    }
}

/* A virtual host's own mounts, and those of the main server whose prefix it
 * does not use itself. */
static void resolve_server(ac_config_pass_t *pass, server_rec *s)
{
    ac_config_t *conf = ac_config_of(s);
    apr_hash_t *hidden = apr_hash_make(pass->ptemp);
    apr_array_header_t *list = apr_array_make(pass->p, conf->mounts->nelts + 1,
                                              sizeof(ac_mount_t));

    add_mounts(pass, s, conf->mounts, hidden, list);
    if (conf->global) {
        add_mounts(pass, s, conf->global->mounts, hidden, list);
    }
    if (pass->checking) {
        return;
    }
    qsort(list->elts, list->nelts, sizeof(ac_mount_t), compare_mounts);
    conf->sorted = (const ac_mount_t *)list->elts;
    conf->n_sorted = list->nelts;
}

static void report_unused(const ac_config_pass_t *pass, const ac_config_t *conf)
{
    int i;

    for (i = 0; i < conf->apps->nelts; ++i) {
        const ac_config_app_t *app = APR_ARRAY_IDX(conf->apps, i, ac_config_app_t *);

        if (!app->mounted) {
            ac_config_notice(pass, app->where, "<AppCoreApp %s> is mounted nowhere; "
                             "AppCoreMount /url-path %s would do so", app->name,
                             app->name);
        }
    }
}

static void check_runtime_dir(ac_config_pass_t *pass, const char *dir, int is_default)
{
    struct stat st;
    const char *parent = apr_pstrndup(pass->ptemp, dir, strrchr(dir, '/') - dir);

    if (strlen(dir) > RUNTIME_DIR_MAX) {
        ac_config_mistake(pass, "AppCoreRuntimeDir", "%s has %d characters; paths of "
                          "sockets are short, so at most %d are possible. Set "
                          "AppCoreRuntimeDir to a shorter path", dir, (int)strlen(dir),
                          RUNTIME_DIR_MAX);
    }
    if (!is_default && *parent && (stat(parent, &st) < 0 || !S_ISDIR(st.st_mode))) {
        ac_config_mistake(pass, "AppCoreRuntimeDir", "%s cannot be made: there is no "
                          "folder %s", dir, parent);
    }
}

/* The folder "appcore" beside this module, wherever that was loaded from. */
static const char *find_companions(apr_pool_t *p)
{
    static const char here;
    char real[PATH_MAX];
    Dl_info info;

    if (!dladdr(&here, &info) || !info.dli_fname || !realpath(info.dli_fname, real)) {
        return NULL;
    }
    return apr_pstrcat(p, ap_make_dirstr_parent(p, real), COMPANIONS, NULL);
}

static void fill_globals(ac_config_pass_t *pass)
{
    const ac_config_t *conf = ac_config_of(pass->main);
    ac_globals_t *globals = &pass->table->globals;
    int as_root = geteuid() == 0;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    globals->runtime_dir = conf->runtime_dir
        ? conf->runtime_dir : ap_runtime_dir_relative(pass->p, DEFAULT_RUNTIME_DIR);
    check_runtime_dir(pass, globals->runtime_dir, !conf->runtime_dir);
    globals->state_dir = conf->state_dir ? conf->state_dir : DEFAULT_STATE_DIR;
    globals->companions = find_companions(pass->p);
    globals->server_user = as_root ? ap_unixd_config.user_name : NULL;
    globals->server_uid = as_root ? ap_unixd_config.user_id : geteuid();
    globals->server_gid = as_root ? ap_unixd_config.group_id : getegid();
    globals->max_spawns = conf->max_spawns ? (uint32_t)conf->max_spawns
                                           : (uint32_t)(cores > 0 ? 2 * cores : 2);
    globals->log_level = (uint32_t)ap_get_server_module_loglevel(pass->main,
                                                                 APLOG_MODULE_INDEX);
}

static ac_config_pass_t *start_pass(server_rec *main_server, apr_pool_t *p,
                                    apr_pool_t *ptemp)
{
    ac_config_pass_t *pass = apr_pcalloc(ptemp, sizeof(*pass));

    pass->main = main_server;
    pass->p = p;
    pass->ptemp = ptemp;
    pass->table = apr_pcalloc(p, sizeof(*pass->table));
    pass->table->specs = apr_array_make(p, 16, sizeof(ac_spec_t *));
    pass->apps = apr_array_make(ptemp, 16, sizeof(ac_config_known_t *));
    pass->by_id = apr_hash_make(ptemp);
    pass->env_files = apr_hash_make(ptemp);
    pass->logs = apr_array_make(p, 8, sizeof(server_rec *));
    /* Index 0 is the main server's, for lines that belong to no app. */
    APR_ARRAY_PUSH(pass->logs, server_rec *) = main_server;
    return pass;
}

/* 0 after logging what is wrong. */
static int run_pass(ac_config_pass_t *pass)
{
    const ac_config_t *main_conf = ac_config_of(pass->main);
    server_rec *s;
    int i;

    fill_globals(pass);
    ac_config_find_tls(pass);
    ac_config_find_logins(pass);
    for (s = pass->main; s; s = s->next) {
        const ac_config_t *conf = ac_config_of(s);

        if (s == pass->main || conf != main_conf) {
            resolve_server(pass, s);
        }
        else {
            /* No directive of ours in it, so it shares the main server's. */
            add_mounts(pass, s, conf->mounts, apr_hash_make(pass->ptemp),
                       apr_array_make(pass->ptemp, 1, sizeof(ac_mount_t)));
        }
    }
    for (s = pass->main; s; s = s->next) {
        if (s == pass->main || ac_config_of(s) != main_conf) {
            report_unused(pass, ac_config_of(s));
        }
    }
    if (pass->table->specs->nelts > AC_SPEC_APPS_MAX) {
        ac_config_mistake(pass, "AppCoreMount", "%d apps are mounted; one httpd can have "
                          "%d at most", pass->table->specs->nelts, AC_SPEC_APPS_MAX);
    }
    ac_config_check_async(pass);
    for (i = 0; i < pass->table->specs->nelts; ++i) {
        ac_spec_seal(APR_ARRAY_IDX(pass->table->specs, i, ac_spec_t *), pass->ptemp);
    }
    return pass->mistakes == 0;
}

int ac_conf_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                  server_rec *main_server)
{
    ac_config_pass_t *pass = start_pass(main_server, ptemp, ptemp);

    (void)pconf;
    (void)plog;
    pass->checking = 1;
    return run_pass(pass) ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

ac_spec_table_t *ac_conf_resolve(server_rec *main_server,
                                 apr_array_header_t **plog_servers, apr_pool_t *pconf,
                                 apr_pool_t *ptemp)
{
    ac_config_pass_t *pass = start_pass(main_server, pconf, ptemp);

    if (!run_pass(pass)) {
        return NULL;
    }
    ac_config_of(main_server)->table = pass->table;
    *plog_servers = pass->logs;
    return pass->table;
}

const ac_mount_t *ac_conf_mounts(server_rec *s, int *pn)
{
    const ac_config_t *conf = ac_config_of(s);

    *pn = conf->n_sorted;
    return conf->sorted;
}

int ac_conf_app_count(void)
{
    const ac_spec_table_t *table = ac_config_of(ap_server_conf)->table;

    return table ? table->specs->nelts : 0;
}

const ac_globals_t *ac_conf_globals(void)
{
    const ac_spec_table_t *table = ac_config_of(ap_server_conf)->table;

    return table ? &table->globals : NULL;
}
