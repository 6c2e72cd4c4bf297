/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_CONN_NEST_H
#define AC_CONN_NEST_H

/* The epoll descriptor that takes the place of a parked connection's socket: client
 * and app are in it, so whoever polls it polls both.
 *
 * One per parked request, from its first park to its end; used by the worker that
 * holds the connection. Nothing blocks. */

#include "conn/task.h"

typedef struct ac_nest_t {
    int fd;                     /* -1: not made yet */
    int client_fd;
    uint32_t client_events;     /* as they are in the epoll */
    int app_fd;
} ac_nest_t;

void ac_nest_init(ac_nest_t *nest, int client_fd);
/* Watches what the task wants: 1, or 0 when the kernel refuses. */
int ac_nest_arm(ac_nest_t *nest, const ac_task_t *task);
/* Tells the task what happened. */
void ac_nest_collect(ac_nest_t *nest, ac_task_t *task);
/* Somebody else closed it. */
void ac_nest_lost(ac_nest_t *nest);
void ac_nest_close(ac_nest_t *nest);

#endif
