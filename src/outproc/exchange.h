/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_OUTPROC_EXCHANGE_H
#define AC_OUTPROC_EXCHANGE_H

/* One request's exchange with a process of the app.
 *
 * A state machine that never waits: ac_exchange_step() does what can be done now,
 * then says for which events on which descriptors, and until when, somebody
 * should wait: the stuff of a task's step (conn/task.h). Only a worker that
 * holds the request may step. It blocks nowhere but, unless `async`, in httpd's
 * output filters, when the client is slow and a FLUSH passes.
 *
 *   request side    connect -> head -> body ............ -> sent
 *   response side              head -> (1xx, head)* -> body -> done
 *                                                   -> tunnel (101)
 *
 * Both sides run at the same time. The final response ends the exchange even if
 * the request was not sent completely; the connection is then not used again. */

#include "httpd.h"
#include "apr_buckets.h"
#include "http1/chunk.h"
#include "http1/response.h"
#include "outproc/body.h"
#include "outproc/pool.h"
#include "outproc/retry.h"

typedef enum ac_step_e { AC_STEP_WAIT = 0, AC_STEP_END } ac_step_e;

typedef enum ac_phase_e {
    AC_PHASE_HEAD = 0, AC_PHASE_BODY, AC_PHASE_TUNNEL, AC_PHASE_END
} ac_phase_e;

typedef struct ac_exchange_t ac_exchange_t;

struct ac_exchange_t {
    /* What the caller gives. */
    request_rec *r;
    ac_body_t *body;
    const char *head;           /* HTTP/1.1: serialised request head */
    apr_size_t head_len;
    const char *target;         /* HTTP/2: the same in parts */
    const apr_table_t *fields;
    apr_interval_time_t silence;    /* AppCoreRequestTimeout */
    int upgrade_asked;          /* 101 is an answer */
    int sendfile;               /* X-Sendfile is obeyed */
    int async;                  /* writing to the client does not block */
    int forward_close;          /* a connection that the app closes is closed for the
                                   client, too */
    void (*app_done)(ac_exchange_t *x); /* the app's part is over, before the last
                                           bytes go to the client; or NULL */
    int (*challenge)(ac_exchange_t *x); /* the app wants a login: OK, or the status
                                           of the answer that takes its place */
    void *baton;

    /* For whoever waits. Events are poll()'s. */
    int client_fd;              /* -1: nothing to poll */
    int client_is_socket;       /* RDHUP means that the client left */
    short want_app, want_client;
    short got_app, got_client;  /* set before a step */
    apr_time_t deadline;        /* ac_clock_now() scale */

    /* What came out. */
    ac_outcome_e outcome;
    int http_status;            /* CLIENT_FAULT */
    const char *why;            /* MALFORMED, UNREACHABLE: for the log */
    apr_status_t error;
    int instead;                /* status that takes the place of a complete response */
    const char *sendfile_path;  /* X-Sendfile of a complete response */
    apr_uint64_t sent, received;    /* bytes to and from the app */
    int committed;              /* the client got part of the final response */
    int unread;                 /* CLOSED: the app says that it did not look at it */

    /* Its own. */
    ac_appconn_t *conn;
    const struct ac_wire_t *wire;
    int reused;
    ac_phase_e phase;
    ac_response_parser_t *parser;
    const ac_response_t *response;
    ac_chunk_decoder_t chunks;
    apr_int64_t left;           /* of a body of known length */
    int interims;
    int request_sent, send_failed;
    int client_dry;             /* the last read from the client found nothing */
    int surplus;                /* bytes after the response: not used again */
    int discard;                /* the response's body is not for the client */
    int unflushed;
    apr_size_t ahead;           /* async: passed on since the client had taken all */
    apr_time_t begun, progress;
    apr_time_t continue_at;     /* 100 Continue without the app's word */
    apr_time_t flush_at;
    apr_bucket_brigade *out;    /* to the app */
    apr_bucket_brigade *pending;    /* HTTP/2: body that its windows hold back */
    apr_bucket_brigade *bb;     /* to the client */
    apr_table_t *prior_headers; /* r's own, before the app said anything */
    int prior_status;
};

/* A new exchange for r; the caller fills the first block. */
ac_exchange_t *ac_exchange_create(request_rec *r);

/* Starts it, or starts it again after a failed attempt, on that connection,
 * which it owns from now on. */
void ac_exchange_begin(ac_exchange_t *x, ac_appconn_t *conn);

ac_step_e ac_exchange_step(ac_exchange_t *x);

/* The connection if it may serve another request, else NULL after closing it:
 * fully, so that the app notices. Idempotent. */
ac_appconn_t *ac_exchange_take_conn(ac_exchange_t *x);

/* For the parts of an exchange and whoever waits for it. */

/* Sends x->out: APR_SUCCESS once it is empty, APR_EAGAIN, or the cause. */
apr_status_t ac_exchange_send(ac_exchange_t *x);
/* 1 if reading from the client would find nothing: the last read said so and no
 * event came since. */
int ac_exchange_client_dry(ac_exchange_t *x);
/* 1 while nothing more of the request is expected from the client. */
int ac_exchange_client_quiet(const ac_exchange_t *x);
/* What went wrong was decided elsewhere (the client left). */
void ac_exchange_fail(ac_exchange_t *x, ac_outcome_e outcome);

#endif
