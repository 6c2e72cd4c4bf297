/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_KEEPER_CONFIG_H
#define AC_KEEPER_CONFIG_H

/* What the keeper believes of an app: the part of the parent's table that it
 * acts on. The rest, environment and secrets above all, is wiped as soon as the
 * table was read. Immutable; one per CONFIG, freed with its pool. */

#include <stdint.h>
#include <sys/resource.h>
#include <apr_pools.h>
#include <apr_time.h>
#include "spec/spec.h"

#define AC_KEEPER_LIMITS 5

typedef struct ac_keeper_limit_t {
    int resource;               /* RLIMIT_… */
    apr_int64_t soft;           /* AC_LIMIT_UNSET, AC_LIMIT_INFINITY or a number */
    apr_int64_t hard;
} ac_keeper_limit_t;

typedef struct ac_keeper_app_t {
    uint64_t id;
    const char *name;
    const char *folder;
    const char *user;           /* AppCoreUser, or NULL: the folder's owner */
    const char *group;
    const char *default_user;
    const char *state_dir;
    uint32_t log_index;
    uint32_t log_level;
    uint32_t plain_level;
    int umask;                  /* -1: as inherited */
    ac_keeper_limit_t limits[AC_KEEPER_LIMITS];
} ac_keeper_app_t;

typedef struct ac_keeper_config_t {
    apr_pool_t *p;
    const char *runtime_dir;
    uint32_t server_uid;
    uint32_t server_gid;
    uint32_t log_level;
    ac_keeper_app_t *apps;
    int n_apps;
} ac_keeper_config_t;

/* Reads the table from a descriptor of the parent; *pconfig has a pool of its
 * own, a child of p. */
apr_status_t ac_keeper_config_read(ac_keeper_config_t **pconfig, int fd, apr_pool_t *p);
/* NULL if id is not configured. config may be NULL. */
const ac_keeper_app_t *ac_keeper_config_find(const ac_keeper_config_t *config,
                                             uint64_t id);

#endif
