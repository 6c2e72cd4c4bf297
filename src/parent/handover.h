/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_PARENT_HANDOVER_H
#define AC_PARENT_HANDOVER_H

/* Telling the keeper: table and error logs.
 *
 * The parent must not hang on a keeper that is busy or gone, so every wait here
 * ends at a deadline (ac_clock_now() scale). */

#include "httpd.h"
#include "parent/state.h"
#include "spec/spec.h"

#define AC_PARENT_STOP_MAX 600

/* Encodes the table into a sealed memfd and makes it the state's last one. */
apr_status_t ac_parent_keep_table(ac_parent_state_t *state, const ac_spec_table_t *table,
                                  apr_pool_t *ptemp);
/* Sends logs and the last table, then waits for the acknowledgement:
 * APR_SUCCESS, APR_TIMEUP, APR_EOF when the keeper is gone, APR_EMISMATCH when it
 * speaks another protocol. */
apr_status_t ac_parent_hand_over(ac_parent_state_t *state, server_rec *main_server,
                                 const apr_array_header_t *log_servers,
                                 apr_time_t deadline, apr_pool_t *ptemp);
/* What the keeper said about the seconds that its stop may take, if anything new:
 * 1 and at most AC_PARENT_STOP_MAX, else 0. */
int ac_parent_hear_stopping(ac_parent_state_t *state, int *pseconds, apr_pool_t *ptemp);
apr_status_t ac_parent_send_stop(ac_parent_state_t *state, apr_time_t deadline,
                                 apr_pool_t *ptemp);

#endif
