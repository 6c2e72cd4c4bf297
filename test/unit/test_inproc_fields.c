/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_inproc.h"

#include <string.h>
#include <strings.h>
#include <apr_general.h>

#include "http1/fields.h"
#include "http1/target.h"
#include "inproc/fields.h"

static apr_pool_t *p;

static void setup(void)
{
    apr_pool_create(&p, NULL);
}

static void teardown(void)
{
    apr_pool_destroy(p);
}

static appcore_str str(const char *s)
{
    appcore_str text = { s, strlen(s) };

    return text;
}

static int head_of(ac_answer_head_t *head, const char *name, const char *value)
{
    appcore_field field = { str(name), str(value) };

    return ac_answer_head(head, &field, 1, p);
}

START_TEST(fields_of_an_answer_stay_lines_of_their_own)
{
    const appcore_field fields[] = {
        { str("Set-Cookie"), str("a=1") }, { str("X-Empty"), { NULL, 0 } },
        { str("set-cookie"), str("b=2") }
    };
    ac_answer_head_t head;
    const apr_array_header_t *lines;

    ck_assert(ac_answer_head(&head, fields, 3, p));
    lines = apr_table_elts(head.fields);
    ck_assert_int_eq(lines->nelts, 3);
    ck_assert_str_eq(APR_ARRAY_IDX(lines, 2, apr_table_entry_t).val, "b=2");
    ck_assert_str_eq(apr_table_get(head.fields, "X-Empty"), "");
    ck_assert_int_eq(head.length, -1);
    ck_assert_int_eq(head.close, 0);
}
END_TEST

static const char *const hops[] = {
    "Connection", "keep-alive", "Proxy-Connection", "TE", "Transfer-Encoding", "UPGRADE"
};

START_TEST(fields_of_one_connection_are_httpds_affair)
{
    ac_answer_head_t head;

    ck_assert(head_of(&head, hops[_i], "close"));
    ck_assert(apr_is_empty_table(head.fields));
    ck_assert_int_eq(head.close, _i == 0);
}
END_TEST

START_TEST(content_length_is_read)
{
    ac_answer_head_t head;
    appcore_field twice[] = {
        { str("Content-Length"), str("5") }, { str("content-length"), str("5") }
    };

    ck_assert(head_of(&head, "Content-Length", "9223372036854775807"));
    ck_assert(head.length == APR_INT64_MAX);
    ck_assert(!head_of(&head, "Content-Length", "9223372036854775808"));
    ck_assert(!head_of(&head, "Content-Length", ""));
    ck_assert(!head_of(&head, "Content-Length", "-1"));
    ck_assert(!head_of(&head, "Content-Length", "5x"));
    ck_assert(ac_answer_head(&head, twice, 2, p));
    ck_assert_int_eq(apr_table_elts(head.fields)->nelts, 1);
    twice[1].value = str("6");
    ck_assert(!ac_answer_head(&head, twice, 2, p));
}
END_TEST

START_TEST(what_would_split_an_answer_is_refused)
{
    const appcore_field nul = { str("X-A"), { "a\0b", 3 } };
    ac_answer_head_t head;
    appcore_str reason = { "a\r\nX: 1", 7 };

    ck_assert(!head_of(&head, "X-A", "a\r\nb: c"));
    ck_assert(!head_of(&head, "X-A", "a\nb"));
    ck_assert(!head_of(&head, "X A", "a"));
    ck_assert(!head_of(&head, "X-A:", "a"));
    ck_assert(!head_of(&head, "", "a"));
    ck_assert(!ac_answer_head(&head, &nul, 1, p));
    ck_assert_ptr_null(ac_answer_reason(reason, p));
    ck_assert_str_eq(ac_answer_reason(str("Very Well"), p), "Very Well");
}
END_TEST

START_TEST(an_answer_has_bounds)
{
    static appcore_field many[AC_ANSWER_FIELDS + 1];
    static char text[AC_ANSWER_BYTES + 1];
    appcore_field one = { { "X-A", 3 }, { text, AC_ANSWER_BYTES - 3 } };
    appcore_str reason = { text, AC_ANSWER_REASON };
    ac_answer_head_t head;
    int i;

    memset(text, 'a', sizeof(text));
    for (i = 0; i <= AC_ANSWER_FIELDS; ++i) {
        many[i] = (appcore_field) { { "X-A", 3 }, { "b", 1 } };
    }
    ck_assert(ac_answer_head(&head, many, AC_ANSWER_FIELDS, p));
    ck_assert(!ac_answer_head(&head, many, AC_ANSWER_FIELDS + 1, p));
    ck_assert(ac_answer_head(&head, &one, 1, p));
    one.value.len++;
    ck_assert(!ac_answer_head(&head, &one, 1, p));
    one.value.len = SIZE_MAX;
    ck_assert(!ac_answer_head(&head, &one, 1, p));
    ck_assert_ptr_nonnull(ac_answer_reason(reason, p));
    reason.len++;
    ck_assert_ptr_null(ac_answer_reason(reason, p));
}
END_TEST

START_TEST(trailers_frame_and_route_nothing)
{
    ck_assert(ac_answer_trailer_allowed(str("grpc-status"), str("0")));
    ck_assert(!ac_answer_trailer_allowed(str("content-length"), str("0")));
    ck_assert(!ac_answer_trailer_allowed(str("Transfer-Encoding"), str("x")));
    ck_assert(!ac_answer_trailer_allowed(str("Set-Cookie"), str("x")));
    ck_assert(!ac_answer_trailer_allowed(str("X-A"), str("x\r\ny: z")));
}
END_TEST

