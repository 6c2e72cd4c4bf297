/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_RELAY_LOOP_H
#define AC_RELAY_LOOP_H

/* The relay's event loop: epoll, level-triggered, one event at a time.
 *
 * One at a time because a handler may close and free any watch, also one whose
 * event waits in the same batch. A watch is part of its owner's struct and must
 * be taken out before its descriptor is closed: descriptors here are shared with
 * other processes, so closing one does not end its registration. */

#include <stdint.h>
#include <apr_errno.h>

typedef struct ac_relay_loop_t {
    int epoll;
} ac_relay_loop_t;

typedef struct ac_relay_watch_t ac_relay_watch_t;
typedef void ac_relay_watch_fn(ac_relay_watch_t *watch, uint32_t events);

struct ac_relay_watch_t {
    int fd;                     /* -1: none */
    uint32_t events;            /* EPOLLIN, EPOLLOUT registered now; 0: not at all */
    ac_relay_watch_fn *ready;
    void *owner;
};

apr_status_t ac_relay_loop_create(ac_relay_loop_t *loop);
/* Waits timeout_ms (-1: for ever) and serves one event; 0 if there was none. */
int ac_relay_loop_once(ac_relay_loop_t *loop, int timeout_ms);

void ac_relay_watch_init(ac_relay_watch_t *watch, ac_relay_watch_fn *ready, void *owner);
/* Registers, changes or (events 0) takes out. APR_EPERM for a descriptor that
 * epoll cannot watch, such as a file: it is always ready. */
apr_status_t ac_relay_watch_set(ac_relay_loop_t *loop, ac_relay_watch_t *watch,
                                uint32_t events);
void ac_relay_watch_close(ac_relay_loop_t *loop, ac_relay_watch_t *watch);

#endif
