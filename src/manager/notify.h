/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_MANAGER_NOTIFY_H
#define AC_MANAGER_NOTIFY_H

/* The text of an sd_notify datagram: lines of NAME=value, written by an app.
 * Points into the text, which is cut into lines in place. */

#include "spec/settings.h"

typedef struct ac_notify_t {
    int ready;                  /* READY=1 */
    const char *status;         /* STATUS=, or NULL */
    ac_protocol_e protocol;     /* X_APPCORE_PROTOCOL=http/1.1 or h2c */
} ac_notify_t;

void ac_notify_parse(ac_notify_t *said, char *text);

#endif
