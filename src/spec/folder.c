/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include "spec/look.h"

#define LINKS_MAX 40            /* as many as the kernel follows */

/* A walk along a path, one component at a time: fd is the folder reached, rest
 * what remains of the path, with links already replaced. */
typedef struct walk_t {
    int fd;
    const char *rest;
    int links;
    const ac_folder_t *folder;
    ac_watcher_t *watcher;      /* or NULL */
    ac_result_t *res;
} walk_t;

static void close_fd(int *pfd)
{
    if (*pfd >= 0) {
        close(*pfd);
        *pfd = -1;
    }
}

static void fail_errno(walk_t *walk, const char *name)
{
    int err = errno;

    ac_result_set(walk->res, err, AC_STAGE_LOOK,
                  err == EACCES ? AC_FAULT_IDENTITY : AC_FAULT_CONFIG,
                  "the folder %s cannot be opened as uid %u: %s (at \"%s\")",
                  walk->folder->path, (unsigned)walk->folder->uid, strerror(err), name);
}

static int is_trusted(const struct stat *st, uid_t uid)
{
    return st->st_uid == 0 || st->st_uid == uid;
}

static int restart_at_root(walk_t *walk)
{
    close_fd(&walk->fd);
    walk->fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return walk->fd >= 0;
}

static int follow(walk_t *walk, int link_fd)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(link_fd, "", target, sizeof(target) - 1);

    if (n < 0 || ++walk->links > LINKS_MAX) {
        errno = n < 0 ? errno : ELOOP;
        return 0;
    }
    target[n] = '\0';
    walk->rest = apr_pstrcat(walk->folder->p, target, "/", walk->rest, NULL);
    return *target != '/' || restart_at_root(walk);
}

static void watch(const walk_t *walk, int fd, ac_watched_e what)
{
    if (walk->watcher) {
        ac_watcher_add(walk->watcher, fd, what);
    }
}

