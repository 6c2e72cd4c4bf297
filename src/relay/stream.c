/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "relay/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <apr_strings.h>
#include <sys/epoll.h>
#include "base/clock.h"
#include "base/log.h"

#define READ_SIZE (64 * 1024)
#define QUIET apr_time_from_msec(400)
#define DRAIN_MAX (1024 * 1024)     /* of an app that never stops printing */

typedef struct input_t {
    ac_stream_t *stream;
    ac_relay_watch_t watch;
    ac_lines_t lines;
    ac_level_state_t level;
    apr_time_t begun;           /* when the last of a line without its end came; 0 */
} input_t;

struct ac_stream_t {
    ac_streams_t *all;
    uint64_t tag;
    uint32_t log_index;
    uint32_t log_level;
    uint32_t plain_level;
    uint32_t mode;              /* ac_log_mode_e in force */
    char *app;
    char *file;
    input_t in[2];
    ac_capture_t capture;
    ac_outlet_t outlet;
    ac_sink_t own;              /* of a file or program */
    apr_time_t asked;           /* ac_clock_now() of the last OPEN_LOG; 0: never */
    ac_stream_t *next;
};

static ac_line_head_t line_head(const ac_stream_t *stream, ac_level_e level)
{
    ac_line_head_t head = { apr_time_now(), level, stream->outlet.pid, stream->app };

    return head;
}

/* The error log it has to do with: its own, or the one that tells of a file. */
static ac_sink_t *error_log(const ac_stream_t *stream)
{
    return &ac_logs_find(stream->all->logs, stream->log_index)->sink;
}

static void push_log_line(input_t *in, ac_line_t line)
{
    static char buf[AC_FORMAT_MAX];
    ac_stream_t *stream = in->stream;
    ac_line_head_t head;

    ac_level_take(&in->level, &line);
    head = line_head(stream, in->level.level);
    /* The empty end of a line that was cut exactly there says nothing. */
    if ((line.len || line.begins)
        && head.level <= (in->level.said ? stream->log_level : stream->plain_level)) {
        apr_size_t len = ac_format_line(buf, sizeof(buf), &head, &line);

        ac_outlet_add(&stream->outlet, buf, len);
    }
}

static void push_raw_line(ac_stream_t *stream, const ac_line_t *line)
{
    static char buf[AC_LINE_MAX + 1];
    apr_size_t len = line->len;

    memcpy(buf, line->text, len);
    if (line->ends) {
        buf[len++] = '\n';
    }
    ac_outlet_add(&stream->outlet, buf, len);
}

static void push_line(void *baton, const ac_line_t *line)
{
    input_t *in = baton;
    ac_stream_t *stream = in->stream;

    if (stream->mode == AC_LOG_ERRORLOG) {
        push_log_line(in, *line);
    }
    else if (stream->mode != AC_LOG_NONE) {
        push_raw_line(stream, line);
    }
}

static int ask_for_next(ac_sink_t *sink)
{
    ac_stream_t *stream = sink->owner;
    apr_time_t now = ac_clock_now();
    char stamp[AC_STAMP_SIZE];

    /* A stamp has seconds, so a second file within one would be the first again;
     * and a program that ends at once is not started in a loop. */
    if (stream->asked && now - stream->asked < apr_time_from_msec(1100)) {
        return 0;
    }
    ac_format_stamp(stamp, apr_time_now());
    stream->asked = now;
    return stream->all->ask(stream->all, stream->tag, stamp) == APR_SUCCESS;
}

static void to_error_log(ac_stream_t *stream)
{
    ac_queue_t waiting = stream->outlet.queue;
    input_t raw = { .stream = stream };
    char buf[4096];
    apr_size_t n;

    memset(&stream->outlet.queue, 0, sizeof(stream->outlet.queue));
    stream->outlet.queue.dropped = waiting.dropped;
    ac_outlet_move(&stream->outlet, error_log(stream));
    stream->outlet.raw = 0;
    stream->mode = AC_LOG_ERRORLOG;

    /* What waited for a file is raw: it has to become lines of a log. */
    while ((n = ac_queue_peek(&waiting, buf, sizeof(buf))) > 0) {
        ac_lines_feed(&raw.lines, buf, n, push_line, &raw);
        ac_queue_consume(&waiting, n);
    }
    ac_lines_end(&raw.lines, push_line, &raw);
    ac_outlet_flush(&stream->outlet);
    ac_queue_release(&waiting);
}

