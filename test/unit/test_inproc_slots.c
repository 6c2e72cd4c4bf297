/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_inproc.h"

#include <stdlib.h>
#include <string.h>

#include "inproc/slots.h"

#define THREADS 4
#define ROUNDS 20000
#define HELD 3

typedef struct thing_t {
    ac_slot_t slot;
    _Atomic int users;
    int made;
} thing_t;

static void make(ac_slot_t *slot)
{
    ((thing_t *)slot)->made = 1;
}

static ac_slots_t slots;

/* Each test begins with none, also where all share a process. */
static void set_up(void)
{
    slots = (ac_slots_t)AC_SLOTS_INIT(thing_t, make);
}

static void tear_down(void)
{
    unsigned i;

    for (i = 0; i < AC_SLOTS_CHUNKS; i++) {
        free(atomic_load(&slots.chunks[i]));
    }
}

START_TEST(a_number_leads_to_its_slot_while_it_is_open)
{
    ac_slot_t *slot = ac_slots_take(&slots);
    uint64_t number = ac_slot_open(slot);

    ck_assert_int_eq(((thing_t *)slot)->made, 1);
    ck_assert_ptr_eq(ac_slots_find(&slots, number), slot);
    ck_assert(ac_slot_is(slot, number));
    ac_slot_close(slot);
    ck_assert(!ac_slot_is(slot, number));
    ac_slots_give(&slots, slot);
}
END_TEST

START_TEST(a_slot_is_used_again_under_another_number)
{
    ac_slot_t *slot = ac_slots_take(&slots);
    uint64_t first = ac_slot_open(slot), second;

    ac_slot_close(slot);
    ac_slots_give(&slots, slot);
    ck_assert_ptr_eq(ac_slots_take(&slots), slot);
    second = ac_slot_open(slot);
    ck_assert(first != second);
    ck_assert_ptr_eq(ac_slots_find(&slots, first), slot);
    ck_assert(!ac_slot_is(slot, first));
    ck_assert(ac_slot_is(slot, second));
}
END_TEST

START_TEST(numbers_that_never_were_lead_nowhere)
{
    ck_assert_ptr_null(ac_slots_find(&slots, 0));
    ck_assert_ptr_null(ac_slots_find(&slots, UINT64_MAX));
    ac_slots_give(&slots, ac_slots_take(&slots));
    ck_assert(!ac_slot_is(ac_slots_find(&slots, 0), 0));
    ck_assert_ptr_null(ac_slots_find(&slots, AC_SLOTS_CHUNK));
    ck_assert_ptr_null(ac_slots_at(&slots, UINT32_MAX));
}
END_TEST

START_TEST(there_are_as_many_as_are_asked_for)
{
    ac_slot_t *taken[3 * AC_SLOTS_CHUNK];
    unsigned i, n = sizeof(taken) / sizeof(taken[0]);

    for (i = 0; i < n; i++) {
        taken[i] = ac_slots_take(&slots);
        ck_assert_ptr_nonnull(taken[i]);
        ck_assert_ptr_eq(ac_slots_find(&slots, ac_slot_open(taken[i])), taken[i]);
        ck_assert_int_eq(((thing_t *)taken[i])->users++, 0);
    }
    for (i = 0; i < n; i++) {
        ac_slots_give(&slots, taken[i]);
    }
    ck_assert_uint_eq(atomic_load(&slots.made), n);
}
END_TEST

/* What is taken is taken by nobody else, and its number is nobody else's. */
static void *use(void *unused)
{
    ac_slot_t *held[HELD];
    uint64_t numbers[HELD];
    long round, wrong = 0;
    int i;

    (void)unused;
    for (round = 0; round < ROUNDS; round++) {
        for (i = 0; i < HELD; i++) {
            held[i] = ac_slots_take(&slots);
            wrong += atomic_fetch_add(&((thing_t *)held[i])->users, 1) != 0;
            numbers[i] = ac_slot_open(held[i]);
        }
        for (i = 0; i < HELD; i++) {
            wrong += ac_slots_find(&slots, numbers[i]) != held[i]
                     || !ac_slot_is(held[i], numbers[i]);
            ac_slot_close(held[i]);
            wrong += ac_slot_is(held[i], numbers[i]);
            atomic_fetch_sub(&((thing_t *)held[i])->users, 1);
            ac_slots_give(&slots, held[i]);
        }
    }
    return (void *)wrong;
}

START_TEST(threads_do_not_meet_in_a_slot)
{
    pthread_t threads[THREADS];
    void *wrong;
    int i;

    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use, NULL), 0);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &wrong);
        ck_assert_ptr_null(wrong);
    }
}
END_TEST

TCase *test_inproc_slots(void)
{
    TCase *tc = tcase_create("slots");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_number_leads_to_its_slot_while_it_is_open);
    tcase_add_test(tc, a_slot_is_used_again_under_another_number);
    tcase_add_test(tc, numbers_that_never_were_lead_nowhere);
    tcase_add_test(tc, there_are_as_many_as_are_asked_for);
    tcase_add_test(tc, threads_do_not_meet_in_a_slot);
    return tc;
}
