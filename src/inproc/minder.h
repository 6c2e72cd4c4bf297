/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_MINDER_H
#define AC_INPROC_MINDER_H

/* The threads that mind the apps of this child: whatever of them has a clock.
 *
 * Two per child that hosts an app, with all signals blocked, from child_init until
 * the child's pool goes. Duties are functions that look around and say when they
 * want to be called again. Those of the first one may block for a moment, but not for
 * an app; whatever may call one is the other's, which an app that does not return
 * holds up alone. */

#include <apr_pools.h>
#include <apr_time.h>

#define AC_MINDER_DUTIES 8

typedef enum ac_minder_e {
    AC_MINDER_CHILD = 0,        /* what keeps the child in order */
    AC_MINDER_CALLBACKS,
    AC_MINDERS
} ac_minder_e;

/* Both times in the scale of ac_clock_now(); 0: not before ac_minder_wake(). */
typedef apr_time_t ac_minder_fn(apr_time_t now);

/* child_init, before the start: fn is called at the start and whenever anything
 * woke the minder. */
void ac_minder_add(ac_minder_e which, ac_minder_fn *fn);
/* A descriptor that wakes AC_MINDER_CHILD when it is readable; emptying it is a duty's
 * affair. */
void ac_minder_watch(int fd);
apr_status_t ac_minder_start(void);
/* Any thread: AC_MINDER_CHILD. Nothing happens without a minder. */
void ac_minder_wake(void);
/* 1 when the thread has ended, within that time; else it may be asked again. */
int ac_minder_stop(ac_minder_e which, apr_interval_time_t patience);

#endif
