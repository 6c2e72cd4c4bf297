/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SHARED_OFFLINE_H
#define AC_SHARED_OFFLINE_H

/* The page of an app that is offline: a copy of its app_offline.htm.
 *
 * One file per app, RUNTIMEDIR/r/ID.offline, in a folder that only httpd's user
 * can enter. The manager writes it before the board says that the app is
 * offline and leaves it there afterwards, for requests that saw the board just
 * before; httpd's children read it, since they may not read the app's folder.
 * May block on the disk like any file. */

#include <stdint.h>
#include <apr_file_io.h>
#include <apr_pools.h>

/* Readers see the old page or the new one, never a part. */
apr_status_t ac_offline_write(const char *runtime_dir, uint64_t app_id,
                              const char *page, apr_size_t len, apr_pool_t *ptemp);
/* Open for reading until p goes, its size in *psize. */
apr_status_t ac_offline_open(const char *runtime_dir, uint64_t app_id,
                             apr_file_t **pfile, apr_off_t *psize, apr_pool_t *p);
void ac_offline_remove(const char *runtime_dir, uint64_t app_id, apr_pool_t *ptemp);

#endif
