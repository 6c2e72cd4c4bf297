/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/client.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_ssl.h"
#include "apr_strings.h"
#include "http1/target.h"
#include "inproc/app.h"
#include "request/context.h"
#include "request/groups.h"
#include "request/login.h"
#include "spec/launch.h"

APLOG_USE_MODULE(appcore);

/* Request ids need to differ, not to be secret: a counter behind a mixer that
 * starts anywhere. */
static _Atomic uint64_t sequence;
static uint64_t seed;

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void ac_client_init(void)
{
    uint64_t random = 0;

    if (apr_generate_random_bytes((unsigned char *)&random, sizeof(random))
        != APR_SUCCESS) {
        random = (uint64_t)apr_time_now();
    }
    seed = mix(random ^ (uint64_t)getpid());
    atomic_store(&sequence, mix(seed));
}

static const char *request_id(request_rec *r)
{
    uint64_t n = atomic_fetch_add(&sequence, 1);
    uint64_t parts[2] = { mix(n), mix(n ^ seed) };
    static const char digits[] = "0123456789abcdef";
    char *id = apr_palloc(r->pool, 33);
    int i;

    for (i = 0; i < 32; i++) {
        id[i] = digits[(parts[i / 16] >> (60 - 4 * (i % 16))) & 15];
    }
    id[32] = '\0';
    return id;
}

static int is_trusted(request_rec *r, const ac_mount_t *mount)
{
    apr_ipsubnet_t **net;

    for (net = mount->trusted; net && *net; net++) {
        if (apr_ipsubnet_test(*net, r->connection->client_addr)) {
            return 1;
        }
    }
    return 0;
}

static int is_tls(request_rec *r)
{
    conn_rec *c = r->connection;

    return ap_ssl_conn_is_ssl(c) || (c->master && ap_ssl_conn_is_ssl(c->master));
}

static const char *client_cert(request_rec *r)
{
    const char *pem = ap_ssl_var_lookup(r->pool, r->server, r->connection, r,
                                        "SSL_CLIENT_CERT");

    return pem && *pem ? pem : NULL;
}

/* The authority of an absolute-form target counts, not the Host field beside it:
 * httpd chose the virtual host by it. RFC 9112 3.2.2. */
static const char *authority(request_rec *r)
{
    const char *host = r->parsed_uri.hostname;

    /* An IPv6 address comes without its brackets. */
    if (host && strchr(host, ':')) {
        host = apr_pstrcat(r->pool, "[", host, "]", NULL);
    }
    return host && r->parsed_uri.port_str
           ? apr_pstrcat(r->pool, host, ":", r->parsed_uri.port_str, NULL) : host;
}

static const apr_table_t *client_fields(request_rec *r)
{
    const char *host = authority(r);
    apr_table_t *fields;

    if (!host && apr_table_get(r->headers_in, "Host")) {
        return r->headers_in;
    }
    fields = apr_table_copy(r->pool, r->headers_in);
    apr_table_setn(fields, "Host", host ? host : ap_get_server_name_for_url(r));
    return fields;
}

/* Only WebSockets: another protocol, h2c above all, would carry requests past
 * everything that httpd checks. */
static ac_upgrade_e upgrade(request_rec *r, const ac_mount_t *mount,
                            const ac_body_t *body)
{
    int asked = body->tunnel
                || (body->framing == AC_BODY_NONE && !r->main
                    && r->proto_num >= HTTP_VERSION(1, 1)
                    && ac_fields_upgrade(r->headers_in, r->method)
                       == AC_UPGRADE_WEBSOCKET);

    return asked && mount->spec->set->websockets.v ? AC_UPGRADE_WEBSOCKET
                                                   : AC_UPGRADE_NONE;
}

static int wants_trailers(request_rec *r)
{
    const char *te = r->connection->master ? apr_table_get(r->headers_in, "TE") : NULL;

    return te && ap_find_token(r->pool, te, "trailers");
}

static void name_user(ac_fields_facts_t *facts, request_rec *r)
{
    facts->user = ac_login_user(r);
    if (facts->user) {
        facts->auth_type = r->ap_auth_type;
        facts->groups = ac_groups_of(r, facts->user);
    }
}

