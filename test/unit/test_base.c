/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include <stdlib.h>
#include <check.h>
#include <apr_general.h>
#include "base/wire.h"

static apr_pool_t *p;

static void setup(void)
{
    apr_pool_create(&p, NULL);
}

static void teardown(void)
{
    apr_pool_destroy(p);
}

START_TEST(wire_gives_back_what_was_put)
{
    ac_wire_writer_t w;
    ac_wire_reader_t r;

    ac_wire_writer_init(&w, 4096, p);
    ac_wire_put_u8(&w, 0xab);
    ac_wire_put_str(&w, "shop");
    ck_assert_int_eq(w.status, APR_SUCCESS);

    ac_wire_reader_init(&r, w.data, w.len);
    ck_assert_uint_eq(ac_wire_get_u8(&r), 0xab);
    ck_assert_str_eq(ac_wire_get_str(&r, p), "shop");
    ck_assert_int_eq(ac_wire_reader_end(&r), APR_SUCCESS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base");
    TCase *wire = tcase_create("wire");
    SRunner *runner;
    int failed;

    apr_initialize();
    tcase_add_checked_fixture(wire, setup, teardown);
    tcase_add_test(wire, wire_gives_back_what_was_put);
    suite_add_tcase(suite, wire);

    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    apr_terminate();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
