/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_KEEPER_IDENTITY_H
#define AC_KEEPER_IDENTITY_H

/* As whom an app runs.
 *
 * AppCoreUser, else the owner of the folder, else (root owns it) the default
 * user; never uid or gid 0. An ordinary user's keeper runs apps as itself. All of
 * it happens in forked children: name services may be slow, and the keeper must
 * not wait for them. The faults are sentences for the error page. */

#include <sys/types.h>
#include <apr_pools.h>
#include "base/result.h"
#include "keeper/config.h"

#define AC_IDENTITY_GROUPS 1024

typedef struct ac_identity_t {
    uid_t uid;
    gid_t gid;
    int drop;                   /* 0: the keeper is an ordinary user already */
    char user[64];              /* its name, or #UID */
    char home[512];             /* as the user database says, or "" */
    gid_t groups[AC_IDENTITY_GROUPS];
    int n_groups;
} ac_identity_t;

/* 1, or 0 with *res set. */
int ac_identity_resolve(ac_identity_t *id, const ac_keeper_app_t *app, ac_result_t *res);
/* For manager and relay. Root becomes nobody. */
void ac_identity_server(ac_identity_t *id, uint32_t uid, uint32_t gid);
/* Becomes it, for good. 1, or 0 with *res set; then the process must end. */
int ac_identity_take(const ac_identity_t *id, ac_result_t *res);
/* With that identity: makes the app's folder the working folder. Every component
 * of its path must belong to root or the user; otherwise whoever owns one could
 * put a link there and have us act as the owner of what it leads to. */
int ac_identity_enter(const ac_identity_t *id, const ac_keeper_app_t *app,
                      ac_result_t *res);
/* A folder that the user may write to: its home, else one of its own below the
 * state dir, made if need be. NULL if neither is to be had. Before the take. */
const char *ac_identity_home(const ac_identity_t *id, const ac_keeper_app_t *app,
                             apr_pool_t *p);

#endif
