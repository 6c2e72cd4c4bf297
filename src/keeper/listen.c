/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "keeper/runtime.h"

#define BACKLOG 1024
#define NEW_NAME ".new"

void ac_listen_name(char *name, const ac_kproc_t *proc)
{
    snprintf(name, AC_LISTEN_NAME, "%016llx.%u.%u", (unsigned long long)proc->is.app_id,
             proc->is.slot, proc->is.generation);
}

/* httpd's group may connect. s/ cannot be written by anybody else, so what the
 * name means does not change under us. */
static apr_status_t admit(ac_keeper_t *k, const char *name, uid_t owner)
{
    if (geteuid() == 0
        && fchownat(k->sockets_fd, name, owner, k->config->server_gid,
                    AT_SYMLINK_NOFOLLOW) < 0) {
        return errno;
    }
    return fchmodat(k->sockets_fd, name, 0660, 0) < 0 ? errno : APR_SUCCESS;
}

static apr_status_t open_as(ac_keeper_t *k, int fd, const char *name)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    apr_status_t rv;

    if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/s/%s",
                 k->config->runtime_dir, name) >= (int)sizeof(addr.sun_path)) {
        return ENAMETOOLONG;
    }
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        return errno;
    }
    rv = listen(fd, BACKLOG) < 0 ? errno : admit(k, name, geteuid());
    if (rv != APR_SUCCESS) {
        unlinkat(k->sockets_fd, name, 0);
    }
    return rv;
}

/* In place of what an earlier keeper left under that name: whoever sees the name
 * can connect. */
static apr_status_t open_instead(ac_keeper_t *k, int fd, const char *name)
{
    apr_status_t rv;

    unlinkat(k->sockets_fd, NEW_NAME, 0);
    rv = open_as(k, fd, NEW_NAME);
    if (rv == APR_SUCCESS && renameat(k->sockets_fd, NEW_NAME, k->sockets_fd, name) < 0) {
        rv = errno;
    }
    return rv;
}

/* Apps print the name that a socket was bound to, so it is the final one if that
 * is free; nobody is told of it before it listens. */
apr_status_t ac_listen_open(ac_keeper_t *k, ac_kproc_t *proc)
{
    char name[AC_LISTEN_NAME];
    apr_status_t rv;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return errno;
    }
    ac_listen_name(name, proc);
    rv = open_as(k, fd, name);
    if (rv == EADDRINUSE) {
        rv = open_instead(k, fd, name);
    }
    if (rv != APR_SUCCESS) {
        close(fd);
        return rv;
    }
    proc->listener = fd;
    proc->has_path = 1;
    return APR_SUCCESS;
}

apr_status_t ac_listen_inherit(ac_keeper_t *k, ac_kproc_t *from, ac_kproc_t *proc)
{
    char old[AC_LISTEN_NAME], name[AC_LISTEN_NAME];

    if (from->listener < 0 || from->is.app_id != proc->is.app_id) {
        return ENOENT;
    }
    if (from->is.state != AC_PROCESS_EXITED && from->is.pid) {
        return EBUSY;
    }
    ac_listen_name(old, from);
    ac_listen_name(name, proc);
    if (renameat(k->sockets_fd, old, k->sockets_fd, name) < 0) {
        return errno;
    }
    proc->listener = from->listener;
    proc->has_path = 1;
    from->listener = -1;
    from->has_path = 0;
    return APR_SUCCESS;
}

apr_status_t ac_listen_make_folder(ac_keeper_t *k, const ac_kproc_t *proc, uid_t uid)
{
    char name[AC_LISTEN_NAME];
    apr_status_t rv = APR_SUCCESS;
    int fd;

    ac_listen_name(name, proc);
    if (mkdirat(k->private_fd, name, 0700) < 0) {
        return errno;
    }
    fd = openat(k->private_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0750) < 0
        || (geteuid() == 0 && fchown(fd, uid, k->config->server_gid) < 0)) {
        rv = errno;
    }
    if (fd >= 0) {
        close(fd);
    }
    return rv;
}

static apr_status_t check_socket(int at, const char *name, uid_t uid)
{
    struct stat st;

    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return errno;
    }
    return S_ISSOCK(st.st_mode) && st.st_uid == uid ? APR_SUCCESS : EPERM;
}

/* A second name, in our folder: the first one stays, since many programs set the
 * mode of their socket once they listen. The app owns its folder and may swap the
 * file at any moment, so what counts is the check in the folder where it cannot. */
static apr_status_t link_socket(ac_keeper_t *k, int folder, const char *name, uid_t uid)
{
    apr_status_t rv = check_socket(folder, "app.sock", uid);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    unlinkat(k->sockets_fd, NEW_NAME, 0);
    if (linkat(folder, "app.sock", k->sockets_fd, NEW_NAME, 0) < 0) {
        return errno;
    }
    rv = check_socket(k->sockets_fd, NEW_NAME, uid);
    if (rv == APR_SUCCESS) {
        rv = admit(k, NEW_NAME, uid);
    }
    if (rv == APR_SUCCESS && renameat(k->sockets_fd, NEW_NAME, k->sockets_fd, name) < 0) {
        rv = errno;
    }
    if (rv != APR_SUCCESS) {
        unlinkat(k->sockets_fd, NEW_NAME, 0);
    }
    return rv;
}

apr_status_t ac_listen_take_path(ac_keeper_t *k, ac_kproc_t *proc)
{
    char name[AC_LISTEN_NAME];
    struct stat st;
    apr_status_t rv;
    int folder;

    ac_listen_name(name, proc);
    folder = openat(k->private_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0) {
        return errno;
    }
    rv = fstat(folder, &st) < 0 ? errno : link_socket(k, folder, name, st.st_uid);
    close(folder);
    proc->has_path |= rv == APR_SUCCESS;
    return rv;
}

void ac_listen_drop(ac_keeper_t *k, ac_kproc_t *proc)
{
    char name[AC_LISTEN_NAME];

    ac_listen_name(name, proc);
    if (proc->listener >= 0) {
        close(proc->listener);
        proc->listener = -1;
    }
    /* A keeper that stops may have a successor, whose names are the same. */
    if (proc->has_path && !k->stop) {
        unlinkat(k->sockets_fd, name, 0);
    }
    if (proc->has_folder && !k->stop) {
        ac_runtime_remove_private(k, name);
    }
    proc->has_path = 0;
    proc->has_folder = 0;
}
