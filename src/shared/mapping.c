/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "shared/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct mapped_t {
    void *base;
    apr_size_t size;
} mapped_t;

apr_status_t ac_mapping_create(int *pfd, const char *name, apr_size_t size)
{
    apr_status_t rv = APR_SUCCESS;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0) {
        return errno;
    }
    if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)size) < 0
        || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        rv = errno;
        close(fd);
        return rv;
    }
    *pfd = fd;
    return rv;
}

static apr_status_t unmap(void *data)
{
    mapped_t *mapped = data;

    munmap(mapped->base, mapped->size);
    return APR_SUCCESS;
}

apr_status_t ac_mapping_open(void **pbase, int fd, apr_size_t size, int writable,
                             apr_pool_t *p)
{
    struct stat st;
    mapped_t *mapped;
    void *base;

    if (fstat(fd, &st) < 0) {
        return errno;
    }
    if ((apr_size_t)st.st_size != size) {
        return APR_EMISMATCH;
    }
    base = mmap(NULL, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
                fd, 0);
    if (base == MAP_FAILED) {
        return errno;
    }
    mapped = apr_palloc(p, sizeof(*mapped));
    mapped->base = base;
    mapped->size = size;
    apr_pool_cleanup_register(p, mapped, unmap, apr_pool_cleanup_null);
    *pbase = base;
    return APR_SUCCESS;
}
