/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Routes that answer APPCORE_PENDING: threads of the probe's own, and on_io(). */

#define _GNU_SOURCE

#include "probe.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define PIECE 16384
#define THREADS_MAX 16

/* Completed by a thread; what the callbacks of one request do is in the order in which
 * it was posted. */

static void say_done(call_t *call)
{
    answer_text(call, 200, call->gone ? "gone" : "later");
}

static void say_left(call_t *call)
{
    answer_text(call, 200, "nobody opened");
}

static void later_thread(call_t *call)
{
    probe_sleep((int)query_number(call, "ms", 0));
    probe_post(call, say_done);
    probe_complete(call, APPCORE_OK);
}

int route_later(call_t *call)
{
    probe_thread(call, later_thread);
    return APPCORE_PENDING;
}

static void wait_thread(call_t *call)
{
    int open = probe_wait(call, query(call, "gate", "never"));

    probe_post(call, open ? say_done : say_left);
    probe_complete(call, APPCORE_OK);
}

int route_wait(call_t *call)
{
    event("wait", "\"tag\":\"%s\",\"id\":%llu", query(call, "tag", ""),
          (unsigned long long)call->id);
    probe_thread(call, wait_thread);
    return APPCORE_PENDING;
}

static void say_more(call_t *call)
{
    text_t text = { NULL, 0, 0 };

    if (!call->total) {
        appcore_field type = { str("Content-Type"), str("text/event-stream") };

        host->start(call->id, 200, str(""), &type, 1);
    }
    text_add(&text, "data: %lld\n\n", (long long)++call->total);
    if (write_text(call, text.p, APPCORE_FLUSH) < 0) {
        call->at_end = 1;
    }
    free(text.p);
}

/* gate.1, gate.2, … let the events out; without a gate they come every ms. */
static void stream_thread(call_t *call)
{
    int64_t i, n = query_number(call, "n", 3);
    const char *gate = query(call, "gate", NULL);

    for (i = 1; i <= n && !call->gone && !call->at_end; ++i) {
        if (gate) {
            text_t name = { NULL, 0, 0 };
            int open;

            text_add(&name, "%s.%lld", gate, (long long)i);
            open = probe_wait(call, name.p);
            free(name.p);
            if (!open) {
                break;
            }
        }
        else {
            probe_sleep((int)query_number(call, "ms", 1));
        }
        if (probe_post(call, say_more) != APPCORE_OK) {
            break;
        }
    }
    probe_complete(call, APPCORE_OK);
}

int route_stream(call_t *call)
{
    probe_thread(call, stream_thread);
    return APPCORE_PENDING;
}

/* Reads and writes that never wait, in turns; on_io() goes on. */

/* Who has given the call a tag wants to know when it waits. */
static void note_again(call_t *call)
{
    const char *tag = query(call, "tag", "");

    call->n_again++;
    if (*tag) {
        event("again", "\"n\":%d,\"tag\":\"%s\"", call->n_again, tag);
    }
}

/* 1: everything is written, 0: AGAIN, -1: over. */
static int write_out(call_t *call)
{
    while (call->from < call->to) {
        struct iovec data = { call->buffer + call->from, call->to - call->from };
        int64_t n = host->write(call->id, &data, 1, APPCORE_NONBLOCK | APPCORE_FLUSH);

        if (n == APPCORE_AGAIN) {
            note_again(call);
            return 0;
        }
        if (n < 0) {
            return -1;
        }
        call->from += (size_t)n;
    }
    return 1;
}

static int finish(call_t *call, int result)
{
    event("async", "\"name\":\"%s\",\"result\":%d,\"again\":%d,\"tag\":\"%s\"",
          call->name, result, call->n_again, query(call, "tag", ""));
    probe_complete(call, result);
    return APPCORE_PENDING;
}

