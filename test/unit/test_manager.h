/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_TEST_MANAGER_H
#define AC_TEST_MANAGER_H

#include <check.h>
#include <apr_pools.h>

extern apr_pool_t *p;           /* made and destroyed around every test */

/* With the fixture that makes p, before any other fixture. */
TCase *case_create(const char *name);

TCase *supervise_case(void);
TCase *failures_case(void);
TCase *crowd_case(void);
TCase *reload_case(void);
TCase *parts_case(void);
TCase *loop_case(void);
TCase *live_case(void);
TCase *folder_case(void);

#endif
