/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/login.h"

#include <string.h>
#include <strings.h>

#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"
#include "apr_strings.h"
#include "request/error.h"

APLOG_USE_MODULE(appcore);

/* What the modules of an AuthType read. Other credentials in Authorization, a
 * bearer token say, are the app's own business. */
typedef struct login_t {
    const char *type;
    const char *schemes[4];     /* of Authorization */
    const char *cookie;         /* names a session; "" if any may, or the connection */
} login_t;

static const login_t logins[] = {
    { "Basic", { "Basic" }, NULL },
    { "Digest", { "Digest" }, NULL },
    { "GSSAPI", { "Negotiate", "NTLM", "Basic" }, "" },
    { "Kerberos", { "Negotiate", "Basic" }, NULL },
    { "openid-connect", { NULL }, "mod_auth_openidc_session" },
    { "auth-openidc", { "Bearer" }, "mod_auth_openidc_session" }
};

static const char *auth_type(request_rec *r)
{
    const char *type = ap_auth_type(r);

    return type && strcasecmp(type, "None") ? type : NULL;
}

static const login_t *find_login(const char *type)
{
    unsigned i;

    for (i = 0; i < sizeof(logins) / sizeof(logins[0]); i++) {
        if (!strcasecmp(logins[i].type, type)) {
            return &logins[i];
        }
    }
    return NULL;
}

static int is_scheme(const char *credentials, const char *scheme)
{
    apr_size_t len = strcspn(credentials, " \t");

    return strlen(scheme) == len && !strncasecmp(credentials, scheme, len);
}

/* Of an unknown AuthType any Authorization may be meant. */
static int brings_credentials(request_rec *r, const login_t *login)
{
    const char *credentials = apr_table_get(r->headers_in, "Authorization");
    int i;

    if (!credentials || !login) {
        return credentials != NULL;
    }
    for (i = 0; i < 4 && login->schemes[i]; i++) {
        if (is_scheme(credentials, login->schemes[i])) {
            return 1;
        }
    }
    return 0;
}

static int may_have_session(request_rec *r, const login_t *login)
{
    const char *cookies = apr_table_get(r->headers_in, "Cookie");

    if (!login || !login->cookie) {
        return 0;
    }
    return *login->cookie ? cookies && strstr(cookies, login->cookie)
                          : cookies || r->connection->keepalives > 0;
}

/* As httpd does where a user is required. */
static int authenticate(request_rec *r)
{
    int rv = ap_run_check_user_id(r);

    if (rv == DECLINED || (rv == OK && !r->user)) {
        ap_log_rerror(APLOG_MARK, APLOG_CRIT, 0, r, "no module took care of AuthType "
                      "%s", ap_auth_type(r));
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return rv;
}

/* "Require not user" is satisfied as long as nobody is known. */
static int authorise(request_rec *r)
{
    int rv = ap_satisfies(r) == SATISFY_ANY ? OK : ap_run_auth_checker(r);

    return rv == DECLINED ? OK : rv;
}

/* A session that has ended is none: what its module wants to say about it, a
 * redirect for instance, is for those who must log in. */
static int take_session(request_rec *r)
{
    apr_table_t *out = r->headers_out, *err_out = r->err_headers_out;
    char *type = r->ap_auth_type;

    r->headers_out = apr_table_copy(r->pool, out);
    r->err_headers_out = apr_table_copy(r->pool, err_out);
    if (ap_run_check_user_id(r) == OK && r->user) {
        return OK;
    }
    r->headers_out = out;
    r->err_headers_out = err_out;
    r->user = NULL;
    r->ap_auth_type = type;
    return DECLINED;
}

/* An error document is for nobody in particular: whoever was wrong about the
 * password would never see it otherwise. */
static int is_for_error(const request_rec *r)
{
    for (; r; r = r->main ? r->main : r->prev) {
        if (ap_is_HTTP_ERROR(r->status)) {
            return 1;
        }
    }
    return 0;
}

int ac_login_offer(request_rec *r, const ac_mount_t *mount, int was_checked)
{
    const char *type = r->user && was_checked ? NULL : auth_type(r);
    const login_t *login;
    int rv = DECLINED;

    if (!type || !mount->spec->set->forward_windows_auth_token.v || is_for_error(r)) {
        return OK;
    }
    login = find_login(type);
    if (brings_credentials(r, login)) {
        /* Whoever asks ap_get_basic_auth_pw() for the password names the user by
         * that, whose password nobody has looked at. */
        r->user = NULL;
        rv = authenticate(r);
    }
    else if (!r->user && may_have_session(r, login)) {
        rv = take_session(r);
    }
    if (rv == OK) {
        rv = authorise(r);
    }
    return rv == DECLINED ? OK : rv;
}

int ac_login_challenge(request_rec *r)
{
    const char *type = auth_type(r);
    apr_table_t *in = r->headers_in;
    char *user = r->user, *used = r->ap_auth_type;
    int rv;

    /* Some have a hook for it; the others challenge a client without credentials. */
    if (!type || ap_run_note_auth_failure(r, type) == OK) {
        return OK;
    }
    r->headers_in = apr_table_copy(r->pool, in);
    apr_table_unset(r->headers_in, "Authorization");
    rv = ap_run_check_user_id(r);
    r->headers_in = in;
    r->user = user;
    r->ap_auth_type = used;
    if (rv == DONE) {
        return AC_ANSWERED;
    }
    return rv == DECLINED || rv == HTTP_UNAUTHORIZED ? OK : rv;
}

/* Modules name the user before they know the password, and httpd hands the name on
 * to the error document of the same location. Modules that let anybody pass have
 * an empty name for that. */
const char *ac_login_user(const request_rec *r)
{
    return r->user && *r->user && !is_for_error(r) ? r->user : NULL;
}
