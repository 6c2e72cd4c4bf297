/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "conn/block.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "base/clock.h"

/* An HTTP/2 stream reports its end by a flag that wakes nobody. */
#define LOOK_AGAIN apr_time_from_msec(500)
#define READ_AGAIN apr_time_from_sec(1)
/* Too short to be worth a change of workers. */
#define MOMENT apr_time_from_msec(4)

/* Readable from the moment on when the child is to end. The MPM closes sockets of
 * clients then, which wakes no poll(). */
static int stop_fd = -1;

void ac_block_child_init(void)
{
    stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void ac_block_stop(void)
{
    if (stop_fd >= 0) {
        eventfd_write(stop_fd, 1);
    }
}

static int timeout_ms(apr_time_t now, apr_time_t until)
{
    apr_interval_time_t left = until - now;

    if (until == 0) {
        return -1;
    }
    /* Rounded up, or the last millisecond would be a busy loop. */
    return left <= 0 ? 0 : (int)((left < apr_time_from_sec(3600)
                                  ? left : apr_time_from_sec(3600)) + 999) / 1000;
}

/* The end of what the client sends is looked for where that ends the task;
 * elsewhere it would be reported over and over while nobody reads. */
static short client_events(const ac_task_t *task)
{
    return task->client_is_socket && task->watch_client
           ? task->want_client | POLLRDHUP : task->want_client;
}

/* Waits until something that the task wants happened or `until` came. A client
 * of which nothing is wanted is not looked at in the first moments: most answers
 * come before it could leave, and looking at two sockets costs. 1 if the child is to
 * end. */
static int wait_once(ac_task_t *task, apr_time_t until, int young)
{
    struct pollfd pfd[3] = {
        { .fd = task->fd, .events = task->want },
        { .fd = task->client_fd, .events = client_events(task) },
        { .fd = young ? -1 : stop_fd, .events = POLLIN },
    };
    int n;

    /* A socket without events tells of a reset all the same. */
    if (young ? !task->want_client : !pfd[1].events && !task->client_is_socket) {
        pfd[1].fd = -1;
    }
    n = poll(pfd, 3, timeout_ms(ac_clock_now(), until));
    task->got = n > 0 ? pfd[0].revents : 0;
    task->got_client = n > 0 ? pfd[1].revents : 0;
    if (n == 0 && task->reads_body) {
        task->got_client = POLLIN;
    }
    return n > 0 && pfd[2].revents;
}

static apr_time_t look_again(const ac_task_t *task, apr_time_t until)
{
    if (!task->client_is_socket) {
        return ac_clock_earlier(until, ac_clock_now() + LOOK_AGAIN);
    }
    return task->reads_body ? ac_clock_earlier(until, ac_clock_now() + READ_AGAIN)
                            : until;
}

int ac_block_run(ac_task_t *task)
{
    apr_time_t slow_at = ac_clock_now() + AC_TASK_BUDGET;
    int rv;

    while ((rv = task->step(task)) == AC_TASK_WAIT) {
        apr_time_t until = ac_clock_earlier(task->deadline, slow_at);

        if (wait_once(task, look_again(task, until), slow_at != 0)) {
            task->r->connection->aborted = 1;
            return AC_TASK_DROPPED;
        }
        if (slow_at && ac_clock_now() >= slow_at) {
            task->slow(task);
            slow_at = 0;
        }
    }
    return rv;
}

int ac_block_for(ac_task_t *task, apr_interval_time_t budget)
{
    apr_time_t end = ac_clock_now() + budget;
    int rv;

    while ((rv = task->step(task)) == AC_TASK_WAIT) {
        apr_time_t until = end, now = ac_clock_now();

        if (task->deadline && task->deadline < now + MOMENT) {
            until = task->deadline;
        }
        else if (now >= end) {
            break;
        }
        wait_once(task, ac_clock_earlier(task->deadline, until), 1);
    }
    return rv;
}
