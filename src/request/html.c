/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/html.h"

#include <stdarg.h>
#include <string.h>
#include <apr_strings.h>

#define FIRST_SIZE 8192
#define REPLACEMENT "\xef\xbf\xbd"

void ac_html_init(ac_html_t *html, apr_pool_t *p)
{
    memset(html, 0, sizeof(*html));
    html->p = p;
    html->text = apr_pstrdup(p, "");
}

static void add(ac_html_t *html, const char *text, apr_size_t len)
{
    if (html->size < html->len + len + 1) {
        apr_size_t size = html->size ? html->size : FIRST_SIZE;
        char *grown;

        while (size < html->len + len + 1) {
            size *= 2;
        }
        grown = apr_palloc(html->p, size);
        memcpy(grown, html->text, html->len);
        html->text = grown;
        html->size = size;
    }
    memcpy(html->text + html->len, text, len);
    html->len += len;
    html->text[html->len] = '\0';
}

void ac_html_raw(ac_html_t *html, const char *text)
{
    add(html, text, strlen(text));
}

/* Length of the well-formed UTF-8 sequence at s, 0 if it is none. The table of
 * the Unicode standard: no overlong forms, no surrogates, at most U+10FFFF. */
static apr_size_t utf8_length(const unsigned char *s)
{
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    apr_size_t len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    apr_size_t i;

    if (s[0] < 0xc2 || s[0] > 0xf4) {
        return 0;
    }
    switch (s[0]) {
    case 0xe0: low = 0xa0; break;
    case 0xed: high = 0x9f; break;
    case 0xf0: low = 0x90; break;
    case 0xf4: high = 0x8f; break;
    }
    if (s[1] < low || s[1] > high) {
        return 0;
    }
    for (i = 2; i < len; ++i) {
        if (s[i] < 0x80 || s[i] > 0xbf) {
            return 0;
        }
    }
    return len;
}

/* Length of a terminal's escape sequence at s (ESC [ … letter, ESC letter). */
static apr_size_t terminal_length(const unsigned char *s)
{
    apr_size_t len = 2;

    if (s[1] != '[') {
        return s[1] >= 0x40 && s[1] <= 0x5f ? 2 : 1;
    }
    while (s[len] >= 0x20 && s[len] <= 0x3f) {
        ++len;
    }
    return s[len] >= 0x40 && s[len] <= 0x7e ? len + 1 : len;
}

static const char *entity(unsigned char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

/* Adds what begins at s; returns how many bytes of it are done with. */
static apr_size_t add_character(ac_html_t *html, const unsigned char *s)
{
    const char *named = entity(*s);
    apr_size_t len;

    if (named) {
        ac_html_raw(html, named);
        return 1;
    }
    if (*s == 0x1b) {
        return terminal_length(s);
    }
    if (*s < 0x80) {
        if (*s == '\n' || *s == '\t' || (*s >= 0x20 && *s != 0x7f)) {
            add(html, (const char *)s, 1);
        }
        return 1;
    }
    len = utf8_length(s);
    if (!len) {
        ac_html_raw(html, REPLACEMENT);
        return 1;
    }
    /* U+0080 to U+009F and noncharacters are parse errors in HTML. */
    if ((s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xef && s[1] == 0xb7 && s[2] >= 0x90
                                          && s[2] <= 0xaf)) {
        ac_html_raw(html, REPLACEMENT);
    }
    else {
        add(html, (const char *)s, len);
    }
    return len;
}

void ac_html_text(ac_html_t *html, const char *text)
{
    const unsigned char *s = (const unsigned char *)(text ? text : "");

    while (*s) {
        s += add_character(html, s);
    }
}

void ac_html_printf(ac_html_t *html, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    ac_html_text(html, apr_pvsprintf(html->p, fmt, ap));
    va_end(ap);
}
