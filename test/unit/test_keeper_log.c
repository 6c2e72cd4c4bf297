/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <apr_strings.h>

#include "keeper/logfile.h"

/* Log files and programs; and the pieces that need no keeper. */

static ac_log_target_t to_file(const char *prefix, uint32_t keep)
{
    ac_log_target_t target = { .mode = AC_LOG_FILE, .app = "shop", .file = prefix,
                               .keep = keep };

    return target;
}

static void ask_log(uint64_t tag, const char *stamp)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_OPEN_LOG, p);
    ac_wire_put_u64(&w, tag);
    ac_wire_put_str(&w, stamp);
    say(h.relay, &w);
}

static uint32_t log_answer(uint64_t tag, int *pfd)
{
    ac_message_t *msg;
    uint32_t error;

    do {
        msg = hear(h.relay, AC_MSG_LOG_FILE);
    } while (ac_wire_get_u64(&msg->body) != tag);
    error = ac_wire_get_u32(&msg->body);
    *pfd = error ? -1 : taken_fd(msg, 0);
    return error;
}

static pid_t spawn_with(uint64_t tag, const ac_log_target_t *log)
{
    const char *argv[] = { "sleep", "60", NULL };
    pid_t pid;

    ask_spawn(tag, 0, log, argv);
    pid = spawned(tag);
    ck_assert_int_eq(executed(tag).fault, AC_FAULT_NONE);
    return pid;
}

static void give_folder(void)
{
    if (is_root()) {
        ck_assert_int_eq(chown(h.folder, OTHER_USER, OTHER_USER), 0);
    }
}

START_TEST(a_log_file_is_made_by_the_app_itself)
{
    ac_log_target_t target = to_file("logs/stdout", 5);
    struct stat st, other;
    const char *path;
    pid_t pid;
    int fd;

    give_folder();
    pid = spawn_with(1, &target);
    ask_log(1, "20261121060500");
    ck_assert_uint_eq(log_answer(1, &fd), 0);
    path = apr_psprintf(p, "%s/logs/stdout_20261121060500_%d.log", h.folder, (int)pid);
    ck_assert_int_eq(lstat(path, &st), 0);
    ck_assert_int_eq(fstat(fd, &other), 0);
    ck_assert_uint_eq(st.st_ino, other.st_ino);
    ck_assert_uint_eq(fcntl(fd, F_GETFL) & (O_APPEND | O_ACCMODE), O_APPEND | O_WRONLY);
    if (is_root()) {
        ck_assert_uint_eq(st.st_uid, OTHER_USER);
    }
    close(fd);
    ask_log(1, "../../../etc/x");
    ck_assert_uint_eq(log_answer(1, &fd), APR_EINVAL);
    ask_log(77, "20261121060500");
    ck_assert_uint_eq(log_answer(77, &fd), ESRCH);
}
END_TEST

START_TEST(a_log_file_where_the_app_may_not_write_is_refused)
{
    ac_log_target_t target = to_file("/etc/appcore-test", 5);
    int fd;

    if (!is_root()) {
        return;
    }
    spawn_with(1, &target);
    ask_log(1, "20261121060500");
    ck_assert_uint_eq(log_answer(1, &fd), EACCES);
}
END_TEST

/* The owner of a folder on the way puts a link in place of the app's: the log is
 * not written as the owner of where that leads. */
START_TEST(a_log_file_is_not_made_as_somebody_else)
{
    ac_log_target_t target = to_file(in_dir("app/stdout"), 5);
    const char *victim = in_dir("victim");
    int fd;

    if (!is_root()) {
        return;
    }
    give_folder();
    h.set->user.v = NULL;
    harness_configure();
    spawn_with(1, &target);
    ck_assert_int_eq(mkdir(victim, 0700), 0);
    ck_assert_int_eq(chown(victim, OTHER_USER + 1, OTHER_USER + 1), 0);
    ck_assert_int_eq(rename(h.folder, in_dir("moved")), 0);
    ck_assert_int_eq(symlink(victim, h.folder), 0);
    ck_assert_int_eq(lchown(h.folder, OTHER_USER, OTHER_USER), 0);
    ask_log(1, "20261121060500");
    ck_assert_uint_eq(log_answer(1, &fd), EACCES);
    /* Nothing was made there. */
    ck_assert_int_eq(rmdir(victim), 0);
}
END_TEST

START_TEST(a_log_file_is_to_be_had_after_the_exit)
{
    ac_log_target_t target = to_file("out", 0);
    const char *argv[] = { "true", NULL };
    int fd;

    give_folder();
    ask_spawn(1, 0, &target, argv);
    exited(1);
    say_tag(AC_MSG_FORGET, 1);
    ask_log(1, "20261121060500");
    ck_assert_uint_eq(log_answer(1, &fd), 0);
    close(fd);
}
END_TEST

