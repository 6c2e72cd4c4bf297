/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "conn/nest.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

void ac_nest_init(ac_nest_t *nest, int client_fd)
{
    nest->fd = nest->app_fd = -1;
    nest->client_fd = client_fd;
    nest->client_events = 0;
}

/* A descriptor that was closed has left the epoll by itself, and another may have
 * got its number: what was added before is not to be relied on. */
static int watch(int epoll_fd, int fd, uint32_t want)
{
    struct epoll_event event = { .events = want, .data.fd = fd };

    if (!want) {
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 1;
    }
    return epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0
           || (errno == ENOENT && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
}

/* Without EPOLLIN the client's next request, already there, wakes nobody. The end of
 * what it sends is asked for only where it ends the task, or it would be reported all
 * the time while nobody reads; a reset always is, unless the task looks away. */
static uint32_t client_events(const ac_task_t *task)
{
    uint32_t events = (uint32_t)task->want_client;

    if (task->client_fd < 0) {
        return 0;
    }
    return task->watch_client ? events | EPOLLRDHUP : events | EPOLLERR;
}

static int watch_client(ac_nest_t *nest, uint32_t events)
{
    if (events == nest->client_events) {
        return 1;
    }
    nest->client_events = events;
    return watch(nest->fd, nest->client_fd, events);
}

/* What is not wanted of the app is not watched at all: a closed connection would
 * report its end all the time. */
static int watch_app(ac_nest_t *nest, const ac_task_t *task)
{
    if (nest->app_fd >= 0 && nest->app_fd != task->fd) {
        watch(nest->fd, nest->app_fd, 0);
    }
    nest->app_fd = task->fd;
    return task->fd < 0 || watch(nest->fd, task->fd, (uint32_t)task->want);
}

int ac_nest_arm(ac_nest_t *nest, const ac_task_t *task)
{
    if (nest->fd < 0) {
        nest->fd = epoll_create1(EPOLL_CLOEXEC);
    }
    return nest->fd >= 0 && watch_client(nest, client_events(task))
           && watch_app(nest, task);
}

void ac_nest_collect(ac_nest_t *nest, ac_task_t *task)
{
    struct epoll_event events[3];
    int n = epoll_wait(nest->fd, events, 3, 0), i;

    task->got = task->got_client = 0;
    for (i = 0; i < n; i++) {
        if (events[i].data.fd == nest->client_fd) {
            task->got_client = (short)events[i].events;
        }
        else if (events[i].data.fd == nest->app_fd) {
            task->got = (short)events[i].events;
        }
    }
    if (task->reads_body) {
        task->got_client |= POLLIN;
    }
}

void ac_nest_lost(ac_nest_t *nest)
{
    ac_nest_init(nest, nest->client_fd);
}

void ac_nest_close(ac_nest_t *nest)
{
    if (nest->fd >= 0) {
        close(nest->fd);
    }
    ac_nest_init(nest, nest->client_fd);
}
