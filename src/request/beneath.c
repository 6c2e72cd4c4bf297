/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#define NAME_SIZE 4096
#define RESOLVE_TRIES 16

/* EAGAIN: something was renamed meanwhile and the kernel could not be sure. */
static int kernel_open(int folder, const char *name, int flags)
{
    struct open_how how;
    int tries = RESOLVE_TRIES;
    int fd;

    memset(&how, 0, sizeof(how));
    how.flags = (uint64_t)(unsigned)(flags | O_PATH | O_CLOEXEC);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    do {
        fd = (int)syscall(SYS_openat2, folder, name, &how, sizeof(how));
    } while (fd < 0 && errno == EAGAIN && --tries);
    return fd;
}

static int step(int folder, const char *segment, int flags)
{
    if (!*segment || !strcmp(segment, "..")) {
        errno = ENOENT;
        return -1;
    }
    return openat(folder, segment, flags | O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/* close() that keeps errno. */
static void drop(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
}

/* Without openat2 (a sandbox may hide it): segment by segment. */
static int walk_open(int folder, const char *name, int flags)
{
    char copy[NAME_SIZE];
    char *segment = copy;
    char *slash;
    int at = folder;
    int next;

    if (strlen(name) >= sizeof(copy)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(copy, name, strlen(name) + 1);
    do {
        slash = strchr(segment, '/');
        if (slash) {
            *slash = '\0';
        }
        next = step(at, segment, slash ? O_DIRECTORY : flags);
        if (at != folder) {
            drop(at);
        }
        at = next;
        segment = slash ? slash + 1 : segment;
    } while (at >= 0 && slash);
    return at;
}

static int open_beneath(int folder, const char *name, int flags)
{
    int fd = kernel_open(folder, name, flags);

    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
        fd = walk_open(folder, name, flags);
    }
    return fd;
}

int ac_beneath_folder(const char *app_folder, const char *folder)
{
    static const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    size_t len = strlen(app_folder);
    int base;
    int fd;

    if (strncmp(folder, app_folder, len) || folder[len] != '/') {
        return open(folder, flags);
    }
    base = open(app_folder, flags);
    if (base < 0) {
        return -1;
    }
    fd = open_beneath(base, folder + len + 1, O_DIRECTORY);
    drop(base);
    return fd;
}

int ac_beneath_name_allowed(const char *name)
{
    static const char web_config[] = "web.config";
    size_t len;

    do {
        len = strcspn(name, "/");
        if (!len || *name == '.') {
            return 0;
        }
        if (len == sizeof(web_config) - 1 && !strncasecmp(name, web_config, len)) {
            return 0;
        }
        name += len;
    } while (*name++ == '/');
    return 1;
}

static int readable_for_app(const struct stat *st, uid_t uid)
{
    return S_ISREG(st->st_mode)
           && (st->st_uid == uid || (st->st_uid == 0 && (st->st_mode & S_IROTH)));
}

int ac_beneath_file(int folder, const char *name, uid_t uid, struct stat *st)
{
    int fd;

    if (!ac_beneath_name_allowed(name)) {
        errno = ENOENT;
        return -1;
    }
    fd = open_beneath(folder, name, 0);
    if (fd >= 0 && (fstat(fd, st) < 0 || !readable_for_app(st, uid))) {
        close(fd);
        errno = EACCES;
        fd = -1;
    }
    return fd;
}
