/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_CONN_SLIM_H
#define AC_CONN_SLIM_H

/* Memory that a connection keeps for its next moments, and that thousands of waiting
 * ones keep in vain, goes back to the system. By the worker that parks the task,
 * before the connection's socket is exchanged; takes some microseconds. */

#include "conn/task.h"

void ac_slim(const ac_task_t *task);

#endif
