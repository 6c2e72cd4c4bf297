/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_POLICY_H
#define AC_REQUEST_POLICY_H

/* Decisions about a request that need nothing but numbers and strings: which
 * mount, how many workers, whether to hope. Pure functions, no httpd. */

#include <stdint.h>
#include <apr.h>
#include <apr_time.h>
#include "shared/board.h"

/* How every element of a list of mounts begins. */
typedef struct ac_prefix_t {
    const char *prefix;         /* without trailing slash, "" for "/" */
    apr_size_t prefix_len;
} ac_prefix_t;

/* The index of the longest prefix that path lies in, on whole segments, or -1. The
 * list has n elements of `stride` bytes: longest first, equal lengths by bytes. */
int ac_policy_match(const void *list, apr_size_t stride, int n, const char *path);

/* AppCoreMaxWorkers: of `threads` workers, how many a setting (N, or -N percent)
 * grants to one app, and how many all apps together get: at least one each. */
unsigned ac_policy_app_workers(apr_int64_t setting, unsigned threads);
unsigned ac_policy_all_workers(unsigned threads);

/* What of `threads` workers there is to grant while so many requests wait without one;
 * `weight` of them take the room of a busy worker. */
unsigned ac_policy_threads(unsigned threads, unsigned waiting, unsigned weight);

/* How long a request that met a full backlog n times waits before it knocks again.
 * It empties within milliseconds, unless the app has more to do than it can: then
 * thousands that knock all the time would take what it needs. */
apr_interval_time_t ac_policy_nap(unsigned n);

/* 0 when waiting for the app is in vain: it is broken or refused and the time for
 * the next try has not come, or it is being stopped. */
int ac_policy_hope(const ac_board_app_t *app, apr_time_t now);

#endif
