/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_http2_peer.h"

#include <string.h>
#include <apr_strings.h>

#define FRAMES_MAX 64
#define IN_MAX (256 * 1024)
#define GOT_MAX (64 * 1024)

apr_pool_t *p;
ac_h2_t *h2;
apr_bucket_brigade *body;
char in[IN_MAX];
apr_size_t in_len;
frame_t sent[FRAMES_MAX];
int n_sent;
char *request_head;
const ac_response_t *head;
int heads;
char got[GOT_MAX];
apr_size_t got_len;

static apr_bucket_alloc_t *list;
static apr_bucket_brigade *out;
static nghttp2_hd_inflater *inflater;

/* To the session */

void frame(unsigned type, unsigned flags, unsigned long stream,
                  const char *payload, apr_size_t len)
{
    unsigned char *at = (unsigned char *)in + in_len;

    ck_assert(in_len + len + 9 <= sizeof(in));
    at[0] = (unsigned char)(len >> 16);
    at[1] = (unsigned char)(len >> 8);
    at[2] = (unsigned char)len;
    at[3] = (unsigned char)type;
    at[4] = (unsigned char)flags;
    at[5] = (unsigned char)(stream >> 24);
    at[6] = (unsigned char)(stream >> 16);
    at[7] = (unsigned char)(stream >> 8);
    at[8] = (unsigned char)stream;
    if (len) {
        memcpy(at + 9, payload, len);
    }
    in_len += 9 + len;
}

char *number(unsigned long n)
{
    char *bytes = apr_palloc(p, 4);

    bytes[0] = (char)(n >> 24);
    bytes[1] = (char)(n >> 16);
    bytes[2] = (char)(n >> 8);
    bytes[3] = (char)n;
    return bytes;
}

/* RFC 7541 6.2.2. */
void headers(unsigned flags, const char *fields)
{
    char block[8192];
    apr_size_t len = 0;
    char *text = apr_pstrdup(p, fields), *line, *last = NULL;

    for (line = apr_strtok(text, "\n", &last); line;
         line = apr_strtok(NULL, "\n", &last)) {
        char *colon = strchr(line + 1, ':');
        apr_size_t name = (apr_size_t)(colon - line), value = strlen(colon + 2);

        ck_assert(name < 127 && value < 127 && len + name + value + 3 < sizeof(block));
        block[len++] = 0;
        block[len++] = (char)name;
        memcpy(block + len, line, name);
        len += name;
        block[len++] = (char)value;
        memcpy(block + len, colon + 2, value);
        len += value;
    }
    frame(NGHTTP2_HEADERS, flags | NGHTTP2_FLAG_END_HEADERS, (unsigned long)h2->stream,
          block, len);
}

void data(unsigned flags, const char *text)
{
    frame(NGHTTP2_DATA, flags, (unsigned long)h2->stream, text, strlen(text));
}

void settings(unsigned id, unsigned long value)
{
    char *payload = apr_palloc(p, 6);

    payload[0] = 0;
    payload[1] = (char)id;
    memcpy(payload + 2, number(value), 4);
    frame(NGHTTP2_SETTINGS, 0, 0, payload, id ? 6 : 0);
}

/* From the session */

static void inflate(const unsigned char *block, apr_size_t len)
{
    int flags = 0;

    while (len) {
        nghttp2_nv nv;
        ssize_t n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, block, len, 1);

        ck_assert(n >= 0);
        block += n;
        len -= (apr_size_t)n;
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            request_head = apr_pstrcat(p, request_head, nv.name, ": ", nv.value, "\n",
                                       NULL);
        }
    }
    nghttp2_hd_inflate_end_headers(inflater);
}

