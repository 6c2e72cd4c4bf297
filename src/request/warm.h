/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_WARM_H
#define AC_REQUEST_WARM_H

/* Warm-up requests to an app inside this child (inproc/warm.h): one that no client made
 * and httpd did not read, on a connection that only looks like one. As out of process it
 * passes httpd's hooks by, and nothing of the answer is kept but status and Location. */

#include "httpd.h"

/* register_hooks. */
void ac_request_warm_register(void);
/* child_init, before apps start. */
void ac_request_warm_init(void);

#endif
