/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_spec.h"

static const char *value_of(const ac_settings_t *set, const char *name)
{
    const ac_env_var_t *var = ac_settings_env(set, name);

    return var ? var->value : NULL;
}

START_TEST(defaults_are_those_of_the_list)
{
    const ac_settings_t *set = ac_settings_create(p);

    ck_assert_int_eq(set->startup_time_limit.v, 120);
    ck_assert_int_eq(set->max_workers.v, -50);
    ck_assert_int_eq(set->web_config.v, AC_WEBCONFIG_ON);
    ck_assert_ptr_null(set->process_path.v);
    ck_assert_int_eq(set->environment.v->nelts, 0);
    ck_assert_int_eq(set->sendfile.v->nelts, 0);
    ck_assert_int_eq(set->umask.origin, AC_ORIGIN_DEFAULT);
}
END_TEST

/* Sets member `index` of a struct to something that is not its default. */
static void set_member(ac_settings_t *set, int index, ac_origin_e origin, int mark)
{
    int i = 0;

#define NUM(name, directive, dflt) \
    if (i++ == index) { set->name.v = 7000 + mark; set->name.origin = origin; }
#define STR(name, directive, dflt) \
    if (i++ == index) { \
        set->name.v = apr_itoa(p, mark); \
        set->name.origin = origin; \
    }
#define LIST(name, directive) \
    if (i++ == index) { \
        set->name.origin = origin; \
        if ((void *)&set->name == (void *)&set->environment) { \
            add_var(set, origin, "MARK", apr_itoa(p, mark)); \
        } \
        else if ((void *)&set->name == (void *)&set->handler_settings) { \
            add_handler(set, origin, mark % 2 ? "MARK" : "mark", apr_itoa(p, mark)); \
        } \
        else { \
            APR_ARRAY_PUSH(set->name.v, const char *) = apr_itoa(p, mark); \
        } \
    }
    AC_SETTINGS(NUM, STR, LIST)
#undef NUM
#undef STR
#undef LIST
}

static int get_member(const ac_settings_t *set, int index)
{
    int i = 0;

#define NUM(name, directive, dflt) \
    if (i++ == index) { return (int)set->name.v - 7000; }
#define STR(name, directive, dflt) \
    if (i++ == index) { return set->name.v ? atoi(set->name.v) : -1; }
#define LIST(name, directive) \
    if (i++ == index) { \
        if (set->name.v->nelts != 1) { \
            return -1; \
        } \
        return (void *)&set->name == (void *)&set->environment \
               || (void *)&set->name == (void *)&set->handler_settings \
            ? atoi(APR_ARRAY_IDX(set->name.v, 0, ac_env_var_t).value) \
            : atoi(APR_ARRAY_IDX(set->name.v, 0, const char *)); \
    }
    AC_SETTINGS(NUM, STR, LIST)
#undef NUM
#undef STR
#undef LIST
    return -2;
}

#define ONE(...) +1
#define N_SETTINGS (0 AC_SETTINGS(ONE, ONE, ONE))

START_TEST(higher_origin_wins_whatever_the_order)
{
    ac_settings_t *low = ac_settings_create(p);
    ac_settings_t *high = ac_settings_create(p);

    set_member(low, _i, AC_ORIGIN_SERVER, 1);
    set_member(high, _i, AC_ORIGIN_APP, 2);
    ck_assert_int_eq(get_member(ac_settings_merge(low, high, p), _i), 2);
    ck_assert_int_eq(get_member(ac_settings_merge(high, low, p), _i), 2);
}
END_TEST

START_TEST(later_wins_among_equals)
{
    ac_settings_t *first = ac_settings_create(p);
    ac_settings_t *second = ac_settings_create(p);

    set_member(first, _i, AC_ORIGIN_VHOST, 1);
    set_member(second, _i, AC_ORIGIN_VHOST, 2);
    ck_assert_int_eq(get_member(ac_settings_merge(first, second, p), _i), 2);
}
END_TEST

START_TEST(unset_takes_nothing_away)
{
    ac_settings_t *base = ac_settings_create(p);
    const ac_settings_t *merged;

    set_member(base, _i, AC_ORIGIN_SERVER, 3);
    merged = ac_settings_merge(base, ac_settings_create(p), p);
    ck_assert_int_eq(get_member(merged, _i), 3);
}
END_TEST

START_TEST(environment_is_a_union)
{
    ac_settings_t *server = ac_settings_create(p);
    ac_settings_t *app = ac_settings_create(p);
    const ac_settings_t *merged;

    add_var(server, AC_ORIGIN_SERVER, "A", "server");
    add_var(server, AC_ORIGIN_SERVER, "B", "server");
    add_var(app, AC_ORIGIN_APP, "B", "app");
    add_var(app, AC_ORIGIN_APP, "C", "first");
    add_var(app, AC_ORIGIN_APP, "C", "last");
    merged = ac_settings_merge(server, app, p);
    ck_assert_int_eq(merged->environment.v->nelts, 3);
    ck_assert_str_eq(value_of(merged, "A"), "server");
    ck_assert_str_eq(value_of(merged, "B"), "app");
    ck_assert_str_eq(value_of(merged, "C"), "last");
}
END_TEST

