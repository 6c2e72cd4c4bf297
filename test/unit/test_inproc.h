/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef TEST_INPROC_H
#define TEST_INPROC_H

#include <check.h>

TCase *test_inproc_abi(void);
TCase *test_inproc_slots(void);
TCase *test_inproc_fields(void);
TCase *test_inproc_guard(void);

#endif
