/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* A whole manager, among people it can trust or not. */

#include "test_manager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <apr_strings.h>

#include "base/clock.h"
#include "shared/report.h"
#include "test_manager_keeper.h"

/* Under valgrind nobody keeps to milliseconds. */
static int is_slow(void)
{
    return getenv("AC_TEST_IS_SLOW") != NULL;
}

START_TEST(test_fd_is_ready_when_it_accepts)
{
    ac_board_app_t app;
    ac_board_proc_t proc;
    asked_t spawn;
    int fd;

    configure_app();
    begin();
    child_hello();
    wait_state(AC_APP_IDLE);
    fd = start_app(&spawn, launch_default(AC_REACH_FD));
    ck_assert_str_eq(spawn.argv[0], "/bin/app");
    ck_assert_str_eq(env_of(&spawn, "LISTEN_FDS"), "1");
    ck_assert_ptr_null(env_of(&spawn, "PORT"));
    app = wait_state(AC_APP_STARTING);
    ck_assert_uint_eq(app.slots[0], AC_BOARD_NO_PROC);
    expect_silence(50);
    wait_state(AC_APP_STARTING);
    accept_one(fd);
    app = wait_state(AC_APP_RUNNING);
    ck_assert_uint_eq(app.n_ready, 1);
    ck_assert_uint_eq(app.slots[0], spawn.proc);
    ck_assert_int_eq(ac_board_proc(k.board, app.slots[0], k.spec.id, &proc), 1);
    ck_assert_uint_eq(proc.pid, (uint32_t)app_pid);
    ck_assert_uint_eq(proc.address, AC_ADDRESS_SOCKET);
    ck_assert_uint_eq(proc.generation, spawn.generation);
    ck_assert_str_eq(proc.token, "");
    ck_assert_uint_eq(app.facts.uid, getuid());
    ck_assert(relay_says("found a test"));
    ck_assert(relay_says("was started as tester: /bin/app"));
    ck_assert(relay_says("is ready after"));
    close(fd);
}
END_TEST

START_TEST(test_port_is_ready_when_its_owner_listens)
{
    ac_launch_t *launch = launch_default(AC_REACH_PORT);
    ac_board_app_t app;
    ac_board_proc_t proc;
    asked_t spawn;
    int fd;

    configure_app();
    begin();
    child_hello();
    launch->kind = AC_KIND_DOTNET;
    start_app(&spawn, launch);
    ck_assert_ptr_null(env_of(&spawn, "LISTEN_FDS"));
    fd = connect_tcp_listener((uint32_t)atoi(env_of(&spawn, "ASPNETCORE_PORT")));
    app = wait_state(AC_APP_RUNNING);
    ac_board_proc(k.board, app.slots[0], k.spec.id, &proc);
    ck_assert_uint_eq(proc.address, AC_ADDRESS_TCP);
    ck_assert_int_eq(proc.port, atoi(env_of(&spawn, "ASPNETCORE_PORT")));
    ck_assert_str_eq(proc.token, env_of(&spawn, "ASPNETCORE_TOKEN"));
    ck_assert_uint_eq(strlen(proc.token), AC_TOKEN_LEN);
    close(fd);
}
END_TEST

/* Asked in HTTP/2: says SETTINGS, says something else, hangs up, is silent. */
static const struct {
    const char *answer;
    apr_size_t len;
    ac_protocol_e protocol;
} asked_servers[] = {
    { "\0\0\0\4\0\0\0\0\0", 9, AC_PROTOCOL_H2C },
    { "HTTP/1.1 400 Bad\r\n\r\n", 20, AC_PROTOCOL_HTTP1 },
    { "", 0, AC_PROTOCOL_HTTP1 },
    { NULL, 0, AC_PROTOCOL_HTTP1 },
};

static void answer_greeting(int fd, const char *answer, apr_size_t len)
{
    char text[24];
    int conn;

    do {
        conn = accept(fd, NULL, NULL);
        ck_assert_int_ge(conn, 0);
        /* The first connection only looks whether one is taken. */
    } while (recv(conn, text, sizeof(text), MSG_WAITALL) <= 0 && close(conn) == 0);
    ck_assert_int_eq(memcmp(text, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24), 0);
    wait_state(AC_APP_STARTING);
    if (answer) {
        ck_assert_int_eq(write(conn, answer, len), (ssize_t)len);
        close(conn);
    }
}

