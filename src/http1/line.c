/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "http1/line.h"

#include <string.h>
#include <strings.h>

#define V   AC_CHAR_VALUE
#define VP  (V | AC_CHAR_PATH | AC_CHAR_QUERY)
#define VQ  (V | AC_CHAR_QUERY)
#define TV  (AC_CHAR_TOKEN | V)
#define TQ  (TV | AC_CHAR_QUERY)
#define ALL (AC_CHAR_TOKEN | VP)

const unsigned char ac_char_class[256] = {
    ['\t'] = V, [' '] = V,
    ['!'] = ALL, ['"'] = VQ, ['#'] = TV, ['$'] = ALL, ['%'] = TQ, ['&'] = ALL,
    ['\''] = ALL, ['('] = VP, [')'] = VP, ['*'] = ALL, ['+'] = ALL, [','] = VP,
    ['-'] = ALL, ['.'] = ALL, ['/'] = VP, ['0' ... '9'] = ALL, [':'] = VP,
    [';'] = VP, ['<'] = VQ, ['='] = VP, ['>'] = VQ, ['?'] = VQ, ['@'] = VP,
    ['A' ... 'Z'] = ALL, ['['] = VQ, ['\\'] = VQ, [']'] = VQ, ['^'] = TQ,
    ['_'] = ALL, ['`'] = TQ, ['a' ... 'z'] = ALL, ['{'] = VQ, ['|'] = TQ,
    ['}'] = VQ, ['~'] = ALL, [0x80 ... 0xff] = V
};

apr_size_t ac_char_span(const char *s, apr_size_t len, int class)
{
    apr_size_t n = 0;

    while (n < len && ac_char_is(s[n], class)) {
        ++n;
    }
    return n;
}

int ac_char_all(const char *s, int class)
{
    const char *at = s;

    /* NUL belongs to no class. */
    while (ac_char_is(*at, class)) {
        ++at;
    }
    return !*at && at > s;
}

int ac_char_hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

const char *ac_line_field(char *line, apr_size_t len, char **pname, char **pvalue)
{
    apr_size_t name = ac_char_span(line, len, AC_CHAR_TOKEN);
    apr_size_t at = name + 1;

    if (len && is_blank(line[0])) {
        return "a folded header line";
    }
    if (name == len || line[name] != ':') {
        return name < len && is_blank(line[name])
               ? "white space before the colon of a header"
               : "a header line without a valid name";
    }
    if (!name) {
        return "a header without a name";
    }
    while (at < len && is_blank(line[at])) {
        ++at;
    }
    while (len > at && is_blank(line[len - 1])) {
        --len;
    }
    if (ac_char_span(line + at, len - at, AC_CHAR_VALUE) != len - at) {
        return "a control byte in a header";
    }
    line[name] = line[len] = '\0';
    *pname = line;
    *pvalue = line + at;
    return NULL;
}

/* The end of an element: a comma outside quotes, or the end of the list. */
static const char *element_end(const char *at)
{
    int quoted = 0;

    for (; *at && (quoted || *at != ','); ++at) {
        if (*at == '"') {
            quoted = !quoted;
        }
        else if (quoted && *at == '\\' && at[1]) {
            ++at;
        }
    }
    return at;
}

int ac_list_next(const char **plist, const char **pitem, apr_size_t *plen)
{
    const char *at = *plist, *end;

    while (*at == ',' || is_blank(*at)) {
        ++at;
    }
    *plist = end = element_end(at);
    while (end > at && is_blank(end[-1])) {
        --end;
    }
    *pitem = at;
    *plen = (apr_size_t)(end - at);
    return end > at;
}

int ac_list_is(const char *item, apr_size_t len, const char *word)
{
    return strlen(word) == len && !strncasecmp(item, word, len);
}
