/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_COPY_H
#define AC_SPEC_COPY_H

/* Trees of files: brought up to date from another one, compared, removed.
 *
 * With the rights of the caller, which must be those of the app: nothing is
 * followed out of either tree, files get their name when they are complete, and
 * what is already as in the source stays, so an interrupted copy is gone on with.
 * Bounded in depth, entries and bytes. Calls block on the disk. */

#include <sys/types.h>
#include <apr_errno.h>

#define AC_COPY_DEPTH 32
#define AC_COPY_ENTRIES 100000
#define AC_COPY_BYTES (4LL * 1024 * 1024 * 1024)

typedef struct ac_copy_t {
    dev_t skip_dev;             /* a folder in the source that is left out */
    ino_t skip_ino;
    int entries;                /* so far, over all calls */
    long long bytes;
} ac_copy_t;

/* Everything in `from` to `to`, both open folders. Files that are only in `to`
 * stay. */
apr_status_t ac_copy_tree(ac_copy_t *copy, int from, int to);
/* 1 if both have the same files that end in `suffix`, by size and time. */
int ac_copy_same(ac_copy_t *copy, int from, int to, const char *suffix);
/* The folder of that name with all that is in it. */
apr_status_t ac_copy_remove(int parent, const char *name);

#endif
