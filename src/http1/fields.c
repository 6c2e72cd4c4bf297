/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* One walk over the client's fields. Each name is folded (lower case, hyphens)
 * once and looked up in the short list of its first letter; what no rule knows
 * passes as it is. What we say ourselves is added behind. */

#include "http1/fields.h"

#include <string.h>
#include <strings.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include "http1/forwarded.h"
#include "http1/line.h"

#define NAME_MAX_FOLDED 24      /* longer than any name in the rules */

typedef enum action_e {
    ACTION_PASS,
    ACTION_RESERVED,            /* only we may say it */
    ACTION_HOP,                 /* concerns the client's connection alone */
    ACTION_HOST,
    ACTION_TRUSTED              /* passes from a trusted proxy, spelt rightly */
} action_e;

typedef struct rule_t {
    const char *name;           /* a trailing '*' stands for any rest */
    action_e action;
} rule_t;

static const rule_t rules_a[] = { { "appcore-*", ACTION_RESERVED }, { NULL, 0 } };
static const rule_t rules_c[] = {
    { "connection", ACTION_HOP }, { "content-length", ACTION_HOP }, { NULL, 0 }
};
static const rule_t rules_e[] = { { "expect", ACTION_HOP }, { NULL, 0 } };
static const rule_t rules_f[] = { { "forwarded", ACTION_TRUSTED }, { NULL, 0 } };
static const rule_t rules_h[] = {
    { "host", ACTION_HOST }, { "http2-settings", ACTION_HOP }, { NULL, 0 }
};
static const rule_t rules_k[] = { { "keep-alive", ACTION_HOP }, { NULL, 0 } };
static const rule_t rules_m[] = { { "ms-aspnetcore*", ACTION_RESERVED }, { NULL, 0 } };
static const rule_t rules_p[] = {
    { "proxy", ACTION_RESERVED }, { "proxy-*", ACTION_HOP },
    { "path-info", ACTION_RESERVED }, { NULL, 0 }
};
static const rule_t rules_s[] = { { "script-name", ACTION_RESERVED }, { NULL, 0 } };
static const rule_t rules_t[] = {
    { "te", ACTION_HOP }, { "trailer", ACTION_HOP },
    { "transfer-encoding", ACTION_HOP }, { NULL, 0 }
};
static const rule_t rules_u[] = { { "upgrade", ACTION_HOP }, { NULL, 0 } };
static const rule_t rules_x[] = {
    { "x-forwarded-*", ACTION_TRUSTED }, { "x-real-ip", ACTION_TRUSTED },
    { "x-request-id", ACTION_TRUSTED }, { "x-request-start", ACTION_TRUSTED },
    { "x-original-url", ACTION_TRUSTED }, { "x-rewrite-url", ACTION_TRUSTED },
    { "x-accel-*", ACTION_RESERVED }, { "x-sendfile-type", ACTION_RESERVED },
    { NULL, 0 }
};

static const rule_t *const rules['z' - 'a' + 1] = {
    ['a' - 'a'] = rules_a, ['c' - 'a'] = rules_c, ['e' - 'a'] = rules_e,
    ['f' - 'a'] = rules_f, ['h' - 'a'] = rules_h, ['k' - 'a'] = rules_k,
    ['m' - 'a'] = rules_m, ['p' - 'a'] = rules_p, ['s' - 'a'] = rules_s,
    ['t' - 'a'] = rules_t, ['u' - 'a'] = rules_u, ['x' - 'a'] = rules_x
};

static char fold(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (char)(c | 0x20);
    }
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
}

/* folded may be cut short: what matters is whether it goes on. */
static int rule_matches(const char *rule, const char *folded)
{
    while (*rule && *rule == *folded) {
        ++rule;
        ++folded;
    }
    return *rule == '*' || (!*rule && !*folded);
}

static action_e classify(const char *name)
{
    char folded[NAME_MAX_FOLDED];
    char first = fold(name[0]);
    const rule_t *rule;
    int i;

    rule = first >= 'a' && first <= 'z' ? rules[first - 'a'] : NULL;
    if (!rule) {
        return ACTION_PASS;
    }
    for (i = 0; name[i] && i < NAME_MAX_FOLDED - 1; ++i) {
        folded[i] = fold(name[i]);
    }
    folded[i] = '\0';
    for (; rule->name; ++rule) {
        if (rule_matches(rule->name, folded)) {
            return rule->action;
        }
    }
    return ACTION_PASS;
}

int ac_fields_plain(const char *name)
{
    return classify(name) == ACTION_PASS;
}

