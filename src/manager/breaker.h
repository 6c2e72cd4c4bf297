/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_MANAGER_BREAKER_H
#define AC_MANAGER_BREAKER_H

/* How long an app pauses after a failure.
 *
 * Counts the failures of one app: those in a row decide the delay before the
 * next start, those of the last 60 s decide whether the breaker opens. Once
 * open it stays so over failed probes until a start succeeds. Pure: time and
 * random numbers are passed in. Owned by the app's state machine. */

#include <stdint.h>
#include <apr_time.h>

#define AC_BREAKER_WINDOW apr_time_from_sec(60)
#define AC_BREAKER_LIMIT_MAX 100        /* AppCoreRapidFailsPerMinute */
#define AC_BREAKER_TIMES (AC_BREAKER_LIMIT_MAX + 1)

typedef struct ac_breaker_t {
    unsigned streak;            /* failures since the app last was stable */
    unsigned n;                 /* of `times` */
    apr_time_t *times;          /* of the last failures, oldest first; NULL before one */
    unsigned open:1;            /* more than the limit; closed by a success */
} ac_breaker_t;

/* Counts a failure at `now`: the delay before the next start. A paused breaker
 * (open) waits several seconds at least. */
apr_interval_time_t ac_breaker_fail(ac_breaker_t *b, unsigned limit, apr_time_t now,
                                    uint32_t random);
/* A refused configuration starts no process and never opens the breaker. patient:
 * it is looked at again whether or not somebody asks, so the delay grows on. */
apr_interval_time_t ac_breaker_refuse(ac_breaker_t *b, int patient, uint32_t random);
/* A start succeeded: 1 iff that closed the breaker. */
int ac_breaker_succeed(ac_breaker_t *b);
/* What failed had been working for a while: delays grow from the start again. */
void ac_breaker_stable(ac_breaker_t *b);
void ac_breaker_reset(ac_breaker_t *b);
/* Takes over the last failures of an earlier one. */
void ac_breaker_recall(ac_breaker_t *b, const apr_time_t *times, unsigned n);

#endif
