/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_PAGE_TEXT_H
#define AC_REQUEST_PAGE_TEXT_H

/* The text of an error page: HTML5, complete in itself, readable on a phone.
 *
 * The short page is for the public and says nothing about the app but that it
 * does not answer. The detailed one tells how far the start came, what was run
 * and what it printed. Everything from the app or its folder is foreign: HTML is
 * escaped, escape sequences of terminals are left out, and what is no UTF-8 is
 * replaced. The same page gives the same text every time. Pure; APR only. */

#include <apr_pools.h>
#include "shared/report.h"

typedef struct ac_page_t {
    int status;                 /* 500, 502, 503, 504 */
    int substatus;              /* ANCM's; 0 if none */
    int retry_after;            /* seconds, for 503; 0: not said */
    int detailed;               /* AppCoreDetailedErrors, resolved */
    int bare;                   /* AppCoreDisableStartUpErrorPage */
    const char *app;            /* the app's name */
    const char *detail;         /* one sentence, beside the report's; or NULL */
    const ac_report_t *report;  /* of the app's last failure, or NULL */
} ac_page_t;

/* "502.5", "503"; 500 always with its sub-status, as IIS does. */
const char *ac_page_number(const ac_page_t *page, apr_pool_t *p);
/* "The app failed to start" */
const char *ac_page_reason(const ac_page_t *page);
const char *ac_page_text(const ac_page_t *page, apr_pool_t *p);

/* How a process ended, in words; wait_status as of waitpid(), -1 for one that
 * still runs or never ran, which yields NULL. */
const char *ac_page_ending(int wait_status, apr_pool_t *p);

#endif
