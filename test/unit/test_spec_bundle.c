/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_spec.h"

#include <elf.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>
#include "spec/bundle.h"
#include "spec/look.h"

#define WEB(version, more) \
    "{\"runtimeOptions\": {\"frameworks\": [{\"name\": \"Microsoft.NETCore.App\", " \
    "\"version\": \"" version "\"}, {\"name\": \"Microsoft.AspNetCore.App\", " \
    "\"version\": \"" version "\"}]" more "}}"
#define HOOKS_OFF \
    ", \"configProperties\": {\"System.StartupHookProvider.IsSupported\": false}"
#define ID "lp-XTuK6NfNq"

static const unsigned char mark[] =
    "\x8b\x12\x02\xb9\x6a\x61\x20\x38\x72\x7b\x93\x02\x14\xd7\xa0\x32"
    "\x13\xf5\xb9\xe6\xef\xae\x33\x18\xee\x3b\x2d\xce\x24\xb3\x6a\xae";

/* The smallest program with something appended, as publishing lays it out. */
typedef struct program_t {
    Elf64_Ehdr head;
    Elf64_Phdr segments[2];
    struct {
        char other[16];
        unsigned char offset[8];
        unsigned char mark[32];
    } data;
    char config[512];
    struct {
        unsigned char major[4], minor[4], files[4], id_size, id[sizeof(ID) - 1];
        unsigned char deps[16], config_at[8], config_size[8], flags[8];
    } header;
} program_t;

static void put_number(unsigned char *at, uint64_t n, int size)
{
    for (; size-- > 0; n >>= 8) {
        *at++ = (unsigned char)n;
    }
}

static void fill_header(program_t *file, const char *config)
{
    file->header.major[0] = 6;
    file->header.id_size = sizeof(ID) - 1;
    memcpy(file->header.id, ID, sizeof(ID) - 1);
    put_number(file->header.config_at, offsetof(program_t, config), 8);
    put_number(file->header.config_size, strlen(config), 8);
}

static program_t make_program(const char *config)
{
    const uint16_t one = 1;
    program_t file;

    memset(&file, 0, sizeof(file));
    memcpy(file.head.e_ident, ELFMAG, SELFMAG);
    file.head.e_ident[EI_CLASS] = ELFCLASS64;
    file.head.e_ident[EI_DATA] = *(const char *)&one ? ELFDATA2LSB : ELFDATA2MSB;
    file.head.e_type = ET_DYN;
    file.head.e_phoff = offsetof(program_t, segments);
    file.head.e_phnum = 2;
    file.head.e_phentsize = sizeof(Elf64_Phdr);
    file.segments[0].p_type = PT_LOAD;
    file.segments[0].p_flags = PF_R | PF_X;
    file.segments[0].p_filesz = sizeof(file);
    file.segments[1].p_type = PT_LOAD;
    file.segments[1].p_flags = PF_R | PF_W;
    file.segments[1].p_offset = offsetof(program_t, data);
    file.segments[1].p_filesz = sizeof(file.data);
    put_number(file.data.offset, offsetof(program_t, header), 8);
    memcpy(file.data.mark, mark, sizeof(file.data.mark));
    memcpy(file.config, config, strlen(config));
    fill_header(&file, config);
    return file;
}

/* The configuration in a file that ends after so many bytes. */
static const char *config_of(const void *file, size_t size)
{
    apr_size_t len = 0;
    const char *config;
    int fd;

    put_bytes("App", file, size);
    fd = open(in_folder("App"), O_RDONLY);
    ck_assert_int_ge(fd, 0);
    config = ac_bundle_config(fd, &len, p);
    ck_assert(!config || strlen(config) == len);
    close(fd);
    return config;
}

#define ck_config(file, text) ck_assert_str_eq(config_of(&(file), sizeof(file)), text)
#define ck_none(file) ck_assert_ptr_null(config_of(&(file), sizeof(file)))

START_TEST(configuration_is_found)
{
    program_t file = make_program("{}");

    ck_config(file, "{}");
    file.head.e_type = ET_EXEC;
    file.header.major[0] = 2;
    ck_config(file, "{}");
    /* Neither the rest of the header nor what comes after it is needed. */
    ck_assert_str_eq(config_of(&file, sizeof(file) - sizeof(file.header.flags)), "{}");
}
END_TEST

START_TEST(id_of_more_than_127_bytes)
{
    program_t file = make_program("{}");
    unsigned char locations[48], longer[sizeof(file) + 129];
    const size_t at = offsetof(program_t, header.id_size);

    memcpy(locations, file.header.deps, sizeof(locations) - 8);
    memset(longer, 'x', sizeof(longer));
    memcpy(longer, &file, sizeof(file));
    longer[at] = 0x80 | (130 & 0x7f);
    longer[at + 1] = 130 >> 7;
    memcpy(longer + at + 2 + 130, locations, 40);
    ck_assert_str_eq(config_of(longer, sizeof(longer)), "{}");
    longer[at + 1] = 3;
    ck_none(longer);
}
END_TEST

