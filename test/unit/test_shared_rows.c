/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_shared.h"

#include <signal.h>
#include <sys/stat.h>

#include "shared/rows.h"

static ac_rows_t *new_rows(int *pfd)
{
    ac_rows_t *rows = NULL;

    ck_assert_int_eq(ac_rows_create(pfd), APR_SUCCESS);
    ck_assert_int_eq(ac_rows_map(*pfd, &rows, p), APR_SUCCESS);
    return rows;
}

START_TEST(a_row_belongs_to_one)
{
    int fd, i;
    ac_rows_t *rows = new_rows(&fd);

    for (i = 0; i < AC_ROWS; ++i) {
        ck_assert_int_eq(ac_rows_claim(rows, 1000 + (uint32_t)i), i);
    }
    ck_assert_int_eq(ac_rows_claim(rows, 1), -1);
    ck_assert_uint_eq(ac_rows_pid(rows, 7), 1007);
    ac_rows_release(rows, 7);
    ck_assert_uint_eq(ac_rows_pid(rows, 7), 0);
    ck_assert_int_eq(ac_rows_claim(rows, 1), 7);
    ck_assert_uint_eq(ac_rows_pid(rows, -1), 0);
    ck_assert_uint_eq(ac_rows_pid(rows, AC_ROWS), 0);
    close(fd);
}
END_TEST

START_TEST(totals_count_over_all_rows)
{
    int fd, a, b;
    ac_rows_t *rows = new_rows(&fd);

    a = ac_rows_claim(rows, 1);
    b = ac_rows_claim(rows, 2);
    ac_rows_proc_take(rows, a, 3);
    ac_rows_proc_take(rows, b, 3);
    ac_rows_proc_take(rows, b, AC_BOARD_PROCS - 1);
    ck_assert_uint_eq(ac_rows_proc_count(rows, 3), 2);
    ck_assert_uint_eq(ac_rows_proc_count(rows, AC_BOARD_PROCS - 1), 1);
    ac_rows_proc_put(rows, a, 3);
    ck_assert_uint_eq(ac_rows_proc_count(rows, 3), 1);
    ac_rows_app_served(rows, 8);
    ac_rows_app_served(rows, 8);
    ck_assert_uint_eq(ac_rows_app_total(rows, 8), 2);
    close(fd);
}
END_TEST

START_TEST(permits_have_an_end)
{
    int fd, a, b;
    ac_rows_t *rows = new_rows(&fd);

    a = ac_rows_claim(rows, 1);
    b = ac_rows_claim(rows, 2);
    ck_assert_int_eq(ac_rows_proc_take_below(rows, a, 3, 2), 1);
    ck_assert_int_eq(ac_rows_proc_take_below(rows, b, 3, 2), 1);
    ck_assert_int_eq(ac_rows_proc_take_below(rows, a, 3, 2), 0);
    ck_assert_uint_eq(ac_rows_proc_count(rows, 3), 2);
    ac_rows_proc_put(rows, b, 3);
    ck_assert_int_eq(ac_rows_proc_take_below(rows, a, 3, 2), 1);
    /* A killed child's permits come back, what it was refused does not count. */
    ck_assert_int_eq(ac_rows_proc_take_below(rows, a, 3, 2), 0);
    ac_rows_release(rows, a);
    ck_assert_uint_eq(ac_rows_proc_count(rows, 3), 0);
    ck_assert_int_eq(ac_rows_proc_take_below(rows, b, AC_BOARD_PROCS, 9), 0);
    close(fd);
}
END_TEST

