/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_WARM_H
#define AC_INPROC_WARM_H

/* Requests of ours to an app that says it takes requests, before it counts as ready.
 *
 * AppCoreWarmUpPath must be answered below 400, or the start has failed. What a
 * web.config lists for application initialization is only asked for: an app in
 * process always starts without a request. They take as long as the start may. */

#include "inproc/app.h"

typedef struct ac_inproc_answer_t {
    int status;                 /* 0: there was none */
    const char *location;       /* of a redirect, or NULL */
} ac_inproc_answer_t;

/* Asks the app in place of a client, whose socket client_fd is, and waits for the
 * answer. target: as in a request line. */
typedef void ac_inproc_ask_fn(ac_inproc_t *inproc, const char *target, int client_fd,
                              ac_inproc_answer_t *answer, apr_pool_t *p);

/* child_init: who can make requests. */
void ac_inproc_warm_init(ac_inproc_ask_fn *ask);

/* The thread that starts the app. 0: it is not ready, and its outcome is known. */
int ac_inproc_warm_up(ac_inproc_t *inproc);

/* Any thread: the client leaves, since the start has taken too long. The page that was
 * asked for, as long as the process lives; NULL: none. */
const char *ac_inproc_warm_stop(ac_inproc_t *inproc);

#endif
