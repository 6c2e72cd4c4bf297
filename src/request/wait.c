/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/wait.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http_log.h"
#include "base/clock.h"
#include "request/child.h"

APLOG_USE_MODULE(appcore);

#define LOOK_AGAIN apr_time_from_sec(1)
/* The manager's mailbox was full: it is busy, for milliseconds. */
#define ASK_AGAIN apr_time_from_msec(10)

void ac_wait_init(ac_wait_t *w, request_rec *r, const ac_mount_t *mount)
{
    memset(w, 0, sizeof(*w));
    w->r = r;
    w->mount = mount;
    w->place = -1;
    w->left = mount->spec->set->queue_time.v;
    w->waiter.fd = -1;
    w->waiter.app_id = mount->spec->id;
}

void ac_wait_arrive(ac_wait_t *w, const ac_board_app_t *app)
{
    if (!w->failures_known) {
        w->failures = app->failures;
        w->failures_known = 1;
    }
}

/* Room in the queue; an app that the board does not know has none to count. */
static int take_place(ac_wait_t *w, int index)
{
    ac_child_t *child = ac_child();
    uint32_t limit = (uint32_t)w->mount->spec->set->queue_limit.v;

    if (w->place >= 0 || index < 0) {
        return 1;
    }
    if (!ac_rows_wait_take(child->rows, child->row, (unsigned)index, limit)) {
        return 0;
    }
    w->place = index;
    return 1;
}

static void join(ac_wait_t *w)
{
    if (w->joined) {
        return;
    }
    w->joined = 1;
    w->deadline = ac_clock_now() + w->left;
    w->waiter.index = -1;
    if (w->mount->spec->set->max_concurrency.v > 0 && !w->waiter.since) {
        w->waiter.since = ac_rows_moment(ac_clock_now());
    }
    /* What came free before it was in the queue was not told to it. */
    atomic_store(&w->waiter.called, w->waiter.since != 0);
    w->waiter.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ac_dispatch_join(&w->waiter);
}

/* An app on its way needs no telling, unless that goes on for long. */
static void ask(ac_wait_t *w, apr_time_t now)
{
    apr_status_t rv = APR_SUCCESS;

    if (now < w->ask_at) {
        return;
    }
    if (w->asked) {
        /* Told once without an answer: it may be a manager that knows nobody. */
        ac_child_hello();
    }
    if (w->asked || w->waiter.index < 0 || w->waiter.seen.state != AC_APP_STARTING) {
        rv = ac_child_wake(w->mount->spec->id);
    }
    w->asked = rv == APR_SUCCESS;
    w->ask_at = now + (APR_STATUS_IS_EAGAIN(rv) ? ASK_AGAIN : LOOK_AGAIN);
}

static int client_gone(const ac_wait_t *w, short revents)
{
    return w->r->connection->aborted
           || (revents & (POLLHUP | POLLERR))
           || ((revents & POLLRDHUP) && !ap_request_has_body(w->r));
}

/* What the board says against what the caller saw: is there something new? */
static int news(const ac_wait_t *w)
{
    const ac_waiter_t *waiter = &w->waiter;
    ac_board_app_t now;
    int at = ac_child_app(w->mount, &now);

    return at != waiter->index
           || (at >= 0 && memcmp(&now, &waiter->seen, sizeof(now)) != 0);
}

/* A supervisor that is being replaced is waited for; one that cannot start is not.
 * What runs goes on without it. */
static int abandoned(const ac_wait_t *w)
{
    return (w->waiter.index < 0 || w->waiter.seen.state != AC_APP_RUNNING)
           && ac_board_abandoned(ac_child()->board);
}

static ac_wait_e look(ac_wait_t *w)
{
    apr_time_t now = ac_clock_now();
    int called = atomic_exchange(&w->waiter.called, 0);

    if ((called && w->turn) || news(w)) {
        return AC_WAIT_AGAIN;
    }
    if (abandoned(w)) {
        return AC_WAIT_ABANDONED;
    }
    if (now >= w->deadline) {
        return AC_WAIT_TIME;
    }
    if (w->nap_end && now >= w->nap_end) {
        w->overdue = 1;
        return AC_WAIT_AGAIN;
    }
    ask(w, now);
    w->until = ac_clock_earlier(ac_clock_earlier(w->deadline, w->nap_end), w->ask_at);
    return AC_WAIT_PENDING;
}

ac_wait_e ac_wait_begin(ac_wait_t *w, int index, const ac_board_app_t *seen,
                        apr_interval_time_t nap)
{
    if (index >= 0) {
        ac_wait_arrive(w, seen);
        if (seen->failures != w->failures) {
            return AC_WAIT_FAILED;
        }
    }
    if (!take_place(w, index)) {
        return AC_WAIT_FULL;
    }
    join(w);
    ac_dispatch_update(&w->waiter, index, seen);
    w->turn = nap == AC_WAIT_TURN;
    w->nap_end = nap > 0 ? ac_clock_now() + nap : 0;
    return look(w);
}

ac_wait_e ac_wait_check(ac_wait_t *w, short got, short got_client)
{
    eventfd_t n;

    if (got) {
        eventfd_read(w->waiter.fd, &n);
    }
    return client_gone(w, got_client) ? AC_WAIT_CLIENT_GONE : look(w);
}

int ac_wait_is_turn(ac_wait_t *w, int index)
{
    const ac_child_t *child = ac_child();
    int overdue = w->overdue;

    w->overdue = 0;
    if (!w->joined) {
        return ac_rows_wait_count(child->rows, (unsigned)index) == 0;
    }
    return overdue
           || ac_rows_wait_is_first(child->rows, (unsigned)index, w->waiter.since);
}

void ac_wait_call_next(const ac_mount_t *mount, int index)
{
    const ac_child_t *child = ac_child();
    int row;

    if (index < 0 || ac_rows_wait_count(child->rows, (unsigned)index) == 0) {
        return;
    }
    row = ac_rows_wait_first(child->rows, (unsigned)index);
    if (row >= 0 && row == child->row) {
        ac_dispatch_call(index);
    }
    else if (row >= 0) {
        ac_child_wake(mount->spec->id);
    }
}

void ac_wait_end(ac_wait_t *w)
{
    ac_child_t *child = ac_child();

    if (w->joined) {
        w->left = w->deadline - ac_clock_now();
        ac_dispatch_leave(&w->waiter);
        w->joined = 0;
    }
    if (w->waiter.fd >= 0) {
        close(w->waiter.fd);
        w->waiter.fd = -1;
    }
    if (w->place >= 0) {
        ac_rows_wait_put(child->rows, child->row, (unsigned)w->place);
        w->place = -1;
    }
}
