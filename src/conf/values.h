/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_CONF_VALUES_H
#define AC_CONF_VALUES_H

/* Values of directives, from text to numbers.
 *
 * Pure functions over one word each; nothing of httpd, so that unit tests and
 * the fuzzer reach all of it. Each returns NULL and stores the value, or leaves
 * the value alone and returns the rest of a sentence that begins with the
 * directive's name: what is allowed, and what was found. Text that is quoted in
 * a sentence is cut and cleaned of control bytes. Any thread; nothing blocks. */

#include <apr_network_io.h>
#include <apr_pools.h>

typedef struct ac_value_word_t {
    const char *word;           /* NULL ends the list */
    apr_int64_t value;
} ac_value_word_t;

/* What a directive allows. Units of min and max: those of the setting. */
typedef struct ac_value_rule_t {
    const ac_value_word_t *words;
    apr_int64_t min;
    apr_int64_t max;
    int off;                    /* "Off" is allowed as well and yields 0 */
} ac_value_rule_t;

typedef const char *ac_value_parse_fn(apr_int64_t *pv, const char *text,
                                      const ac_value_rule_t *rule, apr_pool_t *p);

/* One of rule->words, whatever the case. */
ac_value_parse_fn ac_value_word;
/* A whole decimal number. */
ac_value_parse_fn ac_value_number;
/* N or MIN-MAX, as AC_PROCESSES_RANGE(). */
ac_value_parse_fn ac_value_range;
/* Microseconds: 30 and 30s, 500ms, 2m (or 2min), 1h. */
ac_value_parse_fn ac_value_time;
/* Bytes: 4096, 512K, 10M, 2G. */
ac_value_parse_fn ac_value_size;
/* N or N%; percent is stored negative. rule->max bounds N. */
ac_value_parse_fn ac_value_share;
/* An octal number up to 0777. */
ac_value_parse_fn ac_value_umask;

typedef enum ac_value_unit_e {
    AC_UNIT_COUNT = 0,
    AC_UNIT_BYTES,
    AC_UNIT_SECONDS
} ac_value_unit_e;

/* SOFT[:HARD], numbers or "unlimited" (AC_LIMIT_INFINITY); without HARD both
 * are SOFT. */
const char *ac_value_rlimit(apr_int64_t limits[2], const char *text,
                            ac_value_unit_e unit, apr_pool_t *p);

/* An address or ADDRESS/BITS. */
const char *ac_value_subnet(apr_ipsubnet_t **psubnet, const char *text, apr_pool_t *p);

/* A URL path as requests have it after decoding; yields it without a trailing
 * slash, "" for "/". */
const char *ac_value_prefix(const char **pprefix, const char *text, apr_pool_t *p);

/* An absolute folder; yields it without trailing slash, "//", "/./". */
const char *ac_value_folder(const char **pfolder, const char *text, apr_pool_t *p);

/* A URL path below the mount. */
const char *ac_value_path(const char *text, apr_pool_t *p);
/* A path below a folder of the app: relative, without "..". */
const char *ac_value_beneath(const char **ppath, const char *text, apr_pool_t *p);

/* The name of an app: letters, digits, ".", "_" and "-", at most 64 of them. */
#define AC_VALUE_NAME_MAX 64
const char *ac_value_app_name(const char *text, apr_pool_t *p);

/* The name of an environment variable. */
const char *ac_value_env_name(const char *text, apr_pool_t *p);

/* Text made fit to be quoted in a message. */
const char *ac_value_quote(const char *text, apr_pool_t *p);

#endif
