/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_shared.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/log.h"
#include "shared/board.h"

static ac_board_t *new_board(int *pfd)
{
    ac_board_t *board = NULL;

    ck_assert_int_eq(ac_board_create(pfd), APR_SUCCESS);
    ck_assert_int_eq(ac_board_map(*pfd, 1, &board, p), APR_SUCCESS);
    return board;
}

START_TEST(an_app_is_found_and_copied)
{
    ac_board_app_t app = { .id = 77, .state = AC_APP_RUNNING, .n_slots = 2 };
    ac_board_app_t copy;
    int fd, index;
    ac_board_t *board = new_board(&fd);

    ck_assert_int_eq(ac_board_find(board, 77), -1);
    index = ac_board_take_app(board, 77);
    ck_assert_int_ge(index, 0);
    ck_assert_int_eq(ac_board_find(board, 77), index);
    ck_assert_int_eq(ac_board_take_app(board, 77), index);
    ck_assert(ac_board_app(board, index, 77, &copy));
    ck_assert_uint_eq(copy.state, AC_APP_IDLE);
    ck_assert_uint_eq(copy.slots[0], AC_BOARD_NO_PROC);

    app.slots[1] = 5;
    ac_board_put_app(board, index, &app);
    ck_assert(ac_board_app(board, index, 77, &copy));
    ck_assert_mem_eq(&copy, &app, sizeof(app));
    ck_assert(!ac_board_app(board, index, 78, &copy));
    ck_assert(!ac_board_app(board, -1, 77, &copy));
    ck_assert(!ac_board_app(board, AC_BOARD_APPS, 77, &copy));
    close(fd);
}
END_TEST

START_TEST(ids_that_collide_live_side_by_side)
{
    int fd, first, second;
    ac_board_app_t copy, removed = { .id = 9, .state = AC_APP_REMOVED };
    ac_board_t *board = new_board(&fd);

    first = ac_board_take_app(board, 9);
    second = ac_board_take_app(board, 9 + AC_BOARD_APPS);
    ck_assert_int_ne(first, second);
    ac_board_put_app(board, first, &removed);
    /* The chain holds although its first member is gone … */
    ck_assert_int_eq(ac_board_find(board, 9 + AC_BOARD_APPS), second);
    ck_assert_int_eq(ac_board_take_app(board, 9 + AC_BOARD_APPS), second);
    /* … and a newcomer takes the place of what was removed. */
    ck_assert_int_eq(ac_board_take_app(board, 9 + 2 * AC_BOARD_APPS), first);
    ck_assert(!ac_board_app(board, first, 9, &copy));
    close(fd);
}
END_TEST

START_TEST(a_full_table_says_so)
{
    uint64_t id;
    int fd;
    ac_board_t *board = new_board(&fd);

    ck_assert_int_eq(ac_board_take_app(board, 0), -1);
    for (id = 1; id <= AC_BOARD_APPS; ++id) {
        ck_assert_int_ge(ac_board_take_app(board, id * 7919), 0);
    }
    ck_assert_int_eq(ac_board_take_app(board, 1), -1);
    ck_assert_int_eq(ac_board_find(board, 1), -1);
    ck_assert_int_ge(ac_board_find(board, 7919), 0);
    close(fd);
}
END_TEST

START_TEST(a_process_is_current_until_it_drains)
{
    ac_board_proc_t proc = { .app_id = 4, .slot = 1, .generation = 3, .pid = 12 };
    ac_board_proc_t copy;
    int fd, index;
    ac_board_t *board = new_board(&fd);

    index = ac_board_take_proc(board);
    ck_assert_int_ge(index, 0);
    ck_assert(!ac_board_proc(board, index, 4, &copy));
    ck_assert(!ac_board_proc_current(board, index, 3));
    ac_board_put_proc(board, index, &proc);
    ck_assert(ac_board_proc(board, index, 4, &copy));
    ck_assert_mem_eq(&copy, &proc, sizeof(proc));
    ck_assert(ac_board_proc_current(board, index, 3));
    ck_assert(!ac_board_proc_current(board, index, 2));
    proc.draining = 1;
    ac_board_put_proc(board, index, &proc);
    ck_assert(!ac_board_proc_current(board, index, 3));
    ck_assert(ac_board_proc(board, index, 4, &copy));
    ac_board_clear_proc(board, index);
    ck_assert(!ac_board_proc(board, index, 4, &copy));
    ck_assert(!ac_board_proc_current(board, index, 0));
    ck_assert(!ac_board_proc(board, AC_BOARD_PROCS, 0, &copy));
    ck_assert(!ac_board_proc_current(board, AC_BOARD_PROCS, 3));
    close(fd);
}
END_TEST

