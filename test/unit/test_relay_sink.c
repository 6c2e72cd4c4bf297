/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "relay/sink.h"

static ac_relay_loop_t loop;
static ac_sink_t sink;
static int asked;

static int next(ac_sink_t *s)
{
    (void)s;
    ++asked;
    return 1;
}

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN);
    asked = 0;
    ck_assert_int_eq(ac_relay_loop_create(&loop), APR_SUCCESS);
    ac_sink_init(&sink, &loop, NULL, NULL);
}

static void teardown(void)
{
    ac_sink_close(&sink);
    close(loop.epoll);
}

static void push(ac_outlet_t *outlet, const char *line)
{
    ac_outlet_push(outlet, line, strlen(line));
}

/* All that can be read without waiting. */
static const char *content(int fd)
{
    static char buf[1024 * 1024];
    apr_size_t len = 0;
    ssize_t n;

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    while ((n = read(fd, buf + len, sizeof(buf) - 1 - len)) > 0) {
        len += (apr_size_t)n;
    }
    buf[len] = '\0';
    return buf;
}

static int temporary_file(void)
{
    int fd = memfd_create("log", 0);

    ck_assert_int_ge(fd, 0);
    return fd;
}

START_TEST(lines_wait_for_a_descriptor)
{
    ac_outlet_t outlet = { .sink = &sink };
    int fd = temporary_file();

    push(&outlet, "early\n");
    ac_sink_open(&sink, dup(fd));
    push(&outlet, "late\n");
    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
    ck_assert_str_eq(content(fd), "early\nlate\n");
    close(fd);
}
END_TEST

