/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_HTTP1_CHUNK_H
#define AC_HTTP1_CHUNK_H

/* The chunked coding, RFC 9112 7.1, as a decoder that copies nothing.
 *
 * A decoder is plain data inside its exchange. Each call looks at the bytes at
 * hand and returns either a run of payload inside them or how far it came.
 * Sizes above 2^62, more than 16 hex digits, chunk extensions above 1 KiB, bare
 * CR and trailers above the limits are faults. Never blocks. */

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_errno.h>

typedef struct ac_chunk_decoder_t {
    int state;
    apr_uint64_t left;          /* of the current chunk */
    unsigned digits;
    unsigned extension;         /* bytes of extension on this line */
    apr_size_t trailer_bytes;
    char *line;                 /* of a trailer, allocated on demand */
    apr_size_t line_len;
    apr_table_t *trailers;      /* NULL if there were none */
    apr_pool_t *p;
} ac_chunk_decoder_t;

void ac_chunk_decoder_init(ac_chunk_decoder_t *d, apr_pool_t *p);

/* Takes *pused of len bytes. APR_SUCCESS with *ppayload and *pn set: a run of
 * payload (n > 0). APR_INCOMPLETE: everything was taken, more is needed.
 * APR_EOF: the body is complete with its trailers. APR_EGENERAL: malformed. */
apr_status_t ac_chunk_decode(ac_chunk_decoder_t *d, const char *data, apr_size_t len,
                             apr_size_t *pused, const char **ppayload, apr_size_t *pn);

/* "1a2b\r\n" into buf (20 bytes suffice); its length. The caller sends payload,
 * then "\r\n"; and "0\r\n\r\n" at the end. */
apr_size_t ac_chunk_head(char *buf, apr_uint64_t n);

#endif
