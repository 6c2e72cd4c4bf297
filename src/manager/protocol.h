/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_MANAGER_PROTOCOL_H
#define AC_MANAGER_PROTOCOL_H

/* What the first bytes of a server say that was greeted with HTTP/2's preface. Pure;
 * AC_PROTOCOL_AUTO while they are too few. */

#include <apr.h>
#include "spec/settings.h"

ac_protocol_e ac_protocol_of(const char *answer, apr_size_t len);

#endif
