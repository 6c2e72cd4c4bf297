/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/guard.h"

#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* httpd's parent, as each MPM makes it, talks to its children by some of these. */
static const int signals[] = {
    SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGPIPE
};

#define N_SIGNALS ((int)(sizeof(signals) / sizeof(signals[0])))

/* Where a shared object lies. */
typedef struct ac_range_t {
    uintptr_t begin, end;
} ac_range_t;

static struct {
    struct sigaction actions[N_SIGNALS];
    ac_range_t httpds[N_SIGNALS];   /* the objects that held them; else empty */
    pthread_mutex_t mutex;
    int (*exiting)(int status);
    pid_t pid;                  /* of the child of httpd */
    _Atomic int is_expected;
    _Atomic int is_ours;        /* exit() is httpd's */
    _Atomic int forgiven;       /* a status; 0: none */
} guard = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static uintptr_t address_of(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) ? (uintptr_t)action->sa_sigaction
                                           : (uintptr_t)action->sa_handler;
}

static int is_function(uintptr_t address)
{
    return address != (uintptr_t)SIG_DFL && address != (uintptr_t)SIG_IGN;
}

static int is_in(const ac_range_t *range, uintptr_t address)
{
    return address >= range->begin && address < range->end;
}

static void extend(ac_range_t *range, uintptr_t begin, uintptr_t end)
{
    if (range->begin == range->end || begin < range->begin) {
        range->begin = begin;
    }
    if (end > range->end) {
        range->end = end;
    }
}

/* For each object of the process. */
static int note_object(struct dl_phdr_info *info, size_t size, void *unused)
{
    ac_range_t object = { 0, 0 };
    int i;

    (void)size;
    (void)unused;
    for (i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];

        if (part->p_type == PT_LOAD) {
            extend(&object, info->dlpi_addr + part->p_vaddr,
                   info->dlpi_addr + part->p_vaddr + part->p_memsz);
        }
    }
    for (i = 0; i < N_SIGNALS; ++i) {
        uintptr_t address = address_of(&guard.actions[i]);

        if (is_function(address) && is_in(&object, address)) {
            guard.httpds[i] = object;
        }
    }
    return 0;
}

/* Handlers of httpd and its MPM, which one of these objects holds: an MPM sets some
 * only after child_init. Not asked of the loader, whose lock is held while an app's
 * constructors run. */
static int is_httpds(const struct sigaction *action)
{
    uintptr_t address = address_of(action);
    int i;

    for (i = 0; is_function(address) && i < N_SIGNALS; ++i) {
        if (is_in(&guard.httpds[i], address)) {
            return 1;
        }
    }
    return !is_function(address);
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

/* What the handler of a threaded MPM does once its threads run: a system call of the
 * first thread ends. */
static void interrupt(int sig)
{
    if (getpid() != guard.pid) {
        /* What an app forked, and has not executed yet. */
        signal(sig, SIG_DFL);
        raise(sig);
    }
    else if (gettid() != guard.pid) {
        syscall(SYS_tgkill, guard.pid, guard.pid, sig);
    }
}

/* While a threaded MPM starts, its own handler ends the process at once, on whichever
 * thread the signal finds. No MPM needs that any more, since its first thread blocks the
 * signal meanwhile and then asks the parent's pipe; but a runtime's threads take it, and
 * if a runtime's handler came before that which the MPM sets in the end was seen, it
 * would be put back in its place, and cut off the requests of a child that leaves. */
static void defuse_sigterm(void)
{
    struct sigaction action = { .sa_handler = interrupt };
    int i = 0;

    while (signals[i] != SIGTERM) {
        ++i;
    }
    sigfillset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    guard.actions[i] = action;
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
    if (status && status == atomic_load(&guard.forgiven)) {
        _exit(0);
    }
}

void ac_guard_init(int (*exiting)(int status), int is_threaded)
{
    int i;

    guard.exiting = exiting;
    guard.pid = getpid();
    for (i = 0; i < N_SIGNALS; ++i) {
        sigaction(signals[i], NULL, &guard.actions[i]);
    }
    dl_iterate_phdr(note_object, NULL);
    if (is_threaded) {
        defuse_sigterm();
    }
    on_exit(at_exit, NULL);
}

int ac_guard_is_asked(void)
{
    sigset_t waiting;

    return sigpending(&waiting) == 0 && sigismember(&waiting, SIGTERM) == 1;
}

void ac_guard_expect_exit(void)
{
    atomic_store(&guard.is_expected, 1);
}

void ac_guard_let_exit(void)
{
    atomic_store(&guard.is_ours, 1);
}

void ac_guard_forgive(int status)
{
    atomic_store(&guard.forgiven, status);
}
