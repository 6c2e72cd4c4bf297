/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "conn/account.h"

#include "http_log.h"
#include "base/clock.h"

APLOG_USE_MODULE(appcore);

#define SAY_AGAIN apr_time_from_sec(60)

static int take(ac_park_account_t *account)
{
    if (atomic_fetch_add(&account->parked, 1) < account->limit) {
        return 1;
    }
    atomic_fetch_sub(&account->parked, 1);
    return 0;
}

static void full(const ac_park_account_t *account, conn_rec *c)
{
    static _Atomic apr_time_t said;
    apr_time_t last = atomic_load(&said), now = ac_clock_now();

    if ((last == 0 || now - last > SAY_AGAIN)
        && atomic_compare_exchange_strong(&said, &last, now)) {
        ap_log_cerror(APLOG_MARK, APLOG_NOTICE, 0, c, "as many requests wait without "
                      "a worker as may (%u in this process): the next hold one each. "
                      "AsyncRequestWorkerFactor, the limit of open files or "
                      "AppCoreAsyncLimit set the number", account->limit);
    }
}

int ac_account_take(ac_park_account_t *own, ac_park_account_t *all, conn_rec *c)
{
    if (!take(own)) {
        full(own, c);
        return 0;
    }
    if (!take(all)) {
        atomic_fetch_sub(&own->parked, 1);
        full(all, c);
        return 0;
    }
    return 1;
}

void ac_account_give(ac_park_account_t *own, ac_park_account_t *all)
{
    atomic_fetch_sub(&own->parked, 1);
    atomic_fetch_sub(&all->parked, 1);
}
