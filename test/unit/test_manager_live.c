/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* A whole manager with a running app: crashes, reloads, successors, children of
 * httpd, stop. */

#include "test_manager.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "test_manager_keeper.h"

START_TEST(test_crash_is_replaced_on_the_same_socket)
{
    asked_t spawn, asked;
    ac_board_app_t app;
    int fd = run_app(&spawn);

    answer_number(AC_MSG_EXITED, spawn.tag, SIGKILL);
    expect(&asked, AC_MSG_SIGNAL);
    ck_assert(asked.group && asked.signal == SIGKILL);
    expect(&asked, AC_MSG_LOOK);
    app = wait_state(AC_APP_STARTING);
    ck_assert_uint_eq(app.slots[0], AC_BOARD_NO_PROC);
    answer_look(&asked, launch_default(AC_REACH_FD));
    expect(&asked, AC_MSG_LISTEN);
    ck_assert(asked.heir_of == spawn.tag);
    close(answer_listen(&asked));
    expect(&asked, AC_MSG_FORGET);
    ck_assert(asked.tag == spawn.tag);
    expect(&asked, AC_MSG_SPAWN);
    answer_capture("");
    close(fd);
}
END_TEST

/* On a socket, and on a port: nothing but a wake of a child's tells. */
static void expect_replacement(const asked_t *spawn, const char *why)
{
    asked_t asked;

    wake();
    expect(&asked, AC_MSG_LOOK);
    wait_state(AC_APP_STARTING);
    ck_assert(relay_says(why));
    expect(&asked, AC_MSG_SIGNAL);
    ck_assert(asked.tag == spawn->tag && asked.signal == SIGTERM && !asked.group);
}

START_TEST(test_process_that_shuts_its_socket_is_replaced)
{
    asked_t spawn;
    int fd = run_app(&spawn);

    wake();
    expect_silence(400);
    wait_state(AC_APP_RUNNING);
    ck_assert_int_eq(shutdown(fd, SHUT_RDWR), 0);
    expect_replacement(&spawn, "it closed its socket");
    close(fd);
}
END_TEST

START_TEST(test_process_that_leaves_its_port_is_replaced)
{
    asked_t spawn;
    uint32_t port;
    int fd;

    configure_app();
    begin();
    child_hello();
    start_app(&spawn, launch_default(AC_REACH_PORT));
    port = (uint32_t)atoi(env_of(&spawn, "PORT"));
    fd = connect_tcp_listener(port);
    wait_state(AC_APP_RUNNING);
    close(fd);
    expect_replacement(&spawn, "it does not listen to its port any more");
}
END_TEST

/* As a program does that starts its server anew. */
START_TEST(test_listener_that_comes_back_is_believed)
{
    asked_t spawn;
    uint32_t port;
    int fd;

    configure_app();
    begin();
    child_hello();
    start_app(&spawn, launch_default(AC_REACH_PORT));
    port = (uint32_t)atoi(env_of(&spawn, "PORT"));
    fd = connect_tcp_listener(port);
    wait_state(AC_APP_RUNNING);
    close(fd);
    wake();
    usleep(50 * 1000);
    fd = connect_tcp_listener(port);
    expect_silence(400);
    wait_state(AC_APP_RUNNING);
    close(fd);
}
END_TEST

