/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_KEEPER_LOGFILE_H
#define AC_KEEPER_LOGFILE_H

/* Log files of an app: PREFIX_yyyyMMddHHmmss_PID.log.
 *
 * Runs with the app's identity in its folder, in a process that has nothing
 * else. The prefix comes from the app's folder and is taken literally. Regular
 * files alone are opened and, beyond `keep`, deleted. */

#include <sys/types.h>
#include "shared/message.h"

apr_status_t ac_logfile_open(int *pfd, const ac_log_target_t *target, const char *stamp,
                             pid_t pid, apr_pool_t *p);

#endif