/* Enters `name`, or puts what it links to in front of the rest. */
static int step(walk_t *walk, const char *name)
{
    int fd = openat(walk->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int ok = 0;

    if (fd < 0 || fstat(fd, &st) < 0) {
        fail_errno(walk, name);
        watch(walk, walk->fd, AC_WATCHED_PARENT);
        goto cleanup;
    }
    watch(walk, fd, AC_WATCHED_WAY);
    if (!is_trusted(&st, walk->folder->uid)) {
        ac_result_set(walk->res, APR_EACCES, AC_STAGE_LOOK, AC_FAULT_IDENTITY,
                      "\"%s\" on the way to %s belongs to uid %u, but must belong to "
                      "root or to the app's user (uid %u): change its owner or "
                      "AppCoreUser",
                      name, walk->folder->path, (unsigned)st.st_uid,
                      (unsigned)walk->folder->uid);
        goto cleanup;
    }
    if (S_ISLNK(st.st_mode)) {
        ok = follow(walk, fd);
    }
    else if (S_ISDIR(st.st_mode)) {
        close_fd(&walk->fd);
        walk->fd = fd;
        fd = -1;
        ok = 1;
    }
    else {
        errno = ENOTDIR;
    }
    if (!ok) {
        fail_errno(walk, name);
    }
cleanup:
    close_fd(&fd);
    return ok;
}

static int walk_path(walk_t *walk)
{
    walk->rest = walk->folder->path;
    if (!restart_at_root(walk)) {
        fail_errno(walk, "/");
        return 0;
    }
    for (;;) {
        apr_size_t len;
        const char *name;

        walk->rest += strspn(walk->rest, "/");
        if (!*walk->rest) {
            return 1;
        }
        len = strcspn(walk->rest, "/");
        name = apr_pstrmemdup(walk->folder->p, walk->rest, len);
        walk->rest += len;
        if (!step(walk, name)) {
            return 0;
        }
    }
}

static apr_status_t close_folder(void *data)
{
    ac_folder_t *folder = data;

    close_fd(&folder->fd);
    return APR_SUCCESS;
}

ac_folder_t *ac_folder_open_watched(const char *path, uid_t uid, ac_watcher_t *watcher,
                                    ac_result_t *res, apr_pool_t *p)
{
    ac_folder_t *folder = apr_pcalloc(p, sizeof(*folder));
    walk_t walk = { .fd = -1, .folder = folder, .watcher = watcher, .res = res };

    folder->fd = -1;
    folder->path = path;
    folder->uid = uid;
    folder->p = p;
    if (walk_path(&walk)) {
        folder->fd = openat(walk.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder->fd < 0) {
            fail_errno(&walk, ".");
        }
    }
    close_fd(&walk.fd);
    apr_pool_cleanup_register(p, folder, close_folder, apr_pool_cleanup_null);
    return folder->fd >= 0 ? folder : NULL;
}

ac_folder_t *ac_folder_open(const char *path, uid_t uid, ac_result_t *res, apr_pool_t *p)
{
    return ac_folder_open_watched(path, uid, NULL, res, p);
}

int ac_folder_open_file(const ac_folder_t *folder, const char *name)
{
    /* NONBLOCK: opening a pipe must not wait for its writer. */
    int fd = openat(folder->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0) {
        return -1;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !is_trusted(&st, folder->uid)) {
        close_fd(&fd);
        errno = EPERM;
    }
    return fd;
}

static apr_size_t read_up_to(int fd, char *data, apr_size_t max)
{
    apr_size_t len = 0;
    ssize_t n;

    do {
        n = read(fd, data + len, max - len);
        if (n > 0) {
            len += (apr_size_t)n;
        }
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 ? (apr_size_t)-1 : len;
}

static void refuse(const ac_folder_t *folder, const char *name, int err,
                   ac_result_t *res)
{
    const char *why = strerror(err);

    if (err == ELOOP) {
        why = "it is a symbolic link, which is not followed here";
    }
    else if (err == EPERM) {
        why = "it is not a regular file of root or the app's user";
    }
    else if (err == EFBIG) {
        why = "it is larger than 1 MiB";
    }
    ac_result_set(res, err, AC_STAGE_LOOK, AC_FAULT_CONFIG, "%s in %s cannot be read: %s",
                  name, folder->path, why);
}

char *ac_folder_read(const ac_folder_t *folder, const char *name, apr_size_t *plen,
                     ac_result_t *res)
{
    int fd = ac_folder_open_file(folder, name);
    char *data = NULL;
    struct stat st;
    apr_size_t size;

    if (fd < 0 || fstat(fd, &st) < 0) {
        if (errno != ENOENT) {
            refuse(folder, name, errno, res);
        }
        goto cleanup;
    }
    /* One byte more than its size shows a file that grows meanwhile. */
    size = st.st_size > AC_LOOK_FILE_MAX ? AC_LOOK_FILE_MAX : (apr_size_t)st.st_size;
    data = apr_palloc(folder->p, size + 2);
    *plen = read_up_to(fd, data, size + 1);
    if (*plen == (apr_size_t)-1 || *plen > size) {
        refuse(folder, name, *plen > size && size == AC_LOOK_FILE_MAX ? EFBIG : EIO, res);
        data = NULL;
        goto cleanup;
    }
    data[*plen] = '\0';
cleanup:
    close_fd(&fd);
    return data;
}

int ac_folder_has_file(const ac_folder_t *folder, const char *name)
{
    struct stat st;

    return !fstatat(folder->fd, name, &st, 0) && S_ISREG(st.st_mode);
}

int ac_folder_trusts(const ac_folder_t *folder, const char *name)
{
    struct stat st;

    return !fstatat(folder->fd, name, &st, 0) && is_trusted(&st, folder->uid)
           && !(st.st_mode & S_IWOTH);
}

int ac_folder_may_read(const ac_folder_t *folder, const char *name)
{
    return !faccessat(folder->fd, name, R_OK, AT_EACCESS);
}

int ac_folder_has_program(const ac_folder_t *folder, const char *name)
{
    return ac_folder_has_file(folder, name)
           && !faccessat(folder->fd, name, X_OK, AT_EACCESS);
}

typedef int visit_fn(const ac_folder_t *folder, const char *name, void *baton);

/* Calls visit for the folder's entries until it returns 0. */
static void each_entry(const ac_folder_t *folder, visit_fn *visit, void *baton)
{
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    int seen = 0;

    if (!dir) {
        close_fd(&fd);
        return;
    }
    while (++seen <= AC_FOLDER_ENTRIES_MAX && (entry = readdir(dir))
           && visit(folder, entry->d_name, baton)) {
        ;
    }
    closedir(dir);
}

typedef struct match_t {
    const char *wanted;
    const char *name;
    int found;
} match_t;

static int match_spelling(const ac_folder_t *folder, const char *name, void *baton)
{
    match_t *match = baton;

    if (!strcasecmp(name, match->wanted)) {
        match->name = apr_pstrdup(folder->p, name);
        ++match->found;
    }
    return match->found < 2;
}

const char *ac_folder_spelling(const ac_folder_t *folder, const char *name)
{
    match_t match = { .wanted = name };

    if (ac_folder_has_file(folder, name)) {
        return name;
    }
    if (!strncmp(match.wanted, "./", 2)) {
        match.wanted += 2;
    }
    each_entry(folder, match_spelling, &match);
    return match.found == 1 && ac_folder_has_file(folder, match.name) ? match.name
                                                                      : NULL;
}

static int match_file(const ac_folder_t *folder, const char *name, void *baton)
{
    match_t *match = baton;

    if (!strcasecmp(name, match->wanted) && ac_folder_has_file(folder, name)) {
        match->name = apr_pstrdup(folder->p, name);
    }
    return !match->name;
}

const char *ac_folder_any_spelling(const ac_folder_t *folder, const char *name)
{
    match_t match = { .wanted = name };

    if (ac_folder_has_file(folder, name)) {
        return name;
    }
    each_entry(folder, match_file, &match);
    return match.name;
}

typedef struct listing_t {
    apr_array_header_t *names;
    const char *suffix;
    int max;
} listing_t;

static int list_suffix(const ac_folder_t *folder, const char *name, void *baton)
{
    listing_t *list = baton;
    apr_size_t len = strlen(name);
    apr_size_t n = strlen(list->suffix);

    if (len > n && !strcmp(name + len - n, list->suffix)
        && ac_folder_has_file(folder, name)) {
        APR_ARRAY_PUSH(list->names, const char *) = apr_pstrmemdup(folder->p, name,
                                                                   len - n);
    }
    return list->names->nelts < list->max;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

apr_array_header_t *ac_folder_list(const ac_folder_t *folder, const char *suffix,
                                   int max)
{
    listing_t list = { .suffix = suffix, .max = max };

    list.names = apr_array_make(folder->p, 4, sizeof(const char *));
    each_entry(folder, list_suffix, &list);
    qsort(list.names->elts, (size_t)list.names->nelts, sizeof(const char *), by_name);
    return list.names;
}
