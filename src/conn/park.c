/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "conn/park.h"

#include <string.h>
#include <unistd.h>

#include "ap_mpm.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"
#include "mpm_common.h"
#include "scoreboard.h"
#include "util_filter.h"
#include "apr_portable.h"
#include "base/clock.h"
#include "conn/block.h"
#include "conn/hold.h"
#include "conn/nest.h"
#include "conn/poke.h"
#include "conn/slim.h"

APLOG_USE_MODULE(appcore);

#define READ_AGAIN apr_time_from_sec(1)
/* The MPM closes what waits longer than Timeout; we are back before. */
#define TIMEOUT_MARGIN apr_time_from_sec(2)
/* The first parked connections of a child are called back at once, to see that they
 * come. */
#define PROBATION apr_time_from_msec(1)

/* Memory is given back while the answer is waited for, and once within it; not where
 * so few wait that it does not matter. */
#define SLIM_ENOUGH 2

/* One client connection; in its pool. */
typedef struct park_t {
    ac_poke_t poke;             /* limit of the parked request */
    conn_rec *c;
    ac_task_t *task;            /* under way on this connection, or NULL */
    apr_interval_time_t hold;   /* of the request under way, or the last one */
    ac_hold_t held;
    ac_nest_t nest;
    unsigned nested:1;          /* inside of the other process_connection hooks */
    unsigned parking:1;         /* on its way to the suspend hook */
    unsigned parked:1;
    unsigned accounted:1;
    unsigned slim:2;            /* how often memory was given back */
    unsigned quiet:1;           /* FLUSH is taken off whatever the task says */
    unsigned orphaned:1;        /* the client's descriptor is ours to close */
} park_t;

typedef enum trust_e { TRUST_OFF = 0, TRUST_PROBATION, TRUST_ON } trust_e;

static struct {
    _Atomic int trust;          /* trust_e */
    ac_park_account_t all;
    _Atomic unsigned running;   /* workers inside of tasks */
    unsigned threads;
    apr_interval_time_t hold;   /* of every connection */
    int always;                 /* no budget: everything that waits is parked */
    server_rec *server;
} park;

static ap_filter_rec_t *no_flush;

static park_t *park_of(conn_rec *c)
{
    return ap_get_module_config(c->conn_config, &appcore_module);
}

void ac_park_block(conn_rec *c)
{
    park_t *pk = c->master ? NULL : park_of(c);

    if (pk && pk->task) {
        pk->task->async = 0;
    }
}

void ac_park_quietly(conn_rec *c, int on)
{
    ap_filter_t *f = c->master ? NULL : c->output_filters;

    while (f && f->frec != no_flush) {
        f = f->next;
    }
    if (f) {
        ((park_t *)f->ctx)->quiet = on != 0;
    }
}

void ac_park_hold(conn_rec *c, apr_interval_time_t time)
{
    park_t *pk = c->master ? NULL : park_of(c);

    if (pk && time > pk->hold) {
        pk->hold = time;
    }
}

/* Writing without waiting */

void ac_park_flush(conn_rec *c)
{
    ap_filter_t *core = c->output_filters;

    /* As the MPM does: no brigade means to write what is held, as far as the
     * socket takes it. */
    while (core->next) {
        core = core->next;
    }
    if (core->frec->filter_func.out_func(core, NULL) != APR_SUCCESS) {
        c->aborted = 1;
    }
}

/* 1 if there was one. */
static int drop_flushes(apr_bucket_brigade *bb)
{
    apr_bucket *b = APR_BRIGADE_FIRST(bb);
    int found = 0;

    while (b != APR_BRIGADE_SENTINEL(bb)) {
        apr_bucket *next = APR_BUCKET_NEXT(b);

        if (APR_BUCKET_IS_FLUSH(b)) {
            apr_bucket_delete(b);
            found = 1;
        }
        b = next;
    }
    return found;
}

/* Right above the core filter, which blocks on FLUSH: deflate, chunks and TLS have
 * obeyed it by then. */