START_TEST(test_a_server_of_aspnetcore_is_asked_what_it_speaks)
{
    ac_launch_t *launch = launch_default(AC_REACH_PORT);
    ac_board_app_t app;
    ac_board_proc_t proc;
    asked_t spawn;
    int fd;

    configure_app();
    begin();
    child_hello();
    launch->kind = AC_KIND_DOTNET;
    start_app(&spawn, launch);
    fd = connect_tcp_listener((uint32_t)atoi(env_of(&spawn, "ASPNETCORE_PORT")));
    answer_greeting(fd, asked_servers[_i].answer, asked_servers[_i].len);
    app = wait_state(AC_APP_RUNNING);
    ac_board_proc(k.board, app.slots[0], k.spec.id, &proc);
    ck_assert_uint_eq(proc.protocol, asked_servers[_i].protocol);
    close(fd);
}
END_TEST

START_TEST(test_a_directive_says_what_a_server_speaks)
{
    ac_board_app_t app;
    ac_board_proc_t proc;
    asked_t spawn;
    int fd;

    k.set->protocol.v = AC_PROTOCOL_H2C;
    k.set->protocol.origin = AC_ORIGIN_APP;
    configure_app();
    begin();
    child_hello();
    fd = start_app(&spawn, launch_default(AC_REACH_FD));
    accept_one(fd);
    app = wait_state(AC_APP_RUNNING);
    ac_board_proc(k.board, app.slots[0], k.spec.id, &proc);
    ck_assert_uint_eq(proc.protocol, AC_PROTOCOL_H2C);
    ck_assert(relay_says("speaking HTTP/2"));
    close(fd);
}
END_TEST

START_TEST(test_port_of_a_stranger_fails_the_start)
{
    ac_launch_t *launch = launch_default(AC_REACH_PORT);
    ac_report_t *report;
    asked_t spawn;
    int fd;

    configure_app();
    begin();
    child_hello();
    launch->uid = (uint32_t)getuid() + 1;
    start_app(&spawn, launch);
    fd = connect_tcp_listener((uint32_t)atoi(env_of(&spawn, "PORT")));
    answer_capture("");
    wait_failure(AC_APP_IDLE);
    ck_assert_int_eq(ac_report_read(k.dir, k.spec.id, &report, p), APR_SUCCESS);
    ck_assert_int_eq(report->result.fault, AC_FAULT_WRONG_LISTENER);
    expect(&spawn, AC_MSG_SIGNAL);
    ck_assert_uint_eq(spawn.signal, SIGTERM);
    close(fd);
}
END_TEST

START_TEST(test_fd_and_port_race)
{
    ac_launch_t *launch = launch_default(AC_REACH_FD | AC_REACH_PORT);
    ac_board_app_t app;
    ac_board_proc_t proc;
    asked_t spawn;
    int fd, tcp = -1;

    configure_app();
    begin();
    child_hello();
    fd = start_app(&spawn, launch);
    if (_i) {
        tcp = connect_tcp_listener((uint32_t)atoi(env_of(&spawn, "PORT")));
    }
    else {
        accept_one(fd);
    }
    app = wait_state(AC_APP_RUNNING);
    ac_board_proc(k.board, app.slots[0], k.spec.id, &proc);
    ck_assert_uint_eq(proc.address, _i ? AC_ADDRESS_TCP : AC_ADDRESS_SOCKET);
    close(fd);
    close(tcp);
}
END_TEST