START_TEST(test_reload_switches_and_drains)
{
    asked_t first, asked;
    ac_board_app_t app;
    ac_board_proc_t proc;
    int row = ac_rows_claim(k.rows, 1), fd = run_app(&first), other;

    /* A request is in flight to the old process. */
    ac_rows_proc_take(k.rows, row, first.proc);
    k.set->request_time.v = apr_time_from_sec(5);
    configure_app();
    expect(&asked, AC_MSG_LOOK);
    answer_look(&asked, launch_default(AC_REACH_FD));
    expect(&asked, AC_MSG_LISTEN);
    ck_assert(asked.heir_of == 0);
    other = answer_listen(&asked);
    expect(&asked, AC_MSG_SPAWN);
    answer_spawn(&asked, app_pid);
    accept_one(other);
    do {
        app = wait_state(AC_APP_RUNNING);
    } while (app.slots[0] == first.proc);
    ck_assert_uint_eq(asked.shutdown_limit, 10);
    ck_assert_uint_eq(app.slots[0], asked.proc);
    ck_assert_int_eq(ac_board_proc(k.board, asked.proc, k.spec.id, &proc), 1);
    ck_assert_int_eq(proc.draining, 0);
    expect_silence(150);
    ck_assert_int_eq(ac_board_proc(k.board, first.proc, k.spec.id, &proc), 1);
    ck_assert_int_eq(proc.draining, 1);
    ac_rows_proc_put(k.rows, row, first.proc);
    expect(&asked, AC_MSG_SIGNAL);
    ck_assert(asked.tag == first.tag && asked.signal == SIGTERM && !asked.group);
    answer_number(AC_MSG_EXITED, first.tag, 0);
    expect(&asked, AC_MSG_FORGET);
    close(fd);
    close(other);
}
END_TEST

START_TEST(test_same_configuration_changes_nothing)
{
    asked_t spawn;
    int fd = run_app(&spawn);

    configure_app();
    expect_silence(50);
    wait_state(AC_APP_RUNNING);
    close(fd);
}
END_TEST

START_TEST(test_unreadable_configuration_is_refused)
{
    asked_t spawn;
    int fd = run_app(&spawn), null = open("/dev/null", 0);
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_CONFIG, p);
    ac_wire_put_u32(&w, 2);
    ck_assert_int_eq(ac_message_send(k.link, &w, &null, 1), APR_SUCCESS);
    ck_assert(relay_says("could not be read"));
    wait_state(AC_APP_RUNNING);
    close(null);
    close(fd);
}
END_TEST

static void adopt(const asked_t *spawn, ac_process_state_e state, int listener)
{
    ac_process_t process = { .tag = spawn->tag, .app_id = k.spec.id, .slot = spawn->slot,
                             .generation = spawn->generation, .reach = spawn->reach,
                             .proc = spawn->proc, .pid = (uint32_t)app_pid,
                             .uid = state == AC_PROCESS_STARTING ? 0 : getuid(),
                             .state = state,
                             .started = ac_clock_now(), .note = last_note,
                             .note_len = last_note_len };
    ac_wire_writer_t w;

    process.wait_status = state == AC_PROCESS_EXITED ? SIGKILL : -1;
    ac_message_begin(&w, AC_MSG_ADOPT, p);
    ac_process_put(&w, &process);
    ck_assert_int_eq(ac_message_send(k.link, &w, &listener, listener >= 0), APR_SUCCESS);
}

/* Notes are sent when something changed; the last one tells of READY. */
static void take_notes(void)
{
    expect_silence(30);
    ck_assert_uint_gt(last_note_len, 0);
}

START_TEST(test_next_manager_finds_a_running_app)
{
    ac_board_app_t before, after;
    asked_t spawn, asked;
    int fd = run_app(&spawn);

    before = wait_state(AC_APP_RUNNING);
    take_notes();
    manager_kill();
    after = wait_state(AC_APP_RUNNING);
    manager_start();
    configure_app();
    adopt(&spawn, AC_PROCESS_RUNNING, fd);
    begin();
    /* The watches on its folder ended with the first manager. */
    expect(&asked, AC_MSG_LOOK);
    answer_look(&asked, launch_default(AC_REACH_FD));
    expect_silence(100);
    after = wait_state(AC_APP_RUNNING);
    ck_assert_uint_eq(after.slots[0], before.slots[0]);
    ck_assert_uint_eq(after.facts.uid, before.facts.uid);
    /* It is supervised: an end is noticed, the successor has the next number. */
    answer_number(AC_MSG_EXITED, spawn.tag, SIGKILL);
    expect(&asked, AC_MSG_SIGNAL);
    expect(&asked, AC_MSG_LOOK);
    answer_look(&asked, launch_default(AC_REACH_FD));
    expect(&asked, AC_MSG_LISTEN);
    ck_assert(asked.heir_of == spawn.tag);
    ck_assert_uint_eq(asked.generation, spawn.generation + 1);
    ck_assert(asked.tag > spawn.tag);
    close(fd);
}
END_TEST

