/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_KEEPER_LEDGER_H
#define AC_KEEPER_LEDGER_H

/* The ledger, keeper.pids in the runtime dir: what runs, for the case that the
 * keeper is killed or replaced by one of another version.
 *
 * Each entry says which process it is (pid, start time, user) and what a manager
 * needs to go on with it. A keeper of the same httpd takes such processes over;
 * those of another httpd are ended. Only we can write the file. Every version can
 * read what is needed to end processes; the rest has a number of its own. */

#include "keeper/process.h"

/* Opens it, takes over or ends what it names; the latter blocks up to two
 * seconds. */
apr_status_t ac_ledger_open(ac_keeper_t *k);
/* Writes what is known of it by now. Without room there is no entry, and the log says
 * so: the process runs all the same. */
void ac_ledger_put(ac_keeper_t *k, ac_kproc_t *proc);
void ac_ledger_remove(ac_keeper_t *k, ac_kproc_t *proc);

#endif