/* The app makes its own socket; the keeper checks and moves it. */
START_TEST(test_path_is_ready_when_moved_and_connected)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char place[108], folder[128];
    asked_t asked, spawn;
    int fd;

    configure_app();
    begin();
    child_hello();
    wake();
    expect(&asked, AC_MSG_LOOK);
    answer_look(&asked, launch_default(AC_REACH_PATH));
    expect(&asked, AC_MSG_LISTEN);
    ck_assert_uint_eq(asked.reach, AC_REACH_PATH);
    ac_board_socket_path(place, sizeof(place), k.dir, k.spec.id, asked.slot,
                         asked.generation);
    snprintf(folder, sizeof(folder), "%s/p%s", k.dir, strrchr(place, '/'));
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    answer_number(AC_MSG_LISTENING, asked.tag, 0);
    expect(&spawn, AC_MSG_SPAWN);
    answer_spawn(&spawn, app_pid);
    expect_silence(30);
    ck_assert_str_eq(env_of(&spawn, "APPCORE_SOCKET"),
                     apr_pstrcat(p, folder, "/app.sock", NULL));
    apr_cpystrn(address.sun_path, env_of(&spawn, "APPCORE_SOCKET"),
                sizeof(address.sun_path));
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    expect(&asked, AC_MSG_TAKE_PATH);
    ck_assert_int_eq(rename(address.sun_path, place), 0);
    answer_number(AC_MSG_PATH_TAKEN, asked.tag, 0);
    expect_silence(30);
    wait_state(AC_APP_STARTING);
    ck_assert_int_eq(listen(fd, 4), 0);
    wait_state(AC_APP_RUNNING);
    close(fd);
}
END_TEST

/* A process of the app's own group says something. */
static void notify_from(pid_t group, const char *text)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    pid_t pid = helper_fork();
    int status;

    if (pid == 0) {
        int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

        setpgid(0, group);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", k.dir);
        sendto(fd, text, strlen(text), 0, (struct sockaddr *)&address, sizeof(address));
        pause();
    }
    /* It must live while the manager asks who it is. */
    wait_state(AC_APP_RUNNING);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

START_TEST(test_ready_notification)
{
    ac_board_proc_t proc;
    asked_t spawn;
    int fd;

    kill(app_pid, SIGKILL);
    waitpid(app_pid, NULL, 0);
    /* Of one session, so that the helper below may join its group. */
    app_pid = helper_fork();
    if (app_pid == 0) {
        pause();
    }
    setpgid(app_pid, app_pid);
    configure_app();
    begin();
    child_hello();
    fd = start_app(&spawn, launch_default(AC_REACH_FD));
    notify_from(app_pid, "STATUS=up\nX_APPCORE_PROTOCOL=h2c\nREADY=1\n");
    ck_assert(relay_says("says: up"));
    ac_board_proc(k.board, wait_state(AC_APP_RUNNING).slots[0], k.spec.id, &proc);
    ck_assert_uint_eq(proc.protocol, AC_PROTOCOL_H2C);
    close(fd);
}
END_TEST

START_TEST(test_foreign_notification_is_ignored)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd, from = socket(AF_UNIX, SOCK_DGRAM, 0);
    asked_t spawn;

    configure_app();
    begin();
    child_hello();
    fd = start_app(&spawn, launch_default(AC_REACH_FD));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", k.dir);
    ck_assert_int_eq(sendto(from, "READY=1", 7, 0, (struct sockaddr *)&address,
                            sizeof(address)), 7);
    expect_silence(50);
    wait_state(AC_APP_STARTING);
    close(from);
    close(fd);
}
END_TEST

START_TEST(test_report_is_written_before_the_failure_shows)
{
    ac_launch_t *launch = launch_default(AC_REACH_FD);
    ac_board_app_t app;
    ac_report_t *report;
    asked_t spawn;
    int fd;

    configure_app();
    begin();
    child_hello();
    APR_ARRAY_PUSH(launch->notices, const char *) = "take care";
    fd = start_app(&spawn, launch);
    answer_number(AC_MSG_EXITED, spawn.tag, 127 << 8);
    answer_capture("sh: 1: nope: not found");
    app = wait_failure(AC_APP_IDLE);
    ck_assert_uint_eq(app.failures, 1);
    ck_assert_uint_eq(app.http_status, 502);
    ck_assert_uint_eq(app.substatus, 5);
    ck_assert_int_eq(ac_report_read(k.dir, k.spec.id, &report, p), APR_SUCCESS);
    ck_assert_int_eq(report->result.fault, AC_FAULT_EXITED);
    /* The manager waits 200 ms for it and goes on without. */
    if (report->output || !is_slow()) {
        ck_assert_pstr_eq(report->output, "sh: 1: nope: not found");
    }
    ck_assert_str_eq(report->command, "/bin/app");
    ck_assert_str_eq(report->user, "tester");
    ck_assert_str_eq(report->found, "a test");
    ck_assert_uint_eq(report->pid, (uint32_t)app_pid);
    ck_assert_int_eq(report->wait_status, 127 << 8);
    ck_assert_ptr_nonnull(strstr(report->hint, "PATH"));
    ck_assert_str_eq(APR_ARRAY_IDX(report->notices, 0, const char *), "take care");
    ck_assert(relay_says("did not start"));
    close(fd);
}
END_TEST

