/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/groups.h"

#include <string.h>

#include "http_config.h"
#include "http_log.h"
#include "util_varbuf.h"
#include "apr_strings.h"
#include "conf/conf.h"

APLOG_USE_MODULE(appcore);

/* All of them go into one field, and servers limit what a head may hold. */
#define BYTES_MAX 8192
#define LINE_BYTES_MAX (1024 * 1024)

typedef struct list_t {
    request_rec *r;
    apr_array_header_t *names;
    apr_size_t bytes;
    int full;
} list_t;

static void add(list_t *list, const char *name)
{
    int i;

    name += strspn(name, " ");
    for (i = 0; i < list->names->nelts; i++) {
        if (!strcmp(APR_ARRAY_IDX(list->names, i, const char *), name)) {
            return;
        }
    }
    list->bytes += strlen(name) + 1;
    list->full = list->full || list->bytes > BYTES_MAX;
    if (*name && !list->full) {
        APR_ARRAY_PUSH(list->names, const char *) = apr_pstrdup(list->r->pool, name);
    }
}

/* "group: user user". */
static void read_line(list_t *list, const char *line, const char *user, apr_pool_t *p)
{
    const char *group;

    if (!*line || *line == '#') {
        return;
    }
    group = ap_getword(p, &line, ':');
    while (*line) {
        if (!strcmp(ap_getword_conf(p, &line), user)) {
            add(list, group);
            return;
        }
    }
}

static void read_file(list_t *list, const char *path, const char *user)
{
    request_rec *r = list->r;
    ap_configfile_t *file;
    struct ap_varbuf line;
    apr_pool_t *p;
    apr_status_t rv;

    apr_pool_create(&p, r->pool);
    ap_varbuf_init(r->pool, &line, 512);
    rv = ap_pcfg_openfile(&file, r->pool, path);
    if (rv != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r, "the app is told no groups: %s "
                      "cannot be read", path);
    }
    while (rv == APR_SUCCESS) {
        rv = ap_varbuf_cfg_getline(&line, file, LINE_BYTES_MAX);
        if (rv == APR_SUCCESS) {
            read_line(list, line.buf, user, p);
            apr_pool_clear(p);
        }
        else {
            ap_cfg_closefile(file);
        }
    }
    ap_varbuf_free(&line);
    apr_pool_destroy(p);
}

static void read_variable(list_t *list, const char *name, const char *separator)
{
    const char *value = apr_table_get(list->r->subprocess_env, name);
    char *copy = value && *value ? apr_pstrdup(list->r->pool, value) : NULL;
    char *state, *item;

    for (item = copy ? apr_strtok(copy, separator, &state) : NULL; item;
         item = apr_strtok(NULL, separator, &state)) {
        add(list, item);
    }
}

const apr_array_header_t *ac_groups_of(request_rec *r, const char *user)
{
    const char *path = ac_conf_group_file(r);
    list_t list = { .r = r, .names = apr_array_make(r->pool, 4, sizeof(char *)) };

    if (path) {
        read_file(&list, path, user);
    }
    read_variable(&list, "REMOTE_USER_GROUPS", ":");
    read_variable(&list, "AUTHENTICATE_MEMBEROF", ";");
    read_variable(&list, "OIDC_CLAIM_groups", ",");
    read_variable(&list, "OIDC_CLAIM_roles", ",");
    if (list.full) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "user %s has so many groups that "
                      "the app is not told all of them", user);
    }
    return list.names->nelts ? list.names : NULL;
}
