/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/shadow.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <apr_strings.h>
#include "spec/copy.h"
#include "spec/handler.h"

#define DEFAULT_DIRECTORY "ShadowCopyDirectory"
#define ASSEMBLY ".dll"
#define NUMBER_MAX 1000000000L
#define CMDLINE_MAX 8192
#define NO_COPY "no shadow copy, the app runs from its own folder: "

typedef struct shadow_t {
    ac_look_t *look;
    const char *path;           /* of the folder with the copies, absolute */
    int fd;
    ac_copy_t copy;
    long newest;                /* -1: there is none */
} shadow_t;

static void give_up(const shadow_t *shadow, int err, const char *what)
{
    ac_look_notice(shadow->look, NO_COPY "%s %.200s: %s", what, shadow->path,
                   strerror(err));
}

static int is_wanted(const ac_look_t *look)
{
    return look->launch->result.fault == AC_FAULT_NONE
           && look->launch->kind == AC_KIND_DOTNET
           && (!look->req->inside || look->set->hosting_model.v == AC_HOSTING_IN_PROCESS)
           && (ac_handler_is_on(look->set, AC_HANDLER_SHADOW_COPY, 0)
               || ac_handler_is_on(look->set, AC_HANDLER_SHADOW_COPY_6, 0));
}

static const char *directory_of(const ac_look_t *look)
{
    const char *value = ac_settings_handler(look->set, AC_HANDLER_SHADOW_DIRECTORY);
    char *path = apr_pstrdup(look->p, value && *value ? value : DEFAULT_DIRECTORY);
    char *at;

    for (at = path; *at; ++at) {
        *at = *at == '\\' ? '/' : *at;
    }
    return *path == '/' ? path
           : apr_pstrcat(look->p, look->req->folder, "/", path, NULL);
}

