/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/host.h"

#include <string.h>

void ac_host_copy_app(appcore_app *to, const appcore_app *given)
{
    memset(to, 0, sizeof(*to));
    memcpy(to, given, given->size < sizeof(*to) ? given->size : sizeof(*to));
    to->size = sizeof(*to);
}
