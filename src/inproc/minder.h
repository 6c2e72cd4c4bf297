/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_MINDER_H
#define AC_INPROC_MINDER_H

/* The thread that minds the apps of this child: whatever of them has a clock.
 *
 * One per child that hosts an app, with all signals blocked, from child_init until
 * the child's pool goes. Duties are functions that look around and say when they
 * want to be called again; they may block for a moment, but not for an app. */

#include <apr_pools.h>
#include <apr_time.h>

#define AC_MINDER_DUTIES 8

/* Both times in the scale of ac_clock_now(); 0: not before ac_minder_wake(). */
typedef apr_time_t ac_minder_fn(apr_time_t now);

/* child_init, before the start: fn is called at the start and whenever anything
 * woke the minder. */
void ac_minder_add(ac_minder_fn *fn);
/* A descriptor that wakes it when it is readable; emptying it is a duty's affair. */
void ac_minder_watch(int fd);
apr_status_t ac_minder_start(void);
/* Any thread. Nothing happens without a minder. */
void ac_minder_wake(void);
/* 1 when the thread has ended, within that time; else it may be asked again. An app
 * that does not return from a callback holds it up. */
int ac_minder_stop(apr_interval_time_t patience);

#endif
