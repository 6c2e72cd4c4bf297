/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_CLIENT_H
#define AC_REQUEST_CLIENT_H

/* What the app is told: the request head, made of what httpd knows of client and
 * request. Any worker; allocates in r->pool. */

#include "appcore.h"
#include "httpd.h"
#include "conf/conf.h"
#include "http1/fields.h"
#include "outproc/body.h"
#include "shared/board.h"

typedef struct ac_client_head_t {
    const char *data;           /* for HTTP/1.1, in one piece */
    apr_size_t len;
    const char *target;
    const apr_table_t *fields;
    ac_upgrade_e upgrade;       /* what the client may have asked for */
} ac_client_head_t;

/* OK, or the HTTP status that the request gets instead. */
int ac_client_head(ac_client_head_t *head, request_rec *r, const ac_body_t *body,
                   const ac_board_proc_t *proc, const ac_board_facts_t *app);

/* The same for an app inside httpd. body: NULL if there is none. */
int ac_client_info(appcore_info *info, request_rec *r, const ac_body_t *body);

void ac_client_init(void);
/* Names the connection for apps in process before there are HTTP/2 streams, whose
 * threads must not use its pool. */
int ac_client_pre_connection(conn_rec *c, void *unused);

#endif