/* The knock of the first manager still waits and may stand for that of the
 * second, or not. */
static void accept_until_running(int fd)
{
    apr_time_t end = ac_clock_now() + apr_time_from_sec(5);
    int index = ac_board_find(k.board, k.spec.id);
    struct pollfd waits = { .fd = fd, .events = POLLIN };
    ac_board_app_t app = { 0 };

    while (app.state != AC_APP_RUNNING && ac_clock_now() < end) {
        if (poll(&waits, 1, 10) > 0) {
            accept_one(fd);
        }
        ck_assert_int_eq(ac_board_app(k.board, index, k.spec.id, &app), 1);
    }
    ck_assert_uint_eq(app.state, AC_APP_RUNNING);
}

START_TEST(test_next_manager_goes_on_probing)
{
    asked_t spawn, asked;
    int fd;

    configure_app();
    begin();
    child_hello();
    fd = start_app(&spawn, launch_default(AC_REACH_FD));
    take_notes();
    manager_kill();
    manager_start();
    adopt(&spawn, AC_PROCESS_RUNNING, fd);
    configure_app();
    begin();
    child_hello();
    expect(&asked, AC_MSG_LOOK);
    answer_look(&asked, launch_default(AC_REACH_FD));
    expect_silence(50);
    wait_state(AC_APP_STARTING);
    accept_until_running(fd);
    close(fd);
}
END_TEST

/* The first one died before it heard that the program runs. */
START_TEST(test_next_manager_knows_port_and_token)
{
    ac_launch_t *launch = launch_default(AC_REACH_PORT);
    ac_board_app_t app;
    ac_board_proc_t proc;
    asked_t asked, spawn;
    int fd;

    launch->kind = AC_KIND_DOTNET;
    configure_app();
    begin();
    child_hello();
    wake();
    expect(&asked, AC_MSG_LOOK);
    answer_look(&asked, launch);
    expect(&spawn, AC_MSG_SPAWN);
    take_notes();
    manager_kill();
    manager_start();
    adopt(&spawn, AC_PROCESS_STARTING, -1);
    configure_app();
    begin();
    child_hello();
    answer_executed(&spawn, AC_FAULT_NONE);
    fd = connect_tcp_listener((uint32_t)atoi(env_of(&spawn, "ASPNETCORE_PORT")));
    app = wait_state(AC_APP_RUNNING);
    ck_assert_int_eq(ac_board_proc(k.board, app.slots[0], k.spec.id, &proc), 1);
    ck_assert_str_eq(proc.token, env_of(&spawn, "ASPNETCORE_TOKEN"));
    close(fd);
}
END_TEST

START_TEST(test_next_manager_hears_of_an_end)
{
    asked_t spawn, asked;
    int fd = run_app(&spawn);

    take_notes();
    manager_kill();
    manager_start();
    configure_app();
    adopt(&spawn, AC_PROCESS_EXITED, fd);
    begin();
    expect(&asked, AC_MSG_SIGNAL);
    expect(&asked, AC_MSG_LOOK);
    wait_state(AC_APP_STARTING);
    close(fd);
}
END_TEST

START_TEST(test_next_manager_keeps_the_breaker_open)
{
    ac_board_app_t before, after;
    asked_t asked;

    k.set->rapid_fails_per_minute.v = 0;
    configure_app();
    begin();
    child_hello();
    wake();
    expect(&asked, AC_MSG_LOOK);
    answer_look(&asked, launch_default(AC_REACH_FD));
    expect(&asked, AC_MSG_LISTEN);
    close(answer_listen(&asked));
    expect(&asked, AC_MSG_SPAWN);
    answer_executed(&asked, AC_FAULT_EXEC);
    before = wait_failure(AC_APP_BROKEN);
    manager_kill();
    manager_start();
    configure_app();
    begin();
    wake();
    expect_silence(100);
    after = wait_failure(AC_APP_BROKEN);
    ck_assert(after.retry_at == before.retry_at);
    ck_assert_uint_eq(after.failures, before.failures);
    ck_assert_uint_eq(after.http_status, before.http_status);
}
END_TEST

