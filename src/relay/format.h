/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_RELAY_FORMAT_H
#define AC_RELAY_FORMAT_H

/* Lines of httpd's error log, as httpd itself writes them:
 *
 *   [Sat Nov 21 06:05:48.123456 2026] [appcore:info] [pid 456] app shop: text
 *
 * Text comes from apps and is escaped by the rules of ap_escape_errorlog_item:
 * nothing but printable ASCII gets through. Pure but for the time zone. */

#include <stdint.h>
#include <apr_time.h>
#include "relay/lines.h"

/* Room for the longest line: everything escaped, prefix, marks and newline. */
#define AC_FORMAT_MAX (4 * AC_LINE_MAX + 2048)

typedef struct ac_line_head_t {
    apr_time_t when;            /* apr_time_now() */
    unsigned level;             /* ac_level_e */
    uint32_t pid;               /* 0: left out */
    const char *app;            /* NULL or "": left out */
} ac_line_head_t;

/* Escapes len bytes; returns the number of bytes written, at most size. An
 * escape sequence that does not fit ends the text. */
apr_size_t ac_format_escape(char *buf, apr_size_t size, const char *text, apr_size_t len);

/* A whole line with newline; a carriage return at its end is left out, and a
 * piece of a long line is marked as such. One that looks like a JSON object keeps
 * its backslashes, or it would be none. Returns its length. */
apr_size_t ac_format_line(char *buf, apr_size_t size, const ac_line_head_t *head,
                          const ac_line_t *line);

/* "yyyyMMddHHmmss" in UTC, as ANCM names its log files. */
#define AC_STAMP_SIZE 16
void ac_format_stamp(char buf[AC_STAMP_SIZE], apr_time_t when);

#endif
