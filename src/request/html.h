/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_HTML_H
#define AC_REQUEST_HTML_H

/* A text that grows in its pool, and escaping for HTML. Pure; APR only. */

#include <apr_pools.h>

typedef struct ac_html_t {
    apr_pool_t *p;
    char *text;                 /* always terminated once something was added */
    apr_size_t len;
    apr_size_t size;
} ac_html_t;

void ac_html_init(ac_html_t *html, apr_pool_t *p);
/* Markup of our own, as it is. */
void ac_html_raw(ac_html_t *html, const char *text);
/* Foreign text: what HTML gives a meaning is escaped, what it forbids is left
 * out, and bytes that are no UTF-8 become U+FFFD. NULL is "". */
void ac_html_text(ac_html_t *html, const char *text);
/* printf-like, then as foreign text. */
void ac_html_printf(ac_html_t *html, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
