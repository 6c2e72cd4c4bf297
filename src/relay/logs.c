/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "relay/logs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ac_log_t *ac_logs_find(ac_logs_t *logs, uint32_t index)
{
    ac_log_t **at = &logs->log[index < AC_LOGS_MAX ? index : 0];

    if (!*at) {
        *at = calloc(1, sizeof(ac_log_t));
        if (!*at) {
            abort();
        }
        ac_sink_init(&(*at)->sink, logs->loop, NULL, NULL);
        (*at)->sentences.sink = &(*at)->sink;
    }
    return *at;
}

static void close_all(ac_logs_t *logs)
{
    uint32_t i;

    for (i = 0; i < AC_LOGS_MAX; ++i) {
        if (logs->log[i]) {
            ac_sink_close(&logs->log[i]->sink);
        }
    }
}

void ac_logs_put(ac_logs_t *logs, uint32_t first, const int *fds, int n)
{
    uint32_t i;

    if (first == 0) {
        close_all(logs);
    }
    for (i = 0; i < (uint32_t)n; ++i) {
        if (first < AC_LOGS_MAX - i) {
            ac_sink_open(&ac_logs_find(logs, first + i)->sink, fds[i]);
        }
        else {
            close(fds[i]);
        }
    }
}

void ac_logs_say(ac_logs_t *logs, uint32_t index, const ac_line_head_t *head,
                 const char *text)
{
    static char buf[AC_FORMAT_MAX];
    ac_line_t line = { text, strlen(text), 1, 1 };
    apr_size_t len;

    if (line.len > AC_LINE_MAX) {
        line.len = AC_LINE_MAX;
        line.ends = 0;
    }
    len = ac_format_line(buf, sizeof(buf), head, &line);
    ac_outlet_push(&ac_logs_find(logs, index)->sentences, buf, len);
}

int ac_logs_busy(const ac_logs_t *logs)
{
    uint32_t i;

    for (i = 0; i < AC_LOGS_MAX; ++i) {
        const ac_log_t *log = logs->log[i];

        if (log && log->sink.first && log->sink.watch.fd >= 0) {
            return 1;
        }
    }
    return 0;
}
