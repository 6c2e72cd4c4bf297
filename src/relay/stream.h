/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_RELAY_STREAM_H
#define AC_RELAY_STREAM_H

/* The output of one process: stdout and stderr, their lines, where they go, and
 * what came first.
 *
 * A stream lives from STREAM until both pipes are at their end and all lines
 * are written; what it captured stays for the question that follows an exit,
 * for the last AC_STREAMS_ENDED of them. It reads whatever the app writes, as
 * fast as it comes: only lines can be lost, never the app's time. */

#include <apr_pools.h>
#include "relay/capture.h"
#include "relay/level.h"
#include "relay/lines.h"
#include "relay/logs.h"
#include "shared/message.h"

#define AC_STREAMS_ENDED 32

typedef struct ac_stream_t ac_stream_t;
typedef struct ac_streams_t ac_streams_t;

/* Asks for the first or next file of a stream, or for its program; the answer comes by
 * ac_streams_opened(), not before this returns. */
typedef apr_status_t ac_streams_ask_fn(ac_streams_t *streams, uint64_t tag,
                                       const char *stamp);

struct ac_streams_t {
    ac_relay_loop_t *loop;
    ac_logs_t *logs;
    ac_streams_ask_fn *ask;
    void *owner;                /* of whoever is asked */
    ac_stream_t *first;         /* in order of arrival */
    ac_stream_t *ended;         /* captures of those that are gone, latest first */
    int ending;                 /* streams at their end whose lines still wait */
    int begun;                  /* inputs with the beginning of a line */
};

/* Takes the one or two descriptors. A known tag gets another target instead. */
void ac_streams_put(ac_streams_t *streams, uint64_t tag, uint32_t pid,
                    const ac_log_target_t *target, const int *fds, int n);
/* The answer to OPEN_LOG: takes fd, or -1 and the reason. */
void ac_streams_opened(ac_streams_t *streams, uint64_t tag, int fd, apr_status_t reason);
/* What the process printed so far, all that can be read now included; NULL if
 * nothing is known of it. */
const ac_capture_t *ac_streams_capture(ac_streams_t *streams, uint64_t tag);
/* Reads what can be read now, of every stream. */
void ac_streams_drain(ac_streams_t *streams);
/* To be called after every event: lets go of streams that are at their end and
 * written out, and of the oldest when too many wait for a log that takes nothing. */
void ac_streams_sweep(ac_streams_t *streams);
/* What was printed without a newline, a prompt or a last word, and is not followed by
 * anything for a moment, goes out as it is. The milliseconds until that is to be looked
 * at again; -1: nothing is begun. */
int ac_streams_hurry(ac_streams_t *streams);
/* Nobody opens files or programs any more: what waits for one goes to the error
 * log. */
void ac_streams_abandon(ac_streams_t *streams);
/* Is there a process left that may print? */
int ac_streams_open(const ac_streams_t *streams);
/* Does any stream's own file or program have lines to write? */
int ac_streams_busy(const ac_streams_t *streams);

#endif
