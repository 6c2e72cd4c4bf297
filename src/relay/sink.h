/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_RELAY_SINK_H
#define AC_RELAY_SINK_H

/* Outputs: a sink is a descriptor to write to, an outlet the queue of one
 * writer. Many outlets share the sink of an error log and are served in turn,
 * by whole lines; a log file or logging program has one outlet.
 *
 * Error log descriptors share their open file description with httpd, so they
 * never become non-blocking. Nothing here waits for a reader all the same: a
 * pipe is fed by splice() with SPLICE_F_NONBLOCK from a pipe of our own, other
 * descriptors are asked by poll() before a write of at most PIPE_BUF. A write
 * to a file may take as long as the disk does. */

#include <apr_errno.h>
#include <apr_time.h>
#include "relay/format.h"
#include "relay/loop.h"
#include "relay/queue.h"

typedef struct ac_sink_t ac_sink_t;
typedef struct ac_outlet_t ac_outlet_t;

/* The file is full or the program is gone: asks for another descriptor. Returns
 * 0 where that is not to be had now. */
typedef int ac_sink_next_fn(ac_sink_t *sink);

typedef enum ac_sink_e {
    AC_SINK_FILE = 0, AC_SINK_PIPE, AC_SINK_SOCKET, AC_SINK_OTHER
} ac_sink_e;

struct ac_sink_t {
    ac_relay_loop_t *loop;
    ac_relay_watch_t watch;           /* fd -1: outlets wait for one */
    ac_sink_e kind;
    uint64_t written;           /* size of a file */
    uint64_t max_size;          /* 0: no rotation */
    ac_sink_next_fn *next;      /* NULL where nobody can be asked */
    void *owner;
    int held;                   /* asked; outlets wait for the answer */
    ac_outlet_t *first;         /* outlets with lines, in turn */
    ac_outlet_t *last;
};

struct ac_outlet_t {
    ac_queue_t queue;
    ac_sink_t *sink;
    int raw;                    /* lines without the form of an error log */
    uint32_t pid;               /* for the note about drops */
    const char *app;
    ac_outlet_t *next;
    int waiting;                /* in the sink's list */
};

void ac_sink_init(ac_sink_t *sink, ac_relay_loop_t *loop, ac_sink_next_fn *next,
                  void *owner);
/* Takes fd in place of the present one and writes what waits; a line begun on
 * the old one starts over. */
void ac_sink_open(ac_sink_t *sink, int fd);
void ac_sink_close(ac_sink_t *sink);
/* Writes what can be written now. */
void ac_sink_pump(ac_sink_t *sink);

/* Queues a whole line (with newline) and writes what can be written. */
void ac_outlet_push(ac_outlet_t *outlet, const char *line, apr_size_t len);
/* The same of one line of several: they are written together, by ac_outlet_flush()
 * at the latest. */
void ac_outlet_add(ac_outlet_t *outlet, const char *line, apr_size_t len);
void ac_outlet_flush(ac_outlet_t *outlet);
/* To another sink, with all that waits. */
void ac_outlet_move(ac_outlet_t *outlet, ac_sink_t *sink);
/* Forgets what waits and leaves the sink. */
void ac_outlet_release(ac_outlet_t *outlet);

/* Is a file of that many bytes too full for `add` more? Never an empty one. */
int ac_rotation_due(uint64_t written, uint64_t add, uint64_t max_size);

#endif