static void note(const unsigned char *at, apr_size_t len)
{
    frame_t *f = &sent[n_sent++];

    ck_assert(n_sent < FRAMES_MAX);
    f->type = at[3];
    f->flags = at[4];
    f->stream = (unsigned long)at[5] << 24 | (unsigned long)at[6] << 16
                | (unsigned long)at[7] << 8 | at[8];
    f->len = len;
    memcpy(f->payload, at + 9, len < sizeof(f->payload) ? len : sizeof(f->payload));
    if (f->type == NGHTTP2_HEADERS) {
        inflate(at + 9, len);
    }
}

void drain(void)
{
    char *bytes;
    apr_size_t len, at = 0;

    n_sent = 0;
    ac_h2_send(h2, out);
    ck_assert_int_eq(apr_brigade_pflatten(out, &bytes, &len, p), APR_SUCCESS);
    apr_brigade_cleanup(out);
    if (len >= NGHTTP2_CLIENT_MAGIC_LEN
        && !memcmp(bytes, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN)) {
        at = NGHTTP2_CLIENT_MAGIC_LEN;
    }
    while (at < len) {
        const unsigned char *f = (unsigned char *)bytes + at;
        apr_size_t n = (apr_size_t)f[0] << 16 | (apr_size_t)f[1] << 8 | f[2];

        ck_assert(at + 9 + n <= len);
        note(f, n);
        at += 9 + n;
    }
}

void give(void)
{
    ac_h2_receive(h2, in, in_len);
    in_len = 0;
    drain();
}

const frame_t *find(unsigned type)
{
    int i;

    for (i = 0; i < n_sent; ++i) {
        if (sent[i].type == type) {
            return &sent[i];
        }
    }
    return NULL;
}

void goaway(unsigned long last, unsigned long code)
{
    char *payload = apr_palloc(p, 8);

    memcpy(payload, number(last), 4);
    memcpy(payload + 4, number(code), 4);
    frame(NGHTTP2_GOAWAY, 0, 0, payload, 8);
}

/* Requests */

static void on_head(void *baton, const ac_response_t *response)
{
    (void)baton;
    head = response;
    ++heads;
}

static void on_data(void *baton, const char *bytes, apr_size_t len)
{
    (void)baton;
    ck_assert(got_len + len < sizeof(got));
    memcpy(got + got_len, bytes, len);
    got_len += len;
    got[got_len] = '\0';
}

void begin(const char *method, int has_body)
{
    apr_table_t *fields = apr_table_make(p, 8);
    ac_h2_request_t request = { method, "/a?b", fields, has_body };
    ac_h2_io_t io = { p, body, on_head, on_data, NULL };

    apr_table_setn(fields, "Host", "example.org:81");
    apr_table_setn(fields, "X-Upper", "Value");
    apr_table_setn(fields, "Connection", "TE");
    apr_table_setn(fields, "TE", "trailers");
    apr_table_setn(fields, "Transfer-Encoding", "chunked");
    head = NULL;
    heads = 0;
    got_len = 0;
    got[0] = '\0';
    request_head = "";
    ck_assert_int_eq(ac_h2_begin(h2, &request, &io), APR_SUCCESS);
    ck_assert_int_eq(h2->state, AC_H2_OPEN);
}

void add_body(const char *text)
{
    APR_BRIGADE_INSERT_TAIL(body, apr_bucket_heap_create(text, strlen(text), NULL,
                                                         list));
    ac_h2_body_more(h2);
}

void get(void)
{
    begin("GET", 0);
    settings(0, 0);
    give();
    ck_assert_int_eq(h2->state, AC_H2_OPEN);
}

void peer_setup(void)
{
    apr_pool_create(&p, NULL);
    list = apr_bucket_alloc_create(p);
    body = apr_brigade_create(p, list);
    out = apr_brigade_create(p, list);
    h2 = ac_h2_create();
    ck_assert_ptr_nonnull(h2);
    ck_assert_int_eq(nghttp2_hd_inflate_new(&inflater), 0);
    in_len = 0;
}

void peer_teardown(void)
{
    nghttp2_hd_inflate_del(inflater);
    ac_h2_destroy(h2);
    apr_pool_destroy(p);
}
