/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_FIELDS_H
#define AC_INPROC_FIELDS_H

/* The fields of an answer as an app gives them: checked, copied, and less what is
 * httpd's affair. Pure; APR only. */

#include <apr_pools.h>
#include <apr_tables.h>
#include "appcore.h"

typedef struct ac_answer_head_t {
    apr_table_t *fields;        /* a field that is there twice stays two lines */
    apr_int64_t length;         /* of Content-Length, which is in `fields`; -1: none */
    int close;                  /* Connection: close */
    const char *upgrade;        /* to which protocol; NULL: not said */
} ac_answer_head_t;

/* More than clients take; an app that says more has lost count. */
#define AC_ANSWER_FIELDS 1000
#define AC_ANSWER_BYTES (256 * 1024)
#define AC_ANSWER_REASON 1000

/* 0 if a field is none that HTTP allows, there are too many, or the lengths contradict
 * each other. */
int ac_answer_head(ac_answer_head_t *head, const appcore_field *fields, size_t n,
                   apr_pool_t *p);
/* A reason for a status line; NULL if it is too long or has a byte that none may have. */
const char *ac_answer_reason(appcore_str reason, apr_pool_t *p);
/* May this field stand behind the body? Nothing that frames, routes, or says how the
 * body is to be read. */
int ac_answer_trailer_allowed(appcore_str name, appcore_str value);

#endif
