/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_BASE_CLOCK_H
#define AC_BASE_CLOCK_H

/* Time that never jumps, and delays that grow.
 *
 * Everything that measures a duration uses ac_clock_now(), CLOCK_MONOTONIC in
 * microseconds: equal in all processes of one machine, so it may cross the
 * board. Pure but for the clock itself; any thread, any process. */

#include <stdint.h>
#include <time.h>
#include <apr_time.h>

apr_time_t ac_clock_now(void);

/* The earlier of two times, either of which may be 0 for never. */
apr_time_t ac_clock_earlier(apr_time_t a, apr_time_t b);

/* For functions of the C library; of a time on any clock, or of a duration. */
struct timespec ac_clock_timespec(apr_time_t t);

/* Delay before attempt number `failures` + 1 in µs: 0 after the first failure,
 * then doubling from 250 ms to 30 s, each spread by ±25 % with `random` (any
 * uniform 32-bit value) so that many apps do not start in step. */
apr_interval_time_t ac_backoff_delay(unsigned failures, uint32_t random);

#endif
