/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_inproc.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include "inproc/guard.h"

typedef void handler_t(int sig);

static volatile sig_atomic_t ends;      /* of the process, if they were real */

/* httpd's, which this program stands for. */
static void end_at_once(int sig)
{
    (void)sig;
    ++ends;
}

static void end_a_call(int sig)
{
    (void)sig;
}

static void set(int sig, handler_t *handler)
{
    struct sigaction action = { .sa_handler = handler };

    sigaction(sig, &action, NULL);
}

static handler_t *handler_of(int sig)
{
    struct sigaction action;

    sigaction(sig, NULL, &action);
    return action.sa_handler;
}

/* A runtime's: any function of another object. */
static handler_t *foreign(void)
{
    void *address = dlsym(RTLD_DEFAULT, "abort");
    handler_t *handler;

    memcpy(&handler, &address, sizeof(handler));
    return handler;
}

static int exiting(int status)
{
    return status;
}

static void setup(void)
{
    ends = 0;
    set(SIGTERM, end_at_once);
    set(SIGUSR1, end_a_call);
}

static void teardown(void)
{
    ac_guard_let_exit();
    set(SIGTERM, SIG_DFL);
    set(SIGUSR1, SIG_DFL);
}

START_TEST(handlers_of_httpd_come_back)
{
    ac_guard_init(exiting, 1);
    set(SIGUSR1, foreign());
    ac_guard_restore_signals();
    ck_assert(handler_of(SIGUSR1) == end_a_call);
    set(SIGUSR1, end_at_once);
    ac_guard_restore_signals();
    set(SIGUSR1, foreign());
    ac_guard_restore_signals();
    ck_assert(handler_of(SIGUSR1) == end_at_once);
    set(SIGUSR1, SIG_IGN);
    ac_guard_restore_signals();
    ck_assert(handler_of(SIGUSR1) == SIG_IGN);
}
END_TEST

START_TEST(handler_of_an_mpm_that_starts_does_not_come_back)
{
    ac_guard_init(exiting, 1);
    ac_guard_restore_signals();
    /* The MPM's last one, and a runtime's before anybody looked. */
    set(SIGTERM, end_a_call);
    set(SIGTERM, foreign());
    ac_guard_restore_signals();
    ck_assert(handler_of(SIGTERM) != foreign());
    raise(SIGTERM);
    ck_assert_int_eq(ends, 0);
    set(SIGTERM, end_a_call);
    ac_guard_restore_signals();
    set(SIGTERM, foreign());
    ac_guard_restore_signals();
    ck_assert(handler_of(SIGTERM) == end_a_call);
}
END_TEST

START_TEST(handler_of_an_mpm_without_threads_is_its_last)
{
    ac_guard_init(exiting, 0);
    set(SIGTERM, foreign());
    ac_guard_restore_signals();
    ck_assert(handler_of(SIGTERM) == end_at_once);
}
END_TEST

static void *raise_here(void *unused)
{
    sigset_t none;

    (void)unused;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    pthread_kill(pthread_self(), SIGTERM);
    return NULL;
}

START_TEST(first_thread_gets_what_another_took)
{
    sigset_t term, before;
    pthread_t thread;

    ac_guard_init(exiting, 1);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, &before);
    ck_assert_int_eq(ac_guard_is_asked(), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, raise_here, NULL), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(ac_guard_is_asked(), 1);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    ck_assert_int_eq(ac_guard_is_asked(), 0);
    ck_assert_int_eq(ends, 0);
}
END_TEST

TCase *test_inproc_guard(void)
{
    TCase *tc = tcase_create("guard");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, handlers_of_httpd_come_back);
    tcase_add_test(tc, handler_of_an_mpm_that_starts_does_not_come_back);
    tcase_add_test(tc, handler_of_an_mpm_without_threads_is_its_last);
    tcase_add_test(tc, first_thread_gets_what_another_took);
    return tc;
}
