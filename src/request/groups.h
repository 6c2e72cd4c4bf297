/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_GROUPS_H
#define AC_REQUEST_GROUPS_H

/* The groups of a user, from where httpd knows them: the location's AuthGroupFile,
 * and the variables in which mod_lookup_identity, mod_authnz_ldap and
 * mod_auth_openidc say them.
 *
 * Any worker; allocates in r->pool. Reads the file, as mod_authz_groupfile does,
 * with every request of a user. */

#include "httpd.h"
#include "apr_tables.h"

/* const char *, each once; NULL if there are none. */
const apr_array_header_t *ac_groups_of(request_rec *r, const char *user);

#endif
