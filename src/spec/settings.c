/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/settings.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Lists of names with values; the others are of plain strings. */
#define IS_PAIRS(name) \
    (offsetof(ac_settings_t, name) == offsetof(ac_settings_t, environment) \
     || offsetof(ac_settings_t, name) == offsetof(ac_settings_t, handler_settings))
#define ELEMENT_SIZE(name) \
    ((int)(IS_PAIRS(name) ? sizeof(ac_env_var_t) : sizeof(const char *)))

typedef int same_fn(const ac_env_var_t *a, const ac_env_var_t *b);

ac_settings_t *ac_settings_create(apr_pool_t *p)
{
    ac_settings_t *set = apr_pcalloc(p, sizeof(*set));

#define NUM(name, directive, dflt) set->name.v = dflt;
#define STR(name, directive, dflt) set->name.v = dflt;
#define LIST(name, directive) set->name.v = apr_array_make(p, 0, ELEMENT_SIZE(name));
    AC_SETTINGS(NUM, STR, LIST)
#undef NUM
#undef STR
#undef LIST
    return set;
}

/* ANCM takes names of variables for equal whatever their case. Linux does not,
 * so that is done only where one of the two comes from a web.config. */
static int same_variable(const ac_env_var_t *a, const ac_env_var_t *b)
{
    if (!strcmp(a->name, b->name)) {
        return 1;
    }
    return (a->origin == AC_ORIGIN_WEBCONFIG || b->origin == AC_ORIGIN_WEBCONFIG)
           && !strcasecmp(a->name, b->name);
}

static int same_in_any_case(const ac_env_var_t *a, const ac_env_var_t *b)
{
    return !strcasecmp(a->name, b->name);
}

static ac_env_var_t *find_pair(const apr_array_header_t *list,
                               const ac_env_var_t *wanted, same_fn *same)
{
    ac_env_var_t *var = (ac_env_var_t *)list->elts;
    int i;

    for (i = 0; i < list->nelts; ++i) {
        if (same(&var[i], wanted)) {
            return &var[i];
        }
    }
    return NULL;
}

static void put_pair(apr_array_header_t *list, const ac_env_var_t *var, same_fn *same)
{
    ac_env_var_t *there = find_pair(list, var, same);

    if (!there) {
        *(ac_env_var_t *)apr_array_push(list) = *var;
    }
    else if (var->origin >= there->origin) {
        const char *name = there->name;

        *there = *var;
        there->name = name;
    }
}

static void put_pairs(apr_array_header_t *list, const ac_list_t *from, same_fn *same)
{
    int i;

    for (i = 0; i < from->v->nelts; ++i) {
        ac_env_var_t var = APR_ARRAY_IDX(from->v, i, ac_env_var_t);

        if (var.origin == AC_ORIGIN_DEFAULT) {
            var.origin = from->origin;
        }
        put_pair(list, &var, same);
    }
}

static ac_list_t merge_pairs(const ac_list_t *base, const ac_list_t *add, same_fn *same,
                             apr_pool_t *p)
{
    ac_list_t list;

    list.v = apr_array_make(p, base->v->nelts + add->v->nelts, sizeof(ac_env_var_t));
    list.origin = add->origin >= base->origin ? add->origin : base->origin;
    put_pairs(list.v, base, same);
    put_pairs(list.v, add, same);
    return list;
}

ac_settings_t *ac_settings_merge(const ac_settings_t *base, const ac_settings_t *add,
                                 apr_pool_t *p)
{
    ac_settings_t *set = apr_pcalloc(p, sizeof(*set));

#define IS_SAID(name) \
    (add->name.origin != AC_ORIGIN_DEFAULT && add->name.origin >= base->name.origin)
#define PICK(name) set->name = IS_SAID(name) ? add->name : base->name;
#define NUM(name, directive, dflt) PICK(name)
#define STR(name, directive, dflt) PICK(name)
#define LIST(name, directive) PICK(name)
    AC_SETTINGS(NUM, STR, LIST)
#undef NUM
#undef STR
#undef LIST
#undef PICK
#undef IS_SAID
    set->environment = merge_pairs(&base->environment, &add->environment, same_variable,
                                   p);
    set->handler_settings = merge_pairs(&base->handler_settings, &add->handler_settings,
                                        same_in_any_case, p);
    return set;
}

int ac_settings_path_is_valid(const char *path)
{
    apr_size_t len = strlen(path);
    apr_size_t i;

    for (i = 0; i < len && path[i] > ' ' && path[i] < 0x7f; ++i) {
        ;
    }
    return *path == '/' && i == len && len <= AC_SETTINGS_PATH_MAX;
}

const ac_env_var_t *ac_settings_env(const ac_settings_t *set, const char *name)
{
    ac_env_var_t wanted = { .name = name };

    return find_pair(set->environment.v, &wanted, same_variable);
}

const ac_env_var_t *ac_settings_env_any(const ac_settings_t *set, const char *name)
{
    ac_env_var_t wanted = { .name = name };

    return find_pair(set->environment.v, &wanted, same_in_any_case);
}

const char *ac_settings_handler(const ac_settings_t *set, const char *name)
{
    ac_env_var_t wanted = { .name = name };
    const ac_env_var_t *found;

    found = find_pair(set->handler_settings.v, &wanted, same_in_any_case);
    return found ? found->value : NULL;
}

static void put_num(ac_wire_writer_t *w, const ac_num_t *num)
{
    ac_wire_put_u8(w, (uint8_t)num->origin);
    ac_wire_put_i64(w, num->v);
}