/* Neither log nor error page tell what AppCoreEnvironmentFile says, whichever way
 * it gets into the command line. */
START_TEST(test_secrets_are_not_shown)
{
    static const ac_env_var_t vars[] = {
        { "KEY", "s3cret", 1, AC_ORIGIN_SERVER },
        { "URL", "db://u:%KEY%@h", 0, AC_ORIGIN_APP },
    };
    ac_launch_t *launch = launch_default(AC_REACH_PORT);
    ac_report_t *report;
    asked_t asked;

    *(ac_env_var_t *)apr_array_push(k.set->environment.v) = vars[0];
    *(ac_env_var_t *)apr_array_push(k.set->environment.v) = vars[1];
    APR_ARRAY_PUSH(launch->argv, const char *) = "--db=%URL%";
    configure_app();
    begin();
    child_hello();
    wake();
    expect(&asked, AC_MSG_LOOK);
    answer_look(&asked, launch);
    expect(&asked, AC_MSG_SPAWN);
    ck_assert_str_eq(asked.argv[1], "--db=db://u:s3cret@h");
    answer_executed(&asked, AC_FAULT_EXEC);
    wait_failure(AC_APP_IDLE);
    ck_assert_int_eq(ac_report_read(k.dir, k.spec.id, &report, p), APR_SUCCESS);
    ck_assert_str_eq(report->command, "/bin/app '--db=db://u:***@h'");
}
END_TEST

START_TEST(test_silent_relay_does_not_hold_a_failure_up)
{
    ac_report_t *report;
    asked_t spawn;
    int fd;

    configure_app();
    begin();
    child_hello();
    fd = start_app(&spawn, launch_default(AC_REACH_FD));
    if (_i) {
        close(k.relay);
        k.relay = open("/dev/null", 0);
    }
    answer_number(AC_MSG_EXITED, spawn.tag, 3 << 8);
    wait_failure(AC_APP_IDLE);
    ck_assert_int_eq(ac_report_read(k.dir, k.spec.id, &report, p), APR_SUCCESS);
    ck_assert_int_eq(report->result.fault, AC_FAULT_EXITED);
    close(fd);
}
END_TEST

START_TEST(test_exec_failure_reaches_the_report)
{
    ac_report_t *report;
    asked_t asked;

    configure_app();
    begin();
    child_hello();
    wake();
    expect(&asked, AC_MSG_LOOK);
    answer_look(&asked, launch_default(AC_REACH_PORT));
    expect(&asked, AC_MSG_SPAWN);
    answer_executed(&asked, AC_FAULT_EXEC);
    wait_failure(AC_APP_IDLE);
    expect(&asked, AC_MSG_FORGET);
    ck_assert_int_eq(ac_report_read(k.dir, k.spec.id, &report, p), APR_SUCCESS);
    ck_assert_int_eq(report->result.status, APR_ENOENT);
    ck_assert_ptr_nonnull(strstr(report->hint, "AppCoreProcessPath"));
}
END_TEST

/* A look that ends without a word, with nonsense, or with a fault. */
START_TEST(test_look_that_fails)
{
    static const ac_fault_e faults[] = { AC_FAULT_INTERNAL, AC_FAULT_INTERNAL,
                                         AC_FAULT_CONFIG };
    static const ac_app_state_e states[] = { AC_APP_IDLE, AC_APP_IDLE, AC_APP_REFUSED };
    ac_launch_t *launch = launch_default(AC_REACH_FD);
    ac_report_t *report;
    asked_t asked;

    configure_app();
    begin();
    child_hello();
    wake();
    expect(&asked, AC_MSG_LOOK);
    if (_i == 2) {
        ac_result_set(&launch->result, APR_EINVAL, AC_STAGE_LOOK, AC_FAULT_CONFIG,
                      "web.config is wrong");
    }
    if (_i == 1) {
        launch->kind = (ac_kind_e)200;
    }
    answer_look(&asked, _i ? launch : NULL);
    wait_failure(states[_i]);
    ck_assert_int_eq(ac_report_read(k.dir, k.spec.id, &report, p), APR_SUCCESS);
    ck_assert_int_eq(report->result.fault, faults[_i]);
    expect_silence(20);
}
END_TEST

