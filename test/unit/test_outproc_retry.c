/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_outproc.h"

#include <string.h>
#include "outproc/retry.h"

static ac_retry_facts_t closed(int reused, int sent, int idempotent)
{
    ac_retry_facts_t facts = {
        .outcome = AC_OUTCOME_CLOSED, .reused = reused, .sent = sent,
        .idempotent = idempotent, .replayable = 1
    };

    return facts;
}

START_TEST(unsent_requests_wait_for_a_process)
{
    ac_retry_facts_t facts = { .outcome = AC_OUTCOME_UNREACHABLE, .repeats = 1 };

    ck_assert_int_eq(ac_retry_decide(&facts), AC_RETRY_WHEN_READY);
    facts.outcome = AC_OUTCOME_BUSY;
    ck_assert_int_eq(ac_retry_decide(&facts), AC_RETRY_WHEN_READY);
}
END_TEST

START_TEST(stale_connections_are_replaced_at_once)
{
    ac_retry_facts_t get = closed(1, 1, 1), post = closed(1, 0, 0);

    ck_assert_int_eq(ac_retry_decide(&get), AC_RETRY_NOW);
    ck_assert_int_eq(ac_retry_decide(&post), AC_RETRY_NOW);
}
END_TEST

START_TEST(a_dead_process_is_waited_for)
{
    ac_retry_facts_t get = closed(0, 1, 1), post = closed(0, 0, 0);

    ck_assert_int_eq(ac_retry_decide(&get), AC_RETRY_WHEN_READY);
    ck_assert_int_eq(ac_retry_decide(&post), AC_RETRY_WHEN_READY);
}
END_TEST

START_TEST(nobody_connects_to_a_dead_process)
{
    ac_retry_facts_t get = closed(1, 1, 1), post = closed(1, 0, 0);

    get.gone = post.gone = 1;
    ck_assert_int_eq(ac_retry_decide(&get), AC_RETRY_WHEN_READY);
    ck_assert_int_eq(ac_retry_decide(&post), AC_RETRY_WHEN_READY);
}
END_TEST

START_TEST(what_may_have_been_processed_is_not_sent_twice)
{
    ac_retry_facts_t fresh = closed(0, 1, 0), reused = closed(1, 1, 0);

    ck_assert_int_eq(ac_retry_decide(&fresh), AC_RETRY_NO);
    ck_assert_int_eq(ac_retry_decide(&reused), AC_RETRY_NO);
}
END_TEST

START_TEST(what_was_not_looked_at_is_sent_again)
{
    ac_retry_facts_t facts = closed(1, 1, 0);

    facts.unread = 1;
    ck_assert_int_eq(ac_retry_decide(&facts), AC_RETRY_NOW);
    facts.repeats = 1;
    ck_assert_int_eq(ac_retry_decide(&facts), AC_RETRY_NO);
    facts.repeats = facts.replayable = 0;
    ck_assert_int_eq(ac_retry_decide(&facts), AC_RETRY_NO);
}
END_TEST

START_TEST(once_is_enough)
{
    ac_retry_facts_t facts = closed(1, 1, 1);

    facts.repeats = 1;
    ck_assert_int_eq(ac_retry_decide(&facts), AC_RETRY_NO);
    facts.reused = 0;
    ck_assert_int_eq(ac_retry_decide(&facts), AC_RETRY_NO);
}
END_TEST

START_TEST(a_lost_body_cannot_be_repeated)
{
    ac_retry_facts_t facts = closed(1, 1, 1);

    facts.replayable = 0;
    ck_assert_int_eq(ac_retry_decide(&facts), AC_RETRY_NO);
    facts.sent = 0;
    ck_assert_int_eq(ac_retry_decide(&facts), AC_RETRY_NO);
}
END_TEST

START_TEST(nothing_is_repeated_once_the_app_spoke)
{
    static const ac_outcome_e final[] = {
        AC_OUTCOME_DONE, AC_OUTCOME_MALFORMED, AC_OUTCOME_TRUNCATED,
        AC_OUTCOME_SILENT, AC_OUTCOME_CLIENT_GONE, AC_OUTCOME_CLIENT_FAULT
    };
    ac_retry_facts_t facts = closed(1, 1, 1);

    facts.outcome = final[_i];
    ck_assert_int_eq(ac_retry_decide(&facts), AC_RETRY_NO);
}
END_TEST

START_TEST(methods_are_idempotent_by_rfc_9110)
{
    ck_assert(ac_retry_idempotent("GET"));
    ck_assert(ac_retry_idempotent("HEAD"));
    ck_assert(ac_retry_idempotent("PUT"));
    ck_assert(ac_retry_idempotent("DELETE"));
    ck_assert(ac_retry_idempotent("OPTIONS"));
    ck_assert(!ac_retry_idempotent("POST"));
    ck_assert(!ac_retry_idempotent("PATCH"));
    ck_assert(!ac_retry_idempotent("get"));
    ck_assert(!ac_retry_idempotent(""));
}
END_TEST

START_TEST(every_outcome_has_a_name)
{
    ck_assert_str_eq(ac_outcome_name(AC_OUTCOME_CLOSED), "closed");
    ck_assert_str_eq(ac_outcome_name(AC_OUTCOME_CLIENT_FAULT), "client fault");
    ck_assert_str_eq(ac_outcome_name((ac_outcome_e)99), "unknown");
}
END_TEST

TCase *test_outproc_retry(void)
{
    TCase *tc = tcase_create("retry");

    tcase_add_test(tc, unsent_requests_wait_for_a_process);
    tcase_add_test(tc, stale_connections_are_replaced_at_once);
    tcase_add_test(tc, a_dead_process_is_waited_for);
    tcase_add_test(tc, nobody_connects_to_a_dead_process);
    tcase_add_test(tc, what_may_have_been_processed_is_not_sent_twice);
    tcase_add_test(tc, what_was_not_looked_at_is_sent_again);
    tcase_add_test(tc, once_is_enough);
    tcase_add_test(tc, a_lost_body_cannot_be_repeated);
    tcase_add_loop_test(tc, nothing_is_repeated_once_the_app_spoke, 0, 6);
    tcase_add_test(tc, methods_are_idempotent_by_rfc_9110);
    tcase_add_test(tc, every_outcome_has_a_name);
    return tc;
}
