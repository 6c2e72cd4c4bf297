/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/*   SIZE -> BLANK -> EXTENSION -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE …
 *                                    `-(0)-> TRAILER … -> END_LF -> DONE
 *   any fault -> BROKEN
 *
 * Chunk lines end with CRLF and nothing else: readers that differ about a lone
 * LF there also differ about where the message ends. */

#include "http1/chunk.h"

#include <string.h>
#include <strings.h>
#include "http1/line.h"

#define DIGITS_MAX      16
#define SIZE_MAX_62     (APR_UINT64_C(1) << 62)
#define EXTENSION_MAX   1024
#define TRAILER_MAX     8192    /* bytes of all trailer lines */
#define TRAILERS_MAX    64

enum {
    SIZE,
    BLANK,                      /* behind the digits */
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER,
    END_LF,                     /* the CR of the last line was seen */
    DONE,
    BROKEN
};

void ac_chunk_decoder_init(ac_chunk_decoder_t *d, apr_pool_t *p)
{
    memset(d, 0, sizeof(*d));
    d->state = SIZE;
    d->p = p;
}

/* Behind the digits: some senders pad the size with spaces. */
static int on_blank(ac_chunk_decoder_t *d, char c)
{
    if (c == '\r') {
        return SIZE_LF;
    }
    if (++d->extension > EXTENSION_MAX) {
        return BROKEN;
    }
    if (c == ' ' || c == '\t') {
        return BLANK;
    }
    return c == ';' ? EXTENSION : BROKEN;
}

static int on_size(ac_chunk_decoder_t *d, char c)
{
    int digit = ac_char_hex(c);

    if (digit >= 0) {
        d->left = d->left << 4 | (unsigned)digit;
        return ++d->digits > DIGITS_MAX || d->left > SIZE_MAX_62 ? BROKEN : SIZE;
    }
    if (!d->digits) {
        return BROKEN;
    }
    return on_blank(d, c);
}

static int on_extension(ac_chunk_decoder_t *d, char c)
{
    if (c == '\r') {
        return SIZE_LF;
    }
    return ac_char_is(c, AC_CHAR_VALUE) && ++d->extension <= EXTENSION_MAX
           ? EXTENSION : BROKEN;
}

static int on_size_end(ac_chunk_decoder_t *d, char c)
{
    d->digits = 0;
    d->extension = 0;
    if (c != '\n') {
        return BROKEN;
    }
    return d->left ? DATA : TRAILER;
}

/* Fields that say how a message is framed, routed or understood mean nothing
 * behind it, and may do harm to who merges them, RFC 9110 6.5.1. */
static int may_trail(const char *name)
{
    static const char *const refused[] = {
        "Transfer-Encoding", "Content-Length", "Content-Type", "Content-Encoding",
        "Content-Range", "Connection", "Keep-Alive", "Host", "TE", "Trailer",
        "Upgrade", "Set-Cookie", "Location", "Cache-Control"
    };
    unsigned i;

    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); ++i) {
        if (!strcasecmp(name, refused[i])) {
            return 0;
        }
    }
    return strncasecmp(name, "Proxy-", 6) != 0;
}

/* The line is complete in d->line, its LF not included. */
static int on_trailer_line(ac_chunk_decoder_t *d)
{
    char *line = d->line, *name, *value;
    apr_size_t len = d->line_len;

    if (line[len - 1] == '\r') {
        --len;
    }
    /* The next line continues behind this one: names and values stay here. */
    d->line += d->line_len + 1;
    d->line_len = 0;
    if (ac_line_field(line, len, &name, &value)) {
        return BROKEN;
    }
    if (!d->trailers) {
        d->trailers = apr_table_make(d->p, 4);
    }
    if (apr_table_elts(d->trailers)->nelts >= TRAILERS_MAX) {
        return BROKEN;
    }
    if (may_trail(name)) {
        apr_table_addn(d->trailers, name, value);
    }
    return TRAILER;
}

/* Lines as in a head. Most bodies have no trailer and cost no memory here. */
static int on_trailer(ac_chunk_decoder_t *d, char c)
{
    if (!d->line_len && (c == '\r' || c == '\n')) {
        return c == '\r' ? END_LF : DONE;
    }
    if (++d->trailer_bytes > TRAILER_MAX) {
        return BROKEN;
    }
    if (!d->line) {
        d->line = apr_palloc(d->p, TRAILER_MAX);
    }
    d->line[d->line_len] = c;
    if (c == '\n') {
        return on_trailer_line(d);
    }
    ++d->line_len;
    return TRAILER;
}

static int step(ac_chunk_decoder_t *d, char c)
{
    switch (d->state) {
    case SIZE:
        return on_size(d, c);
    case BLANK:
        return on_blank(d, c);
    case EXTENSION:
        return on_extension(d, c);
    case SIZE_LF:
        return on_size_end(d, c);
    case DATA_CR:
        return c == '\r' ? DATA_LF : BROKEN;
    case DATA_LF:
        return c == '\n' ? SIZE : BROKEN;
    case TRAILER:
        return on_trailer(d, c);
    case END_LF:
        return c == '\n' ? DONE : BROKEN;
    default:
        return BROKEN;
    }
}

apr_status_t ac_chunk_decode(ac_chunk_decoder_t *d, const char *data, apr_size_t len,
                             apr_size_t *pused, const char **ppayload, apr_size_t *pn)
{
    apr_size_t at = 0;

    *ppayload = NULL;
    *pn = 0;
    while (at < len && d->state != DATA && d->state < DONE) {
        d->state = step(d, data[at++]);
    }
    if (d->state == DATA && at < len) {
        *ppayload = data + at;
        *pn = len - at < d->left ? len - at : (apr_size_t)d->left;
        d->left -= *pn;
        at += *pn;
        if (!d->left) {
            d->state = DATA_CR;
        }
    }
    *pused = at;
    if (*pn) {
        return APR_SUCCESS;
    }
    if (d->state == DONE) {
        return APR_EOF;
    }
    return d->state == BROKEN ? APR_EGENERAL : APR_INCOMPLETE;
}

apr_size_t ac_chunk_head(char *buf, apr_uint64_t n)
{
    static const char digits[] = "0123456789abcdef";
    apr_size_t len = 1;
    apr_size_t i;

    while (len < 16 && n >> (4 * len)) {
        ++len;
    }
    for (i = 0; i < len; ++i) {
        buf[i] = digits[n >> (4 * (len - 1 - i)) & 15];
    }
    buf[len] = '\r';
    buf[len + 1] = '\n';
    return len + 2;
}
