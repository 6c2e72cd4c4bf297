/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_WATCH_H
#define AC_INPROC_WATCH_H

/* What happens to an app's folder while a child hosts the app: app_offline.htm, a
 * changed web.config, tmp/restart.txt, another shared object. All of it leads to
 * another child, since code that was loaded cannot be taken back; only what was
 * offline and had loaded nothing starts where it is.
 *
 * The minder's; the watches are those of spec/watcher.h, one inotify instance per
 * child. */

#include "inproc/app.h"

/* child_init, before apps start. The descriptor for looks; -1: none. */
int ac_watch_init(void);
int ac_watch_fd(void);

/* Any thread, once a look is done: what is to be compared later. */
void ac_watch_remember(ac_inproc_t *inproc);

#endif