/* Echoes, be it a body or an upgraded connection. */
static int echo_some(call_t *call)
{
    for (;;) {
        int64_t n;
        int written = write_out(call);

        if (written <= 0) {
            return written ? finish(call, APPCORE_FAILED) : APPCORE_PENDING;
        }
        n = host->read(call->id, call->buffer, PIECE, APPCORE_NONBLOCK);
        if (n == APPCORE_AGAIN) {
            note_again(call);
            return APPCORE_PENDING;
        }
        if (n <= 0) {
            if (n == 0) {
                write_text(call, "", APPCORE_LAST);
            }
            return finish(call, n < 0 ? APPCORE_FAILED : APPCORE_OK);
        }
        call->from = 0;
        call->to = (size_t)n;
    }
}

static void echo_io(call_t *call, uint32_t events)
{
    (void)events;
    echo_some(call);
}

int route_echo_async(call_t *call)
{
    call->buffer = malloc(PIECE);
    call->io = echo_io;
    start_text(call, 200);
    return echo_some(call);
}

int route_tunnel_async(call_t *call)
{
    appcore_field field = { str("Upgrade"), str("echo") };

    if (host->upgrade(call->id, &field, 1) != APPCORE_OK) {
        return answer_text(call, 426, "no upgrade");
    }
    call->buffer = malloc(PIECE);
    call->io = echo_io;
    return echo_some(call);
}

static int digest_some(call_t *call)
{
    text_t text = { NULL, 0, 0 };
    int64_t n;

    while ((n = host->read(call->id, call->buffer, PIECE, APPCORE_NONBLOCK)) > 0) {
        call->sum = adler32(call->sum, call->buffer, (size_t)n);
        call->total += n;
    }
    if (n == APPCORE_AGAIN) {
        note_again(call);
        return APPCORE_PENDING;
    }
    if (n < 0) {
        return finish(call, APPCORE_FAILED);
    }
    text_add(&text, "%lld %u %d", (long long)call->total, call->sum, call->n_again);
    answer(call, 200, &text);
    return finish(call, APPCORE_OK);
}

static void digest_io(call_t *call, uint32_t events)
{
    if (!(events & APPCORE_READABLE)) {
        event("violation", "\"why\":\"on_io not for reading\"");
    }
    digest_some(call);
}

int route_digest_async(call_t *call)
{
    call->buffer = malloc(PIECE);
    call->sum = 1;
    call->io = digest_io;
    event("reading", "\"tag\":\"%s\"", query(call, "tag", ""));
    return digest_some(call);
}

static int big_some(call_t *call)
{
    while (call->total < call->wanted) {
        int written = write_out(call);

        if (written <= 0) {
            return written ? finish(call, APPCORE_FAILED) : APPCORE_PENDING;
        }
        call->total += (int64_t)call->to;
        call->from = 0;
        call->to = call->wanted - call->total < PIECE
            ? (size_t)(call->wanted - call->total) : PIECE;
        pattern_fill(call->buffer, call->to, call->total);
    }
    return finish(call, APPCORE_OK);
}

static void big_io(call_t *call, uint32_t events)
{
    if (!(events & APPCORE_WRITABLE)) {
        event("violation", "\"why\":\"on_io not for writing\"");
    }
    big_some(call);
}

int route_big_async(call_t *call)
{
    call->wanted = query_number(call, "n", 1000000);
    call->buffer = malloc(PIECE);
    call->io = big_io;
    start_text(call, 200);
    return big_some(call);
}

/* Says its last word while the client has not taken all before, and goes on to listen. */
static int farewell_some(call_t *call)
{
    int64_t n;

    while (call->total < call->wanted) {
        int64_t left = call->wanted - call->total;
        struct iovec data = { call->buffer, left < PIECE ? (size_t)left : PIECE };
        uint32_t last = left <= PIECE ? APPCORE_LAST : 0;

        pattern_fill(call->buffer, data.iov_len, call->total);
        n = host->write(call->id, &data, 1, APPCORE_NONBLOCK | last);
        if (n < 0) {
            call->n_again += n == APPCORE_AGAIN;
            return n == APPCORE_AGAIN ? APPCORE_PENDING : finish(call, APPCORE_FAILED);
        }
        call->total += n;
    }
    n = host->read(call->id, call->buffer, PIECE, APPCORE_NONBLOCK);
    if (n == APPCORE_AGAIN) {
        return APPCORE_PENDING;
    }
    return finish(call, n ? APPCORE_FAILED : APPCORE_OK);
}

