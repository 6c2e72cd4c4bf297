/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_CONN_BLOCK_H
#define AC_CONN_BLOCK_H

/* Runs a task to its end on the worker that calls, with poll(). When httpd ends this
 * child at once, so that nobody would get an answer any more, the task is dropped and
 * the worker can be had. */

#include "conn/task.h"

/* Once in each child, before the first task. */
void ac_block_child_init(void);
/* The child ends at once. Any thread. */
void ac_block_stop(void);

/* What the last step returned, or AC_TASK_DROPPED. Blocks for as long as that takes. */
int ac_block_run(ac_task_t *task);

/* The same for that long at most: AC_TASK_WAIT if the task still waits then. */
int ac_block_for(ac_task_t *task, apr_interval_time_t budget);

#endif
