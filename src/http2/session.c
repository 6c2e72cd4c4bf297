/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "http2/session.h"

#include <stdlib.h>
#include <string.h>
#include <apr_strings.h>
#include <nghttp2/nghttp2.h>

/* As for HTTP/1.1, where outproc sets them; a field counts 32 bytes more, RFC 9113
 * 6.5.2. */
#define FIELD_MAX (16 * 1024)
#define HEAD_MAX (64 * 1024)
#define FIELDS_MAX 200
/* A connection carries one request, so both windows are the same. What is not read
 * from the socket is held back by the kernel, as with HTTP/1.1. */
#define WINDOW (256 * 1024)
/* httpd has bounded the client's fields. */
#define SEND_HEAD_MAX (4 * 1024 * 1024)

static void broken(ac_h2_t *h2, const char *why)
{
    if (h2->state == AC_H2_OPEN) {
        h2->state = AC_H2_BROKEN;
        h2->error = *h2->message ? h2->message : why;
    }
}

/* What comes in */

static int is_ours(const ac_h2_t *h2, int32_t stream)
{
    return h2->state == AC_H2_OPEN && stream == h2->stream;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame,
                            void *baton)
{
    ac_h2_t *h2 = baton;

    (void)session;
    if (!is_ours(h2, frame->hd.stream_id)) {
        return 0;
    }
    h2->answered = 1;
    ++h2->activity;
    h2->head_bytes = 0;
    h2->head_fields = 0;
    h2->fields = apr_table_make(h2->io.p, 16);
    if (!h2->final) {
        h2->response = apr_pcalloc(h2->io.p, sizeof(*h2->response));
        h2->response->headers = h2->fields;
        h2->response->reason = "";
        h2->response->framing = AC_FRAMING_STREAM;
        h2->response->keep_alive = 1;
    }
    return 0;
}

static int refuse(ac_h2_t *h2, const char *why)
{
    h2->message[0] = '\0';
    h2->dead = 1;
    broken(h2, why);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int take_status(ac_h2_t *h2, const char *value)
{
    int status = atoi(value);

    if (status < 100) {
        return refuse(h2, "a status below 100");
    }
    h2->response->status = status;
    return 0;
}

/* libnghttp2 has refused what is no token, upper case, control bytes, fields that
 * concern a connection, and pseudo-fields out of place. */
static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *baton)
{
    ac_h2_t *h2 = baton;
    const char *text;

    (void)session;
    (void)flags;
    if (!is_ours(h2, frame->hd.stream_id)) {
        return 0;
    }
    h2->head_bytes += name_len + value_len + 32;
    if (name_len + value_len > FIELD_MAX) {
        return refuse(h2, "a header that is too long");
    }
    if (h2->head_bytes > HEAD_MAX || ++h2->head_fields > FIELDS_MAX) {
        return refuse(h2, "headers that are too large");
    }
    text = apr_pstrmemdup(h2->io.p, (const char *)value, value_len);
    if (name[0] == ':') {
        return h2->final ? 0 : take_status(h2, text);
    }
    apr_table_addn(h2->fields, apr_pstrmemdup(h2->io.p, (const char *)name, name_len),
                   text);
    return 0;
}

static void headers_complete(ac_h2_t *h2)
{
    if (h2->final) {
        h2->trailers = apr_is_empty_table(h2->fields) ? NULL : h2->fields;
        return;
    }
    h2->final = h2->response->status >= 200;
    h2->io.head(h2->io.baton, h2->response);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *baton)
{
    ac_h2_t *h2 = baton;
    int end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        h2->goaway = 1;
        return 0;
    }
    if (!is_ours(h2, frame->hd.stream_id)) {
        return 0;
    }
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        headers_complete(h2);
        break;
    case NGHTTP2_DATA:
        break;
    case NGHTTP2_RST_STREAM:
        h2->reset = 1;
        return 0;
    case NGHTTP2_WINDOW_UPDATE:
        ++h2->activity;
        return 0;
    default:
        return 0;
    }
    if (end && h2->final) {
        h2->state = AC_H2_ENDED;
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream,
                   const uint8_t *data, size_t len, void *baton)
{
    ac_h2_t *h2 = baton;

    (void)session;
    (void)flags;
    if (is_ours(h2, stream) && len) {
        ++h2->activity;
        h2->io.data(h2->io.baton, (const char *)data, len);
    }
    return 0;
}

