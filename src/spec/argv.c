/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/argv.h"

#include <string.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include "spec/expand.h"
#include "spec/launch.h"

typedef struct splitter_t {
    const char *at;
    char *out;                  /* never grows past the rest of the line */
    char quote;                 /* 0, ' or " */
} splitter_t;

static void unix_char(splitter_t *s)
{
    char c = *s->at++;

    if (s->quote && c == s->quote) {
        s->quote = 0;
    }
    else if (!s->quote && (c == '"' || c == '\'')) {
        s->quote = c;
    }
    else if (c == '\\' && *s->at && s->quote != '\''
             && (!s->quote || *s->at == '"' || *s->at == '\\')) {
        *s->out++ = *s->at++;
    }
    else {
        *s->out++ = c;
    }
}

/* 2n backslashes and a quote are n backslashes and the quote, 2n + 1 are n
 * backslashes and a literal quote; not before a quote they are themselves. */
static void windows_backslashes(splitter_t *s)
{
    apr_size_t n = strspn(s->at, "\\");
    int before_quote = s->at[n] == '"';
    apr_size_t kept = before_quote ? n / 2 : n;

    memset(s->out, '\\', kept);
    s->out += kept;
    s->at += n;
    if (before_quote && n % 2) {
        *s->out++ = *s->at++;
    }
}

static void windows_char(splitter_t *s)
{
    if (*s->at == '\\') {
        windows_backslashes(s);
    }
    else if (*s->at != '"') {
        *s->out++ = *s->at++;
    }
    else if (s->quote && s->at[1] == '"') {
        *s->out++ = '"';
        s->at += 2;
    }
    else {
        s->quote = s->quote ? 0 : '"';
        ++s->at;
    }
}

apr_array_header_t *ac_argv_split(const char *line, ac_quotes_e rules, apr_pool_t *p)
{
    apr_array_header_t *words = apr_array_make(p, 8, sizeof(const char *));
    splitter_t s = { .at = line };
    char *word;

    if (strlen(line) > AC_LAUNCH_LINE_MAX) {
        return NULL;
    }
    s.out = apr_palloc(p, 2 * strlen(line) + 2);
    for (;;) {
        while (apr_isspace(*s.at)) {
            ++s.at;
        }
        if (!*s.at) {
            return words;
        }
        word = s.out;
        while (*s.at && (s.quote || !apr_isspace(*s.at))) {
            (rules == AC_QUOTES_UNIX ? unix_char : windows_char)(&s);
        }
        *s.out++ = '\0';
        if ((s.quote && rules == AC_QUOTES_UNIX)
            || words->nelts == AC_LAUNCH_ARGS_MAX) {
            return NULL;
        }
        APR_ARRAY_PUSH(words, const char *) = word;
    }
}

static const char *quoted(const char *word, apr_pool_t *p)
{
    char *out, *to;

    if (*word && !strpbrk(word, " \t\r\n\"'\\$`&|;<>()*?[]#~")) {
        return word;
    }
    to = out = apr_palloc(p, 4 * strlen(word) + 3);
    *to++ = '\'';
    for (; *word; ++word) {
        if (*word == '\'') {
            memcpy(to, "'\\''", 4);
            to += 4;
        }
        else {
            *to++ = *word;
        }
    }
    *to++ = '\'';
    *to = '\0';
    return out;
}

const char *ac_argv_join(const apr_array_header_t *words, apr_pool_t *p)
{
    apr_array_header_t *out = apr_array_make(p, words->nelts, sizeof(const char *));
    int i;

    for (i = 0; i < words->nelts; ++i) {
        const char *word = APR_ARRAY_IDX(words, i, const char *);

        APR_ARRAY_PUSH(out, const char *) = quoted(word, p);
    }
    return apr_array_pstrcat(p, out, ' ');
}

typedef struct filling_t {
    const ac_launch_t *launch;
    const ac_instance_t *inst;
    apr_array_header_t *env;
    const char *port;
} filling_t;

