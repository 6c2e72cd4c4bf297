/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_ELF_H
#define AC_SPEC_ELF_H

/* Reads ELF files without loading them: piecewise, at most a few MiB, and trusting
 * nothing in there. */

#include <stdint.h>
#include <apr_pools.h>

/* 1 iff fd is a 64-bit ELF shared object of this byte order that defines the
 * symbol. */
int ac_elf_exports(int fd, const char *symbol, apr_pool_t *ptemp);

/* Where in the initialised variables of a 64-bit ELF program of this byte order
 * these bytes stand, as an offset in the file; -1. */
int64_t ac_elf_find(int fd, const void *bytes, apr_size_t len, apr_pool_t *ptemp);

#endif