/* The other end may be httpd's as well: its description must stay as it is. */
START_TEST(full_pipe_is_waited_for_by_the_loop)
{
    ac_outlet_t outlet = { .sink = &sink };
    int fds[2];
    int i;

    ck_assert_int_eq(pipe(fds), 0);
    ac_sink_open(&sink, fds[1]);
    for (i = 0; i < 5000; ++i) {
        push(&outlet, "0123456789012345678901234567890123456789\n");
    }
    ck_assert_int_eq(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
    ck_assert(!ac_queue_empty(&outlet.queue));
    ck_assert_int_eq(ac_relay_loop_once(&loop, 0), 0);
    i = 0;
    while (outlet.waiting) {
        i += (int)strlen(content(fds[0]));
        ck_assert_int_eq(ac_relay_loop_once(&loop, 5000), 1);
    }
    i += (int)strlen(content(fds[0]));
    ck_assert_int_eq(i, 5000 * 41);
    /* Nothing left to write: nothing to wake up for. */
    ck_assert_int_eq(ac_relay_loop_once(&loop, 0), 0);
    close(fds[0]);
}
END_TEST

START_TEST(drops_are_told_once_and_in_place)
{
    ac_outlet_t outlet = { .sink = &sink, .raw = 1 };
    int fd = temporary_file();
    const char *text;
    const char *note;
    int i;

    for (i = 0; i < 100000; ++i) {
        push(&outlet, "line\n");
    }
    ck_assert_uint_gt(outlet.queue.dropped, 0);
    ac_sink_open(&sink, dup(fd));
    push(&outlet, "after\n");
    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
    text = content(fd);
    note = strstr(text, "[appcore] ");
    ck_assert_ptr_nonnull(note);
    ck_assert_ptr_nonnull(strstr(note, " lines of output were dropped because"));
    ck_assert_ptr_null(strstr(note + 1, "[appcore] "));
    ck_assert_mem_eq(note - 5, "line\n", 5);
    ck_assert_str_eq(strchr(note, '\n'), "\nafter\n");
    close(fd);
}
END_TEST

START_TEST(outlets_share_a_pipe_by_whole_lines)
{
    static char a[3000];
    static char b[3000];
    ac_outlet_t first = { .sink = &sink };
    ac_outlet_t second = { .sink = &sink };
    int fds[2];
    const char *text;
    int i;

    memset(a, 'a', sizeof(a) - 2);
    memset(b, 'b', sizeof(b) - 2);
    a[sizeof(a) - 2] = b[sizeof(b) - 2] = '\n';
    ck_assert_int_eq(pipe(fds), 0);
    ac_sink_open(&sink, fds[1]);
    for (i = 0; i < 40; ++i) {
        push(&first, a);
        push(&second, b);
    }
    for (i = 0; i < 80;) {
        for (text = content(fds[0]); *text; text += 2999) {
            ck_assert_mem_eq(text, *text == 'a' ? a : b, 2999);
            ++i;
        }
        if (i < 80) {
            ck_assert_int_eq(ac_relay_loop_once(&loop, 5000), 1);
        }
    }
    close(fds[0]);
}
END_TEST

START_TEST(line_longer_than_a_pipe_buffer_arrives_whole)
{
    static char line[20001];
    ac_outlet_t outlet = { .sink = &sink };
    int fds[2];

    memset(line, 'x', 20000);
    line[19999] = '\n';
    ck_assert_int_eq(pipe(fds), 0);
    ac_sink_open(&sink, fds[1]);
    push(&outlet, line);
    ck_assert_str_eq(content(fds[0]), line);
    close(fds[0]);
}
END_TEST

START_TEST(dead_log_costs_lines_only)
{
    ac_outlet_t outlet = { .sink = &sink };
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    close(fds[0]);
    ac_sink_open(&sink, fds[1]);
    push(&outlet, "lost\n");
    ck_assert_uint_eq(outlet.queue.dropped, 1);
    ck_assert_int_eq(outlet.waiting, 0);
    ck_assert_int_eq(ac_relay_loop_once(&loop, 0), 0);
}
END_TEST

START_TEST(dead_program_is_asked_for_again_and_loses_nothing)
{
    ac_outlet_t outlet = { .sink = &sink };
    int fds[2];

    sink.next = next;
    ck_assert_int_eq(pipe(fds), 0);
    close(fds[0]);
    ac_sink_open(&sink, fds[1]);
    push(&outlet, "one\n");
    push(&outlet, "two\n");
    ck_assert_int_eq(asked, 1);
    ck_assert_int_eq(pipe(fds), 0);
    ac_sink_open(&sink, fds[1]);
    ck_assert_str_eq(content(fds[0]), "one\ntwo\n");
    close(fds[0]);
    ac_outlet_release(&outlet);
}
END_TEST

START_TEST(full_file_is_rotated_between_lines)
{
    ac_outlet_t outlet = { .sink = &sink, .raw = 1 };
    int first = temporary_file();
    int second = temporary_file();

    sink.next = next;
    sink.max_size = 10;
    ac_sink_open(&sink, dup(first));
    push(&outlet, "1234567\n");
    push(&outlet, "890\n");
    push(&outlet, "abc\n");
    ck_assert_int_eq(asked, 1);
    ac_sink_open(&sink, dup(second));
    lseek(first, 0, SEEK_SET);
    lseek(second, 0, SEEK_SET);
    ck_assert_str_eq(content(first), "1234567\n");
    ck_assert_str_eq(content(second), "890\nabc\n");
    close(first);
    close(second);
}
END_TEST

START_TEST(appended_file_counts_what_it_had)
{
    ac_outlet_t outlet = { .sink = &sink, .raw = 1 };
    int fd = temporary_file();

    ck_assert_int_eq(write(fd, "12345678\n", 9), 9);
    sink.next = next;
    sink.max_size = 10;
    ac_sink_open(&sink, dup(fd));
    push(&outlet, "9\n");
    ck_assert_int_eq(asked, 1);
    ac_outlet_release(&outlet);
    close(fd);
}
END_TEST

START_TEST(socket_and_device_work_too)
{
    ac_outlet_t outlet = { .sink = &sink };
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    ac_sink_open(&sink, fds[1]);
    push(&outlet, "to a socket\n");
    ck_assert_str_eq(content(fds[0]), "to a socket\n");
    ac_sink_open(&sink, open("/dev/null", O_WRONLY));
    push(&outlet, "to nowhere\n");
    ck_assert_int_eq(outlet.waiting, 0);
    ck_assert_uint_eq(outlet.queue.dropped, 0);
    close(fds[0]);
}
END_TEST

START_TEST(moved_outlet_takes_its_lines_along)
{
    ac_outlet_t outlet = { .sink = &sink };
    ac_sink_t other;
    int fd = temporary_file();

    ac_sink_init(&other, &loop, NULL, NULL);
    ac_sink_open(&other, dup(fd));
    push(&outlet, "waits\n");
    ac_outlet_move(&outlet, &other);
    push(&outlet, "goes\n");
    ck_assert_ptr_null(sink.first);
    lseek(fd, 0, SEEK_SET);
    ck_assert_str_eq(content(fd), "waits\ngoes\n");
    ac_sink_close(&other);
    close(fd);
}
END_TEST

TCase *test_relay_sink(void)
{
    TCase *tcase = tcase_create("sink");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, lines_wait_for_a_descriptor);
    tcase_add_test(tcase, full_pipe_is_waited_for_by_the_loop);
    tcase_add_test(tcase, drops_are_told_once_and_in_place);
    tcase_add_test(tcase, outlets_share_a_pipe_by_whole_lines);
    tcase_add_test(tcase, line_longer_than_a_pipe_buffer_arrives_whole);
    tcase_add_test(tcase, dead_log_costs_lines_only);
    tcase_add_test(tcase, dead_program_is_asked_for_again_and_loses_nothing);
    tcase_add_test(tcase, full_file_is_rotated_between_lines);
    tcase_add_test(tcase, appended_file_counts_what_it_had);
    tcase_add_test(tcase, socket_and_device_work_too);
    tcase_add_test(tcase, moved_outlet_takes_its_lines_along);
    return tcase;
}
