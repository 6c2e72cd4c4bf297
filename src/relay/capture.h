/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_RELAY_CAPTURE_H
#define AC_RELAY_CAPTURE_H

/* What a process printed first, for the error page: the first AC_CAPTURE_MAX
 * bytes of stdout and stderr together, in order of arrival, unescaped. Grows
 * with what is printed, so a quiet app costs little. Pure but for the heap. */

#include <apr.h>

typedef struct ac_capture_t {
    char *data;
    apr_size_t len;
    apr_size_t size;
} ac_capture_t;

void ac_capture_add(ac_capture_t *capture, const char *data, apr_size_t len);
void ac_capture_release(ac_capture_t *capture);

#endif
