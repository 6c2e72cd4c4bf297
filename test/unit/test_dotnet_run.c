/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_dotnet.h"
#include "test_dotnet_host.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A start that fails, to its end. */
static void start_and_fail(const char *script, const char *expected)
{
    start(script);
    wait_for("not started");
    shut_down(20000);
    ck_assert_msg(was_heard(expected), "%s is not in %s", expected, heard.text);
}

static void handle(void)
{
    appcore_info info = { .size = sizeof(info) };
    void *data = NULL;

    ck_assert_int_eq(appcore_app_v1()->handle(app, 7, &info, &data), APPCORE_DONE);
}

START_TEST(an_app_starts_serves_and_stops)
{
    start("hook\nready\nwait\nstopping\nstopped\nreturn 0\n");
    wait_for("started\n");
    handle();
    ck_assert(was_heard("respond 200  managed\n"));
    appcore_app_v1()->on_disconnect(app, 7, NULL);
    ck_assert(was_heard("disconnected"));
    appcore_app_v1()->quiesce(app);
    ck_assert(was_heard("quiet"));
    shut_down(20000);
    ck_assert(!was_heard("ended"));
    handle();
    ck_assert(was_heard("respond 503 Retry-After \n"));
}
END_TEST

START_TEST(the_app_gets_its_arguments_and_properties)
{
    char expected[3 * PATH_MAX];

    start("property STARTUP_HOOKS=/other.dll\nhook\ntell\nready\nwait\n");
    wait_for("started\n");
    shut_down(20000);
    snprintf(expected, sizeof(expected), "root %s: --urls x y\n",
             test_dotnet_path("root"));
    ck_assert_msg(was_heard(expected), "%s", heard.text);
    snprintf(expected, sizeof(expected), "STARTUP_HOOKS=%s:/other.dll\n",
             test_dotnet_path("net8.0/AppCore.AspNetCore.dll"));
    ck_assert_msg(was_heard(expected), "%s", heard.text);
    ck_assert(was_heard("DEFAULT_STACK_SIZE=200000\n"));
    ck_assert(was_heard("APPCORE_NATIVE="));
}
END_TEST

START_TEST(an_app_that_brings_its_runtime_uses_that)
{
    char expected[PATH_MAX];

    ck_assert_int_eq(symlink(fake_path(), test_dotnet_path("libhostfxr.so")), 0);
    start("hook\ntell\nready\nwait\n");
    wait_for("started\n");
    shut_down(20000);
    snprintf(expected, sizeof(expected), "root %.*s: --urls", (int)config.folder.len,
             config.folder.p);
    ck_assert_msg(was_heard(expected), "%s", heard.text);
}
END_TEST

START_TEST(what_hostfxr_says_is_evidence)
{
    start_and_fail("init 80008096 The framework 'X', version '2.9.9' was not found.\n",
                   "not started 500.31 exit 0: The .NET runtime for the app could not be "
                   "loaded (hostfxr: 0x80008096) | The framework 'X', version '2.9.9' "
                   "was not found.\n");
}
END_TEST

START_TEST(what_hostfxr_keeps_to_itself_is_said)
{
    start_and_fail("init 80008094\n", "App.dll is no assembly that .NET can run");
    ck_assert(was_heard("500.38"));
}
END_TEST

START_TEST(a_second_app_in_the_process_is_refused)
{
    appcore_failure failure = { .size = sizeof(failure) };

    start("hook\nready\nwait\n");
    ck_assert_int_eq(init(&failure), APPCORE_FAILED);
    ck_assert_int_eq(failure.substatus, 35);
    wait_for("started\n");
    shut_down(20000);
    /* Not even after the first: the runtime itself says so. */
    start_and_fail("hook\nready\nwait\n", "500.35");
}
END_TEST

START_TEST(an_assembly_that_is_missing_is_named)
{
    appcore_failure failure = { .size = sizeof(failure) };

    ck_assert_int_eq(init(&failure), APPCORE_PENDING);
    wait_for("not started 500.38");
    shut_down(20000);
    ck_assert(was_heard("App.dll is missing"));
    config.n_settings = 0;
    ck_assert_int_eq(init(&failure), APPCORE_FAILED);
    ck_assert_int_eq(failure.substatus, 38);
}
END_TEST

START_TEST(places_are_named_where_there_is_no_net)
{
    set(2, "appcore.dotnetRoot", "/nowhere/dotnet");
    start_and_fail("", "500.31");
    ck_assert(was_heard("AppCoreDotnetRoot, /nowhere/dotnet\n"));
}
END_TEST

