/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_MANAGER_HINT_H
#define AC_MANAGER_HINT_H

/* When an app's folder is looked at again.
 *
 * Events only hint: what they mean is for the look to say. A page that appears or
 * goes counts at once, other files when they were left alone for a moment, since
 * they are written in steps. Looks of one app keep a distance that grows while
 * hints keep coming, so a busy folder costs at most one process per second. Pure
 * functions over one ac_hint_t per app; times on the ac_clock_now() scale. */

#include <stdint.h>
#include <apr_time.h>
#include "spec/watcher.h"

#define AC_HINT_SETTLE apr_time_from_msec(200)
#define AC_HINT_SETTLE_MAX apr_time_from_sec(2)
/* A deployment takes its time, and a copy of half of it helps nobody. */
#define AC_HINT_CODE_SETTLE apr_time_from_sec(5)
#define AC_HINT_CODE_MAX apr_time_from_sec(60)
#define AC_HINT_GAP_MIN apr_time_from_msec(50)
#define AC_HINT_GAP_MAX apr_time_from_sec(1)
/* Doubled five times, while a folder that is in use cannot be found. */
#define AC_HINT_MISSED apr_time_from_sec(1)
#define AC_HINT_MISSED_MAX 6

typedef enum ac_hint_e {
    AC_HINT_NONE = 0,
    AC_HINT_CODE,               /* a .dll, for apps that run from a copy */
    AC_HINT_FILE,               /* web.config, restart.txt: when they settled */
    AC_HINT_NOW                 /* app_offline.htm, or the folder itself */
} ac_hint_e;

typedef struct ac_hint_t {
    apr_time_t page_due;        /* 0: no look is wanted for that */
    apr_time_t file_due;
    apr_time_t file_first;      /* the oldest hint that waits for files to settle */
    apr_time_t code_due;
    apr_time_t code_first;
    apr_time_t first;           /* the oldest hint that no look has answered */
    apr_time_t looked;          /* when the last look was asked for */
    apr_interval_time_t gap;
    unsigned missed;            /* looks in a row that could watch nothing */
} ac_hint_t;

/* What an inotify event of that mask says; name is "" for one of the watched
 * object itself. */
ac_hint_e ac_hint_of(ac_watched_e what, uint32_t mask, const char *name);

void ac_hint_take(ac_hint_t *hint, ac_hint_e kind, apr_time_t now);
/* When a look is due; 0 for never. */
apr_time_t ac_hint_due(const ac_hint_t *hint);
/* Takes all of them back. */
void ac_hint_drop(ac_hint_t *hint);
/* A look is asked for, hinted or not. */
void ac_hint_looked(ac_hint_t *hint, apr_time_t now);
/* It came to nothing, not even watches: nobody but time hints at the next. */
void ac_hint_missed(ac_hint_t *hint, apr_time_t now);

#endif
