/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <apr_fnmatch.h>
#include <apr_lib.h>
#include "spec/mark.h"
#include "spec/settings.h"

#define WILD "*?[]\\"

static int is_dots(const char *segment, apr_size_t len)
{
    return len == 0 || (len <= 2 && !strncmp(segment, "..", len));
}

int ac_files_is_pattern(const char *text)
{
    const char *at;

    for (at = text; *at; ++at) {
        if (apr_iscntrl(*at)) {
            return 0;
        }
    }
    if (strlen(text) >= AC_SETTINGS_PATH_MAX) {
        return 0;
    }
    for (;;) {
        apr_size_t len = strcspn(text, "/");

        if (is_dots(text, len) || len > NAME_MAX) {
            return 0;
        }
        if (!text[len]) {
            return 1;
        }
        if (strcspn(text, WILD) < len) {
            return 0;
        }
        text += len + 1;
    }
}

static int matches(const char *segment, const char *name)
{
    return apr_fnmatch(segment, name, APR_FNM_PERIOD) == APR_SUCCESS;
}

static int concerns(const char *pattern, const char *name)
{
    apr_size_t n = strlen(name);

    for (;;) {
        apr_size_t len = strcspn(pattern, "/");

        if (!pattern[len]) {
            return matches(pattern, name);
        }
        if (len == n && !strncmp(pattern, name, n)) {
            return 1;
        }
        pattern += len + 1;
    }
}

int ac_files_may_match(const apr_array_header_t *patterns, const char *name)
{
    int i;

    for (i = 0; i < patterns->nelts; ++i) {
        if (concerns(APR_ARRAY_IDX(patterns, i, const char *), name)) {
            return 1;
        }
    }
    return 0;
}

/* One of several: their order in the folder is nobody's, so they add up. */
static uint64_t mark_file(int fd, const char *name)
{
    struct stat st;
    uint64_t mark;

    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0
        || !(S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))) {
        return 0;
    }
    mark = ac_mark_add(ac_mark_identity(&st), (uint64_t)st.st_size);
    for (; *name; ++name) {
        mark = ac_mark_add(mark, (unsigned char)*name);
    }
    return ac_mark_time(mark, &st.st_mtim);
}

/* Takes fd. */
static uint64_t mark_matching(int fd, const char *pattern)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    uint64_t sum = 0;
    int seen = 0;

    if (!dir) {
        close(fd);
        return 0;
    }
    while (++seen <= AC_FOLDER_ENTRIES_MAX && (entry = readdir(dir))) {
        if (matches(pattern, entry->d_name)) {
            sum += mark_file(fd, entry->d_name);
        }
    }
    closedir(dir);
    return sum;
}

/* Down to the folder of the files; what is not there yet is seen to appear in the
 * last one that is. */
static uint64_t mark_pattern(const ac_folder_t *folder, const char *pattern,
                             ac_watcher_t *watcher)
{
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    while (fd >= 0) {
        apr_size_t len = strcspn(pattern, "/");
        char name[NAME_MAX + 1];
        int next;

        ac_watcher_add(watcher, fd, AC_WATCHED_FILES);
        if (!pattern[len]) {
            return mark_matching(fd, pattern);
        }
        memcpy(name, pattern, len);
        name[len] = '\0';
        next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = next;
        pattern += len + 1;
    }
    return 0;
}

uint64_t ac_files_mark(const ac_folder_t *folder, const apr_array_header_t *patterns,
                       ac_watcher_t *watcher)
{
    uint64_t sum = 0;
    int i;

    for (i = 0; i < patterns->nelts && i < AC_FILES_MAX; ++i) {
        const char *pattern = APR_ARRAY_IDX(patterns, i, const char *);

        if (ac_files_is_pattern(pattern)) {
            sum = ac_mark_add(sum, mark_pattern(folder, pattern, watcher));
        }
    }
    return sum;
}
