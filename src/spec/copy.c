/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART ".appcore-part"
#define BUFFER (128 * 1024)

typedef struct level_t {
    ac_copy_t *copy;
    int from;
    int to;
    int depth;
} level_t;

typedef apr_status_t visit_fn(const level_t *level, const char *name,
                              const struct stat *st, void *baton);

static int is_skipped(const ac_copy_t *copy, const struct stat *st)
{
    return copy->skip_ino && st->st_dev == copy->skip_dev
           && st->st_ino == copy->skip_ino;
}

static int is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static apr_status_t visit_one(const level_t *level, const char *name, visit_fn *visit,
                              void *baton)
{
    struct stat st;

    if (fstatat(level->from, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        /* It may go at any time. */
        return errno == ENOENT ? APR_SUCCESS : errno;
    }
    if (++level->copy->entries > AC_COPY_ENTRIES || level->depth > AC_COPY_DEPTH) {
        return E2BIG;
    }
    return is_skipped(level->copy, &st) ? APR_SUCCESS : visit(level, name, &st, baton);
}

static apr_status_t each(const level_t *level, visit_fn *visit, void *baton)
{
    int fd = openat(level->from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    apr_status_t rv = APR_SUCCESS;
    struct dirent *entry;

    if (!dir) {
        rv = errno;
        if (fd >= 0) {
            close(fd);
        }
        return rv;
    }
    while (rv == APR_SUCCESS && (entry = readdir(dir))) {
        if (!is_dots(entry->d_name)) {
            rv = visit_one(level, entry->d_name, visit, baton);
        }
    }
    closedir(dir);
    return rv;
}

static int is_same(const struct stat *a, const struct stat *b)
{
    return S_ISREG(a->st_mode) && S_ISREG(b->st_mode) && a->st_size == b->st_size
           && a->st_mtim.tv_sec == b->st_mtim.tv_sec
           && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Files --------------------------------------------------------------------- */

static apr_status_t write_all(int fd, const char *data, ssize_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, (size_t)len);

        if (n < 0) {
            return errno;
        }
        data += n;
        len -= n;
    }
    return APR_SUCCESS;
}

static apr_status_t pour(ac_copy_t *copy, int from, int to)
{
    char *data = malloc(BUFFER);
    apr_status_t rv = data ? APR_SUCCESS : ENOMEM;
    ssize_t n = 1;

    while (rv == APR_SUCCESS && (n = read(from, data, BUFFER)) > 0) {
        copy->bytes += n;
        rv = copy->bytes > AC_COPY_BYTES ? EFBIG : write_all(to, data, n);
    }
    free(data);
    return rv == APR_SUCCESS && n < 0 ? errno : rv;
}

/* The time of the source is set last: a file that has it is complete. */
static apr_status_t copy_file(const level_t *level, const char *name,
                              const struct stat *st)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, st->st_mtim };
    int from = openat(level->from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int to = -1;
    apr_status_t rv;

    if (from < 0) {
        return errno;
    }
    unlinkat(level->to, PART, 0);
    to = openat(level->to, PART, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                (st->st_mode & 0777) | S_IWUSR);
    rv = to < 0 ? errno : pour(level->copy, from, to);
    if (rv == APR_SUCCESS
        && (futimens(to, times) < 0
            || renameat(level->to, PART, level->to, name) < 0)) {
        rv = errno;
    }
    close(from);
    if (to >= 0) {
        close(to);
    }
    return rv;
}

static apr_status_t copy_link(const level_t *level, const char *name)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(level->from, name, target, sizeof(target) - 1);

    if (n < 0) {
        return errno;
    }
    target[n] = '\0';
    unlinkat(level->to, name, 0);
    return symlinkat(target, level->to, name) < 0 ? errno : APR_SUCCESS;
}

/* Folders --------------------------------------------------------------------- */

