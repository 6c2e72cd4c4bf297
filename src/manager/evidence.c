/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "manager/evidence.h"

#include <string.h>
#include <apr_lib.h>
#include <apr_strings.h>

#define CAUSED_BY " ---> "
#define THROWN_AT "   at "
#define FOUND "The following frameworks were found:"

static const char *line_begin(const char *output, const char *at)
{
    while (at > output && at[-1] != '\n') {
        --at;
    }
    return at;
}

static const char *next_line(const char *at)
{
    at += strcspn(at, "\n");
    return *at ? at + 1 : NULL;
}

/* A line without the blanks around it; "" for an empty one. */
static const char *trimmed(const char *at, apr_pool_t *p)
{
    apr_size_t len;

    at += strspn(at, " \t");
    len = strcspn(at, "\r\n");
    while (len && apr_isspace(at[len - 1])) {
        --len;
    }
    return apr_pstrmemdup(p, at, len);
}

static const char *bounded(const char *text, apr_pool_t *p)
{
    return strlen(text) > AC_EVIDENCE_MAX ? apr_pstrndup(p, text, AC_EVIDENCE_MAX) : text;
}

const char *ac_evidence(const char *output, const char *phrase, apr_pool_t *p)
{
    const char *at = strstr(output, phrase), *text;
    int where = 0;

    if (!at) {
        return NULL;
    }
    at = line_begin(output, at);
    text = trimmed(at, p);
    while (!where && strlen(text) < AC_EVIDENCE_MAX && (at = next_line(at)) != NULL) {
        where = !strncmp(at, THROWN_AT, sizeof(THROWN_AT) - 1);
        if (!where && strncmp(at, CAUSED_BY, sizeof(CAUSED_BY) - 1)) {
            break;
        }
        text = apr_pstrcat(p, text, " | ", trimmed(at, p), NULL);
    }
    return bounded(text, p);
}

const char *ac_evidence_framework(const char *output, apr_pool_t *p)
{
    const char *text = ac_evidence(output, "Framework: ", p);
    const char *at = strstr(output, FOUND);
    const char *found = "";

    if (!text) {
        return NULL;
    }
    while (at && (at = next_line(at)) != NULL && *at == ' '
           && strlen(found) < AC_EVIDENCE_MAX) {
        found = apr_pstrcat(p, found, *found ? ", " : "", trimmed(at, p), NULL);
    }
    return bounded(apr_pstrcat(p, text, " | found: ", *found ? found : "none", NULL), p);
}

/* Where in the line a server says that it serves, after the word that tells so. */
static const char *says_where(const char *line)
{
    static const char *const words[] = { "listening", "running on", "running at" };
    const char *at;
    unsigned i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); ++i) {
        at = strcasestr(line, words[i]);
        if (at) {
            return at + strlen(words[i]);
        }
    }
    return NULL;
}

/* A URL, else "port N"; NULL. */
static const char *address_in(const char *text, apr_pool_t *p)
{
    const char *url = strcasestr(text, "http://");
    const char *port = strcasestr(text, "port ");

    url = url ? url : strcasestr(text, "https://");
    if (url) {
        return apr_pstrmemdup(p, url, strcspn(url, " \t\"'<>,;()"));
    }
    if (port && apr_isdigit(port[5])) {
        return apr_pstrcat(p, "port ", apr_pstrmemdup(p, port + 5,
                           strspn(port + 5, "0123456789")), NULL);
    }
    return NULL;
}

const char *ac_evidence_addresses(const char *output, apr_pool_t *p)
{
    const char *all = NULL;

    for (; output; output = next_line(output)) {
        const char *where = says_where(trimmed(output, p));
        const char *address = where ? address_in(where, p) : NULL;

        if (address && !(all && strstr(all, address))) {
            all = all ? apr_pstrcat(p, all, ", ", address, NULL) : address;
        }
        if (all && strlen(all) > AC_EVIDENCE_MAX) {
            return bounded(all, p);
        }
    }
    return all;
}

const char *ac_evidence_last(const char *output, apr_pool_t *p)
{
    const char *last = NULL;

    for (; output; output = next_line(output)) {
        if (*trimmed(output, p)) {
            last = output;
        }
    }
    return last ? bounded(trimmed(last, p), p) : NULL;
}
