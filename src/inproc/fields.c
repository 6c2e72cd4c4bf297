/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/fields.h"

#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include "http1/line.h"

static int is(appcore_str name, const char *word)
{
    return name.len == strlen(word) && !strncasecmp(name.p, word, name.len);
}

/* Fields of one connection; Connection itself is read. */
static int is_hop(appcore_str name)
{
    static const char *const hops[] = {
        "Keep-Alive", "Proxy-Connection", "TE", "Transfer-Encoding", "Upgrade"
    };
    unsigned i;

    for (i = 0; i < sizeof(hops) / sizeof(hops[0]); ++i) {
        if (is(name, hops[i])) {
            return 1;
        }
    }
    return 0;
}

static int is_valid(const appcore_field *field)
{
    return field->name.len
           && ac_char_span(field->name.p, field->name.len, AC_CHAR_TOKEN)
              == field->name.len
           && ac_char_span(field->value.p, field->value.len, AC_CHAR_VALUE)
              == field->value.len;
}

/* The same length twice is one. */
static int take_length(ac_answer_head_t *head, appcore_str value)
{
    apr_int64_t n = 0;
    size_t i;

    for (i = 0; i < value.len; ++i) {
        int digit = value.p[i] - '0';

        if (digit < 0 || digit > 9 || n > (APR_INT64_MAX - digit) / 10) {
            return 0;
        }
        n = n * 10 + digit;
    }
    if (!value.len || (head->length >= 0 && head->length != n)) {
        return 0;
    }
    head->length = n;
    return 1;
}

static void take_connection(ac_answer_head_t *head, const char *list)
{
    const char *item;
    apr_size_t len;

    while (ac_list_next(&list, &item, &len)) {
        head->close |= ac_list_is(item, len, "close");
    }
}

/* Name and value in one block, each ended by NUL. */
static char *copy(const appcore_field *field, apr_pool_t *p)
{
    char *block = apr_palloc(p, field->name.len + field->value.len + 2);

    memcpy(block, field->name.p, field->name.len);
    block[field->name.len] = '\0';
    if (field->value.len) {
        memcpy(block + field->name.len + 1, field->value.p, field->value.len);
    }
    block[field->name.len + 1 + field->value.len] = '\0';
    return block;
}

static int add(ac_answer_head_t *head, const appcore_field *field, apr_pool_t *p)
{
    char *name, *value;

    if (!is_valid(field)) {
        return 0;
    }
    name = copy(field, p);
    value = name + field->name.len + 1;
    if (is_hop(field->name)) {
        head->upgrade = is(field->name, "Upgrade") ? value : head->upgrade;
        return 1;
    }
    if (is(field->name, "Connection")) {
        take_connection(head, value);
        return 1;
    }
    if (is(field->name, "Content-Length")) {
        int known = head->length >= 0;

        if (!take_length(head, field->value)) {
            return 0;
        }
        if (known) {
            return 1;
        }
    }
    apr_table_addn(head->fields, name, value);
    return 1;
}

/* Each length by itself first, so that no sum overflows. */
static int is_too_much(const appcore_field *fields, size_t n)
{
    size_t total = 0, i;

    if (n > AC_ANSWER_FIELDS) {
        return 1;
    }
    for (i = 0; i < n && total <= AC_ANSWER_BYTES; ++i) {
        if (fields[i].name.len > AC_ANSWER_BYTES
            || fields[i].value.len > AC_ANSWER_BYTES) {
            return 1;
        }
        total += fields[i].name.len + fields[i].value.len;
    }
    return total > AC_ANSWER_BYTES;
}

int ac_answer_head(ac_answer_head_t *head, const appcore_field *fields, size_t n,
                   apr_pool_t *p)
{
    size_t i;

    if (is_too_much(fields, n)) {
        return 0;
    }
    head->fields = apr_table_make(p, (int)n + 4);
    head->length = -1;
    head->close = 0;
    head->upgrade = NULL;
    for (i = 0; i < n; ++i) {
        if (!add(head, &fields[i], p)) {
            return 0;
        }
    }
    return 1;
}

const char *ac_answer_reason(appcore_str reason, apr_pool_t *p)
{
    if (!reason.len) {
        return "";
    }
    return reason.len <= AC_ANSWER_REASON
           && ac_char_span(reason.p, reason.len, AC_CHAR_VALUE) == reason.len
           ? apr_pstrmemdup(p, reason.p, reason.len) : NULL;
}

int ac_answer_trailer_allowed(appcore_str name, appcore_str value)
{
    static const char *const never[] = {
        "Age", "Authorization", "Cache-Control", "Connection", "Content-Encoding",
        "Content-Length", "Content-Range", "Content-Type", "Date", "Expires", "Host",
        "Location", "Retry-After", "Set-Cookie", "Trailer", "Vary", "WWW-Authenticate"
    };
    appcore_field field = { name, value };
    unsigned i;

    for (i = 0; i < sizeof(never) / sizeof(never[0]); ++i) {
        if (is(name, never[i])) {
            return 0;
        }
    }
    return is_valid(&field) && !is_hop(name);
}
