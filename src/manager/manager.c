/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "manager/manager.h"

#include <signal.h>
#include <sys/prctl.h>

#include "manager/loop.h"

void ac_manager_main(int link)
{
    /* A child that goes away must not take us with it. */
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NAME, "appcore-manager", 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    ac_loop_run(ac_loop_create(link));
}
