/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_http1.h"

#include "http1/fields.h"

static apr_table_t *in;
static ac_fields_facts_t facts;

static void setup_facts(void)
{
    in = apr_table_make(p, 8);
    memset(&facts, 0, sizeof(facts));
    facts.client_ip = "192.0.2.1";
    facts.client_port = 4711;
    facts.scheme = "http";
    facts.prefix = "/shop";
    facts.host = "shop.example:8080";
    facts.request_id = "made-by-us";
    facts.received = APR_INT64_C(1700000000123456);
}

static const apr_table_t *request(void)
{
    const char *error = NULL;
    apr_table_t *out = ac_fields_request(in, &facts, AC_BODY_NONE, 0, &error, p);

    ck_assert_msg(out != NULL, "%s", error);
    return out;
}

/* The values of all fields of that name, "-" if there is none. */
static const char *said(const char *name)
{
    const char *value = apr_table_getm(p, request(), name);

    return value ? value : "-";
}

static void client_says_all(void)
{
    apr_table_addn(in, "X-Forwarded-For", "203.0.113.9, 198.51.100.7");
    apr_table_addn(in, "X-Forwarded-Proto", "http, https");
    apr_table_addn(in, "X-Forwarded-Host", "public.example");
    apr_table_addn(in, "X-Forwarded-Prefix", "/outer");
    apr_table_addn(in, "X-Forwarded-Port", "443");
    apr_table_addn(in, "X-Forwarded-Server", "front");
    apr_table_addn(in, "Forwarded", "for=203.0.113.9;proto=https");
    apr_table_addn(in, "X-Real-IP", "203.0.113.9");
    apr_table_addn(in, "X-Request-ID", "from-front.1");
    apr_table_addn(in, "X-Request-Start", "t=1699999999000000");
    apr_table_addn(in, "X-Original-URL", "/elsewhere");
}

START_TEST(untrusted)
{
    client_says_all();
    ck_assert_str_eq(said("X-Forwarded-For"), "192.0.2.1");
    ck_assert_str_eq(said("X-Forwarded-Proto"), "http");
    ck_assert_str_eq(said("X-Forwarded-Host"), "shop.example:8080");
    ck_assert_str_eq(said("X-Forwarded-Prefix"), "/shop");
    ck_assert_str_eq(said("X-Forwarded-Port"), "-");
    ck_assert_str_eq(said("X-Forwarded-Server"), "-");
    ck_assert_str_eq(said("Forwarded"), "-");
    ck_assert_str_eq(said("X-Real-IP"), "192.0.2.1");
    ck_assert_str_eq(said("X-Request-ID"), "made-by-us");
    ck_assert_str_eq(said("X-Request-Start"), "t=1700000000123456");
    ck_assert_str_eq(said("X-Original-URL"), "-");
}
END_TEST

START_TEST(untrusted_ancm)
{
    client_says_all();
    facts.ancm = 1;
    facts.scheme = "https";
    ck_assert_str_eq(said("X-Forwarded-For"), "192.0.2.1:4711");
    ck_assert_str_eq(said("X-Forwarded-Proto"), "https");
    ck_assert_str_eq(said("X-Forwarded-Host"), "-");
    ck_assert_str_eq(said("X-Forwarded-Prefix"), "-");
    ck_assert_str_eq(said("X-Real-IP"), "-");
    ck_assert_str_eq(said("Forwarded"), "-");
    ck_assert_str_eq(said("X-Request-ID"), "made-by-us");
}
END_TEST

START_TEST(trusted)
{
    client_says_all();
    facts.trusted = 1;
    ck_assert_str_eq(said("X-Forwarded-For"), "203.0.113.9, 198.51.100.7, 192.0.2.1");
    ck_assert_str_eq(said("X-Forwarded-Proto"), "https");
    ck_assert_str_eq(said("X-Forwarded-Host"), "public.example");
    ck_assert_str_eq(said("X-Forwarded-Prefix"), "/outer/shop");
    ck_assert_str_eq(said("X-Forwarded-Port"), "443");
    ck_assert_str_eq(said("X-Forwarded-Server"), "front");
    ck_assert_str_eq(said("Forwarded"), "for=203.0.113.9;proto=https, "
                                        "for=\"192.0.2.1:4711\";proto=https");
    ck_assert_str_eq(said("X-Real-IP"), "203.0.113.9");
    ck_assert_str_eq(said("X-Request-ID"), "from-front.1");
    ck_assert_str_eq(said("X-Request-Start"), "t=1699999999000000");
    ck_assert_str_eq(said("X-Original-URL"), "/elsewhere");
}
END_TEST

START_TEST(trusted_ancm)
{
    client_says_all();
    facts.trusted = 1;
    facts.ancm = 1;
    ck_assert_str_eq(said("X-Forwarded-For"),
                     "203.0.113.9, 198.51.100.7, 192.0.2.1:4711");
    ck_assert_str_eq(said("X-Forwarded-Proto"), "http, https, https");
    ck_assert_str_eq(said("X-Forwarded-Host"), "public.example");
    ck_assert_str_eq(said("X-Forwarded-Prefix"), "/outer");
}
END_TEST

