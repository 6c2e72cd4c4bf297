/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_CONF_CONF_H
#define AC_CONF_CONF_H

/* Directives to specs. The only room that knows command_rec.
 *
 * Server configs collect what was written; post_config resolves mounts into
 * ac_spec_t, one per app over all virtual hosts, and leaves per server a sorted
 * list of mounts. After that everything is read-only and shared by all threads
 * of a child. Memory is pconf's. Nothing here touches an app's folder. */

#include "httpd.h"
#include "http_config.h"
#include "apr_network_io.h"
#include "spec/spec.h"

/* One AppCoreMount of one virtual host, as requests see it. */
typedef struct ac_mount_t {
    const char *prefix;         /* without trailing slash, "" for "/" */
    apr_size_t prefix_len;
    const ac_spec_t *spec;
    apr_ipsubnet_t **trusted;   /* NULL-terminated */
    const apr_array_header_t *sendfile; /* absolute folders, const char * */
    const char *static_folder;  /* absolute, or NULL */
    const apr_array_header_t *addresses;        /* const char *: its URLs, at all
                                                 * virtual hosts */
    int index;                  /* 0 … number of apps - 1: per-child state of the app */
} ac_mount_t;

extern const command_rec ac_conf_commands[];

void *ac_conf_create_server(apr_pool_t *p, server_rec *s);
void *ac_conf_merge_server(apr_pool_t *p, void *base, void *add);
void *ac_conf_create_dir(apr_pool_t *p, char *dir);
void *ac_conf_merge_dir(apr_pool_t *p, void *base, void *add);

/* check_config hook, as far as configtest goes: resolves for mistakes and notices
 * alone. OK, or an error after logging every mistake. */
int ac_conf_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                  server_rec *main_server);

/* post_config, every pass: resolves for use. NULL after logging what is wrong.
 * *plog_servers: server_rec * by log_index; 0 is the main server. */
ac_spec_table_t *ac_conf_resolve(server_rec *main_server,
                                 apr_array_header_t **plog_servers, apr_pool_t *pconf,
                                 apr_pool_t *ptemp);

/* Mounts of a server: longest prefix first, prefixes of one length by memcmp, so
 * each length is a run for a binary search. Number of different apps. */
const ac_mount_t *ac_conf_mounts(server_rec *s, int *pn);
int ac_conf_app_count(void);
const ac_globals_t *ac_conf_globals(void);
/* AppCoreDotnetRoot; NULL: to be found. */
const char *ac_conf_dotnet_root(void);
/* AppCoreEnabled for this request's location: 1 unless switched off. */
int ac_conf_enabled(request_rec *r);
/* AuthGroupFile for this request's location, or NULL. */
const char *ac_conf_group_file(request_rec *r);
/* AppCoreAsync: the location's word, else the app's. */
int ac_conf_async(request_rec *r, const ac_mount_t *mount);
/* How many requests of a child may wait without a worker: AppCoreAsyncLimit of the
 * main server, as far as MPM and limit of open files permit. */
unsigned ac_conf_async_limit(void);
/* How many of these count as one busy worker. */
unsigned ac_conf_async_weight(void);

/* AppCoreKeepAliveHold of the main server, for every connection; 0: not set. */
apr_interval_time_t ac_conf_keep_alive_hold(void);

/* The value of a directive of another module, of which that module cannot be asked:
 * the first one in the configuration, NULL if there is none. */
const char *ac_conf_foreign(const char *directive);

#endif
