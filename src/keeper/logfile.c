/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/logfile.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <apr_strings.h>
#include <apr_tables.h>

#define STAMP_LEN 14
#define FILES_MAX 10000

static int all_digits(const char *s, size_t n)
{
    while (n && isdigit((unsigned char)*s)) {
        ++s;
        --n;
    }
    return n == 0;
}

/* NAME_yyyyMMddHHmmss_PID.log of that very name? Then where the stamp begins. */
static const char *stamp_of(const char *file, const char *name)
{
    size_t len = strlen(name);
    const char *at = file + len + 1;
    size_t digits;

    if (strncmp(file, name, len) || file[len] != '_' || strlen(at) < STAMP_LEN + 6
        || !all_digits(at, STAMP_LEN) || at[STAMP_LEN] != '_') {
        return NULL;
    }
    digits = strspn(at + STAMP_LEN + 1, "0123456789");
    return digits && !strcmp(at + STAMP_LEN + 1 + digits, ".log") ? at : NULL;
}

/* Equal names but for stamp and pid: the order of strings is that of time. */
static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void prune(int dir_fd, const char *name, uint32_t keep, apr_pool_t *p)
{
    apr_array_header_t *files = apr_array_make(p, 16, sizeof(const char *));
    int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    struct dirent *entry;
    struct stat st;
    int i;

    while (dir && files->nelts < FILES_MAX && (entry = readdir(dir)) != NULL) {
        if (stamp_of(entry->d_name, name)) {
            APR_ARRAY_PUSH(files, const char *) = apr_pstrdup(p, entry->d_name);
        }
    }
    qsort(files->elts, (size_t)files->nelts, sizeof(const char *), by_name);
    for (i = 0; i < files->nelts - (int)keep; ++i) {
        const char *file = APR_ARRAY_IDX(files, i, const char *);

        if (fstatat(dir_fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
            unlinkat(dir_fd, file, 0);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

static apr_status_t open_dir(int *pfd, const char *path)
{
    int fd;

    if (mkdir(path, 0750) < 0 && errno != EEXIST) {
        return errno;
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    *pfd = fd;
    return APR_SUCCESS;
}

/* O_NONBLOCK so that a FIFO of that name cannot hold us; it means nothing for
 * the regular file that we take. */
static apr_status_t open_regular(int *pfd, int dir_fd, const char *file)
{
    struct stat st;
    int fd = openat(dir_fd, file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK
                    | O_NOCTTY | O_CLOEXEC, 0640);

    if (fd < 0) {
        return errno;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return APR_EINVAL;
    }
    *pfd = fd;
    return APR_SUCCESS;
}

apr_status_t ac_logfile_open(int *pfd, const ac_log_target_t *target, const char *stamp,
                             pid_t pid, apr_pool_t *p)
{
    const char *slash = strrchr(target->file, '/');
    const char *name = slash ? slash + 1 : target->file;
    const char *file;
    apr_status_t rv;
    int dir_fd = -1;

    if (strlen(stamp) != STAMP_LEN || !all_digits(stamp, STAMP_LEN) || !*name) {
        return APR_EINVAL;
    }
    rv = open_dir(&dir_fd, !slash ? "." : slash == target->file ? "/"
                  : apr_pstrmemdup(p, target->file, (apr_size_t)(slash - target->file)));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    file = apr_psprintf(p, "%s_%s_%ld.log", name, stamp, (long)pid);
    rv = open_regular(pfd, dir_fd, file);
    if (rv == APR_SUCCESS && target->keep) {
        prune(dir_fd, name, target->keep, p);
    }
    close(dir_fd);
    return rv;
}