START_TEST(trusted_silent)
{
    facts.trusted = 1;
    ck_assert_str_eq(said("X-Forwarded-For"), "192.0.2.1");
    ck_assert_str_eq(said("X-Forwarded-Proto"), "http");
    ck_assert_str_eq(said("X-Forwarded-Host"), "shop.example:8080");
    ck_assert_str_eq(said("X-Forwarded-Prefix"), "/shop");
    ck_assert_str_eq(said("Forwarded"), "-");
    ck_assert_str_eq(said("X-Request-ID"), "made-by-us");
}
END_TEST

/* Two fields of one name are one list. */
START_TEST(repeated)
{
    facts.trusted = 1;
    apr_table_addn(in, "X-Forwarded-For", "203.0.113.9");
    apr_table_addn(in, "x-forwarded-for", "203.0.113.10");
    apr_table_addn(in, "X-Forwarded-Proto", "https");
    apr_table_addn(in, "X-Forwarded-Proto", "http");
    facts.scheme = "https";
    ck_assert_str_eq(said("X-Forwarded-For"), "203.0.113.9, 203.0.113.10, 192.0.2.1");
    ck_assert_str_eq(said("X-Forwarded-Proto"), "http");
}
END_TEST

static const struct {
    const char *ip;
    unsigned port;
    const char *ancm;
    const char *other;
    const char *element;
} nodes[] = {
    { "192.0.2.1", 80, "192.0.2.1:80", "192.0.2.1", "for=\"192.0.2.1:80\"" },
    { "192.0.2.1", 0, "192.0.2.1", "192.0.2.1", "for=\"192.0.2.1\"" },
    { "2001:db8::1", 65535, "[2001:db8::1]:65535", "2001:db8::1",
      "for=\"[2001:db8::1]:65535\"" },
    { "::1", 0, "[::1]", "::1", "for=\"[::1]\"" },
    { NULL, 0, "-", "-", "for=\"unknown\"" }
};

START_TEST(node)
{
    facts.client_ip = nodes[_i].ip;
    facts.client_port = nodes[_i].port;
    ck_assert_str_eq(said("X-Forwarded-For"), nodes[_i].other);
    ck_assert_str_eq(said("X-Real-IP"), nodes[_i].other);
    facts.ancm = 1;
    ck_assert_str_eq(said("X-Forwarded-For"), nodes[_i].ancm);
    facts.trusted = 1;
    apr_table_addn(in, "Forwarded", "for=x");
    ck_assert_str_eq(said("Forwarded"), apr_pstrcat(p, "for=x, ", nodes[_i].element,
                                                    ";proto=http", NULL));
}
END_TEST

static const struct {
    const char *proto;
    const char *forwarded;
    const char *expected;
} protos[] = {
    { "https", NULL, "https" }, { "HTTPS", NULL, "https" },
    { "https,http", NULL, "http" },
    { "http , https ", NULL, "https" }, { "https,", NULL, "https" },
    { "wss", NULL, "http" }, { "", NULL, "http" }, { "https, evil", NULL, "http" },
    { "http", "proto=https", "http" },
    { NULL, "proto=https", "https" }, { NULL, "for=a; Proto=\"https\";by=b", "https" },
    { NULL, "proto=http, for=x;proto=https", "https" },
    { NULL, "proto=https, for=x", "http" },
    { NULL, "for=\"a, proto=https;b\"", "http" }, { NULL, "xproto=https", "http" },
    { NULL, "proto=", "http" }, { NULL, "proto=\"", "http" },
    { NULL, "proto=\"https", "http" },
    { NULL, ";;;", "http" }, { NULL, "for=\"", "http" }
};

START_TEST(proto)
{
    facts.trusted = 1;
    if (protos[_i].proto) {
        apr_table_addn(in, "X-Forwarded-Proto", protos[_i].proto);
    }
    if (protos[_i].forwarded) {
        apr_table_addn(in, "Forwarded", protos[_i].forwarded);
    }
    ck_assert_str_eq(said("X-Forwarded-Proto"), protos[_i].expected);
    facts.trusted = 0;
    ck_assert_str_eq(said("X-Forwarded-Proto"), "http");
}
END_TEST

