/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_spec.h"
#include "spec/argv.h"
#include "spec/command.h"

static const char *split(const char *line, ac_quotes_e rules)
{
    apr_array_header_t *list = ac_argv_split(line, rules, p);

    return list ? words(list) : "(fault)";
}

static const struct {
    const char *line;
    const char *unix_words;
    const char *windows_words;
} lines[] = {
    { "", "", "" },
    { "  a \t b\n", "a|b", "a|b" },
    { "\"a b\" c", "a b|c", "a b|c" },
    { "a\"b c\"d", "ab cd", "ab cd" },
    { "'a b' c", "a b|c", "'a|b'|c" },
    { "\"\" x", "|x", "|x" },
    { "'' x", "|x", "''|x" },
    { ".\\App.dll x", ".App.dll|x", ".\\App.dll|x" },
    { "\\d+ a\\ b", "d+|a b", "\\d+|a\\|b" },
    { "\"a\\\"b\"", "a\"b", "a\"b" },
    { "\"a\\\\\" b", "a\\|b", "a\\|b" },
    { "\"c:\\dir\\\\\" b", "c:\\dir\\|b", "c:\\dir\\|b" },
    { "\"a\\nb\"", "a\\nb", "a\\nb" },
    { "'a\\'b", "a\\b", "'a\\'b" },
    { "\"a\"\"b\"", "ab", "a\"b" },
    { "a\\\\\\\"b", "a\\\"b", "a\\\"b" },
    { "open \"quote", "(fault)", "open|quote" },
    { "open 'quote", "(fault)", "open|'quote" },
    { "end\\", "end\\", "end\\" },
    { "--json='{\"a\": 1}'", "--json={\"a\": 1}", "--json='{a:|1}'" },
};

START_TEST(lines_split_by_two_rules)
{
    ck_assert_str_eq(split(lines[_i].line, AC_QUOTES_UNIX), lines[_i].unix_words);
    ck_assert_str_eq(split(lines[_i].line, AC_QUOTES_WINDOWS), lines[_i].windows_words);
}
END_TEST

START_TEST(too_many_words_are_a_fault)
{
    char *line = apr_palloc(p, 2 * (AC_LAUNCH_ARGS_MAX + 1) + 1);
    int i;

    for (i = 0; i <= AC_LAUNCH_ARGS_MAX; ++i) {
        memcpy(line + 2 * i, "a ", 3);
    }
    ck_assert_ptr_null(ac_argv_split(line, AC_QUOTES_UNIX, p));
    line[2 * AC_LAUNCH_ARGS_MAX] = '\0';
    ck_assert_int_eq(ac_argv_split(line, AC_QUOTES_UNIX, p)->nelts, AC_LAUNCH_ARGS_MAX);
}
END_TEST

START_TEST(too_long_a_line_is_a_fault)
{
    char *line = apr_palloc(p, AC_LAUNCH_LINE_MAX + 2);

    memset(line, 'a', AC_LAUNCH_LINE_MAX + 1);
    line[AC_LAUNCH_LINE_MAX + 1] = '\0';
    ck_assert_ptr_null(ac_argv_split(line, AC_QUOTES_WINDOWS, p));
    line[AC_LAUNCH_LINE_MAX] = '\0';
    ck_assert_ptr_nonnull(ac_argv_split(line, AC_QUOTES_WINDOWS, p));
}
END_TEST

START_TEST(joined_words_split_again)
{
    static const char *const list[] = {
        "plain", "", "two words", "it's", "a\"b", "c\\d"
    };
    apr_array_header_t *in = apr_array_make(p, 8, sizeof(const char *));
    apr_size_t i;

    for (i = 0; i < sizeof(list) / sizeof(list[0]); ++i) {
        APR_ARRAY_PUSH(in, const char *) = list[i];
    }
    ck_assert_str_eq(ac_argv_join(in, p), "plain '' 'two words' 'it'\\''s' "
                     "'a\"b' 'c\\d'");
    ck_assert_str_eq(split(ac_argv_join(in, p), AC_QUOTES_UNIX), words(in));
}
END_TEST

