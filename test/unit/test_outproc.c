/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include <stdlib.h>
#include <apr_general.h>
#include "test_outproc.h"

int main(void)
{
    Suite *s = suite_create("outproc");
    SRunner *sr;
    int failed;

    apr_initialize();
    suite_add_tcase(s, test_outproc_policy());
    suite_add_tcase(s, test_outproc_pool());
    suite_add_tcase(s, test_outproc_retry());
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    apr_terminate();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
