/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_SURVEY_H
#define AC_SPEC_SURVEY_H

/* What an app's folder says about running it at all: app_offline.htm, and marks
 * that change when the app is to be replaced.
 *
 * Taken by every look, whatever else the look finds, with the app's identity;
 * plain data afterwards, decoded within limits. Comparing is pure. */

#include "base/wire.h"
#include "spec/folder.h"
#include "spec/watcher.h"

#define AC_OFFLINE_NAME "app_offline.htm"
#define AC_OFFLINE_MAX (1024 * 1024)

/* Fingerprints, no security. folder is 0 where nothing is known. */
typedef struct ac_marks_t {
    uint64_t folder;            /* which one the path leads to */
    uint64_t config;            /* web.config, or that there is none */
    uint64_t restart;           /* when tmp/restart.txt was touched; 0: not there */
    uint64_t copy;              /* shadow copy that it runs from, from 1; 0: none */
    uint64_t files;             /* those of AppCoreRecycleOnFileChange; 0: none */
} ac_marks_t;

/* Is what was started under `then` out of date? Deleting restart.txt is no wish
 * for a restart. keep_config: web.config alone is no reason. */
int ac_marks_changed(const ac_marks_t *then, const ac_marks_t *now, int keep_config);
void ac_marks_put(ac_wire_writer_t *w, const ac_marks_t *marks);
void ac_marks_get(ac_wire_reader_t *r, ac_marks_t *marks);

typedef struct ac_survey_t {
    ac_marks_t marks;
    apr_array_header_t *watched;        /* ac_watched_t; NULL for none */
    int blind;                  /* errno of why changes go unnoticed, or 0 */
    int is_offline;             /* there is an app_offline.htm */
    const char *page;           /* its content; "" when it cannot be read */
    apr_size_t page_len;
    const char *page_fault;     /* why it cannot; NULL */
} ac_survey_t;

/* watcher has watched the way to the folder already; files are patterns. */
void ac_survey_take(ac_survey_t *survey, const ac_folder_t *folder,
                    const apr_array_header_t *files, ac_watcher_t *watcher);
void ac_survey_put(ac_wire_writer_t *w, const ac_survey_t *survey);
void ac_survey_get(ac_wire_reader_t *r, ac_survey_t *survey, apr_pool_t *p);

#endif
