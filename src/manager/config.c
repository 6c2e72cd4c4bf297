/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* A configuration as a whole: taken over, or refused and the old one kept. The
 * pool of the old one is destroyed at the end, so everything that points into
 * it is renewed or dropped on the way. */

#include "manager/loop.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <apr_strings.h>

static ac_spec_table_t *decode(int fd, apr_pool_t *p)
{
    ac_spec_table_t *table = NULL;
    ac_wire_reader_t r;
    struct stat st;
    void *data;

    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size <= 0
        || st.st_size > AC_SPEC_TABLE_MAX) {
        return NULL;
    }
    data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (data != MAP_FAILED) {
        ac_wire_reader_init(&r, data, (apr_size_t)st.st_size);
        table = ac_spec_table_get(&r, p);
        munmap(data, (size_t)st.st_size);
    }
    return table;
}

/* A new manager goes on where the last one stopped: children compare the number
 * of failures, and adopted processes were not looked at by us. */
static void recall(ac_home_t *home)
{
    ac_sup_app_t *app = home->app;
    ac_board_app_t entry;

    if (home->index >= 0
        && ac_board_app(home->m->board, home->index, app->id, &entry)) {
        app->failures = app->view.failures = entry.failures;
        app->http_status = app->view.http_status = entry.http_status;
        app->substatus = app->view.substatus = entry.substatus;
        home->facts = entry.facts;
    }
}

ac_home_t *ac_home_create(ac_manager_t *m, ac_sup_app_t *app)
{
    ac_home_t *home = calloc(1, sizeof(*home));

    if (!home) {
        abort();
    }
    home->m = m;
    home->app = app;
    home->look.fd = -1;
    home->index = ac_board_take_app(m->board, app->id);
    home->name = strdup("(removed)");
    app->io = home;
    recall(home);
    ac_publish_recall(home);
    if (home->facts.request_time <= 0) {
        home->facts.max_content_length = -1;
    }
    return home;
}

static void home_name(ac_home_t *home, const char *name)
{
    if (strcmp(home->name, name) != 0) {
        free(home->name);
        home->name = strdup(name);
    }
}

/* What the look found stays good if the spec did not change, but must point
 * into the new configuration. */
static void home_renew(ac_home_t *home, const ac_spec_t *spec, int same)
{
    home->spec = spec;
    home->log_index = spec->log_index;
    home->log_level = spec->log_level;
    home_name(home, spec->name);
    if (!same) {
        ac_look_drop(home);
        ac_home_facts(home, spec->set);
    }
    else if (home->launch) {
        home->set = ac_launch_settings(spec, home->launch, home->p);
    }
}

static void configure(ac_manager_t *m, const ac_spec_t *spec)
{
    ac_sup_app_t *app = ac_sup_find(m->sup, spec->id);
    int same = app && memcmp(app->digest, spec->digest, AC_SPEC_DIGEST) == 0;
    int fresh = !app || !app->io;
    ac_home_t *home;
    ac_sup_conf_t conf;

    ac_home_conf(&conf, spec->set, NULL);
    app = ac_sup_configure(m->sup, spec->id, spec->digest, &conf);
    home = fresh ? ac_home_create(m, app) : ac_home_of(app);
    /* Facts of an earlier manager are better than the spec's alone. */
    home_renew(home, spec, same || (fresh && home->facts.request_time > 0));
}

static void forget_specs(ac_manager_t *m)
{
    ac_sup_app_t *app;

    for (app = ac_sup_first(m->sup); app; app = app->next) {
        ac_home_t *home = ac_home_of(app);

        if (!app->seen && home) {
            home->spec = NULL;
            ac_look_cancel(home);
            ac_look_drop(home);
            ac_eyes_forget(home);
        }
    }
}

static const char *runtime_file(ac_manager_t *m, const char *name)
{
    return apr_pstrcat(m->config, m->table->globals.runtime_dir, "/", name, NULL);
}

static void apply(ac_manager_t *m)
{
    int i;

    m->notify_path = runtime_file(m, "notify");
    ac_sup_limit_spawns(m->sup, m->table->globals.max_spawns);
    ac_sup_config_begin(m->sup);
    for (i = 0; i < m->table->specs->nelts; ++i) {
        configure(m, APR_ARRAY_IDX(m->table->specs, i, const ac_spec_t *));
    }
    forget_specs(m);
    ac_adopt_all(m);
    ac_children_tell(m);
}

void ac_config_read(ac_manager_t *m, uint32_t serial, int fd)
{
    apr_pool_t *p, *old = m->config;
    ac_spec_table_t *table;

    apr_pool_create(&p, m->p);
    table = m->board ? decode(fd, p) : NULL;
    if (fd >= 0) {
        close(fd);
    }
    if (!table) {
        ac_talk_line(m, NULL, AC_LEVEL_ERR,
                     "a configuration could not be read; the former one stays in force");
        apr_pool_destroy(p);
        return;
    }
    m->config = p;
    m->table = table;
    m->serial = serial;
    apply(m);
    if (old) {
        apr_pool_destroy(old);
    }
    malloc_trim(0);
}
