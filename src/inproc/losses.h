/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_LOSSES_H
#define AC_INPROC_LOSSES_H

/* How often apps in process took their child down with them.
 *
 * A mapping that httpd's parent makes per configuration, and its children inherit, so
 * a reload forgives. Children say that they host apps and that they leave; whose row
 * is still there when the parent hears of the end was lost. Which app was at fault
 * cannot be known of a crash, so all that were hosted count. Everything in here may
 * be written by any child: it is numbers, and nobody follows them anywhere. */

#include <stdint.h>
#include <apr_pools.h>
#include <apr_time.h>

#define AC_LOSSES_WINDOW apr_time_from_sec(60)
#define AC_LOSSES_TIMES 100             /* AppCoreRapidFailsPerMinute at most */

typedef struct ac_losses_t ac_losses_t;

/* NULL when there is no memory. Apps are numbered as ac_mount_t.index. */
ac_losses_t *ac_losses_create(int apps, int children, apr_pool_t *p);

/* A child: from now on its end is a loss; the row, -1 if there is none left. */
int ac_losses_enter(ac_losses_t *losses, uint32_t pid);
void ac_losses_leave(ac_losses_t *losses, int row);
/* This app is hosted by children. */
void ac_losses_host(ac_losses_t *losses, int app);
int ac_losses_is_hosted(const ac_losses_t *losses, int app);
/* A loss that was seen to be this app's. */
void ac_losses_add(ac_losses_t *losses, int app, apr_time_t now);
/* The parent: that child ended. 1 if it was lost. */
int ac_losses_exited(ac_losses_t *losses, uint32_t pid, apr_time_t now);

/* The app hung in its start; and whether it did less than a minute ago. */
void ac_losses_hung(ac_losses_t *losses, int app, apr_time_t now);
int ac_losses_hung_lately(const ac_losses_t *losses, int app, apr_time_t now);
/* Whether the app had `limit` losses within a minute, now or earlier. */
int ac_losses_too_many(ac_losses_t *losses, int app, unsigned limit, apr_time_t now);
/* 1 for the first child that asks, 0 for all others: what is to be said once. `what`
 * is one bit of the caller's choice. */
int ac_losses_first(ac_losses_t *losses, int app, uint32_t what);

#endif