static int list_has(const char *list, const char *word)
{
    const char *item;
    apr_size_t len;

    while (list && ac_list_next(&list, &item, &len)) {
        if (ac_list_is(item, len, word)) {
            return 1;
        }
    }
    return 0;
}

typedef struct walk_t {
    const ac_fields_facts_t *facts;
    apr_table_t *out;
    apr_table_t *named;         /* what Connection names beyond the rules, or NULL */
    ac_forwarded_t forwarded;
    apr_pool_t *p;
} walk_t;

/* Most clients name nothing in Connection but what the rules remove anyway. */
static int on_connection(void *baton, const char *key, const char *value)
{
    walk_t *walk = baton;
    const char *item;
    apr_size_t len;

    (void)key;
    while (ac_list_next(&value, &item, &len)) {
        if (ac_list_is(item, len, "keep-alive") || ac_list_is(item, len, "close")
            || ac_list_is(item, len, "upgrade") || ac_list_is(item, len, "te")) {
            continue;
        }
        if (!walk->named) {
            walk->named = apr_table_make(walk->p, 4);
        }
        apr_table_addn(walk->named, apr_pstrmemdup(walk->p, item, len), "");
    }
    return 1;
}

/* An app may read "X_Forwarded.For" as the real name, a proxy never writes it. */
static int plainly_spelt(const char *name)
{
    while (*name && (*name == '-' || fold(*name) != '-')) {
        ++name;
    }
    return !*name;
}

/* ACTION_PASS, ACTION_HOST, which no client can name away, ACTION_TRUSTED for what a
 * trusted proxy said; else it is not for the app. */
static action_e admit(const walk_t *walk, const char *name)
{
    action_e action = classify(name);

    if (action != ACTION_HOST && walk->named && apr_table_get(walk->named, name)) {
        return ACTION_HOP;
    }
    if (action == ACTION_TRUSTED && (!walk->facts->trusted || !plainly_spelt(name))) {
        return ACTION_RESERVED;
    }
    return action;
}

static const char *check_field(const apr_table_entry_t *field)
{
    if (!ac_char_all(field->key, AC_CHAR_TOKEN)) {
        return "a header name that is no token";
    }
    if (*field->val && !ac_char_all(field->val, AC_CHAR_VALUE)) {
        return "a control byte in a header";
    }
    return NULL;
}

static void pass_field(walk_t *walk, const char *name, const char *value)
{
    action_e action = admit(walk, name);

    if (action == ACTION_PASS
        || (action == ACTION_TRUSTED
            && !ac_forwarded_collect(&walk->forwarded, name, value, walk->p))) {
        apr_table_addn(walk->out, name, value);
    }
}

static const char *walk_fields(walk_t *walk, const apr_array_header_t *fields)
{
    const apr_table_entry_t *field = (const apr_table_entry_t *)fields->elts;
    const char *error;
    int i;

    for (i = 0; i < fields->nelts; ++i, ++field) {
        error = check_field(field);
        if (error) {
            return error;
        }
        pass_field(walk, field->key, field->val);
    }
    return NULL;
}

/* One line of base64 out of PEM or of lines of base64; NULL if it is neither. */
static const char *bare_base64(const char *cert, apr_pool_t *p)
{
    char *out = apr_palloc(p, strlen(cert) + 1);
    char *at = out;

    if (!strncmp(cert, "-----BEGIN", 10)) {
        cert = strchr(cert, '\n');
    }
    for (; cert && *cert && *cert != '-'; ++cert) {
        if (apr_isalnum(*cert) || *cert == '+' || *cert == '/' || *cert == '=') {
            *at++ = *cert;
        }
        else if (!apr_isspace(*cert)) {
            return NULL;
        }
    }
    *at = '\0';
    return at > out ? out : NULL;
}

static const char *as_it_is(const char *text, apr_pool_t *p)
{
    (void)p;
    return text;
}