static const struct {
    const char *outer;
    const char *prefix;
    const char *expected;
} prefixes[] = {
    { NULL, "", "-" }, { NULL, "/a b", "/a%20b" }, { NULL, "/\xc3\xa4", "/%C3%A4" },
    { "/outer", "/shop", "/outer/shop" }, { "/outer/", "/shop", "/outer/shop" },
    { "/outer", "", "/outer" }, { "/", "/shop", "/shop" }, { "/", "", "-" },
    { "outer", "/shop", "/shop" }, { "//evil.example", "/shop", "/shop" },
    { "http://evil.example", "/shop", "/shop" }, { "/a, /b", "/shop", "/shop" },
    { "/a,/b", "/shop", "/shop" }, { "/a?b", "/shop", "/shop" },
    { "/a\\b", "/shop", "/shop" }, { "/a\"b", "/shop", "/shop" }, { "", "/shop", "/shop" }
};

START_TEST(prefix)
{
    facts.trusted = 1;
    facts.prefix = prefixes[_i].prefix;
    if (prefixes[_i].outer) {
        apr_table_addn(in, "X-Forwarded-Prefix", prefixes[_i].outer);
    }
    ck_assert_str_eq(said("X-Forwarded-Prefix"), prefixes[_i].expected);
}
END_TEST

static const struct {
    const char *id;
    int believable;
} ids[] = {
    { "0af7651916cd43dd8448eb211c80319c", 1 }, { "a", 1 }, { "A-b_c.d:e+f/g=h@i~j", 1 },
    { "", 0 }, { "with space", 0 }, { "quote\"", 0 }, { "a,b", 0 }, { "<script>", 0 },
    { "a;b", 0 }, { "${jndi:x}", 0 }, { "%0d%0a", 0 }, { "\xc3\xa4", 0 }
};

START_TEST(request_id)
{
    apr_table_addn(in, "X-Request-ID", ids[_i].id);
    ck_assert_str_eq(said("X-Request-ID"), "made-by-us");
    facts.trusted = 1;
    ck_assert_str_eq(said("X-Request-ID"),
                     ids[_i].believable ? ids[_i].id : "made-by-us");
    facts.request_id = NULL;
    ck_assert_str_eq(said("X-Request-ID"), ids[_i].believable ? ids[_i].id : "-");
}
END_TEST

START_TEST(request_id_length)
{
    char id[130];

    facts.trusted = 1;
    memset(id, 'x', sizeof(id));
    id[128] = '\0';
    apr_table_setn(in, "X-Request-ID", id);
    ck_assert_str_eq(said("X-Request-ID"), id);
    id[128] = 'x';
    id[129] = '\0';
    ck_assert_str_eq(said("X-Request-ID"), "made-by-us");
}
END_TEST

START_TEST(request_start)
{
    static const char *const good[] = { "t=1700000000.123", "1700000000123", "t=1" };
    static const char *const bad[] = { "", "t=", "now", "t=1x", "t=-1", "t=1 2" };
    unsigned i;

    facts.trusted = 1;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); ++i) {
        apr_table_setn(in, "X-Request-Start", good[i]);
        ck_assert_str_eq(said("X-Request-Start"), good[i]);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
        apr_table_setn(in, "X-Request-Start", bad[i]);
        ck_assert_str_eq(said("X-Request-Start"), "t=1700000000123456");
    }
    facts.received = 0;
    ck_assert_str_eq(said("X-Request-Start"), "-");
}
END_TEST

/* An app sees names as variables: no other spelling may reach it. */
START_TEST(spellings)
{
    static const char *const spelt[] = {
        "X_Forwarded_For", "X-Forwarded_For", "x_forwarded-for", "X.Forwarded.For",
        "X_FORWARDED_PROTO", "X-Forwarded_User", "X_Real_IP", "X_Request_ID",
        "X_Request-Start", "X_Original_URL"
    };
    unsigned i;

    for (i = 0; i < sizeof(spelt) / sizeof(spelt[0]); ++i) {
        apr_table_addn(in, spelt[i], "spoofed");
        facts.trusted = 0;
        ck_assert_str_eq(said(spelt[i]), "-");
        facts.trusted = 1;
        ck_assert_str_eq(said(spelt[i]), "-");
    }
    ck_assert_str_eq(said("X-Forwarded-For"), "192.0.2.1");
    ck_assert_str_eq(said("X-Forwarded-Proto"), "http");
}
END_TEST

#define LOOP(tc, test, list) \
    tcase_add_loop_test(tc, test, 0, sizeof(list) / sizeof(list[0]))

TCase *forwarded_case(void)
{
    TCase *tc = case_create("forwarded");

    tcase_add_checked_fixture(tc, setup_facts, NULL);
    tcase_add_test(tc, untrusted);
    tcase_add_test(tc, untrusted_ancm);
    tcase_add_test(tc, trusted);
    tcase_add_test(tc, trusted_ancm);
    tcase_add_test(tc, trusted_silent);
    tcase_add_test(tc, repeated);
    LOOP(tc, node, nodes);
    LOOP(tc, proto, protos);
    LOOP(tc, prefix, prefixes);
    LOOP(tc, request_id, ids);
    tcase_add_test(tc, request_id_length);
    tcase_add_test(tc, request_start);
    tcase_add_test(tc, spellings);
    return tc;
}
