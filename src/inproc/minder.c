/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/minder.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "inproc/thread.h"

typedef struct minder_t {
    ac_minder_fn *duties[AC_MINDER_DUTIES];
    int n;
    _Atomic int event_fd;       /* apps start, and may wake it, before it is there */
    int watched;                /* -1: nothing */
    pthread_t thread;
    int running;
    _Atomic int stop;
} minder_t;

static minder_t minders[AC_MINDERS] = {
    [AC_MINDER_CHILD] = { .event_fd = -1, .watched = -1 },
    [AC_MINDER_CALLBACKS] = { .event_fd = -1, .watched = -1 },
};

void ac_minder_add(ac_minder_e which, ac_minder_fn *fn)
{
    minder_t *minder = &minders[which];

    if (minder->n < AC_MINDER_DUTIES) {
        minder->duties[minder->n++] = fn;
    }
}

void ac_minder_watch(int fd)
{
    minders[AC_MINDER_CHILD].watched = fd;
}

static void wake(const minder_t *minder)
{
    if (minder->event_fd >= 0) {
        eventfd_write(minder->event_fd, 1);
    }
}

void ac_minder_wake(void)
{
    wake(&minders[AC_MINDER_CHILD]);
}

/* The earliest time that any of them asks for. */
static apr_time_t do_duties(const minder_t *minder)
{
    apr_time_t next = 0;
    int i;

    for (i = 0; i < minder->n; ++i) {
        next = ac_clock_earlier(next, minder->duties[i](ac_clock_now()));
    }
    return next;
}

static int timeout_until(apr_time_t when)
{
    apr_time_t left = when - ac_clock_now();

    return when == 0 ? -1 : left <= 0 ? 0 : (int)(left / 1000) + 1;
}

static void *run(void *data)
{
    minder_t *minder = data;
    struct pollfd fds[2] = {
        { .fd = minder->event_fd, .events = POLLIN },
        { .fd = minder->watched, .events = POLLIN },
    };
    eventfd_t n;

    while (!atomic_load(&minder->stop)) {
        int timeout = timeout_until(do_duties(minder));

        if (poll(fds, 2, timeout) > 0 && fds[0].revents) {
            eventfd_read(minder->event_fd, &n);
        }
    }
    return NULL;
}

static apr_status_t start(minder_t *minder)
{
    sigset_t all, before;
    int rv;

    minder->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (minder->event_fd < 0) {
        return APR_EGENERAL;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rv = pthread_create(&minder->thread, NULL, run, minder);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    minder->running = rv == 0;
    return rv;
}

apr_status_t ac_minder_start(void)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < AC_MINDERS; ++i) {
        rv = start(&minders[i]);
    }
    return rv;
}

int ac_minder_stop(ac_minder_e which, apr_interval_time_t patience)
{
    minder_t *minder = &minders[which];

    if (!minder->running) {
        return 1;
    }
    atomic_store(&minder->stop, 1);
    wake(minder);
    minder->running = !ac_thread_join(minder->thread, patience);
    return !minder->running;
}
