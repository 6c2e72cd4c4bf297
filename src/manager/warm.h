/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_MANAGER_WARM_H
#define AC_MANAGER_WARM_H

/* A warm-up under way: one per process that is about to become ready, from its first
 * request to its last. In memory of its own; the manager alone, nothing blocks. */

/* First: see there. */
#include "http2/session.h"
#include "manager/loop.h"

/* Answers before the answer. */
#define AC_WARM_INTERIMS_MAX 16

struct ac_warm_t {
    apr_pool_t *p;
    const char *prefix;         /* of the app, as it stands in a URL */
    apr_array_header_t *paths;  /* const char *, with it */
    int strict;
    int at;                     /* of paths */
    const char *target;
    int redirected;
    apr_table_t *fields;        /* of the request; NULL: to be composed */
    int fd;                     /* -1: not connected */
    apr_pool_t *conn_p;         /* of the connection */
    const char *request;        /* what is to be sent now, so much of it, so far */
    apr_size_t len;
    apr_size_t sent;
    ac_response_parser_t *parser;       /* HTTP/1.1 */
    ac_h2_t *h2;                        /* HTTP/2 */
    const ac_response_t *head;  /* of the answer; NULL until it is complete */
    unsigned interims;          /* before it */
    apr_int64_t body;           /* bytes of it so far */
    apr_time_t heard;
};

/* warm_h2.c: the same request in HTTP/2. Sets request and len; 0 when it cannot. */
int ac_warm_h2_open(ac_warm_t *warm);
/* Takes what came when all was sent; there may be more to send. 0: no answer. */
int ac_warm_h2_take(ac_warm_t *warm, const char *data, apr_size_t len);
void ac_warm_h2_close(ac_warm_t *warm);

#endif