/* Who made a name chose its encoding: the app gets the bytes. */
static const char *percent_encoded(const char *text, apr_pool_t *p)
{
    static const char digits[] = "0123456789ABCDEF";
    char *result = apr_palloc(p, 3 * strlen(text) + 1), *to = result;

    for (; *text; ++text) {
        unsigned char c = (unsigned char)*text;

        if (c > ' ' && c < 0x7f && c != '%' && c != ',') {
            *to++ = *text;
            continue;
        }
        *to++ = '%';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    *to = '\0';
    return result;
}

static void put_groups(walk_t *walk, const char *name,
                       const char *(*write)(const char *text, apr_pool_t *p))
{
    const apr_array_header_t *groups = walk->facts->groups;
    apr_array_header_t *written;
    int i;

    if (!groups || !groups->nelts) {
        return;
    }
    written = apr_array_make(walk->p, groups->nelts, sizeof(const char *));
    for (i = 0; i < groups->nelts; ++i) {
        APR_ARRAY_PUSH(written, const char *) =
            write(APR_ARRAY_IDX(groups, i, const char *), walk->p);
    }
    apr_table_addn(walk->out, name, apr_array_pstrcat(walk->p, written, ','));
}

static void put_said(walk_t *walk, const char *name, ac_forwarded_e field)
{
    if (walk->forwarded.said[field]) {
        apr_table_addn(walk->out, name, walk->forwarded.said[field]);
    }
}

/* The proxy's word counts only where httpd itself knows nobody. */
static void put_identity(walk_t *walk)
{
    const ac_fields_facts_t *facts = walk->facts;
    const char *user = facts->identity_allowed ? facts->user : NULL;

    if (!user) {
        put_said(walk, "X-Forwarded-User", AC_FORWARDED_USER);
        put_said(walk, "X-Forwarded-Groups", AC_FORWARDED_GROUPS);
        return;
    }
    if (!facts->ancm) {
        apr_table_addn(walk->out, "X-Forwarded-User", user);
        put_groups(walk, "X-Forwarded-Groups", as_it_is);
        return;
    }
    apr_table_addn(walk->out, "MS-ASPNETCORE-USER", percent_encoded(user, walk->p));
    if (facts->auth_type) {
        apr_table_addn(walk->out, "MS-ASPNETCORE-AUTHTYPE",
                       percent_encoded(facts->auth_type, walk->p));
    }
    put_groups(walk, "MS-ASPNETCORE-ROLES", percent_encoded);
}

static void put_secrets(walk_t *walk)
{
    const ac_fields_facts_t *facts = walk->facts;
    const char *cert = facts->client_cert;

    cert = cert ? bare_base64(cert, walk->p) : NULL;
    if (facts->token && *facts->token) {
        apr_table_addn(walk->out, "MS-ASPNETCORE-TOKEN", facts->token);
    }
    if (cert) {
        apr_table_addn(walk->out, "MS-ASPNETCORE-CLIENTCERT", cert);
    }
    put_identity(walk);
}

static void put_connection(walk_t *walk, const apr_table_t *in)
{
    const char *upgrade = NULL;

    if (walk->facts->upgrade == AC_UPGRADE_WEBSOCKET) {
        upgrade = "websocket";
    }
    else if (walk->facts->upgrade == AC_UPGRADE_OTHER) {
        upgrade = apr_table_get(in, "Upgrade");
    }
    if (upgrade) {
        apr_table_addn(walk->out, "Connection", "Upgrade");
        apr_table_addn(walk->out, "Upgrade", upgrade);
    }
    else if (walk->facts->trailers_ok) {
        apr_table_addn(walk->out, "Connection", "TE");
        apr_table_addn(walk->out, "TE", "trailers");
    }
}

static void put_framing(walk_t *walk, const apr_table_t *in, ac_body_e body,
                        apr_int64_t length)
{
    if (body == AC_BODY_LENGTH) {
        apr_table_addn(walk->out, "Content-Length",
                       length ? apr_off_t_toa(walk->p, length) : "0");
    }
    else if (body == AC_BODY_CHUNKED) {
        apr_table_addn(walk->out, "Transfer-Encoding", "chunked");
    }
    if (body != AC_BODY_NONE && walk->facts->expect
        && list_has(apr_table_get(in, "Expect"), "100-continue")) {
        apr_table_addn(walk->out, "Expect", "100-continue");
    }
}

static int is_value(const char *text)
{
    return !text || !*text || ac_char_all(text, AC_CHAR_VALUE);
}

/* Who authenticates decides what a name may hold; a head may not hold all. */
static const char *check_facts(const ac_fields_facts_t *facts)
{
    int fit = is_value(facts->host) && is_value(facts->token)
              && is_value(facts->request_id);
    int i;

    if (facts->identity_allowed && !facts->ancm) {
        fit = fit && is_value(facts->user);
        for (i = 0; facts->groups && i < facts->groups->nelts; ++i) {
            fit = fit && is_value(APR_ARRAY_IDX(facts->groups, i, const char *));
        }
    }
    return fit ? NULL : "a control byte in what a header should say";
}

apr_table_t *ac_fields_request(const apr_table_t *in, const ac_fields_facts_t *facts,
                               ac_body_e body, apr_int64_t length, const char **perror,
                               apr_pool_t *p)
{
    const apr_array_header_t *fields = apr_table_elts(in);
    const char *host = apr_table_get(in, "Host");
    walk_t walk = { .facts = facts, .p = p };

    *perror = check_facts(facts);
    if (*perror) {
        return NULL;
    }
    walk.out = apr_table_make(p, fields->nelts + 12);
    apr_table_do(on_connection, &walk, in, "Connection", NULL);
    if (!host) {
        host = facts->host ? facts->host : "";
    }
    apr_table_addn(walk.out, "Host", host);
    *perror = walk_fields(&walk, fields);
    if (*perror) {
        return NULL;
    }
    put_framing(&walk, in, body, length);
    put_connection(&walk, in);
    ac_forwarded_put(walk.out, &walk.forwarded, facts, p);
    put_secrets(&walk);
    return walk.out;
}

static void add_inside(apr_array_header_t *to, const char *name, const char *value)
{
    appcore_field *field = apr_array_push(to);

    field->name.p = name;
    field->name.len = strlen(name);
    field->value.p = value;
    field->value.len = strlen(value);
}

static int copy_inside(void *baton, const char *name, const char *value)
{
    add_inside(baton, name, value);
    return 1;
}

apr_array_header_t *ac_fields_inside(const apr_table_t *in,
                                     const ac_fields_facts_t *facts, ac_body_e body,
                                     apr_int64_t length, const char **perror,
                                     apr_pool_t *p)
{
    const apr_array_header_t *fields = apr_table_elts(in);
    const apr_table_entry_t *field = (const apr_table_entry_t *)fields->elts;
    walk_t walk = { .facts = facts, .p = p };
    apr_array_header_t *to = apr_array_make(p, fields->nelts + 4,
                                            sizeof(appcore_field));
    int i;

    apr_table_do(on_connection, &walk, in, "Connection", NULL);
    for (i = 0; i < fields->nelts; ++i, ++field) {
        action_e action;

        *perror = check_field(field);
        if (*perror) {
            return NULL;
        }
        action = admit(&walk, field->key);
        if (action == ACTION_PASS || action == ACTION_TRUSTED || action == ACTION_HOST) {
            add_inside(to, field->key, field->val);
        }
    }
    if (body != AC_BODY_NONE || facts->upgrade != AC_UPGRADE_NONE || facts->trailers_ok) {
        walk.out = apr_table_make(p, 4);
        put_framing(&walk, in, body, length);
        put_connection(&walk, in);
        apr_table_do(copy_inside, to, walk.out, NULL);
    }
    return to;
}

ac_upgrade_e ac_fields_upgrade(const apr_table_t *in, const char *method)
{
    const char *upgrade = apr_table_get(in, "Upgrade");
    const char *length = apr_table_get(in, "Content-Length");

    if (!upgrade || strcmp(method, "GET")
        || !list_has(apr_table_get(in, "Connection"), "upgrade")
        || apr_table_get(in, "Transfer-Encoding") || (length && strcmp(length, "0"))) {
        return AC_UPGRADE_NONE;
    }
    if (list_has(upgrade, "websocket")) {
        return AC_UPGRADE_WEBSOCKET;
    }
    return *upgrade && !list_has(upgrade, "h2c") ? AC_UPGRADE_OTHER : AC_UPGRADE_NONE;
}

static char *append(char *at, const char *s, apr_size_t len)
{
    memcpy(at, s, len);
    return at + len;
}

const char *ac_fields_head(const char *method, const char *target,
                           const apr_table_t *fields, apr_size_t *plen, apr_pool_t *p)
{
    const apr_array_header_t *elts = apr_table_elts(fields);
    const apr_table_entry_t *field = (const apr_table_entry_t *)elts->elts;
    apr_size_t size = strlen(method) + strlen(target) + sizeof("  HTTP/1.1\r\n\r\n");
    char *head, *at;
    int i;

    for (i = 0; i < elts->nelts; ++i) {
        size += strlen(field[i].key) + strlen(field[i].val) + 4;
    }
    head = apr_palloc(p, size);
    at = append(head, method, strlen(method));
    *at++ = ' ';
    at = append(at, target, strlen(target));
    at = append(at, " HTTP/1.1\r\n", 11);
    for (i = 0; i < elts->nelts; ++i) {
        at = append(at, field[i].key, strlen(field[i].key));
        at = append(at, ": ", 2);
        at = append(at, field[i].val, strlen(field[i].val));
        at = append(at, "\r\n", 2);
    }
    at = append(at, "\r\n", 2);
    *at = '\0';
    *plen = (apr_size_t)(at - head);
    return head;
}