static apr_status_t without_flush(ap_filter_t *f, apr_bucket_brigade *bb)
{
    const park_t *pk = f->ctx;
    apr_status_t rv = APR_SUCCESS;

    if (!bb || !(pk->quiet || (pk->task && pk->task->async)) || !drop_flushes(bb)) {
        return ap_pass_brigade(f->next, bb);
    }
    if (!APR_BRIGADE_EMPTY(bb)) {
        rv = ap_pass_brigade(f->next, bb);
    }
    if (rv == APR_SUCCESS && pk->c->data_in_output_filters) {
        ac_park_flush(pk->c);
    }
    return rv;
}

/* Accounts */

static int take_accounts(park_t *pk)
{
    if (!pk->accounted) {
        pk->accounted = ac_account_take(pk->task->account, &park.all, pk->c) != 0;
    }
    return pk->accounted;
}

static void give_accounts(park_t *pk)
{
    if (pk->accounted) {
        pk->accounted = 0;
        ac_account_give(pk->task->account, &park.all);
    }
}

unsigned ac_park_waiting(void)
{
    return atomic_load_explicit(&park.all.parked, memory_order_relaxed);
}

/* Whether it works */

static int is_trusted(void)
{
    return atomic_load_explicit(&park.trust, memory_order_relaxed) != TRUST_OFF;
}

static void stalled(void)
{
    if (atomic_exchange(&park.trust, TRUST_OFF) != TRUST_OFF) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, park.server, "a waiting request "
                     "was called back and got no worker for %d seconds: until one of "
                     "them does, new requests of this process hold theirs while they "
                     "wait", (int)apr_time_sec(AC_POKE_PATIENCE));
    }
}

static void came_back(void)
{
    if (atomic_load_explicit(&park.trust, memory_order_relaxed) != TRUST_ON
        && atomic_exchange(&park.trust, TRUST_ON) == TRUST_OFF) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, park.server, "a waiting request got "
                     "its worker: requests of this process wait without one again");
    }
}

/* When to be back: the task's own limit, or before the MPM's. */
static apr_time_t limit_of(const park_t *pk)
{
    const ac_task_t *task = pk->task;
    apr_interval_time_t timeout = task->r->server->timeout;
    apr_interval_time_t base = pk->c->base_server->timeout;
    apr_time_t now = ac_clock_now(), limit;

    if (base < timeout) {
        timeout = base;
    }
    timeout -= timeout > 2 * TIMEOUT_MARGIN ? TIMEOUT_MARGIN : timeout / 2;
    limit = now + (task->reads_body && READ_AGAIN < timeout ? READ_AGAIN : timeout);
    if (task->deadline && task->deadline < limit) {
        limit = task->deadline;
    }
    if (atomic_load_explicit(&park.trust, memory_order_relaxed) == TRUST_PROBATION) {
        limit = now + PROBATION;
    }
    return limit;
}

/* Parking */

/* 1 if the worker may go. */
static int park_now(park_t *pk)
{
    if (!ac_nest_arm(&pk->nest, pk->task)) {
        return 0;
    }
    pk->parking = 1;
    return 1;
}

/* What the MPM understands as "to be polled for reading, without a request to
 * read", in all of 2.4.57 and later. */
static int leave_to_mpm(park_t *pk)
{
    pk->c->cs->state = CONN_STATE_WRITE_COMPLETION;
    pk->c->cs->sense = CONN_SENSE_WANT_READ;
    return OK;
}

static int can_park(const ac_task_t *task)
{
    request_rec *r = task->r;

    return task->account && task->client_is_socket && r->connection->cs
           && !r->main && !r->prev && park_of(r->connection)
           && is_trusted();
}

/* While workers are plenty a request may hold one for a moment: most are answered
 * by then, and a change of workers costs about 10 to 15 us. */
static apr_interval_time_t budget(const ac_task_t *task, unsigned running)
{
    return park.always || task->hurry || running > park.threads / 2 ? 0
                                                                    : AC_TASK_BUDGET;
}

static int run_held(ac_task_t *task)
{
    int rv = task->hold(task);

    return rv == AC_TASK_WAIT ? ac_block_run(task) : rv;
}

