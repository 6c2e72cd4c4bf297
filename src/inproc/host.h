/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_HOST_H
#define AC_INPROC_HOST_H

/* The tables that host and app exchange, where either may be older or newer. */

#include "appcore.h"

/* Everything that concerns requests; started() and ended() are the caller's. */
void ac_host_fill(appcore_host *host);
/* What both sides know; what the app left out is NULL. */
void ac_host_copy_app(appcore_app *to, const appcore_app *given);

#endif
