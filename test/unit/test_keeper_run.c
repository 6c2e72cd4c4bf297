/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <apr_strings.h>
#include "keeper/spawn.h"
#include "spec/look.h"

/* Running programs: identity, environment, descriptors, failures. */

START_TEST(the_folders_have_their_owners_and_modes)
{
    static const struct {
        const char *name;
        mode_t mode;
        unsigned uid, gid;
    } expected[] = {
        { "run", S_IFDIR | 0711, 0, 0 }, { "run/s", S_IFDIR | 0710, 0, 65534 },
        { "run/p", S_IFDIR | 0711, 0, 0 }, { "run/r", S_IFDIR | 0700, 65534, 65534 },
        { "run/notify", S_IFSOCK | 0666, 0, 0 },
        { "run/keeper.pids", S_IFREG | 0600, 0, 0 },
    };
    struct stat st;
    unsigned i;

    for (i = 0; i < sizeof(expected) / sizeof(expected[0]); ++i) {
        ck_assert_int_eq(lstat(in_dir(expected[i].name), &st), 0);
        ck_assert_uint_eq(st.st_mode, expected[i].mode);
        if (is_root()) {
            ck_assert_uint_eq(st.st_uid, expected[i].uid);
            ck_assert_uint_eq(st.st_gid, expected[i].gid);
        }
    }
}
END_TEST

START_TEST(a_program_runs_as_its_user_in_its_folder)
{
    run_shell(1, "id -u; id -g; pwd; umask; exit 3");
    if (is_root()) {
        ck_assert_int_eq(atoi(read_line(app_out)), OTHER_USER);
        ck_assert_int_eq(atoi(read_line(app_out)), OTHER_USER);
    }
    else {
        read_line(app_out);
        read_line(app_out);
    }
    ck_assert_str_eq(read_line(app_out), h.folder);
    ck_assert_int_eq((int)strtol(read_line(app_out), NULL, 8), (int)umask(022));
    ck_assert_int_eq(exited(1), 3 << 8);
}
END_TEST

START_TEST(nothing_of_the_keeper_leaks)
{
    run_shell(1, "ls /proc/self/fd | tr '\\n' ' '; echo; "
              "cat /proc/self/status | grep -E '^(Sig(Blk|Ign|Cgt)|NoNew.*):' >&2; "
              "tr '\\0' '\\n' </proc/self/environ | grep -c .");
    /* 0, 1, 2 and the folder that ls reads. */
    ck_assert_str_eq(read_line(app_out), "0 1 2 3 ");
    ck_assert_str_eq(read_line(app_err), "SigBlk:\t0000000000000000");
    ck_assert_str_eq(read_line(app_err), "SigIgn:\t0000000000000000");
    ck_assert_str_eq(read_line(app_err), "SigCgt:\t0000000000000000");
    ck_assert_str_eq(read_line(app_err), "NoNewPrivs:\t1");
    /* What was asked for, and what the shell adds: PWD, OLDPWD, SHLVL, _. */
    ck_assert_int_le(atoi(read_line(app_out)), 7);
    exited(1);
}
END_TEST

START_TEST(limits_and_umask_are_set)
{
    h.set->limit_nofile_soft.v = 77;
    h.set->limit_nofile_hard.v = 99;
    h.set->limit_core_soft.v = 0;
    h.set->limit_core_hard.v = 0;
    h.set->umask.v = 027;
    harness_configure();
    run_shell(1, "ulimit -Sn; ulimit -Hn; ulimit -c; umask");
    ck_assert_str_eq(read_line(app_out), "77");
    ck_assert_str_eq(read_line(app_out), "99");
    ck_assert_str_eq(read_line(app_out), "0");
    ck_assert_int_eq((int)strtol(read_line(app_out), NULL, 8), 027);
    exited(1);
}
END_TEST

START_TEST(a_listener_is_descriptor_3)
{
    int fd = listen_fd(1, 1, 0);
    pid_t pid;

    close(fd);
    ask_shell(1, AC_REACH_FD, "test -S /proc/self/fd/3 && echo $LISTEN_PID");
    pid = spawned(1);
    take_stream(1);
    ck_assert_int_eq(atoi(read_line(app_out)), pid);
    ck_assert_int_eq(exited(1), 0);
}
END_TEST

