/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SHARED_REPORT_H
#define AC_SHARED_REPORT_H

/* The last failure of an app, in full, for its error page.
 *
 * One file per app, RUNTIMEDIR/r/ID, in a folder that only httpd's user can
 * enter. The manager writes it (new file, rename), httpd's children read it
 * when they have an error page to make; never on a request that succeeds. May
 * block on the disk like any file. Bounded by AC_REPORT_MAX; a reader treats
 * the bytes as foreign. Secrets are never in it. */

#include <apr_pools.h>
#include <apr_tables.h>
#include "base/result.h"

#define AC_REPORT_MAX (128 * 1024)

typedef struct ac_report_t {
    ac_result_t result;
    apr_time_t when;            /* apr_time_now() of the failure */
    const char *found;          /* what the look found */
    const char *command;        /* command line as run */
    const char *folder;
    const char *user;
    uint32_t pid;               /* 0: none was started */
    int32_t wait_status;        /* as waitpid gives it; -1: still runs or never ran */
    uint32_t slot;
    uint32_t generation;
    apr_interval_time_t lasted; /* from exec to the end */
    uint32_t kind;              /* ac_kind_e */
    const char *evidence;       /* of the output, what shows the reason */
    const char *hint;           /* what is wrong and what usually helps */
    const char *link;           /* ANCM_ADDITIONAL_ERROR_PAGE_LINK */
    const char *output;         /* first AC_CAPTURE_MAX characters */
    apr_array_header_t *notices;/* const char * */
} ac_report_t;

apr_status_t ac_report_write(const char *runtime_dir, uint64_t app_id,
                             const ac_report_t *report, apr_pool_t *ptemp);
apr_status_t ac_report_read(const char *runtime_dir, uint64_t app_id,
                            ac_report_t **preport, apr_pool_t *p);
void ac_report_remove(const char *runtime_dir, uint64_t app_id);

#endif
