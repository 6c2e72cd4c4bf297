/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_http1.h"

#include <ctype.h>
#include <strings.h>
#include "http1/target.h"

static const struct {
    const char *path;
    const char *prefix;
    int inside;
} mounts[] = {
    { "/shop", "/shop", 1 }, { "/shop/", "/shop", 1 }, { "/shop/x/y", "/shop", 1 },
    { "/shopping", "/shop", 0 }, { "/sho", "/shop", 0 }, { "/", "/shop", 0 },
    { "/Shop", "/shop", 0 }, { "//shop/x", "/shop", 0 }, { "/x/shop", "/shop", 0 },
    { "/shop%2Fx", "/shop", 0 }, { "", "/shop", 0 },
    { "/", "", 1 }, { "/x", "", 1 }, { "*", "", 1 }, { "/a/b/c", "/a/b", 1 },
    { "/a/bc", "/a/b", 0 }
};

START_TEST(in_mount)
{
    ck_assert_msg(ac_target_in_mount(mounts[_i].path, mounts[_i].prefix)
                  == mounts[_i].inside, "%s in %s", mounts[_i].path, mounts[_i].prefix);
}
END_TEST

static const struct {
    const char *unparsed;
    const char *original;
    const char *path;
    const char *args;
    const char *prefix;
    const char *expected;       /* NULL: refused */
} targets[] = {
    /* What nothing changed goes as it came. */
    { "/shop", "/shop", "/shop", NULL, "/shop", "/shop" },
    { "/shop/a/b", "/shop/a/b", "/shop/a/b", NULL, "/shop", "/shop/a/b" },
    { "/", "/", "/", NULL, "", "/" },
    { "/shop/a%20b", "/shop/a b", "/shop/a b", NULL, "/shop", "/shop/a%20b" },
    { "/shop/%61", "/shop/a", "/shop/a", NULL, "/shop", "/shop/%61" },
    { "/shop/%c3%a4", "/shop/\xc3\xa4", "/shop/\xc3\xa4", NULL, "/shop", "/shop/%c3%a4" },
    { "/shop/%ff", "/shop/\xff", "/shop/\xff", NULL, "/shop", "/shop/%ff" },
    { "/shop/a;v=1/b", "/shop/a;v=1/b", "/shop/a;v=1/b", NULL, "/shop",
      "/shop/a;v=1/b" },
    { "/shop/a%3Fb", "/shop/a?b", "/shop/a?b", NULL, "/shop", "/shop/a%3Fb" },
    { "/shop/a%23b", "/shop/a#b", "/shop/a#b", NULL, "/shop", "/shop/a%23b" },
    { "/shop/%25", "/shop/%", "/shop/%", NULL, "/shop", "/shop/%25" },
    { "/shop/%252e%252e/x", "/shop/%2e%2e/x", "/shop/%2e%2e/x", NULL, "/shop",
      "/shop/%252e%252e/x" },
    { "/shop/..%255Cx", "/shop/..%5Cx", "/shop/..%5Cx", NULL, "/shop",
      "/shop/..%255Cx" },
    { "/shop/...", "/shop/...", "/shop/...", NULL, "/shop", "/shop/..." },
    { "/shop/..x", "/shop/..x", "/shop/..x", NULL, "/shop", "/shop/..x" },
    { "/shop/.x", "/shop/.x", "/shop/.x", NULL, "/shop", "/shop/.x" },
    /* Queries. */
    { "/shop?a=b", "/shop", "/shop", "a=b", "/shop", "/shop?a=b" },
    { "/shop/?", "/shop/", "/shop/", "", "/shop", "/shop/?" },
    { "/shop/x?/../..", "/shop/x", "/shop/x", "/../..", "/shop", "/shop/x?/../.." },
    { "/shop/x?a[]={|}\"<>^`\\%zz", "/shop/x", "/shop/x", "a[]={|}\"<>^`\\%zz", "/shop",
      "/shop/x?a[]={|}\"<>^`\\%zz" },
    { "/shop/x?a", "/shop/x", "/shop/x", "a b\r\nEvil: x\x01\x7f\xe4#f", "/shop",
      "/shop/x?a%20b%0D%0AEvil:%20x%01%7F%E4%23f" },
    /* %2F under NoDecode stays, under On it became a slash. */
    { "/shop/a%2Fb", "/shop/a%2Fb", "/shop/a%2Fb", NULL, "/shop", "/shop/a%2Fb" },
    { "/shop/a%2fb", "/shop/a%2fb", "/shop/a%2fb", NULL, "/shop", "/shop/a%2fb" },
    { "/shop/a%2Fb", "/shop/a/b", "/shop/a/b", NULL, "/shop", "/shop/a/b" },
    { "/shop/a%252Fb", "/shop/a%2Fb", "/shop/a%2Fb", NULL, "/shop", "/shop/a%252Fb" },
    { "/shop%2Fx", "/shop%2Fx", "/shop%2Fx", NULL, "/shop", NULL },
    { "/shop%2F..%2Fx", "/shop%2F..%2Fx", "/shop%2F..%2Fx", NULL, "/shop", NULL },
    { "/shop/..%2Fx", "/shop/..%2Fx", "/shop/..%2Fx", NULL, "/shop", NULL },
    { "/shop/%2F../%2f.", "/shop/%2F../%2f.", "/shop/%2F../%2f.", NULL, "/shop", NULL },
    { "/shop/a%2F%2e%2e", "/shop/a%2F..", "/shop/a%2F..", NULL, "/shop", NULL },
    { "/shop/a%2F.", "/shop/a%2F.", "/shop/a%2F.", NULL, "/shop", NULL },
    /* Segments that httpd removed or merged. */
    { "/shop/../x", "/x", "/x", NULL, "/shop", NULL },
    { "/shop/../x", "/x", "/x", NULL, "", "/x" },
    { "/shop/a/../b", "/shop/b", "/shop/b", NULL, "/shop", "/shop/b" },
    { "/shop/./b", "/shop/b", "/shop/b", NULL, "/shop", "/shop/b" },
    { "/shop/%2e%2e/x", "/x", "/x", NULL, "/shop", NULL },
    { "/x/%2e%2E/shop/y", "/shop/y", "/shop/y", NULL, "/shop", "/shop/y" },
    { "/x/../shop/y", "/shop/y", "/shop/y", NULL, "/shop", "/shop/y" },
    { "//shop//y", "/shop/y", "/shop/y", NULL, "/shop", "/shop/y" },
    { "/shop//y", "/shop//y", "/shop//y", NULL, "/shop", "/shop//y" },
    { "//evil.example/x", "/evil.example/x", "/evil.example/x", NULL, "",
      "/evil.example/x" },
    /* Dot segments that only some apps see. */
    { "/shop/..;/x", "/shop/..;/x", "/shop/..;/x", NULL, "/shop", NULL },
    { "/shop/..;a=b/x", "/shop/..;a=b/x", "/shop/..;a=b/x", NULL, "/shop", NULL },
    { "/shop/.;/x", "/shop/.;/x", "/shop/.;/x", NULL, "/shop", NULL },
    { "/shop/%2e%2e;/x", "/shop/..;/x", "/shop/..;/x", NULL, "/shop", NULL },
    { "/shop/..\\x", "/shop/..\\x", "/shop/..\\x", NULL, "/shop", NULL },
    { "/shop/..%5Cx", "/shop/..\\x", "/shop/..\\x", NULL, "/shop", NULL },
    { "/shop/a\\..\\..", "/shop/a\\..\\..", "/shop/a\\..\\..", NULL, "/shop", NULL },
    /* Bytes that are no URI are encoded. */
    { "/shop/a\\b", "/shop/a\\b", "/shop/a\\b", NULL, "/shop", "/shop/a%5Cb" },
    { "/shop/\xc3\xa4", "/shop/\xc3\xa4", "/shop/\xc3\xa4", NULL, "/shop",
      "/shop/%C3%A4" },
    { "/shop/a\"<b>", "/shop/a\"<b>", "/shop/a\"<b>", NULL, "/shop",
      "/shop/a%22%3Cb%3E" },
    { "/shop/a%zzb", "/shop/a%zzb", "/shop/a%zzb", NULL, "/shop", "/shop/a%25zzb" },
    { "/shop/a%2", "/shop/a%2", "/shop/a%2", NULL, "/shop", "/shop/a%252" },
    { "/shop/a#frag", "/shop/a", "/shop/a", NULL, "/shop", "/shop/a" },
    { "/shop/%61#frag", "/shop/a", "/shop/a", NULL, "/shop", "/shop/%61" },
    /* The mount is spelt as configured. */
    { "/%73hop/x", "/shop/x", "/shop/x", NULL, "/shop", "/shop/x" },
    { "/a%20b/x%20y", "/a b/x y", "/a b/x y", NULL, "/a b", "/a%20b/x%20y" },
    { "/%c3%a4/%61", "/\xc3\xa4/a", "/\xc3\xa4/a", NULL, "/\xc3\xa4", "/%c3%a4/%61" },
    /* Rewritten. */
    { "/old/a%20b", "/old/a b", "/shop/a b", NULL, "/shop", "/shop/a%20b" },
    { "/shop/a", "/shop/a", "/shop/b", "q=1", "/shop", "/shop/b?q=1" },
    { "/shop/a", "/shop/a", "/shop/b?c", NULL, "/shop", "/shop/b%3Fc" },
    { "/shop/a", "/shop/a", "/shop/b\r\nEvil: x", NULL, "/shop",
      "/shop/b%0D%0AEvil:%20x" },
    { "/shop/a", "/shop/a", "/other", NULL, "/shop", NULL },
    { "/shop/a", "/shop/a", "/shop/../x", NULL, "/shop", NULL },
    { "/shop/a", "/shop/a", "shop/b", NULL, "/shop", NULL },
    { "/shop/a", "/shop/a", "http://x/", NULL, "", NULL },
    { "/old/a%2Fb", "/old/a%2Fb", "/shop/a%2Fb", NULL, "/shop", "/shop/a%2Fb" },
    { "/old/a%252Fb", "/old/a%2Fb", "/shop/a%2Fb", NULL, "/shop", "/shop/a%252Fb" },
    { "/old/a%20", "/old/a ", "/shop/100%", NULL, "/shop", "/shop/100%25" },
    { "/shop/%61", "/shop/x", "/shop/a", NULL, "/shop", "/shop/a" },
    { "/shop/%61", NULL, "/shop/a", NULL, "/shop", "/shop/a" },
    { NULL, NULL, "/shop/a", NULL, "/shop", "/shop/a" },
    /* Other forms. */
    { "http://h.example/shop/a%20b?x", "/shop/a b", "/shop/a b", "x", "/shop",
      "/shop/a%20b?x" },
    { "http://h.example:80", "/", "/", NULL, "", "/" },
    { "http://h.example?x", "/", "/", "x", "", "/?x" },
    { "http://u@h.example/shop/../y", "/y", "/y", NULL, "/shop", NULL },
    { "*", "*", "*", NULL, "", "*" },
    { "*", "*", "*", NULL, "/shop", NULL },
    { "h.example:443", "h.example:443", "h.example:443", NULL, "", NULL },
    { "", "", "", NULL, "", NULL }
};

