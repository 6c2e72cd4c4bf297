/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_LOOK_H
#define AC_SPEC_LOOK_H

/* Looking at a folder: from files to a launch.
 *
 * Runs in a short-lived process of the keeper that has dropped to the app's
 * identity, and in appcorectl check. It opens files beneath the folder only,
 * O_NOFOLLOW, regular, at most AC_LOOK_FILE_MAX bytes, and requires that every
 * component of the folder's path belongs to root or to the caller's uid. It may
 * block on the disk; the keeper's child has a time limit. Everything read is
 * input from somebody else. First match decides. */

#include "spec/launch.h"

#define AC_LOOK_FILE_MAX (1024 * 1024)

/* For whom: a process of the app's own, the child of httpd that starts it, or the one in
 * which it runs already, where nothing may be made. */
typedef enum ac_look_inside_e {
    AC_LOOK_OUTSIDE = 0, AC_LOOK_TO_START, AC_LOOK_AGAIN
} ac_look_inside_e;

/* What the look needs of a spec; encoded by the manager, opaque to the keeper. */
typedef struct ac_look_request_t {
    const char *folder;
    const char *prefix;
    const char *name;
    const ac_settings_t *set;   /* secrets are left out of the encoding */
    const char *companions;     /* as in ac_spec_t */
    ac_look_inside_e inside;    /* not encoded */
} ac_look_request_t;

void ac_look_request_put(ac_wire_writer_t *w, const ac_look_request_t *req);
ac_look_request_t *ac_look_request_get(ac_wire_reader_t *r, apr_pool_t *p);

/* Never NULL; on a fault result says what was looked for and what is wrong. */
ac_launch_t *ac_look(const ac_look_request_t *req, apr_pool_t *p);
/* The same; the folder's watches are added to an inotify descriptor. */
ac_launch_t *ac_look_watched(const ac_look_request_t *req, int inotify, apr_pool_t *p);

#endif