/* Writes without waiting, and then waits for what the client says to all of it. */
int route_mixed(call_t *call)
{
    appcore_field field = { str("Upgrade"), str("echo") };
    struct iovec data = { call->buffer = malloc(PIECE), PIECE };
    int64_t n;

    if (host->upgrade(call->id, &field, 1) != APPCORE_OK) {
        return answer_text(call, 426, "no upgrade");
    }
    pattern_fill(call->buffer, PIECE, 0);
    do {
        n = host->write(call->id, &data, 1, APPCORE_NONBLOCK | APPCORE_FLUSH);
        call->total += n > 0 ? n : 0;
    } while (n == PIECE);
    event("mixed", "\"taken\":%lld", (long long)call->total);
    n = host->read(call->id, call->buffer, 1, 0);
    event("heard", "\"read\":%lld", (long long)n);
    return APPCORE_DONE;
}

/* Of a client that takes nothing, and says nothing either. */

static void deaf_io(call_t *call, uint32_t events)
{
    struct timespec began, ended;
    int64_t n;

    clock_gettime(CLOCK_MONOTONIC, &began);
    n = host->read(call->id, call->buffer, PIECE, APPCORE_NONBLOCK);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    event("deaf", "\"events\":%u,\"read\":%lld,\"ms\":%ld", events, (long long)n,
          (long)(ended.tv_sec - began.tv_sec) * 1000
          + (ended.tv_nsec - began.tv_nsec) / 1000000);
    if (n != APPCORE_AGAIN) {
        finish(call, APPCORE_FAILED);
    }
}

int route_deaf(call_t *call)
{
    call->buffer = malloc(PIECE);
    call->to = PIECE;
    call->io = deaf_io;
    start_text(call, 200);
    while (write_out(call) > 0) {
        call->from = 0;
    }
    host->read(call->id, call->buffer, PIECE, APPCORE_NONBLOCK);
    return APPCORE_PENDING;
}

/* The process gets no descriptors while the request begins to wait. */

static void starve_thread(call_t *call)
{
    struct rlimit *limit = (struct rlimit *)(void *)call->buffer;

    probe_sleep(100);
    setrlimit(RLIMIT_NOFILE, limit);
    probe_post(call, say_done);
    probe_complete(call, APPCORE_OK);
}

int route_starve(call_t *call)
{
    struct rlimit *limit = malloc(sizeof(*limit)), none;

    call->buffer = (char *)limit;
    getrlimit(RLIMIT_NOFILE, limit);
    none = *limit;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    probe_thread(call, starve_thread);
    return APPCORE_PENDING;
}

static void farewell_io(call_t *call, uint32_t events)
{
    (void)events;
    farewell_some(call);
}

int route_farewell(call_t *call)
{
    appcore_field field = { str("Upgrade"), str("echo") };

    if (host->upgrade(call->id, &field, 1) != APPCORE_OK) {
        return answer_text(call, 426, "no upgrade");
    }
    call->wanted = query_number(call, "n", 1000000);
    call->buffer = malloc(PIECE);
    call->io = farewell_io;
    return farewell_some(call);
}

/* handle() blocks for another thread, which answers for it. */

static void lend_answer(call_t *call)
{
    char *data = malloc(PIECE);
    int64_t n;

    while ((n = host->read(call->id, data, PIECE, 0)) > 0) {
        call->total += n;
    }
    snprintf(data, PIECE, "%lld %lld", (long long)call->total, (long long)n);
    answer_text(call, 200, data);
    free(data);
    call->at_end = 1;
}