START_TEST(build)
{
    const char *target = ac_target_build(targets[_i].unparsed, targets[_i].original,
                                         targets[_i].path, targets[_i].args,
                                         targets[_i].prefix, p);

    if (targets[_i].expected) {
        ck_assert_msg(target != NULL, "%s refused", targets[_i].unparsed);
        ck_assert_str_eq(target, targets[_i].expected);
    }
    else {
        ck_assert_msg(!target, "%s gave %s", targets[_i].unparsed, target);
    }
}
END_TEST

START_TEST(escape)
{
    const char *kept = "/azAZ09-._~!$&'()*+,;=:@";
    char path[2] = { 0, 0 };
    int c;

    ck_assert_str_eq(ac_target_escape("", p), "");
    ck_assert_str_eq(ac_target_escape(kept, p), kept);
    ck_assert_str_eq(ac_target_escape("/a%2Fb c", p), "/a%252Fb%20c");
    for (c = 1; c < 256; ++c) {
        path[0] = (char)c;
        if (!isalnum(c) && !strchr(kept, c)) {
            ck_assert_str_eq(ac_target_escape(path, p), apr_psprintf(p, "%%%02X", c));
        }
        else if (c < 128) {
            ck_assert_str_eq(ac_target_escape(path, p), path);
        }
    }
}
END_TEST