START_TEST(test_next_manager_gives_up_what_never_ran)
{
    asked_t spawn, asked;

    memset(&spawn, 0, sizeof(spawn));
    spawn.tag = 4711;
    kill(app_pid, SIGKILL);
    waitpid(app_pid, NULL, 0);
    app_pid = 0;
    configure_app();
    adopt(&spawn, AC_PROCESS_LISTENING, -1);
    begin();
    expect(&asked, AC_MSG_FORGET);
    ck_assert(asked.tag == 4711);
}
END_TEST

/* Valgrind's kernel, for one, has none. */
static int has_pidfd(void)
{
    int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

START_TEST(test_child_that_ends_gives_its_shares_back)
{
    apr_time_t end = ac_clock_now() + apr_time_from_sec(5);
    int ready[2];
    pid_t pid;
    char c;

    configure_app();
    begin();
    ck_assert_int_eq(pipe(ready), 0);
    pid = helper_fork();
    if (pid == 0) {
        int row = child_hello();

        ac_rows_proc_take(k.rows, row, 5);
        ck_assert_int_eq(write(ready[1], "x", 1), 1);
        pause();
    }
    ck_assert_int_eq(read(ready[0], &c, 1), 1);
    ck_assert_uint_eq(ac_rows_proc_count(k.rows, 5), 1);
    /* What it said must be heard while it lives. */
    wake();
    wait_state(AC_APP_STARTING);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    while (has_pidfd() && ac_rows_proc_count(k.rows, 5) && ac_clock_now() < end) {
        usleep(1000);
    }
    ck_assert_uint_eq(ac_rows_proc_count(k.rows, 5), has_pidfd() ? 0 : 1);
}
END_TEST

/* While no manager ran, one child ended and one lived on. */
START_TEST(test_next_manager_knows_the_children)
{
    apr_time_t end = ac_clock_now() + apr_time_from_sec(5);
    int dead, mine;
    asked_t asked;

    configure_app();
    begin();
    mine = child_hello();
    wait_state(AC_APP_IDLE);
    dead = ac_rows_claim(k.rows, (uint32_t)app_pid);
    ac_rows_proc_take(k.rows, dead, 5);
    ac_rows_proc_take(k.rows, mine, 6);
    /* It shows apps before it says that it is there. */
    while (ac_board_manager(k.board) != 1 && ac_clock_now() < end) {
        poll(NULL, 0, 1);
    }
    ck_assert_uint_eq(ac_board_manager(k.board), 1);
    manager_kill();
    kill(app_pid, SIGKILL);
    waitpid(app_pid, NULL, 0);
    app_pid = 0;
    manager_start();
    configure_app();
    begin();
    wake();
    expect(&asked, AC_MSG_LOOK);
    ck_assert_uint_eq(ac_board_manager(k.board), 2);
    while (has_pidfd() && ac_rows_proc_count(k.rows, 5) && ac_clock_now() < end) {
        usleep(1000);
    }
    ck_assert_uint_eq(ac_rows_proc_count(k.rows, 5), has_pidfd() ? 0 : 1);
    ck_assert_uint_eq(ac_rows_proc_count(k.rows, 6), 1);
    ck_assert_int_eq(ac_wake_send(k.wake, AC_WAKE_HELLO, (uint64_t)mine, k.wakes),
                     APR_SUCCESS);
    answer_look(&asked, NULL);
    wait_failure(AC_APP_IDLE);
}
END_TEST

/* A wake for an app whose processes are yet to be adopted would start more. */
START_TEST(test_wakes_wait_for_the_start_sequence)
{
    asked_t asked;

    configure_app();
    child_hello();
    wake();
    expect_silence(100);
    ck_assert_uint_eq(ac_board_manager(k.board), 0);
    begin();
    expect(&asked, AC_MSG_LOOK);
    ck_assert_uint_eq(ac_board_manager(k.board), 1);
}
END_TEST

START_TEST(test_lying_child_is_ignored)
{
    int pair[2], row;

    configure_app();
    begin();
    ck_assert_int_eq(pipe(pair), 0);
    ac_rows_claim(k.rows, 1);
    /* A row of somebody else, no row at all, and what is no eventfd. */
    ac_wake_send(k.wake, AC_WAKE_HELLO, 0, k.wakes);
    ac_wake_send(k.wake, AC_WAKE_HELLO, 1u << 30, k.wakes);
    row = ac_rows_claim(k.rows, (uint32_t)getpid());
    ac_wake_send(k.wake, AC_WAKE_HELLO, (uint64_t)row, pair[1]);
    ac_wake_send(k.wake, AC_WAKE_APP, 12345, -1);
    ac_wake_send(k.wake, 77, 12345, k.wakes);
    ck_assert_int_eq(send(k.wake, "short", 5, 0), 5);
    expect_silence(50);
    ck_assert_uint_eq(ac_rows_pid(k.rows, 0), 1);
    wake();
    expect(&(asked_t){ 0 }, AC_MSG_LOOK);
}
END_TEST

START_TEST(test_stop)
{
    asked_t spawn, asked;
    ac_wire_writer_t w;
    int fd = run_app(&spawn), status;

    ac_message_begin(&w, AC_MSG_STOP, p);
    ck_assert_int_eq(ac_message_send(k.link, &w, NULL, 0), APR_SUCCESS);
    expect(&asked, AC_MSG_SIGNAL);
    ck_assert_uint_eq(asked.signal, SIGTERM);
    wait_state(AC_APP_STOPPING);
    answer_number(AC_MSG_EXITED, spawn.tag, 0);
    expect(&asked, AC_MSG_FORGET);
    ck_assert_int_eq(waitpid(k.manager, &status, 0), k.manager);
    ck_assert_int_eq(status, 0);
    k.manager = 0;
    close(fd);
}
END_TEST

START_TEST(test_manager_ends_with_its_keeper)
{
    int status;

    configure_app();
    begin();
    shutdown(k.link, SHUT_RDWR);
    ck_assert_int_eq(waitpid(k.manager, &status, 0), k.manager);
    ck_assert_int_eq(status, 0);
    k.manager = 0;
}
END_TEST

static long switches(void)
{
    char path[64], line[128];
    long n = -1;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)k.manager);
    f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof(line), f)) {
        sscanf(line, "voluntary_ctxt_switches: %ld", &n);
    }
    fclose(f);
    return n;
}

