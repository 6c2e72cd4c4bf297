/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_MANAGER_MANAGER_H
#define AC_MANAGER_MANAGER_H

/* The manager: decides, probes, writes the board.
 *
 * One per keeper, forked by it, without privileges, single-threaded, epoll. It
 * may die at any time: the keeper starts another and hands it every descriptor
 * and the state that it noted for each process. All decisions about one app are
 * in the pure state machine of manager/supervise.h; this room carries them out. */

/* link: to the keeper. Runs in the forked process, identity already dropped by
 * the keeper; never returns. */
void ac_manager_main(int link) __attribute__((noreturn));

#endif
