/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_KEEPER_KEEPER_H
#define AC_KEEPER_KEEPER_H

/* The keeper: the one process of ours that is root.
 *
 * One per httpd parent, forked from it in post_config, session leader and
 * subreaper, single-threaded, epoll and signalfd. It forks apps, the look
 * children, manager and relay; holds what must outlive them (listeners, output
 * pipes, pidfds, last exits); watches httpd's parent by pidfd and ends every app
 * when httpd is gone. Of what crosses to it, only the parent's table is
 * believed: identity, limits and folder of an app come from there, never from
 * the manager. It parses nothing that an app or a client wrote. With SIGUSR2 it
 * leaves at once and the apps to the next keeper; this signal never changes. */

#include <sys/types.h>
#include <apr_pools.h>

typedef struct ac_keeper_args_t {
    int control;                /* link to httpd's parent */
    int board_fd;               /* read-write */
    int rows_fd;
    int wake_fd;                /* receiving end */
    int stderr_fd;              /* main error log, or -1 */
    pid_t parent;               /* httpd's parent */
} ac_keeper_args_t;

/* Runs in the forked process; closes every other descriptor; never returns. */
void ac_keeper_main(const ac_keeper_args_t *args) __attribute__((noreturn));

#endif