/* REFUSED_STREAM is what libnghttp2 says of requests beyond the last one that a
 * GOAWAY names, too. RFC 9113 8.7: such a request was not looked at. */
static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code,
                           void *baton)
{
    ac_h2_t *h2 = baton;

    (void)session;
    if (!is_ours(h2, stream)) {
        return 0;
    }
    if (code == NGHTTP2_REFUSED_STREAM && !h2->answered) {
        h2->state = AC_H2_UNREAD;
    }
    else if (h2->reset || code == NGHTTP2_REFUSED_STREAM) {
        h2->state = AC_H2_RESET;
    }
    else {
        broken(h2, "its response breaks the rules of HTTP/2");
    }
    return 0;
}

static int on_error(nghttp2_session *session, int code, const char *text, size_t len,
                    void *baton)
{
    ac_h2_t *h2 = baton;

    (void)session;
    (void)code;
    if (!*h2->message) {
        apr_cpystrn(h2->message, text, len < sizeof(h2->message) ? len + 1
                                                                 : sizeof(h2->message));
    }
    return 0;
}

/* What goes out */

static int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int code,
                       void *baton)
{
    ac_h2_t *h2 = baton;

    (void)session;
    if (!is_ours(h2, frame->hd.stream_id) || frame->hd.type != NGHTTP2_HEADERS) {
        return 0;
    }
    h2->dead = 1;
    if (code == NGHTTP2_ERR_START_STREAM_NOT_ALLOWED) {
        /* GOAWAY came first. */
        h2->state = AC_H2_UNREAD;
    }
    else {
        broken(h2, nghttp2_strerror(code));
    }
    return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *baton)
{
    ac_h2_t *h2 = baton;

    (void)session;
    if (is_ours(h2, frame->hd.stream_id)
        && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA)
        && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        h2->sent = 1;
    }
    return 0;
}

/* A frame of the body: its payload moves from brigade to brigade. */
static int on_body_send(nghttp2_session *session, nghttp2_frame *frame,
                        const uint8_t *head, size_t len, nghttp2_data_source *source,
                        void *baton)
{
    ac_h2_t *h2 = baton;

    (void)session;
    (void)frame;
    (void)source;
    apr_brigade_write(h2->out, NULL, NULL, (const char *)head, 9);
    while (len) {
        apr_bucket *b = APR_BRIGADE_FIRST(h2->io.body);

        if (b->length > len) {
            apr_bucket_split(b, len);
        }
        len -= b->length;
        APR_BUCKET_REMOVE(b);
        APR_BRIGADE_INSERT_TAIL(h2->out, b);
    }
    return 0;
}

/* Fields of a connection of HTTP/1.1, RFC 9113 8.2.2; Host becomes :authority. */
static int is_dropped(const char *name, const char *value)
{
    static const char *const names[] = {
        "host", "connection", "upgrade", "keep-alive", "proxy-connection",
        "transfer-encoding", "http2-settings"
    };
    unsigned i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        if (strcmp(name, names[i]) == 0) {
            return 1;
        }
    }
    return strcmp(name, "te") == 0 && strcmp(value, "trailers") != 0;
}

static char *lower(const char *name, apr_pool_t *p)
{
    char *copy = apr_pstrdup(p, name), *at;

    for (at = copy; *at; ++at) {
        if (*at >= 'A' && *at <= 'Z') {
            *at |= 0x20;
        }
    }
    return copy;
}

static void put(nghttp2_nv *nv, const char *name, const char *value)
{
    nv->name = (uint8_t *)name;
    nv->namelen = strlen(name);
    nv->value = (uint8_t *)value;
    nv->valuelen = strlen(value);
    nv->flags = NGHTTP2_NV_FLAG_NONE;
}

