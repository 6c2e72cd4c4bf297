/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "outproc/respond.h"

#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "util_filter.h"
#include "outproc/head.h"

APLOG_USE_MODULE(appcore);

static const char *const sendfile_names[] = { "X-Sendfile", "X-Accel-Redirect" };
#define SENDFILE_NAMES (sizeof(sendfile_names) / sizeof(sendfile_names[0]))

/* With a 401: the app has no challenge of its own and wants httpd's. */
#define CHALLENGE "AppCore-Challenge"

void ac_respond_interim(ac_exchange_t *x, const ac_response_t *response)
{
    if (response->status == HTTP_CONTINUE) {
        ac_body_release(x->body);
        return;
    }
    ac_head_interim(x->r, response->status, response->reason, response->headers);
}

/* The path the app wants sent, if that is allowed here; the field itself is not
 * for clients either way. */
static void take_sendfile(ac_exchange_t *x, apr_table_t *headers)
{
    unsigned i;

    for (i = 0; i < SENDFILE_NAMES && x->sendfile && !x->sendfile_path; i++) {
        x->sendfile_path = apr_table_get(headers, sendfile_names[i]);
    }
    if (x->sendfile_path) {
        x->discard = 1;
        apr_table_unset(headers, "Content-Length");
    }
    ac_head_private(headers);
}

/* 1 if the login of httpd answers in the app's place, with a redirect perhaps. What
 * it says itself is in err_headers_out and goes with the app's answer. */
static int ask_for_login(ac_exchange_t *x, const ac_response_t *response)
{
    if (!apr_table_get(response->headers, CHALLENGE)) {
        return 0;
    }
    apr_table_unset(response->headers, CHALLENGE);
    if (x->challenge && response->status == HTTP_UNAUTHORIZED
        && !ap_is_HTTP_ERROR(x->prior_status)) {
        x->instead = x->challenge(x);
    }
    x->discard = x->instead != OK;
    return x->discard;
}

void ac_respond_head(ac_exchange_t *x, const ac_response_t *response)
{
    request_rec *r = x->r;

    x->prior_headers = r->headers_out;
    if (ask_for_login(x, response)) {
        return;
    }
    take_sendfile(x, response->headers);
    ac_head_apply(r, response->status, response->reason, response->headers,
                  x->prior_status);
    if (x->forward_close && !response->keep_alive) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    if (!x->sendfile_path && apr_table_get(r->headers_in, "Range")) {
        /* The app had the chance to answer with a range. */
        ap_remove_output_filter_byhandle(r->output_filters, "BYTERANGE");
    }
}

void ac_respond_undo(ac_exchange_t *x)
{
    if (!x->response || x->committed) {
        return;
    }
    ac_head_undo(x->r, x->prior_headers, x->prior_status);
    apr_brigade_cleanup(x->bb);
}

/* A filter that refuses a response has often answered in its place, so the
 * connection is not to be torn down then. */
ac_outcome_e ac_respond_pass(ac_exchange_t *x)
{
    int first = !x->committed;
    apr_status_t rv;

    x->committed = 1;
    x->body->answered = 1;
    rv = ac_head_pass(x->r, x->bb, first);
    if (ac_head_client_gone(x->r, rv)) {
        return AC_OUTCOME_CLIENT_GONE;
    }
    return rv == APR_SUCCESS ? AC_OUTCOME_RUNNING : AC_OUTCOME_FILTERED;
}

void ac_respond_broken(ac_exchange_t *x)
{
    ac_head_broken(x->r, x->bb);
}
