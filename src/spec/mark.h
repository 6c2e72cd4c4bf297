/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_MARK_H
#define AC_SPEC_MARK_H

/* Fingerprints of files, FNV-1a of what stat() says: no security, only to see that
 * something is not what it was. */

#include <stdint.h>
#include <sys/stat.h>

#define AC_MARK_BASIS 14695981039346656037u
#define AC_MARK_PRIME 1099511628211u

static inline uint64_t ac_mark_add(uint64_t mark, uint64_t value)
{
    int i;

    for (i = 0; i < 8; ++i) {
        mark = (mark ^ (value & 0xff)) * AC_MARK_PRIME;
        value >>= 8;
    }
    return mark;
}

/* Never 0. */
static inline uint64_t ac_mark_identity(const struct stat *st)
{
    return ac_mark_add(ac_mark_add(AC_MARK_BASIS, (uint64_t)st->st_dev),
                       (uint64_t)st->st_ino) | 1;
}

static inline uint64_t ac_mark_time(uint64_t mark, const struct timespec *time)
{
    return ac_mark_add(ac_mark_add(mark, (uint64_t)time->tv_sec),
                       (uint64_t)time->tv_nsec);
}

#endif
