/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pidfd.h"
#include "shared/board.h"

#define TAKE_OVER_MSEC 300
#define LEFT_TERM_MSEC 1000
#define LEFT_KILL_MSEC 500
#define FILES_REMOVED_MAX 256   /* of one private folder: apps may write there */

typedef struct ledger_entry_t {
    int32_t pid;                /* 0: free; leader of a session */
    uint32_t uid;
    uint64_t start_time;        /* in clock ticks since boot: tells pids apart */
} ledger_entry_t;

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

static void remove_files(int fd, int max)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    struct dirent *entry;

    while (dir && max-- > 0 && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) {
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

void ac_runtime_remove_private(ac_keeper_t *k, const char *name)
{
    int fd = openat(k->private_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0) {
        remove_files(fd, FILES_REMOVED_MAX);
        close(fd);
        unlinkat(k->private_fd, name, AT_REMOVEDIR);
    }
}

static void remove_all_private(ac_keeper_t *k)
{
    int copy = openat(k->private_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
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

/* Fields of /proc/PID/stat behind the name, which may hold anything. */
static int read_stat(pid_t pid, int *psession, uint64_t *pstart)
{
    char path[32], buf[1024];
    unsigned long long start;
    const char *at;
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    n = read(fd, buf, sizeof(buf) - 1);
    close(fd);
    if (n <= 0) {
        return 0;
    }
    buf[n] = '\0';
    at = strrchr(buf, ')');
    if (!at || sscanf(at + 1, " %*c %*d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u"
                      " %*d %*d %*d %*d %*d %*d %llu", psession, &start) != 2) {
        return 0;
    }
    *pstart = start;
    return 1;
}

int64_t ac_process_uid(pid_t pid)
{
    char path[32], line[256];
    long uid = -1;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    f = fopen(path, "re");
    while (f && uid < 0 && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "Uid: %ld", &uid) != 1) {
            uid = -1;
        }
    }
    if (f) {
        fclose(f);
    }
    return uid;
}

int ac_ledger_add(ac_keeper_t *k, pid_t pid, uid_t uid)
{
    ledger_entry_t entry = { .pid = pid, .uid = uid };
    int session, n;

    for (n = 0; n < AC_BOARD_PROCS && k->ledger_used[n]; ++n) {
    }
    if (k->ledger_fd < 0 || n == AC_BOARD_PROCS
        || !read_stat(pid, &session, &entry.start_time)
        || pwrite(k->ledger_fd, &entry, sizeof(entry), (off_t)(n * sizeof(entry)))
           != sizeof(entry)) {
        return -1;
    }
    k->ledger_used[n] = 1;
    return n;
}

void ac_ledger_remove(ac_keeper_t *k, int entry)
{
    static const ledger_entry_t none;

    if (entry >= 0 && k->ledger_used[entry] && !k->stop
        && pwrite(k->ledger_fd, &none, sizeof(none), (off_t)(entry * sizeof(none)))
           == sizeof(none)) {
        k->ledger_used[entry] = 0;
    }
}

/* The leader of the entry, if it still is the same process. */
static int open_leader(const ledger_entry_t *entry)
{
    uint64_t start = 0;
    int session, fd = ac_pidfd_open(entry->pid);

    if (fd >= 0 && (!read_stat(entry->pid, &session, &start)
                    || start != entry->start_time)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* A session keeps its number from being used again while it has members. So a
 * session that is in the ledger is ours if its leader is the recorded process,
 * or if that is gone and the member has the app's user. */
static void kill_members(const ledger_entry_t *entries, int n)
{
    DIR *dir = opendir("/proc");
    struct dirent *name;

    while (dir && (name = readdir(dir)) != NULL) {
        pid_t pid = atoi(name->d_name);
        uint64_t start;
        int session, i;

        if (pid <= 1 || !read_stat(pid, &session, &start)) {
            continue;
        }
        for (i = 0; i < n; ++i) {
            if (entries[i].pid && session == entries[i].pid
                && ac_process_uid(pid) == (int64_t)entries[i].uid) {
                kill(pid, SIGKILL);
            }
        }
    }
    if (dir) {
        closedir(dir);
    }
}

static void wait_all(const int *fds, int n, int msec)
{
    apr_time_t end = ac_clock_now() + apr_time_from_msec(msec);
    int i;

    for (i = 0; i < n; ++i) {
        struct pollfd poll_fd = { .fd = fds[i], .events = POLLIN };
        apr_time_t left = end - ac_clock_now();

        poll(&poll_fd, 1, left > 0 ? (int)(left / 1000) + 1 : 0);
    }
}

static void end_leftovers(ledger_entry_t *entries, int n)
{
    int *leaders = calloc((size_t)n, sizeof(int));
    int i, alive = 0;

    if (!leaders) {
        return;
    }
    for (i = 0; i < n; ++i) {
        int fd = entries[i].pid > 1 ? open_leader(&entries[i]) : -1;

        if (fd >= 0) {
            kill(-entries[i].pid, SIGTERM);
            leaders[alive++] = fd;
        }
        else if (entries[i].pid > 1 && kill(entries[i].pid, 0) == 0) {
            entries[i].pid = 0; /* somebody else's by now */
        }
    }
    wait_all(leaders, alive, LEFT_TERM_MSEC);
    kill_members(entries, n);
    wait_all(leaders, alive, LEFT_KILL_MSEC);
    while (alive > 0) {
        close(leaders[--alive]);
    }
    free(leaders);
}

static apr_status_t open_ledger(ac_keeper_t *k)
{
    apr_size_t size = AC_BOARD_PROCS * sizeof(ledger_entry_t);
    ledger_entry_t *entries = malloc(size);
    ssize_t got;

    k->ledger_used = apr_pcalloc(k->p, AC_BOARD_PROCS);
    k->ledger_fd = openat(k->runtime_fd, "keeper.pids",
                          O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (k->ledger_fd < 0 || !entries) {
        free(entries);
        return errno;
    }
    got = read(k->ledger_fd, entries, size);
    if (got >= (ssize_t)sizeof(*entries)) {
        end_leftovers(entries, (int)((size_t)got / sizeof(*entries)));
    }
    free(entries);
    return ftruncate(k->ledger_fd, 0) < 0 ? errno : APR_SUCCESS;
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
        rv = open_ledger(k);
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
        remove_files(k->sockets_fd, AC_BOARD_PROCS);
        remove_files(reports, AC_BOARD_APPS * 2);
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
    remove_files(k->sockets_fd, AC_BOARD_PROCS);
    remove_all_private(k);
    unlinkat(k->runtime_fd, "notify", 0);
    unlinkat(k->runtime_fd, "keeper.pids", 0);
}
