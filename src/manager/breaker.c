/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "manager/breaker.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* ac_backoff_delay() doubles from 250 ms at two failures. A closed breaker stops
 * growing at about 4 s: with longer pauses an app that fails at once could never
 * exceed the default of 10 failures in a minute, and its visitors would wait in
 * vain. An open one begins at about 8 s. */
#define CLOSED_STREAK_MAX 6
#define OPEN_STREAK_MIN 7
#define REFUSED_PAUSE apr_time_from_sec(1)

static void forget_old(ac_breaker_t *b, apr_time_t now)
{
    unsigned old = 0;

    while (old < b->n && b->times[old] <= now - AC_BREAKER_WINDOW) {
        ++old;
    }
    memmove(b->times, b->times + old, (b->n - old) * sizeof(*b->times));
    b->n -= old;
}

static int has_room(ac_breaker_t *b)
{
    if (!b->times) {
        b->times = calloc(AC_BREAKER_TIMES, sizeof(*b->times));
    }
    return b->times != NULL;
}

static void remember(ac_breaker_t *b, apr_time_t now)
{
    if (!has_room(b)) {
        return;
    }
    forget_old(b, now);
    if (b->n > AC_BREAKER_LIMIT_MAX) {
        memmove(b->times, b->times + 1, --b->n * sizeof(*b->times));
    }
    b->times[b->n++] = now;
}

apr_interval_time_t ac_breaker_fail(ac_breaker_t *b, unsigned limit, apr_time_t now,
                                    uint32_t random)
{
    unsigned streak = ++b->streak;

    remember(b, now);
    if (b->n > limit) {
        b->open = 1;
    }
    if (b->open && streak < OPEN_STREAK_MIN) {
        streak = OPEN_STREAK_MIN;
    }
    else if (!b->open && streak > CLOSED_STREAK_MAX) {
        streak = CLOSED_STREAK_MAX;
    }
    return ac_backoff_delay(streak, random);
}

apr_interval_time_t ac_breaker_refuse(ac_breaker_t *b, int patient, uint32_t random)
{
    unsigned streak = ++b->streak;
    apr_interval_time_t delay;

    if (streak > CLOSED_STREAK_MAX && !patient) {
        streak = CLOSED_STREAK_MAX;
    }
    delay = ac_backoff_delay(streak, random);
    return delay < REFUSED_PAUSE ? REFUSED_PAUSE : delay;
}

int ac_breaker_succeed(ac_breaker_t *b)
{
    int closed = b->open;

    if (closed) {
        b->open = 0;
        b->n = 0;
    }
    return closed;
}

void ac_breaker_stable(ac_breaker_t *b)
{
    b->streak = 0;
}

void ac_breaker_recall(ac_breaker_t *b, const apr_time_t *times, unsigned n)
{
    n = n < AC_BREAKER_TIMES ? n : AC_BREAKER_TIMES;
    if (n > 0 && has_room(b)) {
        memcpy(b->times, times, n * sizeof(*times));
        b->n = n;
    }
}

void ac_breaker_reset(ac_breaker_t *b)
{
    free(b->times);
    memset(b, 0, sizeof(*b));
}
