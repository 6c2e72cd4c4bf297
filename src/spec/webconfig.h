/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_WEBCONFIG_H
#define AC_SPEC_WEBCONFIG_H

/* A web.config, read as IIS and its ASP.NET Core Module would.
 *
 * From bytes to data: no file is opened, nothing is expanded, texts are as
 * written, Windows spellings included. What we do not act on becomes a notice
 * that names httpd's equivalent; what restricts access becomes an access rule,
 * and whether those stop the app is the caller's decision. All memory is p's. */

#include <stdint.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include "base/result.h"
#include "spec/settings.h"

/* IIS refuses larger ones too. */
#define AC_WEBCONFIG_MAX (250 * 1024)

typedef struct ac_webconfig_t {
    int has_app;                /* it has <aspNetCore>, and the next three are set */
    int app_line;
    const char *process_path;
    const char *arguments;
    int asks_inside;            /* hostingModel="inprocess" */
    ac_settings_t *overlay;     /* origin AC_ORIGIN_WEBCONFIG */
    int64_t max_content_length; /* -1: none given */
    apr_array_header_t *notices;        /* const char * */
    apr_array_header_t *access_rules;   /* const char *: elements, by path */
    apr_pool_t *p;
} ac_webconfig_t;

/* NULL with a fault in *res when it is none: AC_FAULT_WEB_CONFIG what IIS refuses,
 * AC_FAULT_CONFIG what ANCM does, in its words. */
ac_webconfig_t *ac_webconfig_parse(const char *data, apr_size_t len, ac_result_t *res,
                                   apr_pool_t *p);

#endif
