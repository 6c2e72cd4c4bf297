/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/guard.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "ap_mpm.h"

/* httpd's parent, as each MPM makes it, talks to its children by some of these. */
static const int signals[] = {
    SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGPIPE
};

#define N_SIGNALS ((int)(sizeof(signals) / sizeof(signals[0])))

static struct {
    struct sigaction actions[N_SIGNALS];
    pthread_mutex_t mutex;
    int (*exiting)(int status);
    pid_t pid;                  /* of the child of httpd */
    _Atomic int is_expected;
    _Atomic int is_ours;        /* exit() is httpd's */
    _Atomic int is_healthy;
} guard = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static const void *object_of(const struct sigaction *action)
{
    void *address = (action->sa_flags & SA_SIGINFO)
        ? *(void *const *)&action->sa_sigaction : *(void *const *)&action->sa_handler;
    Dl_info info;

    if (address == (void *)SIG_DFL || address == (void *)SIG_IGN
        || !dladdr(address, &info)) {
        return NULL;
    }
    return info.dli_fbase;
}

/* Handlers of httpd and its MPM, which one of these objects holds: an MPM sets some
 * only after child_init. */
static int is_httpds(const struct sigaction *action)
{
    const void *object = object_of(action);
    int i;

    for (i = 0; object && i < N_SIGNALS; ++i) {
        if (object == object_of(&guard.actions[i])) {
            return 1;
        }
    }
    return !object;
}

void ac_guard_restore_signals(void)
{
    struct sigaction now;
    int i;

    pthread_mutex_lock(&guard.mutex);
    for (i = 0; i < N_SIGNALS; ++i) {
        if (sigaction(signals[i], NULL, &now) < 0) {
            continue;
        }
        if (is_httpds(&now)) {
            guard.actions[i] = now;
        }
        else {
            sigaction(signals[i], &guard.actions[i], NULL);
        }
    }
    pthread_mutex_unlock(&guard.mutex);
}

static void at_exit(int status, void *unused)
{
    (void)unused;
    /* What an app forked inherits this handler, and ends as it likes. */
    if (getpid() != guard.pid) {
        return;
    }
    if (atomic_load(&guard.is_expected) && !atomic_load(&guard.is_ours)) {
        /* Some numbers make httpd's parent stop the server. */
        _exit(0);
    }
    if (!atomic_load(&guard.is_ours)) {
        _exit(guard.exiting(status));
    }
    if (status == APEXIT_CHILDSICK && atomic_load(&guard.is_healthy)) {
        _exit(0);
    }
}

void ac_guard_init(int (*exiting)(int status))
{
    int i;

    guard.exiting = exiting;
    guard.pid = getpid();
    for (i = 0; i < N_SIGNALS; ++i) {
        sigaction(signals[i], NULL, &guard.actions[i]);
    }
    on_exit(at_exit, NULL);
}

void ac_guard_expect_exit(void)
{
    atomic_store(&guard.is_expected, 1);
}

void ac_guard_let_exit(void)
{
    atomic_store(&guard.is_ours, 1);
}

void ac_guard_is_healthy(void)
{
    atomic_store(&guard.is_healthy, 1);
}
