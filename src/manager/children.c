/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* httpd's children: one entry per row. A child introduces itself with its row
 * and an eventfd; the kernel vouches for its pid, a pidfd tells of its end, and
 * then what it had counted is given back. */

#include "manager/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

#define WAKES_PER_EVENT 64
/* For children that were there before this manager. */
#define LONG_AGO 1

struct ac_child_t {
    ac_child_t *next;
    ac_watch_t end;             /* pidfd */
    int eventfd;                /* -1: it did not introduce itself to us */
    int row;
    uint32_t pid;
    apr_time_t since;           /* when it introduced itself */
};

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

static void child_drop(ac_manager_t *m, ac_child_t *child)
{
    ac_child_t **at = &m->children;

    while (*at != child) {
        at = &(*at)->next;
    }
    *at = child->next;
    ac_watch_close(m, &child->end);
    close_fd(child->eventfd);
    free(child);
}

static apr_time_t oldest(const ac_manager_t *m)
{
    const ac_child_t *child;
    apr_time_t since = 0;

    for (child = m->children; child; child = child->next) {
        since = ac_clock_earlier(since, child->since);
    }
    return since;
}

void ac_children_tell(ac_manager_t *m)
{
    ac_sup_app_t *app, *next;
    apr_time_t since = oldest(m);

    for (app = ac_sup_first(m->sup); app; app = next) {
        next = app->next;
        ac_sup_oldest(app, since);
    }
}

static void child_ended(ac_manager_t *m, ac_watch_t *w)
{
    ac_child_t *child = w->baton;

    ac_rows_release(m->rows, child->row);
    child_drop(m, child);
    ac_children_tell(m);
    /* Others may wait for what it held. */
    ac_children_wake(m);
}

static ac_child_t *find_row(ac_manager_t *m, int row)
{
    ac_child_t *child = m->children;

    while (child && child->row != row) {
        child = child->next;
    }
    return child;
}

/* Any other kind of descriptor could make a write block. */
static int is_eventfd(int fd)
{
    char name[64], path[64];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    n = readlink(path, name, sizeof(name) - 1);
    if (n <= 0) {
        return 0;
    }
    name[n] = '\0';
    return strcmp(name, "anon_inode:[eventfd]") == 0
           && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0;
}

static void child_add(ac_manager_t *m, int row, uint32_t pid, int eventfd,
                      apr_time_t since)
{
    int end = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    int gone = end < 0 && errno == ESRCH;
    ac_child_t *child = gone ? NULL : calloc(1, sizeof(*child));

    if (gone) {
        ac_rows_release(m->rows, row);
    }
    if (!child) {
        close_fd(eventfd);
        close_fd(end);
        return;
    }
    child->row = row;
    child->pid = pid;
    child->eventfd = eventfd;
    child->since = since;
    child->end.ready = child_ended;
    child->end.baton = child;
    child->next = m->children;
    m->children = child;
    child->end.fd = -1;
    /* Without a pidfd it is woken like all others, only its end is not seen. */
    if (end >= 0) {
        ac_watch_open(m, &child->end, end);
    }
}

static void on_hello(ac_manager_t *m, const ac_wake_t *wake, uint32_t pid, int fd)
{
    int row = wake->value < AC_ROWS ? (int)wake->value : -1;
    ac_child_t *known = row >= 0 ? find_row(m, row) : NULL;

    if (fd < 0) {
        return;
    }
    if (row < 0 || !pid || ac_rows_pid(m->rows, row) != pid || !is_eventfd(fd)
        || (known && known->pid == pid && known->eventfd >= 0)) {
        close(fd);
    }
    else if (known && known->pid == pid) {
        known->eventfd = fd;
    }
    else {
        if (known) {
            child_drop(m, known);
        }
        child_add(m, row, pid, fd, m->now);
    }
}

/* A permit of AppCoreMaxConcurrency came free in one child while somebody waits in
 * another: the child of the one who has waited longest hears of it. */
static void wake_first(ac_manager_t *m, const ac_home_t *home)
{
    static const uint64_t one = 1;
    ac_child_t *child;
    int row;

    if (!home->spec || home->spec->set->max_concurrency.v <= 0 || home->index < 0) {
        return;
    }
    row = ac_rows_wait_first(m->rows, (unsigned)home->index);
    child = row >= 0 ? find_row(m, row) : NULL;
    if (child && child->eventfd >= 0 && write(child->eventfd, &one, sizeof(one)) > 0) {
        return;
    }
    if (row >= 0) {
        ac_children_wake(m);
    }
}

static apr_time_t since_of(const ac_manager_t *m, uint32_t pid)
{
    const ac_child_t *child = m->children;

    while (child && child->pid != pid) {
        child = child->next;
    }
    return child ? child->since : 0;
}

static void on_wake(ac_manager_t *m, const ac_wake_t *wake, uint32_t pid, int fd)
{
    ac_sup_app_t *app;

    if (wake->version == ac_message_version && wake->what == AC_WAKE_HELLO) {
        on_hello(m, wake, pid, fd);
        return;
    }
    close_fd(fd);
    if (wake->version == ac_message_version && wake->what == AC_WAKE_APP) {
        app = ac_sup_find(m->sup, wake->value);
        if (app) {
            ac_eyes_asked(ac_home_of(app));
            ac_sup_asked(app, since_of(m, pid));
            ac_sup_wake(app);
            ac_doubt_app(ac_home_of(app));
            wake_first(m, ac_home_of(app));
        }
    }
}

void ac_children_read(ac_manager_t *m, ac_watch_t *w)
{
    int i;

    for (i = 0; i < WAKES_PER_EVENT; ++i) {
        ac_wake_t wake;
        uint32_t pid = 0;
        int fd = -1;

        if (ac_wake_receive(w->fd, &wake, &pid, &fd) != APR_SUCCESS) {
            return;
        }
        on_wake(m, &wake, pid, fd);
        ac_perform_all(m);
    }
}

void ac_children_recall(ac_manager_t *m)
{
    int row;

    for (row = 0; row < AC_ROWS; ++row) {
        uint32_t pid = ac_rows_pid(m->rows, row);

        if (pid && !find_row(m, row)) {
            child_add(m, row, pid, -1, LONG_AGO);
        }
    }
}

/* A counter that is full has not been read: that child will look anyway. */
void ac_children_wake(ac_manager_t *m)
{
    static const uint64_t one = 1;
    ac_child_t *child;

    for (child = m->children; child; child = child->next) {
        if (child->eventfd < 0 || write(child->eventfd, &one, sizeof(one)) < 0) {
            continue;
        }
    }
}