START_TEST(the_longest_wait_is_first)
{
    uint32_t late = ac_rows_moment(0xffffffffll * 256), early = late - 1000;
    uint32_t next = late + 7;   /* the number went round */
    int fd, a, b;
    ac_rows_t *rows = new_rows(&fd);

    a = ac_rows_claim(rows, 1);
    b = ac_rows_claim(rows, 2);
    ck_assert_int_eq(ac_rows_wait_first(rows, 5), -1);
    ck_assert_int_eq(ac_rows_wait_is_first(rows, 5, late), 1);
    ck_assert_int_eq(ac_rows_wait_take(rows, a, 5, 10), 1);
    ck_assert_int_eq(ac_rows_wait_take(rows, b, 5, 10), 1);
    ac_rows_wait_since(rows, a, 5, next);
    ck_assert_int_eq(ac_rows_wait_first(rows, 5), a);
    ac_rows_wait_since(rows, b, 5, early);
    ck_assert_int_eq(ac_rows_wait_first(rows, 5), b);
    ck_assert_int_eq(ac_rows_wait_is_first(rows, 5, early), 1);
    ck_assert_int_eq(ac_rows_wait_is_first(rows, 5, late), 0);
    ck_assert_int_eq(ac_rows_wait_is_first(rows, 5, next), 0);
    ck_assert_int_eq(ac_rows_wait_is_first(rows, 6, next), 1);
    /* Nobody waits behind a dead child. */
    ac_rows_release(rows, b);
    ck_assert_int_eq(ac_rows_wait_first(rows, 5), a);
    ck_assert_int_eq(ac_rows_wait_is_first(rows, 5, next), 1);
    ac_rows_wait_since(rows, a, 5, 0);
    ck_assert_int_eq(ac_rows_wait_first(rows, 5), -1);
    ck_assert_int_eq(ac_rows_wait_first(rows, AC_BOARD_APPS), -1);
    ck_assert_uint_ne(ac_rows_moment(0), 0);
    close(fd);
}
END_TEST

START_TEST(the_queue_has_an_end)
{
    int fd, row;
    ac_rows_t *rows = new_rows(&fd);

    row = ac_rows_claim(rows, 1);
    ck_assert(ac_rows_wait_take(rows, row, 2, 2));
    ck_assert(ac_rows_wait_take(rows, row, 2, 2));
    ck_assert(!ac_rows_wait_take(rows, row, 2, 2));
    ck_assert(!ac_rows_wait_take(rows, row, 3, 0));
    ck_assert_uint_eq(ac_rows_wait_count(rows, 2), 2);
    ac_rows_wait_put(rows, row, 2);
    ck_assert(ac_rows_wait_take(rows, row, 2, 2));
    /* A refusal left no share behind that a release would give back. */
    ac_rows_release(rows, row);
    ck_assert_uint_eq(ac_rows_wait_count(rows, 2), 0);
    close(fd);
}
END_TEST

START_TEST(nothing_falls_below_zero_or_out_of_the_table)
{
    int fd, row;
    ac_rows_t *rows = new_rows(&fd);

    row = ac_rows_claim(rows, 1);
    ac_rows_proc_put(rows, row, 4);
    ac_rows_wait_put(rows, row, 4);
    ck_assert_uint_eq(ac_rows_proc_count(rows, 4), 0);
    ck_assert_uint_eq(ac_rows_wait_count(rows, 4), 0);
    ac_rows_proc_take(rows, row, AC_BOARD_PROCS);
    ck_assert(!ac_rows_wait_take(rows, row, AC_BOARD_APPS, 9));
    ac_rows_app_served(rows, AC_BOARD_APPS);
    ck_assert_uint_eq(ac_rows_proc_count(rows, AC_BOARD_PROCS), 0);
    ck_assert_uint_eq(ac_rows_app_total(rows, AC_BOARD_APPS), 0);
    ac_rows_proc_take(rows, -1, 4);
    ck_assert_uint_eq(ac_rows_proc_count(rows, 4), 1);
    ac_rows_release(rows, -1);
    ac_rows_proc_put(rows, -1, 4);
    ck_assert_uint_eq(ac_rows_proc_count(rows, 4), 0);
    close(fd);
}
END_TEST

