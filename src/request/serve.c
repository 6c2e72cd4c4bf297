/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/serve.h"

#include <poll.h>

#include "http_log.h"
#include "http_protocol.h"
#include "util_filter.h"
#include "base/clock.h"
#include "request/client.h"
#include "request/dispatch.h"
#include "request/error.h"
#include "request/login.h"
#include "request/obtain.h"
#include "request/policy.h"
#include "request/static.h"

APLOG_USE_MODULE(appcore);

/* A process that does not answer connect() is about to be replaced, and the board will
 * say so. */
#define NAP_GONE apr_time_from_msec(100)
#define NAP_UNKNOWN apr_time_from_msec(50)

/* Somebody has to mend something, or at least much time to pass. */
#define RETRY_ABANDONED apr_time_from_sec(10)

/* A phase is over: on with s->phase, without waiting. */
#define GO_ON (-210)

static int go_to(ac_serve_t *s, ac_serve_phase_e phase)
{
    s->phase = phase;
    return GO_ON;
}

/* After a wait, or in the middle of it. */
static int waited(ac_serve_t *s, ac_wait_e result)
{
    request_rec *r = s->task.r;

    switch (result) {
    case AC_WAIT_PENDING:
        s->phase = AC_SERVE_PAUSE;
        s->task.fd = s->wait.waiter.fd;
        s->task.want = POLLIN;
        s->task.want_client = 0;
        s->task.watch_client = !ap_request_has_body(r);
        s->task.reads_body = 0;
        s->task.deadline = s->wait.until;
        return AC_TASK_WAIT;
    case AC_WAIT_AGAIN:
        return go_to(s, AC_SERVE_AWAIT);
    case AC_WAIT_FULL:
        return ac_error_unavailable(r, s->mount, 0, "too many requests wait for it "
                                    "(AppCoreQueueLimit)");
    case AC_WAIT_TIME:
        return ac_error_unavailable(r, s->mount, 0, "it was not ready within "
                                    "AppCoreQueueTimeLimit");
    case AC_WAIT_FAILED:
        return ac_error_start(r, s->mount, &s->app);
    case AC_WAIT_ABANDONED:
        return ac_error_unavailable(r, s->mount, RETRY_ABANDONED, "the supervisor of "
                                    "apps does not run; the error log says why");
    case AC_WAIT_CLIENT_GONE:
        break;
    }
    return ac_error_client_gone(r);
}

static int wait_for_app(ac_serve_t *s, apr_interval_time_t nap)
{
    ac_workers_slow(&s->permit);
    return waited(s, ac_wait_begin(&s->wait, s->index, &s->app, nap));
}

/* The manager need not be told: others say when it is this request's turn. */
static int wait_for_turn(ac_serve_t *s)
{
    if (!s->wait.ask_at) {
        s->wait.ask_at = ac_clock_now() + AC_WAIT_TURN;
    }
    return wait_for_app(s, AC_WAIT_TURN);
}

static int pause_step(ac_serve_t *s)
{
    return waited(s, ac_wait_check(&s->wait, s->task.got, s->task.got_client));
}

/* Why an app without hope is not served. */
static int hopeless(ac_serve_t *s)
{
    if (s->app.state == AC_APP_OFFLINE) {
        return ac_error_offline(s->task.r, s->mount);
    }
    if (s->app.state == AC_APP_STOPPING || s->app.state == AC_APP_REMOVED) {
        return ac_error_unavailable(s->task.r, s->mount, 0, "it is being stopped");
    }
    return ac_error_start(s->task.r, s->mount, &s->app);
}

static int await_step(ac_serve_t *s)
{
    s->index = ac_child_app(s->mount, &s->app);
    if (s->index < 0) {
        /* Configured a moment ago, and the manager is about to read it. */
        return wait_for_app(s, NAP_UNKNOWN);
    }
    if (s->app.facts.unwatched) {
        ac_child_ask(s->mount);
    }
    if (s->app.state == AC_APP_RUNNING && s->app.n_ready > 0) {
        return go_to(s, AC_SERVE_OBTAIN);
    }
    ac_wait_arrive(&s->wait, &s->app);
    return ac_policy_hope(&s->app, ac_clock_now()) ? wait_for_app(s, 0) : hopeless(s);
}