static void say_not_opened(ac_stream_t *stream, apr_status_t reason, const char *instead)
{
    ac_line_head_t head = line_head(stream, AC_LEVEL_WARNING);
    char why[128];
    char text[1024];

    apr_strerror(reason, why, sizeof(why));
    apr_snprintf(text, sizeof(text), "the log %s \"%.512s\" cannot be opened (%s); %s",
                 stream->mode == AC_LOG_FILE ? "file" : "program", stream->file, why,
                 instead);
    ac_logs_say(stream->all->logs, stream->log_index, &head, text);
}

static int owns_sink(const ac_stream_t *stream)
{
    return stream->mode == AC_LOG_FILE || stream->mode == AC_LOG_PROGRAM;
}

static void opened(ac_stream_t *stream, int fd, apr_status_t reason)
{
    if (fd >= 0) {
        ac_sink_open(&stream->own, fd);
    }
    else if (stream->own.watch.fd >= 0) {
        say_not_opened(stream, reason, "the present one goes on");
        stream->own.held = 0;
        stream->own.written = 0;
        ac_sink_pump(&stream->own);
    }
    else {
        say_not_opened(stream, reason, "output goes to the error log");
        to_error_log(stream);
    }
}

static void stream_free(ac_stream_t *stream)
{
    ac_capture_release(&stream->capture);
    free(stream->app);
    free(stream->file);
    free(stream);
}

static void shorten_ended(ac_streams_t *streams)
{
    ac_stream_t **at = &streams->ended;
    int n;

    for (n = 0; *at && n < AC_STREAMS_ENDED; ++n) {
        at = &(*at)->next;
    }
    while (*at) {
        ac_stream_t *oldest = *at;

        *at = oldest->next;
        stream_free(oldest);
    }
}

static int inputs_ended(const ac_stream_t *stream)
{
    return stream->in[0].watch.fd < 0 && stream->in[1].watch.fd < 0;
}

/* Takes *at out of the list of living streams; only its capture stays. */
static void retire(ac_streams_t *streams, ac_stream_t **at)
{
    ac_stream_t *stream = *at;

    *at = stream->next;
    ac_outlet_release(&stream->outlet);
    ac_sink_close(&stream->own);
    stream->next = streams->ended;
    streams->ended = stream;
    shorten_ended(streams);
    --streams->ending;
}

void ac_streams_sweep(ac_streams_t *streams)
{
    ac_stream_t **at = &streams->first;

    while (streams->ending && *at) {
        ac_stream_t *stream = *at;

        if (inputs_ended(stream) && (ac_queue_empty(&stream->outlet.queue)
                                     || streams->ending > AC_STREAMS_ENDED)) {
            retire(streams, at);
        }
        else {
            at = &stream->next;
        }
    }
}

static void note_begun(input_t *in)
{
    in->stream->all->begun += (in->lines.len > 0) - (in->begun > 0);
    in->begun = in->lines.len ? ac_clock_now() : 0;
}

static void input_end(input_t *in)
{
    ac_lines_end(&in->lines, push_line, in);
    note_begun(in);
    ac_outlet_flush(&in->stream->outlet);
    ac_relay_watch_close(in->stream->all->loop, &in->watch);
    if (inputs_ended(in->stream)) {
        ++in->stream->all->ending;
    }
}

/* 1 if there may be more to read. */
static int input_read(input_t *in)
{
    static char buf[READ_SIZE];
    ssize_t n;

    if (in->watch.fd < 0) {
        return 0;
    }
    n = read(in->watch.fd, buf, sizeof(buf));
    if (n > 0) {
        ac_capture_add(&in->stream->capture, buf, (apr_size_t)n);
        /* What the app wrote at once stays together in the log. */
        ac_lines_feed(&in->lines, buf, (apr_size_t)n, push_line, in);
        note_begun(in);
        ac_outlet_flush(&in->stream->outlet);
        return 1;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        input_end(in);
    }
    return 0;
}

static void input_ready(ac_relay_watch_t *watch, uint32_t events)
{
    (void)events;
    input_read(watch->owner);
}

static void drain(ac_stream_t *stream)
{
    int rounds = DRAIN_MAX / READ_SIZE;

    while (rounds-- > 0 && input_read(&stream->in[0]) + input_read(&stream->in[1]) > 0) {
        continue;
    }
}

static void hurry(input_t *in)
{
    ac_lines_flush(&in->lines, push_line, in);
    note_begun(in);
    ac_outlet_flush(&in->stream->outlet);
}

