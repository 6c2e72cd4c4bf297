/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/error.h"

#include "http_connection.h"
#include "http_log.h"
#include "http_protocol.h"
#include "util_filter.h"
#include "apr_strings.h"
#include "base/clock.h"
#include "outproc/respond.h"
#include "outproc/retry.h"
#include "request/child.h"
#include "request/page.h"
#include "shared/offline.h"
#include "shared/report.h"

APLOG_USE_MODULE(appcore);

#define RETRY_MIN apr_time_from_sec(1)
#define RETRY_MAX apr_time_from_sec(3600)
/* How long a deployment takes, more or less. */
#define OFFLINE_RETRY apr_time_from_sec(10)
#define SUBSTATUS_EXCHANGE 3
/* What logs call a request whose client did not wait for the answer. */
#define CLIENT_CLOSED_REQUEST 499
/* Of HTTP/2: nothing was done with the request. */
#define REFUSED_STREAM 7

static int seconds(apr_interval_time_t retry)
{
    retry = retry < RETRY_MIN ? RETRY_MIN : retry > RETRY_MAX ? RETRY_MAX : retry;
    return (int)apr_time_sec(retry + apr_time_from_sec(1) - 1);
}

/* web.config and environment may say how errors are shown, and are known only after
 * a look. app: NULL to ask the board. */
static ac_page_t page_for(const ac_mount_t *mount, const ac_board_app_t *app)
{
    const ac_settings_t *set = mount->spec->set;
    ac_board_app_t now;
    ac_page_t page = {
        .app = mount->spec->name,
        .detailed = set->detailed_errors.v == AC_ON,
        .bare = set->disable_startup_error_page.v == AC_ON
    };

    if (!app && ac_child() && ac_child_app(mount, &now) >= 0) {
        app = &now;
    }
    if (app && app->facts.request_time > 0) {
        page.detailed = app->facts.detailed_errors;
        page.bare = app->facts.disable_error_page;
    }
    return page;
}

/* A body that nobody read would be taken for the next request. */
static void leave_body(request_rec *r)
{
    if (ap_request_has_body(r)) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
}

static int send_page(request_rec *r, const ac_page_t *page, int body_complete)
{
    if (!body_complete) {
        leave_body(r);
    }
    return ac_page_send(r, page) == OK ? AC_ANSWERED : page->status;
}

int ac_error_unavailable(request_rec *r, const ac_mount_t *mount,
                         apr_interval_time_t retry, const char *why)
{
    ac_page_t page = page_for(mount, NULL);

    ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "app %s is not available: %s",
                  mount->spec->name, why);
    page.status = HTTP_SERVICE_UNAVAILABLE;
    page.retry_after = seconds(retry);
    page.detail = apr_pstrcat(r->pool, "The app is not available: ", why, ".", NULL);
    return send_page(r, &page, 0);
}

static ac_report_t *read_report(request_rec *r, const ac_mount_t *mount)
{
    ac_report_t *report = NULL;
    apr_status_t rv = ac_report_read(ac_conf_globals()->runtime_dir, mount->spec->id,
                                     &report, r->pool);

    if (rv != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, rv, r, "app %s: no report of its last "
                      "failure", mount->spec->name);
        return NULL;
    }
    return report;
}

int ac_error_start(request_rec *r, const ac_mount_t *mount, const ac_board_app_t *app)
{
    ac_page_t page = page_for(mount, app);

    page.report = read_report(r, mount);
    page.status = app->http_status ? app->http_status : HTTP_BAD_GATEWAY;
    page.substatus = app->substatus;
    if (app->state == AC_APP_BROKEN) {
        page.status = HTTP_SERVICE_UNAVAILABLE;
        page.substatus = 0;
    }
    /* Which of the two it is tells ANCM's users whether its page was suppressed. */
    if (page.bare && page.status == HTTP_BAD_GATEWAY) {
        page.substatus = SUBSTATUS_EXCHANGE;
    }
    if (page.status == HTTP_SERVICE_UNAVAILABLE) {
        page.retry_after = seconds(app->retry_at - ac_clock_now());
    }
    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "app %s does not run, answered with %s: "
                  "%s", mount->spec->name, ac_page_number(&page, r->pool),
                  page.report ? page.report->result.detail : "its start failed");
    return send_page(r, &page, 0);
}

int ac_error_offline(request_rec *r, const ac_mount_t *mount)
{
    apr_file_t *file = NULL;
    apr_off_t size = 0;
    apr_status_t rv = ac_offline_open(ac_conf_globals()->runtime_dir, mount->spec->id,
                                      &file, &size, r->pool);

    ap_log_rerror(APLOG_MARK, APLOG_INFO, rv, r, "app %s is offline", mount->spec->name);
    leave_body(r);
    ac_page_send_offline(r, rv == APR_SUCCESS ? file : NULL, size,
                         seconds(OFFLINE_RETRY));
    return AC_ANSWERED;
}

int ac_error_upgrade(request_rec *r, const ac_mount_t *mount)
{
    static const char why[] = "it speaks HTTP/2 alone, in which httpd passes none on; an "
                              "app with WebSockets must speak HTTP/1.1";
    ac_page_t page = page_for(mount, NULL);

    ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "app %s was asked for a WebSocket, "
                  "but %s", mount->spec->name, why);
    page.status = HTTP_NOT_IMPLEMENTED;
    page.detail = apr_pstrcat(r->pool, "The app has no WebSockets: ", why, ".", NULL);
    return send_page(r, &page, 1);
}

