/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <apr_strings.h>

#include "base/clock.h"
#include "base/pidfd.h"
#include "keeper/ledger.h"
#include "keeper/process.h"
#include "keeper/state.h"
#include "shared/board.h"

/* How things end: processes, manager, relay, httpd, the keeper itself. */

START_TEST(what_an_app_leaves_behind_ends_with_it)
{
    pid_t polite, stubborn, daemon;

    run_shell(1, "sleep 60 & echo $!; "
              "(trap '' TERM; while :; do sleep 60; done) & echo $!; "
              "setsid sleep 60 & echo $!; wait");
    polite = atoi(read_line(app_out));
    stubborn = atoi(read_line(app_out));
    daemon = atoi(read_line(app_out));
    ask_signal(1, SIGTERM, 0);
    ck_assert_int_eq(exited(1), SIGTERM);
    UNTIL(process_gone(polite));
    UNTIL(process_gone(daemon));
    UNTIL(process_gone(stubborn));
}
END_TEST

START_TEST(a_daemon_lives_while_its_app_does)
{
    pid_t daemon;

    run_shell(1, "setsid sh -c 'sleep 60 & echo $!'; read x; exec sleep 60");
    daemon = atoi(read_line(app_out));
    run_shell(2, "exit 0");
    exited(2);
    ck_assert(!process_gone(daemon));
    ask_signal(1, SIGKILL, 0);
    exited(1);
    UNTIL(process_gone(daemon));
}
END_TEST

START_TEST(a_daemon_ends_with_its_app_whoever_else_has_its_user)
{
    pid_t daemon, other;

    run_shell(1, "setsid sh -c 'sleep 60 & echo $!'; read x; exec sleep 60");
    daemon = atoi(read_line(app_out));
    run_shell(2, "setsid sh -c 'sleep 60 & echo $!'; read x; exec sleep 60");
    other = atoi(read_line(app_out));
    ask_signal(1, SIGKILL, 0);
    exited(1);
    UNTIL(process_gone(daemon));
    ck_assert(!process_gone(other));
}
END_TEST

START_TEST(a_new_manager_adopts_what_runs)
{
    ac_process_t process;
    ac_wire_writer_t w;
    ac_message_t *msg;
    int fd = listen_fd(1, 3, 0), is_relay, seen = 0;
    pid_t pid, before = h.manager_pid, dead;

    ask_shell(1, AC_REACH_FD, "exec sleep 60");
    pid = spawned(1);
    executed(1);
    ac_message_begin(&w, AC_MSG_NOTE, p);
    ac_wire_put_u64(&w, 1);
    ac_wire_put_bytes(&w, "my note", 7);
    say(h.manager, &w);
    ask_shell(2, 0, "exit 5");
    dead = spawned(2);
    exited(2);

    kill(before, SIGKILL);
    close(h.manager);
    h.manager = harness_next_link(&h.manager_pid, &is_relay);
    ck_assert(!is_relay);
    ck_assert_int_ne(h.manager_pid, before);
    msg = hear(h.manager, AC_MSG_HELLO);
    ck_assert_uint_eq(ac_wire_get_u32(&msg->body), ac_message_version);
    ck_assert_int_eq(msg->n_fds, 5);
    msg = hear(h.manager, AC_MSG_CONFIG);
    ck_assert_uint_eq(ac_wire_get_u32(&msg->body), h.serial);
    ck_assert_int_eq(msg->n_fds, 1);
    for (; seen < 2; ++seen) {
        msg = hear(h.manager, AC_MSG_ADOPT);
        ac_process_get(&msg->body, &process, p);
        ck_assert_int_eq(ac_wire_reader_end(&msg->body), APR_SUCCESS);
        ck_assert_uint_eq(process.app_id, APP);
        if (process.tag == 2) {
            ck_assert_int_eq(process.state, AC_PROCESS_EXITED);
            ck_assert_int_eq(process.wait_status, 5 << 8);
            ck_assert_uint_eq(process.pid, (uint32_t)dead);
            continue;
        }
        ck_assert_uint_eq(process.tag, 1);
        ck_assert_int_eq(process.state, AC_PROCESS_RUNNING);
        ck_assert_uint_eq(process.pid, (uint32_t)pid);
        ck_assert_uint_eq(process.generation, 3);
        ck_assert_uint_eq(process.proc, 7);
        ck_assert_uint_eq(process.note_len, 7);
        ck_assert_mem_eq(process.note, "my note", 7);
        ck_assert_int_eq(msg->n_fds, 1);
        if (is_root()) {
            ck_assert_uint_eq(process.uid, OTHER_USER);
        }
    }
    hear(h.manager, AC_MSG_BEGIN);
    ck_assert(!process_gone(pid));
    /* The relay learns of a new link to the new manager. */
    ck_assert_int_eq(hear(h.relay, AC_MSG_LINK)->n_fds, 1);
    ask_signal(1, SIGTERM, 0);
    ck_assert_int_eq(exited(1), SIGTERM);
    close(fd);
}
END_TEST

