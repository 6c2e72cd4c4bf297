/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_JSON_H
#define AC_SPEC_JSON_H

/* JSON files of an app's folder. The tree is freed with the look's pool. */

#include <jansson.h>
#include "spec/detect.h"

/* NULL without a fault when there is no such file; NULL after a fault was put
 * into the look's result when it is no JSON object. */
json_t *ac_json_read(ac_look_t *look, const char *name);

/* The same of bytes that were read already; `name` is for the fault. */
json_t *ac_json_parse(ac_look_t *look, const char *name, const char *data,
                      apr_size_t len);

#endif
