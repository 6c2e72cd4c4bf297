/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_MANAGER_DIAGNOSE_H
#define AC_MANAGER_DIAGNOSE_H

/* What usually helps: one sentence for an administrator, from how an app failed
 * and what it printed. The output is an app's and may say anything; it is only
 * searched for known phrases. Pure. */

#include <apr_pools.h>
#include "shared/report.h"

/* NULL when nothing better than the facts can be said. */
const char *ac_diagnose(const ac_report_t *report, apr_pool_t *p);

#endif
