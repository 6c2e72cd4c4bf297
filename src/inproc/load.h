/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_LOAD_H
#define AC_INPROC_LOAD_H

/* From a shared object to the table of an app.
 *
 * Runs in a child of httpd that has no privileges, on the thread that starts the
 * app; constructors of the object may do anything, so the call may take any time.
 * What the app's table lacks, because it was compiled before, is NULL. */

#include <apr_pools.h>

#include "appcore.h"
#include "base/result.h"

/* The app's table in *app, or 0 with *res set. The object is never closed. */
int ac_inproc_load(appcore_app *app, const char *path, ac_result_t *res);

/* Copies the part of a table that its maker knew; 0 with *res set when that is not
 * one of ours. */
int ac_inproc_take(appcore_app *app, const appcore_app *theirs, const char *path,
                   ac_result_t *res);

/* A start that failed, with ANCM's sub-status of 500. No stage: those are the steps
 * of a process's start. */
void ac_inproc_refuse(ac_result_t *res, ac_fault_e fault, int substatus,
                      const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
