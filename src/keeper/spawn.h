/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_KEEPER_SPAWN_H
#define AC_KEEPER_SPAWN_H

/* Running a program of an app.
 *
 * The keeper forks and goes on; everything that may fail or wait happens in the
 * child. Its way up to exec is told through a close-on-exec pipe: an end without
 * bytes means that the program runs, an ac_result_t says what went wrong.
 *
 * The child becomes nothing before it is released. Should the keeper be killed
 * first, before it has written down whom it made, then the child ends: nobody would
 * ever end the program. */

#include <sys/types.h>
#include <apr_errno.h>
#include "base/result.h"
#include "keeper/config.h"

typedef struct ac_spawn_t {
    const ac_keeper_app_t *app;
    const char **argv;          /* NULL-terminated */
    const char **env;           /* "LISTEN_PID=" is completed */
    const struct rlimit *files; /* RLIMIT_NOFILE of an app that has none of its own */
    uint64_t mark;              /* what it and all that it starts are known by; or 0 */
    int in;                     /* -1: /dev/null, here and in the next two */
    int out;
    int err;
    int listener;               /* becomes descriptor 3; -1: none */
} ac_spawn_t;

typedef struct ac_spawned_t {
    pid_t pid;
    int status;                 /* the reading end of that pipe, non-blocking */
    int go;                     /* closed by ac_spawn_release() */
} ac_spawned_t;

apr_status_t ac_spawn(ac_spawned_t *spawned, const ac_spawn_t *what);
void ac_spawn_release(ac_spawned_t *spawned);

/* APR_EAGAIN: the child is on its way; APR_SUCCESS: *res says how it went. */
apr_status_t ac_spawn_status(int status_fd, ac_result_t *res);

/* In a fresh child: default signals, empty mask. */
void ac_spawn_reset_signals(void);
/* In a fresh child: only /dev/null as 0, 1, 2 and `fd` (which may be -1) as 3. */
void ac_spawn_keep_one(int fd);
/* The same with a second one, as descriptor 4; -1 for none. */
void ac_spawn_keep_two(int fd, int second);

#endif
