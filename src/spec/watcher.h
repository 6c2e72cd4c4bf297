/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_WATCHER_H
#define AC_SPEC_WATCHER_H

/* Having a folder watched by somebody who may not read it.
 *
 * The manager owns one inotify instance and no rights; the process that looks at
 * a folder has the app's identity and gets the instance's descriptor. The kernel
 * checks permission when a watch is added, so the look adds the watches, and the
 * manager reads the events. A watch is added before what it guards is read, so
 * nothing can change unnoticed in between. One watcher per look; never blocks. */

#include <stdint.h>
#include <apr_pools.h>
#include <apr_tables.h>

#define AC_WATCHED_MAX 128

typedef enum ac_watched_e {
    AC_WATCHED_WAY = 0,         /* a component of the folder's path */
    AC_WATCHED_PARENT,          /* where a component is missing */
    AC_WATCHED_FOLDER,
    AC_WATCHED_TMP,             /* tmp in the folder, for restart.txt */
    AC_WATCHED_FILES            /* where files of AppCoreRecycleOnFileChange are */
} ac_watched_e;

typedef struct ac_watched_t {
    int32_t number;             /* of the watch, as events name it */
    ac_watched_e what;
} ac_watched_t;

typedef struct ac_watcher_t {
    int fd;                     /* -1: nobody watches */
    int blind;                  /* errno: changes of the folder go unnoticed */
    apr_array_header_t *watched;        /* ac_watched_t */
} ac_watcher_t;

void ac_watcher_init(ac_watcher_t *watcher, int fd, apr_pool_t *p);
/* Watches what `fd` is open on: a folder, or the link itself. */
void ac_watcher_add(ac_watcher_t *watcher, int fd, ac_watched_e what);

#endif