static int run_async(park_t *pk, ac_task_t *task)
{
    unsigned running;
    int rv;

    /* The app must not work on what may neither be parked nor hold a worker. */
    if (task->hurry && !take_accounts(pk)) {
        return run_held(task);
    }
    running = atomic_fetch_add(&park.running, 1);
    rv = ac_block_for(task, budget(task, running));
    atomic_fetch_sub(&park.running, 1);
    if (rv != AC_TASK_WAIT) {
        return rv;
    }
    if (!task->stay && take_accounts(pk) && ac_poke_start() == APR_SUCCESS
        && park_now(pk)) {
        task->parked(task);
        return SUSPENDED;
    }
    give_accounts(pk);
    return run_held(task);
}

static int end(ac_task_t *task, int rv)
{
    int answer = task->end(task, rv);

    return rv == AC_TASK_DROPPED ? OK : answer;
}

int ac_park_run(ac_task_t *task)
{
    park_t *pk;
    int rv;

    if (!can_park(task)) {
        return end(task, run_held(task));
    }
    pk = park_of(task->r->connection);
    pk->task = task;
    pk->slim = 0;
    ac_nest_init(&pk->nest, task->client_fd);
    task->async = 1;
    rv = run_async(pk, task);
    if (rv != SUSPENDED) {
        give_accounts(pk);
        ac_nest_close(&pk->nest);
        pk->task = NULL;
        rv = end(task, rv);
    }
    return rv;
}

/* Back on a worker */

static void finish(park_t *pk, int rv)
{
    ac_task_t *task = pk->task;
    request_rec *r = task->r;

    give_accounts(pk);
    ac_nest_close(&pk->nest);
    pk->task = NULL;
    /* From here on as httpd does after a handler, which r does not outlive. */
    ap_die(end(task, rv), r);
    ap_process_request_after_handler(r);
}

/* Whoever else knows the client's descriptor by its number forgets it with the end of
 * the task; so long it must not become another's. */
static void drop(park_t *pk)
{
    ac_task_t *task = pk->task;

    give_accounts(pk);
    ac_nest_close(&pk->nest);
    pk->task = NULL;
    task->end(task, AC_TASK_DROPPED);
    if (pk->orphaned) {
        pk->orphaned = 0;
        close(pk->nest.client_fd);
    }
}

/* The connection is being closed under the request. */
static void give_up(park_t *pk)
{
    request_rec *r = pk->task->r;
    conn_state_e state = pk->c->cs->state;

    pk->c->aborted = 1;
    drop(pk);
    ap_process_request_after_handler(r);
    pk->c->cs->state = state;
}

static int go_on(park_t *pk)
{
    int rv;

    ap_update_child_status(pk->c->sbh, SERVER_BUSY_WRITE, pk->task->r);
    ac_nest_collect(&pk->nest, pk->task);
    atomic_fetch_add(&park.running, 1);
    rv = ac_block_for(pk->task, 0);
    if (rv == AC_TASK_WAIT && (pk->task->stay || !park_now(pk))) {
        rv = run_held(pk->task);
    }
    atomic_fetch_sub(&park.running, 1);
    if (rv == AC_TASK_WAIT) {
        return leave_to_mpm(pk);
    }
    finish(pk, rv);
    return OK;
}

static int run_hooks(park_t *pk)
{
    conn_rec *c = pk->c;
    int rv;

    pk->hold = park.hold;
    pk->nested = 1;
    rv = ap_run_process_connection(c);
    pk->nested = 0;
    return pk->task && c->cs->state == CONN_STATE_SUSPENDED ? leave_to_mpm(pk) : rv;
}

/* Around all other hooks, so that a request that was parked inside them leaves the
 * connection in a state of which they need not know. */
static int process_connection(conn_rec *c)
{
    park_t *pk = c->master ? NULL : park_of(c);
    int rv;

    if (!pk || pk->nested) {
        return DECLINED;
    }
    ac_hold_enter();
    if (pk->task) {
        /* One more change of threads does not matter to who waited that long. */
        rv = go_on(pk);
    }
    else {
        ac_hold_came(&pk->held);
        do {
            rv = run_hooks(pk);
        } while (rv == OK && !pk->task && ac_hold_next(c, &pk->held, pk->hold));
    }
    ac_hold_leave();
    return rv;
}

