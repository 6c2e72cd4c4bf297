/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* One request, from the mount to the answer:
 *
 *   static file? -> permit -> app ready? (wait) -> body -> process -> connection
 *                                            ^                            |
 *                                            +-- try again <- exchange <--+
 */

#include <errno.h>
#include <string.h>

#include "httpd.h"
#include "http_config.h"
#include "http_connection.h"
#include "http_log.h"
#include "http_protocol.h"
#include "apr_strings.h"
#include "base/clock.h"
#include "outproc/drive.h"
#include "request/child.h"
#include "request/client.h"
#include "request/context.h"
#include "request/error.h"
#include "request/policy.h"
#include "request/request.h"
#include "request/static.h"
#include "request/wait.h"
#include "request/workers.h"

APLOG_USE_MODULE(appcore);

/* A full backlog empties within milliseconds; a process that does not answer
 * connect() is about to be replaced, and the board will say so. */
#define NAP_BUSY apr_time_from_msec(3)
#define NAP_GONE apr_time_from_msec(100)
#define NAP_UNKNOWN apr_time_from_msec(50)

typedef struct serve_t {
    request_rec *r;
    const ac_mount_t *mount;
    ac_child_t *child;
    ac_permit_t permit;
    ac_wait_t wait;
    int index;                  /* of the app on the board */
    ac_board_app_t app;
    unsigned proc_index;
    ac_board_proc_t proc;
    int counted;                /* in flight on proc_index */
    unsigned failed_proc;       /* could not be connected to last time */
    ac_body_t *body;
    ac_exchange_t *x;
    int repeats;
} serve_t;

/* After a wait: OK to look at the app again, else what the request gets. */
static int waited(serve_t *s, ac_wait_e result)
{
    switch (result) {
    case AC_WAIT_AGAIN:
        return OK;
    case AC_WAIT_FULL:
        return ac_error_unavailable(s->r, s->mount, 0, "too many requests wait for it "
                                    "(AppCoreQueueLimit)");
    case AC_WAIT_TIME:
        return ac_error_unavailable(s->r, s->mount, 0, "it was not ready within "
                                    "AppCoreQueueTimeLimit");
    case AC_WAIT_FAILED:
        return ac_error_start(s->r, s->mount, &s->app);
    case AC_WAIT_CLIENT_GONE:
        break;
    }
    return ac_error_client_gone(s->r);
}

static int wait_for_app(serve_t *s, apr_interval_time_t nap)
{
    ac_workers_slow(&s->permit);
    return waited(s, ac_wait_next(&s->wait, s->index, &s->app, nap));
}

/* Why an app without hope is not served. */
static int hopeless(serve_t *s)
{
    if (s->app.state == AC_APP_STOPPING || s->app.state == AC_APP_REMOVED) {
        return ac_error_unavailable(s->r, s->mount, 0, "it is being stopped");
    }
    return ac_error_start(s->r, s->mount, &s->app);
}

/* DONE: it runs, s->app is current. Otherwise what the handler returns. */
static int await_running(serve_t *s)
{
    int rv = OK;

    while (rv == OK) {
        s->index = ac_child_app(s->mount, &s->app);
        if (s->index < 0) {
            /* Configured a moment ago, and the manager is about to read it. */
            rv = wait_for_app(s, NAP_UNKNOWN);
            continue;
        }
        if (s->app.state == AC_APP_RUNNING && s->app.n_ready > 0) {
            return DONE;
        }
        ac_wait_arrive(&s->wait, &s->app);
        rv = ac_policy_hope(&s->app, ac_clock_now()) ? wait_for_app(s, 0) : hopeless(s);
    }
    return rv;
}

/* The ready slot with the fewest requests in flight; equals take turns. A process
 * that just refused a connection comes last. */
static int choose_process(serve_t *s)
{
    unsigned n = s->app.n_slots < AC_BOARD_SLOTS ? s->app.n_slots : AC_BOARD_SLOTS;
    unsigned first = 0, i, best = AC_BOARD_NO_PROC;
    uint32_t least = UINT32_MAX;

    if (n > 1) {
        first = atomic_fetch_add_explicit(&s->child->apps[s->mount->index].turn, 1,
                                          memory_order_relaxed);
    }
    for (i = 0; i < n; i++) {
        unsigned proc = s->app.slots[(first + i) % n];
        uint32_t load;

        if (proc == AC_BOARD_NO_PROC) {
            continue;
        }
        load = n == 1 ? 0 : ac_rows_proc_count(s->child->rows, proc);
        if (proc == s->failed_proc) {
            load = UINT32_MAX - 1;
        }
        if (load < least) {
            least = load;
            best = proc;
        }
    }
    s->proc_index = best;
    return best != AC_BOARD_NO_PROC
           && ac_board_proc(s->child->board, best, s->app.id, &s->proc)
           && !s->proc.draining;
}

static void count_out(serve_t *s)
{
    if (s->counted) {
        s->counted = 0;
        ac_rows_proc_put(s->child->rows, s->child->row, s->proc_index);
    }
}

