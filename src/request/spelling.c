/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/spelling.h"

#include <string.h>
#include "apr_strings.h"

static int is_encoded_slash(const char *at)
{
    return at[0] == '%' && at[1] == '2' && (at[2] == 'f' || at[2] == 'F');
}

const char *ac_spelling_slashes(const char *path, apr_pool_t *p)
{
    const char *at = strchr(path, '%');
    char *result, *to;

    while (at && !is_encoded_slash(at)) {
        at = strchr(at + 1, '%');
    }
    if (!at) {
        return NULL;
    }
    result = to = apr_palloc(p, strlen(path) + 1);
    for (at = path; *at; ++to) {
        if (is_encoded_slash(at)) {
            *to = '/';
            at += 3;
        }
        else {
            *to = *at++;
        }
    }
    *to = '\0';
    return result;
}

const char *ac_spelling_params(const char *path, apr_pool_t *p)
{
    const char *at;
    char *result, *to;

    if (!strchr(path, ';')) {
        return NULL;
    }
    result = to = apr_palloc(p, strlen(path) + 1);
    for (at = path; *at; ) {
        if (*at == ';') {
            at += strcspn(at, "/");
        }
        else {
            *to++ = *at++;
        }
    }
    *to = '\0';
    return result;
}
