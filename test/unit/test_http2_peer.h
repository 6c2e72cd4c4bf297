/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_TEST_HTTP2_PEER_H
#define AC_TEST_HTTP2_PEER_H

/* An app played by the test: frames written by hand go to a session, what the session
 * sends is taken apart. One of each, made around every test. */

#include "http2/session.h"

#include <check.h>
#include <nghttp2/nghttp2.h>

typedef struct frame_t {
    unsigned type, flags;
    unsigned long stream;
    apr_size_t len;
    char payload[64];
} frame_t;

extern apr_pool_t *p;
extern ac_h2_t *h2;
extern apr_bucket_brigade *body;
extern char in[];               /* frames that were written and not given */
extern apr_size_t in_len;
extern frame_t sent[];          /* by the session, in the last drain() */
extern int n_sent;
extern char *request_head;      /* "name: value\n" of all HEADERS sent */
extern const ac_response_t *head;   /* the last one that came */
extern int heads;
extern char got[];              /* payload */
extern apr_size_t got_len;

void peer_setup(void);
void peer_teardown(void);

/* Writes frames. */
void frame(unsigned type, unsigned flags, unsigned long stream, const char *payload,
           apr_size_t len);
char *number(unsigned long n);  /* four bytes of a payload */
/* HPACK without its table: "name: value\n" each a literal. */
void headers(unsigned flags, const char *fields);
void data(unsigned flags, const char *text);
void settings(unsigned id, unsigned long value);
void goaway(unsigned long last, unsigned long code);

/* Sends what there is and takes it apart. */
void drain(void);
/* What was written goes to the session, and its answer comes back. */
void give(void);
const frame_t *find(unsigned type);

void begin(const char *method, int has_body);
void add_body(const char *text);
/* A GET is under way and the app has said its SETTINGS. */
void get(void);

#endif
