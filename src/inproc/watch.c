/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/watch.h"

#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apr_strings.h"
#include "http_log.h"
#include "base/clock.h"
#include "inproc/leave.h"
#include "inproc/minder.h"
#include "manager/hint.h"
#include "spec/handler.h"
#include "spec/look.h"

APLOG_USE_MODULE(appcore);

/* Files come in bursts; so much after the first event is soon enough. */
#define SETTLE apr_time_from_msec(50)
/* Where a file system tells nothing. */
#define LOOK_EVERY apr_time_from_sec(5)
/* What happens while an app starts counts once it runs. */
#define START_EVERY apr_time_from_msec(500)

static struct {
    int fd;
    apr_time_t due;             /* of the next look; 0: none */
    ac_hint_t code;             /* of .dll files, for apps that run from a copy */
} watch = { .fd = -1 };

static void identify(ac_inproc_file_t *id, const char *path)
{
    struct stat st;

    memset(id, 0, sizeof(*id));
    if (path && stat(path, &st) == 0) {
        id->device = st.st_dev;
        id->inode = st.st_ino;
        id->size = st.st_size;
        id->changed = st.st_ctim;
    }
}

void ac_watch_remember(ac_inproc_t *inproc)
{
    identify(&inproc->file, inproc->plan.decision == AC_PLAN_DOTNET
                            ? inproc->plan.assembly : inproc->plan.file);
}

static int same_text(const char *a, const char *b)
{
    return !a || !b ? a == b : !strcmp(a, b);
}

static const char *object_of(const ac_launch_t *launch)
{
    return launch->kind == AC_KIND_OBJECT && launch->argv->nelts > 0
        ? APR_ARRAY_IDX(launch->argv, 0, const char *) : NULL;
}

/* A managed assembly may be replaced beneath a runtime that runs it, as on IIS; but
 * one that did not start is tried again. */
static int file_changed(const ac_inproc_t *inproc, const ac_launch_t *now, int state)
{
    ac_inproc_file_t file;

    if (inproc->plan.decision == AC_PLAN_DOTNET && state != AC_INPROC_FAILED) {
        return 0;
    }
    identify(&file, inproc->plan.decision == AC_PLAN_DOTNET ? inproc->plan.assembly
                                                            : object_of(now));
    return file.inode && memcmp(&file, &inproc->file, sizeof(file));
}

/* What has changed that matters, or NULL. */
static const char *find_change(const ac_inproc_t *inproc, const ac_launch_t *now,
                               int state)
{
    const ac_launch_t *then = inproc->launch;

    if (then->survey.marks.copy != now->survey.marks.copy) {
        return "its .dll files changed";
    }
    if (ac_marks_changed(&then->survey.marks, &now->survey.marks,
                         ac_handler_is_on(inproc->set, AC_HANDLER_NO_ROTATION, 0))) {
        return "web.config, tmp/restart.txt or the folder itself changed";
    }
    if (file_changed(inproc, now, state)) {
        return "its file was replaced";
    }
    if (state == AC_INPROC_FAILED
        && (!same_text(then->found, now->found)
            || strcmp(then->result.detail, now->result.detail))) {
        return "its folder changed";
    }
    return NULL;
}

static void replace_child(const ac_inproc_t *inproc, const char *why)
{
    if (!ac_leave_begun()) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, inproc->server, "app %s: %s; this "
                     "process of httpd is replaced", inproc->mount->spec->name, why);
    }
    ac_leave_begin(1);
}

static void go_offline(ac_inproc_t *inproc, const ac_survey_t *survey)
{
    inproc->page = apr_pstrmemdup(inproc->p, survey->page, survey->page_len);
    inproc->page_len = survey->page_len;
    ac_inproc_become(inproc, AC_INPROC_OFFLINE);
    replace_child(inproc, "there is an " AC_OFFLINE_NAME);
}

static int same_page(const ac_inproc_t *inproc, const ac_survey_t *survey)
{
    return inproc->page_len == survey->page_len
           && !memcmp(inproc->page, survey->page, survey->page_len);
}

/* Nothing of it was loaded yet, so it can start here; but a runtime wants to be there
 * before httpd has its threads. */
static void come_back(ac_inproc_t *inproc, const ac_launch_t *now)
{
    if (now->kind == AC_KIND_OBJECT && !ac_leave_begun()) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, inproc->server, "app %s is no longer "
                     "offline", inproc->mount->spec->name);
        ac_inproc_restart(inproc);
        return;
    }
    replace_child(inproc, "it is no longer offline");
}

/* That it says outofprocess no more. */
static void judge_outside(const ac_inproc_t *inproc, const ac_launch_t *now)
{
    if (now->result.fault == AC_FAULT_NONE && !now->survey.is_offline
        && now->overlay->hosting_model.origin == AC_ORIGIN_DEFAULT
        && !ac_handler_is_on(inproc->set, AC_HANDLER_NO_ROTATION, 0)) {
        replace_child(inproc, "its web.config allows it in process");
    }
}

