/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Calls whose requests go although the app has them: because their connection is
 * closed, or because the child ends at once. The app is told that the client left, is
 * given what it waits for, and has some time to complete them. */

#include "inproc/call.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http_log.h"
#include "base/clock.h"
#include "inproc/leave.h"

APLOG_USE_MODULE(appcore);

#define LOOK_AGAIN_MS 10
#define EVENTS_AT_ONCE 64

/* What the app waits for comes at once: whatever it tries is answered with GONE. */
static void visit_last(ac_call_t *call)
{
    call->events = (call->want_client & POLLIN ? APPCORE_READABLE : 0)
                   | (call->want_client & POLLOUT ? APPCORE_WRITABLE : 0);
    ac_call_visit_on_io(call);
}

/* The caller becomes the holder. */
static void turn_away(ac_call_t *call)
{
    pthread_mutex_lock(&call->mutex);
    call->state = AC_CALL_HOST;
    pthread_mutex_unlock(&call->mutex);
    call->fault = APPCORE_GONE;
    ac_call_client_left(call);
}

static int may_go_on(const ac_call_t *call, apr_time_t until)
{
    return ac_clock_now() < until && !atomic_load(&call->inproc->forgotten);
}

/* The holder: the app does what is to be done. 1 if the call is not complete after
 * that, and event_fd will tell when to come again. */
static int serve_last(ac_call_t *call, apr_time_t until)
{
    int goes_on, waits;

    do {
        int mail;

        pthread_mutex_lock(&call->mutex);
        mail = call->mail != NULL;
        waits = !call->completed;
        goes_on = mail || (waits && call->want_client);
        call->state = waits && !goes_on ? AC_CALL_WAITING : AC_CALL_HOST;
        pthread_mutex_unlock(&call->mutex);
        if (goes_on) {
            ac_call_visit(call, mail ? ac_call_run_mail : visit_last);
        }
    } while (goes_on && may_go_on(call, until));
    return waits;
}

static void hear(ac_call_t *call)
{
    eventfd_t n;

    pthread_mutex_lock(&call->mutex);
    call->rung = 0;
    pthread_mutex_unlock(&call->mutex);
    eventfd_read(call->event_fd, &n);
}

static int ms_until(apr_time_t until)
{
    apr_interval_time_t left = until - ac_clock_now();

    return left > 0 ? (int)(left / 1000) + 1 : 0;
}

static void await(ac_call_t *call, apr_time_t until)
{
    struct pollfd pfd = { .fd = call->event_fd, .events = POLLIN };

    if (poll(&pfd, 1, ms_until(until)) > 0) {
        hear(call);
    }
}

/* The holder. 1 if the app had completed it. */
static int give_up(ac_call_t *call)
{
    int completed;

    pthread_mutex_lock(&call->mutex);
    completed = call->completed;
    call->state = AC_CALL_HOST;
    ac_call_end(call);
    return completed;
}

void ac_call_drop(ac_call_t *call)
{
    const ac_inproc_t *inproc = call->inproc;
    apr_time_t until;

    if (!atomic_load(&call->slot.number)) {
        /* The end of the app came before that of the connection. */
        return;
    }
    until = ac_clock_now() + ac_leave_for_requests(inproc->config.shutdown_ms);
    turn_away(call);
    /* The app may be looking at what is given back with the request. */
    while (serve_last(call, until) && may_go_on(call, until)) {
        await(call, until);
    }
    if (!give_up(call) && !atomic_load(&inproc->forgotten)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, call->r, "app %s still has a request "
                      "whose connection is closed: %s %s", inproc->mount->spec->name,
                      call->r->method, call->r->uri);
    }
}

/* All of an app */

typedef enum ac_whose_e { AC_NOBODYS, AC_PARKED, AC_HELD } ac_whose_e;

/* Once the MPM has no workers a request of a connection of its own is held by nobody.
 * Those of HTTP/2 and of warming up have threads that see the end for themselves. */
static ac_whose_e whose(ac_call_t *call, const ac_inproc_t *inproc)
{
    appcore_request number = atomic_load(&call->slot.number);
    ac_whose_e whose = AC_NOBODYS;

    if (!number || !ac_call_lock(number)) {
        return AC_NOBODYS;
    }
    if (call->inproc == inproc) {
        const conn_rec *c = call->r->connection;

        whose = !c->master && c->cs ? AC_PARKED : AC_HELD;
    }
    ac_call_unlock(call);
    return whose;
}

/* How many of those that were parked wait now. */
static int turn_all_away(const ac_inproc_t *inproc, int epoll, apr_time_t until)
{
    ac_call_t *call;
    uint32_t at = 0;
    int n = 0;

    while ((call = ac_call_next(&at))) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = call };

        if (whose(call, inproc) != AC_PARKED) {
            continue;
        }
        turn_away(call);
        if (!serve_last(call, until)) {
            give_up(call);
        }
        else if (epoll_ctl(epoll, EPOLL_CTL_ADD, call->event_fd, &event) == 0) {
            n++;
        }
    }
    return n;
}

/* 1 if it is one less. */
static int come_back(ac_call_t *call, apr_time_t until)
{
    hear(call);
    /* It may have rung after its end. */
    if (!atomic_load(&call->slot.number) || serve_last(call, until)) {
        return 0;
    }
    give_up(call);
    return 1;
}

static void await_parked(int epoll, int n, apr_time_t until)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int i, ready;

    while (n > 0
           && (ready = epoll_wait(epoll, events, EVENTS_AT_ONCE, ms_until(until))) > 0) {
        for (i = 0; i < ready; i++) {
            n -= come_back(events[i].data.ptr, until);
        }
    }
}

static int count_held(const ac_inproc_t *inproc)
{
    ac_call_t *call;
    uint32_t at = 0;
    int n = 0;

    while ((call = ac_call_next(&at))) {
        n += whose(call, inproc) == AC_HELD;
    }
    return n;
}

static void give_all_up(const ac_inproc_t *inproc)
{
    ac_call_t *call;
    uint32_t at = 0;
    int n = 0;

    while ((call = ac_call_next(&at))) {
        n += whose(call, inproc) == AC_PARKED && !give_up(call);
    }
    if (n > 0) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, inproc->server, "app %s still has %d "
                     "request%s when it is to end; the clients are gone",
                     inproc->mount->spec->name, n, n == 1 ? "" : "s");
    }
}

void ac_call_drop_all(const ac_inproc_t *inproc, apr_time_t until)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    await_parked(epoll, turn_all_away(inproc, epoll, until), until);
    while (ac_clock_now() < until && count_held(inproc) > 0) {
        poll(NULL, 0, LOOK_AGAIN_MS);
    }
    give_all_up(inproc);
    if (epoll >= 0) {
        close(epoll);
    }
}
