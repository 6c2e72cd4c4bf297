/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_TEST_DOTNET_H
#define AC_TEST_DOTNET_H

#include <check.h>

/* A folder that is removed after the test. */
void test_dotnet_make_folder(void);
void test_dotnet_remove_folder(void);

/* The path of something in it, in one of a few buffers that are used in turn. */
const char *test_dotnet_path(const char *name);

/* Writes a file, with the folders above it. */
void test_dotnet_write(const char *name, const char *text);

/* The least that has the headers of a .NET assembly. */
#define TEST_DOTNET_ASSEMBLY 384
void test_dotnet_assembly(unsigned char image[TEST_DOTNET_ASSEMBLY]);
/* Writes its first len bytes. */
void test_dotnet_write_assembly(const char *name, size_t len);

TCase *test_dotnet_fit(void);
TCase *test_dotnet_icu(void);
TCase *test_dotnet_start(void);
TCase *test_dotnet_end(void);

#endif
