/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_spec.h"

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
    TCase *cases[] = {
        merge_case(), wire_case(), env_case(), text_case(), webconfig_case(),
        folder_case(), look_case(), look_dotnet_case(), look_files_case(),
        companion_case(), bundle_case(), survey_case(), shadow_case()
    };
    Suite *suite = suite_create("spec");
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