/* Last of all hooks: the others see the client's descriptor. */
static void suspend_connection(conn_rec *c, request_rec *r)
{
    park_t *pk = c->master ? NULL : park_of(c);
    apr_socket_t *socket;

    (void)r;
    if (!pk || !pk->parking) {
        return;
    }
    pk->parking = 0;
    if (c->cs->state != CONN_STATE_WRITE_COMPLETION) {
        return;
    }
    if (pk->slim < SLIM_ENOUGH && atomic_load(&park.all.parked) > park.threads) {
        pk->slim++;
        ac_slim(pk->task);
    }
    socket = ap_get_conn_socket(c);
    apr_os_sock_put(&socket, &pk->nest.fd, c->pool);
    pk->parked = 1;
    pk->poke.epoll_fd = pk->nest.fd;
    ac_poke_at(&pk->poke, limit_of(pk));
}

static void unpark(park_t *pk)
{
    apr_socket_t *socket = ap_get_conn_socket(pk->c);
    int fd = -1;

    pk->parked = 0;
    ac_poke_cancel(&pk->poke);
    apr_os_sock_get(&fd, socket);
    if (fd == pk->nest.fd) {
        apr_os_sock_put(&socket, &pk->nest.client_fd, pk->c->pool);
    }
    else {
        /* The MPM failed to poll our descriptor and closed it. */
        pk->orphaned = 1;
        ac_nest_lost(&pk->nest);
    }
}

/* First of all hooks. */
static void resume_connection(conn_rec *c, request_rec *r)
{
    park_t *pk = c->master ? NULL : park_of(c);

    (void)r;
    if (!pk || !pk->parked) {
        return;
    }
    unpark(pk);
    came_back();
    if (!c->sbh) {
        /* The connection's pool is being destroyed. */
        drop(pk);
    }
    else if (c->cs->state == CONN_STATE_WRITE_COMPLETION) {
        c->cs->state = CONN_STATE_READ_REQUEST_LINE;
    }
}

static int pre_close_connection(conn_rec *c)
{
    park_t *pk = c->master ? NULL : park_of(c);

    if (pk && pk->task && c->cs) {
        if (pk->parked) {
            unpark(pk);
        }
        give_up(pk);
    }
    return OK;
}

static int pre_connection(conn_rec *c, void *csd)
{
    park_t *pk;

    (void)csd;
    if (c->master || !park.server) {
        return OK;
    }
    pk = apr_pcalloc(c->pool, sizeof(*pk));
    pk->c = c;
    ac_nest_init(&pk->nest, -1);
    if (park.threads > 0) {
        ap_set_module_config(c->conn_config, &appcore_module, pk);
    }
    ap_add_output_filter_handle(no_flush, pk, NULL, c);
    return OK;
}

static void child_stopping(apr_pool_t *pchild, int graceful)
{
    (void)pchild;
    if (!graceful) {
        ac_block_stop();
    }
}

void ac_park_register_hooks(apr_pool_t *p)
{
    (void)p;
    no_flush = ap_register_output_filter("APPCORE_NO_FLUSH", without_flush, NULL,
                                         AP_FTYPE_NETWORK - 1);
    ac_hold_register_hooks(p);
    ap_hook_child_stopping(child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_pre_connection(pre_connection, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_process_connection(process_connection, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_suspend_connection(suspend_connection, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_resume_connection(resume_connection, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_pre_close_connection(pre_close_connection, NULL, NULL, APR_HOOK_FIRST);
}

static int mpm_is_known(void)
{
    int async = 0;

    return ap_mpm_query(AP_MPMQ_IS_ASYNC, &async) == APR_SUCCESS && async
           && !strcmp(ap_show_mpm(), "event");
}

void ac_park_child_init(apr_pool_t *pchild, server_rec *s, unsigned limit,
                        apr_interval_time_t hold)
{
    int threads = 0;

    memset(&park, 0, sizeof(park));
    park.server = s;
    park.all.limit = limit;
    ac_block_child_init();
    park.always = ap_exists_config_define("APPCORE_PARK_ALWAYS");
    if (!mpm_is_known()) {
        return;
    }
    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    park.threads = (unsigned)threads;
    park.hold = hold;
    ac_hold_child_init(pchild, park.threads);
    if (limit > 0) {
        ac_poke_init(pchild, s, stalled);
        atomic_store(&park.trust, TRUST_PROBATION);
    }
}