static void collect(ac_fields_facts_t *facts, request_rec *r, ac_context_t *ctx,
                    const ac_board_proc_t *proc)
{
    const ac_mount_t *mount = ctx->mount;
    int tls = is_tls(r);

    if (!ctx->request_id) {
        ctx->request_id = request_id(r);
    }

    facts->trusted = is_trusted(r, mount);
    facts->client_ip = r->useragent_ip;
    facts->client_port = r->useragent_addr ? r->useragent_addr->port : 0;
    facts->scheme = tls ? "https" : ap_http_scheme(r);
    facts->prefix = mount->prefix;
    facts->token = proc->token;
    facts->client_cert = tls && mount->spec->set->forward_client_certificate.v
                         ? client_cert(r) : NULL;
    facts->identity_allowed = proc->address == AC_ADDRESS_SOCKET || *proc->token;
    facts->request_id = ctx->request_id;
    facts->received = r->request_time;
    facts->trailers_ok = wants_trailers(r);
}

static int refuse(request_rec *r, const char *why)
{
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "request not passed to the app: %s",
                  why);
    return HTTP_BAD_REQUEST;
}

int ac_client_head(ac_client_head_t *head, request_rec *r, const ac_body_t *body,
                   const ac_board_proc_t *proc, const ac_board_facts_t *app)
{
    ac_context_t *ctx = ac_context_get(r);
    const ac_mount_t *mount = ctx->mount;
    const apr_table_t *in = client_fields(r);
    ac_fields_facts_t facts = { .ancm = app->kind == AC_KIND_DOTNET };
    const char *target, *error = NULL;
    apr_table_t *fields;

    target = ac_target_build(r->unparsed_uri, ctx->original_path, r->uri, r->args,
                             mount->prefix, r->pool);
    if (!target) {
        return refuse(r, "its path lies outside the mount in some spelling");
    }
    collect(&facts, r, ctx, proc);
    if (facts.identity_allowed && !app->withhold_user) {
        name_user(&facts, r);
    }
    facts.host = apr_table_get(in, "Host");
    facts.upgrade = head->upgrade = upgrade(r, mount, body);
    facts.expect = body->held;
    fields = ac_fields_request(in, &facts, body->framing, body->length, &error, r->pool);
    if (!fields) {
        return refuse(r, error);
    }
    head->target = target;
    head->fields = fields;
    if (proc->protocol != AC_PROTOCOL_H2C) {
        head->data = ac_fields_head(r->method, target, fields, &head->len, r->pool);
    }
    return OK;
}

/* In process */

static appcore_str text(const char *s)
{
    appcore_str str = { s ? s : "", s ? strlen(s) : 0 };

    return str;
}

/* The one that httpd's log uses. */
static const char *connection_id(conn_rec *c)
{
    if (!c->master && !c->log_id) {
        ap_run_generate_log_id(c, NULL, &c->log_id);
    }
    return c->master ? c->master->log_id : c->log_id;
}

int ac_client_pre_connection(conn_rec *c, void *unused)
{
    (void)unused;
    if (!c->master && ac_inproc_count() > 0) {
        connection_id(c);
    }
    return OK;
}

static void name_connection(appcore_info *info, request_rec *r)
{
    conn_rec *c = r->connection;

    info->remote_address = text(r->useragent_ip);
    info->remote_port = r->useragent_addr ? r->useragent_addr->port : 0;
    info->local_address = text(c->local_ip);
    info->local_port = c->local_addr ? c->local_addr->port : 0;
    info->connection_id = text(connection_id(c));
    if (c->master) {
        info->flags |= APPCORE_TRAILERS | APPCORE_BLOCKING;
    }
    if (is_tls(r)) {
        info->flags |= APPCORE_TLS;
    }
}

