/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_GUARD_H
#define AC_INPROC_GUARD_H

/* What an app could do to httpd by way of this process: take its signals, or end it
 * with a status that httpd's parent takes for a reason to stop.
 *
 * Process-wide, one child. A runtime sets its handlers while it starts, chaining to
 * those that it finds, so httpd's can be put back behind its back. exit() in an app
 * is caught by an on_exit() handler; _exit() and signals cannot be. */

/* child_init, before any app is loaded. fn is told when a thread of this process
 * calls exit() where httpd does not end the child; it may take its time, and names
 * the status to end with. is_threaded: the MPM. */
void ac_guard_init(int (*exiting)(int status), int is_threaded);

/* Puts back what was httpd's. Any thread. */
void ac_guard_restore_signals(void);

/* The first thread, in child_init: httpd wants this process to end already. */
int ac_guard_is_asked(void);

/* Apps are asked to end: exit() is no surprise now. */
void ac_guard_expect_exit(void);
/* From now on exit() is httpd's own. */
void ac_guard_let_exit(void);
/* Such an exit with that status, by which the MPM says that it lacked resources, is
 * our doing and no sickness. Not 0. */
void ac_guard_forgive(int status);

#endif
