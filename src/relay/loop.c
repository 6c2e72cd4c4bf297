/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "relay/loop.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>

apr_status_t ac_relay_loop_create(ac_relay_loop_t *loop)
{
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    return loop->epoll < 0 ? errno : APR_SUCCESS;
}

int ac_relay_loop_once(ac_relay_loop_t *loop, int timeout_ms)
{
    struct epoll_event event;
    ac_relay_watch_t *watch;

    if (epoll_wait(loop->epoll, &event, 1, timeout_ms) != 1) {
        return 0;
    }
    watch = event.data.ptr;
    watch->ready(watch, event.events);
    return 1;
}

void ac_relay_watch_init(ac_relay_watch_t *watch, ac_relay_watch_fn *ready, void *owner)
{
    watch->fd = -1;
    watch->events = 0;
    watch->ready = ready;
    watch->owner = owner;
}

apr_status_t ac_relay_watch_set(ac_relay_loop_t *loop, ac_relay_watch_t *watch,
                                uint32_t events)
{
    struct epoll_event event;
    int op;

    if (watch->fd < 0 || events == watch->events) {
        return APR_SUCCESS;
    }
    memset(&event, 0, sizeof(event));
    event.events = events;
    event.data.ptr = watch;
    op = !events ? EPOLL_CTL_DEL : watch->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(loop->epoll, op, watch->fd, &event) < 0) {
        return errno;
    }
    watch->events = events;
    return APR_SUCCESS;
}

void ac_relay_watch_close(ac_relay_loop_t *loop, ac_relay_watch_t *watch)
{
    if (watch->fd >= 0) {
        ac_relay_watch_set(loop, watch, 0);
        close(watch->fd);
        watch->fd = -1;
    }
}
