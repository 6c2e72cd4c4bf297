/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_http1.h"

#include <strings.h>
#include "http1/fields.h"

static apr_table_t *in;
static ac_fields_facts_t facts;

static void setup_facts(void)
{
    in = apr_table_make(p, 8);
    memset(&facts, 0, sizeof(facts));
    facts.client_ip = "192.0.2.1";
    facts.scheme = "http";
    facts.prefix = "/shop";
    facts.host = "shop.example";
    apr_table_addn(in, "Host", "shop.example");
}

static apr_table_t *request(ac_body_e body, apr_int64_t length)
{
    const char *error = NULL;
    apr_table_t *out = ac_fields_request(in, &facts, body, length, &error, p);

    ck_assert_msg(out != NULL, "%s", error);
    ck_assert_ptr_null(error);
    return out;
}

static int count(const apr_table_t *t, const char *name)
{
    const apr_table_entry_t *entry = (const apr_table_entry_t *)apr_table_elts(t)->elts;
    int i, n = 0;

    for (i = 0; i < apr_table_elts(t)->nelts; ++i) {
        n += !strcasecmp(entry[i].key, name);
    }
    return n;
}

static void expect(const apr_table_t *out, const char *name, const char *value)
{
    const char *found = apr_table_get(out, name);

    if (value) {
        ck_assert_msg(found != NULL, "%s is missing", name);
        ck_assert_str_eq(found, value);
        ck_assert_int_eq(count(out, name), 1);
    }
    else {
        ck_assert_msg(!found, "%s: %s", name, found);
    }
}

static const struct {
    const char *name;
    int plain;
} names[] = {
    { "MS-ASPNETCORE-TOKEN", 0 }, { "ms-aspnetcore-clientcert", 0 },
    { "MS-ASPNETCORE", 0 }, { "MS-ASPNETCOREX", 0 }, { "MS_ASPNETCORE_USER", 0 },
    { "Ms-AspNetCore_Event", 0 }, { "MS.ASPNETCORE.TOKEN", 0 },
    { "APPCORE-Anything", 0 }, { "appcore_x", 0 }, { "APPCORE_", 0 },
    { "Proxy", 0 }, { "PROXY", 0 }, { "X-Sendfile-Type", 0 }, { "x_sendfile_type", 0 },
    { "X-Accel-Redirect", 0 }, { "X-Accel-Mapping", 0 }, { "X_Accel_Buffering", 0 },
    { "Transfer_Encoding", 0 }, { "Keep.Alive", 0 },
    { "SCRIPT_NAME", 0 }, { "Script-Name", 0 }, { "PATH_INFO", 0 },
    { "MS-ASPNETCOR", 1 }, { "APPCORE", 1 }, { "APPCOREX", 1 }, { "Proxyx", 1 },
    { "X-Accel", 1 }, { "X-Sendfile-Types", 1 }, { "X-Sendfile-Typ", 1 },
    { "X-MS-ASPNETCORE-TOKEN", 1 }, { "Path-Info-Of-Mine", 1 }, { "Cookie", 1 },
    { "a", 1 }, { "", 1 }, { "-", 1 }, { "~x", 1 }
};

START_TEST(reserved)
{
    apr_table_t *out;

    ck_assert_int_eq(ac_fields_plain(names[_i].name), names[_i].plain);
    if (names[_i].plain) {
        return;
    }
    facts.trusted = 1;
    apr_table_addn(in, names[_i].name, "evil");
    out = request(AC_BODY_NONE, 0);
    expect(out, names[_i].name, NULL);
}
END_TEST

static const char *const removed[] = {
    "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization",
    "Proxy-Authenticate", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
    "Content-Length", "Expect", "HTTP2-Settings", "transfer_encoding", "Content_Length",
    "Transfer.Encoding", "Keep_Alive", "X_Forwarded_For", "X-Forwarded_Proto",
    "X.Forwarded.Host", "X_Real_IP", "X_Request_ID", "X-Original-URL", "X-Rewrite-URL"
};

START_TEST(hop_by_hop)
{
    apr_table_addn(in, removed[_i], "x");
    expect(request(AC_BODY_NONE, 0), removed[_i], NULL);
}
END_TEST