/* The process is free for others as soon as its part is over. One that gets a single
 * request at a time may well serve a single connection at a time. */
static void app_done(ac_exchange_t *x)
{
    ac_serve_t *s = x->baton;
    ac_appconn_t *conn = ac_exchange_take_conn(x);
    ac_pool_t *pool = conn && s->limit != 1 ? ac_child_pool(s->mount, s->proc.slot)
                                            : NULL;

    if (pool && ac_board_proc_current(s->child->board, conn->proc, conn->generation)) {
        ac_pool_put(pool, &conn, ac_clock_now());
        ac_dispatch_ensure();
    }
    ac_appconn_close(&conn);
    ac_obtain_release(s);
}

/* The client is to send what is buffered; it has as long as httpd's Timeout grants
 * between two reads. */
static int wait_for_body(ac_serve_t *s)
{
    apr_time_t now = ac_clock_now();
    ac_task_t *task = &s->task;

    if (s->body->received != s->body_seen || s->body_since == 0) {
        s->body_seen = s->body->received;
        s->body_since = now;
    }
    task->deadline = s->body_since + task->r->server->timeout;
    if (now >= task->deadline) {
        return HTTP_REQUEST_TIME_OUT;
    }
    ac_workers_slow(&s->permit);
    task->fd = -1;
    task->want = 0;
    task->want_client = POLLIN;
    task->watch_client = 0;
    task->reads_body = 1;
    return AC_TASK_WAIT;
}

/* OK once the request's body is as the exchange needs it. */
static int prepare_body(ac_serve_t *s)
{
    apr_int64_t size = s->mount->spec->set->request_buffering.v;
    int status = HTTP_BAD_REQUEST;
    apr_status_t rv;

    if (!s->body) {
        s->body = ac_body_create(s->task.r, s->app.facts.max_content_length, &status);
        if (!s->body) {
            return status;
        }
        s->body->blocking = s->task.client_fd < 0;
    }
    if (s->body->filtered && size <= 0) {
        /* A filter that expands the body says so in the head with its first byte. */
        size = 1;
    }
    if (size <= 0 || s->x) {
        return OK;
    }
    rv = ac_body_buffer(s->body, (apr_size_t)size);
    if (APR_STATUS_IS_EAGAIN(rv)) {
        return wait_for_body(s);
    }
    return rv == APR_SUCCESS ? OK : s->body->http_status;
}

/* Only httpd reaches a socket of ours, so the app there knows whom it asks. */
static int challenge(ac_exchange_t *x)
{
    const ac_serve_t *s = x->baton;

    return s->proc.address == AC_ADDRESS_SOCKET && !s->app.facts.withhold_user
           ? ac_login_challenge(s->task.r) : OK;
}

static void create_exchange(ac_serve_t *s)
{
    ac_exchange_t *x = ac_exchange_create(s->task.r);

    x->body = s->body;
    x->silence = s->app.facts.request_time > 0 ? s->app.facts.request_time
                                               : s->mount->spec->set->request_time.v;
    x->sendfile = s->mount->sendfile && s->mount->sendfile->nelts > 0;
    x->forward_close = s->app.facts.forward_close;
    x->app_done = app_done;
    x->challenge = challenge;
    x->baton = s;
    x->client_fd = s->task.client_fd;
    x->client_is_socket = s->task.client_is_socket;
    x->async = s->task.async;
    s->x = x;
}

/* Whoever was called and leaves the queue calls the next one, for as long as there
 * are permits. */
static void leave_queue(ac_serve_t *s)
{
    int waited = s->wait.joined;

    ac_wait_end(&s->wait);
    if (waited && s->limit && ac_obtain_has_room(s)) {
        ac_wait_call_next(s->mount, s->index);
    }
}

static int begin_exchange(ac_serve_t *s)
{
    ac_client_head_t head = { 0 };
    int rv;

    leave_queue(s);
    if (!s->x) {
        create_exchange(s);
    }
    rv = ac_client_head(&head, s->task.r, s->body, &s->proc, &s->app.facts);
    if (rv != OK) {
        return rv;
    }
    if (head.upgrade != AC_UPGRADE_NONE && s->proc.protocol == AC_PROTOCOL_H2C) {
        return ac_error_upgrade(s->task.r, s->mount);
    }
    s->x->head = head.data;
    s->x->head_len = head.len;
    s->x->target = head.target;
    s->x->fields = head.fields;
    s->x->upgrade_asked = head.upgrade != AC_UPGRADE_NONE;
    ac_exchange_begin(s->x, s->conn);
    s->conn = NULL;
    s->task.got = s->task.got_client = 0;
    return go_to(s, AC_SERVE_EXCHANGE);
}