START_TEST(a_log_program_reads_what_the_relay_writes)
{
    ac_log_target_t target = { .mode = AC_LOG_PROGRAM, .app = "shop" };
    int fd;

    give_folder();
    target.file = "|$cat >caught; id -u >who";
    spawn_with(1, &target);
    ask_log(1, "20261121060500");
    ck_assert_uint_eq(log_answer(1, &fd), 0);
    ck_assert_int_eq(write(fd, "line\n", 5), 5);
    close(fd);
    UNTIL(access(in_dir("app/who"), F_OK) == 0);
    UNTIL((fd = open(in_dir("app/caught"), O_RDONLY)) >= 0);
    ck_assert_str_eq(read_line(fd), "line");
    close(fd);
}
END_TEST

START_TEST(a_log_program_that_is_missing_is_named)
{
    ac_log_target_t target = { .mode = AC_LOG_PROGRAM, .app = "shop",
                               .file = "|/no/such/program -x" };
    ac_message_t *msg;
    const char *text;
    int fd;

    spawn_with(1, &target);
    ask_log(1, "20261121060500");
    ck_assert_uint_eq(log_answer(1, &fd), 0);
    close(fd);
    msg = hear(h.relay, AC_MSG_LINE);
    ac_wire_get_u32(&msg->body);
    ac_wire_get_u32(&msg->body);
    ck_assert_str_eq(ac_wire_get_str(&msg->body, p), "shop");
    ac_wire_get_u32(&msg->body);
    text = ac_wire_get_str(&msg->body, p);
    ck_assert_ptr_nonnull(strstr(text, "cannot run /no/such/program"));
}
END_TEST

START_TEST(old_log_files_go_and_nothing_else)
{
    static const char *const files[] = {
        "out_20260101000000_1.log", "out_20260102000000_99.log",
        "out_20260103000000_5.log", "out_20260101000000_x.log", "out_2026_1.log",
        "other_20200101000000_1.log", "out_20200101000000_1.log.gz", "out"
    };
    static const int kept[] = { 0, 0, 1, 1, 1, 1, 1, 1 };
    ac_log_target_t target = to_file(apr_pstrcat(p, h.folder, "/out", NULL), 2);
    unsigned i;
    int fd;

    for (i = 0; i < 8; ++i) {
        fd = open(apr_pstrcat(p, h.folder, "/", files[i], NULL), O_CREAT | O_WRONLY,
                  0600);
        ck_assert_int_ge(fd, 0);
        close(fd);
    }
    ck_assert_int_eq(ac_logfile_open(&fd, &target, "20260104000000", 7, p), APR_SUCCESS);
    close(fd);
    for (i = 0; i < 8; ++i) {
        ck_assert_msg((access(apr_pstrcat(p, h.folder, "/", files[i], NULL), F_OK) == 0)
                      == kept[i], "%s", files[i]);
    }
    ck_assert_int_eq(access(in_dir("app/out_20260104000000_7.log"), F_OK), 0);
}
END_TEST

START_TEST(only_regular_files_are_logs)
{
    ac_log_target_t target = to_file(apr_pstrcat(p, h.folder, "/out", NULL), 2);
    const char *path = in_dir("app/out_20260104000000_7.log");
    int fd = -1;

    ck_assert_int_eq(symlink("/dev/null", path), 0);
    ck_assert_int_eq(ac_logfile_open(&fd, &target, "20260104000000", 7, p), ELOOP);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_ne(ac_logfile_open(&fd, &target, "20260104000000", 7, p), APR_SUCCESS);
    ck_assert_int_eq(fd, -1);
    target.file = "/";
    ck_assert_int_eq(ac_logfile_open(&fd, &target, "20260104000000", 7, p), APR_EINVAL);
}
END_TEST

TCase *log_case(void)
{
    TCase *tc = tcase_create("log");

    tcase_add_checked_fixture(tc, harness_start, harness_stop);
    tcase_add_test(tc, a_log_file_is_made_by_the_app_itself);
    tcase_add_test(tc, a_log_file_where_the_app_may_not_write_is_refused);
    tcase_add_test(tc, a_log_file_is_not_made_as_somebody_else);
    tcase_add_test(tc, a_log_file_is_to_be_had_after_the_exit);
    tcase_add_test(tc, a_log_program_reads_what_the_relay_writes);
    tcase_add_test(tc, a_log_program_that_is_missing_is_named);
    return tc;
}

TCase *unit_case(void)
{
    TCase *tc = tcase_create("unit");

    tcase_add_checked_fixture(tc, harness_no_keeper, harness_stop);
    tcase_add_test(tc, old_log_files_go_and_nothing_else);
    tcase_add_test(tc, only_regular_files_are_logs);
    return tc;
}
