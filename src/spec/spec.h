/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_SPEC_H
#define AC_SPEC_SPEC_H

/* An app, described: everything that configuration says about it.
 *
 * One spec per app and reload, made by conf/ in httpd's parent from directives
 * alone (nobody there reads the app's folder), immutable afterwards. Children
 * of httpd use theirs from pconf; keeper and manager get the encoded table
 * through a sealed memfd and decode a copy of their own. A spec never holds a
 * descriptor or a pid. Two specs of equal id are the same app, two of equal
 * digest need no restart. Nothing here blocks. */

#include <stdint.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include "base/wire.h"
#include "spec/settings.h"

#define AC_SPEC_DIGEST 20               /* SHA-1: a fingerprint, no security */
#define AC_SPEC_TABLE_MAX (16 * 1024 * 1024)
#define AC_SPEC_APPS_MAX 2048

typedef struct ac_spec_t {
    uint64_t id;                /* of name-or-folder and prefix; never 0 */
    unsigned char digest[AC_SPEC_DIGEST];
    const char *name;           /* for logs and APPCORE_APP: <AppCoreApp NAME>,
                                   else the last segment of prefix, else of folder */
    int named;                  /* name is that of an <AppCoreApp> and makes the id;
                                   else the folder does */
    const char *prefix;         /* URL prefix without trailing slash, "" for "/" */
    const char *folder;         /* absolute, no trailing slash */
    const char *host;           /* ServerName of the first vhost that mounts it */
    const char *scheme;         /* "http" or "https", of that vhost */
    uint32_t port;              /* of that vhost; 0 unknown */
    uint32_t https_port;        /* the one TLS port of its vhosts, else 0 */
    int login;                  /* an AuthType is in force somewhere at its mounts */
    uint32_t log_index;         /* which handed-over error log is its own */
    uint32_t log_level;         /* what is written there: APLOG_* for this module */
    uint32_t plain_level;       /* and of what the app prints without a level */
    const char *default_user;   /* AppCoreDefaultUser or httpd's User */
    const char *state_dir;      /* AppCoreStateDir */
    const char *companions;     /* folder of spec/companion.h; NULL unknown */
    const ac_settings_t *set;   /* merged: default < server < vhost < app */
} ac_spec_t;

/* What the whole server shares; travels in front of the specs. */
typedef struct ac_globals_t {
    const char *runtime_dir;    /* absolute */
    const char *state_dir;
    const char *companions;     /* folder beside the module; NULL unknown */
    const char *server_user;    /* httpd's User; NULL when not started as root */
    uint32_t server_uid;        /* of httpd's User and Group */
    uint32_t server_gid;
    uint32_t max_spawns;
    uint32_t log_level;         /* APLOG_* of the main server for this module */
} ac_globals_t;

typedef struct ac_spec_table_t {
    ac_globals_t globals;
    apr_array_header_t *specs;  /* ac_spec_t * */
} ac_spec_table_t;

/* id and digest from the other members; call once when they are final. The
 * digest covers all that the running process can notice: nothing of the log. */
void ac_spec_seal(ac_spec_t *spec, apr_pool_t *ptemp);

void ac_spec_table_put(ac_wire_writer_t *w, const ac_spec_table_t *table);
/* NULL and r->status set on any fault. */
ac_spec_table_t *ac_spec_table_get(ac_wire_reader_t *r, apr_pool_t *p);

#endif
