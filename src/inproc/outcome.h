/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_OUTCOME_H
#define AC_INPROC_OUTCOME_H

/* How the start of an app came out. There is one outcome per start: its own, or that
 * it takes too long, or that the app has ended already. Any thread. */

#include "inproc/app.h"

/* 1 for whoever comes first, and says how it came out. */
int ac_outcome_claim(ac_inproc_t *inproc);
/* Each of these does nothing if another one came first. */
void ac_outcome_settle(ac_inproc_t *inproc, ac_inproc_state_e state);
void ac_outcome_fail(ac_inproc_t *inproc, const ac_result_t *result,
                     const char *evidence);
/* The same of one that runs, but not as it should: as ANCM, the process is replaced, so
 * that the next request tries again. */
void ac_outcome_give_up(ac_inproc_t *inproc, const ac_result_t *result);

/* The minder's duty, and that of who waits for starts before there is one: those that
 * take too long fail. When to come again; 0: never. */
apr_time_t ac_outcome_check_limits(apr_time_t now);

#endif
