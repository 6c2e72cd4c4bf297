/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* From URL to app.
 *
 *   translate_name     first of all: remember the path as httpd normalised it;
 *                      after mod_rewrite, mod_proxy and mod_alias, which are more
 *                      explicit than a mount and see the URL first: find the mount.
 *                      It wins over DocumentRoot and whatever maps all URLs.
 *   map_to_storage     after TRACE and OPTIONS *: there is no file, so no
 *                      <Directory> and no .htaccess; <Location> applies.
 *   check_authn        note that httpd verifies a user.
 *   type_checker       log in who offers to, judge other spellings of the path; then
 *                      take the request before mod_mime, whose AddHandler would
 *                      take away app URLs that end in .php or .cgi.
 *
 * SetHandler in a <Location> comes later (fixups) and so still wins. */

#include "request/context.h"

#include <stddef.h>
#include "http_config.h"
#include "http_core.h"
#include "http_log.h"
#include "http_request.h"
#include "apr_strings.h"
#include "request/login.h"
#include "request/policy.h"
#include "request/spelling.h"

APLOG_USE_MODULE(appcore);

#define FILENAME_PREFIX "appcore:"

_Static_assert(offsetof(ac_mount_t, prefix) == offsetof(ac_prefix_t, prefix)
               && offsetof(ac_mount_t, prefix_len) == offsetof(ac_prefix_t, prefix_len),
               "ac_policy_match() looks at mounts");

ac_context_t *ac_context_get(request_rec *r)
{
    return ap_get_module_config(r->request_config, &appcore_module);
}

static int remember(request_rec *r)
{
    ac_context_t *ctx;
    int n = 0;

    ac_conf_mounts(r->server, &n);
    if (n > 0) {
        ctx = apr_pcalloc(r->pool, sizeof(*ctx));
        ctx->original_path = apr_pstrdup(r->pool, r->uri);
        ap_set_module_config(r->request_config, &appcore_module, ctx);
    }
    return DECLINED;
}

static int was_declined(request_rec *r)
{
    for (r = r->prev; r; r = r->prev) {
        const ac_context_t *ctx = ac_context_get(r);

        if (ctx && ctx->declined) {
            return 1;
        }
    }
    return 0;
}

int ac_route_decline(request_rec *r)
{
    const char *target = ap_os_escape_path(r->pool, r->uri, 1);

    ac_context_get(r)->declined = 1;
    if (r->args) {
        target = apr_pstrcat(r->pool, target, "?", r->args, NULL);
    }
    ap_internal_redirect(target, r);
    return OK;
}

static int translate(request_rec *r)
{
    ac_context_t *ctx = ac_context_get(r);
    const ac_mount_t *mounts;
    int n = 0, found;

    if (!ctx || r->proxyreq || was_declined(r)) {
        return DECLINED;
    }
    mounts = ac_conf_mounts(r->server, &n);
    found = ac_policy_match(mounts, sizeof(*mounts), n, r->uri);
    if (found < 0 || !ac_conf_enabled(r)) {
        return DECLINED;
    }
    ctx->mount = &mounts[found];
    r->handler = AC_HANDLER;
    r->used_path_info = AP_REQ_ACCEPT_PATH_INFO;
    /* Other modules look at the name unasked; this one leads to no file. */
    r->filename = apr_pstrcat(r->pool, FILENAME_PREFIX, r->uri, NULL);
    return OK;
}

/* 1 for a request that translate() took and nobody took back since. */
static int is_ours(request_rec *r)
{
    ac_context_t *ctx = ac_context_get(r);

    return ctx && ctx->mount && r->filename
           && !strncmp(r->filename, FILENAME_PREFIX, sizeof(FILENAME_PREFIX) - 1);
}

static int map_to_storage(request_rec *r)
{
    return is_ours(r) ? OK : DECLINED;
}

/* httpd asks only where a user is required. */
static int note_check(request_rec *r)
{
    ac_context_t *ctx = ac_context_get(r);

    if (ctx) {
        ctx->was_checked = 1;
    }
    return DECLINED;
}

static int check_type(request_rec *r)
{
    return is_ours(r) ? OK : DECLINED;
}

/* OK if the client may have that path too, else what it gets instead. */
static int authorise(request_rec *r, const char *path)
{
    const char *uri = ap_os_escape_path(r->pool, path, 1);
    request_rec *rr = ap_sub_req_method_uri(r->method, uri, r, NULL);
    int status = rr->status;

    if (status == HTTP_OK || status == HTTP_NOT_FOUND) {
        status = OK;
    }
    else {
        /* A challenge, or where to log in. */
        apr_table_overlap(r->headers_out, rr->headers_out, APR_OVERLAP_TABLES_SET);
        apr_table_overlap(r->err_headers_out, rr->err_headers_out,
                          APR_OVERLAP_TABLES_SET);
    }
    ap_destroy_sub_req(rr);
    return status;
}

/* After access control, so that the plain spelling was judged first. A look-up of
 * ours does not look up itself; and it takes its user from the request, so that one
 * comes first. */
static int check_access(request_rec *r)
{
    const char *slashes, *params;
    int rv;

    if (!is_ours(r) || r->main) {
        return DECLINED;
    }
    rv = ac_login_offer(r, ac_context_get(r)->mount, ac_context_get(r)->was_checked);
    if (rv != OK) {
        return rv;
    }
    slashes = ac_spelling_slashes(r->uri, r->pool);
    params = ac_spelling_params(slashes ? slashes : r->uri, r->pool);
    if (slashes) {
        rv = authorise(r, slashes);
    }
    if (params && rv == OK) {
        rv = authorise(r, params);
    }
    return rv == OK ? DECLINED : rv;
}

void ac_route_register(apr_pool_t *p)
{
    static const char *const explicit_maps[] = {
        "mod_rewrite.c", "mod_proxy.c", "mod_alias.c", NULL
    };
    static const char *const general_maps[] = {
        "mod_vhost_alias.c", "mod_userdir.c", NULL
    };
    static const char *const rewrite[] = { "mod_rewrite.c", NULL };

    (void)p;
    ap_hook_translate_name(remember, NULL, rewrite, APR_HOOK_REALLY_FIRST);
    ap_hook_translate_name(translate, explicit_maps, general_maps, APR_HOOK_MIDDLE);
    ap_hook_map_to_storage(map_to_storage, NULL, NULL, APR_HOOK_LAST);
    ap_hook_check_authn(note_check, NULL, NULL, APR_HOOK_REALLY_FIRST,
                        AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_type_checker(check_access, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_type_checker(check_type, NULL, NULL, APR_HOOK_FIRST);
}