START_TEST(passes)
{
    static const char *const kept[] = {
        "Accept", "Cookie", "Authorization", "X-Custom", "x_custom", "Content-Type",
        "Via", "Range", "If-None-Match", "Sec-WebSocket-Key", "Sec-WebSocket-Extensions",
        "X-Requested-With", "Expected", "Hosts", "Teddy", "Upgrade-Insecure-Requests",
        "X-Forwarded", "Content-Length-Of-Mine"
    };
    unsigned i;
    apr_table_t *out;

    for (i = 0; i < sizeof(kept) / sizeof(kept[0]); ++i) {
        apr_table_addn(in, kept[i], apr_psprintf(p, "value %u", i));
    }
    apr_table_addn(in, "Cookie", "second");
    out = request(AC_BODY_NONE, 0);
    for (i = 0; i < sizeof(kept) / sizeof(kept[0]); ++i) {
        ck_assert_str_eq(apr_table_get(out, kept[i]), apr_psprintf(p, "value %u", i));
    }
    ck_assert_int_eq(count(out, "Cookie"), 2);
    /* The client's own table is as it was. */
    ck_assert_int_eq(apr_table_elts(in)->nelts, 20);
    ck_assert_str_eq(((apr_table_entry_t *)apr_table_elts(out)->elts)[0].key, "Host");
}
END_TEST

START_TEST(connection_names)
{
    apr_table_t *out;

    facts.trusted = 1;
    facts.token = "secret";
    apr_table_addn(in, "Connection", "close, X-One , x-two,,\tX-Forwarded-For");
    apr_table_addn(in, "connection", "Host, Ms-AspNetCore-Token, X-Forwarded-Proto");
    apr_table_addn(in, "X-One", "1");
    apr_table_addn(in, "X-TWO", "2");
    apr_table_addn(in, "x-two", "2");
    apr_table_addn(in, "X-Three", "3");
    apr_table_addn(in, "X-Forwarded-For", "10.0.0.1");
    out = request(AC_BODY_NONE, 0);
    expect(out, "X-One", NULL);
    expect(out, "X-Two", NULL);
    expect(out, "X-Three", "3");
    expect(out, "Connection", NULL);
    /* What we say cannot be named away. */
    expect(out, "Host", "shop.example");
    expect(out, "MS-ASPNETCORE-TOKEN", "secret");
    expect(out, "X-Forwarded-For", "192.0.2.1");
    expect(out, "X-Forwarded-Proto", "http");
}
END_TEST

/* What an app inside httpd is told, as a table. */
static apr_table_t *inside(ac_body_e body, apr_int64_t length)
{
    const char *error = NULL;
    apr_array_header_t *fields = ac_fields_inside(in, &facts, body, length, &error, p);
    apr_table_t *out = apr_table_make(p, 8);
    int i;

    ck_assert_msg(fields != NULL, "%s", error);
    for (i = 0; i < fields->nelts; ++i) {
        const appcore_field *field = &APR_ARRAY_IDX(fields, i, appcore_field);

        apr_table_add(out, apr_pstrmemdup(p, field->name.p, field->name.len),
                      apr_pstrmemdup(p, field->value.p, field->value.len));
    }
    return out;
}

START_TEST(for_an_app_inside)
{
    apr_table_t *out;

    apr_table_addn(in, "Connection", "close, X-One, Host, Content-Length");
    apr_table_addn(in, "Content-Length", "5");
    apr_table_addn(in, "Ms-AspNetCore-Token", "guessed");
    apr_table_addn(in, "X-Forwarded-For", "10.0.0.1");
    apr_table_addn(in, "X-One", "1");
    apr_table_addn(in, "X-Two", "2");
    out = inside(AC_BODY_LENGTH, 5);
    expect(out, "X-One", NULL);
    expect(out, "X-Two", "2");
    expect(out, "Connection", NULL);
    expect(out, "MS-ASPNETCORE-TOKEN", NULL);
    expect(out, "X-Forwarded-For", NULL);
    expect(out, "Content-Length", "5");
    expect(out, "Host", "shop.example");
    facts.trusted = 1;
    expect(inside(AC_BODY_NONE, 0), "X-Forwarded-For", "10.0.0.1");
}
END_TEST

START_TEST(host)
{
    apr_table_t *out;

    apr_table_setn(in, "Host", "Other.Example:8080");
    expect(request(AC_BODY_NONE, 0), "Host", "Other.Example:8080");
    apr_table_unset(in, "Host");
    expect(request(AC_BODY_NONE, 0), "Host", "shop.example");
    facts.host = NULL;
    out = request(AC_BODY_NONE, 0);
    expect(out, "Host", "");
    expect(out, "X-Forwarded-Host", NULL);
}
END_TEST

