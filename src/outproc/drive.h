/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_OUTPROC_DRIVE_H
#define AC_OUTPROC_DRIVE_H

/* Runs an exchange to its end on the worker that calls, with poll(). */

#include "outproc/exchange.h"

/* A request that takes longer than this blocks its worker. */
#define AC_DRIVE_SLOW apr_time_from_msec(20)

/* Finds out what there is to poll of the client; once per exchange. */
void ac_drive_attach(ac_exchange_t *x);

/* Blocks until the exchange ended. slow() is called at most once, when the worker
 * has been waiting for AC_DRIVE_SLOW. */
void ac_drive_run(ac_exchange_t *x, void (*slow)(void *baton), void *baton);

/* Resolves optional functions; call from child_init. */
void ac_drive_init(void);

#endif