static int obtain_step(ac_serve_t *s)
{
    apr_status_t status = APR_EAGAIN;
    int rv = prepare_body(s);

    if (rv != OK) {
        return rv;
    }
    if (s->limit && !ac_wait_is_turn(&s->wait, s->index)) {
        return wait_for_turn(s);
    }
    if (ac_obtain_process(s)) {
        status = ac_obtain_connection(s);
        if (status == APR_SUCCESS) {
            return begin_exchange(s);
        }
        ac_obtain_release(s);
        s->failed_proc = s->proc_index;
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, status, s->task.r, "app %s: no "
                      "connection to process %u yet", s->mount->spec->name,
                      s->proc.pid);
    }
    if (ac_obtain_is_full(s)) {
        return wait_for_turn(s);
    }
    return wait_for_app(s, APR_STATUS_IS_EAGAIN(status) ? ac_policy_nap(s->naps++)
                                                        : NAP_GONE);
}

static void want_exchange(ac_serve_t *s)
{
    const ac_exchange_t *x = s->x;
    ac_task_t *task = &s->task;
    int tunnel = x->phase == AC_PHASE_TUNNEL;

    task->fd = x->want_app ? x->conn->fd : -1;
    task->want = x->want_app;
    task->want_client = x->want_client;
    task->watch_client = !tunnel && ac_exchange_client_quiet(x);
    task->reads_body = !tunnel && (x->want_client & POLLIN);
    task->deadline = x->deadline;
}

static int exchange_step(ac_serve_t *s)
{
    ac_appconn_t *conn;

    s->x->got_app = s->task.got;
    s->x->got_client = s->task.got_client;
    if (ac_exchange_step(s->x) == AC_STEP_WAIT) {
        want_exchange(s);
        return AC_TASK_WAIT;
    }
    conn = ac_exchange_take_conn(s->x);
    ac_appconn_close(&conn);
    ac_obtain_release(s);
    return go_to(s, AC_SERVE_DECIDE);
}

static ac_retry_e decide(ac_serve_t *s)
{
    ac_retry_facts_t facts = {
        .outcome = s->x->outcome,
        .reused = s->x->reused,
        .gone = s->x->outcome == AC_OUTCOME_CLOSED && ac_process_gone(s->proc.pid),
        .sent = s->x->sent > 0,
        .unread = s->x->unread,
        .idempotent = ac_retry_idempotent(s->task.r->method),
        .replayable = s->body->replayable,
        .repeats = s->repeats
    };
    ac_retry_e retry = ac_retry_decide(&facts);

    if (retry != AC_RETRY_NO) {
        s->repeats += facts.sent;
        s->failed_proc = retry == AC_RETRY_WHEN_READY ? s->proc_index : AC_BOARD_NO_PROC;
        ap_log_rerror(APLOG_MARK, APLOG_INFO, s->x->error, s->task.r, "app %s: %s; the "
                      "request is sent again", s->mount->spec->name,
                      ac_outcome_name(s->x->outcome));
    }
    return retry;
}

static int hold(ac_task_t *task)
{
    ac_serve_t *s = (ac_serve_t *)task;

    if (s->permit.app || ac_workers_enter(&s->permit, task->r, s->mount)) {
        return AC_TASK_WAIT;
    }
    if (s->was_parked && s->phase == AC_SERVE_EXCHANGE) {
        /* The app is at work on it, and so far it could wait. */
        ac_workers_force(&s->permit, task->r, s->mount);
        return AC_TASK_WAIT;
    }
    return ac_error_unavailable(task->r, s->mount, 0, "it holds all workers of this "
                                "process that it may (AppCoreMaxWorkers)");
}

/* A filter that makes other bytes of a file: TLS, deflate. The core filter sends a
 * file by and by, but of bytes it holds little and waits for a slow client. */