/* vars is "A=1|B=2"; shell NULL where none is needed. */
static const struct {
    const char *text;
    const char *vars;
    const char *words;
    const char *shell;
} commands[] = {
    { "node server.js", "", "node|server.js", NULL },
    { " exec node x", "", "node|x", NULL },
    { "A=1 B='two words' node x", "A=1|B=two words", "node|x", NULL },
    { "app --port $PORT", "", "app|--port|$PORT", NULL },
    { "app --port ${PORT} x", "", "app|--port|$PORT|x", NULL },
    { "app \"$PORT\" -b0.0.0.0:$PORT", "", "app|${PORT}|-b0.0.0.0:$PORT", NULL },
    { "app ${PORT}0", "", "app|${PORT}0", NULL },
    { "app a\\ b \"c \\\"d\\\"\" 'e'", "", "app|a b|c \"d\"|e", NULL },
    { "uvicorn m:app --fd {fd}", "", "uvicorn|m:app|--fd|{fd}", NULL },
    { "app ${PORT:-80}", "", NULL, "exec app ${PORT:-80}" },
    { "A=1 app $(nproc)", "A=1", NULL, "exec app $(nproc)" },
    { "app $(a | b; c)", "", NULL, "exec app $(a | b; c)" },
    { "app $((1 + 2)) \"$(a; b)\"", "", NULL, "exec app $((1 + 2)) \"$(a; b)\"" },
    { "app $(a); b", "", NULL, "app $(a); b" },
    { "app *.txt", "", NULL, "exec app *.txt" },
    { "app > log 2>&1", "", NULL, "exec app > log 2>&1" },
    { "app '$x'", "", NULL, "exec app '$x'" },
    { "app \\$x", "", NULL, "exec app \\$x" },
    { "app 'open", "", NULL, "exec app 'open" },
    { "$PROGRAM x", "", NULL, "exec $PROGRAM x" },
    { "cd src && node x", "", NULL, "cd src && node x" },
    { "A=1 cd x; app", "", NULL, "A=1 cd x; app" },
    { "A=$B app", "", NULL, "A=$B app" },
    { "app; other", "", NULL, "app; other" },
    { "app | tee log", "", NULL, "app | tee log" },
    { "app &", "", NULL, "app &" },
    { "exec app; x", "", NULL, "exec app; x" },
    { "if true", "", NULL, "if true" },
};

static const char *assignments(const ac_command_t *cmd)
{
    apr_array_header_t *list = apr_array_make(p, 2, sizeof(const char *));
    int i;

    for (i = 0; i < cmd->vars->nelts; ++i) {
        const ac_env_var_t *var = &APR_ARRAY_IDX(cmd->vars, i, ac_env_var_t);

        APR_ARRAY_PUSH(list, const char *) = apr_pstrcat(p, var->name, "=", var->value,
                                                         NULL);
    }
    return words(list);
}

START_TEST(commands_need_a_shell_or_not)
{
    const ac_command_t *cmd = ac_command_parse(commands[_i].text, p);

    ck_assert_ptr_nonnull(cmd);
    ck_assert_str_eq(assignments(cmd), commands[_i].vars);
    ck_assert_pstr_eq(cmd->shell, commands[_i].shell);
    if (commands[_i].shell) {
        ck_assert_ptr_nonnull(cmd->why);
        ck_assert_int_eq(cmd->execs, cmd->shell != commands[_i].text);
    }
    else {
        ck_assert_str_eq(words(cmd->words), commands[_i].words);
    }
}
END_TEST

START_TEST(commands_that_are_none)
{
    char *text = apr_palloc(p, AC_COMMAND_MAX + 2);

    ck_assert_ptr_null(ac_command_parse("", p));
    ck_assert_ptr_null(ac_command_parse("  ", p));
    ck_assert_ptr_null(ac_command_parse("A=1", p));
    memset(text, 'a', AC_COMMAND_MAX + 1);
    text[AC_COMMAND_MAX + 1] = '\0';
    ck_assert_ptr_null(ac_command_parse(text, p));
    text[AC_COMMAND_MAX] = '\0';
    ck_assert_ptr_nonnull(ac_command_parse(text, p));
}
END_TEST

TCase *text_case(void)
{
    TCase *tc = case_create("text");

    tcase_add_loop_test(tc, lines_split_by_two_rules, 0,
                        sizeof(lines) / sizeof(lines[0]));
    tcase_add_test(tc, too_many_words_are_a_fault);
    tcase_add_test(tc, too_long_a_line_is_a_fault);
    tcase_add_test(tc, joined_words_split_again);
    tcase_add_loop_test(tc, commands_need_a_shell_or_not, 0,
                        sizeof(commands) / sizeof(commands[0]));
    tcase_add_test(tc, commands_that_are_none);
    return tc;
}
