/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* AppCoreAsyncLimit beside what MPM and kernel permit. */

#include "conf/config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "ap_mpm.h"
#include "http_config.h"
#include "http_core.h"
#include "http_main.h"
#include "conf/capacity.h"

/* The MPM's own default. */
#define FACTOR 2.0

static ac_capacity_t capacity_of_child(void)
{
    const char *factor = ac_conf_foreign("AsyncRequestWorkerFactor");
    struct rlimit files = { .rlim_cur = 1024 };
    ac_capacity_t capacity = { .factor = factor ? strtod(factor, NULL) : FACTOR };
    int threads = 1;

    if (ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) == APR_SUCCESS && threads > 0) {
        capacity.threads = (unsigned)threads;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    capacity.files = files.rlim_cur;
    return capacity;
}

unsigned ac_conf_async_limit(void)
{
    ac_capacity_t capacity = capacity_of_child();

    return ac_capacity_limit(&capacity, (unsigned)ac_config_of(ap_server_conf)
                                                      ->own->async_limit.v);
}

unsigned ac_conf_async_weight(void)
{
    ac_capacity_t capacity = capacity_of_child();

    return ac_capacity_weight(&capacity);
}

/* The first reason why fewer than `wanted` will wait. */
static void tell(const ac_config_pass_t *pass, const ac_capacity_t *capacity,
                 const char *where, unsigned wanted)
{
    unsigned mpm = ac_capacity_of_mpm(capacity), files = ac_capacity_of_files(capacity);

    if (wanted > mpm) {
        ac_config_notice(pass, where, "%u requests of a child cannot wait without a "
                         "worker: with more than %u the event MPM would stop accepting "
                         "connections, so no more do. AsyncRequestWorkerFactor %u, or "
                         "more threads, would let them", wanted, mpm,
                         ac_capacity_factor_for(capacity, wanted));
    }
    if (wanted > files) {
        ac_config_notice(pass, where, "%u requests of a child cannot wait without a "
                         "worker: the limit of %lu open files is enough for %u. It "
                         "would have to be %lu (ulimit -n, LimitNOFILE)", wanted,
                         capacity->files, files, ac_capacity_files_for(wanted));
    }
}

static unsigned most_wanted(const ac_config_pass_t *pass)
{
    apr_int64_t most = ac_config_of(pass->main)->own->async_limit.v;
    int i;

    for (i = 0; i < pass->table->specs->nelts; i++) {
        const ac_spec_t *spec = APR_ARRAY_IDX(pass->table->specs, i, ac_spec_t *);

        if (spec->set->async_limit.v > most) {
            most = spec->set->async_limit.v;
        }
    }
    return (unsigned)most;
}

void ac_config_check_async(const ac_config_pass_t *pass)
{
    ac_capacity_t capacity;
    unsigned wanted = most_wanted(pass);

    if (strcmp(ap_show_mpm(), "event")) {
        return;
    }
    capacity = capacity_of_child();
    if (wanted) {
        tell(pass, &capacity, "AppCoreAsyncLimit", wanted);
    }
    else if (ac_conf_foreign("AsyncRequestWorkerFactor")) {
        /* Whoever raises it wants that many. */
        tell(pass, &capacity, "AsyncRequestWorkerFactor", ac_capacity_of_mpm(&capacity));
    }
}
