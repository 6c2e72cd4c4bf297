/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_SETTINGS_H
#define AC_SPEC_SETTINGS_H

/* The settings of an app, listed once.
 *
 * AC_SETTINGS(NUM, STR, LIST) is expanded into the struct, its creation, its
 * merge, its encoding and (test/lint) the check that every one has a directive,
 * a range, a paragraph in the reference and a merge test. Each value remembers
 * where it came from; the higher origin wins, and among equals the later:
 * built-in < server config < virtual host < web.config < <AppCoreApp>.
 *
 * Plain data without descriptors or pids. Strings and lists live in the pool
 * that the struct was made in. Built on one thread, read-only afterwards. */

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include "base/wire.h"

typedef enum ac_origin_e {
    AC_ORIGIN_DEFAULT = 0,
    AC_ORIGIN_SERVER,
    AC_ORIGIN_VHOST,
    AC_ORIGIN_WEBCONFIG,
    AC_ORIGIN_APP
} ac_origin_e;

typedef struct ac_num_t { apr_int64_t v; ac_origin_e origin; } ac_num_t;
typedef struct ac_str_t { const char *v; ac_origin_e origin; } ac_str_t;
/* Elements: ac_env_var_t for environment and handler_settings, else const char *.
 * Never NULL. */
typedef struct ac_list_t { apr_array_header_t *v; ac_origin_e origin; } ac_list_t;

/* Lists of name and value that accumulate over origins, a later name winning. */
typedef struct ac_env_var_t {
    const char *name;
    const char *value;
    int secret;                 /* from AppCoreEnvironmentFile: never shown */
    ac_origin_e origin;         /* left at 0, a merge takes that of the list */
} ac_env_var_t;

#define AC_SETTINGS_PATH_MAX 2048
#define AC_SETTINGS_WARM_UP_MAX 16
#define AC_SETTINGS_LIST_MAX 1024       /* elements of a list, when decoded */

typedef enum ac_hosting_e {
    AC_HOSTING_OUT_OF_PROCESS = 0, AC_HOSTING_IN_PROCESS
} ac_hosting_e;
typedef enum ac_webconfig_e {
    AC_WEBCONFIG_OFF = 0, AC_WEBCONFIG_ON, AC_WEBCONFIG_IGNORE_ACCESS_RULES
} ac_webconfig_e;
typedef enum ac_listen_e {
    AC_LISTEN_AUTO = 0, AC_LISTEN_SOCKET, AC_LISTEN_TCP
} ac_listen_e;
/* How the app is spoken to; AUTO: to be found out. */
typedef enum ac_protocol_e {
    AC_PROTOCOL_AUTO = 0, AC_PROTOCOL_HTTP1, AC_PROTOCOL_H2C
} ac_protocol_e;
typedef enum ac_start_e { AC_START_ON_DEMAND = 0, AC_START_ALWAYS_RUNNING } ac_start_e;
typedef enum ac_tristate_e { AC_OFF = 0, AC_ON = 1, AC_AUTO = 2 } ac_tristate_e;
/* Resources of AppCoreLimit, in the order of the limit_* settings. */
#define AC_LIMIT_UNSET (-1)
#define AC_LIMIT_INFINITY (-2)

/* Units: _time is microseconds, _limit seconds, sizes are bytes.
 * processes_per_application: see ac_processes_least().
 * max_workers: N > 0 workers, N < 0 means -N percent. 0 means off where a
 * setting can be off. umask and limits: -1 is "as inherited". */