START_TEST(test_idle_manager_never_wakes_up)
{
    asked_t spawn;
    int fd = run_app(&spawn);
    long before;

    take_notes();
    before = switches();
    ck_assert_int_gt(before, 0);
    usleep(300 * 1000);
    ck_assert_int_eq(switches(), before);
    close(fd);
}
END_TEST

TCase *live_case(void)
{
    TCase *tc = case_create("live");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, world_of_processes, end_of_processes);
    tcase_add_test(tc, test_crash_is_replaced_on_the_same_socket);
    tcase_add_test(tc, test_process_that_shuts_its_socket_is_replaced);
    tcase_add_test(tc, test_process_that_leaves_its_port_is_replaced);
    tcase_add_test(tc, test_listener_that_comes_back_is_believed);
    tcase_add_test(tc, test_reload_switches_and_drains);
    tcase_add_test(tc, test_same_configuration_changes_nothing);
    tcase_add_test(tc, test_unreadable_configuration_is_refused);
    tcase_add_test(tc, test_next_manager_finds_a_running_app);
    tcase_add_test(tc, test_next_manager_goes_on_probing);
    tcase_add_test(tc, test_next_manager_knows_port_and_token);
    tcase_add_test(tc, test_next_manager_hears_of_an_end);
    tcase_add_test(tc, test_next_manager_keeps_the_breaker_open);
    tcase_add_test(tc, test_next_manager_gives_up_what_never_ran);
    tcase_add_test(tc, test_child_that_ends_gives_its_shares_back);
    tcase_add_test(tc, test_next_manager_knows_the_children);
    tcase_add_test(tc, test_wakes_wait_for_the_start_sequence);
    tcase_add_test(tc, test_lying_child_is_ignored);
    tcase_add_test(tc, test_stop);
    tcase_add_test(tc, test_manager_ends_with_its_keeper);
    tcase_add_test(tc, test_idle_manager_never_wakes_up);
    return tc;
}
