/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The relay as a process, seen from the keeper's and the manager's side. */

#include "test_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <apr_strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "base/log.h"
#include "relay/relay.h"
#include "shared/message.h"

#define PATIENCE_MS 10000

static apr_pool_t *p;
static int keeper;              /* our ends of the two links */
static int manager;
static int log_fd;
static pid_t relay;
static unsigned char buffer[AC_MESSAGE_MAX];

static void send_to(int link, ac_wire_writer_t *w, const int *fds, int n)
{
    ck_assert_int_eq(ac_message_send(link, w, fds, n), APR_SUCCESS);
}

static void send_logs(int fd)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_LOGS, p);
    ac_wire_put_u32(&w, 0);
    ac_wire_put_u32(&w, 1);
    send_to(keeper, &w, &fd, 1);
}

static void setup(void)
{
    int to_keeper[2];
    int to_manager[2];

    apr_pool_create(&p, NULL);
    ck_assert_int_eq(ac_message_pair(to_keeper), APR_SUCCESS);
    ck_assert_int_eq(ac_message_pair(to_manager), APR_SUCCESS);
    relay = fork();
    if (relay == 0) {
        ac_relay_main(to_keeper[1], to_manager[1]);
    }
    ck_assert_int_ge(relay, 0);
    close(to_keeper[1]);
    close(to_manager[1]);
    keeper = to_keeper[0];
    manager = to_manager[0];
    log_fd = memfd_create("log", 0);
    send_logs(log_fd);
}

/* Ends the relay; everything it had to write is written then. */
static void finish(void)
{
    int status = -1;

    if (keeper >= 0) {
        close(keeper);
        keeper = -1;
        ck_assert_int_eq(waitpid(relay, &status, 0), relay);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

static void teardown(void)
{
    finish();
    close(manager);
    close(log_fd);
    apr_pool_destroy(p);
}

static const char *content(int fd)
{
    static char buf[4 * 1024 * 1024];
    ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

    ck_assert_int_ge(n, 0);
    buf[n] = '\0';
    return buf;
}

static ac_message_t receive(int link, ac_message_e type)
{
    struct pollfd pfd = { link, POLLIN, 0 };
    ac_message_t msg;

    ck_assert_int_eq(poll(&pfd, 1, PATIENCE_MS), 1);
    ck_assert_int_eq(ac_message_receive(link, buffer, &msg), APR_SUCCESS);
    ck_assert_int_eq(msg.type, type);
    return msg;
}

/* The write ends of a new stream; [0] stdout, [1] stderr. */
static void start_stream(uint64_t tag, const ac_log_target_t *target, int ends[2])
{
    ac_wire_writer_t w;
    int out[2];
    int err[2];
    int fds[2];

    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(err, O_CLOEXEC), 0);
    ac_message_begin(&w, AC_MSG_STREAM, p);
    ac_wire_put_u64(&w, tag);
    ac_wire_put_u32(&w, 4242);
    ac_log_target_put(&w, target);
    fds[0] = out[0];
    fds[1] = err[0];
    send_to(keeper, &w, fds, 2);
    close(out[0]);
    close(err[0]);
    ends[0] = out[1];
    ends[1] = err[1];
}

static void print(int fd, const char *text)
{
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static const char *captured(uint64_t tag)
{
    ac_wire_writer_t w;
    ac_message_t msg;
    const void *text;
    apr_size_t len;

    ac_message_begin(&w, AC_MSG_CAPTURE, p);
    ac_wire_put_u64(&w, tag);
    send_to(manager, &w, NULL, 0);
    msg = receive(manager, AC_MSG_CAPTURED);
    ck_assert_uint_eq(ac_wire_get_u64(&msg.body), tag);
    text = ac_wire_get_bytes(&msg.body, &len);
    ck_assert_int_eq(ac_wire_reader_end(&msg.body), APR_SUCCESS);
    return len ? apr_pstrmemdup(p, text, len) : "";
}

static void answer_open_log(uint64_t tag, uint32_t error, int fd)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_LOG_FILE, p);
    ac_wire_put_u64(&w, tag);
    ac_wire_put_u32(&w, error);
    send_to(keeper, &w, &fd, fd >= 0);
}

static void expect_open_log(uint64_t tag)
{
    ac_message_t msg = receive(keeper, AC_MSG_OPEN_LOG);

    ck_assert_uint_eq(ac_wire_get_u64(&msg.body), tag);
    ck_assert_uint_eq(strlen(ac_wire_get_str(&msg.body, p)), 14);
    ck_assert_int_eq(ac_wire_reader_end(&msg.body), APR_SUCCESS);
}

