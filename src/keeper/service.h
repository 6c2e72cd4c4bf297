/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_KEEPER_SERVICE_H
#define AC_KEEPER_SERVICE_H

/* Manager and relay: started, given everything they need, started again when
 * they end. Neither keeps anything that dies with it. */

#include "keeper/state.h"

void ac_service_init(ac_keeper_t *k, ac_service_t *svc, const char *name, int is_relay);
/* Starts what does not run and is not held back. */
void ac_service_start_all(ac_keeper_t *k);
/* Never fails: a peer that is dead or takes nothing is replaced, and its
 * successor is told everything. */
void ac_service_send(ac_keeper_t *k, ac_service_t *svc, const ac_wire_writer_t *w,
                     const int *fds, int n);
/* The error logs in batches. */
void ac_service_send_logs(ac_keeper_t *k, unsigned first, unsigned count);
void ac_service_send_config(ac_keeper_t *k);
/* The relay hears that the end of its link is meant. They end; SIGKILL if not. */
void ac_service_close_all(ac_keeper_t *k);
void ac_service_kill_all(ac_keeper_t *k);

#endif
