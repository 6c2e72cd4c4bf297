/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The command table. Settings of one number share set_number() and a rule that
 * says which member, how it is read and what is allowed. */

#include "conf/conf.h"

#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <string.h>
#include <apr_strings.h>
#include "http_core.h"
#include "conf/config.h"
#include "conf/values.h"
#include "spec/files.h"
#include "spec/handler.h"

extern module AP_MODULE_DECLARE_DATA appcore_module;

typedef struct number_t {
    apr_size_t member;          /* an ac_num_t of ac_settings_t */
    ac_value_parse_fn *parse;
    ac_value_rule_t rule;
} number_t;

#define MEMBER(name) offsetof(ac_settings_t, name)
#define WORDS(name, list) { MEMBER(name), ac_value_word, { list, 0, 0, 0 } }
#define RANGE(name, parse, min, max, off) \
    { MEMBER(name), ac_value_##parse, { NULL, min, max, off } }

#define MSEC APR_INT64_C(1000)
#define HOUR (3600 * (apr_int64_t)APR_USEC_PER_SEC)
#define KILO APR_INT64_C(1024)
#define GIGA (KILO * KILO * KILO)

static const ac_value_word_t switch_words[] = {
    { "On", AC_ON }, { "Off", AC_OFF }, { NULL, 0 }
};
static const ac_value_word_t tristate_words[] = {
    { "On", AC_ON }, { "Off", AC_OFF }, { "auto", AC_AUTO }, { NULL, 0 }
};
static const ac_value_word_t hosting_words[] = {
    { "OutOfProcess", AC_HOSTING_OUT_OF_PROCESS },
    { "InProcess", AC_HOSTING_IN_PROCESS },
    { NULL, 0 }
};
static const ac_value_word_t web_config_words[] = {
    { "On", AC_WEBCONFIG_ON },
    { "Off", AC_WEBCONFIG_OFF },
    { "IgnoreAccessRules", AC_WEBCONFIG_IGNORE_ACCESS_RULES },
    { NULL, 0 }
};
static const ac_value_word_t listen_words[] = {
    { "auto", AC_LISTEN_AUTO },
    { "socket", AC_LISTEN_SOCKET },
    { "tcp", AC_LISTEN_TCP },
    { NULL, 0 }
};
static const ac_value_word_t protocol_words[] = {
    { "auto", AC_PROTOCOL_AUTO },
    { "http/1.1", AC_PROTOCOL_HTTP1 },
#ifdef APPCORE_HTTP2
    { "h2c", AC_PROTOCOL_H2C },
#endif
    { NULL, 0 }
};
static const ac_value_word_t start_words[] = {
    { "OnDemand", AC_START_ON_DEMAND },
    { "AlwaysRunning", AC_START_ALWAYS_RUNNING },
    { NULL, 0 }
};

static const number_t
    hosting_model = WORDS(hosting_model, hosting_words),
    web_config = WORDS(web_config, web_config_words),
    listen_how = WORDS(listen, listen_words),
    protocol = WORDS(protocol, protocol_words),
    start_mode = WORDS(start_mode, start_words),
    processes = RANGE(processes_per_application, range, 1, 100, 0),
    concurrency = RANGE(max_concurrency, number, 1, 10000, 1),
    startup_time = RANGE(startup_time_limit, number, 0, 3600, 0),
    shutdown_time = RANGE(shutdown_time_limit, number, 0, 600, 0),
    request_time = RANGE(request_time, time, MSEC, 24 * HOUR, 0),
    rapid_fails = RANGE(rapid_fails_per_minute, number, 0, 100, 0),
    queue_limit = RANGE(queue_limit, number, 0, 65535, 0),
    queue_time = RANGE(queue_time, time, 0, HOUR, 0),
    max_workers = RANGE(max_workers, share, 1, 65535, 0),
    request_buffering = RANGE(request_buffering, size, 1, GIGA, 1),
    log_enabled = WORDS(stdout_log_enabled, switch_words),
    log_size = RANGE(stdout_log_max_size, size, KILO, 1024 * GIGA, 0),
    log_keep = RANGE(stdout_log_keep, number, 1, 10000, 0),
    no_error_page = WORDS(disable_startup_error_page, switch_words),
    detailed_errors = WORDS(detailed_errors, tristate_words),
    forward_user = WORDS(forward_windows_auth_token, switch_words),
    forward_cert = WORDS(forward_client_certificate, switch_words),
    websockets = WORDS(websockets, switch_words),
    async = WORDS(async, switch_words),
    keep_alive_hold = RANGE(keep_alive_hold, time, MSEC, 1000 * MSEC, 1),
    async_limit = RANGE(async_limit, number, 1, 1000000, 0),
    umask_bits = { MEMBER(umask), ac_value_umask, { NULL, 0, 0777, 0 } };

/* The settings that a directive goes to, and how high they rank. */
static ac_settings_t *settings_of(const cmd_parms *cmd, ac_origin_e *porigin)
{
    ac_config_t *conf = ac_config_of(cmd->server);

    if (conf->current) {
        *porigin = AC_ORIGIN_APP;
        return conf->current->set;
    }
    *porigin = cmd->server->is_virtual ? AC_ORIGIN_VHOST : AC_ORIGIN_SERVER;
    return conf->own;
}

static const char *named(const cmd_parms *cmd, const char *err)
{
    return err ? apr_pstrcat(cmd->pool, cmd->cmd->name, " ", err, NULL) : NULL;
}

static const char *set_number(cmd_parms *cmd, void *dconf, const char *arg)
{
    const number_t *number = cmd->info;
    ac_origin_e origin;
    char *set = (char *)settings_of(cmd, &origin);
    ac_num_t *num = (ac_num_t *)(set + number->member);
    const char *err = number->parse(&num->v, arg, &number->rule, cmd->pool);

    (void)dconf;
    if (!err) {
        num->origin = origin;
    }
    return named(cmd, err);
}

static const char *set_string(cmd_parms *cmd, void *dconf, const char *arg)
{
    ac_origin_e origin;
    char *set = (char *)settings_of(cmd, &origin);
    ac_str_t *str = (ac_str_t *)(set + (apr_size_t)cmd->info);

    (void)dconf;
    if (!*arg) {
        return named(cmd, "must not be empty");
    }
    str->v = arg;
    str->origin = origin;
    return NULL;
}

/* The last word of a line, which may be "": httpd's own parsing takes that for no
 * word at all. */
static const char *take_last(const char **pword, cmd_parms *cmd, const char *rest)
{
    if (!*rest) {
        return named(cmd, apr_pstrcat(cmd->pool, "takes ", cmd->cmd->errmsg, NULL));
    }
    *pword = ap_getword_conf(cmd->pool, &rest);
    return *rest ? named(cmd, apr_pstrcat(cmd->pool, "takes ", cmd->cmd->errmsg,
                                          "; put quotes around what has spaces", NULL))
                 : NULL;
}

/* Arguments may be empty: that takes back what a scope above says. */
static const char *set_arguments(cmd_parms *cmd, void *dconf, const char *line)
{
    ac_origin_e origin;
    ac_settings_t *set = settings_of(cmd, &origin);
    const char *arg, *err = take_last(&arg, cmd, line);

    (void)dconf;
    if (err) {
        return err;
    }
    set->arguments.v = arg;
    set->arguments.origin = origin;
    return NULL;
}

/* A later one of that name replaces an earlier one. */
static void put_pair(ac_list_t *list, const char *name, const char *value,
                     ac_origin_e origin, int (*compare)(const char *, const char *))
{
    ac_env_var_t *pairs = (ac_env_var_t *)list->v->elts, *pair = NULL;
    int i;

    for (i = 0; i < list->v->nelts && !pair; ++i) {
        pair = compare(pairs[i].name, name) ? NULL : &pairs[i];
    }
    if (!pair) {
        pair = apr_array_push(list->v);
    }
    pair->name = name;
    pair->value = value;
    pair->secret = 0;
    pair->origin = origin;
    list->origin = origin;
}

static const char *set_environment(cmd_parms *cmd, void *dconf, const char *line)
{
    ac_origin_e origin;
    ac_settings_t *set = settings_of(cmd, &origin);
    const char *name = ap_getword_conf(cmd->pool, &line), *value;
    const char *err = take_last(&value, cmd, line);

    (void)dconf;
    if (!err) {
        err = named(cmd, ac_value_env_name(name, cmd->pool));
    }
    if (!err) {
        put_pair(&set->environment, name, value, origin, strcmp);
    }
    return err;
}

static const char *set_handler(cmd_parms *cmd, void *dconf, const char *name,
                               const char *value)
{
    ac_origin_e origin;
    ac_settings_t *set = settings_of(cmd, &origin);
    const char *err = named(cmd, ac_handler_check(name, value, cmd->pool));

    (void)dconf;
    if (!err) {
        put_pair(&set->handler_settings, name, value, origin, strcasecmp);
    }
    return err;
}

static const char *set_environment_file(cmd_parms *cmd, void *dconf, const char *arg)
{
    const char *path;
    const char *err = ac_value_folder(&path, arg, cmd->pool);

    return err ? named(cmd, err) : set_string(cmd, dconf, path);
}

/* The primary group does not matter beside a group that is named. */
static const char *check_user(const char *name, const char *group, apr_pool_t *p)
{
    const struct passwd *pw = getpwnam(name);

    if (!pw) {
        return apr_pstrcat(p, "names the user ", ac_value_quote(name, p),
                           ", which does not exist on this machine", NULL);
    }
    if (pw->pw_uid == 0) {
        return "must name a user other than root: apps never run with uid 0";
    }
    return pw->pw_gid || group ? NULL : "must name a user whose group is not root's: "
                                        "apps never run with gid 0";
}

static const char *check_group(const char *name, apr_pool_t *p)
{
    const struct group *gr = getgrnam(name);

    if (!gr) {
        return apr_pstrcat(p, "names the group ", ac_value_quote(name, p),
                           ", which does not exist on this machine", NULL);
    }
    return gr->gr_gid ? NULL : "must name a group other than root's: apps never run "
                               "with gid 0";
}

static const char *set_user(cmd_parms *cmd, void *dconf, const char *user,
                            const char *group)
{
    ac_origin_e origin;
    ac_settings_t *set = settings_of(cmd, &origin);
    const char *err = check_user(user, group, cmd->pool);

    (void)dconf;
    if (!err && group) {
        err = check_group(group, cmd->pool);
    }
    if (err) {
        return named(cmd, err);
    }
    set->user.v = user;
    set->user.origin = origin;
    /* The pair stays together: a group belongs to the user beside it. */
    set->group.v = group;
    set->group.origin = origin;
    return NULL;
}

/* Repeated words of one scope add up. */
static void add_to_list(ac_list_t *list, const char *word, ac_origin_e origin)
{
    APR_ARRAY_PUSH(list->v, const char *) = word;
    list->origin = origin;
}

static const char *add_trusted_proxy(cmd_parms *cmd, void *dconf, const char *arg)
{
    ac_origin_e origin;
    ac_settings_t *set = settings_of(cmd, &origin);
    apr_ipsubnet_t *subnet;
    const char *err = ac_value_subnet(&subnet, arg, cmd->pool);

    (void)dconf;
    if (!err) {
        add_to_list(&set->trusted_proxies, arg, origin);
    }
    return named(cmd, err);
}

static const char *add_sendfile(cmd_parms *cmd, void *dconf, const char *arg)
{
    ac_origin_e origin;
    ac_settings_t *set = settings_of(cmd, &origin);
    const char *folder;
    const char *err = *arg == '/' ? ac_value_folder(&folder, arg, cmd->pool)
                                  : ac_value_beneath(&folder, arg, cmd->pool);

    (void)dconf;
    if (!err) {
        add_to_list(&set->sendfile, folder, origin);
    }
    return named(cmd, err);
}

static const char *add_warm_up(cmd_parms *cmd, void *dconf, const char *arg)
{
    ac_origin_e origin;
    ac_settings_t *set = settings_of(cmd, &origin);
    const char *err = ac_value_path(arg, cmd->pool);

    (void)dconf;
    if (!err) {
        add_to_list(&set->warm_up, arg, origin);
    }
    return named(cmd, err);
}

static const char *add_recycle_file(cmd_parms *cmd, void *dconf, const char *arg)
{
    ac_origin_e origin;
    ac_settings_t *set = settings_of(cmd, &origin);
    ac_list_t *list = &set->recycle_files;

    (void)dconf;
    if (!strcasecmp(arg, "Off")) {
        apr_array_clear(list->v);
        list->origin = origin;
        return NULL;
    }
    if (!ac_files_is_pattern(arg) || list->v->nelts == AC_FILES_MAX) {
        return named(cmd, apr_psprintf(cmd->pool, "must be up to %d paths relative to "
                                       "the app's folder, without . or .. and with *, ? "
                                       "or [...] in the last segment alone, or Off",
                                       AC_FILES_MAX));
    }
    add_to_list(list, arg, origin);
    return NULL;
}

static const char *set_static_files(cmd_parms *cmd, void *dconf, const char *arg)
{
    ac_origin_e origin;
    ac_settings_t *set = settings_of(cmd, &origin);
    const char *folder = NULL, *err = NULL;

    (void)dconf;
    if (strcasecmp(arg, "Off")) {
        err = ac_value_beneath(&folder, arg, cmd->pool);
    }
    if (!err) {
        set->static_files.v = folder;
        set->static_files.origin = origin;
    }
    else {
        err = apr_pstrcat(cmd->pool, err, "; or Off", NULL);
    }
    return named(cmd, err);
}

static const char *set_log_file(cmd_parms *cmd, void *dconf, const char *arg)
{
    ac_origin_e origin;
    ac_settings_t *set = settings_of(cmd, &origin);
    const char *program = *arg == '|' ? arg + 1 + strspn(arg + 1, " ") : NULL;

    (void)dconf;
    if (!*arg || (program && *program != '/')) {
        return named(cmd, "must be errorlog, the prefix of a file, or \"|program\" with "
                     "the program's absolute path");
    }
    set->stdout_log_file.v = strcasecmp(arg, "errorlog") ? arg : NULL;
    set->stdout_log_file.origin = origin;
    return NULL;
}

static const char *set_limit(cmd_parms *cmd, void *dconf, const char *what,
                             const char *value)
{
    static const struct {
        const char *name;
        apr_size_t soft, hard;
        ac_value_unit_e unit;
    } limits[] = {
        { "nofile", MEMBER(limit_nofile_soft), MEMBER(limit_nofile_hard), AC_UNIT_COUNT },
        { "nproc", MEMBER(limit_nproc_soft), MEMBER(limit_nproc_hard), AC_UNIT_COUNT },
        { "as", MEMBER(limit_as_soft), MEMBER(limit_as_hard), AC_UNIT_BYTES },
        { "cpu", MEMBER(limit_cpu_soft), MEMBER(limit_cpu_hard), AC_UNIT_SECONDS },
        { "core", MEMBER(limit_core_soft), MEMBER(limit_core_hard), AC_UNIT_BYTES },
    };
    ac_origin_e origin;
    char *set = (char *)settings_of(cmd, &origin);
    apr_int64_t pair[2];
    const char *err;
    apr_size_t i;

    (void)dconf;
    for (i = 0; i < sizeof(limits) / sizeof(limits[0]); ++i) {
        if (strcasecmp(what, limits[i].name)) {
            continue;
        }
        err = ac_value_rlimit(pair, value, limits[i].unit, cmd->pool);
        if (!err) {
            *(ac_num_t *)(set + limits[i].soft) = (ac_num_t){ pair[0], origin };
            *(ac_num_t *)(set + limits[i].hard) = (ac_num_t){ pair[1], origin };
            return NULL;
        }
        return apr_pstrcat(cmd->pool, "AppCoreLimit ", limits[i].name, " ", err, NULL);
    }
    return named(cmd, apr_pstrcat(cmd->pool, "must limit nofile, nproc, as, cpu or core, "
                                  "not ", ac_value_quote(what, cmd->pool), NULL));
}

static const char *set_path(cmd_parms *cmd, void *dconf, const char *arg)
{
    ac_config_t *conf = ac_config_of(cmd->server);

    (void)dconf;
    return named(cmd, ac_value_folder(conf->current ? &conf->current->folder
                                                    : &conf->folder, arg, cmd->pool));
}

/* What belongs to the whole server: NULL where it may stand. */
static const char *only_global(cmd_parms *cmd)
{
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (!err && ac_config_of(cmd->server)->current) {
        err = named(cmd, "belongs to the whole server and cannot stand inside of "
                    "<AppCoreApp>");
    }
    return err;
}

static const char *set_runtime_dir(cmd_parms *cmd, void *dconf, const char *arg)
{
    const char *err = only_global(cmd);
    const char *path = ap_runtime_dir_relative(cmd->pool, arg);

    (void)dconf;
    if (!err) {
        err = path ? named(cmd, ac_value_folder(&ac_config_of(cmd->server)->runtime_dir,
                                                path, cmd->pool))
                   : "AppCoreRuntimeDir must be a valid path";
    }
    return err;
}

static const char *set_state_dir(cmd_parms *cmd, void *dconf, const char *arg)
{
    const char *err = only_global(cmd);

    (void)dconf;
    return err ? err : named(cmd, ac_value_folder(&ac_config_of(cmd->server)->state_dir,
                                                  arg, cmd->pool));
}

static const char *set_dotnet_root(cmd_parms *cmd, void *dconf, const char *arg)
{
    const char *err = only_global(cmd);

    (void)dconf;
    return err ? err : named(cmd, ac_value_folder(&ac_config_of(cmd->server)->dotnet_root,
                                                  arg, cmd->pool));
}

static const char *set_max_spawns(cmd_parms *cmd, void *dconf, const char *arg)
{
    static const ac_value_rule_t rule = { NULL, 1, 1024, 0 };
    const char *err = only_global(cmd);
    apr_int64_t n = 0;

    (void)dconf;
    if (!err) {
        err = named(cmd, ac_value_number(&n, arg, &rule, cmd->pool));
    }
    ac_config_of(cmd->server)->max_spawns = (int)n;
    return err;
}

static const char *set_default_user(cmd_parms *cmd, void *dconf, const char *arg)
{
    const char *err = only_global(cmd);

    (void)dconf;
    if (!err) {
        err = named(cmd, check_user(arg, NULL, cmd->pool));
    }
    ac_config_of(cmd->server)->default_user = arg;
    return err;
}

static const char *set_enabled(cmd_parms *cmd, void *dconf, int on)
{
    ac_config_dir_t *dir = dconf;

    (void)cmd;
    dir->enabled = on;
    return NULL;
}

/* mod_authz_groupfile's own directive: httpd hands it to every module that knows it.
 * Which groups a user is in, that module tells nobody. */
static const char *see_group_file(cmd_parms *cmd, void *dconf, const char *arg)
{
    ac_config_dir_t *dir = dconf;

    if (!ap_find_linked_module("mod_authz_groupfile.c")) {
        return "AuthGroupFile needs mod_authz_groupfile, which is not loaded";
    }
    dir->group_file = ap_server_root_relative(cmd->pool, arg);
    return NULL;
}

/* In a location it is for the requests there, elsewhere for apps. */
static const char *set_async(cmd_parms *cmd, void *dconf, const char *arg)
{
    ac_config_dir_t *dir = dconf;
    apr_int64_t v = 0;
    const char *err;

    if (!cmd->path) {
        return set_number(cmd, dconf, arg);
    }
    err = named(cmd, async.parse(&v, arg, &async.rule, cmd->pool));
    dir->async = (int)v;
    return err;
}

#define NUMBER(name, number, help) \
    AP_INIT_TAKE1(name, set_number, (void *)&number, RSRC_CONF, help)
#define STRING(name, member, help) \
    AP_INIT_TAKE1(name, set_string, (void *)MEMBER(member), RSRC_CONF, help)

const command_rec ac_conf_commands[] = {
    AP_INIT_TAKE2("AppCoreMount", ac_config_set_mount, NULL, RSRC_CONF,
                  "a URL path, and the folder or <AppCoreApp> that answers below it"),
    AP_INIT_RAW_ARGS("<AppCoreApp", ac_config_open_app, NULL, RSRC_CONF,
                     "an app with settings of its own"),
    AP_INIT_FLAG("AppCoreEnabled", set_enabled, NULL, ACCESS_CONF,
                 "Off: this URL belongs to the rest of httpd"),
    AP_INIT_TAKE1("AppCorePath", set_path, NULL, RSRC_CONF,
                  "the app's folder, an absolute path"),
    NUMBER("AppCoreHostingModel", hosting_model, "OutOfProcess or InProcess"),
    STRING("AppCoreProcessPath", process_path, "the program to run"),
    AP_INIT_RAW_ARGS("AppCoreArguments", set_arguments, NULL, RSRC_CONF,
                     "one word, the program's arguments"),
    AP_INIT_RAW_ARGS("AppCoreEnvironmentVariable", set_environment, NULL, RSRC_CONF,
                     "two words, a name and a value"),
    AP_INIT_TAKE1("AppCoreEnvironmentFile", set_environment_file,
                  (void *)MEMBER(environment_file), RSRC_CONF,
                  "a file of NAME=VALUE lines, for secrets"),
    AP_INIT_TAKE12("AppCoreUser", set_user, NULL, RSRC_CONF,
                   "the user, and perhaps the group, that the app runs as"),
    NUMBER("AppCoreWebConfig", web_config, "On, Off or IgnoreAccessRules"),
    AP_INIT_TAKE2("AppCoreHandlerSetting", set_handler, NULL, RSRC_CONF,
                  "a handler setting of ANCM and its value"),
    NUMBER("AppCoreListen", listen_how, "auto, socket or tcp"),
    NUMBER("AppCoreProtocol", protocol, "auto, http/1.1 or h2c"),
    NUMBER("AppCoreProcessesPerApplication", processes,
           "a number from 1 to 100, or MIN-MAX"),
    NUMBER("AppCoreMaxConcurrency", concurrency,
           "requests at a time per process, or Off"),
    NUMBER("AppCoreStartMode", start_mode, "OnDemand or AlwaysRunning"),
    NUMBER("AppCoreStartupTimeLimit", startup_time, "seconds from 0 to 3600"),
    NUMBER("AppCoreShutdownTimeLimit", shutdown_time, "seconds from 0 to 600"),
    NUMBER("AppCoreRequestTimeout", request_time, "longest silence of the app"),
    NUMBER("AppCoreRapidFailsPerMinute", rapid_fails, "a number from 0 to 100"),
    NUMBER("AppCoreQueueLimit", queue_limit, "requests that may wait for the app"),
    NUMBER("AppCoreQueueTimeLimit", queue_time, "how long a request may wait"),
    NUMBER("AppCoreMaxWorkers", max_workers, "workers of a child, N or N%"),
    AP_INIT_TAKE1("AppCoreAsync", set_async, (void *)&async, RSRC_CONF | ACCESS_CONF,
                  "On or Off: requests that wait give their worker back"),
    NUMBER("AppCoreKeepAliveHold", keep_alive_hold,
           "how long a worker waits for a connection's next request, or Off"),
    NUMBER("AppCoreAsyncLimit", async_limit, "requests of a child that wait so"),
    NUMBER("AppCoreRequestBuffering", request_buffering, "a size, or Off"),
    AP_INIT_ITERATE("AppCoreTrustedProxy", add_trusted_proxy, NULL, RSRC_CONF,
                    "addresses whose forwarded headers are believed"),
    NUMBER("AppCoreStdoutLogEnabled", log_enabled, "On or Off"),
    AP_INIT_TAKE1("AppCoreStdoutLogFile", set_log_file, NULL, RSRC_CONF,
                  "errorlog, a file prefix, or \"|program\""),
    NUMBER("AppCoreStdoutLogMaxSize", log_size, "size at which a log file is rotated"),
    NUMBER("AppCoreStdoutLogKeep", log_keep, "how many rotated log files stay"),
    NUMBER("AppCoreDisableStartUpErrorPage", no_error_page, "On or Off"),
    NUMBER("AppCoreDetailedErrors", detailed_errors, "On, Off or auto"),
    NUMBER("AppCoreForwardWindowsAuthToken", forward_user, "On or Off"),
    NUMBER("AppCoreForwardClientCertificate", forward_cert, "On or Off"),
    NUMBER("AppCoreWebSockets", websockets, "On or Off"),
    AP_INIT_TAKE1("AppCoreStaticFiles", set_static_files, NULL, RSRC_CONF,
                  "a folder below the app's whose files httpd serves itself, or Off"),
    AP_INIT_ITERATE("AppCoreWarmUpPath", add_warm_up, NULL, RSRC_CONF,
                    "paths of the app that are requested before it is ready"),
    AP_INIT_ITERATE("AppCoreRecycleOnFileChange", add_recycle_file, NULL, RSRC_CONF,
                    "files of the app whose change replaces it, or Off"),
    AP_INIT_ITERATE("AppCoreSendfile", add_sendfile, NULL, RSRC_CONF,
                    "folders from which the app may let httpd send files"),
    AP_INIT_TAKE2("AppCoreLimit", set_limit, NULL, RSRC_CONF,
                  "nofile, nproc, as, cpu or core, and SOFT[:HARD]"),
    NUMBER("AppCoreUmask", umask_bits, "an octal number"),
    AP_INIT_TAKE1("AppCoreRuntimeDir", set_runtime_dir, NULL, RSRC_CONF,
                  "folder of sockets, below httpd's runtime directory"),
    AP_INIT_TAKE1("AppCoreStateDir", set_state_dir, NULL, RSRC_CONF,
                  "folder of what apps keep"),
    AP_INIT_TAKE1("AppCoreMaxSpawns", set_max_spawns, NULL, RSRC_CONF,
                  "processes that may be starting at a time"),
    AP_INIT_TAKE1("AppCoreDefaultUser", set_default_user, NULL, RSRC_CONF,
                  "the user of apps whose folder belongs to root"),
    AP_INIT_TAKE1("AppCoreDotnetRoot", set_dotnet_root, NULL, RSRC_CONF,
                  "folder of the .NET that apps in process use"),
    AP_INIT_TAKE1("AuthGroupFile", see_group_file, NULL, OR_AUTHCFG,
                  "groups that apps are told with their members"),
    { .name = NULL }
};
