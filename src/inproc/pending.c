/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* A call that the app left pending: steps, clients that leave, too late an end. */

#include "inproc/call.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http_connection.h"
#include "http_log.h"
#include "base/clock.h"
#include "conn/park.h"
#include "inproc/leave.h"
#include "inproc/thread.h"

APLOG_USE_MODULE(appcore);

/* A request that is younger will be over before its client could be missed. */
#define MIND_AFTER apr_time_from_msec(300)
#define MIND_EVERY apr_time_from_msec(400)
/* No descriptor tells of what is posted. */
#define LOOK_EVERY apr_time_from_msec(50)
/* Between the end of a client and of its request, if the child cannot wait. */
#define LAST_WORDS apr_time_from_sec(1)

/* Descriptors of calls that were pending, for the next ones. */
static struct {
    pthread_mutex_t mutex;
    unsigned n;
    int fds[256];
} spare = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static int take_event_fd(void)
{
    int fd = -1;

    pthread_mutex_lock(&spare.mutex);
    if (spare.n) {
        fd = spare.fds[--spare.n];
    }
    pthread_mutex_unlock(&spare.mutex);
    return fd >= 0 ? fd : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void ac_call_give_event_fd(ac_call_t *call)
{
    int fd = call->event_fd;
    eventfd_t n;

    /* One that still rings is the next one's, to whom it says nothing. */
    if (fd < 0 || atomic_load(&call->ringing)) {
        return;
    }
    call->event_fd = -1;
    if (call->rung) {
        eventfd_read(fd, &n);
    }
    pthread_mutex_lock(&spare.mutex);
    if (spare.n < sizeof(spare.fds) / sizeof(spare.fds[0])) {
        spare.fds[spare.n++] = fd;
        fd = -1;
    }
    pthread_mutex_unlock(&spare.mutex);
    if (fd >= 0) {
        close(fd);
    }
}

/* Clients that leave */

/* Nobody waits for what the client still has to send, so its end means that it left.
 * Who reads a body finds that out by himself, and not before he has what came. */
static int is_quiet(const ac_call_t *call)
{
    if (call->upgraded) {
        return 0;
    }
    if (!call->body || call->body->complete || call->body->held) {
        return 1;
    }
    return call->state == AC_CALL_APP ? !call->was_read : !(call->want_client & POLLIN);
}

static int has_left(const ac_call_t *call, short got)
{
    return (got & (POLLHUP | POLLERR)) || ((got & POLLRDHUP) && is_quiet(call));
}

/* With the mutex locked: 1 for the one who is to tell the app, for which a request
 * that it has completed is over. */
static int notice(ac_call_t *call)
{
    int told = call->told || (call->completed && call->later);

    atomic_store(&call->gone, 1);
    call->told = 1;
    call->client_fd = -1;
    return !told && call->inproc->app.on_disconnect
           && !atomic_load(&call->inproc->forgotten);
}

static void tell(ac_call_t *call)
{
    ac_thread_attach(call->inproc);
    call->inproc->app.on_disconnect(call->inproc->instance,
                                    atomic_load(&call->slot.number), call->data);
}

void ac_call_client_left(ac_call_t *call)
{
    int mine;

    pthread_mutex_lock(&call->mutex);
    mine = notice(call);
    pthread_mutex_unlock(&call->mutex);
    if (mine) {
        tell(call);
    }
}

short ac_call_look(const ac_call_t *call)
{
    struct pollfd pfd = { .fd = call->client_fd, .events = POLLRDHUP };

    if (call->client_fd < 0) {
        return call->r->connection->aborted ? POLLHUP : 0;
    }
    return poll(&pfd, 1, 0) > 0 ? pfd.revents : 0;
}

/* Nothing of what it left pending will ever be completed: no code of it runs any more,
 * where a shared object may have threads that go on. */
static int runtime_has_ended(ac_inproc_t *inproc)
{
    int has_ended;

    pthread_mutex_lock(&inproc->mutex);
    has_ended = inproc->has_ended && inproc->plan.decision == AC_PLAN_DOTNET;
    pthread_mutex_unlock(&inproc->mutex);
    return has_ended;
}

/* The child waits for its requests, so one that nobody ends would keep it, and the app
 * in it, for ever. First the client goes, of which the app is told; what it does not
 * complete then is over without it. Where nobody is left who would, the client is told
 * so at once. stopping: since when the child is. */
static void expire(ac_call_t *call, apr_interval_time_t stopping)
{
    if (!atomic_load(&call->slot.number)) {
        return;
    }
    pthread_mutex_lock(&call->mutex);
    if (call->state == AC_CALL_WAITING && !call->completed) {
        apr_interval_time_t over = stopping - apr_time_from_msec(
            (apr_time_t)call->inproc->config.shutdown_ms);
        int nobody = runtime_has_ended(call->inproc);

        if (over >= 0 && !nobody) {
            ac_call_cut_off(call, 0);
        }
        if (over > LAST_WORDS || nobody) {
            ac_call_complete(call, APPCORE_FAILED);
        }
    }
    pthread_mutex_unlock(&call->mutex);
}

apr_time_t ac_call_expire(apr_time_t now)
{
    static apr_time_t stops_since;
    ac_call_t *call;
    uint32_t at = 0;

    if (!ac_leave_stopping()) {
        return 0;
    }
    stops_since = stops_since ? stops_since : now;
    while ((call = ac_call_next(&at))) {
        expire(call, now - stops_since);
    }
    return now + MIND_EVERY;
}

/* now: of the time of day. */
static void mind(ac_call_t *call, apr_time_t now)
{
    int mine = 0;

    if (!atomic_load(&call->slot.number)) {
        return;
    }
    pthread_mutex_lock(&call->mutex);
    if (atomic_load(&call->slot.number) && call->state == AC_CALL_APP && !call->told
        && now - call->r->request_time > MIND_AFTER
        && has_left(call, ac_call_look(call))) {
        mine = notice(call);
        call->guests += mine;
    }
    pthread_mutex_unlock(&call->mutex);
    if (!mine) {
        return;
    }
    tell(call);
    pthread_mutex_lock(&call->mutex);
    call->guests--;
    pthread_cond_broadcast(&call->changed);
    pthread_mutex_unlock(&call->mutex);
}

apr_time_t ac_call_mind(apr_time_t now)
{
    apr_time_t wall = apr_time_now();
    ac_call_t *call;
    uint32_t at = 0;

    while ((call = ac_call_next(&at))) {
        mind(call, wall);
    }
    return now + MIND_EVERY;
}

/* Steps */

/* What the app waits for and may try now. */
static uint32_t take_events(ac_call_t *call, const ac_task_t *task)
{
    short got = task->got_client;
    uint32_t events = 0;

    if (got & POLLOUT) {
        ac_answer_push(call);
        call->since = 0;
    }
    if (atomic_load(&call->gone)) {
        got = POLLIN | POLLOUT;
    }
    else if (call->r->connection->data_in_output_filters) {
        got &= ~POLLOUT;
    }
    if (call->want_client & got & POLLIN) {
        events |= APPCORE_READABLE;
    }
    if (call->want_client & got & POLLOUT) {
        events |= APPCORE_WRITABLE;
    }
    return events;
}

void ac_call_visit_on_io(ac_call_t *call)
{
    ac_inproc_t *inproc = call->inproc;
    uint32_t events = call->events;
    ac_frame_t frame;

    call->want_client &= ~((events & APPCORE_READABLE ? POLLIN : 0)
                           | (events & APPCORE_WRITABLE ? POLLOUT : 0));
    if (inproc->app.on_io) {
        ac_call_push(&frame, call, AC_FRAME_LATER);
        inproc->app.on_io(inproc->instance, atomic_load(&call->slot.number), call->data,
                          events);
        ac_call_pop(&frame);
    }
}

/* Silence of the client: nothing read is a time-out, nothing taken means that it is
 * gone. A stream in both directions may be silent. */
static void check_time(ac_call_t *call, ac_task_t *task)
{
    apr_time_t now = ac_clock_now();
    short waits = call->upgraded ? call->want_client & POLLOUT : call->want_client;

    task->deadline = 0;
    if (!waits || atomic_load(&call->gone)) {
        return;
    }
    if (!call->since) {
        call->since = now;
    }
    task->deadline = call->since + call->r->server->timeout;
    if (now < task->deadline) {
        return;
    }
    call->since = 0;
    if (waits & POLLOUT) {
        ac_call_client_left(call);
        call->r->connection->aborted = 1;
    }
    else {
        call->fault = APPCORE_TIMEOUT;
    }
    task->got_client |= POLLIN | POLLOUT;
}

/* A socket that was reset would be reported all the time. And the MPM would close an
 * aborted connection, or one to which it cannot write what is held, while the app still
 * has the request. */
static void want_no_client(ac_call_t *call, ac_task_t *task)
{
    conn_rec *c = call->r->connection;

    task->client_fd = -1;
    task->client_is_socket = 0;
    task->want_client = 0;
    task->watch_client = task->reads_body = 0;
    if (!c->master) {
        c->aborted = 0;
        if (c->data_in_output_filters) {
            ac_park_flush(c);
        }
        task->stay = c->data_in_output_filters != 0;
        c->aborted = 0;
    }
}

static void want(ac_call_t *call, ac_task_t *task)
{
    const conn_rec *c = call->r->connection;

    task->fd = call->event_fd;
    task->want = POLLIN;
    task->want_client = call->want_client;
    if (!c->master && c->data_in_output_filters
        && (call->finished || !call->unflushed)) {
        /* The client is to have it, though the app does not wait for that. */
        task->want_client |= POLLOUT;
    }
    task->reads_body = (call->want_client & POLLIN) && !call->upgraded;
    task->watch_client = is_quiet(call);
    if (atomic_load(&call->gone)) {
        want_no_client(call, task);
    }
    if (call->event_fd < 0) {
        task->deadline = ac_clock_earlier(task->deadline, ac_clock_now() + LOOK_EVERY);
    }
}

/* The holder is back. */
static void resume(ac_call_t *call, ac_task_t *task)
{
    eventfd_t n;

    pthread_mutex_lock(&call->mutex);
    call->state = AC_CALL_HOST;
    call->rung &= !task->got;
    if (call->event_fd < 0) {
        call->event_fd = take_event_fd();
        call->rung = 0;
    }
    pthread_mutex_unlock(&call->mutex);
    if (task->got) {
        eventfd_read(call->event_fd, &n);
    }
    task->async = 0;
    if (call->r->connection->aborted || atomic_load(&call->gone)
        || has_left(call, task->got_client)) {
        ac_call_client_left(call);
        call->r->connection->aborted = 1;
    }
}

/* One round of what the app is to do. Returns with the mutex locked. */
static void serve_app(ac_call_t *call, ac_task_t *task)
{
    int mail;

    do {
        pthread_mutex_lock(&call->mutex);
        mail = call->mail != NULL;
        call->events = 0;
        if (!mail && !call->completed) {
            pthread_mutex_unlock(&call->mutex);
            check_time(call, task);
            call->events = take_events(call, task);
            task->got_client = 0;
            pthread_mutex_lock(&call->mutex);
            if (call->completed) {
                call->events = 0;
            }
        }
        if (mail || call->events) {
            pthread_mutex_unlock(&call->mutex);
            ac_call_visit(call, mail ? ac_call_run_mail : ac_call_visit_on_io);
        }
    } while (mail || call->events);
}

int ac_call_step(ac_call_t *call, ac_task_t *task)
{
    resume(call, task);
    serve_app(call, task);
    while (call->mail) {
        pthread_mutex_unlock(&call->mutex);
        serve_app(call, task);
    }
    if (call->completed) {
        ac_call_end(call);
        return call->result;
    }
    call->state = AC_CALL_WAITING;
    pthread_mutex_unlock(&call->mutex);
    ac_answer_push(call);
    want(call, task);
    return AC_TASK_WAIT;
}
