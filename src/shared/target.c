/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "shared/target.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include "spec/argv.h"

static void choose_place(ac_log_target_t *target, const ac_spec_t *spec, const char *file,
                         apr_pool_t *p)
{
    if (!file || !*file || strcasecmp(file, "errorlog") == 0) {
        target->mode = AC_LOG_ERRORLOG;
    }
    else if (*file == '|') {
        target->mode = AC_LOG_PROGRAM;
        target->file = file + 1;
    }
    else {
        target->mode = AC_LOG_FILE;
        target->file = *file == '/' ? file
                       : apr_pstrcat(p, spec->folder, "/", file, NULL);
    }
}

/* web.config of every published ASP.NET Core app names a log file and says that
 * it is off: its output belongs into the error log then. An Off of the
 * administrator's means no output at all. */
void ac_log_target_choose(ac_log_target_t *target, const ac_spec_t *spec,
                          const ac_settings_t *set, apr_pool_t *p)
{
    const ac_num_t *enabled = &set->stdout_log_enabled;
    int from_web_config = set->stdout_log_file.origin == AC_ORIGIN_WEBCONFIG;
    int is_on = enabled->v == AC_ON || (enabled->v == AC_AUTO && !from_web_config);

    memset(target, 0, sizeof(*target));
    target->app = spec->name;
    target->log_index = spec->log_index;
    target->log_level = spec->log_level;
    target->plain_level = spec->plain_level;
    target->max_size = (uint64_t)set->stdout_log_max_size.v;
    target->keep = (uint32_t)set->stdout_log_keep.v;
    if (enabled->v == AC_OFF && enabled->origin != AC_ORIGIN_WEBCONFIG) {
        target->mode = AC_LOG_NONE;
    }
    else {
        choose_place(target, spec, is_on ? set->stdout_log_file.v : NULL, p);
    }
}

const char **ac_log_program_argv(const char *line, apr_pool_t *p)
{
    apr_array_header_t *words;

    line += strspn(line, "|");
    if (*line == '$') {
        words = apr_array_make(p, 4, sizeof(const char *));
        APR_ARRAY_PUSH(words, const char *) = "/bin/sh";
        APR_ARRAY_PUSH(words, const char *) = "-c";
        APR_ARRAY_PUSH(words, const char *) = line + 1;
    }
    else {
        words = ac_argv_split(line, AC_QUOTES_UNIX, p);
    }
    if (!words || !words->nelts) {
        return NULL;
    }
    APR_ARRAY_PUSH(words, const char *) = NULL;
    return (const char **)words->elts;
}

const char **ac_log_program_env(apr_pool_t *p)
{
    static const char *const names[] = { "PATH", "LANG", "TZ" };
    const char **env = apr_pcalloc(p, 4 * sizeof(*env));
    int i, n = 0;

    for (i = 0; i < 3; ++i) {
        const char *value = getenv(names[i]);

        if (value) {
            env[n++] = apr_pstrcat(p, names[i], "=", value, NULL);
        }
    }
    return env;
}
