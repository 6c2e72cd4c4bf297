/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_TEST_HTTP1_H
#define AC_TEST_HTTP1_H

#include <stdlib.h>
#include <string.h>
#include <check.h>
#include <apr_general.h>
#include <apr_pools.h>
#include <apr_strings.h>
#include <apr_tables.h>

extern apr_pool_t *p;           /* made and destroyed around every test */

/* With the fixture that makes p, before any other fixture. */
TCase *case_create(const char *name);

TCase *response_case(void);
TCase *chunk_case(void);
TCase *fields_case(void);
TCase *forwarded_case(void);
TCase *target_case(void);

/* A small generator, the same numbers in every run. */
unsigned draw(unsigned *seed, unsigned below);

#endif
