/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_CONN_ACCOUNT_H
#define AC_CONN_ACCOUNT_H

/* How many requests of a child wait without a worker, and how many may: one account
 * of each app, and one of all. Any thread; nothing blocks. */

#include <stdatomic.h>

#include "httpd.h"

typedef struct ac_park_account_t {
    _Atomic unsigned parked;
    unsigned limit;
} ac_park_account_t;

/* A place in both: 1, or 0 after a line in the log, at most one in a minute. */
int ac_account_take(ac_park_account_t *own, ac_park_account_t *all, conn_rec *c);
void ac_account_give(ac_park_account_t *own, ac_park_account_t *all);

#endif
