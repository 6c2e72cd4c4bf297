/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_dotnet.h"

#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "native/find.h"
#include "native/gate.h"
#include "native/hostfxr.h"
#include "native/runtime.h"
#include "native/trouble.h"
#include "native/version.h"

static char folder[64];

void test_dotnet_make_folder(void)
{
    snprintf(folder, sizeof(folder), "/tmp/ac-dotnet-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void test_dotnet_remove_folder(void)
{
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *test_dotnet_path(const char *name)
{
    static char paths[8][PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % 8];

    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return path;
}

void test_dotnet_write(const char *name, const char *text)
{
    char path[PATH_MAX], *slash = path;
    FILE *f;

    snprintf(path, sizeof(path), "%s", test_dotnet_path(name));
    while ((slash = strchr(slash + 1, '/'))) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void put(unsigned char *p, uint32_t value)
{
    size_t i;

    for (i = 0; i < 4; ++i) {
        p[i] = (unsigned char)(value >> (8 * i));
    }
}

void test_dotnet_assembly(unsigned char image[TEST_DOTNET_ASSEMBLY])
{
    unsigned char *pe = image + 0x40, *optional = pe + 24, *section = optional + 240;

    memset(image, 0, TEST_DOTNET_ASSEMBLY);
    memcpy(image, "MZ", 2);
    put(image + 0x3c, 0x40);
    memcpy(pe, "PE", 2);
    pe[6] = 1;                          /* sections */
    pe[20] = 240;                       /* size of the optional header */
    optional[0] = 0x0b;
    optional[1] = 0x02;
    put(optional + 108, 16);            /* directories */
    put(optional + 112 + 14 * 8, 0x2000);
    put(section + 16, 16);              /* size and place in the file */
    put(section + 20, TEST_DOTNET_ASSEMBLY - 16);
}

void test_dotnet_write_assembly(const char *name, size_t len)
{
    unsigned char image[TEST_DOTNET_ASSEMBLY];
    FILE *f = fopen(test_dotnet_path(name), "w");

    test_dotnet_assembly(image);
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(image, 1, len, f), len);
    fclose(f);
}

START_TEST(versions_are_told_from_other_names)
{
    static const char *const good[] = {
        "10.0.12", "8.0.0", "0.0.0", "11.0.0-preview.4.25258.110", "9.0.0-rc.1+build.7",
        "10.0.100-a-b"
    };
    static const char *const bad[] = {
        "", "10", "10.0", "10.0.", "10.0.x", "10.0.1-", "10.0.1-a..b", "010.0.1",
        "10.0.1.2", "latest", "10.0.1+", "10.0.1 "
    };
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); ++i) {
        ck_assert_msg(ac_dotnet_version_is(good[i]), "%s", good[i]);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
        ck_assert_msg(!ac_dotnet_version_is(bad[i]), "%s", bad[i]);
    }
}
END_TEST

START_TEST(versions_are_ordered)
{
    static const char *const rising[] = {
        "8.0.31", "9.0.0-preview.1", "9.0.0-preview.2", "9.0.0-preview.2.1",
        "9.0.0-preview.10", "9.0.0-rc", "9.0.0-rc.1", "9.0.0-rca", "9.0.0", "9.0.2",
        "9.0.10", "9.1.0", "10.0.0", "10.0.100000000000000000000",
        "10.0.100000000000000000001"
    };
    const int n = sizeof(rising) / sizeof(rising[0]);
    int i, j;

    for (i = 0; i < n; ++i) {
        for (j = 0; j < n; ++j) {
            int diff = ac_dotnet_version_compare(rising[i], rising[j]);

            ck_assert_msg((diff > 0) - (diff < 0) == (i > j) - (i < j), "%s and %s: %d",
                          rising[i], rising[j], diff);
        }
    }
    ck_assert_int_eq(ac_dotnet_version_compare("9.0.0+a", "9.0.0+b"), 0);
    ck_assert_int_eq(ac_dotnet_version_compare("9.0.0-a+a", "9.0.0-a"), 0);
}
END_TEST

static const char *root_by_arch, *root_by_name;

static const char *environment(const char *name)
{
    return !strcmp(name, "DOTNET_ROOT") ? root_by_name
           : !strncmp(name, "DOTNET_ROOT_", 12) ? root_by_arch : NULL;
}

static int find_it(const char *chosen, ac_found_t *found)
{
    ac_find_t find = { test_dotnet_path("app"), chosen, environment, folder };

    return ac_find_hostfxr(&find, found);
}

static void install(const char *root, const char *version)
{
    char name[PATH_MAX];

    snprintf(name, sizeof(name), "%.1000s/host/fxr/%.50s/libhostfxr.so", root,
             version);
    test_dotnet_write(name, "");
}

/* Places are filled from the last to the first; each must beat those before. */
START_TEST(hostfxr_is_looked_for_in_order)
{
    static const char *const roots[] = {
        "/usr/lib64/dotnet", "/usr/lib/dotnet", "/usr/share/dotnet"
    };
    ac_found_t found;
    char line[PATH_MAX];
    size_t i;

    root_by_arch = root_by_name = NULL;
    ck_assert(!find_it(NULL, &found));
    ck_assert_ptr_nonnull(strstr(found.places, "\n/usr/share/dotnet\n"));
    ck_assert_ptr_nonnull(strstr(found.places, "/app\n"));
    for (i = 0; i < sizeof(roots) / sizeof(roots[0]); ++i) {
        install(roots[i] + 1, "9.0.0");
        ck_assert(find_it(NULL, &found));
        ck_assert_str_eq(found.root, test_dotnet_path(roots[i] + 1));
    }
    install("registered", "9.0.0");
    snprintf(line, sizeof(line), "%s\nmore\n", test_dotnet_path("registered"));
    test_dotnet_write("etc/dotnet/install_location", line);
    ck_assert(find_it(NULL, &found));
    ck_assert_str_eq(found.root, test_dotnet_path("registered"));
    install("by-name", "9.0.0");
    root_by_name = test_dotnet_path("by-name");
    ck_assert(find_it(NULL, &found));
    ck_assert_str_eq(found.root, root_by_name);
    install("by-arch", "9.0.0");
    root_by_arch = test_dotnet_path("by-arch");
    ck_assert(find_it(NULL, &found));
    ck_assert_str_eq(found.root, root_by_arch);
    install("chosen", "9.0.0");
    ck_assert(find_it(test_dotnet_path("chosen"), &found));
    ck_assert_str_eq(found.root, test_dotnet_path("chosen"));
    ck_assert(!found.self_contained);
    test_dotnet_write("app/libhostfxr.so", "");
    ck_assert(find_it(test_dotnet_path("chosen"), &found));
    ck_assert_str_eq(found.root, test_dotnet_path("app"));
    ck_assert(found.self_contained);
}
END_TEST

START_TEST(the_registration_of_the_architecture_is_first)
{
    ac_found_t found;
    char line[PATH_MAX];

    root_by_arch = root_by_name = NULL;
    install("any", "9.0.0");
    install("this", "9.0.0");
    test_dotnet_write("etc/dotnet/install_location", test_dotnet_path("any"));
    ck_assert(find_it(NULL, &found));
    ck_assert_str_eq(found.root, test_dotnet_path("any"));
#ifdef __x86_64__
    snprintf(line, sizeof(line), "%s\r\n", test_dotnet_path("this"));
    test_dotnet_write("etc/dotnet/install_location_x64", line);
    ck_assert(find_it(NULL, &found));
    ck_assert_str_eq(found.root, test_dotnet_path("this"));
#endif
}
END_TEST

START_TEST(the_newest_hostfxr_that_is_there_is_taken)
{
    ac_found_t found;

    root_by_arch = root_by_name = NULL;
    install("usr/share/dotnet", "9.0.9");
    install("usr/share/dotnet", "9.0.10");
    install("usr/share/dotnet", "10.0.0-rc.2");
    install("usr/share/dotnet", "latest");
    /* An uninstallation that left its folder. */
    test_dotnet_write("usr/share/dotnet/host/fxr/11.0.0/README", "");
    ck_assert(find_it(NULL, &found));
    ck_assert_str_eq(found.hostfxr,
                     test_dotnet_path("usr/share/dotnet/host/fxr/10.0.0-rc.2/"
                                      "libhostfxr.so"));
    install("usr/share/dotnet", "10.0.0");
    ck_assert(find_it(NULL, &found));
    ck_assert_ptr_nonnull(strstr(found.hostfxr, "/10.0.0/"));
}
END_TEST

START_TEST(a_chosen_root_is_the_only_one)
{
    ac_found_t found;

    root_by_arch = root_by_name = NULL;
    install("usr/share/dotnet", "9.0.9");
    ck_assert(!find_it(test_dotnet_path("empty"), &found));
    ck_assert_ptr_nonnull(strstr(found.places, "AppCoreDotnetRoot, "));
    ck_assert_ptr_null(strstr(found.places, "/usr/share"));
}
END_TEST

static void assert_hooks(const char *ours, const char *others, const char *expected)
{
    char *hooks = ac_runtime_hooks(ours, others);

    ck_assert_str_eq(hooks, expected);
    free(hooks);
}

START_TEST(our_hook_is_the_first_and_there_once)
{
    assert_hooks("/a/b.dll", NULL, "/a/b.dll");
    assert_hooks("/a/b.dll", "", "/a/b.dll");
    assert_hooks("/a/b.dll", "/c.dll", "/a/b.dll:/c.dll");
    assert_hooks("/a/b.dll", "/c.dll:/a/b.dll:Name", "/a/b.dll:/c.dll:Name");
    assert_hooks("/a/b.dll", "::/a/b.dllx:", "/a/b.dll:/a/b.dllx");
}
END_TEST

START_TEST(evidence_is_bounded_and_ends_lines)
{
    static ac_trouble_t t;
    static char much[40000];
    size_t before;

    ac_trouble_add(&t, "one", 3);
    ac_trouble_add(&t, "two\n", 4);
    ac_trouble_add(&t, "", 0);
    ck_assert_uint_eq(t.n_evidence, 8);
    ck_assert_mem_eq(t.evidence, "one\ntwo\n", 8);
    memset(much, 'x', sizeof(much));
    ac_trouble_add(&t, much, sizeof(much));
    ck_assert_uint_eq(t.n_evidence, sizeof(t.evidence));
    ck_assert_int_eq(t.evidence[sizeof(t.evidence) - 1], '\n');
    before = t.n_evidence;
    ac_trouble_add(&t, "more", 4);
    ck_assert_uint_eq(t.n_evidence, before);
}
END_TEST

START_TEST(the_first_trouble_counts)
{
    static ac_trouble_t t;
    appcore_failure f;

    ck_assert_int_eq(ac_trouble_set(&t, 31, "first %d", 1), 0);
    ac_trouble_set(&t, 38, "second");
    f = ac_trouble_failure(&t);
    ck_assert_int_eq(f.substatus, 31);
    ck_assert_uint_eq(f.what.len, 7);
    ck_assert_mem_eq(f.what.p, "first 1", 7);
    ck_assert_uint_eq(f.size, sizeof(f));
}
END_TEST

START_TEST(results_of_hostfxr_have_their_sub_status)
{
    ck_assert_int_eq(ac_trouble_of_hostfxr((int)0x80008096u), 31);
    ck_assert_int_eq(ac_trouble_of_hostfxr((int)0x80008083u), 31);
    ck_assert_int_eq(ac_trouble_of_hostfxr((int)0x80008094u), 38);
    ck_assert_int_eq(ac_trouble_of_hostfxr((int)0x800080a3u), 35);
    ck_assert(ac_trouble_is_hostfxr((int)0x80008089u));
    ck_assert(!ac_trouble_is_hostfxr(0));
    ck_assert(!ac_trouble_is_hostfxr(255));
    ck_assert(!ac_trouble_is_hostfxr(-1));
}
END_TEST

START_TEST(a_gate_is_closed_until_it_is_opened)
{
    ac_gate_t gate;

    ac_gate_init(&gate);
    ck_assert(!ac_gate_enter(&gate));
    ac_gate_open(&gate);
    ck_assert(ac_gate_enter(&gate));
    ck_assert(ac_gate_enter(&gate));
    ac_gate_leave(&gate);
    ac_gate_close(&gate);
    ck_assert(!ac_gate_enter(&gate));
    ck_assert(!ac_gate_wait(&gate, 20));
    ac_gate_leave(&gate);
    ck_assert(ac_gate_wait(&gate, 0));
}
END_TEST

#define VISITORS 4

typedef struct crowd_t {
    ac_gate_t gate;
    _Atomic int inside, entered;
} crowd_t;

static void *visit(void *data)
{
    crowd_t *crowd = data;

    while (ac_gate_enter(&crowd->gate)) {
        ++crowd->inside;
        ++crowd->entered;
        --crowd->inside;
        ac_gate_leave(&crowd->gate);
    }
    return NULL;
}

START_TEST(nobody_is_inside_of_an_empty_gate)
{
    static crowd_t crowd;
    pthread_t threads[VISITORS];
    int i, round;

    for (round = 0; round < 50; ++round) {
        ac_gate_init(&crowd.gate);
        ac_gate_open(&crowd.gate);
        crowd.entered = 0;
        for (i = 0; i < VISITORS; ++i) {
            pthread_create(&threads[i], NULL, visit, &crowd);
        }
        while (crowd.entered < 100) {
            sched_yield();
        }
        ac_gate_close(&crowd.gate);
        ck_assert(ac_gate_wait(&crowd.gate, 10000));
        ck_assert_int_eq(crowd.inside, 0);
        for (i = 0; i < VISITORS; ++i) {
            pthread_join(threads[i], NULL);
        }
    }
}
END_TEST

static TCase *parts(void)
{
    TCase *tc = tcase_create("parts");

    tcase_add_checked_fixture(tc, test_dotnet_make_folder, test_dotnet_remove_folder);
    tcase_add_test(tc, versions_are_told_from_other_names);
    tcase_add_test(tc, versions_are_ordered);
    tcase_add_test(tc, hostfxr_is_looked_for_in_order);
    tcase_add_test(tc, the_registration_of_the_architecture_is_first);
    tcase_add_test(tc, the_newest_hostfxr_that_is_there_is_taken);
    tcase_add_test(tc, a_chosen_root_is_the_only_one);
    tcase_add_test(tc, our_hook_is_the_first_and_there_once);
    tcase_add_test(tc, evidence_is_bounded_and_ends_lines);
    tcase_add_test(tc, the_first_trouble_counts);
    tcase_add_test(tc, results_of_hostfxr_have_their_sub_status);
    tcase_add_test(tc, a_gate_is_closed_until_it_is_opened);
    tcase_add_test(tc, nobody_is_inside_of_an_empty_gate);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("dotnet");
    SRunner *runner;
    int failed;

    /* Runtimes that are scripts need no ICU. */
    setenv("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1", 1);
    suite_add_tcase(suite, parts());
    suite_add_tcase(suite, test_dotnet_fit());
    suite_add_tcase(suite, test_dotnet_icu());
    suite_add_tcase(suite, test_dotnet_start());
    suite_add_tcase(suite, test_dotnet_end());
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
