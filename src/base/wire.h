/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_BASE_WIRE_H
#define AC_BASE_WIRE_H

/* The encoding of everything that crosses a process boundary of ours: specs,
 * what a look at a folder found, control messages, reports.
 *
 * Numbers are little endian and of fixed size, strings and byte runs carry a
 * 32-bit length, lists carry a 32-bit count. There is no padding, no pointer
 * and no type tag: both sides agree by ac_message_version (shared/message.h).
 *
 * A writer grows in its pool up to a limit. A reader points into bytes it does
 * not own. Both have a sticky error: after the first fault every further call
 * is a no-op (writer) or yields zero (reader), so callers check once, at the
 * end. A reader never trusts a length: whatever it returns lies inside the
 * bytes given. No function blocks; none is thread-safe on a shared object. */

#include <stdint.h>
#include <apr_pools.h>
#include <apr_errno.h>

typedef struct ac_wire_writer_t {
    apr_pool_t *p;
    unsigned char *data;
    apr_size_t len;
    apr_size_t size;
    apr_size_t limit;
    apr_status_t status;        /* APR_SUCCESS, or APR_ENOSPC past the limit */
} ac_wire_writer_t;

typedef struct ac_wire_reader_t {
    const unsigned char *data;
    apr_size_t len;
    apr_size_t pos;
    apr_status_t status;        /* APR_SUCCESS, or APR_EINVAL */
} ac_wire_reader_t;

void ac_wire_writer_init(ac_wire_writer_t *w, apr_size_t limit, apr_pool_t *p);
void ac_wire_put_u8(ac_wire_writer_t *w, uint8_t v);
void ac_wire_put_u32(ac_wire_writer_t *w, uint32_t v);
void ac_wire_put_u64(ac_wire_writer_t *w, uint64_t v);
void ac_wire_put_i64(ac_wire_writer_t *w, int64_t v);
/* NULL and "" stay distinct. */
void ac_wire_put_str(ac_wire_writer_t *w, const char *s);
void ac_wire_put_bytes(ac_wire_writer_t *w, const void *data, apr_size_t len);

void ac_wire_reader_init(ac_wire_reader_t *r, const void *data, apr_size_t len);
uint8_t ac_wire_get_u8(ac_wire_reader_t *r);
uint32_t ac_wire_get_u32(ac_wire_reader_t *r);
uint64_t ac_wire_get_u64(ac_wire_reader_t *r);
int64_t ac_wire_get_i64(ac_wire_reader_t *r);
/* A NUL-terminated copy in p, or NULL. A string with a NUL inside is a fault. */
const char *ac_wire_get_str(ac_wire_reader_t *r, apr_pool_t *p);
/* Points into the reader's bytes; *plen is their number. */
const void *ac_wire_get_bytes(ac_wire_reader_t *r, apr_size_t *plen);
/* A list count; a fault if it exceeds max. */
uint32_t ac_wire_get_count(ac_wire_reader_t *r, uint32_t max);
/* APR_SUCCESS iff there was no fault and every byte was read. */
apr_status_t ac_wire_reader_end(const ac_wire_reader_t *r);

#endif
