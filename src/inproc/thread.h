/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_THREAD_H
#define AC_INPROC_THREAD_H

/* thread_attach() and thread_detach() of apps that have them, and ends of threads. Any
 * thread. */

#include "inproc/app.h"

void ac_thread_init(apr_pool_t *pchild);
/* child_init, before an app is loaded: from now on threads end whatever it does. */
void ac_thread_prepare(void);
/* Before a callback on this thread. */
void ac_thread_attach_slow(ac_inproc_t *inproc);
/* 1 when that thread has ended, within that time; else it may be asked again. */
int ac_thread_join(pthread_t thread, apr_interval_time_t patience);

static inline void ac_thread_attach(ac_inproc_t *inproc)
{
    if (inproc->app.thread_attach || inproc->app.thread_detach) {
        ac_thread_attach_slow(inproc);
    }
}

#endif
