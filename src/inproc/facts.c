/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Variables, log, and the rest of what an app may ask and say about a request. */

#include "inproc/table.h"

#include <string.h>

#include "ap_expr.h"
#include "http_core.h"
#include "http_log.h"
#include "http_ssl.h"
#include "apr_lib.h"
#include "apr_strings.h"
#include "inproc/host.h"

APLOG_USE_MODULE(appcore);

/* httpd cuts a line of its log there. */
#define TEXT_MAX 8192

static int is_name(appcore_str name)
{
    size_t i;

    for (i = 0; i < name.len; i++) {
        if (!apr_isalnum(name.p[i]) && name.p[i] != '_') {
            return 0;
        }
    }
    return name.len > 0;
}

/* REQUEST_METHOD, SERVER_PORT and their like; NULL for what httpd does not know. */
static const char *standard(request_rec *r, const char *name)
{
    const char *error = NULL, *value;
    ap_expr_info_t expr = {
        .filename = __FILE__, .line_number = __LINE__,
        .flags = AP_EXPR_FLAG_STRING_RESULT, .module_index = APLOG_MODULE_INDEX
    };

    error = ap_expr_parse(r->pool, r->pool, &expr,
                          apr_pstrcat(r->pool, "%{", name, "}", NULL), NULL);
    value = error ? NULL : ap_expr_str_exec(r, &expr, &error);
    return error ? NULL : value;
}

/* mod_ssl knows its variables in any case. */
static int is_withheld(const ac_settings_t *set, const char *name)
{
    return !set->forward_client_certificate.v
           && ap_cstr_casecmpn(name, "SSL_CLIENT_", 11) == 0;
}

/* What modules and rules said of this request comes first. */
static const char *lookup(const ac_call_t *call, const char *name)
{
    request_rec *r = call->r;
    const char *value;

    if (is_withheld(call->inproc->set, name)) {
        return NULL;
    }
    value = apr_table_get(r->subprocess_env, name);
    if (!value) {
        value = apr_table_get(r->notes, name);
    }
    if (!value) {
        value = ap_ssl_var_lookup(r->pool, r->server, r->connection, r, name);
        value = value && *value ? value : NULL;
    }
    return value ? value : standard(r, name);
}

int ac_table_var_get(appcore_request number, appcore_str name, appcore_str *value)
{
    int rv;
    ac_call_t *call = ac_call_acquire(number, &rv);
    const char *text = NULL;

    if (!call) {
        return rv;
    }
    rv = is_name(name) ? APPCORE_OK : APPCORE_INVALID;
    if (rv == APPCORE_OK) {
        text = lookup(call, apr_pstrmemdup(call->r->pool, name.p, name.len));
    }
    value->p = text;
    value->len = text ? strlen(text) : 0;
    ac_call_release(call);
    return rv == APPCORE_OK && !text ? APPCORE_ABSENT : rv;
}

int ac_table_var_set(appcore_request number, appcore_str name, appcore_str value)
{
    int rv;
    ac_call_t *call = ac_call_acquire(number, &rv);
    apr_pool_t *p;

    if (!call) {
        return rv;
    }
    p = call->r->pool;
    rv = is_name(name) && (!value.p || !memchr(value.p, '\0', value.len))
         ? APPCORE_OK : APPCORE_INVALID;
    if (rv == APPCORE_OK && value.p) {
        apr_table_setn(call->r->subprocess_env, apr_pstrmemdup(p, name.p, name.len),
                       apr_pstrmemdup(p, value.p, value.len));
    }
    else if (rv == APPCORE_OK) {
        apr_table_unset(call->r->subprocess_env,
                        apr_pstrmemdup(p, name.p, name.len));
    }
    ac_call_release(call);
    return rv;
}

int ac_table_close_connection(appcore_request number)
{
    int rv;
    ac_call_t *call = ac_call_acquire(number, &rv);

    if (!call) {
        return rv;
    }
    call->r->connection->keepalive = AP_CONN_CLOSE;
    ac_call_release(call);
    return APPCORE_OK;
}

/* The request's own level only where it may be looked at. */
static int level_of(const ac_inproc_t *inproc, appcore_request number)
{
    ac_frame_t *frame = number ? ac_call_frame(number) : NULL;

    return frame ? ap_get_request_module_loglevel(frame->call->r, APLOG_MODULE_INDEX)
                 : ap_get_server_module_loglevel(inproc->server, APLOG_MODULE_INDEX);
}

static void log_text(const ac_inproc_t *inproc, request_rec *r, int level,
                     appcore_str text)
{
    const char *name = inproc->mount->spec->name;
    int len = text.len < TEXT_MAX ? (int)text.len : TEXT_MAX;

    if (r) {
        ap_log_rerror(APLOG_MARK, level, 0, r, "app %s: %.*s", name, len,
                      text.p);
    }
    else {
        ap_log_error(APLOG_MARK, level, 0, inproc->server, "app %s: %.*s", name, len,
                     text.p);
    }
}

/* The request is named where nobody else uses it at this moment. */
static int borrow(const ac_frame_t *frame)
{
    int free = 0;

    if (frame) {
        pthread_mutex_lock(&frame->call->mutex);
        free = !frame->call->busy;
        frame->call->busy |= free;
        pthread_mutex_unlock(&frame->call->mutex);
    }
    return free;
}

void ac_table_log(const appcore_host *host, appcore_request number, int level,
                  appcore_str text)
{
    const ac_inproc_t *inproc = (const ac_inproc_t *)host;
    ac_frame_t *frame = number ? ac_call_frame(number) : NULL;
    int borrowed;

    level = level < APPCORE_LOG_ERROR ? APPCORE_LOG_ERROR
            : level > APLOG_TRACE8 ? APLOG_TRACE8 : level;
    if (!text.p || level > level_of(inproc, number)) {
        return;
    }
    borrowed = borrow(frame);
    log_text(inproc, borrowed ? frame->call->r : NULL, level, text);
    if (borrowed) {
        ac_call_release(frame->call);
    }
}

int ac_table_log_level(const appcore_host *host, appcore_request number)
{
    int level = level_of((const ac_inproc_t *)host, number);

    return level < APPCORE_LOG_TRACE ? level : APPCORE_LOG_TRACE;
}

void ac_host_fill(appcore_host *host)
{
    *host = (appcore_host) {
        .size = sizeof(*host),
        .version = APPCORE_ABI,
        .start = ac_table_start,
        .respond = ac_table_respond,
        .inform = ac_table_inform,
        .write = ac_table_write,
        .sendfile = ac_table_sendfile,
        .trailer = ac_table_trailer,
        .read = ac_table_read,
        .upgrade = ac_table_upgrade,
        .post = ac_table_post,
        .complete = ac_table_complete,
        .aborted = ac_table_aborted,
        .abort = ac_table_abort,
        .var_get = ac_table_var_get,
        .var_set = ac_table_var_set,
        .limit_body = ac_table_limit_body,
        .close_connection = ac_table_close_connection,
        .log = ac_table_log,
        .log_level = ac_table_log_level,
        .reset = ac_table_reset
    };
}
