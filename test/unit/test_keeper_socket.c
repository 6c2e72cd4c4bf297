/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <apr_strings.h>

#include "shared/board.h"

/* Listening sockets and socket paths. */

static const char *socket_path(uint32_t generation)
{
    char path[256];

    ac_board_socket_path(path, sizeof(path), h.runtime, APP, 0, generation);
    return apr_pstrdup(p, path);
}

static const char *private_path(uint32_t generation, const char *name)
{
    const char *path = socket_path(generation);

    return apr_pstrcat(p, h.runtime, "/p", strrchr(path, '/'), name, NULL);
}

static int connects(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    apr_cpystrn(addr.sun_path, path, sizeof(addr.sun_path));
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

START_TEST(a_socket_is_for_httpds_group_alone)
{
    struct stat st;
    int fd = listen_fd(1, 4, 0);

    ck_assert_int_eq(lstat(socket_path(4), &st), 0);
    ck_assert_uint_eq(st.st_mode, S_IFSOCK | 0660);
    if (is_root()) {
        ck_assert_uint_eq(st.st_uid, 0);
        ck_assert_uint_eq(st.st_gid, 65534);
    }
    close(fd);
    say_tag(AC_MSG_FORGET, 1);
    UNTIL(access(socket_path(4), F_OK) < 0);
}
END_TEST

START_TEST(the_copy_shows_whether_a_connection_was_accepted)
{
    int copy = listen_fd(1, 1, 0);
    char byte;
    int fd;

    ask_shell(1, AC_REACH_FD, "exec python3 -c 'import socket\n"
              "s = socket.socket(fileno=3)\n"
              "c = s.accept()[0]\nc.send(b\"x\")\nc.recv(1)'");
    ck_assert_int_eq(executed(1).fault, AC_FAULT_NONE);
    fd = connects(socket_path(1));
    ck_assert_int_ge(fd, 0);
    ck_assert(wait_readable(fd, 10000));
    ck_assert(!wait_readable(copy, 0));
    ck_assert_int_eq(read(fd, &byte, 1), 1);
    close(fd);
    ck_assert_int_eq(exited(1), 0);
    close(copy);
}
END_TEST

START_TEST(a_successor_inherits_the_backlog)
{
    int first = listen_fd(1, 1, 0), second, fd;
    char byte = 0;

    ask_shell(1, AC_REACH_FD, "kill -9 $$");
    ck_assert_int_eq(exited(1), 9);
    fd = connects(socket_path(1));
    ck_assert_int_ge(fd, 0);
    close(first);
    second = listen_fd(2, 2, 1);
    ck_assert_int_eq(access(socket_path(1), F_OK), -1);
    ck_assert_int_eq(access(socket_path(2), F_OK), 0);
    ck_assert(wait_readable(second, 0));
    say_tag(AC_MSG_FORGET, 1);
    ask_shell(2, AC_REACH_FD, "exec python3 -c 'import socket\n"
              "c = socket.socket(fileno=3).accept()[0]\nc.send(b\"y\")'");
    ck_assert(wait_readable(fd, 10000));
    ck_assert_int_eq(read(fd, &byte, 1), 1);
    ck_assert_int_eq(byte, 'y');
    ck_assert_int_eq(access(socket_path(2), F_OK), 0);
    close(fd);
    close(second);
    exited(2);
}
END_TEST

START_TEST(a_living_process_keeps_its_socket)
{
    int first = listen_fd(1, 1, 0), second;

    run_shell(3, "exec sleep 30");
    ask_shell(1, AC_REACH_FD, "exec sleep 30");
    executed(1);
    /* Two generations never share one: the second gets its own. */
    second = listen_fd(2, 2, 1);
    ck_assert_int_eq(access(socket_path(1), F_OK), 0);
    ck_assert_int_eq(access(socket_path(2), F_OK), 0);
    close(first);
    close(second);
}
END_TEST

static void ask_folder(uint64_t tag, uint32_t generation)
{
    ac_message_t *msg;

    ask_listen(tag, generation, AC_REACH_PATH, 0);
    msg = hear_tag(AC_MSG_LISTENING, tag);
    ck_assert_uint_eq(ac_wire_get_u32(&msg->body), 0);
    ck_assert_int_eq(msg->n_fds, 0);
}

static uint32_t take_path(uint64_t tag)
{
    say_tag(AC_MSG_TAKE_PATH, tag);
    return ac_wire_get_u32(&hear_tag(AC_MSG_PATH_TAKEN, tag)->body);
}

static void make_socket(uint64_t tag, uint32_t generation)
{
    ask_shell(tag, AC_REACH_PATH, apr_psprintf(p, "exec python3 -c 'import socket\n"
              "s = socket.socket(socket.AF_UNIX)\ns.bind(\"%s\")\ns.listen()\n"
              "c = s.accept()[0]\nimport os\nos.chmod(s.getsockname(), 0o666)\n"
              "c.send(b\"z\")'",
              private_path(generation, "/app.sock")));
    ck_assert_int_eq(executed(tag).fault, AC_FAULT_NONE);
    /* Once it listens it may be connected to. */
    UNTIL(access(private_path(generation, "/app.sock"), F_OK) == 0);
}

/* As the app may make them beside its socket. */
static void make_folders(const char *path, int depth)
{
    for (; depth > 0; --depth) {
        path = apr_pstrcat(p, path, "/sub", NULL);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        ck_assert_int_eq(symlink("/etc", apr_pstrcat(p, path, "/link", NULL)), 0);
        if (is_root()) {
            ck_assert_int_eq(chown(path, OTHER_USER, 65534), 0);
        }
    }
}

START_TEST(a_socket_that_the_app_made_gets_our_name)
{
    struct stat st;
    char answer;
    int fd = -1;

    ask_folder(1, 1);
    ck_assert_int_eq(lstat(private_path(1, ""), &st), 0);
    ck_assert_uint_eq(st.st_mode, S_IFDIR | 0750);
    if (is_root()) {
        ck_assert_uint_eq(st.st_uid, OTHER_USER);
        ck_assert_uint_eq(st.st_gid, 65534);
    }
    ck_assert_uint_eq(take_path(1), ENOENT);
    make_socket(1, 1);
    ck_assert_uint_eq(take_path(1), 0);
    ck_assert_int_eq(lstat(socket_path(1), &st), 0);
    ck_assert_uint_eq(st.st_mode, S_IFSOCK | 0660);
    UNTIL(fd >= 0 || (fd = connects(socket_path(1))) >= 0);
    ck_assert(wait_readable(fd, 10000));
    ck_assert_int_eq(read(fd, &answer, 1), 1);
    close(fd);
    make_folders(private_path(1, ""), 5);
    exited(1);
    say_tag(AC_MSG_FORGET, 1);
    UNTIL(access(socket_path(1), F_OK) < 0 && access(private_path(1, ""), F_OK) < 0);
    ck_assert_int_eq(access("/etc/passwd", F_OK), 0);
}
END_TEST

START_TEST(what_is_no_socket_of_the_app_is_refused)
{
    const char *path = private_path(1, "/app.sock");
    int fd;

    ask_folder(1, 1);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
    ck_assert_uint_eq(take_path(1), EPERM);
    ck_assert_int_eq(unlink(path), 0);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_uint_eq(take_path(1), EPERM);
    ck_assert_int_eq(access(socket_path(1), F_OK), -1);
    ck_assert_uint_eq(take_path(99), ENOENT);
}
END_TEST

START_TEST(a_socket_of_somebody_else_is_not_taken)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ask_folder(1, 1);
    apr_cpystrn(addr.sun_path, private_path(1, "/app.sock"), sizeof(addr.sun_path));
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    /* As root it is root's, not the app's. */
    ck_assert_uint_eq(take_path(1), is_root() ? EPERM : 0);
    close(fd);
}
END_TEST