/* The request's side */

static const char *seen(const apr_array_header_t *fields, const char *name)
{
    int i;

    for (i = 0; i < fields->nelts; i++) {
        const appcore_field *field = &APR_ARRAY_IDX(fields, i, appcore_field);

        if (field->name.len == strlen(name) && !strncasecmp(field->name.p, name,
                                                            field->name.len)) {
            ck_assert_uint_eq(field->value.len, strlen(field->value.p));
            return field->value.p;
        }
    }
    return NULL;
}

static apr_table_t *request(void)
{
    apr_table_t *in = apr_table_make(p, 16);

    apr_table_addn(in, "Host", "example.org");
    apr_table_addn(in, "X-One", "1");
    apr_table_addn(in, "Connection", "keep-alive, X-Named");
    apr_table_addn(in, "X-Named", "mine");
    apr_table_addn(in, "MS-ASPNETCORE-USER", "root");
    apr_table_addn(in, "ms_aspnetcore_token", "x");
    apr_table_addn(in, "APPCORE_X", "x");
    apr_table_addn(in, "Proxy", "x");
    apr_table_addn(in, "X-Forwarded-For", "1.2.3.4");
    apr_table_addn(in, "X_Forwarded_For", "1.2.3.4");
    apr_table_addn(in, "Upgrade", "websocket");
    return in;
}

START_TEST(an_app_inside_sees_what_the_client_may_say)
{
    ac_fields_facts_t facts = { 0 };
    const char *error = NULL;
    apr_array_header_t *fields = ac_fields_inside(request(), &facts, AC_BODY_NONE, 0,
                                                  &error, p);

    ck_assert_ptr_nonnull(fields);
    ck_assert_str_eq(seen(fields, "Host"), "example.org");
    ck_assert_str_eq(seen(fields, "X-One"), "1");
    ck_assert_int_eq(fields->nelts, 2);
}
END_TEST

START_TEST(an_app_inside_sees_what_a_trusted_proxy_said)
{
    ac_fields_facts_t facts = { .trusted = 1, .upgrade = AC_UPGRADE_WEBSOCKET };
    const char *error = NULL;
    apr_array_header_t *fields = ac_fields_inside(request(), &facts, AC_BODY_LENGTH, 7,
                                                  &error, p);

    ck_assert_str_eq(seen(fields, "X-Forwarded-For"), "1.2.3.4");
    ck_assert_ptr_null(seen(fields, "X_Forwarded_For"));
    ck_assert_ptr_null(seen(fields, "MS-ASPNETCORE-USER"));
    ck_assert_str_eq(seen(fields, "Content-Length"), "7");
    ck_assert_str_eq(seen(fields, "Upgrade"), "websocket");
    ck_assert_str_eq(seen(fields, "Connection"), "Upgrade");
}
END_TEST

START_TEST(a_control_byte_is_refused_inside_too)
{
    ac_fields_facts_t facts = { 0 };
    const char *error = NULL;
    apr_table_t *in = request();

    apr_table_addn(in, "X-Two", "a\nb");
    ck_assert_ptr_null(ac_fields_inside(in, &facts, AC_BODY_NONE, 0, &error, p));
    ck_assert_ptr_nonnull(error);
}
END_TEST

START_TEST(the_path_below_a_mount)
{
    ck_assert_str_eq(ac_target_below("/shop/a b/%2Fc", "/shop"), "/a b/%2Fc");
    ck_assert_str_eq(ac_target_below("/shop", "/shop"), "");
    ck_assert_str_eq(ac_target_below("/shop/", "/shop"), "/");
    ck_assert_str_eq(ac_target_below("//a//b", ""), "//a//b");
    ck_assert_str_eq(ac_target_below("*", ""), "");
    ck_assert_ptr_null(ac_target_below("*", "/shop"));
    ck_assert_ptr_null(ac_target_below("/shopping", "/shop"));
    ck_assert_ptr_null(ac_target_below("/shop/a\x01", "/shop"));
    ck_assert_ptr_null(ac_target_below("/shop/..%2fx", "/shop"));
    ck_assert_ptr_null(ac_target_below("/shop/a\\..\\b", "/shop"));
    ck_assert_ptr_null(ac_target_below("/shop/..;a/b", "/shop"));
}
END_TEST

TCase *test_inproc_fields(void)
{
    TCase *tc = tcase_create("fields");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, fields_of_an_answer_stay_lines_of_their_own);
    tcase_add_loop_test(tc, fields_of_one_connection_are_httpds_affair, 0,
                        sizeof(hops) / sizeof(hops[0]));
    tcase_add_test(tc, content_length_is_read);
    tcase_add_test(tc, what_would_split_an_answer_is_refused);
    tcase_add_test(tc, an_answer_has_bounds);
    tcase_add_test(tc, trailers_frame_and_route_nothing);
    tcase_add_test(tc, an_app_inside_sees_what_the_client_may_say);
    tcase_add_test(tc, an_app_inside_sees_what_a_trusted_proxy_said);
    tcase_add_test(tc, a_control_byte_is_refused_inside_too);
    tcase_add_test(tc, the_path_below_a_mount);
    return tc;
}
