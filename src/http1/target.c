/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The raw path is used iff walking over it and over httpd's path side by side
 * finds the same bytes: then no segment was removed, merged or rewritten. It
 * must consist of URI bytes alone (some apps read a backslash as a slash) and
 * spell the mount as configured (some apps compare undecoded).
 *
 * Whatever is chosen, an app may decode "%2F", read a backslash as a slash and
 * drop ";parameters"; a path with a dot segment under such a reading has no
 * spelling that stays inside the mount for certain. */

#include "http1/target.h"

#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include "http1/line.h"
#include "spec/settings.h"

int ac_target_in_mount(const char *path, const char *prefix)
{
    apr_size_t len = strlen(prefix);

    return !strncmp(path, prefix, len) && (!len || !path[len] || path[len] == '/');
}

/* How many bytes at s stand for a slash to some app: 0, 1 or 3. */
static int slash_at(const char *s)
{
    if (*s == '/' || *s == '\\') {
        return 1;
    }
    return strncasecmp(s, "%2f", 3) ? 0 : 3;
}

static int has_dot_segment(const char *path)
{
    int slash = slash_at(path);

    while (*path) {
        const char *segment = path += slash;
        apr_size_t dots;

        while (*path && *path != ';' && !slash_at(path)) {
            ++path;
        }
        dots = (apr_size_t)(path - segment);
        if ((dots == 1 || dots == 2) && !strncmp(segment, "..", dots)) {
            return 1;
        }
        while (*path && !slash_at(path)) {
            ++path;
        }
        slash = slash_at(path);
    }
    return 0;
}

/* The path of a request target and its length; absolute-form loses scheme and
 * authority. */
static const char *raw_path(const char *unparsed, apr_size_t *plen)
{
    const char *at = unparsed;

    if (*at != '/') {
        const char *authority = strstr(at, "://");

        at = authority ? authority + 3 : at;
        at += strcspn(at, "/?#");
    }
    *plen = strcspn(at, "?#");
    return at;
}

/* The byte that s spells and in how many bytes; -1 if it is no URI text. */
static int decode(const char *s, apr_size_t len, apr_size_t *pn)
{
    *pn = 1;
    if (*s == '%' && len > 2 && ac_char_hex(s[1]) >= 0 && ac_char_hex(s[2]) >= 0) {
        *pn = 3;
        return ac_char_hex(s[1]) * 16 + ac_char_hex(s[2]);
    }
    return ac_char_is(*s, AC_CHAR_PATH) ? *s : -1;
}

/* 1 iff raw decodes to path byte by byte; "%2F" stands for itself, as httpd
 * leaves it under AllowEncodedSlashes NoDecode. */
static int spells(const char *raw, apr_size_t len, const char *path)
{
    while (len) {
        apr_size_t n;
        int c = decode(raw, len, &n);

        if (c == '/' && n == 3) {
            if (strncasecmp(path, "%2f", 3)) {
                return 0;
            }
            path += 3;
        }
        else if (c <= 0 || (char)c != *path++) {
            return 0;
        }
        raw += n;
        len -= n;
    }
    return !*path;
}

/* 1 iff raw begins with the mount, encoded only where it must be. */
static int begins_plainly(const char *raw, apr_size_t len, const char *prefix)
{
    for (; *prefix; ++prefix) {
        apr_size_t n;
        int c = len ? decode(raw, len, &n) : -1;

        if (c < 0 || (char)c != *prefix
            || (n == 3) != !ac_char_is(*prefix, AC_CHAR_PATH)) {
            return 0;
        }
        raw += n;
        len -= n;
    }
    return 1;
}

/* Percent-encodes what is not of the class; "%2F" stays if asked for. */
static char *encode(const char *s, int class, int keep_slashes, apr_pool_t *p)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = apr_palloc(p, strlen(s) * 3 + 1);
    char *at = out;

    for (; *s; ++s) {
        if (ac_char_is(*s, class) || (keep_slashes && !strncasecmp(s, "%2f", 3))) {
            *at++ = *s;
        }
        else {
            *at++ = '%';
            *at++ = digits[(unsigned char)*s >> 4];
            *at++ = digits[(unsigned char)*s & 15];
        }
    }
    *at = '\0';
    return out;
}

const char *ac_target_escape(const char *path, apr_pool_t *p)
{
    return *path && !ac_char_all(path, AC_CHAR_PATH)
           ? encode(path, AC_CHAR_PATH, 0, p) : path;
}

/* mod_rewrite may have put anything into the query, line ends included; what
 * came from the wire stays as it is but for bytes that no app should have to
 * understand in a request line. */
static const char *safe_query(const char *args, apr_pool_t *p)
{
    return *args && !ac_char_all(args, AC_CHAR_QUERY)
           ? encode(args, AC_CHAR_QUERY, 0, p) : args;
}

/* A "%2F" in httpd's path was one on the wire or was written by a rule, unless
 * the wire had an encoded percent sign that may have become it. */
static const char *escaped_again(const char *path, const char *raw, apr_size_t len,
                                 apr_pool_t *p)
{
    apr_size_t i;

    if (!*path || ac_char_all(path, AC_CHAR_PATH)) {
        return path;
    }
    for (i = 0; i + 2 < len; ++i) {
        if (!strncmp(raw + i, "%25", 3)) {
            return encode(path, AC_CHAR_PATH, 0, p);
        }
    }
    return encode(path, AC_CHAR_PATH, 1, p);
}

static int has_control_byte(const char *path)
{
    while ((unsigned char)*path >= ' ' && *path != 0x7f) {
        ++path;
    }
    return *path;
}

const char *ac_target_below(const char *path, const char *prefix)
{
    if (!strcmp(path, "*") && !*prefix) {
        return "";
    }
    if (*path != '/' || !ac_target_in_mount(path, prefix) || has_dot_segment(path)
        || has_control_byte(path)) {
        return NULL;
    }
    return path + strlen(prefix);
}

const char *ac_target_build(const char *unparsed, const char *original_path,
                            const char *path, const char *args, const char *prefix,
                            apr_pool_t *p)
{
    apr_size_t len;
    const char *raw = raw_path(unparsed ? unparsed : "", &len);

    if (!strcmp(path, "*") && !*prefix) {
        return path;
    }
    if (*path != '/' || !ac_target_in_mount(path, prefix) || has_dot_segment(path)) {
        return NULL;
    }
    if (original_path && !strcmp(path, original_path) && spells(raw, len, path)
        && begins_plainly(raw, len, prefix)) {
        path = apr_pstrmemdup(p, raw, len);
    }
    else {
        path = escaped_again(path, raw, len, p);
    }
    return args ? apr_pstrcat(p, path, "?", safe_query(args, p), NULL) : path;
}

const char *ac_target_inside(const char *location, const char *prefix)
{
    const char *path = location;
    apr_size_t len = strlen(prefix);

    if (strncasecmp(path, "http://", 7) == 0 || strncasecmp(path, "https://", 8) == 0) {
        path += path[4] == ':' ? 7 : 8;
        path += strcspn(path, "/?#");
    }
    if (strncmp(path, "//", 2) == 0 || strncmp(path, prefix, len) != 0
        || path[len] != '/' || !ac_settings_path_is_valid(path)) {
        return NULL;
    }
    return path;
}
