/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/expand.h"

#include <string.h>
#include <strings.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include "spec/settings.h"

/* Walks over text; writes to out when there is one, counts in any case. */
static apr_size_t run(const char *text, ac_expand_fn *fn, void *baton, char *out)
{
    apr_size_t len = 0;

    while (*text) {
        apr_size_t covered = 1;
        const char *value = fn(baton, text, &covered);
        apr_size_t n = value ? strlen(value) : 1;

        if (out) {
            memcpy(out + len, value ? value : text, n);
        }
        len += n;
        text += value ? covered : 1;
        if (len > AC_EXPAND_MAX) {
            break;
        }
    }
    return len;
}

const char *ac_expand(const char *text, ac_expand_fn *fn, void *baton, apr_pool_t *p)
{
    apr_size_t len;
    char *out;

    if (!strpbrk(text, "%${")) {
        return text;
    }
    len = run(text, fn, baton, NULL);
    if (len > AC_EXPAND_MAX) {
        return text;
    }
    out = apr_palloc(p, len + 1);
    run(text, fn, baton, out);
    out[len] = '\0';
    return out;
}

apr_size_t ac_expand_percent(const char *at)
{
    const char *end;

    if (*at != '%') {
        return 0;
    }
    end = at + 1 + strcspn(at + 1, "%=/\\ \t");
    return *end == '%' && end > at + 1 ? (apr_size_t)(end + 1 - at) : 0;
}

static apr_size_t name_length(const char *at)
{
    apr_size_t n = 0;

    if (apr_isalpha(*at) || *at == '_') {
        do {
            ++n;
        } while (apr_isalnum(at[n]) || at[n] == '_');
    }
    return n;
}

apr_size_t ac_expand_dollar(const char *at, const char **pname, apr_size_t *pname_len)
{
    int braced = at[0] == '$' && at[1] == '{';

    if (at[0] != '$') {
        return 0;
    }
    *pname = at + 1 + braced;
    *pname_len = name_length(*pname);
    if (!*pname_len || (braced && (*pname)[*pname_len] != '}')) {
        return 0;
    }
    return 1 + *pname_len + 2 * (apr_size_t)braced;
}

apr_array_header_t *ac_env_make(apr_pool_t *p)
{
    return apr_array_make(p, 32, sizeof(ac_env_var_t));
}

static ac_env_var_t *find(const apr_array_header_t *env, const char *name, apr_size_t len,
                          int (*compare)(const char *, const char *, size_t))
{
    ac_env_var_t *var = (ac_env_var_t *)env->elts;
    int i;

    for (i = 0; i < env->nelts; ++i) {
        if (!compare(var[i].name, name, len) && !var[i].name[len]) {
            return &var[i];
        }
    }
    return NULL;
}

static const char *get(const apr_array_header_t *env, const char *name, apr_size_t len)
{
    const ac_env_var_t *var = find(env, name, len, strncmp);

    if (!var) {
        var = find(env, name, len, strncasecmp);
    }
    return var ? var->value : NULL;
}

const char *ac_env_get(const apr_array_header_t *env, const char *name)
{
    return get(env, name, strlen(name));
}

void ac_env_set(apr_array_header_t *env, const char *name, const char *value)
{
    ac_env_var_t *var = find(env, name, strlen(name), strncmp);

    if (!var) {
        var = apr_array_push(env);
        memset(var, 0, sizeof(*var));
        var->name = name;
    }
    var->value = value;
}

void ac_env_unset(apr_array_header_t *env, const char *name)
{
    ac_env_var_t *var = find(env, name, strlen(name), strncmp);

    if (var) {
        *var = ((ac_env_var_t *)env->elts)[env->nelts - 1];
        apr_array_pop(env);
    }
}

static const char *percent_variable(void *baton, const char *at, apr_size_t *plen)
{
    *plen = ac_expand_percent(at);
    return *plen ? get(baton, at + 1, *plen - 2) : NULL;
}

const char *ac_env_expand(const char *text, const apr_array_header_t *env, apr_pool_t *p)
{
    return ac_expand(text, percent_variable, (void *)env, p);
}
