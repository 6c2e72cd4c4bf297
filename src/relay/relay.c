/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "relay/relay.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <apr_general.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include "base/clock.h"
#include "relay/logs.h"
#include "relay/stream.h"
#include "shared/message.h"
#include "shared/outbox.h"

#define OUTBOX_LIMIT (1024 * 1024)
#define FAREWELL apr_time_from_sec(2)

typedef struct relay_t relay_t;

typedef struct link_t {
    relay_t *relay;
    ac_relay_watch_t watch;
    ac_outbox_t outbox;
} link_t;

struct relay_t {
    ac_relay_loop_t loop;
    link_t keeper;
    link_t manager;
    ac_logs_t logs;
    ac_streams_t streams;
    apr_pool_t *scratch;        /* of one message */
    int stopping;               /* the keeper said so */
};

static void link_close(link_t *link)
{
    ac_relay_watch_close(&link->relay->loop, &link->watch);
    ac_outbox_clear(&link->outbox);
    link->outbox.link = -1;
}

/* Registers for what the link needs now. */
static void link_watch(link_t *link)
{
    uint32_t out = ac_outbox_pending(&link->outbox) ? EPOLLOUT : 0;

    ac_relay_watch_set(&link->relay->loop, &link->watch, EPOLLIN | out);
}

static void link_open(link_t *link, int fd)
{
    link_close(link);
    link->watch.fd = fd;
    ac_outbox_init(&link->outbox, fd, OUTBOX_LIMIT);
    link_watch(link);
}

static void on_logs(relay_t *relay, ac_message_t *msg)
{
    uint32_t first = ac_wire_get_u32(&msg->body);
    uint32_t count = ac_wire_get_u32(&msg->body);

    if (ac_wire_reader_end(&msg->body) == APR_SUCCESS && count == (uint32_t)msg->n_fds) {
        /* Standard error would keep a rotated log or an old logger's pipe open. */
        if (first == 0 && msg->n_fds > 0) {
            dup2(msg->fds[0], STDERR_FILENO);
        }
        ac_logs_put(&relay->logs, first, msg->fds, msg->n_fds);
        msg->n_fds = 0;
    }
}

static void on_stream(relay_t *relay, ac_message_t *msg)
{
    uint64_t tag = ac_wire_get_u64(&msg->body);
    uint32_t pid = ac_wire_get_u32(&msg->body);
    ac_log_target_t target;

    memset(&target, 0, sizeof(target));
    ac_log_target_get(&msg->body, &target, relay->scratch);
    if (ac_wire_reader_end(&msg->body) == APR_SUCCESS && msg->n_fds <= 2) {
        ac_streams_put(&relay->streams, tag, pid, &target, msg->fds, msg->n_fds);
        msg->n_fds = 0;
    }
}

static void on_log_file(relay_t *relay, ac_message_t *msg)
{
    uint64_t tag = ac_wire_get_u64(&msg->body);
    apr_status_t reason = (apr_status_t)ac_wire_get_u32(&msg->body);

    if (ac_wire_reader_end(&msg->body) == APR_SUCCESS && msg->n_fds <= 1) {
        ac_streams_opened(&relay->streams, tag, msg->n_fds ? msg->fds[0] : -1, reason);
        msg->n_fds = 0;
    }
}

static void on_link(relay_t *relay, ac_message_t *msg)
{
    if (msg->n_fds == 1 && ac_wire_reader_end(&msg->body) == APR_SUCCESS) {
        link_open(&relay->manager, msg->fds[0]);
        msg->n_fds = 0;
    }
}

static void on_line(relay_t *relay, ac_message_t *msg)
{
    uint32_t index = ac_wire_get_u32(&msg->body);
    ac_line_head_t head = { apr_time_now(), 0, 0, NULL };
    const char *text;

    head.level = ac_wire_get_u32(&msg->body);
    head.app = ac_wire_get_str(&msg->body, relay->scratch);
    head.pid = ac_wire_get_u32(&msg->body);
    text = ac_wire_get_str(&msg->body, relay->scratch);
    if (ac_wire_reader_end(&msg->body) == APR_SUCCESS && text) {
        ac_logs_say(&relay->logs, index, &head, text);
    }
}

