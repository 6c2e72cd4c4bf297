/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Noticing that apps' folders change: one inotify instance, whose watches the
 * looks add with the apps' identities. Events are read here, turned into hints,
 * and forgotten; the next look decides. */

#include "manager/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#include "spec/files.h"

#define READ_SIZE (32 * 1024)
/* A folder may be busy with files that concern nobody. */
#define REST apr_time_from_msec(20)
/* So many apps are looked at at a time when all have to be. */
#define SPREAD apr_time_from_msec(25)
#define ASK_GAP apr_time_from_sec(1)

static void set_resting(ac_manager_t *m, int rests)
{
    struct epoll_event ev = { .events = rests ? 0 : EPOLLIN, .data.ptr = &m->eyes };

    epoll_ctl(m->epoll, EPOLL_CTL_MOD, m->eyes.fd, &ev);
    m->eyes_rest = rests ? m->now + REST : 0;
}

static void hint(ac_home_t *home, ac_hint_e kind)
{
    ac_hint_take(&home->hint, kind, home->m->now);
}

static ac_hint_e stronger(ac_hint_e a, ac_hint_e b)
{
    return a > b ? a : b;
}

/* Everything may have changed. Spread, since each look is a process. */
void ac_eyes_hint_all(ac_manager_t *m)
{
    apr_time_t at = m->now;
    ac_sup_app_t *app;

    for (app = ac_sup_first(m->sup); app; app = app->next) {
        if (app->procs || app->offline) {
            ac_hint_take(&ac_home_of(app)->hint, AC_HINT_NOW, at);
            at += SPREAD;
        }
    }
}

/* Only the app knows its patterns. */
static ac_hint_e hint_of(const ac_home_t *home, ac_watched_e what, uint32_t mask,
                         const char *name)
{
    int concerns = what != AC_WATCHED_FILES || !*name
                   || (home->spec && ac_files_may_match(home->spec->set->recycle_files.v,
                                                        name));

    return concerns ? ac_hint_of(what, mask, name) : AC_HINT_NONE;
}

static ac_hint_e hint_home(ac_home_t *home, const struct inotify_event *event)
{
    const char *name = event->len ? event->name : "";
    ac_hint_e kind = AC_HINT_NONE;
    unsigned i;

    for (i = 0; i < home->n_watched; ++i) {
        if (home->watched[i].number == event->wd) {
            kind = stronger(kind, hint_of(home, home->watched[i].what, event->mask,
                                          name));
        }
    }
    if (kind != AC_HINT_CODE || home->has_copy) {
        hint(home, kind);
    }
    return kind;
}

/* An event may be faster than the answer of the look that added its watch. */
static ac_hint_e hint_looking(ac_manager_t *m, const struct inotify_event *event)
{
    ac_hint_e kind = ac_hint_of(AC_WATCHED_FOLDER, event->mask,
                                event->len ? event->name : "");
    ac_sup_app_t *app;

    if (event->len && strcmp(event->name, "restart.txt") == 0) {
        kind = AC_HINT_FILE;
    }
    for (app = ac_sup_first(m->sup); app; app = app->next) {
        ac_home_t *home = ac_home_of(app);

        if (home->look_tag) {
            hint(home, stronger(kind, hint_of(home, AC_WATCHED_FILES, event->mask,
                                              event->len ? event->name : "")));
        }
    }
    return kind;
}

/* Could it be of interest to anybody? Most are not, and need no search. */
static int is_noise(const ac_manager_t *m, const struct inotify_event *event)
{
    const char *name = event->len ? event->name : "";

    return !m->watches_any
           && !ac_hint_of(AC_WATCHED_WAY, event->mask, name)
           && !ac_hint_of(AC_WATCHED_FOLDER, event->mask, name)
           && !ac_hint_of(AC_WATCHED_TMP, event->mask, name);
}

static int is_interesting(ac_manager_t *m, const struct inotify_event *event)
{
    ac_hint_e kind;
    ac_sup_app_t *app;

    if (event->mask & IN_Q_OVERFLOW) {
        ac_eyes_hint_all(m);
        return 0;
    }
    if (is_noise(m, event)) {
        return 0;
    }
    kind = hint_looking(m, event);
    for (app = ac_sup_first(m->sup); app; app = app->next) {
        kind = stronger(kind, hint_home(ac_home_of(app), event));
    }
    return kind != AC_HINT_NONE;
}

static void read_events(ac_manager_t *m, ac_watch_t *w)
{
    _Alignas(struct inotify_event) char events[READ_SIZE];
    ssize_t n = read(w->fd, events, sizeof(events));
    ssize_t at = 0;
    int interesting = 0;

    while (at < n) {
        const struct inotify_event *event = (const void *)(events + at);

        at += (ssize_t)(sizeof(*event) + event->len);
        interesting |= is_interesting(m, event);
    }
    if (!interesting || n > READ_SIZE / 2) {
        set_resting(m, 1);
    }
}