static void name_body(appcore_info *info, const ac_body_t *body)
{
    if (!body || body->tunnel || body->framing == AC_BODY_NONE) {
        info->content_length = body && body->tunnel ? -1 : 0;
        return;
    }
    info->content_length = body->framing == AC_BODY_LENGTH ? body->length : -1;
    if (info->content_length != 0) {
        info->flags |= APPCORE_HAS_BODY;
    }
    if (body->held) {
        info->flags |= APPCORE_EXPECTS_100;
    }
}

/* Which upgrade the app may ask for, and whether the client did. */
static ac_upgrade_e name_upgrade(appcore_info *info, request_rec *r,
                                 const ac_mount_t *mount, const ac_body_t *body)
{
    ac_upgrade_e asked;

    if (!mount->spec->set->websockets.v || r->main) {
        return AC_UPGRADE_NONE;
    }
    if (body && body->tunnel) {
        info->flags |= APPCORE_CONNECT;
        info->connect_protocol = text(apr_table_get(r->headers_in, "Upgrade"));
        return AC_UPGRADE_WEBSOCKET;
    }
    if (r->connection->master || r->proto_num < HTTP_VERSION(1, 1)
        || (info->flags & APPCORE_HAS_BODY)) {
        return AC_UPGRADE_NONE;
    }
    info->flags |= APPCORE_UPGRADABLE;
    asked = apr_table_get(r->headers_in, "Upgrade")
            ? ac_fields_upgrade(r->headers_in, r->method) : AC_UPGRADE_NONE;
    if (asked != AC_UPGRADE_NONE) {
        info->flags |= APPCORE_UPGRADE_ASKED;
    }
    return asked;
}

/* Whatever the variable was before, the app takes its lines for groups. */
static void name_groups(request_rec *r, const char *user)
{
    const apr_array_header_t *groups = ac_groups_of(r, user);
    const char *all = "";
    int i;

    for (i = 0; groups && i < groups->nelts; ++i) {
        const char *group = APR_ARRAY_IDX(groups, i, const char *);

        if (!strchr(group, '\n')) {
            all = apr_pstrcat(r->pool, all, *all ? "\n" : "", group, NULL);
        }
    }
    apr_table_setn(r->subprocess_env, "APPCORE_GROUPS", all);
}

static void name_login(appcore_info *info, request_rec *r)
{
    const char *user = ac_login_user(r);

    if (user) {
        name_groups(r, user);
    }
    info->user = text(user);
    info->auth_type = text(user ? r->ap_auth_type : NULL);
}

int ac_client_info(appcore_info *info, request_rec *r, const ac_body_t *body)
{
    ac_context_t *ctx = ac_context_get(r);
    const ac_mount_t *mount = ctx->mount;
    const char *path = ac_target_below(r->uri, mount->prefix), *error = NULL;
    ac_fields_facts_t facts = { .trusted = is_trusted(r, mount) };
    const apr_table_t *in = client_fields(r);
    apr_array_header_t *fields;

    if (!path) {
        return refuse(r, "its path lies outside the mount in some spelling");
    }
    if (!ctx->request_id) {
        ctx->request_id = request_id(r);
    }
    info->size = sizeof(*info);
    name_body(info, body);
    name_connection(info, r);
    name_login(info, r);
    facts.upgrade = name_upgrade(info, r, mount, body);
    facts.expect = (info->flags & APPCORE_EXPECTS_100) != 0;
    facts.trailers_ok = wants_trailers(r);
    fields = ac_fields_inside(in, &facts, body ? body->framing : AC_BODY_NONE,
                              body ? body->length : 0, &error, r->pool);
    if (!fields) {
        return refuse(r, error);
    }
    info->fields = (const appcore_field *)fields->elts;
    info->n_fields = (size_t)fields->nelts;
    info->method = text(info->flags & APPCORE_CONNECT ? "CONNECT" : r->method);
    info->protocol = text(r->protocol);
    info->scheme = text(info->flags & APPCORE_TLS ? "https" : ap_http_scheme(r));
    info->authority = text(apr_table_get(in, "Host"));
    info->target = text(r->unparsed_uri);
    info->path_base.p = r->uri;
    info->path_base.len = mount->prefix_len;
    info->path = text(path);
    info->query = text(r->args);
    info->request_id = text(ctx->request_id);
    return OK;
}