/* The manager ends a process that drains as soon as nobody is counted on it, so who
 * counts looks once more: either that one sees us, or we see that it drains. */
static int count_in(serve_t *s)
{
    ac_rows_proc_take(s->child->rows, s->child->row, s->proc_index);
    s->counted = 1;
    if (ac_board_proc_current(s->child->board, s->proc_index, s->proc.generation)) {
        return 1;
    }
    count_out(s);
    return 0;
}

/* A request that may not be repeated takes no connection the app may be closing
 * at this moment. */
static int must_be_careful(const serve_t *s)
{
    return !ac_retry_idempotent(s->r->method)
           || (s->body->framing == AC_BODY_CHUNKED)
           || s->body->length > AC_BODY_KEEP;
}

/* A process that ended leaves its listener behind for its successor. Nothing that
 * may not be repeated is sent there, nor what came back from there already. */
static int nobody_there(const serve_t *s)
{
    return (s->proc_index == s->failed_proc || must_be_careful(s))
           && ac_process_gone(s->proc.pid);
}

static apr_status_t connect_to(serve_t *s, ac_appconn_t **pconn, int fresh)
{
    ac_pool_t *pool = ac_child_pool(s->mount, s->proc.slot);

    *pconn = NULL;
    if (pool && !fresh) {
        *pconn = ac_pool_take(pool, s->proc_index, s->proc.generation,
                              must_be_careful(s), ac_clock_now());
    }
    if (*pconn) {
        return APR_SUCCESS;
    }
    if (nobody_there(s)) {
        return ECONNREFUSED;
    }
    return ac_appconn_open(pconn, ac_conf_globals()->runtime_dir, s->proc_index,
                           &s->proc);
}

/* The process is free for others as soon as its part is over. */
static void app_done(ac_exchange_t *x)
{
    serve_t *s = x->baton;
    ac_appconn_t *conn = ac_exchange_take_conn(x);
    ac_pool_t *pool = conn ? ac_child_pool(s->mount, s->proc.slot) : NULL;

    if (pool && ac_board_proc_current(s->child->board, conn->proc, conn->generation)) {
        ac_pool_put(pool, &conn, ac_clock_now());
        ac_dispatch_ensure();
    }
    ac_appconn_close(&conn);
    count_out(s);
}

/* DONE with a connection in *pconn, else what the handler returns. */
static int obtain(serve_t *s, ac_appconn_t **pconn, int fresh)
{
    int rv = DONE;

    while (rv == DONE || rv == OK) {
        apr_status_t status = APR_EAGAIN;

        rv = await_running(s);
        if (rv != DONE) {
            return rv;
        }
        if (choose_process(s) && count_in(s)) {
            status = connect_to(s, pconn, fresh);
            if (status == APR_SUCCESS) {
                ac_wait_end(&s->wait);
                return DONE;
            }
            count_out(s);
            s->failed_proc = s->proc_index;
            ap_log_rerror(APLOG_MARK, APLOG_DEBUG, status, s->r, "app %s: no connection "
                          "to process %u yet", s->mount->spec->name, s->proc.pid);
        }
        rv = wait_for_app(s, APR_STATUS_IS_EAGAIN(status) ? NAP_BUSY : NAP_GONE);
    }
    return rv;
}

static int prepare_body(serve_t *s)
{
    apr_int64_t size = s->mount->spec->set->request_buffering.v;
    int status = HTTP_BAD_REQUEST;

    if (s->body) {
        return OK;
    }
    s->body = ac_body_create(s->r, s->app.facts.max_content_length, &status);
    if (!s->body) {
        return status;
    }
    if (s->body->filtered && size <= 0) {
        /* A filter that expands the body says so in the head with its first byte. */
        size = 1;
    }
    if (size > 0 && ac_body_buffer(s->body, (apr_size_t)size) != APR_SUCCESS) {
        return s->body->http_status;
    }
    return OK;
}

static void prepare_exchange(serve_t *s)
{
    ac_exchange_t *x = ac_exchange_create(s->r);

    x->body = s->body;
    x->silence = s->app.facts.request_time > 0 ? s->app.facts.request_time
                                               : s->mount->spec->set->request_time.v;
    x->sendfile = s->mount->sendfile && s->mount->sendfile->nelts > 0;
    x->app_done = app_done;
    x->baton = s;
    ac_drive_attach(x);
    s->x = x;
}

static void on_slow(void *permit)
{
    ac_workers_slow(permit);
}

/* One attempt; OK when x->outcome says what came of it. */
static int attempt(serve_t *s, ac_appconn_t *conn)
{
    ac_client_head_t head = { 0 };
    int rv;

    if (!s->x) {
        prepare_exchange(s);
    }
    rv = ac_client_head(&head, s->r, s->body, &s->proc, s->app.facts.kind);
    if (rv != OK) {
        ac_appconn_close(&conn);
        return rv;
    }
    s->x->head = head.data;
    s->x->head_len = head.len;
    s->x->upgrade_asked = head.upgrade != AC_UPGRADE_NONE;
    ac_exchange_begin(s->x, conn);
    ac_drive_run(s->x, on_slow, &s->permit);
    conn = ac_exchange_take_conn(s->x);
    ac_appconn_close(&conn);
    count_out(s);
    return OK;
}