static int make_way(char *path)
{
    char *at;

    for (at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST) {
            return 0;
        }
        *at = '/';
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static int is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The app runs from files there, so nobody else may put any: the way is as that to
 * the app's own folder, and the end of it is not open to everybody as /tmp is. */
static int open_directory(shadow_t *shadow)
{
    const ac_folder_t *app = shadow->look->folder;
    ac_result_t res = AC_RESULT_OK;
    const ac_folder_t *dir;
    struct stat st, own;

    if (!make_way(apr_pstrdup(shadow->look->p, shadow->path))) {
        give_up(shadow, errno, "cannot make");
        return 0;
    }
    dir = ac_folder_open(shadow->path, app->uid, &res, shadow->look->p);
    if (!dir) {
        ac_look_notice(shadow->look, NO_COPY "%s", res.detail);
        return 0;
    }
    shadow->fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (shadow->fd < 0 || fstat(shadow->fd, &st) < 0 || fstat(app->fd, &own) < 0) {
        give_up(shadow, errno, "cannot open");
        return 0;
    }
    if (is_same(&st, &own) || (st.st_mode & S_IWOTH)) {
        give_up(shadow, EPERM, "not a folder of the app's user beside its own:");
        return 0;
    }
    /* Another app of the same folder may be looked at in this moment, and the two
     * would give names to each other's unfinished files. */
    if (shadow->look->req->inside != AC_LOOK_AGAIN) {
        flock(shadow->fd, LOCK_EX);
    }
    shadow->copy.skip_dev = st.st_dev;
    shadow->copy.skip_ino = st.st_ino;
    return 1;
}

/* Copies ------------------------------------------------------------------- */

static long number_of(const char *name)
{
    char *end;
    long n = isdigit((unsigned char)*name) ? strtol(name, &end, 10) : -1;

    return n >= 0 && !*end && n < NUMBER_MAX && (*name != '0' || !name[1]) ? n : -1;
}

/* Where releases have numbers and the copies are to lie among them. */
static int is_own_folder(const shadow_t *shadow, const char *name)
{
    struct stat st, own;

    return fstat(shadow->look->folder->fd, &own) < 0
           || (fstatat(shadow->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0
               && is_same(&st, &own));
}

typedef void visit_fn(shadow_t *shadow, const char *name, long number);

static void each_copy(shadow_t *shadow, visit_fn *visit)
{
    int fd = openat(shadow->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (number_of(entry->d_name) >= 0 && !is_own_folder(shadow, entry->d_name)) {
            visit(shadow, entry->d_name, number_of(entry->d_name));
        }
    }
    if (dir) {
        closedir(dir);
    }
    else if (fd >= 0) {
        close(fd);
    }
}

static void find_newest(shadow_t *shadow, const char *name, long number)
{
    (void)name;
    shadow->newest = number > shadow->newest ? number : shadow->newest;
}

/* Does a process name the copy in its command line? Such files must stay: a
 * runtime loads some of them late. */
static int names_copy(const char *pid, const char *path)
{
    char file[32], words[CMDLINE_MAX + 1];
    size_t len = strlen(path);
    ssize_t n, at;
    int fd;

    apr_snprintf(file, sizeof(file), "/proc/%.10s/cmdline", pid);
    fd = open(file, O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? read(fd, words, CMDLINE_MAX) : 0;
    if (fd >= 0) {
        close(fd);
    }
    words[n > 0 ? n : 0] = '\0';
    for (at = 0; at < n; at += (ssize_t)strlen(words + at) + 1) {
        if (strncmp(words + at, path, len) == 0) {
            return 1;
        }
    }
    return 0;
}

static int open_named(const shadow_t *shadow, const char *name)
{
    return openat(shadow->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* By a child of httpd. */
static int is_held(const shadow_t *shadow, const char *name)
{
    int fd = open_named(shadow, name);
    int held = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;

    if (fd >= 0) {
        close(fd);
    }
    return held;
}

static int is_run_from(const shadow_t *shadow, const char *name)
{
    const char *path = apr_pstrcat(shadow->look->p, shadow->path, "/", name, "/", NULL);
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    int used = !proc;

    while (!used && (entry = readdir(proc))) {
        used = isdigit((unsigned char)*entry->d_name) && names_copy(entry->d_name, path);
    }
    if (proc) {
        closedir(proc);
    }
    return used;
}

static int is_used(const shadow_t *shadow, const char *name)
{
    return is_held(shadow, name) || is_run_from(shadow, name);
}

static void remove_old(shadow_t *shadow, const char *name, long number)
{
    if (number < shadow->newest && !is_used(shadow, name)) {
        ac_copy_remove(shadow->fd, name);
    }
}

static void remove_unused(shadow_t *shadow, const char *name, long number)
{
    (void)number;
    if (!is_used(shadow, name)) {
        ac_copy_remove(shadow->fd, name);
    }
}

static int open_copy(const shadow_t *shadow, long number)
{
    return open_named(shadow, apr_ltoa(shadow->look->p, number));
}

static int is_current(shadow_t *shadow)
{
    int fd = shadow->newest >= 0 ? open_copy(shadow, shadow->newest) : -1;
    int same = 0;

    if (fd >= 0) {
        same = ac_copy_same(&shadow->copy, shadow->look->folder->fd, fd, ASSEMBLY);
        close(fd);
    }
    return same;
}

static void allow_writing(void)
{
    struct rlimit size;

    if (getrlimit(RLIMIT_FSIZE, &size) == 0) {
        size.rlim_cur = size.rlim_max;
        setrlimit(RLIMIT_FSIZE, &size);
    }
}

/* The copy that the app runs from, up to date; -1. A new one is made under a name
 * that is no number, so one that was broken off is never taken for whole. */
static int bring_up_to_date(shadow_t *shadow)
{
    static const char part[] = "next.part";
    int is_new = !is_current(shadow);
    const char *name = is_new ? part : apr_ltoa(shadow->look->p, shadow->newest);
    apr_status_t rv;
    int fd;

    if (is_new && mkdirat(shadow->fd, part, 0700) < 0 && errno != EEXIST) {
        give_up(shadow, errno, "cannot write to");
        return 0;
    }
    fd = open_named(shadow, name);
    rv = fd < 0 ? errno : ac_copy_tree(&shadow->copy, shadow->look->folder->fd, fd);
    if (fd >= 0) {
        close(fd);
    }
    if (rv == APR_SUCCESS && is_new) {
        name = apr_ltoa(shadow->look->p, ++shadow->newest);
        rv = renameat(shadow->fd, part, shadow->fd, name) < 0 ? errno : APR_SUCCESS;
    }
    if (rv != APR_SUCCESS) {
        give_up(shadow, rv, "cannot copy to");
    }
    return rv == APR_SUCCESS;
}

/* Launch -------------------------------------------------------------------- */

/* The path of a file of the app below its folder, or NULL. */
static const char *inner_path(const ac_look_t *look, const char *arg)
{
    apr_size_t len = strlen(look->req->folder);

    if (strncmp(arg, look->req->folder, len) == 0 && arg[len] == '/') {
        arg += len + 1;
    }
    while (strncmp(arg, "./", 2) == 0) {
        arg += 2;
    }
    return *arg && *arg != '/' && *arg != '-' && !strstr(arg, "..")
           && ac_folder_has_file(look->folder, arg) ? arg : NULL;
}

/* The program, and the .dll that the dotnet host gets. */
static int run_from(const shadow_t *shadow)
{
    ac_launch_t *launch = shadow->look->launch;
    apr_array_header_t *argv = apr_array_copy(shadow->look->p, launch->argv);
    const char *program = strrchr(APR_ARRAY_IDX(argv, 0, const char *), '/');
    int is_host = program && strcmp(program, "/dotnet") == 0;
    int i, moved = 0;

    for (i = 0; i < argv->nelts && !moved; ++i) {
        const char *path = inner_path(shadow->look, APR_ARRAY_IDX(argv, i, const char *));

        if (path && (i == 0 || strstr(path, ASSEMBLY))) {
            APR_ARRAY_IDX(argv, i, const char *)
                = apr_psprintf(shadow->look->p, "%s/%ld/%s", shadow->path,
                               shadow->newest, path);
            /* A host in the app's folder is not yet the app. */
            moved = i > 0 || !is_host;
        }
    }
    launch->argv = moved ? argv : launch->argv;
    return moved;
}

static void hold(shadow_t *shadow)
{
    int fd = open_copy(shadow, shadow->newest);

    if (fd >= 0) {
        flock(fd, LOCK_SH);
        shadow->look->launch->copy_fd = fd;
    }
}

static void apply(shadow_t *shadow)
{
    ac_look_t *look = shadow->look;

    if (!look->req->inside) {
        allow_writing();
    }
    if (ac_handler_is_on(look->set, AC_HANDLER_SHADOW_CLEAN, 0)) {
        each_copy(shadow, remove_unused);
    }
    each_copy(shadow, find_newest);
    if (!bring_up_to_date(shadow)) {
        return;
    }
    if (!run_from(shadow)) {
        give_up(shadow, ENOENT, "the command line names no .dll of the app for");
        return;
    }
    if (look->req->inside) {
        hold(shadow);
    }
    look->launch->survey.marks.copy = (uint64_t)shadow->newest + 1;
    ac_look_found(look, "%s; it runs from the copy %s/%ld", look->launch->found,
                  shadow->path, shadow->newest);
    each_copy(shadow, remove_old);
}

/* Nothing of it needs the lock: a copy that has its number is whole. */
static void compare(shadow_t *shadow)
{
    long next;

    each_copy(shadow, find_newest);
    next = is_current(shadow) ? shadow->newest : shadow->newest + 1;
    shadow->look->launch->survey.marks.copy = (uint64_t)next + 1;
}

void ac_shadow_apply(ac_look_t *look)
{
    shadow_t shadow = { .look = look, .fd = -1, .newest = -1 };

    if (!is_wanted(look)) {
        return;
    }
    shadow.path = directory_of(look);
    if (open_directory(&shadow)) {
        look->req->inside == AC_LOOK_AGAIN ? compare(&shadow) : apply(&shadow);
    }
    if (shadow.fd >= 0) {
        close(shadow.fd);
    }
}
