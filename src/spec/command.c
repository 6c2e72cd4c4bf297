/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/command.h"

#include <string.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include "spec/expand.h"
#include "spec/launch.h"

/* What "exec" in front would not mean the same with. */
static const char *const builtins[] = {
    "!", ".", ":", "[", "[[", "case", "cd", "eval", "exit", "export", "for", "function",
    "if", "read", "return", "set", "shift", "source", "test", "time", "trap", "ulimit",
    "umask", "unset", "until", "wait", "while", "{",
};

typedef struct scan_t {
    const char *at;
    char *out;
    char quote;
    int parens;                 /* open in $(…), outside of quotes */
    const char *why;            /* first thing that needs a shell */
    int is_list;                /* several commands, or one of the shell's own */
    apr_pool_t *p;
} scan_t;

static void needs_shell(scan_t *s, const char *why, int is_list)
{
    s->why = s->why ? s->why : why;
    s->is_list |= is_list;
}

static void copy(scan_t *s, apr_size_t n)
{
    memcpy(s->out, s->at, n);
    s->out += n;
    s->at += n;
}

/* A plain reference is kept in the form that says whether it was quoted. */
static void scan_dollar(scan_t *s)
{
    const char *name;
    apr_size_t name_len;
    apr_size_t n = ac_expand_dollar(s->at, &name, &name_len);
    int braces = s->quote || apr_isalnum(s->at[n]) || s->at[n] == '_';

    if (!n) {
        int opens = !s->quote && s->at[1] == '(';

        needs_shell(s, "an expansion", 0);
        s->parens += opens;
        copy(s, 1 + (apr_size_t)opens);
        return;
    }
    *s->out++ = '$';
    if (braces) {
        *s->out++ = '{';
    }
    memcpy(s->out, name, name_len);
    s->out += name_len;
    if (braces) {
        *s->out++ = '}';
    }
    s->at += n;
}

/* After a backslash; a "$" that is not a reference cannot be written as a word. */
static void scan_escaped(scan_t *s)
{
    ++s->at;
    if (!*s->at || *s->at == '$' || *s->at == '\n') {
        needs_shell(s, "a backslash", 0);
    }
    if (s->quote && !strchr("\"\\$`", *s->at)) {
        *s->out++ = '\\';
    }
    if (*s->at) {
        copy(s, 1);
    }
}

static void scan_operator(scan_t *s)
{
    char c = *s->at;
    int redirects = c == '&' && (s->at[-1] == '>' || s->at[-1] == '<');

    if (s->parens) {
        s->parens += c == '(' ? 1 : c == ')' ? -1 : 0;
    }
    else if (strchr(";&|()\n", c) && !redirects) {
        needs_shell(s, "several commands", 1);
    }
    else if (strchr("<>&", c)) {
        needs_shell(s, "a redirection", 0);
    }
    else {
        needs_shell(s, "a pattern or an expansion", 0);
    }
    copy(s, 1);
}

static void scan_unquoted(scan_t *s)
{
    if (*s->at == '\'' || *s->at == '"') {
        s->quote = *s->at++;
    }
    else if (strchr(";&|()\n<>`*?[~#", *s->at)) {
        scan_operator(s);
    }
    else {
        copy(s, 1);
    }
}

static void scan_char(scan_t *s)
{
    if (s->quote && *s->at == s->quote) {
        s->quote = 0;
        ++s->at;
    }
    else if (s->quote == '\'') {
        if (*s->at == '$') {
            needs_shell(s, "a literal $", 0);
        }
        copy(s, 1);
    }
    else if (*s->at == '$') {
        scan_dollar(s);
    }
    else if (*s->at == '\\') {
        scan_escaped(s);
    }
    else if (s->quote) {
        if (*s->at == '`') {
            needs_shell(s, "an expansion", 0);
        }
        copy(s, 1);
    }
    else {
        scan_unquoted(s);
    }
}

static int ends_word(char c)
{
    return !c || c == ' ' || c == '\t' || c == '\r';
}

