/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "relay/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <apr_strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "base/log.h"

#define CHUNK_MAX (16 * 1024)

static int writable(int fd)
{
    struct pollfd pfd = { fd, POLLOUT, 0 };

    return poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLOUT | POLLERR));
}

/* Our own pipe, always empty between calls: what it takes in one write of at
 * most PIPE_BUF is one buffer, which moves whole or not at all. */
static int carrier[2] = { -1, -1 };

static ssize_t feed_pipe(int fd, const char *data, apr_size_t len)
{
    char rest[PIPE_BUF];
    ssize_t n;
    int error;

    if (carrier[0] < 0 && pipe2(carrier, O_CLOEXEC | O_NONBLOCK) < 0) {
        return -1;
    }
    n = write(carrier[1], data, len);
    if (n <= 0) {
        return -1;
    }
    n = splice(carrier[0], NULL, fd, NULL, (size_t)n, SPLICE_F_NONBLOCK);
    error = errno;
    while (n < (ssize_t)len && read(carrier[0], rest, sizeof(rest)) > 0) {
        continue;
    }
    errno = error;
    return n;
}

static ssize_t write_some(ac_sink_t *sink, const char *data, apr_size_t len)
{
    int fd = sink->watch.fd;

    switch (sink->kind) {
    case AC_SINK_FILE:
        return write(fd, data, len);
    case AC_SINK_SOCKET:
        return send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    case AC_SINK_PIPE:
    case AC_SINK_OTHER:
        break;
    }
    if (!writable(fd)) {
        errno = EAGAIN;
        return -1;
    }
    return sink->kind == AC_SINK_PIPE ? feed_pipe(fd, data, len) : write(fd, data, len);
}

static apr_size_t chunk_size(const ac_sink_t *sink)
{
    return sink->kind == AC_SINK_FILE || sink->kind == AC_SINK_SOCKET ? CHUNK_MAX
                                                                      : PIPE_BUF;
}

static void append(ac_sink_t *sink, ac_outlet_t *outlet)
{
    outlet->next = NULL;
    if (sink->last) {
        sink->last->next = outlet;
    }
    else {
        sink->first = outlet;
    }
    sink->last = outlet;
    outlet->waiting = 1;
}

static void take_out(ac_sink_t *sink, ac_outlet_t *outlet)
{
    ac_outlet_t **at = &sink->first;
    ac_outlet_t *before = NULL;

    while (*at && *at != outlet) {
        before = *at;
        at = &before->next;
    }
    if (*at) {
        *at = outlet->next;
        if (sink->last == outlet) {
            sink->last = before;
        }
    }
    outlet->waiting = 0;
}

static void push_note(ac_outlet_t *outlet)
{
    static const char why[] = "because their log took no more";
    ac_line_head_t head = { apr_time_now(), AC_LEVEL_WARNING, outlet->pid, outlet->app };
    char text[128];
    char buf[512];
    ac_line_t line = { text, 0, 1, 1 };
    apr_size_t len;

    line.len = (apr_size_t)apr_snprintf(text, sizeof(text),
            "%" APR_UINT64_T_FMT " lines of output were dropped %s",
            outlet->queue.dropped, why);
    if (outlet->raw) {
        len = (apr_size_t)apr_snprintf(buf, sizeof(buf), "[appcore] %s\n", text);
    }
    else {
        len = ac_format_line(buf, sizeof(buf), &head, &line);
    }
    ac_queue_push_note(&outlet->queue, buf, len);
}

/* Asks for another descriptor; until it comes nothing is written. */
static int ask(ac_sink_t *sink)
{
    if (sink->next && sink->next(sink)) {
        sink->held = 1;
    }
    return sink->held;
}

/* The sink takes nothing: a program that ended is started again and gets what
 * waits, a full disk costs lines. */
static void give_up(ac_sink_t *sink, ac_outlet_t *outlet, int error)
{
    if (error == EPIPE && sink->next) {
        ac_relay_watch_close(sink->loop, &sink->watch);
        ask(sink);
        return;
    }
    ac_queue_discard(&outlet->queue);
    take_out(sink, outlet);
}

/* The turn ends with a chunk, but not in the middle of a line. */
static void end_turn(ac_sink_t *sink, ac_outlet_t *outlet)
{
    if (ac_queue_mid_line(&outlet->queue)) {
        return;
    }
    if (ac_queue_note_due(&outlet->queue)) {
        push_note(outlet);
    }
    if (ac_queue_empty(&outlet->queue)) {
        take_out(sink, outlet);
    }
    else if (outlet->next) {
        take_out(sink, outlet);
        append(sink, outlet);
    }
}