START_TEST(framing)
{
    apr_table_t *out;

    apr_table_addn(in, "Content-Length", "999");
    apr_table_addn(in, "Transfer-Encoding", "chunked");
    out = request(AC_BODY_NONE, 0);
    expect(out, "Content-Length", NULL);
    expect(out, "Transfer-Encoding", NULL);
    out = request(AC_BODY_LENGTH, 0);
    expect(out, "Content-Length", "0");
    expect(out, "Transfer-Encoding", NULL);
    out = request(AC_BODY_LENGTH, APR_INT64_C(5000000000));
    expect(out, "Content-Length", "5000000000");
    out = request(AC_BODY_CHUNKED, 5);
    expect(out, "Content-Length", NULL);
    expect(out, "Transfer-Encoding", "chunked");
}
END_TEST

START_TEST(expectation)
{
    apr_table_addn(in, "Expect", "100-Continue");
    expect(request(AC_BODY_LENGTH, 5), "Expect", NULL);
    facts.expect = 1;
    expect(request(AC_BODY_LENGTH, 5), "Expect", "100-continue");
    expect(request(AC_BODY_CHUNKED, 0), "Expect", "100-continue");
    expect(request(AC_BODY_NONE, 0), "Expect", NULL);
    apr_table_setn(in, "Expect", "200-maybe");
    expect(request(AC_BODY_LENGTH, 5), "Expect", NULL);
}
END_TEST

START_TEST(te)
{
    apr_table_t *out;

    apr_table_addn(in, "TE", "gzip, trailers");
    expect(request(AC_BODY_NONE, 0), "TE", NULL);
    facts.trailers_ok = 1;
    out = request(AC_BODY_NONE, 0);
    expect(out, "TE", "trailers");
    expect(out, "Connection", "TE");
}
END_TEST

static const struct {
    const char *connection;
    const char *upgrade;
    const char *method;
    const char *length;
    ac_upgrade_e expected;
} upgrades[] = {
    { "Upgrade", "websocket", "GET", NULL, AC_UPGRADE_WEBSOCKET },
    { "keep-alive, upgrade", "WebSocket", "GET", "0", AC_UPGRADE_WEBSOCKET },
    { "Upgrade", "h2c, websocket", "GET", NULL, AC_UPGRADE_WEBSOCKET },
    { "Upgrade", "other/1", "GET", NULL, AC_UPGRADE_OTHER },
    { "Upgrade", "websocketx", "GET", NULL, AC_UPGRADE_OTHER },
    { "Upgrade", "h2c", "GET", NULL, AC_UPGRADE_NONE },
    { "Upgrade", "other, H2C", "GET", NULL, AC_UPGRADE_NONE },
    { "Upgrade", "", "GET", NULL, AC_UPGRADE_NONE },
    { "keep-alive", "websocket", "GET", NULL, AC_UPGRADE_NONE },
    { "xupgrade", "websocket", "GET", NULL, AC_UPGRADE_NONE },
    { NULL, "websocket", "GET", NULL, AC_UPGRADE_NONE },
    { "Upgrade", NULL, "GET", NULL, AC_UPGRADE_NONE },
    { "Upgrade", "websocket", "POST", NULL, AC_UPGRADE_NONE },
    { "Upgrade", "websocket", "get", NULL, AC_UPGRADE_NONE },
    { "Upgrade", "websocket", "GET", "5", AC_UPGRADE_NONE }
};

START_TEST(upgrade_asked)
{
    if (upgrades[_i].connection) {
        apr_table_addn(in, "Connection", upgrades[_i].connection);
    }
    if (upgrades[_i].upgrade) {
        apr_table_addn(in, "Upgrade", upgrades[_i].upgrade);
    }
    if (upgrades[_i].length) {
        apr_table_addn(in, "Content-Length", upgrades[_i].length);
    }
    ck_assert_int_eq(ac_fields_upgrade(in, upgrades[_i].method), upgrades[_i].expected);
    apr_table_addn(in, "Transfer-Encoding", "chunked");
    ck_assert_int_eq(ac_fields_upgrade(in, upgrades[_i].method), AC_UPGRADE_NONE);
}
END_TEST