START_TEST(other_programs_have_none)
{
    program_t file = make_program("{}");

    file.header.major[0] = 1;
    ck_none(file);
    file = make_program("{}");
    /* The program of an app with a dll beside it. */
    memset(file.data.offset, 0, sizeof(file.data.offset));
    ck_none(file);
    file = make_program("{}");
    file.data.mark[31] ^= 1;
    ck_none(file);
    /* A copy of the mark in what cannot be written is none. */
    file = make_program("{}");
    file.segments[1].p_flags = PF_R;
    ck_none(file);
    ck_assert_ptr_null(config_of("#!/bin/sh\n", 10));
    ck_assert_ptr_null(config_of("", 0));
}
END_TEST

/* Numbers in the file may be anything. */
static void ck_number(size_t offset, int size, uint64_t n)
{
    program_t file = make_program("{}");

    put_number((unsigned char *)&file + offset, n, size);
    ck_none(file);
}

START_TEST(numbers_are_not_believed)
{
    static const uint64_t wrong[] = {
        0, sizeof(program_t), 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff,
        0xffffffffffffffd0, INT64_MAX - AC_LOOK_FILE_MAX, 0xffffffff
    };
    size_t i;

    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); ++i) {
        ck_number(offsetof(program_t, data.offset), 8, wrong[i]);
        ck_number(offsetof(program_t, header.config_at), 8, wrong[i]);
        ck_number(offsetof(program_t, header.config_size), 8, wrong[i]);
        ck_number(offsetof(program_t, segments[1].p_filesz), 8, wrong[i]);
        ck_number(offsetof(program_t, head.e_phoff), 8, wrong[i]);
    }
    for (i = 1; i < sizeof(wrong) / sizeof(wrong[0]); ++i) {
        ck_number(offsetof(program_t, segments[1].p_offset), 8, wrong[i]);
    }
    ck_number(offsetof(program_t, header.config_size), 8, AC_LOOK_FILE_MAX + 1);
    ck_number(offsetof(program_t, header.id_size), 1, 0x7f);
    ck_number(offsetof(program_t, header.id_size), 2, 0xffff);
    ck_number(offsetof(program_t, head.e_phnum), 2, 0xffff);
    ck_number(offsetof(program_t, head.e_phentsize), 2, 0xffff);
}
END_TEST

START_TEST(files_may_end_anywhere)
{
    const program_t file = make_program("{}");
    size_t len;

    for (len = 0; len < offsetof(program_t, header.flags); ++len) {
        ck_assert_ptr_null(config_of(&file, len));
    }
}
END_TEST

/* The offset in front of the mark need not be in what is searched. */
START_TEST(mark_at_the_beginning_of_a_segment)
{
    program_t file = make_program("{}");

    file.segments[1].p_offset = offsetof(program_t, data.mark);
    file.segments[1].p_filesz = sizeof(file.data.mark);
    ck_config(file, "{}");
}
END_TEST

static int companion_for(const char *config)
{
    const program_t file = make_program(config);
    ac_settings_t *set = ac_settings_create(p);
    ac_look_request_t req = { folder, "/shop", "shop", set, in_folder("c"), 0 };
    const ac_launch_t *launch;

    put_bytes("App", &file, sizeof(file));
    ck_assert_int_eq(chmod(in_folder("App"), 0755), 0);
    launch = ac_look_as(&req, geteuid(), p);
    ck_launch(launch);
    ck_assert_int_eq(launch->kind, AC_KIND_DOTNET);
    return launch->companion;
}

START_TEST(single_file_has_the_companion_of_its_version)
{
    ck_assert_int_eq(mkdir(in_folder("c"), 0755), 0);
    ck_assert_int_eq(mkdir(in_folder("c/net9.0"), 0755), 0);
    put_file("c/net9.0/AppCore.AspNetCore.dll", "");
    put_file("App.staticwebassets.endpoints.json", "{}");
    ck_assert_int_eq(companion_for(WEB("9.0.0", "")), 9);
    ck_assert_int_eq(companion_for(WEB("10.0.0", "")), 9);
    ck_assert_int_eq(companion_for(WEB("8.0.0", "")), 0);
    ck_assert_int_eq(companion_for(WEB("9.0.0", HOOKS_OFF)), 0);
    ck_assert_int_eq(companion_for("{"), 0);
    ck_assert_int_eq(companion_for("[]"), 0);
    ck_assert_int_eq(companion_for(""), 0);
}
END_TEST

TCase *bundle_case(void)
{
    TCase *tc = case_create("bundle");

    tcase_add_checked_fixture(tc, make_folder, remove_folder);
    tcase_add_test(tc, configuration_is_found);
    tcase_add_test(tc, id_of_more_than_127_bytes);
    tcase_add_test(tc, other_programs_have_none);
    tcase_add_test(tc, numbers_are_not_believed);
    tcase_add_test(tc, files_may_end_anywhere);
    tcase_add_test(tc, mark_at_the_beginning_of_a_segment);
    tcase_add_test(tc, single_file_has_the_companion_of_its_version);
    return tc;
}
