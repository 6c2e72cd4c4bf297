/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_MANAGER_DIAGNOSE_H
#define AC_MANAGER_DIAGNOSE_H

/* What was wrong, what shows it and what usually helps, from how an app failed and
 * what it printed. The output is an app's and may say anything; it is only
 * searched for known phrases. Pure. */

#include <apr_pools.h>
#include "shared/report.h"

/* Fills hint, a sentence or two for an administrator, and evidence, from the
 * output; NULL where nothing better than the facts can be said. */
void ac_diagnose(ac_report_t *report, apr_pool_t *p);

#endif
