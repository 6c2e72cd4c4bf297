/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "base/wire.h"

#include <string.h>
#include <apr_strings.h>

#define NO_STRING 0xffffffffu

void ac_wire_writer_init(ac_wire_writer_t *w, apr_size_t limit, apr_pool_t *p)
{
    memset(w, 0, sizeof(*w));
    w->p = p;
    w->limit = limit;
}

static unsigned char *reserve(ac_wire_writer_t *w, apr_size_t n)
{
    unsigned char *at;

    if (w->status != APR_SUCCESS) {
        return NULL;
    }
    if (n > w->limit - w->len) {
        w->status = APR_ENOSPC;
        return NULL;
    }
    if (n > w->size - w->len) {
        apr_size_t size = w->size ? w->size : 256;

        while (size < w->len + n) {
            size *= 2;
        }
        at = apr_palloc(w->p, size);
        if (w->len) {
            memcpy(at, w->data, w->len);
        }
        w->data = at;
        w->size = size;
    }
    at = w->data + w->len;
    w->len += n;
    return at;
}

static void put_le(ac_wire_writer_t *w, uint64_t v, int n)
{
    unsigned char *at = reserve(w, (apr_size_t)n);
    int i;

    for (i = 0; at && i < n; ++i) {
        at[i] = (unsigned char)(v >> (8 * i));
    }
}

void ac_wire_put_u8(ac_wire_writer_t *w, uint8_t v)
{
    put_le(w, v, 1);
}

void ac_wire_put_u32(ac_wire_writer_t *w, uint32_t v)
{
    put_le(w, v, 4);
}

void ac_wire_put_u64(ac_wire_writer_t *w, uint64_t v)
{
    put_le(w, v, 8);
}

void ac_wire_put_i64(ac_wire_writer_t *w, int64_t v)
{
    put_le(w, (uint64_t)v, 8);
}

void ac_wire_put_str(ac_wire_writer_t *w, const char *s)
{
    if (s) {
        ac_wire_put_bytes(w, s, strlen(s));
    }
    else {
        ac_wire_put_u32(w, NO_STRING);
    }
}

void ac_wire_put_bytes(ac_wire_writer_t *w, const void *data, apr_size_t len)
{
    unsigned char *at;

    if (len >= NO_STRING) {
        w->status = APR_ENOSPC;
        return;
    }
    ac_wire_put_u32(w, (uint32_t)len);
    at = reserve(w, len);
    if (at && len) {
        memcpy(at, data, len);
    }
}

void ac_wire_reader_init(ac_wire_reader_t *r, const void *data, apr_size_t len)
{
    memset(r, 0, sizeof(*r));
    r->data = data;
    r->len = len;
}

static const unsigned char *take(ac_wire_reader_t *r, apr_size_t n)
{
    const unsigned char *at;

    if (r->status != APR_SUCCESS || n > r->len - r->pos) {
        r->status = APR_EINVAL;
        return NULL;
    }
    at = r->data + r->pos;
    r->pos += n;
    return at;
}

static uint64_t get_le(ac_wire_reader_t *r, int n)
{
    const unsigned char *at = take(r, (apr_size_t)n);
    uint64_t v = 0;
    int i;

    for (i = 0; at && i < n; ++i) {
        v |= (uint64_t)at[i] << (8 * i);
    }
    return v;
}

uint8_t ac_wire_get_u8(ac_wire_reader_t *r)
{
    return (uint8_t)get_le(r, 1);
}

uint32_t ac_wire_get_u32(ac_wire_reader_t *r)
{
    return (uint32_t)get_le(r, 4);
}

uint64_t ac_wire_get_u64(ac_wire_reader_t *r)
{
    return get_le(r, 8);
}

int64_t ac_wire_get_i64(ac_wire_reader_t *r)
{
    return (int64_t)get_le(r, 8);
}

const char *ac_wire_get_str(ac_wire_reader_t *r, apr_pool_t *p)
{
    uint32_t len = ac_wire_get_u32(r);
    const unsigned char *at;

    if (r->status != APR_SUCCESS || len == NO_STRING) {
        return NULL;
    }
    at = take(r, len);
    if (at && memchr(at, 0, len)) {
        r->status = APR_EINVAL;
        at = NULL;
    }
    return at ? apr_pstrmemdup(p, (const char *)at, len) : NULL;
}

const void *ac_wire_get_bytes(ac_wire_reader_t *r, apr_size_t *plen)
{
    uint32_t len = ac_wire_get_u32(r);
    const unsigned char *at = NULL;

    if (r->status == APR_SUCCESS && len != NO_STRING) {
        at = take(r, len);
    }
    *plen = at ? len : 0;
    return at;
}

uint32_t ac_wire_get_count(ac_wire_reader_t *r, uint32_t max)
{
    uint32_t n = ac_wire_get_u32(r);

    if (n > max) {
        r->status = APR_EINVAL;
    }
    return r->status == APR_SUCCESS ? n : 0;
}

apr_status_t ac_wire_reader_end(const ac_wire_reader_t *r)
{
    return r->status == APR_SUCCESS && r->pos == r->len ? APR_SUCCESS : APR_EINVAL;
}
