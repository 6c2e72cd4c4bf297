/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_INSIDE_H
#define AC_REQUEST_INSIDE_H

/* One request of an app that runs inside this child: the counterpart of
 * request/serve.h.
 *
 *   AWAIT   the app is being started, or replaced: waits for that, within the limits
 *           of the queue --> CALL; hopeless --> end
 *   CALL    the app has it, on this worker --> answered: end; pending --> PENDING
 *   PENDING a task (conn/task.h): parked, or with its worker in poll() --> end
 *
 * Where the app is ready and answers at once there is no task and no wait. */

#include "conf/conf.h"
#include "inproc/app.h"

/* The app is OUTSIDE: tells the manager, once, that this child needs it there. */
void ac_inside_ask(ac_inproc_t *inproc);
/* What the handler returns; AC_ANSWERED included. */
int ac_inside_serve(request_rec *r, const ac_mount_t *mount, ac_inproc_t *inproc);

#endif