static ac_retry_e decide(serve_t *s)
{
    ac_retry_facts_t facts = {
        .outcome = s->x->outcome,
        .reused = s->x->reused,
        .gone = s->x->outcome == AC_OUTCOME_CLOSED && ac_process_gone(s->proc.pid),
        .sent = s->x->sent > 0,
        .idempotent = ac_retry_idempotent(s->r->method),
        .replayable = s->body->replayable,
        .repeats = s->repeats
    };
    ac_retry_e retry = ac_retry_decide(&facts);

    if (retry != AC_RETRY_NO) {
        s->repeats += facts.sent;
        s->failed_proc = retry == AC_RETRY_WHEN_READY ? s->proc_index : AC_BOARD_NO_PROC;
        ap_log_rerror(APLOG_MARK, APLOG_INFO, s->x->error, s->r, "app %s: %s; the "
                      "request is sent again", s->mount->spec->name,
                      ac_outcome_name(s->x->outcome));
    }
    return retry;
}

static int finish(serve_t *s)
{
    ac_exchange_t *x = s->x;

    if (x->outcome == AC_OUTCOME_CLIENT_GONE) {
        return ac_error_client_gone(s->r);
    }
    if (x->outcome == AC_OUTCOME_FILTERED) {
        return ac_error_filtered(s->r, s->mount);
    }
    if (x->outcome != AC_OUTCOME_DONE) {
        return ac_error_exchange(x, s->mount, &s->proc);
    }
    ac_rows_app_served(s->child->rows, (unsigned)s->index);
    if (x->sendfile_path) {
        return ac_static_sendfile(s->r, s->mount, s->app.facts.uid, x->sendfile_path);
    }
    return OK;
}

static int serve(serve_t *s)
{
    ac_retry_e retry = AC_RETRY_NO;
    ac_appconn_t *conn = NULL;
    int rv;

    do {
        rv = await_running(s);
        if (rv == DONE) {
            rv = prepare_body(s);
        }
        if (rv == OK) {
            rv = obtain(s, &conn, retry != AC_RETRY_NO);
        }
        if (rv != DONE) {
            return rv;
        }
        rv = attempt(s, conn);
        if (rv != OK) {
            return rv;
        }
        retry = decide(s);
        if (retry == AC_RETRY_WHEN_READY) {
            /* Not worth it before the board says that the process is gone. */
            rv = wait_for_app(s, NAP_GONE);
        }
    } while (retry != AC_RETRY_NO && rv == OK);
    return rv == OK ? finish(s) : rv;
}

/* The app's user is known once its folder was looked at. */
static uid_t app_uid(const ac_board_app_t *app, int index)
{
    return index >= 0 && app->facts.request_time > 0 ? (uid_t)app->facts.uid
                                                     : (uid_t)-1;
}

static int serve_static(serve_t *s)
{
    if (!s->mount->static_folder) {
        return DECLINED;
    }
    s->index = ac_child_app(s->mount, &s->app);
    return ac_static_serve(s->r, s->mount, app_uid(&s->app, s->index));
}

static int serve_app(serve_t *s)
{
    int rv;

    if (!ac_workers_enter(&s->permit, s->r, s->mount)) {
        return ac_error_unavailable(s->r, s->mount, 0, "it holds all workers of this "
                                    "process that it may (AppCoreMaxWorkers)");
    }
    ac_wait_init(&s->wait, s->r, s->mount);
    rv = serve(s);
    count_out(s);
    ac_wait_end(&s->wait);
    ac_workers_leave(&s->permit);
    return rv;
}

static int answer(request_rec *r, const ac_mount_t *mount)
{
    serve_t *s;
    int rv;

    if (!ac_child()) {
        return ac_error_unavailable(r, mount, 0, "the supervisor does not run");
    }
    s = apr_pcalloc(r->pool, sizeof(*s));
    s->r = r;
    s->mount = mount;
    s->child = ac_child();
    s->failed_proc = AC_BOARD_NO_PROC;
    rv = serve_static(s);
    return rv == DECLINED ? serve_app(s) : rv;
}

static int handle(request_rec *r)
{
    ac_context_t *ctx;
    int rv;

    if (!r->handler || strcmp(r->handler, AC_HANDLER)) {
        return DECLINED;
    }
    ctx = ac_context_get(r);
    if (!ctx || !ctx->mount) {
        return DECLINED;
    }
    rv = answer(r, ctx->mount);
    return rv == AC_ANSWERED ? OK : rv;
}

void ac_request_register_hooks(apr_pool_t *p)
{
    ac_route_register(p);
    ap_hook_handler(handle, NULL, NULL, APR_HOOK_MIDDLE);
}