static int hex(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = strchr(digits, tolower((unsigned char)c));

    return c && at ? (int)(at - digits) : -1;
}

/* Decodes as httpd does for its path; slashes: "%2F" becomes one too. */
static char *decoded(const char *s, int slashes)
{
    char *out = apr_palloc(p, strlen(s) + 1), *at = out;

    while (*s) {
        if (*s == '%' && hex(s[1]) >= 0 && hex(s[2]) >= 0
            && (slashes || strncasecmp(s, "%2f", 3))) {
            *at++ = (char)(hex(s[1]) * 16 + hex(s[2]));
            s += 3;
        }
        else {
            *at++ = *s++;
        }
    }
    *at = '\0';
    return out;
}

/* Resolves dot segments; params: "..;x" is one as well. Slashes merge. */
static char *resolved(const char *path, int params)
{
    char *copy = apr_pstrdup(p, path), *segment, *last = NULL;
    const char *out = "";

    for (segment = apr_strtok(copy, "/", &last); segment;
         segment = apr_strtok(NULL, "/", &last)) {
        char *end = params ? strchr(segment, ';') : NULL;

        if (end) {
            *end = '\0';
        }
        if (!strcmp(segment, "..")) {
            const char *slash = strrchr(out, '/');

            out = slash ? apr_pstrmemdup(p, out, (apr_size_t)(slash - out)) : "";
        }
        else if (strcmp(segment, ".")) {
            out = apr_pstrcat(p, out, "/", segment, NULL);
        }
    }
    return apr_pstrcat(p, out, path[strlen(path) - 1] == '/' ? "/" : "", NULL);
}