/* One chunk of the first outlet; 0 when the sink has to be waited for. */
static int serve(ac_sink_t *sink)
{
    static char chunk[CHUNK_MAX];
    ac_outlet_t *outlet = sink->first;
    apr_size_t len = ac_queue_peek(&outlet->queue, chunk, chunk_size(sink));
    ssize_t n;

    if (!ac_queue_mid_line(&outlet->queue)
        && ac_rotation_due(sink->written, len, sink->max_size) && ask(sink)) {
        return 0;
    }
    n = write_some(sink, chunk, len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        ac_relay_watch_set(sink->loop, &sink->watch, EPOLLOUT);
        return 0;
    }
    if (n <= 0) {
        give_up(sink, outlet, n < 0 ? errno : EIO);
        return sink->watch.fd >= 0;
    }
    sink->written += (uint64_t)n;
    ac_queue_consume(&outlet->queue, (apr_size_t)n);
    end_turn(sink, outlet);
    return 1;
}

void ac_sink_pump(ac_sink_t *sink)
{
    if (sink->held || !sink->first) {
        return;
    }
    if (sink->watch.fd < 0) {
        ask(sink);
        return;
    }
    while (sink->first) {
        if (!serve(sink)) {
            return;
        }
    }
    ac_relay_watch_set(sink->loop, &sink->watch, 0);
}

static void ready(ac_relay_watch_t *watch, uint32_t events)
{
    (void)events;
    ac_sink_pump(watch->owner);
}

void ac_sink_init(ac_sink_t *sink, ac_relay_loop_t *loop, ac_sink_next_fn *next,
                  void *owner)
{
    memset(sink, 0, sizeof(*sink));
    sink->loop = loop;
    sink->next = next;
    sink->owner = owner;
    ac_relay_watch_init(&sink->watch, ready, sink);
}

static ac_sink_e kind_of(const struct stat *st)
{
    if (S_ISREG(st->st_mode)) {
        return AC_SINK_FILE;
    }
    if (S_ISFIFO(st->st_mode)) {
        return AC_SINK_PIPE;
    }
    return S_ISSOCK(st->st_mode) ? AC_SINK_SOCKET : AC_SINK_OTHER;
}

void ac_sink_open(ac_sink_t *sink, int fd)
{
    struct stat st;

    ac_sink_close(sink);
    if (sink->first) {
        sink->first->queue.begun = 0;
    }
    memset(&st, 0, sizeof(st));
    fstat(fd, &st);
    sink->watch.fd = fd;
    sink->kind = kind_of(&st);
    sink->written = sink->kind == AC_SINK_FILE ? (uint64_t)st.st_size : 0;
    ac_sink_pump(sink);
}

void ac_sink_close(ac_sink_t *sink)
{
    ac_relay_watch_close(sink->loop, &sink->watch);
    sink->held = 0;
}

void ac_outlet_flush(ac_outlet_t *outlet)
{
    if (outlet->waiting && !outlet->sink->watch.events) {
        ac_sink_pump(outlet->sink);
    }
}

void ac_outlet_add(ac_outlet_t *outlet, const char *line, apr_size_t len)
{
    /* One write takes no more, and the queue has a bound. */
    if (ac_queue_size(&outlet->queue) + len > chunk_size(outlet->sink)) {
        ac_outlet_flush(outlet);
    }
    if (ac_queue_note_due(&outlet->queue)) {
        push_note(outlet);
    }
    ac_queue_push(&outlet->queue, line, len);
    if (!outlet->waiting && !ac_queue_empty(&outlet->queue)) {
        append(outlet->sink, outlet);
    }
}

void ac_outlet_push(ac_outlet_t *outlet, const char *line, apr_size_t len)
{
    ac_outlet_add(outlet, line, len);
    ac_outlet_flush(outlet);
}

void ac_outlet_move(ac_outlet_t *outlet, ac_sink_t *sink)
{
    if (outlet->waiting) {
        take_out(outlet->sink, outlet);
        outlet->queue.begun = 0;
    }
    outlet->sink = sink;
    if (!ac_queue_empty(&outlet->queue)) {
        append(sink, outlet);
        ac_sink_pump(sink);
    }
}

void ac_outlet_release(ac_outlet_t *outlet)
{
    if (outlet->waiting) {
        take_out(outlet->sink, outlet);
    }
    ac_queue_release(&outlet->queue);
}

int ac_rotation_due(uint64_t written, uint64_t add, uint64_t max_size)
{
    return max_size && written && written + add > max_size;
}