START_TEST(a_hostfxr_that_is_none_is_named)
{
    unlink(test_dotnet_path("root/host/fxr/10.0.0/libhostfxr.so"));
    test_dotnet_write("root/host/fxr/10.0.0/libhostfxr.so", "not ELF");
    start_and_fail("", "500.32");
    ck_assert(was_heard("libhostfxr.so cannot be loaded | "));
}
END_TEST

START_TEST(main_may_end_early)
{
    start_and_fail("hook\nreturn 12\n", "not started 500.30 exit 12: Main exited "
                   "prematurely: the app ended with exit code 12");
    ck_assert(!was_heard("ended 12"));
}
END_TEST

START_TEST(the_hook_may_never_run)
{
    start_and_fail("return 0\n", "not started 500.33 exit 0: Main ended with exit code "
                   "0, and the start-up hook ");
}
END_TEST

START_TEST(the_runtime_may_not_start)
{
    start_and_fail("text GC heap initialization failed\nreturn 0x80008089\n",
                   "500.30 exit -2147450743: The .NET runtime did not start (hostfxr: "
                   "0x80008089) | GC heap initialization failed\n");
}
END_TEST

START_TEST(managed_code_may_say_why)
{
    start_and_fail("hook\nfailed The port is taken\nreturn 3\n", "not started 500.30 "
                   "exit 0: The port is taken | evidence of managed code");
    ck_assert(!was_heard("prematurely"));
}
END_TEST

START_TEST(an_app_that_is_ready_after_a_failure_is_stopped)
{
    start("hook\nfailed First\nready\nwait\nfailed Second\nreturn 0\n");
    wait_for("log 3 Second");
    shut_down(20000);
    ck_assert(!was_heard("\nstarted"));
    ck_assert(!was_heard("ended"));
}
END_TEST

/* In a process of its own, whose exit status is returned: what ends there cannot be
 * undone. */
static int in_a_child(void (*scene)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        scene();
        exit(3);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "wait status %x", status);
    return WEXITSTATUS(status);
}

static void leave_a_mark(void)
{
    test_dotnet_write("destructors-ran", "");
}

static void crash_early(void)
{
    atexit(leave_a_mark);
    start("hook\ncrashed System.Exception: no\nreturn 0\n");
    wait_for("not started 500.30 exit 134: System.Exception: no |    at Program.Main()");
    /* Nothing to wait for, so this takes no minute. */
    shut_down(60000);
}