static size_t put_fields(nghttp2_nv *nv, const apr_table_t *fields, apr_pool_t *p)
{
    const apr_array_header_t *elts = apr_table_elts(fields);
    const apr_table_entry_t *field = (const apr_table_entry_t *)elts->elts;
    size_t n = 0;
    int i;

    for (i = 0; i < elts->nelts; ++i, ++field) {
        const char *name = lower(field->key, p);

        if (!is_dropped(name, field->val)) {
            put(&nv[n++], name, field->val);
        }
    }
    return n;
}

static void submit_trailers(ac_h2_t *h2)
{
    const apr_table_t *fields = h2->request_trailers;
    nghttp2_nv *nv = apr_palloc(h2->io.p, sizeof(*nv)
                                * (size_t)apr_table_elts(fields)->nelts);

    nghttp2_submit_trailer(h2->session, h2->stream, nv,
                           put_fields(nv, fields, h2->io.p));
}

static size_t body_length(const ac_h2_t *h2, size_t most)
{
    apr_bucket *b;
    size_t n = 0;

    for (b = APR_BRIGADE_FIRST(h2->io.body);
         n <= most && b != APR_BRIGADE_SENTINEL(h2->io.body); b = APR_BUCKET_NEXT(b)) {
        n += b->length;
    }
    return n;
}

static ssize_t on_body_read(nghttp2_session *session, int32_t stream, uint8_t *buf,
                            size_t size, uint32_t *flags, nghttp2_data_source *source,
                            void *baton)
{
    ac_h2_t *h2 = baton;
    size_t n;

    (void)session;
    (void)buf;
    (void)source;
    n = is_ours(h2, stream) ? body_length(h2, size) : 0;
    /* What is missing of a body whose response came first must not look like its
     * end. */
    if (!is_ours(h2, stream) || (n == 0 && !h2->body_ended)) {
        h2->deferred = 1;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n > size) {
        return (ssize_t)size;
    }
    if (h2->body_ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (h2->request_trailers) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_trailers(h2);
        }
    }
    return (ssize_t)n;
}

void ac_h2_send(ac_h2_t *h2, apr_bucket_brigade *out)
{
    const uint8_t *data;
    ssize_t n;

    h2->out = out;
    while ((n = nghttp2_session_mem_send(h2->session, &data)) > 0) {
        apr_brigade_write(out, NULL, NULL, (const char *)data, (apr_size_t)n);
    }
    h2->out = NULL;
    if (n < 0 || !nghttp2_session_want_read(h2->session)) {
        h2->dead = 1;
        broken(h2, n < 0 ? nghttp2_strerror((int)n) : "it breaks the rules of HTTP/2");
    }
}

void ac_h2_receive(ac_h2_t *h2, const char *data, apr_size_t len)
{
    ssize_t n = nghttp2_session_mem_recv(h2->session, (const uint8_t *)data, len);

    if (n < 0) {
        h2->dead = 1;
        broken(h2, nghttp2_strerror((int)n));
    }
}

/* Requests */

apr_status_t ac_h2_begin(ac_h2_t *h2, const ac_h2_request_t *request,
                         const ac_h2_io_t *io)
{
    nghttp2_data_provider body = { .read_callback = on_body_read };
    const char *authority = apr_table_get(request->fields, "Host");
    nghttp2_nv *nv = apr_palloc(io->p, sizeof(*nv) * (4 + (size_t)apr_table_elts(
                                               request->fields)->nelts));
    size_t n = 0;

    put(&nv[n++], ":method", request->method);
    /* Of this connection; the client's is in X-Forwarded-Proto. */
    put(&nv[n++], ":scheme", "http");
    if (authority && *authority) {
        put(&nv[n++], ":authority", authority);
    }
    put(&nv[n++], ":path", request->target);
    n += put_fields(nv + n, request->fields, io->p);
    h2->io = *io;
    h2->error = NULL;
    h2->message[0] = '\0';
    h2->response = NULL;
    h2->trailers = h2->request_trailers = NULL;
    h2->answered = h2->sent = h2->final = h2->reset = h2->deferred = 0;
    h2->body_ended = !request->has_body;
    h2->stream = nghttp2_submit_request(h2->session, NULL, nv, n,
                                        request->has_body ? &body : NULL, NULL);
    if (h2->stream < 0) {
        return APR_EGENERAL;
    }
    h2->state = AC_H2_OPEN;
    return APR_SUCCESS;
}

