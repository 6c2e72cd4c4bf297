/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Any text as the command of a Procfile: refused, words or a shell's, and then
 * filled in for a process. */

#include <stdlib.h>
#include <string.h>
#include <apr_general.h>
#include <apr_strings.h>
#include "spec/argv.h"
#include "spec/command.h"
#include "spec/launch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const env[] = {
    "PORT=5000", "EMPTY=", "WORDS=two words", "PERCENT=%PORT%", "DOLLAR=$PORT{port}", NULL
};

static void require(int condition)
{
    if (!condition) {
        abort();
    }
}

static void fill_in(apr_array_header_t *words, ac_expand_e expand, apr_pool_t *p)
{
    ac_launch_t launch = { .folder = "/srv/app", .argv = words, .expand = expand };
    ac_instance_t inst = { .reach = AC_REACH_FD | AC_REACH_PORT, .port = 5000 };
    const char **argv;
    int n = 0;

    if (!words || !words->nelts) {
        return;
    }
    argv = ac_launch_argv(&launch, &inst, env, p);
    require(!strcmp(argv[0], APR_ARRAY_IDX(words, 0, const char *)));
    while (argv[n]) {
        require(strlen(argv[n++]) <= 128 * 1024);
    }
    require(n <= 3 * AC_LAUNCH_ARGS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const ac_command_t *cmd;
    const char *text;
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    text = apr_pstrmemdup(p, (const char *)data, len);
    cmd = ac_command_parse(text, p);
    if (cmd) {
        require(cmd->words->nelts > 0 && cmd->words->nelts <= AC_LAUNCH_ARGS_MAX);
        require((cmd->shell == NULL) == (cmd->why == NULL));
        fill_in(cmd->words, AC_EXPAND_DOLLAR, p);
    }
    fill_in(ac_argv_split(text, AC_QUOTES_UNIX, p), AC_EXPAND_PERCENT, p);
    fill_in(ac_argv_split(text, AC_QUOTES_WINDOWS, p), AC_EXPAND_PERCENT, p);
    apr_pool_destroy(p);
    apr_terminate();
    return 0;
}
