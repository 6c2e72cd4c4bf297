/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_TEST_OUTPROC_H
#define AC_TEST_OUTPROC_H

#include <check.h>

TCase *test_outproc_policy(void);
TCase *test_outproc_pool(void);
TCase *test_outproc_retry(void);

#endif