void ac_eyes_open(ac_manager_t *m)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    memset(&m->eyes, 0, sizeof(m->eyes));
    m->eyes.fd = -1;
    m->eyes.ready = read_events;
    if (fd >= 0) {
        ac_watch_open(m, &m->eyes, fd);
    }
}

/* Watches ------------------------------------------------------------------ */

static int is_watched(const ac_manager_t *m, int32_t number)
{
    const ac_sup_app_t *app;
    unsigned i;

    for (app = ac_sup_first(m->sup); app; app = app->next) {
        const ac_home_t *home = ac_home_of(app);

        for (i = 0; i < home->n_watched; ++i) {
            if (home->watched[i].number == number) {
                return 1;
            }
        }
    }
    return 0;
}

static int is_any(ac_watched_e what)
{
    return what == AC_WATCHED_PARENT || what == AC_WATCHED_FILES;
}

/* Apps share watches, so one is removed with its last user. If a look on its way
 * just got the same one, IN_IGNORED hints at another look. */
static void release(ac_manager_t *m, const ac_watched_t *watched, unsigned n)
{
    unsigned i;

    for (i = 0; i < n; ++i) {
        m->watches_any -= is_any(watched[i].what);
        if (!is_watched(m, watched[i].number)) {
            inotify_rm_watch(m->eyes.fd, watched[i].number);
        }
    }
}

static void say_blind(ac_home_t *home, int why)
{
    ac_manager_t *m = home->m;
    /* EBADF: there was no instance to add watches to. */
    const char *what = why == ENOSPC ? "watches" : why == EBADF ? "instances" : NULL;

    if (what && !m->said_blind) {
        m->said_blind = 1;
        ac_talk_line(m, home, AC_LEVEL_WARNING,
                     "changes of its folder are noticed with requests only, since there"
                     " are too many inotify %s on this machine; raise"
                     " fs.inotify.max_user_%s (for this and other apps)", what, what);
    }
}

void ac_eyes_follow(ac_home_t *home, const ac_survey_t *survey)
{
    ac_manager_t *m = home->m;
    ac_watched_t *old = home->watched;
    unsigned n_old = home->n_watched;
    unsigned i, n = (unsigned)survey->watched->nelts;

    home->watched = n ? malloc(n * sizeof(*home->watched)) : NULL;
    home->n_watched = home->watched ? n : 0;
    if (home->watched) {
        memcpy(home->watched, survey->watched->elts, n * sizeof(*home->watched));
    }
    for (i = 0; i < home->n_watched; ++i) {
        m->watches_any += is_any(home->watched[i].what);
    }
    home->facts.unwatched = survey->blind != 0;
    say_blind(home, survey->blind);
    release(m, old, n_old);
    free(old);
}

void ac_eyes_forget(ac_home_t *home)
{
    ac_watched_t *old = home->watched;
    unsigned n = home->n_watched;

    home->watched = NULL;
    home->n_watched = 0;
    release(home->m, old, n);
    free(old);
}

void ac_eyes_ended(ac_home_t *home)
{
    if (home->has_copy) {
        hint(home, AC_HINT_FILE);
    }
}

void ac_eyes_asked(ac_home_t *home)
{
    if (home->facts.unwatched && home->m->now - home->hint.looked >= ASK_GAP) {
        hint(home, AC_HINT_NOW);
    }
}

/* Time ----------------------------------------------------------------------- */

void ac_eyes_tick(ac_manager_t *m)
{
    ac_sup_app_t *app, *next;

    if (m->eyes_rest && m->eyes_rest <= m->now) {
        set_resting(m, 0);
    }
    for (app = ac_sup_first(m->sup); app; app = next) {
        ac_hint_t *at = &ac_home_of(app)->hint;

        next = app->next;
        if (ac_hint_due(at) && ac_hint_due(at) <= m->now) {
            ac_sup_suspect(app, at->first);
            /* It may concern nobody, and then no look says so. */
            ac_hint_drop(at);
            ac_sup_hint(app);
        }
    }
}

apr_time_t ac_eyes_due(const ac_manager_t *m)
{
    const ac_sup_app_t *app;
    apr_time_t due = m->eyes_rest;

    for (app = ac_sup_first(m->sup); app; app = app->next) {
        apr_time_t at = ac_hint_due(&ac_home_of(app)->hint);

        due = at && (!due || at < due) ? at : due;
    }
    return due;
}
