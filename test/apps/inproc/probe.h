/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef PROBE_H
#define PROBE_H

/* An app that tries everything that appcore.h offers, rightly and wrongly, as the first
 * segment of the path says. It watches the host as well: what may not happen (two
 * callbacks of a request at a time, one after the end, a thread that was not attached)
 * is an event "violation".
 *
 * PROBE_FOLDER in its environment is where it appends to the file "events", a JSON
 * object per line, and where a file in "gates" lets go whoever waits for that gate. */

#include <appcore.h>
#include <stdatomic.h>

/* Text that grows. */
typedef struct text_t {
    char *p;
    size_t len, room;
} text_t;

typedef struct call_t call_t;

struct call_t {
    appcore_request id;
    const appcore_info *info;
    text_t query;               /* NAME=VALUE, each ended by NUL */
    const char *name;           /* of the route */

    atomic_int inside;          /* handle() and on_io() that run: one at a time */
    atomic_int posting;         /* what was posted and runs: one at a time */
    atomic_int stage;           /* how far a thread is for which handle() waits */
    atomic_int gone;            /* on_disconnect() came */
    atomic_int thread;          /* a thread of the probe works for it */
    atomic_int over;            /* release() came */
    atomic_int left;            /* by the host, or by that thread: who is last frees it */

    void (*io)(call_t *, uint32_t events);
    char *buffer;
    size_t from, to;
    int64_t total, wanted;
    uint32_t sum;
    atomic_int at_end;
    int n_again;
};

typedef int route_fn(call_t *);

extern const appcore_host *host;
extern const appcore_config *config;

/* probe.c */
const char *probe_setting(const char *name, const char *otherwise);
/* Runs fn in a thread of its own; the call lives until that returns. */
void probe_thread(call_t *, void (*fn)(call_t *));
void probe_complete(call_t *, int result);
/* As a callback of the call, from a thread; what host->post() answered. */
int probe_post(call_t *, void (*fn)(call_t *));
/* 0 if the client left, or the process ends, before the gate was open. */
int probe_wait(call_t *, const char *gate);
void probe_sleep(int ms);

/* probe_text.c */
void text_add(text_t *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_json(text_t *, const char *name, appcore_str value);
appcore_str str(const char *);
int str_is(appcore_str, const char *);
/* The value in NAME=VALUE, each ended by NUL. */
const char *text_lookup(const text_t *, const char *name, const char *otherwise);
void query_parse(call_t *);
const char *query(call_t *, const char *name, const char *otherwise);
int64_t query_number(call_t *, const char *name, int64_t otherwise);
void event(const char *what, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The pattern that bodies are made of. */
void pattern_fill(char *data, size_t len, int64_t at);
uint32_t adler32(uint32_t sum, const char *data, size_t len);
/* respond() with plain text; frees it. APPCORE_DONE if all went well. */
int answer(call_t *, int status, text_t *);
int answer_text(call_t *, int status, const char *text);
int start_text(call_t *, int status);
int64_t write_text(call_t *, const char *text, uint32_t flags);

/* Routes: probe_sync.c */
route_fn route_hello, route_pid, route_info, route_config, route_echo, route_digest,
    route_big, route_pieces, route_status, route_field, route_trailers, route_inform,
    route_sendfile, route_upgrade, route_var, route_log, route_limit, route_close,
    route_expect, route_answer_first;
/* probe_async.c */
route_fn route_later, route_wait, route_stream, route_echo_async, route_digest_async,
    route_big_async, route_tunnel_async, route_lend, route_early, route_early_inside,
    route_threads, route_posts, route_hold, route_farewell, route_complete_abort,
    route_mixed, route_deaf, route_starve;
/* probe_rules.c */
route_fn route_declined, route_read_declined, route_nothing, route_pending_nothing,
    route_failed, route_nonsense, route_short, route_long, route_crash, route_exit,
    route_abort, route_twice, route_after, route_elsewhere, route_rules, route_bad_field,
    route_complete_failed, route_ended, route_invented, route_fork, route_descriptors,
    route_forgotten, route_files, route_sever, route_cling;

#endif