START_TEST(a_new_relay_gets_every_stream)
{
    int is_relay;

    run_shell(1, "trap 'echo more' USR1; echo first; while :; do sleep 60 & wait; done");
    ck_assert_str_eq(read_line(app_out), "first");
    close(app_out);
    close(app_err);
    app_out = app_err = -1;
    kill(h.relay_pid, SIGKILL);
    close(h.relay);
    h.relay = harness_next_link(&h.relay_pid, &is_relay);
    ck_assert(is_relay);
    take_stream(1);
    /* The app noticed nothing: no SIGPIPE, and its pipe is the same. */
    ask_signal(1, SIGUSR1, 0);
    ck_assert_str_eq(read_line(app_out), "more");
    ck_assert_int_eq(hear(h.manager, AC_MSG_LINK)->n_fds, 1);
}
END_TEST

START_TEST(error_logs_reach_the_relay_in_order)
{
    int fds[AC_MESSAGE_FDS], i;
    ac_wire_writer_t w;
    ac_message_t *msg;

    for (i = 0; i < AC_MESSAGE_FDS; ++i) {
        fds[i] = h.listener;
    }
    for (i = 0; i < 2; ++i) {
        ac_message_begin(&w, AC_MSG_LOGS, p);
        ac_wire_put_u32(&w, (uint32_t)i * AC_MESSAGE_FDS);
        ac_wire_put_u32(&w, i ? 2 : AC_MESSAGE_FDS);
        ck_assert_int_eq(ac_message_send(h.control, &w, fds, i ? 2 : AC_MESSAGE_FDS),
                         APR_SUCCESS);
        msg = hear(h.relay, AC_MSG_LOGS);
        ck_assert_uint_eq(ac_wire_get_u32(&msg->body), (uint32_t)i * AC_MESSAGE_FDS);
        ck_assert_int_eq(msg->n_fds, i ? 2 : AC_MESSAGE_FDS);
    }
    /* A later relay gets them as well. */
    kill(h.relay_pid, SIGKILL);
    close(h.relay);
    h.relay = harness_next_link(&h.relay_pid, &i);
    ck_assert_int_eq(hear(h.relay, AC_MSG_LOGS)->n_fds, AC_MESSAGE_FDS);
    ck_assert_int_eq(hear(h.relay, AC_MSG_LOGS)->n_fds, 2);
}
END_TEST

START_TEST(the_end_of_the_manager_is_logged)
{
    ac_message_t *msg;
    const char *text;
    int is_relay;

    kill(h.manager_pid, SIGKILL);
    close(h.manager);
    msg = hear(h.relay, AC_MSG_LINE);
    ac_wire_get_u32(&msg->body);
    ac_wire_get_u32(&msg->body);
    ac_wire_get_str(&msg->body, p);
    ac_wire_get_u32(&msg->body);
    text = ac_wire_get_str(&msg->body, p);
    ck_assert_ptr_nonnull(strstr(text, "appcore-manager ended (signal 9)"));
    h.manager = harness_next_link(&h.manager_pid, &is_relay);
}
END_TEST

/* It is started later and later; from a pause of seconds on nobody waits for it. */
START_TEST(a_manager_that_always_ends_is_not_expected)
{
    ac_board_t *board;
    int i, is_relay;

    ck_assert_int_eq(ac_board_map(h.board, 0, &board, p), APR_SUCCESS);
    for (i = 1; i < 7; ++i) {
        kill(h.manager_pid, SIGKILL);
        close(h.manager);
        h.manager = harness_next_link(&h.manager_pid, &is_relay);
        ck_assert(!ac_board_abandoned(board));
    }
    kill(h.manager_pid, SIGKILL);
    UNTIL(ac_board_abandoned(board));
}
END_TEST

