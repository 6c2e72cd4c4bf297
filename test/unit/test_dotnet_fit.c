/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_dotnet.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "native/fit.h"
#include "native/image.h"

static ac_trouble_t trouble;

static int fits(void)
{
    memset(&trouble, 0, sizeof(trouble));
    return ac_fit_check(test_dotnet_path("App.dll"),
                        test_dotnet_path("net8.0/AppCore.AspNetCore.dll"), &trouble);
}

static void assert_trouble(int substatus, const char *text)
{
    ck_assert(!fits());
    ck_assert_int_eq(trouble.substatus, substatus);
    ck_assert_msg(strstr(trouble.what, text) != NULL, "%s", trouble.what);
}

static void setup(void)
{
    test_dotnet_make_folder();
    test_dotnet_write_assembly("App.dll", TEST_DOTNET_ASSEMBLY);
    test_dotnet_write("net8.0/AppCore.AspNetCore.dll", "");
}

static void configure(const char *options)
{
    char text[1024];

    snprintf(text, sizeof(text), "{ \"runtimeOptions\": { %s } }", options);
    test_dotnet_write("App.runtimeconfig.json", text);
}

#define NETCORE "{ \"name\": \"Microsoft.NETCore.App\", \"version\": \"10.0.0\" }"
#define WEB(version) \
    "{ \"name\": \"Microsoft.AspNetCore.App\", \"version\": \"" version "\" }"

START_TEST(an_app_fits)
{
    configure("\"frameworks\": [ " NETCORE ", " WEB("10.0.0") " ]");
    ck_assert(fits());
    configure("\"framework\": " WEB("8.0.0"));
    ck_assert(fits());
    configure("\"includedFrameworks\": [ " NETCORE ", " WEB("9.0.0-rc.1") " ]");
    ck_assert(fits());
}
END_TEST

START_TEST(a_configuration_that_tells_nothing_is_left_to_the_runtime)
{
    ck_assert(fits());
    test_dotnet_write("App.runtimeconfig.json", "{ \"runtimeOptions\"");
    ck_assert(fits());
    test_dotnet_write("App.runtimeconfig.json", "[]");
    ck_assert(fits());
    configure("");
    ck_assert(fits());
    unlink(test_dotnet_path("App.runtimeconfig.json"));
    ck_assert_int_eq(mkfifo(test_dotnet_path("App.runtimeconfig.json"), 0644), 0);
    ck_assert(fits());
}
END_TEST

START_TEST(an_assembly_that_is_missing_is_named)
{
    unlink(test_dotnet_path("App.dll"));
    assert_trouble(38, "App.dll is missing");
    test_dotnet_write("App", "");
    assert_trouble(38, "App.dll is missing");
    chmod(test_dotnet_path("App"), 0755);
    assert_trouble(38, "single file");
    ck_assert(!ac_fit_check("x", NULL, &trouble));
}
END_TEST

START_TEST(half_an_assembly_is_named)
{
    size_t len;

    for (len = 0; len < TEST_DOTNET_ASSEMBLY; ++len) {
        test_dotnet_write_assembly("App.dll", len);
        assert_trouble(38, len == 0 ? "App.dll is empty" : len < 316
                       ? "App.dll is no .NET assembly" : "App.dll is cut off");
    }
    test_dotnet_write("App.dll", "hello");
    assert_trouble(38, "App.dll is no .NET assembly");
    unlink(test_dotnet_path("App.dll"));
    ck_assert_int_eq(mkdir(test_dotnet_path("App.dll"), 0755), 0);
    assert_trouble(38, "App.dll cannot be read");
}
END_TEST

/* Programs are Portable Executables, too. */
START_TEST(an_image_without_managed_code_is_no_assembly)
{
    unsigned char image[TEST_DOTNET_ASSEMBLY];

    test_dotnet_assembly(image);
    ck_assert_ptr_null(ac_image_fault(image, sizeof(image), sizeof(image)));
    ck_assert_str_eq(ac_image_fault(image, sizeof(image), sizeof(image) - 1),
                     "is cut off");
    image[0x40 + 24 + 108] = 14;
    ck_assert_str_eq(ac_image_fault(image, sizeof(image), sizeof(image)),
                     "is no .NET assembly");
    image[0x3c] = image[0x3d] = image[0x3e] = image[0x3f] = 0xff;
    ck_assert_str_eq(ac_image_fault(image, sizeof(image), sizeof(image)),
                     "is no .NET assembly");
}
END_TEST

START_TEST(a_companion_that_is_missing_is_named)
{
    unlink(test_dotnet_path("net8.0/AppCore.AspNetCore.dll"));
    assert_trouble(33, "net8.0/AppCore.AspNetCore.dll, through which httpd serves the "
                   "app, is not installed");
    memset(&trouble, 0, sizeof(trouble));
    ck_assert(!ac_fit_check(test_dotnet_path("App.dll"), NULL, &trouble));
    ck_assert_int_eq(trouble.substatus, 33);
}
END_TEST

START_TEST(an_app_for_an_older_net_than_the_companion_does_not_fit)
{
    configure("\"frameworks\": [ " NETCORE ", " WEB("7.0.0") " ]");
    assert_trouble(33, "is for .NET 7, but");
    configure("\"includedFrameworks\": [ " WEB("6.0.36") " ]");
    assert_trouble(33, "was built for .NET 8");
}
END_TEST

START_TEST(an_app_that_serves_nothing_does_not_fit)
{
    configure("\"framework\": " NETCORE);
    assert_trouble(33, "does not use the framework Microsoft.AspNetCore.App");
}
END_TEST

START_TEST(an_app_without_hooks_does_not_fit)
{
    configure("\"framework\": " WEB("10.0.0") ", \"configProperties\": { "
              "\"System.StartupHookProvider.IsSupported\": false }");
    assert_trouble(33, "no start-up hooks");
    configure("\"framework\": " WEB("10.0.0") ", \"configProperties\": { "
              "\"System.StartupHookProvider.IsSupported\": \"False\" }");
    assert_trouble(33, "no start-up hooks");
    configure("\"framework\": " WEB("10.0.0") ", \"configProperties\": { "
              "\"System.StartupHookProvider.IsSupported\": true }");
    ck_assert(fits());
}
END_TEST

TCase *test_dotnet_fit(void)
{
    TCase *tc = tcase_create("fit");

    tcase_add_checked_fixture(tc, setup, test_dotnet_remove_folder);
    tcase_add_test(tc, an_app_fits);
    tcase_add_test(tc, a_configuration_that_tells_nothing_is_left_to_the_runtime);
    tcase_add_test(tc, an_assembly_that_is_missing_is_named);
    tcase_add_test(tc, half_an_assembly_is_named);
    tcase_add_test(tc, an_image_without_managed_code_is_no_assembly);
    tcase_add_test(tc, a_companion_that_is_missing_is_named);
    tcase_add_test(tc, an_app_for_an_older_net_than_the_companion_does_not_fit);
    tcase_add_test(tc, an_app_that_serves_nothing_does_not_fit);
    tcase_add_test(tc, an_app_without_hooks_does_not_fit);
    return tc;
}
