/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/inside.h"

#include <sys/eventfd.h>
#include <poll.h>
#include <unistd.h>

#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "base/clock.h"
#include "conn/park.h"
#include "inproc/call.h"
#include "request/client.h"
#include "request/context.h"
#include "request/error.h"
#include "request/login.h"
#include "request/serve.h"
#include "request/workers.h"

APLOG_USE_MODULE(appcore);

typedef struct ac_inside_t {
    ac_task_t *task;
    ac_task_t own;              /* of a request that was in the app from the start */
    ac_serve_t *outside;        /* whose task it is while the app starts, because the
                                 * start may show that it is hosted out of process */
    const ac_mount_t *mount;
    ac_inproc_t *inproc;
    ac_permit_t permit;
    ac_call_t *call;            /* once the app has it */
    ac_inproc_waiter_t waiter;
    int joined;                 /* it waits for the app */
} ac_inside_t;

static int no_worker(request_rec *r, const ac_mount_t *mount)
{
    return ac_error_unavailable(r, mount, 0, "it holds all workers of this process "
                                "that it may (AppCoreMaxWorkers)");
}

/* The call */

/* The answer's end, and what the log says if there is none. */
static int finish(request_rec *r, const ac_mount_t *mount, ac_call_t *call, int result)
{
    ac_call_end_e how;
    int rv = ac_call_finish(call, result, &how);

    switch (how) {
    case AC_CALL_NO_ANSWER:
    case AC_CALL_BROKEN:
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "app %s %s", mount->spec->name,
                      how == AC_CALL_BROKEN ? "broke its answer off"
                                            : "gave no answer");
        return rv;
    case AC_CALL_CLIENT_GONE:
        return ac_error_client_gone(r);
    case AC_CALL_ANSWERED:
        break;
    }
    return rv == DECLINED ? ac_route_decline(r) : rv;
}

/* A body that is longer than anybody accepts need not come. */
static int find_body(ac_body_t **pbody, request_rec *r, const ac_inproc_t *inproc)
{
    int status = OK;

    *pbody = NULL;
    if (apr_table_get(r->headers_in, "Content-Length")
        || apr_table_get(r->headers_in, "Transfer-Encoding") || r->connection->master) {
        *pbody = ac_body_create(r, inproc->max_body, &status);
    }
    if (*pbody) {
        (*pbody)->bare = 1;
        (*pbody)->replayable = 0;
    }
    return status;
}

/* AC_TASK_WAIT with *pcall if the app leaves it pending; else what the handler
 * returns. */
static int call_app(request_rec *r, const ac_mount_t *mount, ac_inproc_t *inproc,
                    ac_call_t **pcall)
{
    /* Lives as long as the call may be pending. */
    appcore_info *info = apr_pcalloc(r->pool, sizeof(*info));
    ac_body_t *body;
    ac_call_t *call;
    int rv = find_body(&body, r, inproc);

    if (rv == OK) {
        rv = ac_client_info(info, r, body);
    }
    if (rv != OK) {
        return rv;
    }
    if (ac_call_is_within(inproc)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "app %s is at work on the page that "
                      "%s is a part of, and is not thread-safe", mount->spec->name,
                      r->uri);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    call = ac_call_begin(inproc, r, body);
    if (!call) {
        return ac_error_unavailable(r, mount, 0, "too many requests are in it");
    }
    call->challenge = ac_login_challenge;
    call->upgradable = (info->flags & (APPCORE_UPGRADABLE | APPCORE_CONNECT)) != 0;
    *pcall = call;
    rv = ac_call_handle(call, info);
    return rv == AC_TASK_WAIT ? rv : finish(r, mount, call, rv);
}

/* The wait for the app */

static void leave_queue(ac_inside_t *s)
{
    if (s->joined) {
        s->joined = 0;
        ac_inproc_leave(s->inproc, &s->waiter);
        close(s->waiter.fd);
        atomic_fetch_sub(&ac_child()->apps[s->mount->index].waiting, 1);
    }
}

static int join_queue(ac_inside_t *s)
{
    _Atomic unsigned *waiting = &ac_child()->apps[s->mount->index].waiting;
    const ac_settings_t *set = s->mount->spec->set;

    if (s->joined) {
        return 1;
    }
    if (atomic_fetch_add(waiting, 1) >= (unsigned)set->queue_limit.v) {
        atomic_fetch_sub(waiting, 1);
        return 0;
    }
    s->joined = 1;
    s->waiter.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->task->fd = s->waiter.fd;
    s->task->want = POLLIN;
    s->task->watch_client = !ap_request_has_body(s->task->r);
    s->task->deadline = ac_clock_now() + set->queue_time.v;
    ac_inproc_join(s->inproc, &s->waiter);
    return 1;
}

static int client_left(const ac_inside_t *s)
{
    const ac_task_t *task = s->task;

    return task->r->connection->aborted || (task->got_client & (POLLHUP | POLLERR))
           || (task->watch_client && (task->got_client & POLLRDHUP));
}

/* The state is looked at after joining, so that no change of it is missed. */
static int wait_for_start(ac_inside_t *s)
{
    request_rec *r = s->task->r;
    eventfd_t n;

    if (!join_queue(s)) {
        return ac_error_unavailable(r, s->mount, 0, "too many requests wait for it "
                                    "(AppCoreQueueLimit)");
    }
    if (s->task->got) {
        eventfd_read(s->waiter.fd, &n);
    }
    if (atomic_load(&s->inproc->state) != AC_INPROC_STARTING) {
        return OK;
    }
    if (client_left(s)) {
        return ac_error_client_gone(r);
    }
    if (ac_clock_now() >= s->task->deadline) {
        return ac_error_unavailable(r, s->mount, 0, "it was not ready within "
                                    "AppCoreQueueTimeLimit");
    }
    return AC_TASK_WAIT;
}

