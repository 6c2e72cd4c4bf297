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
