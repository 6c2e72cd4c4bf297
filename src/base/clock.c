/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "base/clock.h"

#define FIRST_DELAY apr_time_from_msec(250)
#define LONGEST_DELAY apr_time_from_sec(30)

apr_time_t ac_clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (apr_time_t)ts.tv_sec * APR_USEC_PER_SEC + ts.tv_nsec / 1000;
}

apr_time_t ac_clock_earlier(apr_time_t a, apr_time_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

struct timespec ac_clock_timespec(apr_time_t t)
{
    struct timespec ts = {
        .tv_sec = (time_t)apr_time_sec(t),
        .tv_nsec = (long)apr_time_usec(t) * 1000
    };

    return ts;
}

apr_interval_time_t ac_backoff_delay(unsigned failures, uint32_t random)
{
    apr_interval_time_t delay = FIRST_DELAY;

    if (failures < 2) {
        return 0;
    }
    while (--failures > 1 && delay < LONGEST_DELAY) {
        delay *= 2;
    }
    if (delay > LONGEST_DELAY) {
        delay = LONGEST_DELAY;
    }
    return delay - delay / 4
           + (apr_interval_time_t)((delay / 2) * (double)random / UINT32_MAX);
}
