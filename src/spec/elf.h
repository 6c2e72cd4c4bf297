/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_ELF_H
#define AC_SPEC_ELF_H

/* Reads what a shared object exports without loading it. */

#include <apr_pools.h>

/* 1 iff fd is a 64-bit ELF shared object of this byte order that defines the
 * symbol. Reads the file piecewise, at most a few MiB of it, and trusts nothing
 * in there. */
int ac_elf_exports(int fd, const char *symbol, apr_pool_t *ptemp);

#endif
