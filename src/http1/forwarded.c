/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "http1/forwarded.h"

#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include "http1/line.h"
#include "http1/target.h"

#define REQUEST_ID_MAX    128
#define REQUEST_START_MAX 32

static const char *const names[AC_FORWARDED_COUNT] = {
    [AC_FORWARDED_FOR] = "X-Forwarded-For",
    [AC_FORWARDED_PROTO] = "X-Forwarded-Proto",
    [AC_FORWARDED_HOST] = "X-Forwarded-Host",
    [AC_FORWARDED_PREFIX] = "X-Forwarded-Prefix",
    [AC_FORWARDED_ELEMENTS] = "Forwarded",
    [AC_FORWARDED_USER] = "X-Forwarded-User",
    [AC_FORWARDED_GROUPS] = "X-Forwarded-Groups",
    [AC_FORWARDED_REAL_IP] = "X-Real-IP",
    [AC_FORWARDED_REQUEST_ID] = "X-Request-ID",
    [AC_FORWARDED_REQUEST_START] = "X-Request-Start"
};

int ac_forwarded_collect(ac_forwarded_t *fwd, const char *name, const char *value,
                         apr_pool_t *p)
{
    int i;

    for (i = 0; i < AC_FORWARDED_COUNT; ++i) {
        if (!strcasecmp(name, names[i])) {
            fwd->said[i] = fwd->said[i]
                           ? apr_pstrcat(p, fwd->said[i], ", ", value, NULL) : value;
            return 1;
        }
    }
    return 0;
}

static void put(apr_table_t *out, ac_forwarded_e field, const char *value)
{
    if (value && *value) {
        apr_table_addn(out, names[field], value);
    }
}

static const char *append(const char *list, const char *item, apr_pool_t *p)
{
    return list && *list ? apr_pstrcat(p, list, ", ", item, NULL) : item;
}

/* "ip:port", an IPv6 address in brackets; without a port where it is unknown. */
static const char *node(const ac_fields_facts_t *facts, apr_pool_t *p)
{
    const char *ip = facts->client_ip;
    int v6 = strchr(ip, ':') != NULL;
    char port[8];

    if (!facts->client_port) {
        return v6 ? apr_pstrcat(p, "[", ip, "]", NULL) : ip;
    }
    apr_snprintf(port, sizeof(port), "%u", facts->client_port & 0xffff);
    return apr_pstrcat(p, v6 ? "[" : "", ip, v6 ? "]:" : ":", port, NULL);
}

static void last_item(const char *list, const char **pitem, apr_size_t *plen)
{
    const char *item;
    apr_size_t len;

    *pitem = "";
    *plen = 0;
    while (ac_list_next(&list, &item, &len)) {
        *pitem = item;
        *plen = len;
    }
}

static const char *known_scheme(const char *word, apr_size_t len)
{
    if (ac_list_is(word, len, "https")) {
        return "https";
    }
    return ac_list_is(word, len, "http") ? "http" : NULL;
}

/* The proto parameter of one element of Forwarded, with or without quotes. */
static const char *element_scheme(const char *element, apr_size_t len)
{
    const char *end = element + len;

    while (element < end) {
        const char *stop = memchr(element, ';', (apr_size_t)(end - element));
        apr_size_t n = (apr_size_t)((stop ? stop : end) - element);

        if (n > 6 && !strncasecmp(element, "proto=", 6)) {
            int quoted = element[6] == '"' && n > 7 && element[n - 1] == '"';

            return known_scheme(element + 6 + quoted, n - 6 - 2 * quoted);
        }
        element += n + 1;
        element += element < end ? strspn(element, " \t") : 0;
    }
    return NULL;
}

/* A proxy in front that ends TLS knows better than our own connection does. */
static const char *believed_scheme(const ac_forwarded_t *fwd,
                                   const ac_fields_facts_t *facts)
{
    const char *scheme = NULL, *item;
    apr_size_t len;

    if (fwd->said[AC_FORWARDED_PROTO]) {
        last_item(fwd->said[AC_FORWARDED_PROTO], &item, &len);
        scheme = known_scheme(item, len);
    }
    else if (fwd->said[AC_FORWARDED_ELEMENTS]) {
        last_item(fwd->said[AC_FORWARDED_ELEMENTS], &item, &len);
        scheme = element_scheme(item, len);
    }
    return scheme ? scheme : facts->scheme;
}

