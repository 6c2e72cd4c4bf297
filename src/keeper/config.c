/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <apr_strings.h>

/* Pools give their memory back unwiped, so the values go before the pool does. */
static void wipe_environment(const ac_spec_table_t *table)
{
    int i, n;

    for (i = 0; i < table->specs->nelts; ++i) {
        const apr_array_header_t *env =
            APR_ARRAY_IDX(table->specs, i, const ac_spec_t *)->set->environment.v;

        for (n = 0; n < env->nelts; ++n) {
            const char *value = APR_ARRAY_IDX(env, n, ac_env_var_t).value;

            if (value) {
                explicit_bzero((char *)value, strlen(value));
            }
        }
    }
}

static void copy_limits(ac_keeper_app_t *app, const ac_settings_t *set)
{
    const ac_keeper_limit_t limits[AC_KEEPER_LIMITS] = {
        { RLIMIT_NOFILE, set->limit_nofile_soft.v, set->limit_nofile_hard.v },
        { RLIMIT_NPROC, set->limit_nproc_soft.v, set->limit_nproc_hard.v },
        { RLIMIT_AS, set->limit_as_soft.v, set->limit_as_hard.v },
        { RLIMIT_CPU, set->limit_cpu_soft.v, set->limit_cpu_hard.v },
        { RLIMIT_CORE, set->limit_core_soft.v, set->limit_core_hard.v },
    };

    memcpy(app->limits, limits, sizeof(limits));
}

static void copy_app(ac_keeper_app_t *app, const ac_spec_t *spec, apr_pool_t *p)
{
    app->id = spec->id;
    app->name = apr_pstrdup(p, spec->name);
    app->folder = apr_pstrdup(p, spec->folder);
    app->user = apr_pstrdup(p, spec->set->user.v);
    app->group = apr_pstrdup(p, spec->set->group.v);
    app->default_user = apr_pstrdup(p, spec->default_user);
    app->state_dir = apr_pstrdup(p, spec->state_dir);
    app->log_index = spec->log_index;
    app->log_level = spec->log_level;
    app->plain_level = spec->plain_level;
    app->umask = (int)spec->set->umask.v;
    copy_limits(app, spec->set);
}

static ac_keeper_config_t *copy_table(const ac_spec_table_t *table, apr_pool_t *p)
{
    ac_keeper_config_t *config = apr_pcalloc(p, sizeof(*config));
    int i;

    config->p = p;
    config->runtime_dir = apr_pstrdup(p, table->globals.runtime_dir);
    config->server_uid = table->globals.server_uid;
    config->server_gid = table->globals.server_gid;
    config->log_level = table->globals.log_level;
    config->n_apps = table->specs->nelts;
    config->apps = apr_pcalloc(p, (apr_size_t)config->n_apps * sizeof(*config->apps) + 1);
    for (i = 0; i < config->n_apps; ++i) {
        copy_app(&config->apps[i], APR_ARRAY_IDX(table->specs, i, const ac_spec_t *), p);
    }
    return config;
}

apr_status_t ac_keeper_config_read(ac_keeper_config_t **pconfig, int fd, apr_pool_t *p)
{
    apr_status_t rv = APR_EINVAL;
    ac_spec_table_t *table;
    ac_wire_reader_t r;
    apr_pool_t *ptable;
    struct stat st;
    void *data;

    if (fstat(fd, &st) < 0) {
        return errno;
    }
    if (st.st_size <= 0 || st.st_size > AC_SPEC_TABLE_MAX) {
        return APR_EINVAL;
    }
    data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        return errno;
    }
    apr_pool_create(&ptable, p);
    ac_wire_reader_init(&r, data, (apr_size_t)st.st_size);
    table = ac_spec_table_get(&r, ptable);
    if (table && table->globals.runtime_dir) {
        apr_pool_t *pconf;

        apr_pool_create(&pconf, p);
        *pconfig = copy_table(table, pconf);
        wipe_environment(table);
        rv = APR_SUCCESS;
    }
    apr_pool_destroy(ptable);
    munmap(data, (size_t)st.st_size);
    return rv;
}

const ac_keeper_app_t *ac_keeper_config_find(const ac_keeper_config_t *config,
                                             uint64_t id)
{
    int i;

    for (i = 0; config && i < config->n_apps; ++i) {
        if (config->apps[i].id == id) {
            return &config->apps[i];
        }
    }
    return NULL;
}
