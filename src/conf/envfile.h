/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_CONF_ENVFILE_H
#define AC_CONF_ENVFILE_H

/* AppCoreEnvironmentFile: NAME=VALUE lines for secrets.
 *
 * Read by httpd's parent, usually root, while configuration is read; so only a
 * file that nobody else can have written is taken: regular, not reached through
 * a symlink, owned by root or by whoever runs httpd, not writable by group or
 * others, outside of the app's folder, at most AC_ENVFILE_MAX bytes. Blank lines
 * and lines that begin with "#" are skipped; one pair of quotes around a whole
 * value is taken off; nothing is expanded. Sentences about mistakes never
 * contain a value. */

#include <apr_pools.h>
#include <apr_tables.h>

#define AC_ENVFILE_MAX (64 * 1024)

/* NULL and *pvars (ac_env_var_t, all secret), or the rest of a sentence that
 * begins with the directive's name. */
const char *ac_envfile_read(apr_array_header_t **pvars, const char *path,
                            apr_pool_t *p);
/* The same for bytes at hand. */
const char *ac_envfile_parse(apr_array_header_t **pvars, const char *text,
                             apr_size_t len, apr_pool_t *p);

/* 1 iff the file, by its own or its resolved name, lies below the folder. */
int ac_envfile_is_inside(const char *path, const char *folder);

#endif
