/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "conf/envfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <apr_strings.h>
#include "conf/values.h"
#include "spec/settings.h"

static int lies_below(const char *path, const char *folder)
{
    apr_size_t len = strlen(folder);

    return !strncmp(path, folder, len) && (path[len] == '/' || !path[len]);
}

int ac_envfile_is_inside(const char *path, const char *folder)
{
    char resolved[PATH_MAX];

    return lies_below(path, folder)
        || (realpath(path, resolved) && lies_below(resolved, folder));
}

/* Length of the value without one pair of quotes around all of it. */
static apr_size_t unquote(const char **pvalue, apr_size_t len)
{
    const char *v = *pvalue;

    if (len >= 2 && (v[0] == '"' || v[0] == '\'') && v[len - 1] == v[0]) {
        ++*pvalue;
        return len - 2;
    }
    return len;
}

static const char *parse_line(apr_array_header_t *vars, const char *line,
                              apr_size_t len, int number)
{
    apr_pool_t *p = vars->pool;
    const char *equal = memchr(line, '=', len), *value;
    const char *name;
    ac_env_var_t *var;

    if (!equal) {
        return apr_psprintf(p, "has no NAME=VALUE in line %d of its file", number);
    }
    name = apr_pstrmemdup(p, line, equal - line);
    if (ac_value_env_name(name, p)) {
        return apr_psprintf(p, "has no valid name before \"=\" in line %d of its file",
                            number);
    }
    value = equal + 1;
    len = unquote(&value, len - (value - line));
    var = apr_array_push(vars);
    var->name = name;
    var->value = apr_pstrmemdup(p, value, len);
    var->secret = 1;
    var->origin = AC_ORIGIN_DEFAULT;
    return NULL;
}

static int is_skipped(const char *line, apr_size_t len)
{
    apr_size_t i = 0;

    while (i < len && (line[i] == ' ' || line[i] == '\t')) {
        ++i;
    }
    return i == len || line[i] == '#';
}

const char *ac_envfile_parse(apr_array_header_t **pvars, const char *text,
                             apr_size_t len, apr_pool_t *p)
{
    apr_array_header_t *vars = apr_array_make(p, 8, sizeof(ac_env_var_t));
    const char *end = text + len, *eol, *err;
    apr_size_t line_len;
    int number = 1;

    if (memchr(text, 0, len)) {
        return "must name a text file, not one with NUL bytes";
    }
    for (; text < end; text = eol + 1, ++number) {
        eol = memchr(text, '\n', end - text);
        eol = eol ? eol : end;
        line_len = eol - text;
        if (line_len && text[line_len - 1] == '\r') {
            --line_len;
        }
        if (is_skipped(text, line_len)) {
            continue;
        }
        err = parse_line(vars, text, line_len, number);
        if (err) {
            return err;
        }
    }
    *pvars = vars;
    return NULL;
}

static const char *check_file(int fd, apr_size_t *psize)
{
    struct stat st;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        return "must name a regular file";
    }
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        return "must name a file that belongs to root";
    }
    if (st.st_mode & (S_IWGRP | S_IWOTH)) {
        return "must name a file that neither group nor others may write (chmod 600)";
    }
    if (st.st_size > AC_ENVFILE_MAX) {
        return "must name a file of at most 64K";
    }
    *psize = (apr_size_t)st.st_size;
    return NULL;
}

static const char *read_all(const char **ptext, apr_size_t *plen, int fd, apr_pool_t *p)
{
    const char *err = check_file(fd, plen);
    apr_size_t got = 0;
    char *text;
    ssize_t n;

    if (err) {
        return err;
    }
    text = apr_palloc(p, *plen + 1);
    while (got < *plen && (n = read(fd, text + got, *plen - got)) != 0) {
        if (n > 0) {
            got += (apr_size_t)n;
        }
        else if (errno != EINTR) {
            return "names a file that cannot be read";
        }
    }
    *ptext = text;
    *plen = got;
    return NULL;
}

const char *ac_envfile_read(apr_array_header_t **pvars, const char *path, apr_pool_t *p)
{
    /* Non-blocking, so that a FIFO cannot stop httpd before it is refused. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    const char *text, *err;
    apr_size_t len;

    if (fd < 0) {
        return errno == ELOOP
            ? "must name a regular file, not a symbolic link"
            : apr_psprintf(p, "names a file that cannot be opened: %s", strerror(errno));
    }
    err = read_all(&text, &len, fd, p);
    close(fd);
    return err ? err : ac_envfile_parse(pvars, text, len, p);
}
