/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_manager.h"

#include <stdlib.h>
#include <apr_general.h>

apr_pool_t *p;

static void setup(void)
{
    apr_pool_create(&p, NULL);
}

static void teardown(void)
{
    apr_pool_destroy(p);
}

TCase *case_create(const char *name)
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, setup, teardown);
    return tc;
}

int main(void)
{
    TCase *cases[] = { supervise_case(), failures_case(), crowd_case(),
                       reload_case(), parts_case(),
                       loop_case(), live_case(), folder_case() };
    Suite *suite = suite_create("manager");
    SRunner *runner;
    unsigned i;
    int failed;

    apr_initialize();
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        suite_add_tcase(suite, cases[i]);
    }
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    apr_terminate();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