START_TEST(a_missing_program_is_a_sentence)
{
    const char *argv[] = { "no-such-program", "-x", NULL };
    ac_result_t res;

    ask_spawn(1, 0, NULL, argv);
    ck_assert_int_gt(spawned(1), 0);
    res = executed(1);
    ck_assert_int_eq(res.fault, AC_FAULT_EXEC);
    ck_assert_int_eq(res.stage, AC_STAGE_EXEC);
    ck_assert_int_eq(res.status, ENOENT);
    ck_assert_str_eq(res.detail, "cannot run no-such-program: No such file or directory");
    ck_assert_int_eq(exited(1), 127 << 8);
}
END_TEST

START_TEST(a_program_that_may_not_run_is_told_from_one_that_is_missing)
{
    const char *argv[] = { "./script", NULL };
    int fd = open(in_dir("app/script"), O_WRONLY | O_CREAT, 0644);

    ck_assert_int_ge(fd, 0);
    close(fd);
    ask_spawn(1, 0, NULL, argv);
    ck_assert_int_eq(executed(1).status, EACCES);
    ck_assert_int_eq(chmod(in_dir("app/script"), 0755), 0);
    ask_spawn(2, 0, NULL, argv);
    ck_assert_int_eq(executed(2).status, ENOEXEC);
}
END_TEST

START_TEST(a_folder_that_vanished_is_named)
{
    ac_result_t res;

    ck_assert_int_eq(rmdir(h.folder), 0);
    ask_shell(1, 0, "true");
    res = executed(1);
    ck_assert_int_ne(res.fault, AC_FAULT_NONE);
    ck_assert_ptr_nonnull(strstr(res.detail, h.folder));
}
END_TEST

/* As when the keeper is killed between fork and its note of whom it made. */
START_TEST(a_child_that_is_never_released_becomes_nothing)
{
    const char *argv[] = { "touch", in_dir("app/ran"), NULL }, *env[] = { NULL };
    const ac_spawn_t what = {
        .argv = argv, .env = env, .in = -1, .out = -1, .err = -1, .listener = -1
    };
    ac_spawned_t spawned;
    ac_result_t res;
    int status;

    ck_assert_int_eq(ac_spawn(&spawned, &what), APR_SUCCESS);
    ck_assert_int_eq(ac_spawn_status(spawned.status, &res), EAGAIN);
    ck_assert_int_eq(waitpid(spawned.pid, &status, WNOHANG), 0);
    close(spawned.go);
    ck_assert_int_eq(waitpid(spawned.pid, &status, 0), spawned.pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 126);
    ck_assert_int_ne(access(in_dir("app/ran"), F_OK), 0);
    close(spawned.status);
}
END_TEST

START_TEST(nobody_runs_as_root)
{
    ac_result_t res;

    if (!is_root()) {
        return;
    }
    h.set->user.v = "root";
    h.set->group.v = NULL;
    harness_configure();
    ask_shell(1, 0, "id");
    res = executed(1);
    ck_assert_int_eq(res.fault, AC_FAULT_IDENTITY);
    h.set->user.v = apr_psprintf(p, "#%d", OTHER_USER);
    h.set->group.v = "root";
    harness_configure();
    ask_shell(2, 0, "id");
    ck_assert_int_eq(executed(2).fault, AC_FAULT_IDENTITY);
    h.set->user.v = "no such user";
    h.set->group.v = NULL;
    harness_configure();
    ask_shell(3, 0, "id");
    res = executed(3);
    ck_assert_str_eq(res.detail, "there is no user \"no such user\"");
    /* The folder is root's: then it is the default user. */
    h.set->user.v = NULL;
    harness_configure();
    run_shell(4, "id -un");
    ck_assert_str_eq(read_line(app_out), "nobody");
}
END_TEST

START_TEST(the_owner_of_the_folder_is_the_user)
{
    if (!is_root()) {
        return;
    }
    h.set->user.v = NULL;
    h.set->group.v = NULL;
    ck_assert_int_eq(chown(h.folder, 5555, 5556), 0);
    harness_configure();
    run_shell(1, "id -u; id -g; id -G");
    ck_assert_str_eq(read_line(app_out), "5555");
    ck_assert_str_eq(read_line(app_out), "5556");
    ck_assert_str_eq(read_line(app_out), "5556");
}
END_TEST