START_TEST(a_crash_at_the_start_leaves_somebody_to_tell_it)
{
    struct timespec before, after;

    clock_gettime(CLOCK_MONOTONIC, &before);
    ck_assert_int_eq(in_a_child(crash_early), 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    ck_assert_int_lt(after.tv_sec - before.tv_sec, 30);
    ck_assert_int_ne(access(test_dotnet_path("destructors-ran"), F_OK), 0);
}
END_TEST

static void crash_early_and_go(void)
{
    atexit(leave_a_mark);
    start("hook\ncrashed System.Exception: no\nreturn 0\n");
    wait_for("not started 500.30");
}

/* httpd shuts nothing down that failed. */
START_TEST(a_host_may_leave_a_failed_app_alone)
{
    ck_assert_int_eq(in_a_child(crash_early_and_go), 0);
    ck_assert_int_ne(access(test_dotnet_path("destructors-ran"), F_OK), 0);
}
END_TEST

static void *exit_in_app(void *data)
{
    (void)data;
    exit(5);
}

static void exit_beside_main(void)
{
    pthread_t thread;

    atexit(leave_a_mark);
    start("hook\nready\nblock\n");
    wait_for("started\n");
    pthread_create(&thread, NULL, exit_in_app, NULL);
    pthread_join(thread, NULL);
}

START_TEST(an_exit_of_the_app_is_left_to_httpd)
{
    ck_assert_int_eq(in_a_child(exit_beside_main), 5);
    ck_assert_int_eq(access(test_dotnet_path("destructors-ran"), F_OK), 0);
}
END_TEST

START_TEST(a_crash_later_is_the_end)
{
    start("hook\nready\ncrashed System.Exception: later\nreturn 134\n");
    wait_for("log 3 it ends its process: System.Exception: later\n");
    wait_for("ended 134: Main returned");
    shut_down(20000);
}
END_TEST

START_TEST(main_may_return)
{
    start("hook\nready\nreturn 7\n");
    wait_for("ended 7: Main returned with exit code 7\n");
    handle();
    ck_assert(was_heard("respond 503 Retry-After \n"));
    shut_down(20000);
}
END_TEST

START_TEST(the_app_may_stop_itself)
{
    start("hook\nready\nstopping\nwait\nstopped\nreturn 7\n");
    wait_for("replace: it stops itself (StopApplication)\n");
    /* Those that were on their way are still served. */
    handle();
    ck_assert(was_heard("respond 200  managed\n"));
    shut_down(20000);
    ck_assert(!was_heard("ended"));
    handle();
    ck_assert(was_heard("respond 503 Retry-After \n"));
}
END_TEST

START_TEST(the_app_may_not_wait_for_its_host)
{
    start("hook\nready\nstopping\nblock\nstopped\nreturn 7\n");
    wait_for("replace: it stops itself (StopApplication)\n");
    call_fake("hostfxr_fake_release_main");
    /* Before Main returns, which may take its time. */
    wait_for("ended 0: its server is stopped\n");
    shut_down(20000);
}
END_TEST

START_TEST(what_is_posted_does_not_run_after_the_end)
{
    start("hook\nready\npost\nblock\npost\nwait\nstopped\nreturn 0\n");
    wait_for("posted\n");
    posted.fn(app, 9, posted.data, APPCORE_OK);
    ck_assert(was_heard("called back for 9\n"));
    posted.fn = NULL;
    call_fake("hostfxr_fake_release_main");
    wait_for("posted again");
    shut_down(20000);
    heard.len = 0;
    heard.text[0] = '\0';
    ck_assert_ptr_nonnull(posted.fn);
    posted.fn(app, 9, posted.data, APPCORE_OK);
    ck_assert(!was_heard("called back"));
}
END_TEST

static void *shut_down_slowly(void *data)
{
    (void)data;
    shut_down(60000);
    return NULL;
}

/* It stops because it was told to, which is no reason to say so. */
START_TEST(an_app_that_is_told_of_its_end_serves_on)
{
    start("hook\nready\nblock\nstopping\npost\nwait\nstopped\nreturn 7\n");
    wait_for("started\n");
    appcore_app_v1()->quiesce(app);
    ck_assert(was_heard("quiet"));
    call_fake("hostfxr_fake_release_main");
    wait_for("posted\n");
    handle();
    ck_assert(was_heard("respond 200  managed\n"));
    shut_down(20000);
    ck_assert(!was_heard("ended"));
    ck_assert(!was_heard("replace"));
}
END_TEST

START_TEST(the_end_may_be_asked_for_during_the_start)
{
    pthread_t stopping;

    start("hook\nblock\nready\nwait\ntell\nreturn 0\n");
    wait_for("hook runs");
    ck_assert_int_eq(pthread_create(&stopping, NULL, shut_down_slowly, NULL), 0);
    call_fake("hostfxr_fake_release_main");
    wait_for("APPCORE_NATIVE");
    pthread_join(stopping, NULL);
    ck_assert(!was_heard("ended"));
}
END_TEST

static void get_stuck(void)
{
    atexit(leave_a_mark);
    start("hook\nready\nblock\n");
    wait_for("started\n");
    shut_down(50);
    ck_assert(was_heard("it did not end in time"));
}

START_TEST(an_app_that_does_not_end_is_left_behind)
{
    ck_assert_int_eq(in_a_child(get_stuck), 0);
    ck_assert_int_ne(access(test_dotnet_path("destructors-ran"), F_OK), 0);
}
END_TEST

static void *exit_fatally(void *data)
{
    (void)data;
    exit(15);
}

static void get_stuck_and_exit(void)
{
    pthread_t thread;

    get_stuck();
    pthread_create(&thread, NULL, exit_fatally, NULL);
    pthread_join(thread, NULL);
}

START_TEST(an_app_that_is_left_behind_does_not_end_the_server)
{
    ck_assert_int_eq(in_a_child(get_stuck_and_exit), 0);
}
END_TEST

static void *call_on_io(void *data)
{
    appcore_app_v1()->on_io(app, 7, data, APPCORE_READABLE);
    return NULL;
}

static pthread_t go_inside(void)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, call_on_io, NULL), 0);
    wait_for(" inside\n");
    return thread;
}

START_TEST(main_waits_for_those_inside)
{
    pthread_t inside, stopping;

    config.shutdown_ms = 60000;
    start("hook\ninside\nready\nwait\nstopped\ntell\nreturn 0\n");
    wait_for("started\n");
    inside = go_inside();
    ck_assert_int_eq(pthread_create(&stopping, NULL, shut_down_slowly, NULL), 0);
    while (!was_heard("respond 503")) {
        handle();
    }
    ck_assert(!was_heard("APPCORE_NATIVE"));
    call_fake("hostfxr_fake_release");
    pthread_join(stopping, NULL);
    pthread_join(inside, NULL);
    ck_assert(strstr(heard.text, " outside\n")
              < strstr(heard.text, "APPCORE_NATIVE"));
}
END_TEST