static int is_transformed(request_rec *r)
{
    ap_filter_t *f;

    for (f = r->output_filters; f; f = f->next) {
        int type = (int)f->frec->ftype;

        if (type < AP_FTYPE_PROTOCOL
            || (type >= AP_FTYPE_CONNECTION && type < AP_FTYPE_NETWORK - 1)) {
            return 1;
        }
    }
    return 0;
}

/* Who was parked holds no permit, and is about to hold its worker. */
static int send_file(ac_serve_t *s)
{
    request_rec *r = s->task.r;
    int rv = s->task.async && is_transformed(r) ? hold(&s->task) : AC_TASK_WAIT;

    return rv == AC_TASK_WAIT ? ac_static_sendfile(r, s->mount, s->app.facts.uid,
                                                   s->x->sendfile_path) : rv;
}

static int finish(ac_serve_t *s)
{
    ac_exchange_t *x = s->x;

    if (x->outcome == AC_OUTCOME_CLIENT_GONE) {
        return ac_error_client_gone(s->task.r);
    }
    if (x->outcome == AC_OUTCOME_FILTERED) {
        return ac_error_filtered(s->task.r, s->mount);
    }
    if (x->outcome != AC_OUTCOME_DONE) {
        return ac_error_exchange(x, s->mount, &s->proc);
    }
    ac_rows_app_served(s->child->rows, (unsigned)s->index);
    if (x->instead) {
        return x->instead;
    }
    if (x->sendfile_path) {
        return send_file(s);
    }
    return OK;
}

static int decide_step(ac_serve_t *s)
{
    switch (decide(s)) {
    case AC_RETRY_NOW:
        s->again = 1;
        return go_to(s, AC_SERVE_AWAIT);
    case AC_RETRY_WHEN_READY:
        /* Not worth it before the board says that the process is gone. */
        s->again = 1;
        return wait_for_app(s, NAP_GONE);
    case AC_RETRY_NO:
        break;
    }
    return finish(s);
}

static int step(ac_task_t *task)
{
    static int (*const steps[])(ac_serve_t *) = {
        await_step, obtain_step, pause_step, exchange_step, decide_step
    };
    ac_serve_t *s = (ac_serve_t *)task;
    int rv;

    do {
        rv = steps[s->phase](s);
    } while (rv == GO_ON);
    return rv;
}

static void slow(ac_task_t *task)
{
    ac_serve_t *s = (ac_serve_t *)task;

    ac_workers_slow(&s->permit);
}

static void parked(ac_task_t *task)
{
    ac_serve_t *s = (ac_serve_t *)task;

    ac_workers_leave(&s->permit);
    s->was_parked = 1;
}

static int end(ac_task_t *task, int rv)
{
    ac_serve_t *s = (ac_serve_t *)task;

    if (rv == AC_TASK_DROPPED && !(s->x && s->x->committed)) {
        ac_error_client_gone(task->r);
    }
    ac_appconn_close(&s->conn);
    if (s->x) {
        /* Still there if the client's connection went first. */
        s->conn = ac_exchange_take_conn(s->x);
        ac_appconn_close(&s->conn);
    }
    ac_obtain_release(s);
    leave_queue(s);
    ac_workers_leave(&s->permit);
    return rv == AC_ANSWERED ? OK : rv;
}

static unsigned share_of(const ac_settings_t *set)
{
    return ac_processes_least(set) < ac_processes_most(set) ? ac_processes_share(set) : 0;
}

void ac_serve_take(ac_serve_t *s)
{
    s->task.step = step;
    s->task.slow = slow;
    s->task.hold = hold;
    s->task.parked = parked;
    s->task.end = end;
}

ac_serve_t *ac_serve_create(request_rec *r, const ac_mount_t *mount)
{
    ac_serve_t *s = apr_pcalloc(r->pool, sizeof(*s));

    ac_task_attach(&s->task, r);
    ac_serve_take(s);
    s->mount = mount;
    s->share = share_of(mount->spec->set);
    s->limit = (unsigned)mount->spec->set->max_concurrency.v;
    s->child = ac_child();
    s->failed_proc = AC_BOARD_NO_PROC;
    if (ac_conf_async(r, mount)) {
        s->task.account = &s->child->apps[mount->index].parking;
    }
    ac_wait_init(&s->wait, r, mount);
    return s;
}
