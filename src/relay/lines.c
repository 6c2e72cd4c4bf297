/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "relay/lines.h"

#include <stdlib.h>
#include <string.h>

static void hand_out(ac_lines_t *lines, const char *text, apr_size_t len, int ends,
                     ac_line_fn *fn, void *baton)
{
    ac_line_t line = { text, len, !lines->cut, ends };

    lines->cut = !ends;
    fn(baton, &line);
}

static void release(ac_lines_t *lines)
{
    free(lines->buf);
    lines->buf = NULL;
    lines->len = 0;
}

/* Without memory the beginning of the line is handed out early: a cut in the
 * wrong place is better than a lost line. */
static void keep(ac_lines_t *lines, const char *text, apr_size_t len,
                 ac_line_fn *fn, void *baton)
{
    if (!lines->buf) {
        lines->buf = malloc(AC_LINE_MAX);
    }
    if (!lines->buf) {
        hand_out(lines, text, len, 0, fn, baton);
        return;
    }
    memcpy(lines->buf + lines->len, text, len);
    lines->len += len;
}

/* One piece that fits together with what is kept. */
static void add(ac_lines_t *lines, const char *text, apr_size_t len, int ends,
                ac_line_fn *fn, void *baton)
{
    if (!ends && lines->len + len < AC_LINE_MAX) {
        if (len) {
            keep(lines, text, len, fn, baton);
        }
        return;
    }
    if (lines->len) {
        memcpy(lines->buf + lines->len, text, len);
        hand_out(lines, lines->buf, lines->len + len, ends, fn, baton);
        release(lines);
    }
    else {
        hand_out(lines, text, len, ends, fn, baton);
    }
}

void ac_lines_feed(ac_lines_t *lines, const char *data, apr_size_t len,
                   ac_line_fn *fn, void *baton)
{
    while (len) {
        apr_size_t room = AC_LINE_MAX - lines->len;
        apr_size_t n = len < room ? len : room;
        const char *newline = memchr(data, '\n', n);

        if (newline) {
            n = (apr_size_t)(newline - data);
        }
        else if (n == room && n < len && data[n] == '\n') {
            newline = data + n;
        }
        add(lines, data, n, newline != NULL, fn, baton);
        n += newline != NULL;
        data += n;
        len -= n;
    }
}

void ac_lines_flush(ac_lines_t *lines, ac_line_fn *fn, void *baton)
{
    if (lines->len) {
        hand_out(lines, lines->buf, lines->len, 0, fn, baton);
        release(lines);
    }
}

void ac_lines_end(ac_lines_t *lines, ac_line_fn *fn, void *baton)
{
    if (lines->len || lines->cut) {
        hand_out(lines, lines->buf, lines->len, 1, fn, baton);
    }
    release(lines);
}
