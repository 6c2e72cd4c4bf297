/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_TEST_RELAY_H
#define AC_TEST_RELAY_H

#include <check.h>

TCase *test_relay_sink(void);
TCase *test_relay_process(void);

#endif
