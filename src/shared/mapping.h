/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SHARED_MAPPING_H
#define AC_SHARED_MAPPING_H

/* The memory file under board and rows.
 *
 * Sparse, of a fixed size that is sealed, so that nobody who holds a descriptor
 * can take pages away under the others. Mode 0600: a process of another user
 * cannot turn a read-only descriptor into a writable one through /proc. */

#include <apr_errno.h>
#include <apr_pools.h>

apr_status_t ac_mapping_create(int *pfd, const char *name, apr_size_t size);
/* Maps it shared; unmapped with p. APR_EMISMATCH if the file has another size. */
apr_status_t ac_mapping_open(void **pbase, int fd, apr_size_t size, int writable,
                             apr_pool_t *p);

#endif
