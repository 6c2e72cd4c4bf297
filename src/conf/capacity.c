/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "conf/capacity.h"

#include <limits.h>

#define FILES_KEPT 200
#define FILES_EACH 3

unsigned ac_capacity_of_mpm(const ac_capacity_t *capacity)
{
    double most = capacity->threads * capacity->factor / 2;

    return most < 0 ? 0 : most > INT_MAX ? INT_MAX : (unsigned)most;
}

unsigned ac_capacity_of_files(const ac_capacity_t *capacity)
{
    unsigned long most = capacity->files > FILES_KEPT
                         ? (capacity->files - FILES_KEPT) / FILES_EACH : 0;

    return most > INT_MAX ? INT_MAX : (unsigned)most;
}

unsigned ac_capacity_limit(const ac_capacity_t *capacity, unsigned setting)
{
    unsigned mpm = ac_capacity_of_mpm(capacity);
    unsigned files = ac_capacity_of_files(capacity);
    unsigned most = mpm < files ? mpm : files;

    return setting && setting < most ? setting : most;
}

unsigned ac_capacity_weight(const ac_capacity_t *capacity)
{
    double weight = capacity->factor + 1;

    return weight < 1 ? 1 : weight > INT_MAX ? INT_MAX : (unsigned)weight;
}

unsigned ac_capacity_factor_for(const ac_capacity_t *capacity, unsigned n)
{
    return capacity->threads ? (2 * n + capacity->threads - 1) / capacity->threads : 0;
}

unsigned long ac_capacity_files_for(unsigned n)
{
    return (unsigned long)n * FILES_EACH + FILES_KEPT;
}