START_TEST(main_does_not_wait_for_ever)
{
    pthread_t inside;

    start("hook\ninside\nready\nblock\nstopping\nstopped\nreturn 0\n");
    wait_for("started\n");
    inside = go_inside();
    call_fake("hostfxr_fake_release_main");
    wait_for("ended 0");
    wait_for("it ends while requests are still inside of it");
    shut_down(20000);
    call_fake("hostfxr_fake_release");
    pthread_join(inside, NULL);
}
END_TEST

static unsigned long long blocked_signals(void)
{
    const char *line = strstr(heard.text, "SigBlk:");

    ck_assert_ptr_nonnull(line);
    return strtoull(line + strlen("SigBlk:"), NULL, 16);
}

START_TEST(managed_code_takes_signals_and_httpd_keeps_its_mask)
{
    sigset_t all, before, after;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    start("hook\ntell\nready\nwait\n");
    wait_for("started\n");
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    ck_assert(sigismember(&before, SIGTERM) && sigismember(&after, SIGTERM));
    ck_assert(sigismember(&after, SIGCHLD) && sigismember(&after, SIGRTMIN));
    ck_assert_uint_eq(blocked_signals(), 0);
    /* A worker, once it has called the app. */
    appcore_app_v1()->thread_attach(app);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    ck_assert(!sigismember(&after, SIGTERM) && !sigismember(&after, SIGINT));
    shut_down(20000);
}
END_TEST

static void in_folder(char *to, size_t size)
{
    ck_assert_ptr_nonnull(getcwd(to, size));
}

START_TEST(the_folder_of_the_app_becomes_the_current_one)
{
    char before[PATH_MAX], after[PATH_MAX];

    in_folder(before, sizeof(before));
    start_and_fail("hook\nreturn 1\n", "500.30");
    in_folder(after, sizeof(after));
    ck_assert_str_eq(after, before);
    call_fake("hostfxr_fake_forget");
    set(4, "setCurrentDirectory", "true");
    start("hook\nready\nwait\n");
    in_folder(after, sizeof(after));
    wait_for("started\n");
    shut_down(20000);
    ck_assert_int_eq(chdir(before), 0);
    ck_assert_int_eq(strncmp(after, config.folder.p, config.folder.len), 0);
}
END_TEST

TCase *test_dotnet_start(void)
{
    TCase *tc = tcase_create("start");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, host_setup, test_dotnet_remove_folder);
    tcase_add_test(tc, an_app_starts_serves_and_stops);
    tcase_add_test(tc, the_app_gets_its_arguments_and_properties);
    tcase_add_test(tc, an_app_that_brings_its_runtime_uses_that);
    tcase_add_test(tc, what_hostfxr_says_is_evidence);
    tcase_add_test(tc, what_hostfxr_keeps_to_itself_is_said);
    tcase_add_test(tc, a_second_app_in_the_process_is_refused);
    tcase_add_test(tc, an_assembly_that_is_missing_is_named);
    tcase_add_test(tc, places_are_named_where_there_is_no_net);
    tcase_add_test(tc, a_hostfxr_that_is_none_is_named);
    tcase_add_test(tc, main_may_end_early);
    tcase_add_test(tc, the_hook_may_never_run);
    tcase_add_test(tc, the_runtime_may_not_start);
    tcase_add_test(tc, managed_code_may_say_why);
    tcase_add_test(tc, managed_code_takes_signals_and_httpd_keeps_its_mask);
    tcase_add_test(tc, the_folder_of_the_app_becomes_the_current_one);
    return tc;
}

TCase *test_dotnet_end(void)
{
    TCase *tc = tcase_create("end");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, host_setup, test_dotnet_remove_folder);
    tcase_add_test(tc, an_app_that_is_ready_after_a_failure_is_stopped);
    tcase_add_test(tc, a_crash_at_the_start_leaves_somebody_to_tell_it);
    tcase_add_test(tc, a_host_may_leave_a_failed_app_alone);
    tcase_add_test(tc, an_exit_of_the_app_is_left_to_httpd);
    tcase_add_test(tc, a_crash_later_is_the_end);
    tcase_add_test(tc, main_may_return);
    tcase_add_test(tc, the_app_may_stop_itself);
    tcase_add_test(tc, the_app_may_not_wait_for_its_host);
    tcase_add_test(tc, what_is_posted_does_not_run_after_the_end);
    tcase_add_test(tc, an_app_that_is_told_of_its_end_serves_on);
    tcase_add_test(tc, the_end_may_be_asked_for_during_the_start);
    tcase_add_test(tc, an_app_that_does_not_end_is_left_behind);
    tcase_add_test(tc, an_app_that_is_left_behind_does_not_end_the_server);
    tcase_add_test(tc, main_waits_for_those_inside);
    tcase_add_test(tc, main_does_not_wait_for_ever);
    return tc;
}