static const char *scan_word(scan_t *s)
{
    char *word = s->out;

    while (*s->at && (s->quote || !ends_word(*s->at))) {
        scan_char(s);
    }
    if (s->quote) {
        needs_shell(s, "an open quote", 0);
        s->quote = 0;
    }
    *s->out++ = '\0';
    return word;
}

/* Length of NAME in "NAME=…" as it stands in the text, else 0. */
static apr_size_t assigned_name(const char *at)
{
    apr_size_t n = 0;

    if (!apr_isalpha(*at) && *at != '_') {
        return 0;
    }
    while (apr_isalnum(at[n]) || at[n] == '_') {
        ++n;
    }
    return at[n] == '=' ? n : 0;
}

static void skip_blanks(scan_t *s)
{
    while (*s->at && ends_word(*s->at)) {
        ++s->at;
    }
}

/* Reads leading assignments; one that refers to something is the shell's. */
static void scan_assignments(scan_t *s, ac_command_t *cmd)
{
    apr_size_t n;

    for (skip_blanks(s); (n = assigned_name(s->at)) > 0; skip_blanks(s)) {
        const char *word = scan_word(s);
        ac_env_var_t *var;

        if (s->why || strchr(word, '$')) {
            needs_shell(s, "an assignment that refers to something", 1);
        }
        var = apr_array_push(cmd->vars);
        memset(var, 0, sizeof(*var));
        var->name = apr_pstrmemdup(s->p, word, n);
        var->value = word + n + 1;
        var->origin = AC_ORIGIN_WEBCONFIG;
    }
}

static void skip_exec(scan_t *s)
{
    if (!strncmp(s->at, "exec", 4) && s->at[4] && ends_word(s->at[4])) {
        s->at += 4;
        skip_blanks(s);
    }
}

static int is_builtin(const char *word)
{
    apr_size_t i;

    for (i = 0; i < sizeof(builtins) / sizeof(builtins[0]); ++i) {
        if (!strcmp(word, builtins[i])) {
            return 1;
        }
    }
    return 0;
}

static int scan_words(scan_t *s, ac_command_t *cmd)
{
    for (skip_blanks(s); *s->at; skip_blanks(s)) {
        if (cmd->words->nelts == AC_LAUNCH_ARGS_MAX) {
            return 0;
        }
        APR_ARRAY_PUSH(cmd->words, const char *) = scan_word(s);
    }
    return cmd->words->nelts > 0;
}

/* Where exec would change the meaning, the text stays whole; its assignments
 * then are the shell's as well. */
static void use_shell(scan_t *s, ac_command_t *cmd, const char *text, const char *rest)
{
    cmd->why = s->why;
    cmd->execs = !s->is_list;
    cmd->shell = cmd->execs ? apr_pstrcat(s->p, "exec ", rest, NULL) : text;
    if (s->is_list) {
        apr_array_clear(cmd->vars);
    }
}

ac_command_t *ac_command_parse(const char *text, apr_pool_t *p)
{
    ac_command_t *cmd = apr_pcalloc(p, sizeof(*cmd));
    scan_t s = { .at = text, .p = p };
    const char *rest;

    if (strlen(text) > AC_COMMAND_MAX) {
        return NULL;
    }
    cmd->vars = apr_array_make(p, 2, sizeof(ac_env_var_t));
    cmd->words = apr_array_make(p, 8, sizeof(const char *));
    s.out = apr_palloc(p, 3 * strlen(text) + 2);
    scan_assignments(&s, cmd);
    skip_exec(&s);
    rest = s.at;
    if (!scan_words(&s, cmd)) {
        return NULL;
    }
    cmd->program = APR_ARRAY_IDX(cmd->words, 0, const char *);
    if (is_builtin(cmd->program)) {
        needs_shell(&s, "a command of the shell", 1);
    }
    if (strchr(cmd->program, '$')) {
        needs_shell(&s, "a program named by a variable", 0);
    }
    if (s.why) {
        use_shell(&s, cmd, text, rest);
    }
    return cmd;
}