static const char *placeholder(const filling_t *fill, const char *at, apr_size_t *plen)
{
    const ac_instance_t *inst = fill->inst;
    const struct {
        const char *text;
        const char *value;
    } table[] = {
        { "{fd}", inst->reach & AC_REACH_FD ? "3" : NULL },
        { "{socket}", inst->reach & AC_REACH_PATH ? inst->socket_path : NULL },
        { "{port}", inst->reach & AC_REACH_PORT ? fill->port : NULL },
        { "{path}", inst->prefix },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); ++i) {
        *plen = strlen(table[i].text);
        if (!strncmp(at, table[i].text, *plen)) {
            return table[i].value;
        }
    }
    return NULL;
}

static const char *fill_in(void *baton, const char *at, apr_size_t *plen)
{
    const filling_t *fill = baton;
    const char *name = NULL;
    const char *value;
    apr_size_t len = 0;

    if (*at == '{') {
        return placeholder(fill, at, plen);
    }
    if (fill->launch->expand == AC_EXPAND_PERCENT) {
        *plen = ac_expand_percent(at);
        name = at + 1;
        len = *plen - 2;
    }
    else {
        *plen = ac_expand_dollar(at, &name, &len);
    }
    if (!*plen) {
        return NULL;
    }
    value = ac_env_get(fill->env, apr_pstrmemdup(fill->env->pool, name, len));
    /* An unset variable is nothing to a shell and stays as it is on Windows. */
    return value || fill->launch->expand == AC_EXPAND_PERCENT ? value : "";
}

/* A shell would split what an unquoted $NAME stands for; ${NAME} is how a quoted
 * one arrives here. */
static int splits(const ac_launch_t *launch, const char *word)
{
    return launch->expand == AC_EXPAND_DOLLAR && word[0] == '$' && word[1] != '{'
           && !word[1 + strspn(word + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "abcdefghijklmnopqrstuvwxyz0123456789_")];
}

static void push_filled(apr_array_header_t *argv, const char *word, filling_t *fill,
                        apr_pool_t *p)
{
    const char *filled = ac_expand(word, fill_in, fill, p);
    char *state = NULL;
    char *part;

    if (!splits(fill->launch, word)) {
        APR_ARRAY_PUSH(argv, const char *) = filled;
        return;
    }
    part = apr_strtok(apr_pstrdup(p, filled), " \t\n", &state);
    for (; part && argv->nelts < 2 * AC_LAUNCH_ARGS_MAX;
         part = apr_strtok(NULL, " \t\n", &state)) {
        APR_ARRAY_PUSH(argv, const char *) = part;
    }
}

static apr_array_header_t *parse_env(const char *const *env, apr_pool_t *p)
{
    apr_array_header_t *list = ac_env_make(p);

    for (; *env; ++env) {
        const char *eq = strchr(*env, '=');

        if (eq) {
            ac_env_set(list, apr_pstrmemdup(p, *env, (apr_size_t)(eq - *env)), eq + 1);
        }
    }
    return list;
}

const char **ac_launch_argv(const ac_launch_t *launch, const ac_instance_t *inst,
                            const char *const *env, apr_pool_t *p)
{
    apr_array_header_t *argv = apr_array_make(p, launch->argv->nelts + 1,
                                              sizeof(const char *));
    filling_t fill = { .launch = launch, .inst = inst };
    int i;

    fill.env = parse_env(env, p);
    fill.port = apr_psprintf(p, "%u", inst->port);
    for (i = 0; i < launch->argv->nelts; ++i) {
        const char *word = APR_ARRAY_IDX(launch->argv, i, const char *);

        if (i == 0 || launch->expand == AC_EXPAND_NONE) {
            APR_ARRAY_PUSH(argv, const char *) = word;
        }
        else {
            push_filled(argv, word, &fill, p);
        }
    }
    APR_ARRAY_PUSH(argv, const char *) = NULL;
    return (const char **)argv->elts;
}