static void receive_all(link_t *link);

/* The question may overtake the STREAM that it is about, which comes on the
 * other link: that one is read first. */
static void on_capture(relay_t *relay, ac_message_t *msg)
{
    uint64_t tag = ac_wire_get_u64(&msg->body);
    const ac_capture_t *capture;
    ac_wire_writer_t w;

    if (ac_wire_reader_end(&msg->body) != APR_SUCCESS) {
        return;
    }
    receive_all(&relay->keeper);
    capture = ac_streams_capture(&relay->streams, tag);
    ac_message_begin(&w, AC_MSG_CAPTURED, relay->scratch);
    ac_wire_put_u64(&w, tag);
    ac_wire_put_bytes(&w, capture ? capture->data : NULL, capture ? capture->len : 0);
    ac_outbox_send(&relay->manager.outbox, &w, NULL, 0);
    link_watch(&relay->manager);
}

static void dispatch_keeper(relay_t *relay, ac_message_t *msg)
{
    switch (msg->type) {
    case AC_MSG_LOGS:
        on_logs(relay, msg);
        break;
    case AC_MSG_STREAM:
        on_stream(relay, msg);
        break;
    case AC_MSG_LOG_FILE:
        on_log_file(relay, msg);
        break;
    case AC_MSG_LINK:
        on_link(relay, msg);
        break;
    case AC_MSG_LINE:
        on_line(relay, msg);
        break;
    case AC_MSG_STOP:
        relay->stopping = 1;
        break;
    default:
        break;
    }
}

static void dispatch_manager(relay_t *relay, ac_message_t *msg)
{
    if (msg->type == AC_MSG_LINE) {
        on_line(relay, msg);
    }
    else if (msg->type == AC_MSG_CAPTURE) {
        on_capture(relay, msg);
    }
}

/* Each link has a buffer of its own: a message of the manager is still in use
 * while on_capture() reads those of the keeper. */
static apr_status_t receive_one(link_t *link)
{
    static unsigned char buffers[2][AC_MESSAGE_MAX];
    relay_t *relay = link->relay;
    int keeper = link == &relay->keeper;
    ac_message_t msg;
    apr_status_t status = ac_message_receive(link->watch.fd, buffers[keeper], &msg);

    if (status == APR_SUCCESS && keeper) {
        dispatch_keeper(relay, &msg);
    }
    else if (status == APR_SUCCESS) {
        dispatch_manager(relay, &msg);
    }
    if (status == APR_SUCCESS) {
        ac_message_done(&msg);
    }
    return status;
}

static int link_alive(apr_status_t status)
{
    return status == APR_SUCCESS || status == APR_EINVAL;
}

static void receive_all(link_t *link)
{
    while (link->watch.fd >= 0 && link_alive(receive_one(link))) {
        continue;
    }
}

/* The peer is gone. A reset, which says that the peer left messages of ours
 * unread, comes before what it sent itself: that is still to be had. */
static void link_end(link_t *link)
{
    receive_all(link);
    link_close(link);
}

static void link_ready(ac_relay_watch_t *watch, uint32_t events)
{
    link_t *link = watch->owner;
    apr_status_t status = APR_SUCCESS;

    if (events & EPOLLOUT) {
        ac_outbox_flush(&link->outbox);
    }
    if (events & ~(uint32_t)EPOLLOUT) {
        status = receive_one(link);
        apr_pool_clear(link->relay->scratch);
    }
    if (link_alive(status) || APR_STATUS_IS_EAGAIN(status)) {
        link_watch(link);
    }
    else {
        link_end(link);
    }
}