START_TEST(a_foreign_component_of_the_path_is_refused)
{
    ac_result_t res;

    if (!is_root()) {
        return;
    }
    ck_assert_int_eq(chown(h.dir, 7777, 7777), 0);
    ask_shell(1, 0, "true");
    res = executed(1);
    ck_assert_int_ne(res.fault, AC_FAULT_NONE);
    ck_assert_ptr_nonnull(strstr(res.detail, h.dir));
}
END_TEST

START_TEST(an_unknown_app_or_a_used_tag_is_refused)
{
    ac_wire_writer_t w;

    run_shell(1, "exec sleep 30");
    ask_shell(1, 0, "true");
    ck_assert_int_eq(executed(1).fault, AC_FAULT_INTERNAL);
    ac_message_begin(&w, AC_MSG_LISTEN, p);
    ac_wire_put_u64(&w, 2);
    ac_wire_put_u64(&w, APP + 1);
    ac_wire_put_u32(&w, 0);
    ac_wire_put_u32(&w, 1);
    ac_wire_put_u32(&w, AC_REACH_FD);
    ac_wire_put_u64(&w, 0);
    say(h.manager, &w);
    ck_assert_uint_eq(ac_wire_get_u32(&hear_tag(AC_MSG_LISTENING, 2)->body), APR_EINVAL);
}
END_TEST

START_TEST(garbage_from_the_manager_changes_nothing)
{
    ac_wire_writer_t w;
    unsigned type;

    for (type = AC_MSG_LOGS; type <= AC_MSG_CAPTURED; ++type) {
        ac_message_begin(&w, (ac_message_e)type, p);
        ac_wire_put_u64(&w, 99);
        ac_wire_put_u32(&w, 0xffffffff);
        say(h.manager, &w);
    }
    run_shell(1, "echo alive");
    ck_assert_str_eq(read_line(app_out), "alive");
}
END_TEST

START_TEST(many_start_at_once)
{
    uint64_t tag, ended = 0;
    int n;

    for (tag = 1; tag <= 40; ++tag) {
        ask_shell(tag, 0, "read x; exit 1");
    }
    for (n = 0; n < 40; ++n) {
        ac_message_t *msg = hear(h.manager, AC_MSG_EXITED);

        ended |= (uint64_t)1 << ac_wire_get_u64(&msg->body);
        ck_assert_uint_eq(ac_wire_get_u32(&msg->body), 1 << 8);
    }
    ck_assert_uint_eq(ended, (((uint64_t)1 << 40) - 1) << 1);
}
END_TEST

START_TEST(a_signal_goes_to_one_or_to_all)
{
    pid_t child;

    run_shell(1, "trap 'echo usr1' USR1; sleep 60 & echo $!; "
              "while :; do wait; done");
    child = atoi(read_line(app_out));
    ask_signal(1, SIGUSR1, 0);
    ck_assert_str_eq(read_line(app_out), "usr1");
    ck_assert(!process_gone(child));
    ask_signal(1, SIGKILL, 1);
    ck_assert_int_eq(exited(1), SIGKILL);
    UNTIL(process_gone(child));
}
END_TEST

static apr_size_t look(uint64_t app_id, const void *request, apr_size_t request_len,
                       ac_launch_t **plaunch)
{
    ac_wire_reader_t r;
    ac_wire_writer_t w;
    unsigned char *bytes = apr_palloc(p, AC_LAUNCH_WIRE_MAX);
    apr_size_t len = 0;
    ssize_t n;
    int fd;

    ac_message_begin(&w, AC_MSG_LOOK, p);
    ac_wire_put_u64(&w, 5);
    ac_wire_put_u64(&w, app_id);
    ac_wire_put_bytes(&w, request, request_len);
    say(h.manager, &w);
    fd = taken_fd(hear_tag(AC_MSG_LOOKED, 5), 0);
    while ((n = read(fd, bytes + len, AC_LAUNCH_WIRE_MAX - len)) > 0) {
        len += (apr_size_t)n;
    }
    close(fd);
    if (len) {
        ac_wire_reader_init(&r, bytes, len);
        *plaunch = ac_launch_get(&r, p);
        ck_assert_int_eq(r.status, APR_SUCCESS);
    }
    return len;
}