static void lend_thread(call_t *call)
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)(void *)call->buffer;

    probe_sleep((int)query_number(call, "ms", 0));
    probe_post(call, lend_answer);
    pthread_mutex_unlock(mutex);
}

/* A mutex that one thread locks and another unlocks is a semaphore at best; so the
 * thread locks it, and says through `stage` that it has. */
static void lend_main(call_t *call)
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)(void *)call->buffer;

    pthread_mutex_lock(mutex);
    atomic_store(&call->stage, 2);
    lend_thread(call);
}

int route_lend(call_t *call)
{
    pthread_mutex_t *mutex = malloc(sizeof(*mutex));

    pthread_mutex_init(mutex, NULL);
    call->buffer = (char *)mutex;
    probe_thread(call, lend_main);
    while (atomic_load(&call->stage) != 2) {
        probe_sleep(1);
    }
    pthread_mutex_lock(mutex);
    pthread_mutex_unlock(mutex);
    pthread_mutex_destroy(mutex);
    return call->at_end ? APPCORE_DONE : APPCORE_FAILED;
}

/* complete() before handle() answers. */

static void early_thread(call_t *call)
{
    probe_complete(call, APPCORE_OK);
    atomic_store(&call->stage, 2);
}

int route_early(call_t *call)
{
    answer_text(call, 200, "early");
    probe_thread(call, early_thread);
    while (atomic_load(&call->stage) != 2) {
        probe_sleep(1);
    }
    return APPCORE_PENDING;
}

/* What happens to the client of a request that is over is nothing to its app. */
int route_complete_abort(call_t *call)
{
    answer_text(call, 200, "over");
    probe_complete(call, APPCORE_OK);
    host->abort(call->id);
    return APPCORE_PENDING;
}

int route_early_inside(call_t *call)
{
    answer_text(call, 200, "early inside");
    probe_complete(call, APPCORE_OK);
    return APPCORE_PENDING;
}

/* Many threads post at a time; each post counts without a lock. */

static void count_one(call_t *call)
{
    call->total++;
}

static void *post_many(void *data)
{
    call_t *call = data;
    int64_t i, n = query_number(call, "posts", 1000);

    for (i = 0; i < n; ++i) {
        if (probe_post(call, count_one) != APPCORE_OK) {
            event("violation", "\"why\":\"post() was refused\"");
        }
    }
    return NULL;
}

static void say_total(call_t *call)
{
    text_t text = { NULL, 0, 0 };

    text_add(&text, "%lld", (long long)call->total);
    answer(call, 200, &text);
}

static void threads_thread(call_t *call)
{
    pthread_t threads[THREADS_MAX];
    int i, n = (int)query_number(call, "threads", 8);

    for (i = 0; i < n; ++i) {
        if (pthread_create(&threads[i], NULL, post_many, call)) {
            abort();
        }
    }
    for (i = 0; i < n; ++i) {
        pthread_join(threads[i], NULL);
    }
    probe_post(call, say_total);
    probe_complete(call, APPCORE_OK);
}

int route_threads(call_t *call)
{
    probe_thread(call, threads_thread);
    return APPCORE_PENDING;
}

/* Posted in handle() itself, and from within a post: in turn, and before the request is
 * complete. */

static void post_third(call_t *call)
{
    write_text(call, "third", APPCORE_LAST);
}

static void post_second(call_t *call)
{
    write_text(call, "second ", 0);
    probe_post(call, post_third);
    probe_complete(call, APPCORE_OK);
}

static void post_first(call_t *call)
{
    write_text(call, "first ", 0);
    probe_post(call, post_second);
}

int route_posts(call_t *call)
{
    start_text(call, 200);
    write_text(call, "handle ", 0);
    probe_post(call, post_first);
    return APPCORE_PENDING;
}

/* Blocks in handle() itself. */
int route_hold(call_t *call)
{
    event("hold", "\"tag\":\"%s\"", query(call, "tag", ""));
    return answer_text(call, 200, probe_wait(call, query(call, "gate", "never"))
                       ? "held" : "gone");
}
