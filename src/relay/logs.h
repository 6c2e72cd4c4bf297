/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_RELAY_LOGS_H
#define AC_RELAY_LOGS_H

/* httpd's error logs, by the index that specs and messages use.
 *
 * The parent hands them over anew at every reload, in batches from index 0 on;
 * until the one of an index is there, its lines wait. Every log has an outlet of
 * its own for sentences of keeper, manager and relay. */

#include "relay/sink.h"

#define AC_LOGS_MAX 4096

typedef struct ac_log_t {
    ac_sink_t sink;
    ac_outlet_t sentences;
} ac_log_t;

typedef struct ac_logs_t {
    ac_relay_loop_t *loop;
    ac_log_t *log[AC_LOGS_MAX]; /* NULL until somebody asks */
} ac_logs_t;

/* Takes the descriptors, all of them, whatever the numbers are. A batch from
 * index 0 begins a new set: what the old one had beyond it is closed. */
void ac_logs_put(ac_logs_t *logs, uint32_t first, const int *fds, int n);
/* Never NULL: an index out of range is the first log. */
ac_log_t *ac_logs_find(ac_logs_t *logs, uint32_t index);
void ac_logs_say(ac_logs_t *logs, uint32_t index, const ac_line_head_t *head,
                 const char *text);
/* Does any log have lines to write? */
int ac_logs_busy(const ac_logs_t *logs);

#endif