static int count_much(ac_rows_t *rows, int rounds)
{
    int row = ac_rows_claim(rows, (uint32_t)getpid());
    int i;

    for (i = 0; i < rounds; ++i) {
        ac_rows_proc_take(rows, row, 1);
        if (ac_rows_wait_take(rows, row, 1, 2)) {
            if (ac_rows_wait_count(rows, 1) > 2) {
                return 1;
            }
            ac_rows_wait_put(rows, row, 1);
        }
        ac_rows_app_served(rows, 1);
        ac_rows_proc_put(rows, row, 1);
    }
    return row < 0;
}

START_TEST(children_count_together)
{
    pid_t pids[4];
    unsigned i;
    int fd;
    ac_rows_t *rows = new_rows(&fd);

    for (i = 0; i < 4; ++i) {
        CHILD(pids[i], count_much(rows, 20000));
    }
    for (i = 0; i < 4; ++i) {
        ck_assert_int_eq(child_status(pids[i]), 0);
    }
    ck_assert_uint_eq(ac_rows_proc_count(rows, 1), 0);
    ck_assert_uint_eq(ac_rows_wait_count(rows, 1), 0);
    ck_assert_uint_eq(ac_rows_app_total(rows, 1), 80000);
    close(fd);
}
END_TEST

static int take_and_hang(ac_rows_t *rows, int ready)
{
    int row = ac_rows_claim(rows, (uint32_t)getpid());

    ac_rows_proc_take(rows, row, 6);
    ac_rows_proc_take(rows, row, 6);
    ac_rows_proc_take(rows, row, 5000);
    ac_rows_wait_take(rows, row, 6, 10);
    if (write(ready, &row, sizeof(row)) != sizeof(row)) {
        return 1;
    }
    return pause();
}

START_TEST(the_share_of_a_killed_child_comes_back)
{
    int fd, row = -1, other, ready[2];
    pid_t pid;
    ac_rows_t *rows = new_rows(&fd);

    other = ac_rows_claim(rows, 1);
    ac_rows_proc_take(rows, other, 6);
    ck_assert_int_eq(pipe(ready), 0);
    CHILD(pid, take_and_hang(rows, ready[1]));
    ck_assert_int_eq(read(ready[0], &row, sizeof(row)), sizeof(row));
    ck_assert_uint_eq(ac_rows_proc_count(rows, 6), 3);
    ck_assert_uint_eq(ac_rows_pid(rows, row), (uint32_t)pid);
    kill(pid, SIGKILL);
    child_status(pid);
    ac_rows_release(rows, row);
    ck_assert_uint_eq(ac_rows_proc_count(rows, 6), 1);
    ck_assert_uint_eq(ac_rows_proc_count(rows, 5000), 0);
    ck_assert_uint_eq(ac_rows_wait_count(rows, 6), 0);
    close(ready[0]);
    close(ready[1]);
    close(fd);
}
END_TEST

START_TEST(a_release_allocates_nothing)
{
    struct stat before, after;
    int fd, row;
    ac_rows_t *rows = new_rows(&fd);

    row = ac_rows_claim(rows, 1);
    ac_rows_proc_take(rows, row, 1);
    ck_assert_int_eq(fstat(fd, &before), 0);
    ac_rows_release(rows, row);
    ck_assert_int_eq(fstat(fd, &after), 0);
    ck_assert_int_eq(before.st_blocks, after.st_blocks);
    close(fd);
}
END_TEST

TCase *rows_case(void)
{
    TCase *tc = case_create("rows");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, a_row_belongs_to_one);
    tcase_add_test(tc, totals_count_over_all_rows);
    tcase_add_test(tc, the_queue_has_an_end);
    tcase_add_test(tc, nothing_falls_below_zero_or_out_of_the_table);
    tcase_add_test(tc, children_count_together);
    tcase_add_test(tc, permits_have_an_end);
    tcase_add_test(tc, the_longest_wait_is_first);
    tcase_add_test(tc, the_share_of_a_killed_child_comes_back);
    tcase_add_test(tc, a_release_allocates_nothing);
    return tc;
}
