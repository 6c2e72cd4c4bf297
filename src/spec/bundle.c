/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/bundle.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include "spec/elf.h"
#include "spec/look.h"

/* The program has a variable of 8 bytes and a mark. Publishing writes into the
 * former where in the file the header of what was appended begins. All numbers are
 * little-endian.
 *
 *     u32 major, u32 minor, i32 number of files
 *     length of the id in 7-bit groups, id
 *     from major 2 on: i64 offset and size of deps.json, the same of
 *     runtimeconfig.json, u64 flags
 *
 * Neither of these two is ever compressed. */
#define OFFSET_SIZE 8
#define FIXED_SIZE 12
#define ID_MAX 255
#define LOCATION_SIZE 16
#define MAJOR_MIN 2
#define HEADER_MAX (FIXED_SIZE + 2 + ID_MAX + 2 * LOCATION_SIZE)

/* SHA-256 of ".net core bundle". */
static const unsigned char mark[32] = {
    0x8b, 0x12, 0x02, 0xb9, 0x6a, 0x61, 0x20, 0x38, 0x72, 0x7b, 0x93, 0x02, 0x14, 0xd7,
    0xa0, 0x32, 0x13, 0xf5, 0xb9, 0xe6, 0xef, 0xae, 0x33, 0x18, 0xee, 0x3b, 0x2d, 0xce,
    0x24, 0xb3, 0x6a, 0xae
};

static uint64_t number(const unsigned char *at, int size)
{
    uint64_t n = 0;

    while (size-- > 0) {
        n = n << 8 | at[size];
    }
    return n;
}

/* As many bytes as there are, at most max. */
static apr_size_t read_some(int fd, uint64_t offset, void *data, apr_size_t max)
{
    apr_size_t len = 0;
    ssize_t n = 1;

    while (offset < INT64_MAX - max && len < max && n > 0) {
        n = pread(fd, (char *)data + len, max - len, (off_t)(offset + len));
        len += n > 0 ? (apr_size_t)n : 0;
        n = n < 0 && errno == EINTR ? 1 : n;
    }
    return len;
}

/* Where the header begins; 0: nothing was appended. */
static uint64_t header_of(int fd, apr_pool_t *p)
{
    int64_t at = ac_elf_find(fd, mark, sizeof(mark), p);
    unsigned char offset[OFFSET_SIZE];

    if (at < OFFSET_SIZE
        || read_some(fd, (uint64_t)at - OFFSET_SIZE, offset, OFFSET_SIZE) < OFFSET_SIZE) {
        return 0;
    }
    return number(offset, OFFSET_SIZE);
}

/* Of the header, behind the id; NULL. */
static const unsigned char *locations_of(const unsigned char *head, apr_size_t len)
{
    apr_size_t at = FIXED_SIZE, id;

    if (len < FIXED_SIZE + 2 || number(head, 4) < MAJOR_MIN) {
        return NULL;
    }
    id = head[at++];
    if (id & 0x80) {
        id = (id & 0x7f) | (apr_size_t)head[at++] << 7;
    }
    return id <= ID_MAX && len - at >= id + 2 * LOCATION_SIZE ? head + at + id : NULL;
}

char *ac_bundle_config(int fd, apr_size_t *plen, apr_pool_t *p)
{
    uint64_t header = header_of(fd, p);
    unsigned char head[HEADER_MAX];
    const unsigned char *location;
    uint64_t offset, size;
    char *config;

    location = header ? locations_of(head, read_some(fd, header, head, sizeof(head)))
                      : NULL;
    if (!location) {
        return NULL;
    }
    offset = number(location + LOCATION_SIZE, 8);
    size = number(location + LOCATION_SIZE + 8, 8);
    if (offset == 0 || size == 0 || size > AC_LOOK_FILE_MAX) {
        return NULL;
    }
    config = apr_palloc(p, size + 1);
    config[size] = '\0';
    *plen = (apr_size_t)size;
    return read_some(fd, offset, config, *plen) == *plen ? config : NULL;
}
