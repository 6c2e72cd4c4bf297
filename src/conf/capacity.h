/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_CONF_CAPACITY_H
#define AC_CONF_CAPACITY_H

/* How many requests may wait in one child without a worker, so that the child goes on
 * accepting connections. Pure functions.
 *
 * The event MPM stops accepting at threads + idle threads * factor connections,
 * waiting ones included. Half of threads * factor leaves it room for as many busy
 * threads, and for more of them while fewer wait. One that waits has three descriptors
 * open, and the rest of the child needs some. */

typedef struct ac_capacity_t {
    unsigned threads;           /* ThreadsPerChild */
    double factor;              /* AsyncRequestWorkerFactor */
    unsigned long files;        /* RLIMIT_NOFILE */
} ac_capacity_t;

/* By either limit alone. */
unsigned ac_capacity_of_mpm(const ac_capacity_t *capacity);
unsigned ac_capacity_of_files(const ac_capacity_t *capacity);

/* AppCoreAsyncLimit, as far as both permit; 0: as many as they permit. */
unsigned ac_capacity_limit(const ac_capacity_t *capacity, unsigned setting);

/* How many that wait take as much of the MPM's room as one busy thread, which is a
 * connection more and an idle thread less. */
unsigned ac_capacity_weight(const ac_capacity_t *capacity);

/* What would have to be configured for n of them. */
unsigned ac_capacity_factor_for(const ac_capacity_t *capacity, unsigned n);
unsigned long ac_capacity_files_for(unsigned n);

#endif
