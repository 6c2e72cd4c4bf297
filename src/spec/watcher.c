/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/watcher.h"

#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/statfs.h>

#define SELF (IN_MOVE_SELF | IN_DELETE_SELF)

/* A link has no IN_DELETE_SELF while somebody has it open; its link count does
 * change, which is IN_ATTRIB. Writes count when the file is closed. */
static const uint32_t masks[] = {
    [AC_WATCHED_WAY] = SELF | IN_ATTRIB,
    [AC_WATCHED_PARENT] = SELF | IN_CREATE | IN_MOVED_TO,
    [AC_WATCHED_FOLDER] = SELF | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE
                          | IN_CLOSE_WRITE | IN_ATTRIB,
    [AC_WATCHED_FILES] = SELF | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE
                         | IN_CLOSE_WRITE | IN_ATTRIB,
    [AC_WATCHED_TMP] = SELF | IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB,
};

/* File systems that other machines change without this kernel knowing. */
static int is_remote(int fd)
{
    static const unsigned remote[] = {
        0x6969 /* NFS */, 0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */, 0x65735546
        /* FUSE */, 0x01021997 /* 9P */, 0x00c36400 /* Ceph */, 0x5346414f /* AFS */,
    };
    struct statfs fs;
    unsigned i;

    if (fstatfs(fd, &fs) < 0) {
        return 0;
    }
    for (i = 0; i < sizeof(remote) / sizeof(remote[0]); ++i) {
        if ((unsigned)fs.f_type == remote[i]) {
            return 1;
        }
    }
    return 0;
}

void ac_watcher_init(ac_watcher_t *watcher, int fd, apr_pool_t *p)
{
    watcher->fd = fd;
    watcher->blind = fd < 0 ? EBADF : 0;
    watcher->watched = apr_array_make(p, 8, sizeof(ac_watched_t));
}

static int is_there(const ac_watcher_t *watcher, const ac_watched_t *watched)
{
    int i;

    for (i = 0; i < watcher->watched->nelts; ++i) {
        const ac_watched_t *have = &APR_ARRAY_IDX(watcher->watched, i, ac_watched_t);

        if (have->number == watched->number && have->what == watched->what) {
            return 1;
        }
    }
    return 0;
}

/* Apps share folders on their ways, and with one instance also the watches: what
 * one asks for is added to what the others did. A folder on the way that may be
 * entered but not read cannot be watched, and need not be. */
void ac_watcher_add(ac_watcher_t *watcher, int fd, ac_watched_e what)
{
    ac_watched_t watched = { .what = what };
    char path[40];

    if (watcher->fd < 0) {
        return;
    }
    if (watcher->watched->nelts == AC_WATCHED_MAX) {
        watcher->blind = E2BIG;
        return;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    watched.number = inotify_add_watch(watcher->fd, path,
                                       masks[what] | IN_MASK_ADD | IN_EXCL_UNLINK);
    if (watched.number >= 0 && is_there(watcher, &watched)) {
        return;
    }
    if (watched.number >= 0) {
        APR_ARRAY_PUSH(watcher->watched, ac_watched_t) = watched;
    }
    else if (what == AC_WATCHED_FOLDER || what == AC_WATCHED_FILES || errno == ENOSPC) {
        watcher->blind = errno;
    }
    if ((what == AC_WATCHED_FOLDER || what == AC_WATCHED_FILES) && is_remote(fd)) {
        watcher->blind = EREMOTE;
    }
}
