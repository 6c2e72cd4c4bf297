/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_CONF_CONFIG_H
#define AC_CONF_CONFIG_H

/* What was written, before and after it is resolved; private to this room.
 *
 * Every server_rec with a directive of ours has one ac_config_t; the others
 * share the main server's, as httpd arranges it. Directives fill `own`, mounts
 * and apps; ac_conf_resolve() fills the second half once per pass. All of it
 * lives in pconf, so nothing outlives a pass. */

#include "httpd.h"
#include "http_config.h"
#include "apr_hash.h"
#include "conf/conf.h"
#include "spec/settings.h"

/* One <AppCoreApp>. */
typedef struct ac_config_app_t {
    const char *name;
    const char *where;          /* file:line */
    const char *folder;         /* AppCorePath, or NULL */
    ac_settings_t *set;         /* origin AC_ORIGIN_APP */
    struct ac_config_t *scope;  /* where it was defined */
    int mounted;
} ac_config_app_t;

/* One AppCoreMount. */
typedef struct ac_config_mount_t {
    const char *prefix;
    const char *target;         /* folder, or name of an app */
    const char *where;
    struct ac_config_t *scope;  /* where it was written */
} ac_config_mount_t;

typedef struct ac_config_t {
    struct ac_config_t *global; /* the main server's; NULL in itself */
    ac_settings_t *own;         /* this scope's values alone */
    const char *folder;         /* AppCorePath, default for apps of this scope */
    apr_array_header_t *apps;   /* ac_config_app_t * */
    apr_array_header_t *mounts; /* ac_config_mount_t * */
    ac_config_app_t *current;   /* the <AppCoreApp> being read, or NULL */

    /* Main server only. */
    const char *runtime_dir;
    const char *state_dir;
    const char *default_user;
    const char *dotnet_root;
    int max_spawns;             /* 0: by the number of cores */

    /* Resolved. */
    const ac_mount_t *sorted;
    int n_sorted;
    ac_spec_table_t *table;     /* main server only */
} ac_config_t;

typedef struct ac_config_dir_t {
    int enabled;                /* -1: not set */
    const char *group_file;     /* AuthGroupFile, or NULL */
    int async;                  /* -1: not set */
} ac_config_dir_t;

ac_config_t *ac_config_of(const server_rec *s);
/* A virtual host of ap_conftree is known by the place where it was defined. */
const char *ac_config_place(const char *file, unsigned line, apr_pool_t *p);
/* file:line of the directive being read. */
const char *ac_config_where(cmd_parms *cmd);

const char *ac_config_set_mount(cmd_parms *cmd, void *dconf, const char *prefix,
                                const char *target);
const char *ac_config_open_app(cmd_parms *cmd, void *dconf, const char *arg);

/* One pass of resolving. Mistakes are logged as they are found and counted, so
 * that one configtest shows all of them. */
typedef struct ac_config_pass_t {
    server_rec *main;
    apr_pool_t *p;              /* of what stays */
    apr_pool_t *ptemp;
    ac_spec_table_t *table;
    apr_array_header_t *apps;   /* ac_config_known_t *, parallel to table->specs */
    apr_hash_t *by_id;          /* the same by name-or-folder and prefix */
    apr_hash_t *env_files;      /* path -> array of ac_env_var_t */
    apr_array_header_t *logs;   /* server_rec * by log index */
    apr_hash_t *tls;            /* server_rec * of those that speak it */
    apr_array_header_t *logins; /* ac_config_login_t */
    int tls_global;             /* SSLEngine outside of virtual hosts; -1: not there */
    int checking;               /* no logs yet: mistakes and notices only */
    int mistakes;
} ac_config_pass_t;

/* An app of this pass. */
typedef struct ac_config_known_t {
    ac_spec_t *spec;
    ac_mount_t mount;           /* what its mounts have in common */
    apr_array_header_t *addresses;      /* mount.addresses, as it grows */
    const ac_config_mount_t *first;     /* the AppCoreMount that made it */
    const ac_config_app_t *app; /* its <AppCoreApp>, or NULL */
    uint32_t https_ports;       /* different TLS ports seen, up to two */
} ac_config_known_t;

/* The app that a mount of server s leads to, made on its first mount; NULL
 * after logging what is wrong. */
ac_config_known_t *ac_config_take_app(ac_config_pass_t *pass, server_rec *s,
                                      const ac_config_mount_t *mount);
void ac_config_mistake(ac_config_pass_t *pass, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void ac_config_notice(const ac_config_pass_t *pass, const char *where,
                      const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Names the first directive by which two merged settings differ, or NULL. */
const char *ac_config_difference(const ac_settings_t *a, const ac_settings_t *b);

/* Notices of an AppCoreAsyncLimit that cannot be had. */
void ac_config_check_async(const ac_config_pass_t *pass);

/* Where the administrator asks for a login. */
void ac_config_find_logins(ac_config_pass_t *pass);
/* 1 if an AuthType is in force at that URL prefix of the server, or at some URL
 * below it. */
int ac_config_has_login(const ac_config_pass_t *pass, const server_rec *s,
                        const char *prefix);

/* Scheme and port of a server, as clients see it. */
void ac_config_find_tls(ac_config_pass_t *pass);
const char *ac_config_scheme(const ac_config_pass_t *pass, const server_rec *s);
uint32_t ac_config_port(const server_rec *s);

#endif