START_TEST(stop_waits_for_the_app_and_no_longer)
{
    apr_time_t begin = ac_clock_now();
    struct stat st;

    run_shell(1, "trap 'echo bye >bye; exit 0' TERM; : >ready; "
              "while :; do sleep 60 & wait; done");
    if (is_root()) {
        ck_assert_int_eq(chown(h.folder, OTHER_USER, OTHER_USER), 0);
    }
    run_shell(2, "trap '' TERM; echo deaf; while :; do sleep 60; done");
    ck_assert_str_eq(read_line(app_out), "deaf");
    harness_stop();
    /* The limit is two seconds; the deaf one gets SIGKILL then. */
    ck_assert_int_ge(ac_clock_now() - begin, apr_time_from_sec(2));
    ck_assert_int_lt(ac_clock_now() - begin, apr_time_from_sec(8));
    ck_assert_int_eq(stat(h.dir, &st), -1);
    harness_no_keeper();
}
END_TEST

START_TEST(httpd_hears_how_long_the_stop_may_take)
{
    ac_wire_writer_t w;

    run_shell(1, "exec sleep 60");
    h.shutdown_limit = 9;
    run_shell(2, "trap 'exit 0' TERM; echo ready; while :; do sleep 60 & wait; done");
    ck_assert_str_eq(read_line(app_out), "ready");
    ac_message_begin(&w, AC_MSG_STOP, p);
    say(h.control, &w);
    ck_assert_uint_eq(ac_wire_get_u32(&hear(h.control, AC_MSG_STOPPING)->body), 9);
}
END_TEST

START_TEST(no_process_has_more_time_to_end_than_anybody_may)
{
    h.shutdown_limit = AC_SHUTDOWN_SECONDS_MAX + 1;
    ask_shell(1, 0, "exit 0");
    h.shutdown_limit = AC_SHUTDOWN_SECONDS_MAX;
    ask_shell(2, 0, "exit 0");
    /* The first request was no request. */
    ck_assert_uint_eq(ac_wire_get_u64(&hear(h.manager, AC_MSG_SPAWNED)->body), 2);
    exited(2);
}
END_TEST

