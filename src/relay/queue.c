/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "relay/queue.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 4096

static apr_size_t waiting(const ac_queue_t *queue)
{
    return queue->len - queue->pos;
}

/* 1 if there is room for n more bytes at the end. */
static int make_room(ac_queue_t *queue, apr_size_t n)
{
    apr_size_t size = queue->size ? queue->size : FIRST_SIZE;
    char *data;

    if (queue->size - queue->len >= n) {
        return 1;
    }
    if (queue->pos) {
        memmove(queue->data, queue->data + queue->pos, waiting(queue));
        queue->len -= queue->pos;
        queue->pos = 0;
    }
    while (size < queue->len + n) {
        size *= 2;
    }
    if (size == queue->size) {
        return 1;
    }
    data = realloc(queue->data, size);
    if (!data) {
        return 0;
    }
    queue->data = data;
    queue->size = size;
    return 1;
}

static int push(ac_queue_t *queue, const char *line, apr_size_t len)
{
    uint32_t prefix = (uint32_t)len;
    apr_size_t n = sizeof(prefix) + len;

    if (n > AC_QUEUE_MAX || waiting(queue) > AC_QUEUE_MAX - n || !make_room(queue, n)) {
        return 0;
    }
    memcpy(queue->data + queue->len, &prefix, sizeof(prefix));
    memcpy(queue->data + queue->len + sizeof(prefix), line, len);
    queue->len += n;
    return 1;
}

void ac_queue_push(ac_queue_t *queue, const char *line, apr_size_t len)
{
    if (len && (queue->dropped || !push(queue, line, len))) {
        ++queue->dropped;
    }
}

int ac_queue_note_due(const ac_queue_t *queue)
{
    return queue->dropped && waiting(queue) <= AC_QUEUE_MAX / 2;
}

void ac_queue_push_note(ac_queue_t *queue, const char *line, apr_size_t len)
{
    if (push(queue, line, len)) {
        queue->noted += queue->dropped;
        queue->dropped = 0;
    }
}

apr_size_t ac_queue_size(const ac_queue_t *queue)
{
    return waiting(queue);
}

int ac_queue_empty(const ac_queue_t *queue)
{
    return queue->pos == queue->len;
}

int ac_queue_mid_line(const ac_queue_t *queue)
{
    return queue->begun != 0;
}

static apr_size_t line_length(const ac_queue_t *queue, apr_size_t pos)
{
    uint32_t prefix;

    memcpy(&prefix, queue->data + pos, sizeof(prefix));
    return prefix;
}

apr_size_t ac_queue_peek(const ac_queue_t *queue, char *buf, apr_size_t size)
{
    apr_size_t skip = queue->begun;
    apr_size_t pos = queue->pos;
    apr_size_t n = 0;

    while (pos < queue->len) {
        apr_size_t len = line_length(queue, pos);
        const char *rest = queue->data + pos + sizeof(uint32_t) + skip;

        if (len - skip > size - n) {
            if (!n) {
                memcpy(buf, rest, size);
                n = size;
            }
            break;
        }
        memcpy(buf + n, rest, len - skip);
        n += len - skip;
        pos += sizeof(uint32_t) + len;
        skip = 0;
    }
    return n;
}

static void forget(ac_queue_t *queue)
{
    uint64_t dropped = queue->dropped;

    ac_queue_release(queue);
    queue->dropped = dropped;
}

void ac_queue_consume(ac_queue_t *queue, apr_size_t n)
{
    while (n && queue->pos < queue->len) {
        apr_size_t len = line_length(queue, queue->pos);
        apr_size_t rest = len - queue->begun;

        if (n < rest) {
            queue->begun += n;
            break;
        }
        n -= rest;
        queue->begun = 0;
        queue->pos += sizeof(uint32_t) + len;
    }
    if (ac_queue_empty(queue)) {
        forget(queue);
    }
}

/* A note in the queue is no line of the app's, the lines it tells of are. */
void ac_queue_discard(ac_queue_t *queue)
{
    apr_size_t pos;

    for (pos = queue->pos; pos < queue->len; ++queue->dropped) {
        pos += sizeof(uint32_t) + line_length(queue, pos);
    }
    if (queue->noted) {
        queue->dropped += queue->noted - 1;
    }
    forget(queue);
}

void ac_queue_release(ac_queue_t *queue)
{
    free(queue->data);
    memset(queue, 0, sizeof(*queue));
}
