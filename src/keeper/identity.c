/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/identity.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <apr_strings.h>

#include "spec/folder.h"

#define NOBODY 65534

static int refuse(ac_result_t *res, apr_status_t status, const char *what,
                  const char *name)
{
    ac_result_set(res, status, AC_STAGE_IDENTITY, AC_FAULT_IDENTITY, what, name);
    return 0;
}

/* "#123", as httpd spells a numeric user or group. */
static int numeric(const char *name, unsigned long *pid)
{
    char *end;

    if (name[0] != '#' || !isdigit((unsigned char)name[1])) {
        return 0;
    }
    *pid = strtoul(name + 1, &end, 10);
    return !*end && *pid < 0xffffffffUL;
}

/* Membership in root's group is dropped: gid 0 opens too much. */
static void take_groups(ac_identity_t *id, const char *user)
{
    int i, n = AC_IDENTITY_GROUPS;

    if (getgrouplist(user, id->gid, id->groups, &n) < 0) {
        n = AC_IDENTITY_GROUPS;
    }
    id->n_groups = 0;
    for (i = 0; i < n; ++i) {
        if (id->groups[i] != 0) {
            id->groups[id->n_groups++] = id->groups[i];
        }
    }
}

static void take_passwd(ac_identity_t *id, const struct passwd *pw)
{
    id->uid = pw->pw_uid;
    id->gid = pw->pw_gid;
    apr_cpystrn(id->user, pw->pw_name, sizeof(id->user));
    apr_cpystrn(id->home, pw->pw_dir ? pw->pw_dir : "", sizeof(id->home));
    take_groups(id, pw->pw_name);
}

/* A number without an entry has no name, home or groups. */
static void take_number(ac_identity_t *id, uid_t uid, gid_t gid)
{
    struct passwd *pw = getpwuid(uid);

    if (pw) {
        take_passwd(id, pw);
        return;
    }
    id->uid = uid;
    id->gid = gid;
    snprintf(id->user, sizeof(id->user), "#%lu", (unsigned long)uid);
}

static int take_user(ac_identity_t *id, const char *name, ac_result_t *res)
{
    unsigned long number;
    struct passwd *pw;

    if (numeric(name, &number)) {
        take_number(id, (uid_t)number, 0);
        return 1;
    }
    errno = 0;
    pw = getpwnam(name);
    if (!pw) {
        return refuse(res, errno ? errno : ENOENT, "there is no user \"%s\"", name);
    }
    take_passwd(id, pw);
    return 1;
}

static int take_group(ac_identity_t *id, const char *name, ac_result_t *res)
{
    unsigned long number;
    struct group *gr;

    if (numeric(name, &number)) {
        id->gid = (gid_t)number;
        return 1;
    }
    errno = 0;
    gr = getgrnam(name);
    if (!gr) {
        return refuse(res, errno ? errno : ENOENT, "there is no group \"%s\"", name);
    }
    id->gid = gr->gr_gid;
    return 1;
}

static int take_owner(ac_identity_t *id, const ac_keeper_app_t *app, ac_result_t *res)
{
    struct stat st;

    if (stat(app->folder, &st) < 0) {
        ac_result_set(res, errno, AC_STAGE_IDENTITY, AC_FAULT_CONFIG,
                      "the folder %s cannot be read: %s", app->folder, strerror(errno));
        return 0;
    }
    if (st.st_uid) {
        take_number(id, st.st_uid, st.st_gid);
        return 1;
    }
    if (!app->default_user) {
        return refuse(res, APR_EGENERAL, "root owns %s: set AppCoreUser or "
                      "AppCoreDefaultUser, since no app runs as root", app->folder);
    }
    return take_user(id, app->default_user, res);
}