#define AC_SETTINGS(NUM, STR, LIST) \
    NUM(hosting_model, "AppCoreHostingModel", AC_HOSTING_OUT_OF_PROCESS) \
    STR(process_path, "AppCoreProcessPath", NULL) \
    STR(arguments, "AppCoreArguments", NULL) \
    LIST(environment, "AppCoreEnvironmentVariable") \
    STR(environment_file, "AppCoreEnvironmentFile", NULL) \
    STR(user, "AppCoreUser", NULL) \
    STR(group, "AppCoreUser", NULL) \
    NUM(web_config, "AppCoreWebConfig", AC_WEBCONFIG_ON) \
    LIST(handler_settings, "AppCoreHandlerSetting") \
    NUM(listen, "AppCoreListen", AC_LISTEN_AUTO) \
    NUM(protocol, "AppCoreProtocol", AC_PROTOCOL_AUTO) \
    NUM(processes_per_application, "AppCoreProcessesPerApplication", 1) \
    NUM(max_concurrency, "AppCoreMaxConcurrency", 0) \
    NUM(start_mode, "AppCoreStartMode", AC_START_ON_DEMAND) \
    NUM(startup_time_limit, "AppCoreStartupTimeLimit", 120) \
    NUM(shutdown_time_limit, "AppCoreShutdownTimeLimit", 10) \
    NUM(request_time, "AppCoreRequestTimeout", apr_time_from_sec(120)) \
    NUM(rapid_fails_per_minute, "AppCoreRapidFailsPerMinute", 10) \
    NUM(queue_limit, "AppCoreQueueLimit", 1000) \
    NUM(queue_time, "AppCoreQueueTimeLimit", apr_time_from_sec(30)) \
    NUM(max_workers, "AppCoreMaxWorkers", -50) \
    NUM(async, "AppCoreAsync", AC_ON) \
    NUM(keep_alive_hold, "AppCoreKeepAliveHold", apr_time_from_msec(2)) \
    NUM(async_limit, "AppCoreAsyncLimit", 0) \
    NUM(request_buffering, "AppCoreRequestBuffering", 0) \
    LIST(trusted_proxies, "AppCoreTrustedProxy") \
    NUM(stdout_log_enabled, "AppCoreStdoutLogEnabled", AC_AUTO) \
    STR(stdout_log_file, "AppCoreStdoutLogFile", NULL) \
    NUM(stdout_log_max_size, "AppCoreStdoutLogMaxSize", 10 * 1024 * 1024) \
    NUM(stdout_log_keep, "AppCoreStdoutLogKeep", 10) \
    NUM(disable_startup_error_page, "AppCoreDisableStartUpErrorPage", AC_OFF) \
    NUM(detailed_errors, "AppCoreDetailedErrors", AC_AUTO) \
    NUM(forward_windows_auth_token, "AppCoreForwardWindowsAuthToken", AC_ON) \
    NUM(forward_client_certificate, "AppCoreForwardClientCertificate", AC_ON) \
    NUM(websockets, "AppCoreWebSockets", AC_ON) \
    LIST(warm_up, "AppCoreWarmUpPath") \
    LIST(recycle_files, "AppCoreRecycleOnFileChange") \
    STR(static_files, "AppCoreStaticFiles", NULL) \
    LIST(sendfile, "AppCoreSendfile") \
    NUM(limit_nofile_soft, "AppCoreLimit", AC_LIMIT_UNSET) \
    NUM(limit_nofile_hard, "AppCoreLimit", AC_LIMIT_UNSET) \
    NUM(limit_nproc_soft, "AppCoreLimit", AC_LIMIT_UNSET) \
    NUM(limit_nproc_hard, "AppCoreLimit", AC_LIMIT_UNSET) \
    NUM(limit_as_soft, "AppCoreLimit", AC_LIMIT_UNSET) \
    NUM(limit_as_hard, "AppCoreLimit", AC_LIMIT_UNSET) \
    NUM(limit_cpu_soft, "AppCoreLimit", AC_LIMIT_UNSET) \
    NUM(limit_cpu_hard, "AppCoreLimit", AC_LIMIT_UNSET) \
    NUM(limit_core_soft, "AppCoreLimit", AC_LIMIT_UNSET) \
    NUM(limit_core_hard, "AppCoreLimit", AC_LIMIT_UNSET) \
    NUM(umask, "AppCoreUmask", -1)

typedef struct ac_settings_t {
#define AC_NUM_MEMBER(name, directive, dflt) ac_num_t name;
#define AC_STR_MEMBER(name, directive, dflt) ac_str_t name;
#define AC_LIST_MEMBER(name, directive) ac_list_t name;
    AC_SETTINGS(AC_NUM_MEMBER, AC_STR_MEMBER, AC_LIST_MEMBER)
#undef AC_NUM_MEMBER
#undef AC_STR_MEMBER
#undef AC_LIST_MEMBER
} ac_settings_t;

/* AppCoreProcessesPerApplication N is N itself, MIN-MAX is both in one number. */
#define AC_PROCESSES_RANGE(min, max) ((apr_int64_t)(min) << 8 | (max))
unsigned ac_processes_least(const ac_settings_t *set);
unsigned ac_processes_most(const ac_settings_t *set);
/* Requests at a time that are work enough for one process of a range. */
#define AC_PROCESS_SHARE 10
unsigned ac_processes_share(const ac_settings_t *set);

/* All built-in defaults, empty lists. */
ac_settings_t *ac_settings_create(apr_pool_t *p);

/* A new struct in p: per member the one of higher origin, `add` among equals;
 * what `add` leaves at its default is base's.
 * environment is the union by name, the value of higher origin winning. Names
 * are case-sensitive, as everywhere on Linux, but a name out of web.config also
 * means one that differs in case only, as ANCM has it; the value then comes from
 * the winner and the spelling from whichever was there first.
 * handler_settings likewise, by names of which the case never matters. */
ac_settings_t *ac_settings_merge(const ac_settings_t *base, const ac_settings_t *add,
                                 apr_pool_t *p);

/* Can it be the target of a request: "/…" of visible ASCII, at most 2048 bytes? */
int ac_settings_path_is_valid(const char *path);

/* A variable of set->environment, or NULL; names compare as in a merge. */
const ac_env_var_t *ac_settings_env(const ac_settings_t *set, const char *name);

/* The same whatever the case of the name, for names out of a web.config. */
const ac_env_var_t *ac_settings_env_any(const ac_settings_t *set, const char *name);
/* The value of a handler setting, or NULL; see spec/handler.h. */
const char *ac_settings_handler(const ac_settings_t *set, const char *name);

/* AppCoreDetailedErrors; auto is by what the environment of the app says. */
int ac_settings_shows_details(const ac_settings_t *set);

void ac_settings_put(ac_wire_writer_t *w, const ac_settings_t *set);
/* NULL and r->status set on any fault. */
ac_settings_t *ac_settings_get(ac_wire_reader_t *r, apr_pool_t *p);

#endif