static const char *random_spelling(unsigned *seed)
{
    static const char *const parts[] = {
        "/shop", "/shop", "/shop", "/", "/", "/..", "/.", "..", ".", "%2e%2E", "%2f",
        "%2F", "/%2e.", ";", ";a=b", "..;", "\\", "%5c", "%73hop", "shop", "x", "a%20b",
        "%25", "%252e", "%252F", "%c3%a4", "\xe4", "%ff", "%3f", "%23", "//", "..%2f"
    };
    const char *raw = draw(seed, 4) ? "/shop" : "/";
    unsigned n = draw(seed, 7);

    while (n--) {
        const char *part = parts[draw(seed, sizeof(parts) / sizeof(parts[0]))];

        raw = apr_pstrcat(p, raw, part, NULL);
    }
    return raw;
}

static void check_reading(const char *raw, const char *target, int backslash, int params)
{
    char *seen = decoded(target, 1), *at;

    for (at = seen; backslash && *at; ++at) {
        *at = *at == '\\' ? '/' : *at;
    }
    ck_assert_msg(ac_target_in_mount(resolved(seen, params), "/shop"),
                  "%s as %s is read as %s", raw, target, resolved(seen, params));
}

/* However a path is spelt, every way in which an app may read what we make of
 * it stays inside the mount, and it is the path that httpd authorised. */
START_TEST(property)
{
    static const char uri_bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "0123456789-._~!$&'()*+,;=:@/%";
    unsigned seed = 1, i, accepted = 0, refused = 0;

    for (i = 0; i < 60000; ++i) {
        const char *raw, *path, *now, *target;

        if (i % 500 == 0) {
            apr_pool_clear(p);
        }
        raw = random_spelling(&seed);
        path = resolved(decoded(raw, 0), 0);
        now = draw(&seed, 4) ? path : resolved(decoded(random_spelling(&seed), 0), 0);
        target = ac_target_build(raw, path, now, NULL, "/shop", p);
        if (!target) {
            ++refused;
            continue;
        }
        ++accepted;
        ck_assert_msg(!target[strspn(target, uri_bytes)], "%s", target);
        ck_assert_msg(!strncmp(target, "/shop", 5), "%s", target);
        ck_assert_str_eq(decoded(target, 0), now);
        check_reading(raw, target, 0, 0);
        check_reading(raw, target, 0, 1);
        check_reading(raw, target, 1, 0);
        check_reading(raw, target, 1, 1);
    }
    ck_assert_uint_gt(accepted, 5000);
    ck_assert_uint_gt(refused, 5000);
}
END_TEST

TCase *target_case(void)
{
    TCase *tc = case_create("target");

    tcase_add_loop_test(tc, in_mount, 0, sizeof(mounts) / sizeof(mounts[0]));
    tcase_add_loop_test(tc, build, 0, sizeof(targets) / sizeof(targets[0]));
    tcase_add_test(tc, escape);
    tcase_add_test(tc, property);
    return tc;
}
