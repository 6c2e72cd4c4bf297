/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Values of directives. The first byte chooses the parser, the rest is the
 * word. Whatever is taken lies in the range; whatever is refused leaves the
 * value alone and comes with a bounded sentence. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>
#include <apr_strings.h>
#include "conf/envfile.h"
#include "conf/values.h"
#include "spec/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define WORD_MAX 512
#define SENTENCE_MAX 512
#define UNTOUCHED APR_INT64_C(-123456789)

static void require(int truth)
{
    if (!truth) {
        abort();
    }
}

static const ac_value_word_t words[] = { { "On", 1 }, { "Off", 2 }, { "auto", 3 },
                                         { NULL, 0 } };
static const struct {
    ac_value_parse_fn *parse;
    ac_value_rule_t rule;
    apr_int64_t low;
} parsers[] = {
    { ac_value_word, { words, 1, 3, 0 }, 1 },
    { ac_value_number, { NULL, 0, 3600, 0 }, 0 },
    { ac_value_time, { NULL, 1000, 86400 * APR_INT64_C(1000000), 0 }, 1000 },
    { ac_value_size, { NULL, 1, APR_INT64_C(1) << 40, 1 }, 0 },
    { ac_value_share, { NULL, 1, 65535, 0 }, -100 },
    { ac_value_umask, { NULL, 0, 0777, 0 }, 0 },
};
#define N_PARSERS (sizeof(parsers) / sizeof(parsers[0]))

static void check_sentence(const char *err)
{
    require(!err || strlen(err) < SENTENCE_MAX);
}

static void fuzz_number(unsigned which, const char *word, apr_pool_t *p)
{
    apr_int64_t v = UNTOUCHED;
    const char *err = parsers[which].parse(&v, word, &parsers[which].rule, p);

    check_sentence(err);
    if (err) {
        require(v == UNTOUCHED);
    }
    else {
        require(v >= parsers[which].low && v <= parsers[which].rule.max);
    }
}

static void fuzz_limits(unsigned unit, const char *word, apr_pool_t *p)
{
    apr_int64_t pair[2] = { UNTOUCHED, UNTOUCHED };
    const char *err = ac_value_rlimit(pair, word, (ac_value_unit_e)(unit % 3), p);

    check_sentence(err);
    if (err) {
        require(pair[0] == UNTOUCHED && pair[1] == UNTOUCHED);
    }
    else if (pair[1] != AC_LIMIT_INFINITY) {
        require(pair[0] >= 0 && pair[0] <= pair[1]);
    }
}

static int climbs(const char *path)
{
    apr_size_t len = strlen(path);

    return !strcmp(path, "..") || !strncmp(path, "../", 3) || strstr(path, "/../")
        || (len > 2 && !strcmp(path + len - 3, "/.."));
}

static void fuzz_paths(const char *word, apr_pool_t *p)
{
    apr_ipsubnet_t *net;
    const char *path;

    check_sentence(ac_value_subnet(&net, word, p));
    check_sentence(ac_value_app_name(word, p));
    check_sentence(ac_value_env_name(word, p));
    if (!ac_value_prefix(&path, word, p)) {
        require(!*path || (*path == '/' && path[strlen(path) - 1] != '/'));
        require(!climbs(path));
    }
    if (!ac_value_folder(&path, word, p)) {
        require(*path == '/' && path[strlen(path) - 1] != '/' && !strstr(path, "//"));
        require(!climbs(path));
    }
    if (!ac_value_beneath(&path, word, p)) {
        require(*path && *path != '/' && !climbs(path));
    }
}

static void fuzz_envfile(const uint8_t *data, size_t len, apr_pool_t *p)
{
    apr_array_header_t *vars = NULL;
    const char *err = ac_envfile_parse(&vars, (const char *)data, len, p);
    int i;

    check_sentence(err);
    require(!err == !!vars);
    for (i = 0; vars && i < vars->nelts; ++i) {
        const ac_env_var_t *var = &APR_ARRAY_IDX(vars, i, ac_env_var_t);

        require(*var->name && !strchr(var->name, '=') && !strchr(var->value, '\n'));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static apr_pool_t *base;
    apr_pool_t *p;
    unsigned which;

    if (!base) {
        apr_initialize();
        apr_pool_create(&base, NULL);
    }
    if (len == 0) {
        return 0;
    }
    apr_pool_create(&p, base);
    which = data[0] % (N_PARSERS + 3);
    if (which == N_PARSERS + 2) {
        fuzz_envfile(data + 1, len - 1, p);
    }
    else if (len <= WORD_MAX) {
        const char *word = apr_pstrmemdup(p, (const char *)data + 1, len - 1);

        if (which < N_PARSERS) {
            fuzz_number(which, word, p);
        }
        else if (which == N_PARSERS) {
            fuzz_limits((unsigned)len, word, p);
        }
        else {
            fuzz_paths(word, p);
        }
    }
    apr_pool_destroy(p);
    return 0;
}