static int open_folder(int parent, const char *name)
{
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static visit_fn copy_entry;

static apr_status_t copy_folder(const level_t *level, const char *name,
                                const struct stat *st)
{
    level_t below = { level->copy, -1, -1, level->depth + 1 };
    apr_status_t rv = APR_SUCCESS;

    if (mkdirat(level->to, name, (st->st_mode & 0777) | S_IRWXU) < 0
        && errno != EEXIST) {
        return errno;
    }
    below.from = open_folder(level->from, name);
    below.to = open_folder(level->to, name);
    rv = below.from < 0 || below.to < 0 ? errno : each(&below, copy_entry, NULL);
    if (below.from >= 0) {
        close(below.from);
    }
    if (below.to >= 0) {
        close(below.to);
    }
    return rv;
}

static apr_status_t copy_entry(const level_t *level, const char *name,
                               const struct stat *st, void *baton)
{
    struct stat there;

    (void)baton;
    if (S_ISDIR(st->st_mode)) {
        return copy_folder(level, name, st);
    }
    if (S_ISLNK(st->st_mode)) {
        return copy_link(level, name);
    }
    if (!S_ISREG(st->st_mode)
        || (fstatat(level->to, name, &there, AT_SYMLINK_NOFOLLOW) == 0
            && is_same(st, &there))) {
        return APR_SUCCESS;
    }
    return copy_file(level, name, st);
}

apr_status_t ac_copy_tree(ac_copy_t *copy, int from, int to)
{
    level_t top = { copy, from, to, 0 };

    return each(&top, copy_entry, NULL);
}

/* Comparing ------------------------------------------------------------------ */

static int ends_in(const char *name, const char *suffix)
{
    size_t len = strlen(name), n = strlen(suffix);

    return len > n && strcasecmp(name + len - n, suffix) == 0;
}

/* APR_EMISMATCH at the first difference. */
static apr_status_t compare_entry(const level_t *level, const char *name,
                                  const struct stat *st, void *suffix)
{
    level_t below = { level->copy, -1, -1, level->depth + 1 };
    apr_status_t rv = APR_SUCCESS;
    struct stat there;

    if (S_ISREG(st->st_mode) && ends_in(name, suffix)) {
        return fstatat(level->to, name, &there, AT_SYMLINK_NOFOLLOW) == 0
               && is_same(st, &there) ? APR_SUCCESS : APR_EMISMATCH;
    }
    if (!S_ISDIR(st->st_mode)) {
        return APR_SUCCESS;
    }
    below.from = open_folder(level->from, name);
    below.to = open_folder(level->to, name);
    if (below.from >= 0) {
        /* A folder that is not there has none of them. */
        rv = each(&below, compare_entry, suffix);
        close(below.from);
    }
    if (below.to >= 0) {
        close(below.to);
    }
    return rv;
}

int ac_copy_same(ac_copy_t *copy, int from, int to, const char *suffix)
{
    level_t top = { copy, from, to, 0 };

    return each(&top, compare_entry, (void *)suffix) == APR_SUCCESS;
}

/* Removing ------------------------------------------------------------------- */

static apr_status_t remove_entry(const level_t *level, const char *name,
                                 const struct stat *st, void *baton)
{
    level_t below = { level->copy, -1, -1, level->depth + 1 };
    apr_status_t rv = APR_SUCCESS;

    (void)baton;
    if (S_ISDIR(st->st_mode)) {
        below.from = open_folder(level->from, name);
        if (below.from >= 0) {
            rv = each(&below, remove_entry, NULL);
            close(below.from);
        }
    }
    if (rv == APR_SUCCESS
        && unlinkat(level->from, name, S_ISDIR(st->st_mode) ? AT_REMOVEDIR : 0) < 0) {
        rv = errno;
    }
    return rv;
}

apr_status_t ac_copy_remove(int parent, const char *name)
{
    ac_copy_t copy = { 0 };
    level_t top = { &copy, parent, -1, 0 };

    return visit_one(&top, name, remove_entry, NULL);
}