/* Whatever folder the manager asks for, it is the configured one that is seen. */
START_TEST(a_look_sees_the_folder_as_its_user)
{
    ac_look_request_t req = { "/etc", "/shop", "shop", h.set, NULL, 0 };
    ac_launch_t *launch = NULL;
    ac_wire_writer_t w;
    struct stat st;
    FILE *f = fopen(in_dir("app/Procfile"), "w");

    fputs("web: ./run --fast\n", f);
    fclose(f);
    f = fopen(in_dir("app/run"), "w");
    fclose(f);
    ck_assert_int_eq(chmod(in_dir("app/run"), 0755), 0);
    ac_wire_writer_init(&w, AC_MESSAGE_MAX, p);
    ac_look_request_put(&w, &req);
    ck_assert_uint_gt(look(APP, w.data, w.len, &launch), 0);
    ck_assert_msg(launch->result.fault == AC_FAULT_NONE, "%s", launch->result.detail);
    ck_assert_str_eq(launch->folder, h.folder);
    ck_assert_str_eq(APR_ARRAY_IDX(launch->argv, 1, const char *), "--fast");
    ck_assert_uint_eq(launch->uid, is_root() ? OTHER_USER : geteuid());
    ck_assert_ptr_nonnull(launch->home);
    ck_assert_int_eq(stat(launch->home, &st), 0);
    ck_assert_uint_eq(st.st_uid, launch->uid);
    if (is_root()) {
        /* Nobody has that number, so the home is one of ours. */
        ck_assert_str_eq(launch->home, in_dir("state/shop-1122334455667788"));
        ck_assert_uint_eq(st.st_mode, S_IFDIR | 0700);
        ck_assert_str_eq(launch->user, "#4321");
    }
}
END_TEST

START_TEST(a_look_that_cannot_be_taken_says_so)
{
    ac_launch_t *launch = NULL;

    ck_assert_uint_eq(look(APP + 1, "", 0, &launch), 0);
    ck_assert_uint_gt(look(APP, "garbage", 7, &launch), 0);
    ck_assert_int_eq(launch->result.fault, AC_FAULT_INTERNAL);
    if (is_root()) {
        h.set->user.v = "root";
        harness_configure();
        ck_assert_uint_gt(look(APP, "", 0, &launch), 0);
        ck_assert_int_eq(launch->result.fault, AC_FAULT_IDENTITY);
    }
}
END_TEST

TCase *run_case(void)
{
    TCase *tc = tcase_create("run");

    tcase_add_checked_fixture(tc, harness_start, harness_stop);
    tcase_add_test(tc, the_folders_have_their_owners_and_modes);
    tcase_add_test(tc, a_program_runs_as_its_user_in_its_folder);
    tcase_add_test(tc, nothing_of_the_keeper_leaks);
    tcase_add_test(tc, limits_and_umask_are_set);
    tcase_add_test(tc, a_listener_is_descriptor_3);
    tcase_add_test(tc, a_missing_program_is_a_sentence);
    tcase_add_test(tc, a_program_that_may_not_run_is_told_from_one_that_is_missing);
    tcase_add_test(tc, a_folder_that_vanished_is_named);
    tcase_add_test(tc, a_child_that_is_never_released_becomes_nothing);
    tcase_add_test(tc, nobody_runs_as_root);
    tcase_add_test(tc, the_owner_of_the_folder_is_the_user);
    tcase_add_test(tc, a_foreign_component_of_the_path_is_refused);
    tcase_add_test(tc, an_unknown_app_or_a_used_tag_is_refused);
    tcase_add_test(tc, garbage_from_the_manager_changes_nothing);
    tcase_add_test(tc, many_start_at_once);
    tcase_add_test(tc, a_signal_goes_to_one_or_to_all);
    tcase_add_test(tc, a_look_sees_the_folder_as_its_user);
    tcase_add_test(tc, a_look_that_cannot_be_taken_says_so);
    return tc;
}