static const ac_log_target_t to_error_log = {
    .mode = AC_LOG_ERRORLOG, .app = "shop", .log_level = AC_LEVEL_WARNING,
    .plain_level = AC_LEVEL_INFO
};
static const ac_log_target_t to_file = {
    .mode = AC_LOG_FILE, .app = "shop", .file = "/logs/stdout", .max_size = 20,
    .log_level = AC_LEVEL_WARNING, .plain_level = AC_LEVEL_INFO
};

START_TEST(output_reaches_the_error_log_line_by_line)
{
    int ends[2];
    const char *text;

    start_stream(7, &to_error_log, ends);
    print(ends[0], "hello\nwor");
    print(ends[0], "ld\n");
    ck_assert_str_eq(captured(7), "hello\nworld\n");
    print(ends[1], "\033[31mtrouble\n");
    print(ends[0], "no newline");
    close(ends[0]);
    close(ends[1]);
    finish();
    text = content(log_fd);
    ck_assert_ptr_nonnull(strstr(text, "] [appcore:info] [pid 4242] app shop: hello\n"));
    ck_assert_ptr_nonnull(strstr(text, "app shop: world\n"));
    ck_assert_ptr_nonnull(strstr(text, "app shop: \\x1b[31mtrouble\n"));
    ck_assert_ptr_nonnull(strstr(text, "app shop: no newline\n"));
}
END_TEST

START_TEST(levels_decide_what_is_written)
{
    ac_log_target_t quiet = to_error_log;
    ac_wire_writer_t w;
    int ends[2];
    const char *text;

    start_stream(7, &to_error_log, ends);
    print(ends[0], "<6>chatter\n  more of it\n<4>careful\n  really\nplain\n");
    print(ends[1], "  begins with a blank\n<3>mistake\n");
    ck_assert_str_ne(captured(7), "");
    quiet.plain_level = AC_LEVEL_WARNING;
    ac_message_begin(&w, AC_MSG_STREAM, p);
    ac_wire_put_u64(&w, 7);
    ac_wire_put_u32(&w, 4242);
    ac_log_target_put(&w, &quiet);
    send_to(keeper, &w, NULL, 0);
    ck_assert_str_ne(captured(7), "");
    print(ends[0], "hushed\n");
    close(ends[0]);
    close(ends[1]);
    finish();
    text = content(log_fd);
    ck_assert_ptr_null(strstr(text, "chatter"));
    ck_assert_ptr_null(strstr(text, "more of it"));
    ck_assert_ptr_nonnull(strstr(text, "[appcore:warn] [pid 4242] app shop: careful\n"));
    ck_assert_ptr_nonnull(strstr(text, "[appcore:warn] [pid 4242] app shop:   really\n"));
    ck_assert_ptr_nonnull(strstr(text, "[appcore:info] [pid 4242] app shop: plain\n"));
    ck_assert_ptr_nonnull(strstr(text, "app shop:   begins with a blank\n"));
    ck_assert_ptr_nonnull(strstr(text, "[appcore:error] [pid 4242] app shop: mistake\n"));
    ck_assert_ptr_null(strstr(text, "hushed"));
}
END_TEST

START_TEST(lines_written_at_once_stay_together)
{
    char buf[4096];
    int pair[2];
    int ends[2];
    ssize_t n;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    send_logs(pair[1]);
    start_stream(7, &to_error_log, ends);
    print(ends[0], "an entry\n  of three\n  lines\n");
    ck_assert_str_ne(captured(7), "");
    n = recv(pair[0], buf, sizeof(buf) - 1, 0);
    ck_assert_int_gt(n, 0);
    buf[n] = '\0';
    ck_assert_ptr_nonnull(strstr(buf, "an entry\n"));
    ck_assert_ptr_nonnull(strstr(buf, "  lines\n"));
    close(ends[0]);
    close(ends[1]);
    close(pair[0]);
    close(pair[1]);
    finish();
}
END_TEST

static void await_content(const char *text)
{
    int tries;

    for (tries = 0; tries < 1000 && !strstr(content(log_fd), text); ++tries) {
        poll(NULL, 0, 10);
    }
    ck_assert_ptr_nonnull(strstr(content(log_fd), text));
}

