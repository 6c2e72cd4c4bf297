/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_RELAY_RELAY_H
#define AC_RELAY_RELAY_H

/* The relay: app output, line by line, to the log it belongs to.
 *
 * One per keeper, forked by it, without privileges, single-threaded, epoll. A
 * stalled disk or logger stalls only the relay: memory is bounded per stream,
 * beyond it lines are dropped and the number is said in one line. Control bytes
 * are escaped as httpd does. The keeper holds both ends of every pipe, so a
 * relay that dies costs lines, never an app. */

/* link: to the keeper; peer: to the manager. Never returns. */
void ac_relay_main(int link, int peer) __attribute__((noreturn));

#endif