static int inside_failed(request_rec *r, const ac_mount_t *mount,
                         const ac_inproc_t *inproc)
{
    ac_page_t page = {
        .app = mount->spec->name,
        .detailed = ac_settings_shows_details(inproc->set),
        .bare = inproc->set->disable_startup_error_page.v == AC_ON,
        .report = inproc->report,
        .status = inproc->report->result.http_status,
        .substatus = inproc->report->result.substatus
    };

    if (page.status == HTTP_SERVICE_UNAVAILABLE) {
        page.retry_after = seconds(OFFLINE_RETRY);
    }
    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "app %s does not run, answered with %s: "
                  "%s", mount->spec->name, ac_page_number(&page, r->pool),
                  page.report->result.detail);
    return send_page(r, &page, 0);
}

/* Whether its client asks again by itself, and nobody notices: over HTTP/2 if it is told
 * that nothing was done; else on a connection that has served before, since those
 * may be closed at any time (RFC 9112, 9.3.1). */
static int is_asked_again(request_rec *r)
{
    if (r->main || r->prev) {
        return 0;
    }
    return r->connection->master
           || (r->connection->keepalives > 0 && !ap_request_has_body(r)
               && ac_retry_idempotent(r->method));
}

/* mod_http2 takes a status that HTTP does not have for the code to reset with. */
static void refuse_stream(request_rec *r)
{
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, alloc);

    r->status = REFUSED_STREAM;
    r->status_line = NULL;
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(alloc));
    ap_pass_brigade(r->output_filters, bb);
}

static int hand_back(request_rec *r, const ac_mount_t *mount)
{
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "app %s has ended, and its process is "
                  "being replaced: the client is to ask again", mount->spec->name);
    if (r->connection->master) {
        refuse_stream(r);
    }
    r->connection->aborted = 1;
    r->connection->keepalive = AP_CONN_CLOSE;
    r->status = HTTP_SERVICE_UNAVAILABLE;
    return AC_ANSWERED;
}

int ac_error_inside(request_rec *r, const ac_mount_t *mount, const ac_inproc_t *inproc)
{
    switch (atomic_load(&inproc->state)) {
    case AC_INPROC_FAILED:
        return inside_failed(r, mount, inproc);
    case AC_INPROC_OFFLINE:
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "app %s is offline",
                      mount->spec->name);
        leave_body(r);
        ac_page_send_offline_text(r, inproc->page, inproc->page_len,
                                  seconds(OFFLINE_RETRY));
        return AC_ANSWERED;
    case AC_INPROC_LEAVING:
        if (is_asked_again(r)) {
            return hand_back(r, mount);
        }
        r->connection->keepalive = AP_CONN_CLOSE;
        return ac_error_unavailable(r, mount, 0, "it has ended, and its process is being "
                                    "replaced");
    default:
        return ac_error_unavailable(r, mount, 0, "it has not started yet");
    }
}

static const char *describe(const ac_exchange_t *x)
{
    switch (x->outcome) {
    case AC_OUTCOME_UNREACHABLE:
    case AC_OUTCOME_BUSY:
        return "it could not be connected to";
    case AC_OUTCOME_CLOSED:
        return "it closed the connection without an answer";
    case AC_OUTCOME_TRUNCATED:
        return "it broke its answer off";
    case AC_OUTCOME_SILENT:
        return "it was silent for longer than AppCoreRequestTimeout";
    case AC_OUTCOME_MALFORMED:
        return "its answer is no HTTP response";
    default:
        return "internal error";
    }
}

/* 413, 408, 400: httpd's own documents say what there is to say. */
static int client_fault(ac_exchange_t *x, const ac_mount_t *mount)
{
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, x->r, "app %s: the request's body is "
                  "incomplete or too large", mount->spec->name);
    x->r->connection->keepalive = AP_CONN_CLOSE;
    return x->http_status;
}

int ac_error_exchange(ac_exchange_t *x, const ac_mount_t *mount,
                      const ac_board_proc_t *proc)
{
    request_rec *r = x->r;
    ac_page_t page;

    if (x->committed) {
        /* The client has part of an answer and sees it break off. */
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    else {
        ac_respond_undo(x);
    }
    if (x->outcome == AC_OUTCOME_CLIENT_FAULT) {
        return x->committed ? AC_ANSWERED : client_fault(x, mount);
    }
    ap_log_rerror(APLOG_MARK, APLOG_ERR, x->error == APR_EOF ? 0 : x->error, r,
                  "app %s, process %u, generation %u: %s%s%s", mount->spec->name,
                  proc->pid, proc->generation, describe(x), x->why ? ": " : "",
                  x->why ? x->why : "");
    if (x->committed) {
        return AC_ANSWERED;
    }
    page = page_for(mount, NULL);
    page.status = x->outcome == AC_OUTCOME_SILENT ? HTTP_GATEWAY_TIME_OUT
                                                  : HTTP_BAD_GATEWAY;
    page.substatus = page.status == HTTP_BAD_GATEWAY ? SUBSTATUS_EXCHANGE : 0;
    page.detail = apr_pstrcat(r->pool, "The app did not answer as it should: ",
                              describe(x), ".", NULL);
    return send_page(r, &page, x->body->complete);
}

int ac_error_filtered(request_rec *r, const ac_mount_t *mount)
{
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "app %s: an output filter did not take "
                  "its response", mount->spec->name);
    /* Whatever the client got may be less than was announced. */
    r->connection->keepalive = AP_CONN_CLOSE;
    return AP_FILTER_ERROR;
}

int ac_error_client_gone(request_rec *r)
{
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "the client left");
    r->connection->aborted = 1;
    r->connection->keepalive = AP_CONN_CLOSE;
    r->status = CLIENT_CLOSED_REQUEST;
    return AC_ANSWERED;
}
