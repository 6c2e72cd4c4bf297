/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_PARENT_PARENT_H
#define AC_PARENT_PARENT_H

/* httpd's parent: starts the keeper or finds it again, hands specs over.
 *
 * Board, rows, wake socket and the control link are made once per httpd parent
 * and remembered in retained data (plain numbers; the DSO is unmapped between
 * configuration passes). Called from post_config and pool cleanups of the
 * parent, and once per child from child_init. It waits for the keeper's
 * acknowledgement at most two seconds and never touches an app's folder. */

#include "httpd.h"
#include "http_config.h"
#include "spec/spec.h"

/* Descriptors that a child inherits; -1 where there is none. */
typedef struct ac_parent_fds_t {
    int board_ro;               /* the child maps this, PROT_READ */
    int rows;
    int wake;                   /* sending end */
} ac_parent_fds_t;

/* post_config, second pass and every reload. log_servers: server_rec * by
 * log_index. Starts the keeper if none lives and the table has apps. */
apr_status_t ac_parent_apply(server_rec *main_server, const ac_spec_table_t *table,
                             const apr_array_header_t *log_servers, apr_pool_t *pconf);

/* child_init: closes what only the parent may hold, yields the rest. */
apr_status_t ac_parent_child_fds(ac_parent_fds_t *fds);

#endif