void ac_h2_body_more(ac_h2_t *h2)
{
    if (h2->deferred) {
        h2->deferred = 0;
        nghttp2_session_resume_data(h2->session, h2->stream);
    }
}

void ac_h2_body_end(ac_h2_t *h2, apr_table_t *trailers)
{
    h2->body_ended = 1;
    h2->request_trailers = trailers && !apr_is_empty_table(trailers) ? trailers : NULL;
    ac_h2_body_more(h2);
}

void ac_h2_end(ac_h2_t *h2)
{
    h2->state = AC_H2_IDLE;
    h2->trailers = h2->request_trailers = h2->fields = NULL;
    h2->response = NULL;
    h2->error = NULL;
    memset(&h2->io, 0, sizeof(h2->io));
}

int ac_h2_reusable(const ac_h2_t *h2)
{
    return !h2->dead && !h2->goaway
           && nghttp2_session_check_request_allowed(h2->session);
}

apr_ssize_t ac_h2_drain(ac_h2_t *h2, char *out, apr_size_t size)
{
    apr_size_t used = 0;
    const uint8_t *run;
    ssize_t n;

    while ((n = nghttp2_session_mem_send(h2->session, &run)) != 0) {
        if (n < 0 || (apr_size_t)n > size - used) {
            return -1;
        }
        memcpy(out + used, run, (apr_size_t)n);
        used += (apr_size_t)n;
    }
    return (apr_ssize_t)used;
}

apr_ssize_t ac_h2_idle(ac_h2_t *h2, const char *data, apr_size_t len, char *answer,
                       apr_size_t size)
{
    apr_ssize_t used = 0;

    ac_h2_receive(h2, data, len);
    if (!h2->dead) {
        used = ac_h2_drain(h2, answer, size);
    }
    return ac_h2_reusable(h2) && nghttp2_session_want_read(h2->session) ? used : -1;
}

/* Sessions */

int ac_h2_supported(void)
{
    return 1;
}

static nghttp2_session_callbacks *callbacks(void)
{
    nghttp2_session_callbacks *cb;

    if (nghttp2_session_callbacks_new(&cb) != 0) {
        return NULL;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_not_sent);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
    nghttp2_session_callbacks_set_send_data_callback(cb, on_body_send);
    nghttp2_session_callbacks_set_error_callback2(cb, on_error);
    return cb;
}

static int open_session(ac_h2_t *h2)
{
    static const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEAD_MAX }
    };
    nghttp2_session_callbacks *cb = callbacks();
    nghttp2_option *option = NULL;
    int rv = -1;

    if (cb && nghttp2_option_new(&option) == 0) {
        nghttp2_option_set_max_send_header_block_length(option, SEND_HEAD_MAX);
        rv = nghttp2_session_client_new2(&h2->session, cb, h2, option);
        nghttp2_option_del(option);
    }
    nghttp2_session_callbacks_del(cb);
    if (rv == 0) {
        rv = nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings,
                                     sizeof(settings) / sizeof(settings[0]));
    }
    if (rv == 0) {
        rv = nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                   WINDOW);
    }
    return rv == 0;
}

ac_h2_t *ac_h2_create(void)
{
    ac_h2_t *h2 = calloc(1, sizeof(*h2));

    if (h2 && !open_session(h2)) {
        ac_h2_destroy(h2);
        h2 = NULL;
    }
    return h2;
}

void ac_h2_destroy(ac_h2_t *h2)
{
    if (h2) {
        nghttp2_session_del(h2->session);
        free(h2);
    }
}
