/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_FOLDER_H
#define AC_SPEC_FOLDER_H

/* An app's folder, opened with care.
 *
 * Every component of its path, symbolic links included, must belong to root or
 * to the app's user; whoever else owns one could put another folder there. What
 * is read beneath it is a regular file, not reached through a link, of the same
 * owners and of limited size. One folder per look, closed with its pool. Calls
 * may block on the disk. */

#include <sys/types.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include "base/result.h"
#include "spec/watcher.h"

#define AC_FOLDER_ENTRIES_MAX 20000

typedef struct ac_folder_t {
    int fd;
    const char *path;
    uid_t uid;                  /* the app's user */
    apr_pool_t *p;
} ac_folder_t;

/* NULL with *res set when it does not exist or may not be trusted. */
ac_folder_t *ac_folder_open(const char *path, uid_t uid, ac_result_t *res, apr_pool_t *p);
/* The same, and the way there is watched. */
ac_folder_t *ac_folder_open_watched(const char *path, uid_t uid, ac_watcher_t *watcher,
                                    ac_result_t *res, apr_pool_t *p);

/* The whole file, NUL-terminated, its length in *plen. NULL with *res untouched:
 * there is none; NULL with a fault in *res: it may not or cannot be read. */
char *ac_folder_read(const ac_folder_t *folder, const char *name, apr_size_t *plen,
                     ac_result_t *res);

/* A descriptor for a file as above but of any size, closed by the caller; -1. */
int ac_folder_open_file(const ac_folder_t *folder, const char *name);

/* name is a path below the folder, or an absolute one. Links are followed: it is
 * the app's user who will use the file, not we. */
int ac_folder_has_file(const ac_folder_t *folder, const char *name);
/* Nobody but root and the app's user can write it. */
int ac_folder_trusts(const ac_folder_t *folder, const char *name);
int ac_folder_may_read(const ac_folder_t *folder, const char *name);
int ac_folder_has_program(const ac_folder_t *folder, const char *name);

/* name as the folder really spells it, for names that come from Windows: itself
 * if it exists, else the only top-level one that differs in case alone; NULL. */
const char *ac_folder_spelling(const ac_folder_t *folder, const char *name);

/* The regular file of that name, or one whose name differs in case alone; NULL. */
const char *ac_folder_any_spelling(const ac_folder_t *folder, const char *name);

/* Names of regular files directly in the folder that end in `suffix`, without
 * it, sorted; at most max. */
apr_array_header_t *ac_folder_list(const ac_folder_t *folder, const char *suffix,
                                   int max);

#endif
