/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_HTTP2_SESSION_H
#define AC_HTTP2_SESSION_H

/* HTTP/2 with an app: RFC 9113 by libnghttp2, one request at a time.
 *
 * One ac_h2_t per connection, for as long as that lives. It touches no descriptor:
 * bytes go in and come out. A request is begun, its body goes into a brigade of the
 * caller's, its response comes by the two callbacks, and state says how it ended:
 *
 *   IDLE --ac_h2_begin()--> OPEN --> ENDED | RESET | UNREAD | BROKEN
 *     ^---------------------------------------ac_h2_end()---'
 *
 * The next one may begin if ac_h2_reusable(). Never two threads at a time; nothing
 * blocks. A session is of malloc; what belongs to a request is in the request's pool
 * and forgotten by ac_h2_end(). Callbacks run within ac_h2_receive() and must call
 * nothing here. */

/* First: with offsetof at hand, APR's rings need no null pointer. */
#include <stddef.h>
#include <apr_buckets.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include "http1/response.h"

typedef enum ac_h2_state_e {
    AC_H2_IDLE = 0,
    AC_H2_OPEN,
    AC_H2_ENDED,                /* the response is whole */
    AC_H2_RESET,                /* the app broke it off */
    AC_H2_UNREAD,               /* the app says that it did not look at it */
    AC_H2_BROKEN                /* what came is no acceptable response: error */
} ac_h2_state_e;

typedef struct ac_h2_request_t {
    const char *method;
    const char *target;
    const apr_table_t *fields;  /* of ac_fields_request(), as for HTTP/1.1 */
    int has_body;               /* ac_h2_body_end() will come */
} ac_h2_request_t;

typedef struct ac_h2_io_t {
    apr_pool_t *p;
    apr_bucket_brigade *body;   /* data buckets, taken as the app's windows allow */
    /* An interim or the final head, framing AC_FRAMING_STREAM. */
    void (*head)(void *baton, const ac_response_t *response);
    /* A run of payload inside the bytes that ac_h2_receive() was given. */
    void (*data)(void *baton, const char *data, apr_size_t len);
    void *baton;
} ac_h2_io_t;

typedef struct ac_h2_t {
    /* For reading. */
    ac_h2_state_e state;
    const char *error;          /* BROKEN: why */
    apr_table_t *trailers;      /* ENDED: NULL if there were none */
    unsigned activity;          /* grows with whatever concerns the request itself */
    int answered;               /* the response has begun */
    int sent;                   /* all of the request was given to ac_h2_send() */

    /* Its own. */
    struct nghttp2_session *session;
    ac_h2_io_t io;
    ac_response_t *response;    /* head in the making */
    apr_table_t *fields;        /* of the block in the making */
    apr_size_t head_bytes;
    int head_fields;
    int final;                  /* the final head is over: a block is trailers */
    int32_t stream;
    apr_table_t *request_trailers;
    int body_ended;
    int deferred;
    int reset;                  /* RST_STREAM came */
    int goaway;                 /* GOAWAY came */
    int dead;                   /* libnghttp2 gave the connection up */
    apr_bucket_brigade *out;    /* within ac_h2_send() */
    char message[160];
} ac_h2_t;

/* 0 where the module was built without libnghttp2: then there never is a session. */
int ac_h2_supported(void);

/* NULL when memory ran out. */
ac_h2_t *ac_h2_create(void);
void ac_h2_destroy(ac_h2_t *h2);

/* io is copied. */
apr_status_t ac_h2_begin(ac_h2_t *h2, const ac_h2_request_t *request,
                         const ac_h2_io_t *io);
/* More of the body is in its brigade. */
void ac_h2_body_more(ac_h2_t *h2);
/* All of it is; trailers may be NULL or empty and live as long as the request. */
void ac_h2_body_end(ac_h2_t *h2, apr_table_t *trailers);

/* Appends what can be sent now. Also what ends a request on our side happens here,
 * so it is called after ac_h2_receive(), too. */
void ac_h2_send(ac_h2_t *h2, apr_bucket_brigade *out);
/* Takes all bytes. Afterwards state may have changed. */
void ac_h2_receive(ac_h2_t *h2, const char *data, apr_size_t len);

/* For requests without a body, where there are no brigades: writes what can be sent
 * now and returns its length; -1 when that is more than size. */
apr_ssize_t ac_h2_drain(ac_h2_t *h2, char *out, apr_size_t size);

void ac_h2_end(ac_h2_t *h2);
/* 1 iff another request may begin on the connection. */
int ac_h2_reusable(const ac_h2_t *h2);

/* Between requests: a PING or SETTINGS has to be answered, GOAWAY to be noticed.
 * Appends the answer, at most size bytes, and returns its length; -1 when it does
 * not fit or the connection is of no use any more. */
apr_ssize_t ac_h2_idle(ac_h2_t *h2, const char *data, apr_size_t len, char *answer,
                       apr_size_t size);

#endif
