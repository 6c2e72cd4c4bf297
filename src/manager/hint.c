/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "manager/hint.h"

#include <string.h>
#include <strings.h>
#include <sys/inotify.h>

#include "spec/survey.h"

/* So long without a look, and the distance is the shortest again. */
#define CALM apr_time_from_sec(5)
#define SELF (IN_MOVE_SELF | IN_DELETE_SELF | IN_IGNORED | IN_UNMOUNT)

static ac_hint_e of_folder(const char *name)
{
    size_t len = strlen(name);

    if (strcasecmp(name, AC_OFFLINE_NAME) == 0) {
        return AC_HINT_NOW;
    }
    if (strcasecmp(name, "web.config") == 0 || strcasecmp(name, "tmp") == 0) {
        return AC_HINT_FILE;
    }
    return len > 4 && strcasecmp(name + len - 4, ".dll") == 0 ? AC_HINT_CODE
                                                              : AC_HINT_NONE;
}

ac_hint_e ac_hint_of(ac_watched_e what, uint32_t mask, const char *name)
{
    if (mask & SELF) {
        return AC_HINT_NOW;
    }
    switch (what) {
    case AC_WATCHED_WAY:
        return *name ? AC_HINT_NONE : AC_HINT_NOW;
    case AC_WATCHED_PARENT:
        return AC_HINT_FILE;
    case AC_WATCHED_FOLDER:
        return of_folder(name);
    case AC_WATCHED_TMP:
        return strcmp(name, "restart.txt") == 0 ? AC_HINT_FILE : AC_HINT_NONE;
    case AC_WATCHED_FILES:
        return *name ? AC_HINT_FILE : AC_HINT_NONE;
    }
    return AC_HINT_NONE;
}

static apr_time_t later(apr_time_t a, apr_time_t b)
{
    return a > b ? a : b;
}

/* Files that go on being written push their look back, but only so far. */
static apr_time_t settled(apr_time_t *first, apr_time_t now, apr_interval_time_t calm,
                          apr_interval_time_t most)
{
    *first = *first ? *first : now;
    return now + calm < *first + most ? now + calm : *first + most;
}

void ac_hint_take(ac_hint_t *hint, ac_hint_e kind, apr_time_t now)
{
    apr_time_t earliest = hint->looked ? hint->looked + hint->gap : 0;

    if (kind != AC_HINT_NONE && !hint->first) {
        hint->first = now;
    }
    if (kind == AC_HINT_FILE) {
        hint->file_due = later(settled(&hint->file_first, now, AC_HINT_SETTLE,
                                       AC_HINT_SETTLE_MAX), earliest);
    }
    else if (kind == AC_HINT_CODE) {
        hint->code_due = settled(&hint->code_first, now, AC_HINT_CODE_SETTLE,
                                 AC_HINT_CODE_MAX);
    }
    else if (kind == AC_HINT_NOW && !hint->page_due) {
        hint->page_due = later(now, earliest);
    }
}

static apr_time_t sooner(apr_time_t a, apr_time_t b)
{
    return a && (a < b || !b) ? a : b;
}

apr_time_t ac_hint_due(const ac_hint_t *hint)
{
    return sooner(hint->page_due, sooner(hint->file_due, hint->code_due));
}

void ac_hint_drop(ac_hint_t *hint)
{
    hint->page_due = hint->file_due = hint->code_due = 0;
    hint->file_first = hint->code_first = 0;
    hint->first = 0;
}

void ac_hint_looked(ac_hint_t *hint, apr_time_t now)
{
    int calm = !hint->looked || now - hint->looked > CALM;

    hint->gap = calm ? AC_HINT_GAP_MIN : 2 * hint->gap;
    if (hint->gap > AC_HINT_GAP_MAX) {
        hint->gap = AC_HINT_GAP_MAX;
    }
    hint->looked = now;
    ac_hint_drop(hint);
}

void ac_hint_missed(ac_hint_t *hint, apr_time_t now)
{
    hint->missed += hint->missed < AC_HINT_MISSED_MAX;
    hint->page_due = now + (AC_HINT_MISSED << (hint->missed - 1));
}
