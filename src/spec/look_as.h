/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_LOOK_AS_H
#define AC_SPEC_LOOK_AS_H

/* A look that trusts the files of another uid than the caller's: how tests that
 * run as root reach the checks of owners. */

#include <sys/types.h>
#include "spec/look.h"

ac_launch_t *ac_look_as(const ac_look_request_t *req, uid_t uid, apr_pool_t *p);

#endif
