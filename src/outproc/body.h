/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_OUTPROC_BODY_H
#define AC_OUTPROC_BODY_H

/* The body of a client's request on its way to the app.
 *
 * One per request, in r->pool, used by the worker that holds the request. It
 * decides the framing once, reads httpd's input filters without blocking, frames
 * what it read, and keeps the first AC_BODY_KEEP bytes so that the request can be
 * sent a second time. It blocks only where the client's connection has nothing to
 * poll (ac_body_t.blocking). */

#include "httpd.h"
#include "apr_buckets.h"
#include "http1/fields.h"

#define AC_BODY_KEEP (64 * 1024)
/* What a worker reads of a body that the app did not want, so that the client's
 * connection can be kept. */
#define AC_BODY_DRAIN (256 * 1024)

typedef struct ac_body_t {
    request_rec *r;
    ac_body_e framing;
    apr_int64_t length;         /* AC_BODY_LENGTH */
    apr_int64_t limit;          /* -1: none */
    apr_int64_t received;       /* from the client */
    int tunnel;                 /* an HTTP/2 stream that asks for a WebSocket */
    int filtered;               /* by other modules, which may change the head too */
    int held;                   /* until the app says 100 Continue */
    int answered;               /* the answer has begun: too late for 100 Continue */
    int bare;                   /* not framed here: HTTP/2 does it */
    int blocking;
    int complete;               /* the client sent all of it */
    int ended;                  /* its end was framed as well */
    int http_status;            /* of a fault */
    apr_size_t keep;            /* AC_BODY_KEEP, or what was buffered */
    apr_size_t kept;            /* bytes in `copy` */
    int replayable;
    apr_bucket_brigade *in;     /* scratch for reading */
    apr_bucket_brigade *ready;  /* read or rewound, not yet framed */
    apr_bucket_brigade *copy;   /* what a second attempt sends first */
} ac_body_t;

/* NULL with *pstatus set when the body is refused outright (413). */
ac_body_t *ac_body_create(request_rec *r, apr_int64_t limit, int *pstatus);

/* Takes the first size bytes; a body that ends within becomes one of known length.
 * APR_SUCCESS; APR_EAGAIN while the client has not sent them; or a fault with
 * http_status set. */
apr_status_t ac_body_buffer(ac_body_t *body, apr_size_t size);

/* What came behind the body and may be passed on, in r->pool; once it has ended. */
apr_table_t *ac_body_trailers(const ac_body_t *body);

/* Appends framed bytes to `to`: APR_SUCCESS; APR_EAGAIN when the client has sent
 * nothing more; APR_EOF when all was appended before; else a fault of the client
 * with http_status set. */
apr_status_t ac_body_read(ac_body_t *body, apr_bucket_brigade *to);

/* The app wants it, or did not answer in time: lets a held body go, telling the
 * client to send, unless that would stand in the middle of the answer. */
void ac_body_release(ac_body_t *body);

/* From the beginning again. Only while replayable. */
void ac_body_rewind(ac_body_t *body);

/* The app answered without it: reads what is there, at most AC_BODY_DRAIN.
 * 1 iff the client's connection may serve another request. */
int ac_body_drain(ac_body_t *body);

#endif