int ac_identity_resolve(ac_identity_t *id, const ac_keeper_app_t *app, ac_result_t *res)
{
    memset(id, 0, sizeof(*id));
    if (geteuid() != 0) {
        take_number(id, geteuid(), getegid());
        return 1;
    }
    id->drop = 1;
    if (app->user ? !take_user(id, app->user, res) : !take_owner(id, app, res)) {
        return 0;
    }
    if (app->group && !take_group(id, app->group, res)) {
        return 0;
    }
    if (id->uid == 0) {
        return refuse(res, APR_EGENERAL, "the user is %s, but no app runs as root; "
                      "set AppCoreUser to another user", id->user);
    }
    if (id->gid == 0) {
        return refuse(res, APR_EGENERAL, "the group of user %s is root's, but no app "
                      "runs with that; name another group in AppCoreUser", id->user);
    }
    return 1;
}

void ac_identity_server(ac_identity_t *id, uint32_t uid, uint32_t gid)
{
    memset(id, 0, sizeof(*id));
    id->drop = geteuid() == 0;
    id->uid = uid ? uid : NOBODY;
    id->gid = gid ? gid : NOBODY;
}

/* No dump of a process that still carries the keeper's memory: until it runs a
 * program, the app's user must not read it. */
int ac_identity_take(const ac_identity_t *id, ac_result_t *res)
{
    if (id->drop
        && (setgroups((size_t)id->n_groups, id->groups) < 0
            || setresgid(id->gid, id->gid, id->gid) < 0
            || setresuid(id->uid, id->uid, id->uid) < 0)) {
        return refuse(res, errno, "cannot become user %s", id->user);
    }
    if (id->drop && (setuid(0) == 0 || setgid(0) == 0)) {
        return refuse(res, APR_EGENERAL, "user %s could become root again", id->user);
    }
    /* A service manager may have given some to an ordinary user's httpd. */
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return refuse(res, errno, "cannot give up privileges as user %s", id->user);
    }
    return 1;
}

int ac_identity_enter(const ac_identity_t *id, const ac_keeper_app_t *app,
                      ac_result_t *res)
{
    ac_folder_t *folder;
    apr_pool_t *p;
    int entered;

    apr_pool_create(&p, NULL);
    folder = ac_folder_open(app->folder, id->uid, res, p);
    entered = folder && fchdir(folder->fd) == 0;
    if (folder && !entered) {
        ac_result_set(res, errno, AC_STAGE_EXEC, AC_FAULT_EXEC,
                      "cannot enter the folder %s: %s", app->folder, strerror(errno));
    }
    apr_pool_destroy(p);
    return entered;
}

static int is_writable_home(const char *path, uid_t uid)
{
    struct stat st;

    return path[0] == '/' && stat(path, &st) == 0 && S_ISDIR(st.st_mode)
           && st.st_uid == uid && (st.st_mode & S_IRWXU) == S_IRWXU;
}

/* The state dir is ours, so what is found there under this name was made here
 * or by an administrator; its owner decides whether it is this user's. */
static int make_home(const char *path, const ac_identity_t *id)
{
    int fd, made = mkdir(path, 0700) == 0;
    struct stat st;
    int ok;

    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ok = (!made || !id->drop || fchown(fd, id->uid, id->gid) == 0)
         && fstat(fd, &st) == 0 && st.st_uid == id->uid;
    close(fd);
    return ok;
}

const char *ac_identity_home(const ac_identity_t *id, const ac_keeper_app_t *app,
                             apr_pool_t *p)
{
    char *name, *at;
    const char *path;
    mode_t mask;

    if (is_writable_home(id->home, id->uid)) {
        return apr_pstrdup(p, id->home);
    }
    if (!app->state_dir) {
        return NULL;
    }
    name = apr_psprintf(p, "%s-%016" APR_UINT64_T_HEX_FMT, app->name, app->id);
    for (at = name; *at; ++at) {
        if (!isalnum((unsigned char)*at) && !strchr("-_", *at)) {
            *at = '_';
        }
    }
    /* Users must get through to theirs, whatever httpd's umask. */
    mask = umask(0);
    mkdir(app->state_dir, 0711);
    umask(mask);
    path = apr_pstrcat(p, app->state_dir, "/", name, NULL);
    return make_home(path, id) ? path : NULL;
}
