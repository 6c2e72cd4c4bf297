/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_MANAGER_EVIDENCE_H
#define AC_MANAGER_EVIDENCE_H

/* The lines of an app's output that show why it failed, as one line.
 *
 * Parts are joined with " | " and bounded by AC_EVIDENCE_MAX. The output is an
 * app's and may say anything. Pure. */

#include <apr_pools.h>

#define AC_EVIDENCE_MAX 400

/* From the line on that has the phrase: with an exception also what caused it and
 * where it was thrown. NULL when no line has it. */
const char *ac_evidence(const char *output, const char *phrase, apr_pool_t *p);

/* Which runtime was asked for, and which ones were found instead. */
const char *ac_evidence_framework(const char *output, apr_pool_t *p);

/* Where the app says that it listens: "http://localhost:5000", "port 3000", several
 * joined with ", "; NULL where it does not say so. */
const char *ac_evidence_addresses(const char *output, apr_pool_t *p);

/* The last line that is not empty, or NULL. */
const char *ac_evidence_last(const char *output, apr_pool_t *p);

#endif
