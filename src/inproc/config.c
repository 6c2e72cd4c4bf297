/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* What an app is told about itself before it starts. */

#include "inproc/app.h"

#include <string.h>

#include "ap_mpm.h"
#include "apr_strings.h"
#include "http_config.h"

static appcore_str str(const char *text)
{
    appcore_str s = { text ? text : "", text ? strlen(text) : 0 };

    return s;
}

static void push(apr_array_header_t *fields, const char *name, const char *value)
{
    appcore_field field = { str(name), str(value) };

    if (value) {
        APR_ARRAY_PUSH(fields, appcore_field) = field;
    }
}

static apr_array_header_t *as_fields(const apr_array_header_t *vars, apr_pool_t *p)
{
    apr_array_header_t *fields = apr_array_make(p, vars->nelts + 4,
                                                sizeof(appcore_field));
    int i;

    for (i = 0; i < vars->nelts; i++) {
        const ac_env_var_t *var = &APR_ARRAY_IDX(vars, i, ac_env_var_t);

        push(fields, var->name, var->value);
    }
    return fields;
}

static void add_settings(ac_inproc_t *inproc)
{
    apr_array_header_t *fields = as_fields(inproc->set->handler_settings.v, inproc->p);

    push(fields, "appcore.assembly", inproc->plan.assembly);
    push(fields, "appcore.companion", inproc->plan.companion);
    push(fields, "appcore.dotnetRoot", inproc->plan.dotnet_root);
    inproc->config.settings = (const appcore_field *)fields->elts;
    inproc->config.n_settings = (size_t)fields->nelts;
}

static void add_arguments(ac_inproc_t *inproc)
{
    const apr_array_header_t *argv = inproc->launch->argv;
    apr_array_header_t *list = apr_array_make(inproc->p, argv->nelts,
                                              sizeof(appcore_str));
    int i;

    for (i = inproc->plan.first_argument; i < argv->nelts; i++) {
        APR_ARRAY_PUSH(list, appcore_str) = str(APR_ARRAY_IDX(argv, i, const char *));
    }
    inproc->config.arguments = (const appcore_str *)list->elts;
    inproc->config.n_arguments = (size_t)list->nelts;
}

static void add_addresses(ac_inproc_t *inproc)
{
    const apr_array_header_t *urls = inproc->mount->addresses;
    appcore_str *addresses = apr_pcalloc(inproc->p, (apr_size_t)(urls->nelts + 1)
                                                    * sizeof(*addresses));
    int i;

    for (i = 0; i < urls->nelts; i++) {
        addresses[i] = str(APR_ARRAY_IDX(urls, i, const char *));
    }
    inproc->config.addresses = addresses;
    inproc->config.n_addresses = (size_t)urls->nelts;
}

static uint32_t ask_mpm(int what)
{
    int n = 1;

    return ap_mpm_query(what, &n) == APR_SUCCESS && n > 0 ? (uint32_t)n : 1;
}

void ac_inproc_fill_config(ac_inproc_t *inproc)
{
    appcore_config *config = &inproc->config;
    const ac_spec_t *spec = inproc->mount->spec;
    const ac_settings_t *set = inproc->set;
    apr_array_header_t *env = as_fields(set->environment.v, inproc->p);

    config->size = sizeof(*config);
    config->version = APPCORE_ABI;
    config->flags = ac_settings_shows_details(set) ? APPCORE_DETAILED_ERRORS : 0;
    config->name = str(spec->name);
    config->folder = str(inproc->launch->folder);
    config->file = str(inproc->plan.file);
    config->path_base = str(spec->prefix);
    config->environment = (const appcore_field *)env->elts;
    config->n_environment = (size_t)env->nelts;
    add_settings(inproc);
    add_arguments(inproc);
    add_addresses(inproc);
    config->workers = ask_mpm(AP_MPMQ_MAX_THREADS);
    config->processes = ask_mpm(AP_MPMQ_MAX_DAEMONS);
    config->startup_ms = (uint32_t)set->startup_time_limit.v * 1000;
    config->shutdown_ms = (uint32_t)set->shutdown_time_limit.v * 1000;
}