/* The task */

void ac_inside_ask(ac_inproc_t *inproc)
{
    if (!atomic_load_explicit(&inproc->asked, memory_order_relaxed)
        && ac_child_wake(inproc->mount->spec->id) == APR_SUCCESS) {
        atomic_store(&inproc->asked, 1);
    }
}

/* The request goes on as that of an app in processes of its own. */
static int go_outside(ac_inside_t *s)
{
    ac_task_t *task = s->task;

    ac_inside_ask(s->inproc);
    s->outside->permit = s->permit;
    s->permit.app = NULL;
    ac_serve_take(s->outside);
    task->fd = -1;
    task->want = task->got = task->got_client = 0;
    task->watch_client = 0;
    task->deadline = 0;
    return task->step(task);
}

static int step(ac_task_t *task)
{
    ac_inside_t *s = task->data;
    int rv, state;

    if (s->call) {
        return ac_call_step(s->call, task);
    }
    rv = wait_for_start(s);
    if (rv != OK) {
        return rv;
    }
    leave_queue(s);
    state = atomic_load(&s->inproc->state);
    if (state == AC_INPROC_OUTSIDE) {
        return go_outside(s);
    }
    if (state != AC_INPROC_READY) {
        return ac_error_inside(task->r, s->mount, s->inproc);
    }
    /* All that waited come back at the same moment, so that a moment has to do. */
    if (!s->permit.app && !ac_workers_enter(&s->permit, task->r, s->mount)) {
        return no_worker(task->r, s->mount);
    }
    task->got = task->got_client = 0;
    rv = call_app(task->r, s->mount, s->inproc, &s->call);
    if (rv != AC_TASK_WAIT) {
        s->call = NULL;
        return rv;
    }
    return ac_call_step(s->call, task);
}

static void slow(ac_task_t *task)
{
    ac_inside_t *s = task->data;

    ac_workers_slow(&s->permit);
}

static int hold(ac_task_t *task)
{
    ac_inside_t *s = task->data;

    if (s->permit.app || ac_workers_enter(&s->permit, task->r, s->mount)) {
        return AC_TASK_WAIT;
    }
    if (s->call) {
        /* The app is at work on it, and so far it could wait. */
        ac_workers_force(&s->permit, task->r, s->mount);
        return AC_TASK_WAIT;
    }
    return no_worker(task->r, s->mount);
}

static void parked(ac_task_t *task)
{
    ac_inside_t *s = task->data;

    ac_workers_leave(&s->permit);
    if (s->outside) {
        s->outside->was_parked = 1;
    }
}

static int end(ac_task_t *task, int rv)
{
    ac_inside_t *s = task->data;

    leave_queue(s);
    if (s->call) {
        if (rv == AC_TASK_DROPPED) {
            ac_call_drop(s->call);
        }
        rv = finish(task->r, s->mount, s->call, rv);
    }
    ac_workers_leave(&s->permit);
    return rv == AC_ANSWERED ? OK : rv;
}

static ac_task_t *make_task(ac_inside_t *s, request_rec *r, const ac_mount_t *mount)
{
    if (!s->call) {
        s->outside = ac_serve_create(r, mount);
        return &s->outside->task;
    }
    ac_task_attach(&s->own, r);
    if (ac_conf_async(r, mount)) {
        s->own.account = &ac_child()->apps[mount->index].parking;
    }
    return &s->own;
}

/* call: pending, or NULL. */
static int wait_as_task(request_rec *r, const ac_mount_t *mount, ac_inproc_t *inproc,
                        ac_call_t *call, ac_permit_t *permit)
{
    ac_inside_t *s = apr_pcalloc(r->pool, sizeof(*s));

    s->mount = mount;
    s->inproc = inproc;
    s->call = call;
    s->permit = *permit;
    permit->app = NULL;
    s->task = make_task(s, r, mount);
    s->task->data = s;
    s->task->step = step;
    s->task->slow = slow;
    s->task->hold = hold;
    s->task->parked = parked;
    s->task->end = end;
    s->task->hurry = !s->permit.app;
    return ac_park_run(s->task);
}

int ac_inside_serve(request_rec *r, const ac_mount_t *mount, ac_inproc_t *inproc)
{
    int state = atomic_load_explicit(&inproc->state, memory_order_acquire);
    ac_call_t *call = NULL;
    ac_permit_t permit;
    int rv = AC_TASK_WAIT;

    if (state != AC_INPROC_READY && state != AC_INPROC_STARTING
        && state != AC_INPROC_OUTSIDE) {
        return ac_error_inside(r, mount, inproc);
    }
    ac_park_hold(r->connection, mount->spec->set->keep_alive_hold.v);
    if (state != AC_INPROC_READY) {
        /* Who need not hold a worker to wait for the start needs no permit yet. */
        ac_workers_try(&permit, r, mount);
    }
    else if (!ac_workers_enter(&permit, r, mount)) {
        return no_worker(r, mount);
    }
    else {
        rv = call_app(r, mount, inproc, &call);
    }
    if (rv == AC_TASK_WAIT) {
        rv = wait_as_task(r, mount, inproc, call, &permit);
    }
    ac_workers_leave(&permit);
    return rv;
}