int ac_streams_hurry(ac_streams_t *streams)
{
    apr_time_t now, next = 0;
    ac_stream_t *stream;
    int i;

    if (!streams->begun) {
        return -1;
    }
    now = ac_clock_now();
    for (stream = streams->first; stream; stream = stream->next) {
        for (i = 0; i < 2; ++i) {
            input_t *in = &stream->in[i];

            if (in->begun && now - in->begun >= QUIET) {
                hurry(in);
            }
            else if (in->begun) {
                next = ac_clock_earlier(next, in->begun + QUIET);
            }
        }
    }
    return next ? (int)apr_time_as_msec(next - now) + 1 : -1;
}

/* Only this read end's own description becomes non-blocking: the app writes to
 * the other one. */
static void input_start(ac_stream_t *stream, int i, int fd)
{
    input_t *in = &stream->in[i];

    in->stream = stream;
    ac_relay_watch_init(&in->watch, input_ready, in);
    if (fd >= 0) {
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        in->watch.fd = fd;
        ac_relay_watch_set(stream->all->loop, &in->watch, EPOLLIN);
    }
}

static ac_stream_t *stream_create(ac_streams_t *streams, const ac_log_target_t *target)
{
    ac_stream_t *stream = calloc(1, sizeof(*stream));

    if (!stream) {
        abort();
    }
    stream->all = streams;
    stream->mode = target->mode;
    stream->log_index = target->log_index;
    stream->log_level = target->log_level;
    stream->plain_level = target->plain_level;
    stream->app = strdup(target->app ? target->app : "");
    stream->file = strdup(target->file ? target->file : "");
    ac_sink_init(&stream->own, streams->loop, ask_for_next, stream);
    stream->own.max_size = target->mode == AC_LOG_FILE ? target->max_size : 0;
    stream->outlet.raw = owns_sink(stream);
    stream->outlet.app = stream->app;
    stream->outlet.sink = owns_sink(stream) ? &stream->own : error_log(stream);
    return stream;
}

static ac_stream_t *find(ac_stream_t *list, uint64_t tag)
{
    while (list && list->tag != tag) {
        list = list->next;
    }
    return list;
}

/* After a reload the same app may have another error log, or level. */
static void retarget(ac_stream_t *stream, const ac_log_target_t *target)
{
    stream->log_index = target->log_index;
    stream->log_level = target->log_level;
    stream->plain_level = target->plain_level;
    if (!owns_sink(stream)) {
        ac_outlet_move(&stream->outlet, error_log(stream));
    }
}

void ac_streams_put(ac_streams_t *streams, uint64_t tag, uint32_t pid,
                    const ac_log_target_t *target, const int *fds, int n)
{
    ac_stream_t *stream = find(streams->first, tag);
    ac_stream_t **at = &streams->first;

    if (stream || !n) {
        if (stream) {
            retarget(stream, target);
        }
        while (n > 0) {
            close(fds[--n]);
        }
        return;
    }
    stream = stream_create(streams, target);
    stream->tag = tag;
    stream->outlet.pid = pid;
    while (*at) {
        at = &(*at)->next;
    }
    *at = stream;
    input_start(stream, 0, fds[0]);
    input_start(stream, 1, n > 1 ? fds[1] : -1);
    if (owns_sink(stream)) {
        stream->own.held = ask_for_next(&stream->own);
    }
}

void ac_streams_opened(ac_streams_t *streams, uint64_t tag, int fd, apr_status_t reason)
{
    ac_stream_t *stream = find(streams->first, tag);

    if (stream && owns_sink(stream)) {
        opened(stream, fd, reason);
    }
    else if (fd >= 0) {
        close(fd);
    }
}

const ac_capture_t *ac_streams_capture(ac_streams_t *streams, uint64_t tag)
{
    ac_stream_t *stream = find(streams->first, tag);

    if (stream) {
        drain(stream);
    }
    else {
        stream = find(streams->ended, tag);
    }
    return stream ? &stream->capture : NULL;
}

void ac_streams_drain(ac_streams_t *streams)
{
    ac_stream_t *stream;

    for (stream = streams->first; stream; stream = stream->next) {
        drain(stream);
    }
}

void ac_streams_abandon(ac_streams_t *streams)
{
    ac_stream_t *stream;

    for (stream = streams->first; stream; stream = stream->next) {
        if (stream->own.held) {
            opened(stream, -1, APR_EOF);
        }
    }
}

int ac_streams_open(const ac_streams_t *streams)
{
    const ac_stream_t *stream = streams->first;

    while (stream && inputs_ended(stream)) {
        stream = stream->next;
    }
    return stream != NULL;
}

int ac_streams_busy(const ac_streams_t *streams)
{
    const ac_stream_t *stream;

    for (stream = streams->first; stream; stream = stream->next) {
        if (stream->own.first && stream->own.watch.fd >= 0) {
            return 1;
        }
    }
    return 0;
}
