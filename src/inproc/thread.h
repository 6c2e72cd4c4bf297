/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_THREAD_H
#define AC_INPROC_THREAD_H

/* thread_attach() and thread_detach() of apps that have them. Any thread. */

#include "inproc/app.h"

void ac_thread_init(apr_pool_t *pchild);
/* Before a callback on this thread. */
void ac_thread_attach_slow(ac_inproc_t *inproc);
/* After the app's shutdown(): no thread tells it any more that it ends. */
void ac_thread_forget(ac_inproc_t *inproc);

static inline void ac_thread_attach(ac_inproc_t *inproc)
{
    if (inproc->app.thread_attach || inproc->app.thread_detach) {
        ac_thread_attach_slow(inproc);
    }
}

#endif