/* The outer prefix is taken as one path; a list or anything that a browser would
 * read as another host is not believed. */
static const char *joined_prefix(const char *outer, const char *prefix, apr_pool_t *p)
{
    apr_size_t len = outer ? strlen(outer) : 0;

    prefix = ac_target_escape(prefix ? prefix : "", p);
    while (len && outer[len - 1] == '/') {
        --len;
    }
    if (!len || outer[0] != '/' || outer[1] == '/' || memchr(outer, ',', len)
        || ac_char_span(outer, len, AC_CHAR_PATH) != len) {
        return prefix;
    }
    return apr_pstrcat(p, apr_pstrmemdup(p, outer, len), prefix, NULL);
}

static const char *request_id(const char *said, const char *made)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789-_.:+/=@~";
    apr_size_t len = said ? strlen(said) : 0;

    return len && len <= REQUEST_ID_MAX && strspn(said, safe) == len ? said : made;
}

/* "t=" and microseconds, as %t of mod_headers writes it. */
static const char *request_start(const char *said, apr_time_t received, apr_pool_t *p)
{
    const char *digits = said && !strncmp(said, "t=", 2) ? said + 2 : said;
    apr_size_t len = digits ? strlen(digits) : 0;
    char buf[REQUEST_START_MAX];
    char *at = buf + sizeof(buf);

    if (len && len <= REQUEST_START_MAX && strspn(digits, "0123456789.") == len) {
        return said;
    }
    if (received <= 0) {
        return NULL;
    }
    for (*--at = '\0'; received; received /= 10) {
        *--at = (char)('0' + received % 10);
    }
    *--at = '=';
    *--at = 't';
    return apr_pstrdup(p, at);
}

static const char *elements(const char *said, const char *scheme,
                            const ac_fields_facts_t *facts, apr_pool_t *p)
{
    const char *from = facts->client_ip ? node(facts, p) : "unknown";

    return apr_pstrcat(p, said, ", for=\"", from, "\";proto=", scheme, NULL);
}

void ac_forwarded_put(apr_table_t *out, const ac_forwarded_t *fwd,
                      const ac_fields_facts_t *facts, apr_pool_t *p)
{
    const char *const *said = fwd->said;
    const char *scheme = believed_scheme(fwd, facts);
    const char *from = facts->client_ip;

    if (from && facts->ancm) {
        from = node(facts, p);
    }
    put(out, AC_FORWARDED_FOR, from ? append(said[AC_FORWARDED_FOR], from, p)
                                    : said[AC_FORWARDED_FOR]);
    if (facts->ancm) {
        put(out, AC_FORWARDED_PROTO, append(said[AC_FORWARDED_PROTO], scheme, p));
        put(out, AC_FORWARDED_HOST, said[AC_FORWARDED_HOST]);
        put(out, AC_FORWARDED_PREFIX, said[AC_FORWARDED_PREFIX]);
        put(out, AC_FORWARDED_REAL_IP, said[AC_FORWARDED_REAL_IP]);
    }
    else {
        const char *host = said[AC_FORWARDED_HOST];
        const char *ip = said[AC_FORWARDED_REAL_IP];

        put(out, AC_FORWARDED_PROTO, scheme);
        put(out, AC_FORWARDED_HOST, host ? host : facts->host);
        put(out, AC_FORWARDED_PREFIX,
            joined_prefix(said[AC_FORWARDED_PREFIX], facts->prefix, p));
        put(out, AC_FORWARDED_REAL_IP, ip ? ip : facts->client_ip);
    }
    if (said[AC_FORWARDED_ELEMENTS]) {
        put(out, AC_FORWARDED_ELEMENTS,
            elements(said[AC_FORWARDED_ELEMENTS], scheme, facts, p));
    }
    put(out, AC_FORWARDED_REQUEST_ID,
        request_id(said[AC_FORWARDED_REQUEST_ID], facts->request_id));
    put(out, AC_FORWARDED_REQUEST_START,
        request_start(said[AC_FORWARDED_REQUEST_START], facts->received, p));
}