START_TEST(test_web_config_has_a_say)
{
    ac_launch_t *launch = launch_default(AC_REACH_PORT);
    ac_board_app_t app;
    asked_t spawn;

    configure_app();
    begin();
    child_hello();
    launch->overlay->request_time.v = apr_time_from_sec(77);
    launch->overlay->request_time.origin = AC_ORIGIN_WEBCONFIG;
    launch->max_content_length = 1234;
    start_app(&spawn, launch);
    expect_silence(30);
    app = wait_state(AC_APP_STARTING);
    ck_assert(app.facts.request_time == apr_time_from_sec(77));
    ck_assert(app.facts.max_content_length == 1234);
}
END_TEST

START_TEST(test_listen_directive_that_the_app_cannot_follow)
{
    ac_report_t *report;
    asked_t asked;

    k.set->listen.v = AC_LISTEN_SOCKET;
    k.set->listen.origin = AC_ORIGIN_APP;
    configure_app();
    begin();
    child_hello();
    wake();
    expect(&asked, AC_MSG_LOOK);
    answer_look(&asked, launch_default(AC_REACH_PORT));
    wait_failure(AC_APP_IDLE);
    ck_assert_int_eq(ac_report_read(k.dir, k.spec.id, &report, p), APR_SUCCESS);
    ck_assert_ptr_nonnull(strstr(report->result.detail, "AppCoreListen socket"));
}
END_TEST

START_TEST(test_cold_start_costs_little)
{
    apr_time_t begun, accepted;
    asked_t spawn;
    int fd;

    configure_app();
    begin();
    child_hello();
    wait_state(AC_APP_IDLE);
    begun = ac_clock_now();
    fd = start_app(&spawn, launch_default(AC_REACH_FD));
    accept_one(fd);
    accepted = ac_clock_now();
    wait_state(AC_APP_RUNNING);
    /* Generous for a busy machine; a forgotten slow timer is far above it. */
    if (!is_slow()) {
        ck_assert_int_lt(accepted - begun, apr_time_from_msec(200));
        ck_assert_int_lt(ac_clock_now() - accepted, apr_time_from_msec(100));
    }
    close(fd);
}
END_TEST

TCase *loop_case(void)
{
    TCase *tc = case_create("loop");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, world_of_processes, end_of_processes);
    tcase_add_test(tc, test_fd_is_ready_when_it_accepts);
    tcase_add_test(tc, test_port_is_ready_when_its_owner_listens);
    tcase_add_loop_test(tc, test_a_server_of_aspnetcore_is_asked_what_it_speaks, 0, 4);
    tcase_add_test(tc, test_a_directive_says_what_a_server_speaks);
    tcase_add_test(tc, test_port_of_a_stranger_fails_the_start);
    tcase_add_loop_test(tc, test_fd_and_port_race, 0, 2);
    tcase_add_test(tc, test_path_is_ready_when_moved_and_connected);
    tcase_add_test(tc, test_ready_notification);
    tcase_add_test(tc, test_foreign_notification_is_ignored);
    tcase_add_test(tc, test_report_is_written_before_the_failure_shows);
    tcase_add_test(tc, test_secrets_are_not_shown);
    tcase_add_loop_test(tc, test_silent_relay_does_not_hold_a_failure_up, 0, 2);
    tcase_add_test(tc, test_exec_failure_reaches_the_report);
    tcase_add_loop_test(tc, test_look_that_fails, 0, 3);
    tcase_add_test(tc, test_web_config_has_a_say);
    tcase_add_test(tc, test_listen_directive_that_the_app_cannot_follow);
    tcase_add_test(tc, test_cold_start_costs_little);
    return tc;
}