static void put_str(ac_wire_writer_t *w, const ac_str_t *str)
{
    ac_wire_put_u8(w, (uint8_t)str->origin);
    ac_wire_put_str(w, str->v);
}

static void put_list(ac_wire_writer_t *w, const ac_list_t *list, int is_pairs)
{
    int i;

    ac_wire_put_u8(w, (uint8_t)list->origin);
    ac_wire_put_u32(w, (uint32_t)list->v->nelts);
    for (i = 0; i < list->v->nelts; ++i) {
        if (is_pairs) {
            const ac_env_var_t *var = &APR_ARRAY_IDX(list->v, i, ac_env_var_t);

            ac_wire_put_str(w, var->name);
            ac_wire_put_str(w, var->value);
            ac_wire_put_u8(w, var->secret ? 1 : 0);
            ac_wire_put_u8(w, (uint8_t)var->origin);
        }
        else {
            ac_wire_put_str(w, APR_ARRAY_IDX(list->v, i, const char *));
        }
    }
}

void ac_settings_put(ac_wire_writer_t *w, const ac_settings_t *set)
{
#define NUM(name, directive, dflt) put_num(w, &set->name);
#define STR(name, directive, dflt) put_str(w, &set->name);
#define LIST(name, directive) put_list(w, &set->name, IS_PAIRS(name));
    AC_SETTINGS(NUM, STR, LIST)
#undef NUM
#undef STR
#undef LIST
}

static ac_origin_e get_origin(ac_wire_reader_t *r)
{
    uint8_t origin = ac_wire_get_u8(r);

    if (origin > AC_ORIGIN_APP) {
        r->status = APR_EINVAL;
    }
    return r->status == APR_SUCCESS ? (ac_origin_e)origin : AC_ORIGIN_DEFAULT;
}

static ac_num_t get_num(ac_wire_reader_t *r)
{
    ac_num_t num;

    num.origin = get_origin(r);
    num.v = ac_wire_get_i64(r);
    return num;
}

static ac_str_t get_str(ac_wire_reader_t *r, apr_pool_t *p)
{
    ac_str_t str;

    str.origin = get_origin(r);
    str.v = ac_wire_get_str(r, p);
    return str;
}

static void get_pair(ac_wire_reader_t *r, ac_env_var_t *var, apr_pool_t *p)
{
    var->name = ac_wire_get_str(r, p);
    var->value = ac_wire_get_str(r, p);
    var->secret = ac_wire_get_u8(r);
    var->origin = get_origin(r);
    if (!var->name || !*var->name || strchr(var->name, '=') || !var->value) {
        r->status = APR_EINVAL;
    }
}

static ac_list_t get_list(ac_wire_reader_t *r, int is_pairs, apr_pool_t *p)
{
    ac_list_t list;
    uint32_t n, i;

    list.origin = get_origin(r);
    n = ac_wire_get_count(r, AC_SETTINGS_LIST_MAX);
    list.v = apr_array_make(p, (int)n,
                            is_pairs ? sizeof(ac_env_var_t) : sizeof(const char *));
    for (i = 0; i < n && r->status == APR_SUCCESS; ++i) {
        if (is_pairs) {
            get_pair(r, apr_array_push(list.v), p);
        }
        else {
            const char *s = ac_wire_get_str(r, p);

            APR_ARRAY_PUSH(list.v, const char *) = s;
            r->status = s ? r->status : APR_EINVAL;
        }
    }
    return list;
}

ac_settings_t *ac_settings_get(ac_wire_reader_t *r, apr_pool_t *p)
{
    ac_settings_t *set = apr_pcalloc(p, sizeof(*set));

#define NUM(name, directive, dflt) set->name = get_num(r);
#define STR(name, directive, dflt) set->name = get_str(r, p);
#define LIST(name, directive) set->name = get_list(r, IS_PAIRS(name), p);
    AC_SETTINGS(NUM, STR, LIST)
#undef NUM
#undef STR
#undef LIST
    return r->status == APR_SUCCESS ? set : NULL;
}

static unsigned one_to_hundred(apr_int64_t n)
{
    return n < 1 ? 1 : n > 100 ? 100 : (unsigned)n;
}

unsigned ac_processes_most(const ac_settings_t *set)
{
    return one_to_hundred(set->processes_per_application.v & 0xff);
}

unsigned ac_processes_least(const ac_settings_t *set)
{
    unsigned most = ac_processes_most(set);
    apr_int64_t least = set->processes_per_application.v >> 8;

    return least > 0 && least < (apr_int64_t)most ? (unsigned)least : most;
}

unsigned ac_processes_share(const ac_settings_t *set)
{
    return set->max_concurrency.v > 0 ? (unsigned)set->max_concurrency.v
                                      : AC_PROCESS_SHARE;
}

static int is_env(const ac_settings_t *set, const char *name, const char *value)
{
    const ac_env_var_t *var = ac_settings_env(set, name);

    return var && var->value && strcasecmp(var->value, value) == 0;
}

int ac_settings_shows_details(const ac_settings_t *set)
{
    if (set->detailed_errors.v != AC_AUTO) {
        return set->detailed_errors.v == AC_ON;
    }
    return is_env(set, "ASPNETCORE_ENVIRONMENT", "Development")
           || is_env(set, "DOTNET_ENVIRONMENT", "Development")
           || is_env(set, "ASPNETCORE_DETAILEDERRORS", "true")
           || is_env(set, "ASPNETCORE_DETAILEDERRORS", "1");
}