static void judge(ac_inproc_t *inproc, const ac_launch_t *now, int state)
{
    const char *change;

    if (state == AC_INPROC_OUTSIDE) {
        judge_outside(inproc, now);
        return;
    }
    if (now->survey.is_offline) {
        if (state != AC_INPROC_OFFLINE) {
            go_offline(inproc, &now->survey);
        }
        else if (!same_page(inproc, &now->survey)) {
            replace_child(inproc, "its " AC_OFFLINE_NAME " changed");
        }
        return;
    }
    if (state == AC_INPROC_OFFLINE) {
        come_back(inproc, now);
        return;
    }
    change = find_change(inproc, now, state);
    if (change) {
        replace_child(inproc, change);
    }
}

/* What goes on being written is no new version yet, and what cannot be seen is none. */
static void settle_copy(ac_marks_t *now, const ac_marks_t *then)
{
    if (!then->copy || !now->copy || ac_hint_due(&watch.code)) {
        now->copy = then->copy;
    }
}

static void look_again(ac_inproc_t *inproc, int state)
{
    const ac_spec_t *spec = inproc->mount->spec;
    ac_look_request_t req = {
        .folder = spec->folder, .prefix = spec->prefix, .name = spec->name,
        .set = spec->set, .companions = spec->companions,
        .inside = AC_LOOK_AGAIN
    };
    ac_launch_t *now;
    apr_pool_t *p;

    apr_pool_create_unmanaged_ex(&p, NULL, NULL);
    now = ac_look_watched(&req, watch.fd, p);
    settle_copy(&now->survey.marks, &inproc->launch->survey.marks);
    judge(inproc, now, state);
    apr_pool_destroy(p);
}

/* Those that are hosted out of process are the manager's to watch, but for the one
 * line by which they could live here. */
static int is_watched(const ac_inproc_t *inproc, int state)
{
    return state == AC_INPROC_READY || state == AC_INPROC_FAILED
           || state == AC_INPROC_OFFLINE
           || (state == AC_INPROC_OUTSIDE && inproc->plan.decision == AC_PLAN_OUTSIDE
               && !inproc->plan.why);
}

/* When to look again although nothing was heard of; 0: never. */
static apr_interval_time_t look_at_all(void)
{
    apr_interval_time_t again = 0;
    int i;

    for (i = 0; i < ac_inproc_count(); i++) {
        ac_inproc_t *inproc = ac_inproc_at(i);
        int state = inproc ? atomic_load(&inproc->state) : AC_INPROC_NONE;

        if (state == AC_INPROC_STARTING) {
            again = START_EVERY;
        }
        else if (inproc && inproc->launch && is_watched(inproc, state)) {
            look_again(inproc, state);
            again = again || !inproc->launch->survey.blind ? again : LOOK_EVERY;
        }
    }
    return again;
}

static void take_hints(const char *events, size_t len, apr_time_t now)
{
    struct inotify_event event;
    size_t at;

    for (at = 0; at + sizeof(event) <= len; at += sizeof(event) + event.len) {
        memcpy(&event, events + at, sizeof(event));
        if (event.len && ac_hint_of(AC_WATCHED_FOLDER, 0, events + at + sizeof(event))
                         == AC_HINT_CODE) {
            ac_hint_take(&watch.code, AC_HINT_CODE, now);
        }
    }
}

static int take_events(apr_time_t now)
{
    char events[4096];
    ssize_t n;
    int any = 0;

    while (watch.fd >= 0 && (n = read(watch.fd, events, sizeof(events))) > 0) {
        take_hints(events, (size_t)n, now);
        any = 1;
    }
    return any;
}

static int is_due(apr_time_t due, apr_time_t now)
{
    return due && now >= due;
}

static apr_time_t do_watch(apr_time_t now)
{
    int any = take_events(now);

    if (ac_leave_stopping()) {
        return 0;
    }
    if (any) {
        watch.due = ac_clock_earlier(watch.due, now + SETTLE);
    }
    if (is_due(ac_hint_due(&watch.code), now)) {
        ac_hint_drop(&watch.code);
        watch.due = now;
    }
    if (is_due(watch.due, now)) {
        apr_interval_time_t again = look_at_all();

        watch.due = again ? now + again : 0;
    }
    return ac_clock_earlier(watch.due, ac_hint_due(&watch.code));
}

int ac_watch_fd(void)
{
    return watch.fd;
}

/* The first look of the minder finds what changed since the start's. */
int ac_watch_init(void)
{
    watch.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    watch.due = ac_clock_now();
    ac_minder_watch(watch.fd);
    ac_minder_add(AC_MINDER_CHILD, do_watch);
    return watch.fd;
}