/* The union has one origin as a list, its elements each their own: web.config
 * beats the server's variable and not the app's. */
START_TEST(web_config_goes_between_server_and_app)
{
    ac_settings_t *server = ac_settings_create(p);
    ac_settings_t *app = ac_settings_create(p);
    ac_settings_t *web = ac_settings_create(p);
    const ac_settings_t *merged;

    add_var(server, AC_ORIGIN_SERVER, "LOW", "server");
    add_var(app, AC_ORIGIN_APP, "HIGH", "app");
    add_var(web, AC_ORIGIN_WEBCONFIG, "LOW", "web");
    add_var(web, AC_ORIGIN_WEBCONFIG, "HIGH", "web");
    merged = ac_settings_merge(ac_settings_merge(server, app, p), web, p);
    ck_assert_str_eq(value_of(merged, "LOW"), "web");
    ck_assert_str_eq(value_of(merged, "HIGH"), "app");
}
END_TEST

START_TEST(case_matters_but_for_web_config)
{
    ac_settings_t *server = ac_settings_create(p);
    ac_settings_t *vhost = ac_settings_create(p);
    ac_settings_t *web = ac_settings_create(p);
    const ac_settings_t *merged;

    add_var(server, AC_ORIGIN_SERVER, "Mode", "server");
    add_var(vhost, AC_ORIGIN_VHOST, "MODE", "vhost");
    merged = ac_settings_merge(server, vhost, p);
    ck_assert_int_eq(merged->environment.v->nelts, 2);
    ck_assert_ptr_null(value_of(merged, "mode"));

    add_var(web, AC_ORIGIN_WEBCONFIG, "mode", "web");
    merged = ac_settings_merge(server, web, p);
    ck_assert_int_eq(merged->environment.v->nelts, 1);
    ck_assert_str_eq(APR_ARRAY_IDX(merged->environment.v, 0, ac_env_var_t).name, "Mode");
    ck_assert_str_eq(value_of(merged, "Mode"), "web");
    ck_assert_str_eq(value_of(merged, "MODE"), "web");
}
END_TEST

START_TEST(handler_settings_are_a_union)
{
    ac_settings_t *server = ac_settings_create(p);
    ac_settings_t *app = ac_settings_create(p);
    ac_settings_t *web = ac_settings_create(p);
    const ac_settings_t *merged;

    add_handler(server, AC_ORIGIN_SERVER, "shadowCopyDirectory", "server");
    add_handler(server, AC_ORIGIN_SERVER, "enableShadowCopy", "true");
    add_handler(app, AC_ORIGIN_APP, "debugFile", "app");
    add_handler(web, AC_ORIGIN_WEBCONFIG, "SHADOWCOPYDIRECTORY", "web");
    add_handler(web, AC_ORIGIN_WEBCONFIG, "debugfile", "web");
    merged = ac_settings_merge(ac_settings_merge(server, app, p), web, p);
    ck_assert_int_eq(merged->handler_settings.v->nelts, 3);
    ck_assert_str_eq(ac_settings_handler(merged, "ShadowCopyDirectory"), "web");
    ck_assert_str_eq(ac_settings_handler(merged, "debugFile"), "app");
    ck_assert_str_eq(ac_settings_handler(merged, "EnableShadowCopy"), "true");
    ck_assert_ptr_null(ac_settings_handler(merged, "handlerVersion"));
}
END_TEST

START_TEST(secrets_stay_secret)
{
    ac_settings_t *server = ac_settings_create(p);
    const ac_settings_t *merged;

    add_var(server, AC_ORIGIN_SERVER, "KEY", "s3cret");
    APR_ARRAY_IDX(server->environment.v, 0, ac_env_var_t).secret = 1;
    merged = ac_settings_merge(ac_settings_create(p), server, p);
    ck_assert_int_eq(ac_settings_env(merged, "KEY")->secret, 1);
}
END_TEST

TCase *merge_case(void)
{
    TCase *tc = case_create("merge");

    tcase_add_test(tc, defaults_are_those_of_the_list);
    tcase_add_loop_test(tc, higher_origin_wins_whatever_the_order, 0, N_SETTINGS);
    tcase_add_loop_test(tc, later_wins_among_equals, 0, N_SETTINGS);
    tcase_add_loop_test(tc, unset_takes_nothing_away, 0, N_SETTINGS);
    tcase_add_test(tc, environment_is_a_union);
    tcase_add_test(tc, web_config_goes_between_server_and_app);
    tcase_add_test(tc, case_matters_but_for_web_config);
    tcase_add_test(tc, handler_settings_are_a_union);
    tcase_add_test(tc, secrets_stay_secret);
    return tc;
}