/* A prompt, or the last word of a program that hangs. */
START_TEST(line_without_an_end_is_not_kept_for_long)
{
    int ends[2];

    start_stream(7, &to_error_log, ends);
    print(ends[0], "which tea? ");
    print(ends[1], "<4>none is le");
    await_content("app shop: which tea?  [continues]\n");
    await_content("[appcore:warn] [pid 4242] app shop: none is le [continues]\n");
    print(ends[0], "green\n");
    await_content("app shop: [continued] green\n");
    close(ends[0]);
    close(ends[1]);
    finish();
    ck_assert_ptr_null(strstr(content(log_fd), "[continued] \n"));
}
END_TEST

/* The question overtakes nothing: what is in the pipes counts, also right after
 * the stream was announced and after the process is gone. */
START_TEST(capture_drains_first)
{
    int ends[2];
    int i;

    for (i = 1; i <= 50; ++i) {
        start_stream((uint64_t)i, &to_error_log, ends);
        print(ends[1], "last words\n");
        close(ends[0]);
        close(ends[1]);
        ck_assert_str_eq(captured((uint64_t)i), "last words\n");
    }
    ck_assert_str_eq(captured(50), "last words\n");
    ck_assert_str_eq(captured(999), "");
}
END_TEST

/* Captures of ended streams are bounded in number, the oldest go first. */
START_TEST(old_captures_go)
{
    int ends[2];
    int i;

    for (i = 1; i <= 40; ++i) {
        start_stream((uint64_t)i, &to_error_log, ends);
        print(ends[0], "words\n");
        close(ends[0]);
        close(ends[1]);
        ck_assert_str_eq(captured((uint64_t)i), "words\n");
    }
    ck_assert_str_eq(captured(1), "");
    ck_assert_str_eq(captured(40), "words\n");
}
END_TEST

START_TEST(manager_says_sentences)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_LINE, p);
    ac_wire_put_u32(&w, 0);
    ac_wire_put_u32(&w, 5);
    ac_wire_put_str(&w, "shop");
    ac_wire_put_u32(&w, 99);
    ac_wire_put_str(&w, "started process 456");
    send_to(manager, &w, NULL, 0);
    finish();
    ck_assert_ptr_nonnull(strstr(content(log_fd),
            "[appcore:notice] [pid 99] app shop: started process 456\n"));
}
END_TEST

START_TEST(new_logs_replace_old_ones)
{
    int other = memfd_create("log", 0);
    int ends[2];

    start_stream(7, &to_error_log, ends);
    print(ends[0], "before\n");
    ck_assert_str_eq(captured(7), "before\n");
    send_logs(other);
    ck_assert_str_eq(captured(7), "before\n");
    print(ends[0], "after\n");
    close(ends[0]);
    close(ends[1]);
    finish();
    ck_assert_ptr_nonnull(strstr(content(log_fd), "before\n"));
    ck_assert_ptr_null(strstr(content(log_fd), "after\n"));
    ck_assert_ptr_nonnull(strstr(content(other), "after\n"));
    close(other);
}
END_TEST

START_TEST(file_gets_raw_lines_and_is_rotated)
{
    int first = memfd_create("first", 0);
    int ends[2];

    start_stream(7, &to_file, ends);
    expect_open_log(7);
    print(ends[0], "\033[1mbold\n");
    answer_open_log(7, 0, first);
    ck_assert_str_eq(captured(7), "\033[1mbold\n");
    ck_assert_str_eq(content(first), "\033[1mbold\n");
    print(ends[0], "too long for the rest\n");
    ck_assert_str_eq(captured(7), "\033[1mbold\ntoo long for the rest\n");
    close(ends[0]);
    close(ends[1]);
    finish();
    /* A second file within a second would have the name of the first: it is
     * filled beyond its size instead. */
    ck_assert_str_eq(content(first), "\033[1mbold\ntoo long for the rest\n");
    ck_assert_str_eq(content(log_fd), "");
    close(first);
}
END_TEST

START_TEST(file_that_cannot_be_opened_falls_back)
{
    int ends[2];
    const char *text;

    start_stream(7, &to_file, ends);
    expect_open_log(7);
    print(ends[0], "early \001\n");
    ck_assert_str_eq(captured(7), "early \001\n");
    answer_open_log(7, EACCES, -1);
    print(ends[0], "late\n");
    close(ends[0]);
    close(ends[1]);
    finish();
    text = content(log_fd);
    ck_assert_ptr_nonnull(strstr(text, "app shop: the log file \"/logs/stdout\" cannot "
                                       "be opened (Permission denied); output goes to"));
    ck_assert_ptr_nonnull(strstr(text, "app shop: early \\x01\n"));
    ck_assert_ptr_nonnull(strstr(text, "app shop: late\n"));
}
END_TEST

