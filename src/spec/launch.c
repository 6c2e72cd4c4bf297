/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/launch.h"

#include <string.h>

static const char *const kinds[] = {
    [AC_KIND_PROGRAM] = "program",
    [AC_KIND_DOTNET] = "ASP.NET Core",
    [AC_KIND_NODE] = "node",
    [AC_KIND_ASGI] = "Python ASGI",
    [AC_KIND_WSGI] = "Python WSGI",
    [AC_KIND_RUBY] = "Ruby Rack",
    [AC_KIND_OBJECT] = "shared object",
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))
#define REACH_ALL (AC_REACH_FD | AC_REACH_PATH | AC_REACH_PORT)

const char *ac_kind_name(ac_kind_e kind)
{
    return (unsigned)kind < N_KINDS ? kinds[kind] : "unknown";
}

static void put_strings(ac_wire_writer_t *w, const apr_array_header_t *list)
{
    int i;

    ac_wire_put_u32(w, (uint32_t)list->nelts);
    for (i = 0; i < list->nelts; ++i) {
        ac_wire_put_str(w, APR_ARRAY_IDX(list, i, const char *));
    }
}

static apr_array_header_t *get_strings(ac_wire_reader_t *r, uint32_t max, apr_pool_t *p)
{
    uint32_t n = ac_wire_get_count(r, max);
    apr_array_header_t *list = apr_array_make(p, (int)n, sizeof(const char *));
    uint32_t i;

    for (i = 0; i < n && r->status == APR_SUCCESS; ++i) {
        const char *s = ac_wire_get_str(r, p);

        APR_ARRAY_PUSH(list, const char *) = s;
        r->status = s ? r->status : APR_EINVAL;
    }
    return list;
}

void ac_launch_put(ac_wire_writer_t *w, const ac_launch_t *launch)
{
    ac_result_put(w, &launch->result);
    ac_wire_put_u8(w, (uint8_t)launch->kind);
    ac_wire_put_u8(w, (uint8_t)launch->reach);
    ac_wire_put_u32(w, launch->port);
    ac_wire_put_u8(w, launch->companion);
    ac_wire_put_str(w, launch->found);
    ac_wire_put_str(w, launch->folder);
    put_strings(w, launch->argv);
    ac_wire_put_u8(w, (uint8_t)launch->expand);
    ac_settings_put(w, launch->overlay);
    ac_wire_put_i64(w, launch->max_content_length);
    put_strings(w, launch->notices);
    ac_wire_put_u32(w, launch->uid);
    ac_wire_put_u32(w, launch->gid);
    ac_wire_put_str(w, launch->user);
    ac_wire_put_str(w, launch->home);
    ac_survey_put(w, &launch->survey);
}

static int within(const ac_num_t *num, apr_int64_t min, apr_int64_t max)
{
    return num->origin == AC_ORIGIN_DEFAULT || (num->v >= min && num->v <= max);
}

static int all_are_paths(const apr_array_header_t *list)
{
    int all = list->nelts <= AC_SETTINGS_WARM_UP_MAX;
    int i;

    for (i = 0; i < list->nelts; ++i) {
        all &= ac_settings_path_is_valid(APR_ARRAY_IDX(list, i, const char *));
    }
    return all;
}

/* What a web.config may say, and how much of it. */
static int overlay_in_range(const ac_settings_t *set)
{
    return within(&set->hosting_model, 0, AC_HOSTING_IN_PROCESS)
           && within(&set->processes_per_application, 1, 100)
           && within(&set->startup_time_limit, 0, 3600)
           && within(&set->shutdown_time_limit, 0, 600)
           && within(&set->request_time, 1, apr_time_from_sec(360 * 3600))
           && within(&set->rapid_fails_per_minute, 0, 100)
           && within(&set->stdout_log_enabled, AC_OFF, AC_ON)
           && within(&set->disable_startup_error_page, AC_OFF, AC_ON)
           && within(&set->forward_windows_auth_token, AC_OFF, AC_ON)
           && within(&set->websockets, AC_OFF, AC_ON)
           && all_are_paths(set->warm_up.v)
           && set->environment.v->nelts <= AC_LAUNCH_ENV_MAX
           && set->handler_settings.v->nelts <= AC_LAUNCH_HANDLER_MAX;
}