START_TEST(upgrade_passes)
{
    apr_table_t *out;

    apr_table_addn(in, "Connection", "keep-alive, Upgrade");
    apr_table_addn(in, "Upgrade", "WebSocket, x");
    apr_table_addn(in, "Sec-WebSocket-Key", "k");
    out = request(AC_BODY_NONE, 0);
    expect(out, "Upgrade", NULL);
    expect(out, "Connection", NULL);
    facts.trailers_ok = 1;
    facts.upgrade = AC_UPGRADE_WEBSOCKET;
    out = request(AC_BODY_NONE, 0);
    expect(out, "Upgrade", "websocket");
    expect(out, "Connection", "Upgrade");
    expect(out, "Sec-WebSocket-Key", "k");
    facts.upgrade = AC_UPGRADE_OTHER;
    expect(request(AC_BODY_NONE, 0), "Upgrade", "WebSocket, x");
}
END_TEST

START_TEST(secrets)
{
    apr_table_t *out;

    apr_table_addn(in, "MS-ASPNETCORE-TOKEN", "guess");
    apr_table_addn(in, "MS-ASPNETCORE-CLIENTCERT", "mine");
    facts.token = "";
    out = request(AC_BODY_NONE, 0);
    expect(out, "MS-ASPNETCORE-TOKEN", NULL);
    expect(out, "MS-ASPNETCORE-CLIENTCERT", NULL);
    facts.token = "e5b1";
    facts.client_cert = "-----BEGIN CERTIFICATE-----\nMIIB\r\nab+/\nQQ==\n"
                        "-----END CERTIFICATE-----\n";
    out = request(AC_BODY_NONE, 0);
    expect(out, "MS-ASPNETCORE-TOKEN", "e5b1");
    expect(out, "MS-ASPNETCORE-CLIENTCERT", "MIIBab+/QQ==");
    facts.client_cert = "MIIB ab\n";
    expect(request(AC_BODY_NONE, 0), "MS-ASPNETCORE-CLIENTCERT", "MIIBab");
    facts.client_cert = "MII\x01";
    expect(request(AC_BODY_NONE, 0), "MS-ASPNETCORE-CLIENTCERT", NULL);
    facts.client_cert = "-----BEGIN CERTIFICATE-----";
    expect(request(AC_BODY_NONE, 0), "MS-ASPNETCORE-CLIENTCERT", NULL);
    facts.client_cert = "";
    expect(request(AC_BODY_NONE, 0), "MS-ASPNETCORE-CLIENTCERT", NULL);
}
END_TEST

START_TEST(identity)
{
    apr_table_t *out;

    facts.user = "ann";
    facts.auth_type = "Basic";
    apr_table_addn(in, "X-Forwarded-User", "root");
    apr_table_addn(in, "MS-ASPNETCORE-USER", "root");
    out = request(AC_BODY_NONE, 0);
    expect(out, "X-Forwarded-User", NULL);
    expect(out, "MS-ASPNETCORE-USER", NULL);
    facts.identity_allowed = 1;
    out = request(AC_BODY_NONE, 0);
    expect(out, "X-Forwarded-User", "ann");
    expect(out, "MS-ASPNETCORE-USER", NULL);
    facts.ancm = 1;
    out = request(AC_BODY_NONE, 0);
    expect(out, "X-Forwarded-User", NULL);
    expect(out, "MS-ASPNETCORE-USER", "ann");
    expect(out, "MS-ASPNETCORE-AUTHTYPE", "Basic");
    expect(out, "MS-ASPNETCORE-ROLES", NULL);
    facts.ancm = 0;
    facts.trusted = 1;
    expect(request(AC_BODY_NONE, 0), "X-Forwarded-User", "ann");
    facts.user = NULL;
    expect(request(AC_BODY_NONE, 0), "X-Forwarded-User", "root");
}
END_TEST

START_TEST(groups)
{
    apr_array_header_t *groups = apr_array_make(p, 2, sizeof(const char *));
    apr_table_t *out;

    APR_ARRAY_PUSH(groups, const char *) = "sales, west";
    APR_ARRAY_PUSH(groups, const char *) = "100%";
    facts.user = "ann";
    facts.groups = groups;
    facts.trusted = 1;
    apr_table_addn(in, "X-Forwarded-Groups", "admins");
    apr_table_addn(in, "MS-ASPNETCORE-ROLES", "admins");
    out = request(AC_BODY_NONE, 0);
    expect(out, "X-Forwarded-Groups", "admins");
    expect(out, "MS-ASPNETCORE-ROLES", NULL);
    facts.identity_allowed = 1;
    expect(request(AC_BODY_NONE, 0), "X-Forwarded-Groups", "sales, west,100%");
    facts.ancm = 1;
    out = request(AC_BODY_NONE, 0);
    expect(out, "X-Forwarded-Groups", NULL);
    expect(out, "MS-ASPNETCORE-ROLES", "sales%2C%20west,100%25");
    facts.groups = NULL;
    out = request(AC_BODY_NONE, 0);
    expect(out, "X-Forwarded-Groups", NULL);
    expect(out, "MS-ASPNETCORE-ROLES", NULL);
}
END_TEST