START_TEST(stuck_logger_never_stops_the_app)
{
    static char block[8000];
    int stuck[2];
    int ends[2];
    int i;

    memset(block, 'x', sizeof(block));
    block[sizeof(block) - 2] = '\n';
    block[sizeof(block) - 1] = '\0';
    ck_assert_int_eq(pipe2(stuck, O_CLOEXEC), 0);
    send_logs(stuck[1]);
    start_stream(7, &to_error_log, ends);
    for (i = 0; i < 200; ++i) {
        print(ends[0], block);
    }
    /* Every byte was taken although the logger took but one pipe full; and the
     * relay still answers. */
    ck_assert_int_eq(captured(7)[0], 'x');
    send_logs(log_fd);
    /* An answer means that the log was taken too: both links are read for it. */
    ck_assert_int_eq(captured(7)[0], 'x');
    print(ends[0], "end\n");
    close(ends[0]);
    close(ends[1]);
    close(stuck[0]);
    close(stuck[1]);
    finish();
    ck_assert_ptr_nonnull(strstr(content(log_fd), " lines of output were dropped"));
    ck_assert_ptr_nonnull(strstr(content(log_fd), "app shop: end\n"));
}
END_TEST

START_TEST(manager_may_be_replaced)
{
    ac_wire_writer_t w;
    int fds[2];
    int ends[2];

    start_stream(7, &to_error_log, ends);
    print(ends[0], "hello\n");
    close(manager);
    ck_assert_int_eq(ac_message_pair(fds), APR_SUCCESS);
    ac_message_begin(&w, AC_MSG_LINK, p);
    send_to(keeper, &w, &fds[1], 1);
    close(fds[1]);
    manager = fds[0];
    ck_assert_str_eq(captured(7), "hello\n");
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(malformed_messages_are_survived)
{
    ac_wire_writer_t w;
    int ends[2];
    int type;

    for (type = AC_MSG_LOGS; type <= AC_MSG_CAPTURED; ++type) {
        ac_message_begin(&w, (ac_message_e)type, p);
        ac_wire_put_u8(&w, 0xff);
        send_to(keeper, &w, &log_fd, 1);
        send_to(manager, &w, &log_fd, 1);
    }
    ck_assert_int_eq(send(keeper, "?", 1, 0), 1);
    ac_message_begin(&w, AC_MSG_STREAM, p);
    send_to(keeper, &w, NULL, 0);
    start_stream(7, &to_error_log, ends);
    print(ends[0], "alive\n");
    close(ends[0]);
    close(ends[1]);
    finish();
    ck_assert_ptr_nonnull(strstr(content(log_fd), "alive\n"));
}
END_TEST

START_TEST(signals_do_not_end_it)
{
    int ends[2];

    start_stream(7, &to_error_log, ends);
    print(ends[0], "one\n");
    ck_assert_str_eq(captured(7), "one\n");
    kill(relay, SIGTERM);
    kill(relay, SIGINT);
    kill(relay, SIGHUP);
    print(ends[0], "two\n");
    ck_assert_str_eq(captured(7), "one\ntwo\n");
    close(ends[0]);
    close(ends[1]);
}
END_TEST

TCase *test_relay_process(void)
{
    TCase *tcase = tcase_create("process");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, output_reaches_the_error_log_line_by_line);
    tcase_add_test(tcase, levels_decide_what_is_written);
    tcase_add_test(tcase, lines_written_at_once_stay_together);
    tcase_add_test(tcase, line_without_an_end_is_not_kept_for_long);
    tcase_add_test(tcase, capture_drains_first);
    tcase_add_test(tcase, old_captures_go);
    tcase_add_test(tcase, manager_says_sentences);
    tcase_add_test(tcase, new_logs_replace_old_ones);
    tcase_add_test(tcase, file_gets_raw_lines_and_is_rotated);
    tcase_add_test(tcase, file_that_cannot_be_opened_falls_back);
    tcase_add_test(tcase, stuck_logger_never_stops_the_app);
    tcase_add_test(tcase, manager_may_be_replaced);
    tcase_add_test(tcase, malformed_messages_are_survived);
    tcase_add_test(tcase, signals_do_not_end_it);
    return tcase;
}