START_TEST(process_indices_go_round)
{
    int fd, i, first;
    ac_board_t *board = new_board(&fd);

    first = ac_board_take_proc(board);
    ac_board_clear_proc(board, first);
    for (i = 1; i < AC_BOARD_PROCS; ++i) {
        ck_assert_int_ne(ac_board_take_proc(board), first);
    }
    ck_assert_int_eq(ac_board_take_proc(board), first);
    ck_assert_int_eq(ac_board_take_proc(board), -1);
    close(fd);
}
END_TEST

START_TEST(readers_cannot_write)
{
    struct stat st;
    int fd, ro = -1;
    ac_board_t *view = NULL;
    ac_board_t *board = new_board(&fd);

    ac_board_take_app(board, 3);
    ck_assert_int_eq(ac_board_readonly_fd(fd, &ro), APR_SUCCESS);
    ck_assert_int_eq(ac_board_map(ro, 0, &view, p), APR_SUCCESS);
    ck_assert_int_ge(ac_board_find(view, 3), 0);
    ck_assert_int_eq(ac_board_map(ro, 1, &view, p), EACCES);
    /* Nor may a process of another user open the file anew. */
    ck_assert_int_eq(fstat(ro, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(ftruncate(fd, 4096), -1);
    ck_assert_int_eq(errno, EPERM);
    close(ro);
    close(fd);
}
END_TEST

START_TEST(a_foreign_file_is_no_board)
{
    ac_board_t *board = NULL;
    struct stat st;
    int fd, other;

    ck_assert_int_eq(ac_board_create(&fd), APR_SUCCESS);
    ck_assert_int_eq(fstat(fd, &st), 0);
    other = memfd_create("other", MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(other, 64), 0);
    ck_assert_int_eq(ac_board_map(other, 1, &board, p), APR_EMISMATCH);
    ck_assert_int_eq(ftruncate(other, st.st_size), 0);
    ck_assert_int_eq(ac_board_map(other, 1, &board, p), APR_EMISMATCH);
    ck_assert_ptr_null(board);
    close(other);
    close(fd);
}
END_TEST

/* Every copy that a reader gets must come from one write: all members say the
 * same number. */
static void put_number(ac_board_t *board, int index, unsigned proc, uint32_t n)
{
    ac_board_app_t app = { .id = 5, .failures = n, .n_slots = (uint16_t)n };
    ac_board_proc_t entry = { .app_id = 5, .slot = n, .generation = n, .pid = n };
    unsigned i;

    for (i = 0; i < AC_BOARD_SLOTS; ++i) {
        app.slots[i] = (uint16_t)n;
    }
    app.facts.uid = n;
    entry.ready_since = n;
    ac_board_put_app(board, index, &app);
    ac_board_put_proc(board, proc, &entry);
}

static int read_numbers(int fd, int index, unsigned proc, uint32_t last)
{
    ac_board_t *board = NULL;
    ac_board_app_t app;
    ac_board_proc_t entry;
    unsigned i;

    if (ac_board_map(fd, 0, &board, p) != APR_SUCCESS) {
        return 2;
    }
    do {
        if (ac_board_proc(board, proc, 5, &entry)
            && (entry.slot != entry.pid || entry.ready_since != entry.pid)) {
            return 3;
        }
        if (!ac_board_app(board, index, 5, &app)) {
            app.failures = 0;
            continue;
        }
        for (i = 0; i < AC_BOARD_SLOTS; ++i) {
            if (app.slots[i] != (uint16_t)app.failures) {
                return 4;
            }
        }
        if (app.facts.uid != app.failures) {
            return 5;
        }
    } while (app.failures < last);
    return 0;
}

START_TEST(no_reader_sees_half_a_write)
{
    const uint32_t last = 200000;
    pid_t readers[2];
    uint32_t n;
    int fd, ro, index, proc;
    ac_board_t *board = new_board(&fd);

    index = ac_board_take_app(board, 5);
    proc = ac_board_take_proc(board);
    put_number(board, index, (unsigned)proc, 0);
    ck_assert_int_eq(ac_board_readonly_fd(fd, &ro), APR_SUCCESS);
    CHILD(readers[0], read_numbers(ro, index, (unsigned)proc, last));
    CHILD(readers[1], read_numbers(ro, index, (unsigned)proc, last));
    for (n = 1; n <= last; ++n) {
        put_number(board, index, (unsigned)proc, n);
    }
    ck_assert_int_eq(child_status(readers[0]), 0);
    ck_assert_int_eq(child_status(readers[1]), 0);
    close(ro);
    close(fd);
}
END_TEST

START_TEST(an_entry_left_half_written_is_repaired_by_the_next_write)
{
    ac_board_app_t copy;
    int fd, index;
    ac_board_t *board = new_board(&fd);
    uint32_t *words = (uint32_t *)board;
    apr_size_t at;

    index = ac_board_take_app(board, 0x1122334455667788);
    /* The sequence number lies in front of the id; make it odd as a writer does
     * that dies. */
    for (at = 2; words[at] != 0x55667788 || words[at + 1] != 0x11223344; ++at) {
    }
    words[at - 2] |= 1;
    ck_assert(!ac_board_app(board, index, 0x1122334455667788, &copy));
    memset(&copy, 0, sizeof(copy));
    copy.id = 0x1122334455667788;
    copy.failures = 9;
    ac_board_put_app(board, index, &copy);
    ck_assert(ac_board_app(board, index, 0x1122334455667788, &copy));
    ck_assert_uint_eq(copy.failures, 9);
    close(fd);
}
END_TEST

START_TEST(a_board_is_abandoned_until_a_manager_begins)
{
    int fd;
    ac_board_t *board = new_board(&fd);

    ck_assert(!ac_board_abandoned(board));
    ck_assert_int_eq(ac_board_abandon(fd, p), APR_SUCCESS);
    ck_assert(ac_board_abandoned(board));
    ac_board_begin(board);
    ck_assert(!ac_board_abandoned(board));
    ck_assert_int_eq(ac_board_abandon(fd, p), APR_SUCCESS);
    ck_assert(ac_board_abandoned(board));
    ac_board_begin(board);
    ck_assert(!ac_board_abandoned(board));
    close(fd);
}
END_TEST

START_TEST(a_memo_is_for_the_next_manager)
{
    char memo[AC_BOARD_MEMO_MAX] = "so far so good", copy[AC_BOARD_MEMO_MAX];
    int fd;
    ac_board_t *board = new_board(&fd);

    ck_assert(!ac_board_memo(board, 3, copy, sizeof(copy)));
    ac_board_put_memo(board, 3, memo, sizeof(memo));
    ck_assert(ac_board_memo(board, 3, copy, sizeof(copy)));
    ck_assert_mem_eq(copy, memo, sizeof(memo));
    ck_assert(!ac_board_memo(board, 3, copy, sizeof(copy) - 1));
    ck_assert(!ac_board_memo(board, 4, copy, sizeof(copy)));
    ac_board_put_memo(board, AC_BOARD_APPS - 1, "x", 1);
    ck_assert(ac_board_memo(board, AC_BOARD_APPS - 1, copy, 1));
    ck_assert_int_eq(copy[0], 'x');
    close(fd);
}
END_TEST

START_TEST(signs_of_life_names_and_paths)
{
    char path[128];
    int fd;
    ac_board_t *board = new_board(&fd);

    ck_assert_int_eq(ac_board_alive(board), 0);
    ac_board_touch(board);
    ck_assert_int_gt(ac_board_alive(board), 0);
    ac_board_socket_path(path, sizeof(path), "/run/appcore", 0xab, 2, 31);
    ck_assert_str_eq(path, "/run/appcore/s/00000000000000ab.2.31");
    ck_assert_str_eq(ac_app_state_name(AC_APP_RUNNING), "running");
    ck_assert_str_eq(ac_app_state_name((ac_app_state_e)99), "unknown");
    ck_assert_str_eq(ac_level_name(AC_LEVEL_NOTICE), "notice");
    ck_assert_str_eq(ac_level_name(14), "trace1");
    close(fd);
}
END_TEST

TCase *board_case(void)
{
    TCase *tc = case_create("board");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, an_app_is_found_and_copied);
    tcase_add_test(tc, ids_that_collide_live_side_by_side);
    tcase_add_test(tc, a_full_table_says_so);
    tcase_add_test(tc, a_process_is_current_until_it_drains);
    tcase_add_test(tc, process_indices_go_round);
    tcase_add_test(tc, readers_cannot_write);
    tcase_add_test(tc, a_foreign_file_is_no_board);
    tcase_add_test(tc, no_reader_sees_half_a_write);
    tcase_add_test(tc, an_entry_left_half_written_is_repaired_by_the_next_write);
    tcase_add_test(tc, signs_of_life_names_and_paths);
    tcase_add_test(tc, a_memo_is_for_the_next_manager);
    tcase_add_test(tc, a_board_is_abandoned_until_a_manager_begins);
    return tc;
}
