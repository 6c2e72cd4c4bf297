/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <apr_strings.h>
#include "spec/files.h"
#include "spec/mark.h"

#define NO_CONFIG 1

/* Marks ------------------------------------------------------------------ */

int ac_marks_changed(const ac_marks_t *then, const ac_marks_t *now, int keep_config)
{
    if (!then->folder || !now->folder) {
        return 0;
    }
    return then->folder != now->folder
           || (then->config != now->config && !keep_config)
           || (now->restart && then->restart != now->restart)
           || then->copy != now->copy || then->files != now->files;
}

void ac_marks_put(ac_wire_writer_t *w, const ac_marks_t *marks)
{
    ac_wire_put_u64(w, marks->folder);
    ac_wire_put_u64(w, marks->config);
    ac_wire_put_u64(w, marks->restart);
    ac_wire_put_u64(w, marks->copy);
    ac_wire_put_u64(w, marks->files);
}

void ac_marks_get(ac_wire_reader_t *r, ac_marks_t *marks)
{
    marks->folder = ac_wire_get_u64(r);
    marks->config = ac_wire_get_u64(r);
    marks->restart = ac_wire_get_u64(r);
    marks->copy = ac_wire_get_u64(r);
    marks->files = ac_wire_get_u64(r);
}

/* Its ctime moves with a touch, with a write, and when it is renamed away and
 * back, which IIS takes for a change as well. */
static uint64_t mark_config(const ac_folder_t *folder)
{
    struct stat st;

    if (fstatat(folder->fd, "web.config", &st, AT_SYMLINK_NOFOLLOW) < 0
        && fstatat(folder->fd, "Web.config", &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return NO_CONFIG;
    }
    return ac_mark_time(ac_mark_add(ac_mark_identity(&st), (uint64_t)st.st_size),
                        &st.st_ctim) | 2;
}

/* tmp may be a link to a folder that others write, too, so the owner counts. */
static uint64_t mark_restart(const ac_folder_t *folder)
{
    struct stat st;

    if (fstatat(folder->fd, "tmp/restart.txt", &st, 0) < 0
        || (st.st_uid != 0 && st.st_uid != folder->uid)) {
        return 0;
    }
    return ac_mark_time(ac_mark_identity(&st), &st.st_mtim) | 2;
}

static void take_marks(ac_marks_t *marks, const ac_folder_t *folder)
{
    struct stat st;

    if (fstat(folder->fd, &st) == 0) {
        /* Its owner is whom the app runs as. */
        marks->folder = ac_mark_add(ac_mark_identity(&st), (uint64_t)st.st_uid) | 1;
        marks->config = mark_config(folder);
        marks->restart = mark_restart(folder);
    }
}

/* Survey ----------------------------------------------------------------- */

static void watch_tmp(const ac_folder_t *folder, ac_watcher_t *watcher)
{
    int fd = openat(folder->fd, "tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        ac_watcher_add(watcher, fd, AC_WATCHED_TMP);
        close(fd);
    }
}

/* A page that cannot be read is a word all the same: whoever copies files right
 * now may have locked it or may not have written it yet. */
static void take_page(ac_survey_t *survey, const ac_folder_t *folder)
{
    const char *name = ac_folder_any_spelling(folder, AC_OFFLINE_NAME);
    ac_result_t res = AC_RESULT_OK;

    if (!name) {
        return;
    }
    survey->is_offline = 1;
    survey->page = ac_folder_read(folder, name, &survey->page_len, &res);
    if (!survey->page) {
        survey->page = "";
        survey->page_len = 0;
        survey->page_fault = res.fault == AC_FAULT_NONE
                             ? NULL : apr_pstrdup(folder->p, res.detail);
    }
}

void ac_survey_take(ac_survey_t *survey, const ac_folder_t *folder,
                    const apr_array_header_t *files, ac_watcher_t *watcher)
{
    ac_watcher_add(watcher, folder->fd, AC_WATCHED_FOLDER);
    watch_tmp(folder, watcher);
    take_marks(&survey->marks, folder);
    survey->marks.files = ac_files_mark(folder, files, watcher);
    take_page(survey, folder);
}

void ac_survey_put(ac_wire_writer_t *w, const ac_survey_t *survey)
{
    int n = survey->watched ? survey->watched->nelts : 0;
    int i;

    ac_marks_put(w, &survey->marks);
    ac_wire_put_u32(w, (uint32_t)survey->blind);
    ac_wire_put_u32(w, (uint32_t)n);
    for (i = 0; i < n; ++i) {
        const ac_watched_t *watched = &APR_ARRAY_IDX(survey->watched, i, ac_watched_t);

        ac_wire_put_u32(w, (uint32_t)watched->number);
        ac_wire_put_u8(w, (uint8_t)watched->what);
    }
    ac_wire_put_u8(w, survey->is_offline != 0);
    ac_wire_put_bytes(w, survey->page ? survey->page : "", survey->page_len);
    ac_wire_put_str(w, survey->page_fault);
}

static void get_watched(ac_wire_reader_t *r, ac_survey_t *survey, apr_pool_t *p)
{
    uint32_t n = ac_wire_get_count(r, AC_WATCHED_MAX);

    survey->watched = apr_array_make(p, (int)n, sizeof(ac_watched_t));
    for (; n > 0; --n) {
        ac_watched_t *watched = apr_array_push(survey->watched);

        watched->number = (int32_t)ac_wire_get_u32(r);
        watched->what = (ac_watched_e)ac_wire_get_u8(r);
        if (watched->what > AC_WATCHED_FILES || watched->number < 0) {
            r->status = APR_EINVAL;
        }
    }
}

void ac_survey_get(ac_wire_reader_t *r, ac_survey_t *survey, apr_pool_t *p)
{
    const char *page;

    ac_marks_get(r, &survey->marks);
    survey->blind = (int)ac_wire_get_u32(r);
    get_watched(r, survey, p);
    survey->is_offline = ac_wire_get_u8(r) != 0;
    page = ac_wire_get_bytes(r, &survey->page_len);
    survey->page_fault = ac_wire_get_str(r, p);
    if (!page || survey->page_len > AC_OFFLINE_MAX) {
        r->status = APR_EINVAL;
        survey->page_len = 0;
    }
    survey->page = apr_pstrmemdup(p, page ? page : "", survey->page_len);
}