static apr_status_t ask_keeper(ac_streams_t *streams, uint64_t tag, const char *stamp)
{
    relay_t *relay = streams->owner;
    ac_wire_writer_t w;
    apr_pool_t *p;
    apr_status_t status;

    /* Not the scratch pool, in which the message that led here may be. */
    apr_pool_create(&p, NULL);
    ac_message_begin(&w, AC_MSG_OPEN_LOG, p);
    ac_wire_put_u64(&w, tag);
    ac_wire_put_str(&w, stamp);
    status = ac_outbox_send(&relay->keeper.outbox, &w, NULL, 0);
    apr_pool_destroy(p);
    return status;
}

/* What the keeper has open is not ours: above all the write ends of output
 * pipes, which would hide their end from us. */
static void close_others(int link, int peer)
{
    unsigned low = (unsigned)(peer >= 0 && peer < link ? peer : link);
    unsigned high = (unsigned)(peer > link ? peer : link);

    if (low > 3) {
        close_range(3, low - 1, 0);
    }
    if (high > low + 1) {
        close_range(low + 1, high - 1, 0);
    }
    close_range(high + 1, ~0u, 0);
}

static void take_signals(void)
{
    static const int ignored[] = { SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGXFSZ };
    sigset_t none;
    apr_size_t i;

    /* It ends with the keeper or later, not before: the last words of apps that are being
     * stopped by the same signal still have to be written. */
    for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); ++i) {
        signal(ignored[i], SIG_IGN);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* What apps and others wrote before the end is written out, as far as outputs
 * take it within a moment. */
static void farewell(relay_t *relay)
{
    apr_time_t limit = ac_clock_now() + FAREWELL;
    apr_time_t now;

    ac_streams_drain(&relay->streams);
    while ((ac_logs_busy(&relay->logs) || ac_streams_busy(&relay->streams))
           && (now = ac_clock_now()) < limit) {
        ac_relay_loop_once(&relay->loop, (int)apr_time_as_msec(limit - now) + 1);
    }
}

/* The keeper was killed. Its apps live, and one that cannot print any more may
 * die of it: so their output is written for as long as there is any. Another
 * relay has the apps that start from now on. */
static void outlive(relay_t *relay)
{
    ac_streams_abandon(&relay->streams);
    while (ac_streams_open(&relay->streams)) {
        ac_relay_loop_once(&relay->loop, ac_streams_hurry(&relay->streams));
        ac_streams_sweep(&relay->streams);
    }
}

static void link_init(relay_t *relay, link_t *link, int fd)
{
    link->relay = relay;
    ac_relay_watch_init(&link->watch, link_ready, link);
    if (fd >= 0) {
        link_open(link, fd);
    }
    else {
        ac_outbox_init(&link->outbox, -1, OUTBOX_LIMIT);
    }
}

void ac_relay_main(int link, int peer)
{
    static relay_t relay;

    prctl(PR_SET_NAME, "appcore-relay");
    prctl(PR_SET_DUMPABLE, 0);
    take_signals();
    close_others(link, peer);
    if (apr_pool_create(&relay.scratch, NULL) != APR_SUCCESS
        || ac_relay_loop_create(&relay.loop) != APR_SUCCESS) {
        _exit(1);
    }
    relay.logs.loop = &relay.loop;
    relay.streams.loop = &relay.loop;
    relay.streams.logs = &relay.logs;
    relay.streams.ask = ask_keeper;
    relay.streams.owner = &relay;
    link_init(&relay, &relay.keeper, link);
    link_init(&relay, &relay.manager, peer);

    while (relay.keeper.watch.fd >= 0) {
        ac_relay_loop_once(&relay.loop, ac_streams_hurry(&relay.streams));
        ac_streams_sweep(&relay.streams);
        if (relay.keeper.watch.fd >= 0) {
            link_watch(&relay.keeper);
        }
    }
    receive_all(&relay.manager);
    if (!relay.stopping) {
        outlive(&relay);
    }
    farewell(&relay);
    _exit(0);
}
