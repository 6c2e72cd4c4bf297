/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/ledger.h"
#include "keeper/listen.h"
#include "shared/board.h"

#define TAKE_OVER_MSEC 300
#define FILES_REMOVED_MAX 256   /* of one private folder: apps may write there */
#define FOLDERS_REMOVED_MAX 64  /* in one of these */
#define FOLDERS_DEEP 8

/* A folder that exists is taken over only from root, us or its right owner, and
 * only if nobody else could write there: /tmp keeps its mode. */
static int is_usable(const struct stat *st, uid_t owner)
{
    return (st->st_uid == geteuid() || st->st_uid == owner)
           && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static apr_status_t open_dir(int *pfd, int at, const char *name, mode_t mode,
                             const uint32_t owner[2])
{
    apr_status_t rv = APR_SUCCESS;
    struct stat st;
    int fd;

    if (mkdirat(at, name, 0700) < 0 && errno != EEXIST) {
        return errno;
    }
    fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    if (fstat(fd, &st) == 0 && !is_usable(&st, owner[0])) {
        rv = EPERM;
    }
    else if ((geteuid() == 0 && fchown(fd, owner[0], owner[1]) < 0)
             || fchmod(fd, mode) < 0) {
        rv = errno;
    }
    if (rv != APR_SUCCESS) {
        close(fd);
        return rv;
    }
    *pfd = fd;
    return APR_SUCCESS;
}

/* Somebody left over listens there. */
static int is_in_use(const ac_keeper_t *k, const char *name)
{
    const ac_kproc_t *proc = k->procs;
    char known[AC_LISTEN_NAME];

    for (; proc; proc = proc->next) {
        ac_listen_name(known, proc);
        if (!strcmp(known, name)) {
            return 1;
        }
    }
    return 0;
}

/* With k only what is not in use. */
static void remove_files(const ac_keeper_t *k, int fd, int max)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    struct dirent *entry;

    while (dir && max-- > 0 && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")
            && !(k && is_in_use(k, entry->d_name))) {
            unlinkat(fd, entry->d_name, 0);
        }
    }
    if (dir) {
        closedir(dir);
    }
    else if (copy >= 0) {
        close(copy);
    }
}

/* What apps have made in there is bounded, for the keeper waits meanwhile. */
typedef struct sweep_t {
    struct stat top;            /* the app's own folder */
    int left;                   /* folders that may still be looked into */
    int depth;
} sweep_t;

static void sweep(sweep_t *all, int at, const char *name);

static void sweep_folders(sweep_t *all, int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    struct dirent *entry;

    while (dir && all->left > 0 && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) {
            sweep(all, fd, entry->d_name);
        }
    }
    if (dir) {
        closedir(dir);
    }
    else if (copy >= 0) {
        close(copy);
    }
}

/* Folders can be moved about while this goes on: those of the same owner and file
 * system only, which whoever moves them could as well have removed. */
static void sweep(sweep_t *all, int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    --all->left;
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &st) == 0 && st.st_uid == all->top.st_uid
        && st.st_dev == all->top.st_dev) {
        remove_files(NULL, fd, FILES_REMOVED_MAX);
        if (all->depth < FOLDERS_DEEP) {
            ++all->depth;
            sweep_folders(all, fd);
            --all->depth;
        }
    }
    close(fd);
    unlinkat(at, name, AT_REMOVEDIR);
}

void ac_runtime_remove_private(ac_keeper_t *k, const char *name)
{
    sweep_t all = { .left = FOLDERS_REMOVED_MAX };

    if (fstatat(k->private_fd, name, &all.top, AT_SYMLINK_NOFOLLOW) == 0) {
        sweep(&all, k->private_fd, name);
    }
}

static void remove_all_private(ac_keeper_t *k)
{
    int copy = openat(k->private_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' && !is_in_use(k, entry->d_name)) {
            ac_runtime_remove_private(k, entry->d_name);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

static apr_status_t open_notify(ac_keeper_t *k)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int on = 1;
    int fd;

    if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/notify",
                 k->config->runtime_dir) >= (int)sizeof(addr.sun_path)) {
        return ENAMETOOLONG;
    }
    unlink(addr.sun_path);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0
        || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0
        || chmod(addr.sun_path, 0666) < 0) {
        apr_status_t rv = errno;

        close(fd);
        return rv;
    }
    k->notify_fd = fd;
    return APR_SUCCESS;
}

/* One keeper works in the folder. A predecessor that stops gives it up at once;
 * what has to be waited for is its notice that httpd died. */
static apr_status_t take_over(ac_keeper_t *k)
{
    apr_time_t end = ac_clock_now() + apr_time_from_msec(TAKE_OVER_MSEC);

    while (flock(k->runtime_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK || ac_clock_now() >= end) {
            return errno == EWOULDBLOCK ? EBUSY : errno;
        }
        poll(NULL, 0, 5);
    }
    return APR_SUCCESS;
}

void ac_runtime_yield(ac_keeper_t *k)
{
    flock(k->runtime_fd, LOCK_UN);
}

apr_status_t ac_runtime_open(ac_keeper_t *k)
{
    const ac_keeper_config_t *config = k->config;
    int root = geteuid() == 0;
    const uint32_t ours[2] = { geteuid(), getegid() };
    const uint32_t shared[2] = { geteuid(), root ? config->server_gid : getegid() };
    const uint32_t servers[2] = {
        root ? config->server_uid : geteuid(), root ? config->server_gid : getegid()
    };
    mode_t mask = umask(077);
    int reports = -1;
    apr_status_t rv;

    rv = open_dir(&k->runtime_fd, AT_FDCWD, config->runtime_dir, 0711, ours);
    if (rv == APR_SUCCESS) {
        rv = take_over(k);
    }
    if (rv == APR_SUCCESS) {
        rv = ac_ledger_open(k);
    }
    if (rv == APR_SUCCESS) {
        rv = open_dir(&k->sockets_fd, k->runtime_fd, "s", 0710, shared);
    }
    if (rv == APR_SUCCESS) {
        rv = open_dir(&k->private_fd, k->runtime_fd, "p", 0711, ours);
    }
    if (rv == APR_SUCCESS) {
        rv = open_dir(&reports, k->runtime_fd, "r", 0700, servers);
    }
    if (rv == APR_SUCCESS) {
        remove_files(k, k->sockets_fd, AC_BOARD_PROCS);
        remove_files(NULL, reports, AC_BOARD_APPS * 2);
        remove_all_private(k);
        close(reports);
        rv = open_notify(k);
    }
    /* Apps without AppCoreUmask get httpd's. */
    umask(mask);
    return rv;
}

void ac_runtime_close(ac_keeper_t *k)
{
    /* By now it may be a successor's. */
    if (k->runtime_fd < 0 || flock(k->runtime_fd, LOCK_EX | LOCK_NB) < 0) {
        return;
    }
    remove_files(NULL, k->sockets_fd, AC_BOARD_PROCS);
    remove_all_private(k);
    unlinkat(k->runtime_fd, "notify", 0);
    unlinkat(k->runtime_fd, "keeper.pids", 0);
}