/* Manager and relay are the keeper's only children. */
static int no_helper_left(void)
{
    const char *path = apr_psprintf(p, "/proc/%d/task/%d/children", (int)h.keeper,
                                    (int)h.keeper);
    FILE *f = fopen(path, "r");
    int pid, n = 0;

    while (f && fscanf(f, "%d", &pid) == 1) {
        ++n;
    }
    if (f) {
        fclose(f);
    }
    return n == 2;
}

START_TEST(a_folder_that_nobody_waits_for_goes)
{
    const char *folder = in_dir("run/p/1122334455667788.0.4");

    /* Both lie in the keeper's socket before it has the time to make the folder. */
    kill(h.keeper, SIGSTOP);
    ask_listen(1, 4, AC_REACH_PATH, 0);
    say_tag(AC_MSG_FORGET, 1);
    kill(h.keeper, SIGCONT);
    ask_listen(2, 5, AC_REACH_PATH, 0);
    hear_tag(AC_MSG_LISTENING, 2);
    UNTIL(no_helper_left() && access(folder, F_OK) < 0);
}
END_TEST

TCase *socket_case(void)
{
    TCase *tc = tcase_create("socket");

    tcase_add_checked_fixture(tc, harness_start, harness_stop);
    tcase_add_test(tc, a_socket_is_for_httpds_group_alone);
    tcase_add_test(tc, the_copy_shows_whether_a_connection_was_accepted);
    tcase_add_test(tc, a_successor_inherits_the_backlog);
    tcase_add_test(tc, a_living_process_keeps_its_socket);
    tcase_add_test(tc, a_socket_that_the_app_made_gets_our_name);
    tcase_add_test(tc, what_is_no_socket_of_the_app_is_refused);
    tcase_add_test(tc, a_socket_of_somebody_else_is_not_taken);
    tcase_add_test(tc, a_folder_that_nobody_waits_for_goes);
    return tc;
}
