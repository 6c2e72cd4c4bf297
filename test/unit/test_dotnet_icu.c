/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_dotnet.h"

#include <stdlib.h>
#include "native/icu.h"

#define INVARIANT "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT"

START_TEST(an_app_may_do_without_cultures)
{
    const char *before = getenv(INVARIANT);

    unsetenv(INVARIANT);
    ck_assert(ac_icu_is_wanted(NULL, NULL));
    ck_assert(ac_icu_is_wanted("false", ""));
    ck_assert(!ac_icu_is_wanted("true", NULL));
    ck_assert(!ac_icu_is_wanted("1", NULL));
    ck_assert(!ac_icu_is_wanted(NULL, "72.1"));
    setenv(INVARIANT, "True", 1);
    ck_assert(!ac_icu_is_wanted("false", NULL));
    setenv(INVARIANT, "0", 1);
    ck_assert(ac_icu_is_wanted(NULL, NULL));
    if (before) {
        setenv(INVARIANT, before, 1);
    }
}
END_TEST

START_TEST(a_library_is_there_or_not)
{
    ck_assert(ac_icu_is_there("libc.so.6"));
    ck_assert(!ac_icu_is_there("libnothing-of-the-kind.so"));
}
END_TEST

TCase *test_dotnet_icu(void)
{
    TCase *tc = tcase_create("icu");

    tcase_add_test(tc, an_app_may_do_without_cultures);
    tcase_add_test(tc, a_library_is_there_or_not);
    return tc;
}
