/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_RELAY_LINES_H
#define AC_RELAY_LINES_H

/* Bytes to lines, for one pipe.
 *
 * Lines come out in order and without their newline. One that is longer than
 * AC_LINE_MAX comes out in pieces: `begins` and `ends` say which part of it a
 * piece is, so that raw targets can put it together again and logs can mark the
 * cut. A beginning without a newline waits in here, which takes at most
 * AC_LINE_MAX bytes of heap and nothing while no line is begun; who does not want
 * to wait any longer has it handed out as a piece. Pure. */

#include <apr.h>

#define AC_LINE_MAX 8192

typedef struct ac_lines_t {
    char *buf;                  /* NULL while no line is begun */
    apr_size_t len;
    int cut;                    /* the beginning of this line was handed out */
} ac_lines_t;

typedef struct ac_line_t {
    const char *text;           /* not terminated; valid during the call */
    apr_size_t len;
    int begins;
    int ends;
} ac_line_t;

typedef void ac_line_fn(void *baton, const ac_line_t *line);

void ac_lines_feed(ac_lines_t *lines, const char *data, apr_size_t len,
                   ac_line_fn *fn, void *baton);
/* The beginning of a line goes out as it is, and what follows as its continuation. */
void ac_lines_flush(ac_lines_t *lines, ac_line_fn *fn, void *baton);
/* End of the pipe: hands out what has no newline and frees the buffer. */
void ac_lines_end(ac_lines_t *lines, ac_line_fn *fn, void *baton);

#endif
