/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/inside.h"

#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "conn/park.h"
#include "inproc/call.h"
#include "request/client.h"
#include "request/error.h"
#include "request/login.h"
#include "request/workers.h"

APLOG_USE_MODULE(appcore);

typedef struct ac_inside_t {
    ac_task_t task;             /* first: a task is its request */
    const ac_mount_t *mount;
    ac_permit_t permit;
    ac_call_t *call;
} ac_inside_t;

/* The answer's end, and what the log says if there is none. */
static int finish(request_rec *r, const ac_mount_t *mount, ac_call_t *call, int result)
{
    int failed, rv = ac_call_finish(call, result, &failed);

    if (failed) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "app %s %s", mount->spec->name,
                      rv == OK ? "broke its answer off" : "gave no answer");
    }
    if (r->connection->aborted && rv == OK && !failed) {
        return ac_error_client_gone(r);
    }
    return rv;
}

/* A body that is longer than anybody accepts need not come. */
static int find_body(ac_body_t **pbody, request_rec *r, const ac_inproc_t *inproc)
{
    int status = OK;

    *pbody = NULL;
    if (apr_table_get(r->headers_in, "Content-Length")
        || apr_table_get(r->headers_in, "Transfer-Encoding") || r->connection->master) {
        *pbody = ac_body_create(r, inproc->max_body, &status);
        if (*pbody) {
            (*pbody)->bare = 1;
            (*pbody)->replayable = 0;
        }
    }
    return status;
}

/* Pending */

static int step(ac_task_t *task)
{
    return ac_call_step(((ac_inside_t *)task)->call, task);
}

static void slow(ac_task_t *task)
{
    ac_workers_slow(&((ac_inside_t *)task)->permit);
}

static int hold(ac_task_t *task)
{
    (void)task;
    return AC_TASK_WAIT;
}

static void parked(ac_task_t *task)
{
    ac_workers_leave(&((ac_inside_t *)task)->permit);
}

static int end(ac_task_t *task, int rv)
{
    ac_inside_t *s = (ac_inside_t *)task;

    if (rv == AC_TASK_DROPPED) {
        ac_call_drop(s->call);
    }
    rv = finish(task->r, s->mount, s->call, rv);
    ac_workers_leave(&s->permit);
    return rv == AC_ANSWERED ? OK : rv;
}

static int wait_for_app(request_rec *r, const ac_mount_t *mount, ac_call_t *call,
                        ac_permit_t *permit)
{
    ac_inside_t *s = apr_pcalloc(r->pool, sizeof(*s));

    ac_task_attach(&s->task, r);
    s->task.step = step;
    s->task.slow = slow;
    s->task.hold = hold;
    s->task.parked = parked;
    s->task.end = end;
    s->mount = mount;
    s->permit = *permit;
    s->call = call;
    if (ac_conf_async(r, mount)) {
        s->task.account = &ac_child()->apps[mount->index].parking;
    }
    permit->app = NULL;
    return ac_park_run(&s->task);
}

/* On this worker */

static int call_app(request_rec *r, const ac_mount_t *mount, ac_inproc_t *inproc,
                    ac_permit_t *permit)
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
    call = ac_call_begin(inproc, r, body);
    if (!call) {
        return ac_error_unavailable(r, mount, 0, "too many requests are in it");
    }
    call->challenge = ac_login_challenge;
    call->upgradable = (info->flags & (APPCORE_UPGRADABLE | APPCORE_CONNECT)) != 0;
    rv = ac_call_handle(call, info);
    return rv == AC_TASK_WAIT ? wait_for_app(r, mount, call, permit)
                              : finish(r, mount, call, rv);
}

int ac_inside_serve(request_rec *r, const ac_mount_t *mount, ac_inproc_t *inproc)
{
    ac_permit_t permit;
    int rv;

    if (atomic_load_explicit(&inproc->state, memory_order_acquire) != AC_INPROC_READY) {
        return ac_error_unavailable(r, mount, 0, "it is not ready");
    }
    if (!ac_workers_enter(&permit, r, mount)) {
        return ac_error_unavailable(r, mount, 0, "it holds all workers of this process "
                                    "that it may (AppCoreMaxWorkers)");
    }
    ac_park_hold(r->connection, mount->spec->set->keep_alive_hold.v);
    rv = call_app(r, mount, inproc, &permit);
    ac_workers_leave(&permit);
    return rv;
}
