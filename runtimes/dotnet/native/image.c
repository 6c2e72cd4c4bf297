/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "native/image.h"

#include <string.h>

/* Offsets of the Portable Executable format. */
#define DOS_PE_OFFSET 0x3c
#define COFF_SECTIONS 6         /* all from the PE signature */
#define COFF_OPTIONAL_SIZE 20
#define OPTIONAL_HEADER 24
#define MAGIC_32 0x10b
#define MAGIC_64 0x20b
#define DIRECTORIES_32 96       /* from the optional header */
#define DIRECTORIES_64 112
#define CLI_DIRECTORY 14
#define DIRECTORY_SIZE 8
#define SECTION_SIZE 40
#define SECTION_RAW_SIZE 16
#define SECTION_RAW_OFFSET 20

typedef struct view_t {
    const unsigned char *p;
    size_t len;
} view_t;

/* 0 beyond the end: a header that is cut off names nothing. */
static uint32_t number(const view_t *v, size_t at, size_t bytes)
{
    uint32_t n = 0;
    size_t i;

    if (at > v->len || bytes > v->len - at) {
        return 0;
    }
    for (i = 0; i < bytes; ++i) {
        n |= (uint32_t)v->p[at + i] << (8 * i);
    }
    return n;
}

static int names_cli(const view_t *v, size_t optional)
{
    uint32_t magic = number(v, optional, 2);
    size_t at = optional + (magic == MAGIC_64 ? DIRECTORIES_64 : DIRECTORIES_32);

    return (magic == MAGIC_32 || magic == MAGIC_64)
           && number(v, at - 4, 4) > CLI_DIRECTORY
           && number(v, at + CLI_DIRECTORY * DIRECTORY_SIZE, 4) != 0;
}

/* Where the table of sections and what it names ends. */
static uint64_t end_of(const view_t *v, size_t sections, size_t n)
{
    uint64_t end = sections + n * SECTION_SIZE, here;
    size_t i, at;

    for (i = 0; i < n; ++i) {
        at = sections + i * SECTION_SIZE;
        here = (uint64_t)number(v, at + SECTION_RAW_OFFSET, 4)
               + number(v, at + SECTION_RAW_SIZE, 4);
        end = here > end ? here : end;
    }
    return end;
}

const char *ac_image_fault(const unsigned char *head, size_t len, uint64_t file_size)
{
    view_t v = { head, len };
    size_t pe = number(&v, DOS_PE_OFFSET, 4), optional = pe + OPTIONAL_HEADER;

    if (len == 0) {
        return "is empty";
    }
    if (number(&v, 0, 2) != 0x5a4d || number(&v, pe, 4) != 0x4550
        || !names_cli(&v, optional)) {
        return "is no .NET assembly";
    }
    if (end_of(&v, optional + number(&v, pe + COFF_OPTIONAL_SIZE, 2),
               number(&v, pe + COFF_SECTIONS, 2)) > file_size) {
        return "is cut off";
    }
    return NULL;
}
