/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_EXPAND_H
#define AC_SPEC_EXPAND_H

/* Replacing names in a text, once: what was put in is never looked at again.
 *
 * Pure functions. A text that would grow beyond AC_EXPAND_MAX is returned as it
 * was, because both texts and values come from an app's folder. */

#include <apr_pools.h>
#include <apr_tables.h>

#define AC_EXPAND_MAX 32768

/* Called at every position. Returns the replacement of the *plen bytes at `at`,
 * or NULL when they stay. */
typedef const char *ac_expand_fn(void *baton, const char *at, apr_size_t *plen);

const char *ac_expand(const char *text, ac_expand_fn *fn, void *baton, apr_pool_t *p);

/* Number of bytes of "%NAME%" at `at`, 0 if there is none. */
apr_size_t ac_expand_percent(const char *at);
/* The same for "$NAME" and "${NAME}"; the name is *pname, *pname_len. */
apr_size_t ac_expand_dollar(const char *at, const char **pname, apr_size_t *pname_len);

/* An environment while it is put together: an array of ac_env_var_t. */
apr_array_header_t *ac_env_make(apr_pool_t *p);
/* NULL if unset. Exact name first, then any case: Windows texts say %Path%. */
const char *ac_env_get(const apr_array_header_t *env, const char *name);
void ac_env_set(apr_array_header_t *env, const char *name, const char *value);
void ac_env_unset(apr_array_header_t *env, const char *name);
/* %VAR% from env; an unknown one stays as it is. */
const char *ac_env_expand(const char *text, const apr_array_header_t *env, apr_pool_t *p);

#endif
