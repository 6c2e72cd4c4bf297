/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_HTTP1_LINE_H
#define AC_HTTP1_LINE_H

/* What heads, trailers, field policies and targets share: classes of bytes,
 * one field line, one comma-separated list. Private to src/http1.
 *
 * Everything works on bytes the caller owns, allocates nothing and never
 * blocks. */

#include <apr.h>

#define AC_CHAR_TOKEN   1       /* RFC 9110 tchar */
#define AC_CHAR_VALUE   2       /* field content: HTAB, SP, VCHAR, obs-text */
#define AC_CHAR_PATH    4       /* unreserved, sub-delims, ":", "@", "/" */
#define AC_CHAR_QUERY   8       /* VCHAR but "#": may stand in a query as it is */

extern const unsigned char ac_char_class[256];

static inline int ac_char_is(char c, int classes)
{
    return ac_char_class[(unsigned char)c] & classes;
}

/* How many bytes at the beginning of s belong to the class. */
apr_size_t ac_char_span(const char *s, apr_size_t len, int class);
/* 1 iff the string has a byte and all its bytes belong to the class. */
int ac_char_all(const char *s, int class);
/* 0..15, or -1 if c is no hexadecimal digit. */
int ac_char_hex(char c);

/* Cuts "name: value" in place; len counts no line end and line[len] is writable.
 * NULL on success, otherwise what is wrong, and *pname and *pvalue untouched. */
const char *ac_line_field(char *line, apr_size_t len, char **pname, char **pvalue);

/* The next non-empty element of a list, without white space around it. 0 at the
 * end. A comma inside a quoted string does not separate. */
int ac_list_next(const char **plist, const char **pitem, apr_size_t *plen);
/* 1 iff the element is that word, case-insensitively. */
int ac_list_is(const char *item, apr_size_t len, const char *word);

#endif
