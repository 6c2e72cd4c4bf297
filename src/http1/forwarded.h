/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_HTTP1_FORWARDED_H
#define AC_HTTP1_FORWARDED_H

/* The fields in which proxies tell where a request came from, as fields.h says.
 * Private to src/http1.
 *
 * ac_fields_request() collects what a trusted proxy said while it walks over
 * the client's fields; afterwards ac_forwarded_put() writes what the app gets. */

#include "http1/fields.h"

typedef enum ac_forwarded_e {
    AC_FORWARDED_FOR,
    AC_FORWARDED_PROTO,
    AC_FORWARDED_HOST,
    AC_FORWARDED_PREFIX,
    AC_FORWARDED_ELEMENTS,      /* the field Forwarded */
    AC_FORWARDED_USER,
    AC_FORWARDED_GROUPS,
    AC_FORWARDED_REAL_IP,
    AC_FORWARDED_REQUEST_ID,
    AC_FORWARDED_REQUEST_START,
    AC_FORWARDED_COUNT
} ac_forwarded_e;

/* What a trusted proxy said; NULL where it said nothing. */
typedef struct ac_forwarded_t {
    const char *said[AC_FORWARDED_COUNT];
} ac_forwarded_t;

/* 1 iff the field is one of ours to write; then its value is remembered. The
 * same field again continues the list. */
int ac_forwarded_collect(ac_forwarded_t *fwd, const char *name, const char *value,
                         apr_pool_t *p);

void ac_forwarded_put(apr_table_t *out, const ac_forwarded_t *fwd,
                      const ac_fields_facts_t *facts, apr_pool_t *p);

#endif