START_TEST(names_of_any_bytes)
{
    apr_table_t *out;

    facts.ancm = facts.identity_allowed = 1;
    facts.user = "J\xc3\xbcrgen\r\nEvil: x\x7f %41";
    facts.auth_type = "Nego\n";
    out = request(AC_BODY_NONE, 0);
    expect(out, "MS-ASPNETCORE-USER", "J%C3%BCrgen%0D%0AEvil:%20x%7F%20%2541");
    expect(out, "MS-ASPNETCORE-AUTHTYPE", "Nego%0A");
}
END_TEST

static void refuse(const char *name, const char *value)
{
    const char *error = NULL;

    in = apr_table_make(p, 2);
    apr_table_addn(in, name, value);
    ck_assert_ptr_null(ac_fields_request(in, &facts, AC_BODY_NONE, 0, &error, p));
    ck_assert_ptr_nonnull(error);
}

START_TEST(unacceptable)
{
    const char *error = NULL;

    refuse("A", "b\r\nEvil: x");
    refuse("A", "b\nEvil: x");
    refuse("A", "b\r");
    refuse("A", "\x01");
    refuse("A", "\x7f");
    refuse("Na me", "x");
    refuse("", "x");
    refuse("A:", "x");
    refuse("A\r\n", "x");
    refuse("N\xe4me", "x");
    /* Even where the field itself would go. */
    refuse("Connection", "close\r\nEvil: x");
    refuse("Proxy", "\n");
    in = apr_table_make(p, 2);
    apr_table_addn(in, "A", "tab\tand \xff");
    apr_table_addn(in, "B", "");
    expect(request(AC_BODY_NONE, 0), "A", "tab\tand \xff");
    facts.user = "ann\r\nEvil: x";
    request(AC_BODY_NONE, 0);
    facts.identity_allowed = 1;
    ck_assert_ptr_null(ac_fields_request(in, &facts, AC_BODY_NONE, 0, &error, p));
    ck_assert_ptr_nonnull(error);
}
END_TEST

START_TEST(head)
{
    apr_table_t *out = apr_table_make(p, 4);
    apr_size_t len = 0;
    const char *text;

    apr_table_addn(out, "Host", "h");
    apr_table_addn(out, "Empty", "");
    apr_table_addn(out, "A", "1");
    apr_table_addn(out, "a", "2");
    text = ac_fields_head("PATCH", "/x?y", out, &len, p);
    ck_assert_str_eq(text, "PATCH /x?y HTTP/1.1\r\n"
                           "Host: h\r\nEmpty: \r\nA: 1\r\na: 2\r\n\r\n");
    ck_assert_uint_eq(len, strlen(text));
    apr_table_clear(out);
    text = ac_fields_head("OPTIONS", "*", out, &len, p);
    ck_assert_str_eq(text, "OPTIONS * HTTP/1.1\r\n\r\n");
    ck_assert_uint_eq(len, strlen(text));
}
END_TEST

TCase *fields_case(void)
{
    TCase *tc = case_create("fields");

    tcase_add_checked_fixture(tc, setup_facts, NULL);
    tcase_add_loop_test(tc, reserved, 0, sizeof(names) / sizeof(names[0]));
    tcase_add_loop_test(tc, hop_by_hop, 0, sizeof(removed) / sizeof(removed[0]));
    tcase_add_test(tc, passes);
    tcase_add_test(tc, connection_names);
    tcase_add_test(tc, for_an_app_inside);
    tcase_add_test(tc, host);
    tcase_add_test(tc, framing);
    tcase_add_test(tc, expectation);
    tcase_add_test(tc, te);
    tcase_add_loop_test(tc, upgrade_asked, 0, sizeof(upgrades) / sizeof(upgrades[0]));
    tcase_add_test(tc, upgrade_passes);
    tcase_add_test(tc, secrets);
    tcase_add_test(tc, identity);
    tcase_add_test(tc, groups);
    tcase_add_test(tc, names_of_any_bytes);
    tcase_add_test(tc, unacceptable);
    tcase_add_test(tc, head);
    return tc;
}