START_TEST(a_keeper_that_stops_leaves_the_folder_to_the_next)
{
    static const char *const files[] = { "/notify", "/keeper.pids", "/s/of-the-next" };
    int lock = open(h.runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status, fd;
    ac_wire_writer_t w;
    unsigned i;

    ck_assert_int_eq(flock(lock, LOCK_EX | LOCK_NB), -1);
    close(listen_fd(2, 1, 0));
    run_shell(1, "trap '' TERM; echo deaf; while :; do sleep 60; done");
    ck_assert_str_eq(read_line(app_out), "deaf");
    ac_message_begin(&w, AC_MSG_STOP, p);
    say(h.control, &w);
    UNTIL(flock(lock, LOCK_EX | LOCK_NB) == 0);
    fd = open(apr_pstrcat(p, h.runtime, files[2], NULL), O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    close(h.relay);
    h.relay = -1;
    wait_pidfd(h.keeper_pidfd);
    ck_assert_int_eq(waitpid(h.keeper, &status, 0), h.keeper);
    h.keeper = 0;
    for (i = 0; i < 3; ++i) {
        ck_assert_msg(access(apr_pstrcat(p, h.runtime, files[i], NULL), F_OK) == 0,
                      "%s is gone", files[i]);
    }
    close(lock);
}
END_TEST

/* What is seen of each exit must not grow with the number of processes. */
START_TEST(many_apps_end_together)
{
    apr_time_t begin;
    uint64_t tag;

    for (tag = 1; tag <= 200; ++tag) {
        const char *argv[] = { "sleep", "60", NULL };

        ask_spawn(tag, 0, NULL, argv);
        ck_assert_int_eq(executed(tag).fault, AC_FAULT_NONE);
    }
    begin = ac_clock_now();
    harness_stop();
    ck_assert_int_lt(ac_clock_now() - begin, apr_time_from_sec(2));
    harness_no_keeper();
}
END_TEST

START_TEST(apps_end_when_the_control_link_does)
{
    pid_t pid = run_shell(1, "exec sleep 60");
    int status;

    close(h.control);
    h.control = -1;
    wait_pidfd(h.keeper_pidfd);
    ck_assert_int_eq(waitpid(h.keeper, &status, 0), h.keeper);
    ck_assert_int_eq(status, 0);
    ck_assert(process_gone(pid));
    h.keeper = 0;
}
END_TEST

/* httpd's parent is a process between the test and the keeper here. */
START_TEST(apps_end_when_httpd_is_killed)
{
    char dir[64] = "";
    int info[2], pidfd, status;
    pid_t parent, keeper = 0, app;

    harness_stop();
    harness_no_keeper();
    ck_assert_int_eq(pipe(info), 0);
    parent = fork();
    if (parent == 0) {
        apr_pool_destroy(p);
        harness_start();
        app = run_shell(1, "exec sleep 60");
        if (write(info[1], &h.keeper, sizeof(pid_t)) < 0
            || write(info[1], &app, sizeof(pid_t)) < 0
            || write(info[1], h.dir, strlen(h.dir) + 1) < 0) {
            _exit(1);
        }
        for (;;) {
            pause();
        }
    }
    ck_assert_int_ge(parent, 0);
    ck_assert_int_eq(read(info[0], &keeper, sizeof(keeper)), sizeof(keeper));
    ck_assert_int_eq(read(info[0], &app, sizeof(app)), sizeof(app));
    ck_assert_int_gt(read(info[0], dir, sizeof(dir) - 1), 0);
    pidfd = ac_pidfd_open(keeper);
    kill(parent, SIGKILL);
    ck_assert_int_eq(waitpid(parent, &status, 0), parent);
    wait_pidfd(pidfd);
    UNTIL(process_gone(app));
    close(pidfd);
    close(info[0]);
    close(info[1]);
    harness_remove(dir);
    UNTIL(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}
END_TEST

static void kill_keeper(void)
{
    kill(h.keeper, SIGKILL);
    ck_assert_int_eq(waitpid(h.keeper, NULL, 0), h.keeper);
    UNTIL(process_gone(h.manager_pid));
    close(h.keeper_pidfd);
    close(h.control);
    close(h.manager);
    close(h.relay);
    h.control = h.manager = h.relay = -1;
    UNTIL(process_gone(h.relay_pid));
}

static void next_keeper(void)
{
    harness_fork_keeper();
    harness_configure();
    harness_links();
}

/* Skips what comes before. */
static ac_process_t adopted(uint64_t tag)
{
    ac_process_t process;
    ac_message_t *msg;

    do {
        msg = hear(h.manager, AC_MSG_ADOPT);
        ac_process_get(&msg->body, &process, p);
    } while (process.tag != tag);
    return process;
}

static void change_ledger(off_t at, uint64_t value)
{
    int fd = open(in_dir("run/keeper.pids"), O_RDWR);

    ck_assert_int_eq(pwrite(fd, &value, sizeof(value), at), sizeof(value));
    close(fd);
}

START_TEST(a_new_keeper_takes_over_what_a_killed_one_left)
{
    pid_t app, grandchild;
    ac_process_t process;
    ac_wire_writer_t w;

    ask_listen(1, 3, AC_REACH_FD, 0);
    hear_tag(AC_MSG_LISTENING, 1);
    ask_shell(1, AC_REACH_FD, "sleep 60 & echo $!; wait");
    app = spawned(1);
    ck_assert_int_eq(executed(1).fault, AC_FAULT_NONE);
    take_stream(1);
    grandchild = atoi(read_line(app_out));
    ac_message_begin(&w, AC_MSG_NOTE, p);
    ac_wire_put_u64(&w, 1);
    ac_wire_put_bytes(&w, "my note", 7);
    say(h.manager, &w);
    /* Answered after the note was written. */
    ask_listen(2, 9, AC_REACH_FD, 0);
    hear_tag(AC_MSG_LISTENING, 2);
    kill_keeper();
    ck_assert(!process_gone(app));
    next_keeper();
    process = adopted(1);
    ck_assert_int_eq(process.origin, AC_PROCESS_LEFT);
    ck_assert_int_eq(process.state, AC_PROCESS_RUNNING);
    ck_assert_uint_eq(process.pid, (uint32_t)app);
    ck_assert_uint_eq(process.generation, 3);
    ck_assert_uint_eq(process.proc, 7);
    ck_assert_uint_eq(process.note_len, 7);
    ck_assert_mem_eq(process.note, "my note", 7);
    if (is_root()) {
        ck_assert_uint_eq(process.uid, OTHER_USER);
    }
    /* Its socket is where it was, what nobody listens to is not. */
    ck_assert_int_eq(access(in_dir("run/s/1122334455667788.0.3"), F_OK), 0);
    ck_assert_int_eq(access(in_dir("run/s/1122334455667788.0.9"), F_OK), -1);
    ck_assert(!process_gone(app) && !process_gone(grandchild));
    ask_signal(1, SIGTERM, 0);
    ck_assert_int_eq(exited(1), AC_WAIT_UNKNOWN);
    UNTIL(process_gone(app) && process_gone(grandchild));
    say_tag(AC_MSG_FORGET, 1);
    UNTIL(access(in_dir("run/s/1122334455667788.0.3"), F_OK) < 0);
}
END_TEST

START_TEST(a_deaf_one_that_was_left_is_killed_at_the_end)
{
    pid_t app = run_shell(1, "setsid sh -c 'sleep 60 & echo $!'; trap '' TERM; "
                          "echo deaf; while :; do sleep 60; done");
    pid_t daemon = atoi(read_line(app_out));

    ck_assert_str_eq(read_line(app_out), "deaf");
    kill_keeper();
    next_keeper();
    adopted(1);
    ck_assert(!process_gone(app) && !process_gone(daemon));
    harness_stop();
    ck_assert(process_gone(app) && process_gone(daemon));
    harness_no_keeper();
}
END_TEST

START_TEST(what_another_version_left_is_taken_over)
{
    pid_t app = run_shell(1, "exec sleep 60");

    /* The inode of the board: that of another module is another one. */
    kill_keeper();
    change_ledger(24, 1);
    next_keeper();
    ck_assert_int_eq(adopted(1).origin, AC_PROCESS_FOREIGN);
    /* To every later keeper as well. */
    kill_keeper();
    next_keeper();
    ck_assert_int_eq(adopted(1).origin, AC_PROCESS_FOREIGN);
    ask_signal(1, SIGKILL, 1);
    ck_assert_int_eq(exited(1), AC_WAIT_UNKNOWN);
    ck_assert(process_gone(app));
}
END_TEST

START_TEST(what_another_httpd_left_is_ended)
{
    pid_t app = run_shell(1, "sleep 60 & echo $!; wait"), grandchild;

    grandchild = atoi(read_line(app_out));
    kill_keeper();
    /* The start time of httpd's parent. */
    change_ledger(16, 1);
    next_keeper();
    ck_assert(process_gone(app) && process_gone(grandchild));
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    run_shell(5, "echo new");
    ck_assert_str_eq(read_line(app_out), "new");
}
END_TEST

START_TEST(a_number_that_means_somebody_else_is_left_alone)
{
    pid_t app = run_shell(1, "exec sleep 60"), stranger;

    kill_keeper();
    kill(app, SIGKILL);
    UNTIL(process_gone(app));
    stranger = fork();
    if (stranger == 0) {
        setsid();
        pause();
        _exit(0);
    }
    UNTIL(getsid(stranger) == stranger);
    change_ledger(1024, (uint64_t)OTHER_USER << 32 | (uint32_t)stranger);
    next_keeper();
    hear(h.manager, AC_MSG_BEGIN);
    ck_assert(!process_gone(stranger));
    kill(stranger, SIGKILL);
}
END_TEST

static void expect_refusal(void)
{
    int status;

    h.board = open("/dev/null", O_RDWR);
    h.rows = dup(h.board);
    h.wake = dup(h.board);
    harness_fork_keeper();
    harness_send_config();
    wait_pidfd(h.keeper_pidfd);
    ck_assert_int_eq(waitpid(h.keeper, &status, 0), h.keeper);
    ck_assert_int_eq(status, 1 << 8);
    h.keeper = 0;
}

START_TEST(a_runtime_dir_of_somebody_else_is_refused)
{
    if (is_root()) {
        ck_assert_int_eq(mkdir(h.runtime, 0755), 0);
        ck_assert_int_eq(chown(h.runtime, OTHER_USER, OTHER_USER), 0);
        expect_refusal();
    }
}
END_TEST

START_TEST(a_runtime_dir_for_everybody_is_refused_as_it_is)
{
    struct stat st;

    ck_assert_int_eq(mkdir(h.runtime, 0700), 0);
    ck_assert_int_eq(chmod(h.runtime, 01777), 0);
    expect_refusal();
    ck_assert_int_eq(stat(h.runtime, &st), 0);
    ck_assert_uint_eq(st.st_mode, S_IFDIR | 01777);
    ck_assert_int_eq(rmdir(h.runtime), 0);
}
END_TEST

START_TEST(a_runtime_dir_in_use_is_refused)
{
    int lock;

    ck_assert_int_eq(mkdir(h.runtime, 0711), 0);
    lock = open(h.runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(flock(lock, LOCK_EX), 0);
    expect_refusal();
    ck_assert_int_eq(rmdir(h.runtime), 0);
    close(lock);
}
END_TEST

/* The keeper's own line, to standard error while there is no relay. */
static const char *put_in_ledger(ac_keeper_t *k, ac_kproc_t *proc, int ledger_fd)
{
    static char line[1000];
    int fds[2], stderr_fd = dup(STDERR_FILENO);
    ssize_t n;

    ck_assert_int_eq(pipe(fds), 0);
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
    k->ledger_fd = ledger_fd;
    ac_ledger_put(k, proc);
    dup2(stderr_fd, STDERR_FILENO);
    close(stderr_fd);
    n = read(fds[0], line, sizeof(line) - 1);
    close(fds[0]);
    line[n > 0 ? n : 0] = '\0';
    return line;
}

START_TEST(a_ledger_that_is_full_is_told_of_once)
{
    int full = open("/dev/full", O_RDWR | O_CLOEXEC);
    int good = open(in_dir("ledger"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    unsigned char used[AC_BOARD_PROCS] = { 0 };
    ac_keeper_t k = { .p = p, .ptemp = p, .ledger_used = used, .relay.out.link = -1 };
    ac_kproc_t proc = { .ledger = -1, .start = 1, .is.pid = 4711 };

    ck_assert_int_ge(full, 0);
    ck_assert_ptr_nonnull(strstr(put_in_ledger(&k, &proc, full), "keeper.pids"));
    ck_assert_int_eq(proc.ledger, -1);
    ck_assert_str_eq(put_in_ledger(&k, &proc, full), "");
    ck_assert_str_eq(put_in_ledger(&k, &proc, good), "");
    ck_assert_int_eq(proc.ledger, 0);
    ck_assert_str_ne(put_in_ledger(&k, &proc, full), "");
    close(full);
    close(good);
}
END_TEST

TCase *end_case(void)
{
    TCase *tc = tcase_create("end");

    tcase_add_checked_fixture(tc, harness_start, harness_stop);
    tcase_add_test(tc, what_an_app_leaves_behind_ends_with_it);
    tcase_add_test(tc, a_daemon_lives_while_its_app_does);
    tcase_add_test(tc, a_daemon_ends_with_its_app_whoever_else_has_its_user);
    tcase_add_test(tc, a_new_manager_adopts_what_runs);
    tcase_add_test(tc, a_new_relay_gets_every_stream);
    tcase_add_test(tc, error_logs_reach_the_relay_in_order);
    tcase_add_test(tc, the_end_of_the_manager_is_logged);
    tcase_add_test(tc, a_manager_that_always_ends_is_not_expected);
    tcase_add_test(tc, stop_waits_for_the_app_and_no_longer);
    tcase_add_test(tc, httpd_hears_how_long_the_stop_may_take);
    tcase_add_test(tc, no_process_has_more_time_to_end_than_anybody_may);
    tcase_add_test(tc, a_keeper_that_stops_leaves_the_folder_to_the_next);
    tcase_add_test(tc, many_apps_end_together);
    tcase_add_test(tc, apps_end_when_the_control_link_does);
    tcase_add_test(tc, apps_end_when_httpd_is_killed);
    tcase_add_test(tc, a_new_keeper_takes_over_what_a_killed_one_left);
    tcase_add_test(tc, a_deaf_one_that_was_left_is_killed_at_the_end);
    tcase_add_test(tc, what_another_version_left_is_taken_over);
    tcase_add_test(tc, what_another_httpd_left_is_ended);
    tcase_add_test(tc, a_number_that_means_somebody_else_is_left_alone);
    return tc;
}

TCase *refused_case(void)
{
    TCase *tc = tcase_create("refused");

    tcase_add_checked_fixture(tc, harness_no_keeper, harness_stop);
    tcase_add_test(tc, a_runtime_dir_of_somebody_else_is_refused);
    tcase_add_test(tc, a_runtime_dir_for_everybody_is_refused_as_it_is);
    tcase_add_test(tc, a_runtime_dir_in_use_is_refused);
    tcase_add_test(tc, a_ledger_that_is_full_is_told_of_once);
    return tc;
}