static int all_from_web_config(const apr_array_header_t *list)
{
    int all = 1;
    int i;

    for (i = 0; i < list->nelts; ++i) {
        all &= APR_ARRAY_IDX(list, i, ac_env_var_t).origin == AC_ORIGIN_WEBCONFIG;
    }
    return all;
}

/* Every other member must be as ac_settings_create() left it, so that a folder
 * cannot speak with the administrator's voice. */
static int overlay_is_modest(const ac_settings_t *set)
{
    ac_settings_t rest = *set;
    int modest = 1;

#define CLEAR(name) \
    if (rest.name.origin == AC_ORIGIN_WEBCONFIG) { rest.name.origin = AC_ORIGIN_DEFAULT; }
    CLEAR(hosting_model)
    CLEAR(process_path)
    CLEAR(arguments)
    CLEAR(environment)
    CLEAR(handler_settings)
    CLEAR(processes_per_application)
    CLEAR(startup_time_limit)
    CLEAR(shutdown_time_limit)
    CLEAR(request_time)
    CLEAR(rapid_fails_per_minute)
    CLEAR(stdout_log_enabled)
    CLEAR(stdout_log_file)
    CLEAR(disable_startup_error_page)
    CLEAR(forward_windows_auth_token)
    CLEAR(websockets)
    CLEAR(warm_up)
#undef CLEAR
#define CHECK(name, ...) modest &= rest.name.origin == AC_ORIGIN_DEFAULT;
    AC_SETTINGS(CHECK, CHECK, CHECK)
#undef CHECK
    return modest && all_from_web_config(set->environment.v)
           && all_from_web_config(set->handler_settings.v);
}

static int is_launchable(const ac_launch_t *launch)
{
    return launch->argv->nelts > 0 && launch->folder && *launch->folder == '/'
           && launch->reach && APR_ARRAY_IDX(launch->argv, 0, const char *)[0];
}

static int is_sound(const ac_launch_t *launch)
{
    return (unsigned)launch->kind < N_KINDS && !(launch->reach & ~REACH_ALL)
           && (unsigned)launch->expand <= AC_EXPAND_NONE
           && (!launch->port
               || (launch->port >= AC_PORT_MIN && launch->port <= AC_PORT_MAX))
           && launch->max_content_length >= -1
           && overlay_in_range(launch->overlay) && overlay_is_modest(launch->overlay)
           && (launch->result.fault != AC_FAULT_NONE || launch->survey.is_offline
               || is_launchable(launch));
}

ac_launch_t *ac_launch_get(ac_wire_reader_t *r, apr_pool_t *p)
{
    ac_launch_t *launch = apr_pcalloc(p, sizeof(*launch));

    if (r->len > AC_LAUNCH_WIRE_MAX) {
        r->status = APR_EINVAL;
    }
    ac_result_get(r, &launch->result);
    launch->kind = (ac_kind_e)ac_wire_get_u8(r);
    launch->reach = ac_wire_get_u8(r);
    launch->port = ac_wire_get_u32(r);
    launch->companion = ac_wire_get_u8(r);
    launch->found = ac_wire_get_str(r, p);
    launch->folder = ac_wire_get_str(r, p);
    launch->argv = get_strings(r, AC_LAUNCH_ARGS_MAX, p);
    launch->expand = (ac_expand_e)ac_wire_get_u8(r);
    launch->overlay = ac_settings_get(r, p);
    launch->max_content_length = ac_wire_get_i64(r);
    launch->copy_fd = -1;
    launch->notices = get_strings(r, AC_LAUNCH_NOTICES_MAX, p);
    launch->uid = ac_wire_get_u32(r);
    launch->gid = ac_wire_get_u32(r);
    launch->user = ac_wire_get_str(r, p);
    launch->home = ac_wire_get_str(r, p);
    ac_survey_get(r, &launch->survey, p);
    if (r->status == APR_SUCCESS && !is_sound(launch)) {
        r->status = APR_EINVAL;
    }
    return r->status == APR_SUCCESS ? launch : NULL;
}

ac_settings_t *ac_launch_settings(const ac_spec_t *spec, const ac_launch_t *launch,
                                  apr_pool_t *p)
{
    return ac_settings_merge(spec->set, launch->overlay, p);
}
