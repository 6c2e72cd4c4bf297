/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_KEEPER_RUNTIME_H
#define AC_KEEPER_RUNTIME_H

/* The runtime dir.
 *
 * Folders are made with their final owner and mode, and a runtime dir that
 * belongs to somebody else is refused. What a former keeper left is removed, but
 * for the sockets of processes that still run (keeper/ledger.h). A lock on the
 * runtime dir says whose all of it is; a keeper that stops lets it go and touches
 * nothing there until, at its end, it got it back. */

#include "keeper/state.h"

/* Opens everything; blocks up to two seconds for a predecessor and leftovers to
 * end. EBUSY: another httpd's keeper works there. */
apr_status_t ac_runtime_open(ac_keeper_t *k);
/* From now on a successor may take over. */
void ac_runtime_yield(ac_keeper_t *k);
/* Removes sockets and ledger, if there is no successor; the folders stay. */
void ac_runtime_close(ac_keeper_t *k);

/* A folder in p/ that an app wrote to: its files, then itself. */
void ac_runtime_remove_private(ac_keeper_t *k, const char *name);

#endif
