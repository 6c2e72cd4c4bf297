/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The app's answer: head, body, end. */

#include "inproc/table.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_ssl.h"
#include "util_filter.h"
#include "apr_portable.h"
#include "apr_strings.h"
#include "conn/park.h"
#include "inproc/fields.h"
#include "outproc/head.h"

APLOG_USE_MODULE(appcore);

/* httpd's core filter holds what the socket did not take, and waits for the client
 * above 64 KiB. NONBLOCK keeps below, framing and TLS included. */
#define AHEAD (48 * 1024)
/* With a 401: the app wants the challenge of httpd's login. */
#define CHALLENGE "AppCore-Challenge"

static apr_bucket_brigade *brigade(ac_call_t *call)
{
    if (!call->bb) {
        call->bb = apr_brigade_create(call->r->pool, call->r->connection->bucket_alloc);
    }
    return call->bb;
}

static void append(ac_call_t *call, apr_bucket *b)
{
    apr_bucket_brigade *bb = brigade(call);

    APR_BRIGADE_INSERT_TAIL(bb, b);
}

static void append_data(ac_call_t *call, const struct iovec *data, size_t n,
                        size_t total)
{
    apr_bucket_alloc_t *list = call->r->connection->bucket_alloc;
    size_t i;

    for (i = 0; i < n && total; i++) {
        size_t len = data[i].iov_len < total ? data[i].iov_len : total;

        if (len) {
            append(call, apr_bucket_transient_create(data[i].iov_base, len, list));
            total -= len;
        }
    }
}

static void append_flush(ac_call_t *call)
{
    append(call, apr_bucket_flush_create(call->r->connection->bucket_alloc));
}

static int64_t length_of(const struct iovec *data, size_t n)
{
    int64_t total = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        total += (int64_t)data[i].iov_len;
    }
    return total;
}

/* What a filter refused it may have answered itself. */
static int pass(ac_call_t *call, int quietly)
{
    request_rec *r = call->r;
    int first = !call->committed;
    apr_status_t rv;

    call->committed = 1;
    if (quietly) {
        ac_park_quietly(r->connection, 1);
    }
    rv = ac_head_pass(r, brigade(call), first);
    if (quietly) {
        ac_park_quietly(r->connection, 0);
    }
    /* mod_http2 marks a stream that it has all of as well. */
    if (rv == APR_SUCCESS && (call->finished || !r->connection->aborted)) {
        return APPCORE_OK;
    }
    if (ac_head_client_gone(r, rv)) {
        return APPCORE_GONE;
    }
    r->connection->keepalive = AP_CONN_CLOSE;
    call->finished = 1;
    call->instead = AP_FILTER_ERROR;
    return APPCORE_FAILED;
}

/* The head */

static int ask_for_login(ac_call_t *call, int status, apr_table_t *fields)
{
    if (status == HTTP_UNAUTHORIZED && call->challenge
        && apr_table_get(fields, CHALLENGE) && !ap_is_HTTP_ERROR(call->prior_status)) {
        call->instead = call->challenge(call->r);
    }
    return call->instead != OK;
}

static int start(ac_call_t *call, int status, appcore_str reason,
                 const appcore_field *fields, size_t n)
{
    request_rec *r = call->r;
    const char *text = ac_answer_reason(reason, r->pool);
    ac_answer_head_t head;

    if (call->started || call->upgraded || status < 200 || status > 999 || !text
        || !ac_answer_head(&head, fields, n, r->pool)) {
        return APPCORE_INVALID;
    }
    call->started = 1;
    call->bodiless = r->header_only || status == HTTP_NO_CONTENT
                     || status == HTTP_NOT_MODIFIED;
    call->left = head.length;
    if (ask_for_login(call, status, head.fields)) {
        return APPCORE_OK;
    }
    ac_head_private(head.fields);
    ac_head_apply(r, status, text, head.fields, call->prior_status);
    if (head.close) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    if (status == HTTP_NO_CONTENT) {
        apr_table_unset(head.fields, "Content-Length");
    }
    if (!r->main && apr_table_get(r->headers_in, "Range")) {
        /* The app had the chance to answer with a range. */
        ap_remove_output_filter_byhandle(r->output_filters, "BYTERANGE");
    }
    return APPCORE_OK;
}

static int start_plainly(ac_call_t *call)
{
    const appcore_str none = { "", 0 };

    return call->started || call->upgraded ? APPCORE_OK
                                           : start(call, HTTP_OK, none, NULL, 0);
}

int ac_table_start(appcore_request number, int status, appcore_str reason,
                   const appcore_field *fields, size_t n)
{
    int rv;
    ac_call_t *call = ac_call_acquire(number, &rv);

    if (call) {
        rv = start(call, status, reason, fields, n);
        ac_call_release(call);
    }
    return rv;
}

static int inform(ac_call_t *call, int status, const appcore_field *fields, size_t n)
{
    request_rec *r = call->r;
    ac_answer_head_t head;

    if (call->started || call->upgraded || status < 100 || status > 199
        || status == HTTP_SWITCHING_PROTOCOLS
        || !ac_answer_head(&head, fields, n, r->pool)) {
        return APPCORE_INVALID;
    }
    if (status == HTTP_CONTINUE) {
        if (call->body) {
            ac_body_release(call->body);
        }
        return APPCORE_OK;
    }
    if (r->proto_num >= HTTP_VERSION(1, 1)) {
        ac_head_interim(r, status, "", head.fields);
    }
    return r->connection->aborted ? APPCORE_GONE : APPCORE_OK;
}

int ac_table_inform(appcore_request number, int status, const appcore_field *fields,
                    size_t n)
{
    int rv;
    ac_call_t *call = ac_call_acquire(number, &rv);

    if (call) {
        rv = inform(call, status, fields, n);
        ac_call_release(call);
    }
    return rv;
}

/* The end */

/* A stream whose answer is complete before its body is reset by mod_http2, and there
 * are clients that throw the answer away then. So a short body of known length is
 * waited for, as httpd's own handlers do; a longer one, or an exchange in both
 * directions, is not. */
static void settle_stream(const ac_call_t *call, ac_body_t *body)
{
    if (body->framing == AC_BODY_LENGTH && body->length <= AC_BODY_DRAIN && !body->held
        && (!call->fault || call->fault == APPCORE_TOO_LARGE)) {
        body->blocking = 1;
        body->limit = -1;
        ac_body_buffer(body, AC_BODY_DRAIN);
    }
}

/* What the client still has to send would be taken for its next request. What came
 * already is kept for read(), and the head can still say that the connection ends. */
static void settle_body(ac_call_t *call)
{
    ac_body_t *body = call->body;
    conn_rec *c = call->r->connection;

    if (!body || body->complete) {
        return;
    }
    if (c->master) {
        settle_stream(call, body);
        return;
    }
    if (c->keepalive == AP_CONN_CLOSE) {
        return;
    }
    if (!body->held && !call->fault) {
        body->blocking = 0;
        ac_body_buffer(body, AC_BODY_DRAIN);
    }
    if (!body->complete) {
        c->keepalive = AP_CONN_CLOSE;
    }
}

/* After handle() nobody else brings what is held on its way. */
static void append_end(ac_call_t *call)
{
    settle_body(call);
    if (call->later) {
        append_flush(call);
    }
    append(call, apr_bucket_eos_create(call->r->connection->bucket_alloc));
    call->finished = 1;
}

static void undo(ac_call_t *call)
{
    if (call->started) {
        ac_head_undo(call->r, call->prior_headers, call->prior_status);
    }
    if (call->bb) {
        apr_brigade_cleanup(call->bb);
    }
}

/* mod_http2 takes a status that HTTP does not have for the code to reset with. */
static void reset_stream(ac_call_t *call)
{
    request_rec *r = call->r;
    int status = r->status;

    undo(call);
    r->status = (int)call->reset_code;
    append(call, apr_bucket_eos_create(r->connection->bucket_alloc));
    call->finished = 1;
    pass(call, 0);
    r->status = status;
}

/* A stream of HTTP/2 has no socket to shut down. */
static ac_call_end_e cut_off(ac_call_t *call)
{
    conn_rec *c = call->r->connection;

    if (call->aborted && c->master && !call->finished) {
        if (call->committed) {
            ac_head_broken(call->r, brigade(call));
        }
        else if (call->reset_code > 0 && call->reset_code < 100) {
            reset_stream(call);
        }
    }
    c->aborted = 1;
    c->keepalive = AP_CONN_CLOSE;
    return AC_CALL_CLIENT_GONE;
}

ac_call_end_e ac_answer_end(ac_call_t *call, int result)
{
    int whole = result == APPCORE_OK && call->started
                && (call->left <= 0 || call->bodiless);
    int rv;

    if (call->aborted || (atomic_load(&call->gone) && !call->finished)) {
        return cut_off(call);
    }
    if (!whole && !call->finished
        && (call->fault == APPCORE_GONE || ac_call_look(call))) {
        return cut_off(call);
    }
    if (call->finished || call->upgraded) {
        return AC_CALL_ANSWERED;
    }
    if (!whole && !call->committed) {
        undo(call);
        return AC_CALL_NO_ANSWER;
    }
    if (!whole) {
        ac_head_broken(call->r, brigade(call));
        return AC_CALL_BROKEN;
    }
    append_end(call);
    rv = pass(call, call->later);
    return rv == APPCORE_GONE ? AC_CALL_CLIENT_GONE : AC_CALL_ANSWERED;
}

/* Our direction of an upgraded connection has ended. The client is told once it has
 * taken all of it. */
static void close_ours(ac_call_t *call)
{
    conn_rec *c = call->r->connection;

    if (call->upgraded && call->finished && !call->closed_ours
        && !c->data_in_output_filters && call->client_fd >= 0
        && !ap_ssl_conn_is_ssl(c)) {
        call->closed_ours = 1;
        shutdown(call->client_fd, SHUT_WR);
    }
}

void ac_answer_push(ac_call_t *call)
{
    conn_rec *c = call->r->connection;

    if (c->master || c->aborted) {
        return;
    }
    if (call->unflushed && call->finished) {
        call->unflushed = 0;
        append_flush(call);
        pass(call, 1);
    }
    if (c->data_in_output_filters) {
        ac_park_flush(c);
    }
    close_ours(call);
}

/* In one */

static int respond(ac_call_t *call, const struct iovec *body, size_t n)
{
    request_rec *r = call->r;
    int64_t total = length_of(body, n);

    if (call->instead) {
        call->finished = 1;
        return APPCORE_OK;
    }
    if (!call->bodiless) {
        append_data(call, body, n, (size_t)total);
    }
    else if (r->header_only && call->left < 0) {
        ap_set_content_length(r, total);
    }
    call->left = 0;
    append_end(call);
    call->unflushed = !call->later;
    return pass(call, call->later);
}

int ac_table_respond(appcore_request number, int status, appcore_str reason,
                     const appcore_field *fields, size_t n,
                     const struct iovec *body, size_t n_body)
{
    int rv;
    ac_call_t *call = ac_call_acquire(number, &rv);

    if (!call) {
        return rv;
    }
    rv = start(call, status, reason, fields, n);
    if (rv == APPCORE_OK && call->left >= 0 && !call->bodiless
        && call->left != length_of(body, n_body)) {
        undo(call);
        call->started = 0;
        rv = APPCORE_INVALID;
    }
    if (rv == APPCORE_OK) {
        rv = respond(call, body, n_body);
    }
    ac_call_release(call);
    return rv;
}

/* In pieces */

/* How much of that may be passed on now. */
static size_t room(ac_call_t *call, size_t total, uint32_t flags)
{
    conn_rec *c = call->r->connection;

    if (!(flags & APPCORE_NONBLOCK) || c->master) {
        return total;
    }
    if (c->data_in_output_filters && call->ahead >= AHEAD) {
        ac_park_flush(c);
    }
    if (!c->data_in_output_filters) {
        call->ahead = 0;
    }
    if (call->ahead >= AHEAD) {
        return 0;
    }
    return total < AHEAD - call->ahead ? total : AHEAD - call->ahead;
}

/* Passed on of an upgraded connection, which httpd does not count. */
static void count_stream(ac_call_t *call, apr_off_t n, uint32_t flags)
{
    call->r->bytes_sent += n;
    if (flags & APPCORE_LAST) {
        call->finished = 1;
        close_ours(call);
    }
}

static int64_t write_piece(ac_call_t *call, const struct iovec *data, size_t n,
                           size_t part, uint32_t flags)
{
    int quietly = (flags & APPCORE_NONBLOCK) != 0;
    int rv;

    if (!call->bodiless) {
        append_data(call, data, n, part);
    }
    if ((flags & APPCORE_FLUSH) || call->upgraded) {
        append_flush(call);
    }
    if ((flags & APPCORE_LAST) && !call->upgraded) {
        append_end(call);
    }
    rv = APR_BRIGADE_EMPTY(brigade(call)) ? APPCORE_OK : pass(call, quietly);
    if (rv != APPCORE_OK) {
        return rv;
    }
    call->unflushed = !(flags & APPCORE_FLUSH);
    call->ahead += part;
    call->since = 0;
    if (call->left >= 0) {
        call->left -= (apr_int64_t)part;
    }
    if (call->upgraded) {
        count_stream(call, (apr_off_t)part, flags);
    }
    return (int64_t)part;
}

/* Or why not. */
static int may_write(ac_call_t *call, int64_t total, uint32_t flags)
{
    if (atomic_load(&call->gone) || call->r->connection->aborted) {
        return APPCORE_GONE;
    }
    if (call->finished || start_plainly(call) != APPCORE_OK) {
        return APPCORE_INVALID;
    }
    if (call->left >= 0 && !call->upgraded && !call->bodiless
        && (total > call->left || ((flags & APPCORE_LAST) && total < call->left))) {
        return APPCORE_INVALID;
    }
    return APPCORE_OK;
}

static int64_t write_some(ac_call_t *call, const struct iovec *data, size_t n,
                          uint32_t flags)
{
    int64_t total = length_of(data, n);
    int rv = may_write(call, total, flags);
    size_t part;

    if (rv != APPCORE_OK) {
        return rv;
    }
    if (call->instead) {
        return total;
    }
    part = call->bodiless ? (size_t)total : room(call, (size_t)total, flags);
    if ((int64_t)part < total) {
        call->want_client |= POLLOUT;
        flags = (flags | APPCORE_FLUSH) & ~APPCORE_LAST;
        return part ? write_piece(call, data, n, part, flags) : APPCORE_AGAIN;
    }
    return write_piece(call, data, n, part, flags);
}

int64_t ac_table_write(appcore_request number, const struct iovec *data, size_t n,
                       uint32_t flags)
{
    int error = APPCORE_OK;
    ac_call_t *call = ac_call_acquire(number, &error);
    int64_t rv = error;

    if (call) {
        rv = write_some(call, data, n, flags);
        ac_call_release(call);
    }
    return rv;
}

/* Never a device or a pipe, and never waits for somebody to open its other end. The
 * file is APR's from the beginning: of one that was opened elsewhere (apr_os_file_put)
 * a bucket that is set aside loses the descriptor. */
static apr_file_t *open_file(const char *path, struct stat *st, apr_pool_t *p)
{
    apr_int32_t flags = APR_FOPEN_READ | APR_FOPEN_BINARY | APR_FOPEN_NONBLOCK
                        | APR_FOPEN_SENDFILE_ENABLED;
    apr_file_t *file;
    int fd;

    if (apr_file_open(&file, path, flags, APR_FPROT_OS_DEFAULT, p) != APR_SUCCESS) {
        return NULL;
    }
    apr_os_file_get(&fd, file);
    if (fstat(fd, st) != 0 || !S_ISREG(st->st_mode)) {
        apr_file_close(file);
        return NULL;
    }
    return file;
}

/* ABSENT if there is no such regular file, INVALID if it has no such part. */
static int file_part(apr_file_t **pfile, const char *path, int64_t offset,
                     int64_t *length, apr_pool_t *p)
{
    struct stat st;
    apr_file_t *file = open_file(path, &st, p);

    if (!file) {
        return APPCORE_ABSENT;
    }
    if (*length < 0) {
        *length = st.st_size - offset;
    }
    if (*length < 0 || offset > st.st_size || *length > st.st_size - offset) {
        apr_file_close(file);
        return APPCORE_INVALID;
    }
    *pfile = file;
    return APPCORE_OK;
}

/* Filters that look at the head alone, or put something before and behind a file. */
static int leaves_files(const char *filter)
{
    static const char *const names[] = {
        "byterange", "chunk", "content_length", "fixup_headers_out", "http_header",
        "http_outerror", "mod_expires"
    };
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        if (!strcmp(filter, names[i])) {
            return 1;
        }
    }
    return 0;
}

/* Whether what is passed on reaches the socket as it is. */
static int reaches_socket(request_rec *r)
{
    const ap_filter_t *f = r->output_filters;

    if (r->connection->master || ap_ssl_conn_is_ssl(r->connection)) {
        return 0;
    }
    while (f && f->r && leaves_files(f->frec->name)) {
        f = f->next;
    }
    return !f || !f->r;
}

/* An answer may be made of many files: those that the client has are closed. */
static apr_pool_t *files_pool(ac_call_t *call)
{
    if (!call->files) {
        apr_pool_create(&call->files, call->r->pool);
    }
    else if (!call->r->connection->data_in_output_filters && reaches_socket(call->r)) {
        apr_pool_clear(call->files);
    }
    return call->files;
}

static int send_file(ac_call_t *call, appcore_str path, int64_t offset, int64_t length,
                     uint32_t flags)
{
    apr_pool_t *p;
    apr_file_t *file;
    int rv;

    if ((flags & APPCORE_NONBLOCK) && !call->bodiless && !reaches_socket(call->r)) {
        return APPCORE_UNSUPPORTED;
    }
    if (offset < 0 || length < -1 || memchr(path.p, '\0', path.len)) {
        return APPCORE_INVALID;
    }
    p = files_pool(call);
    rv = file_part(&file, apr_pstrmemdup(p, path.p, path.len), offset, &length, p);
    if (rv == APPCORE_OK) {
        rv = may_write(call, length, flags);
    }
    if (rv != APPCORE_OK || call->instead) {
        return rv;
    }
    if (!call->bodiless && length) {
        apr_brigade_insert_file(brigade(call), file, offset, length, p);
    }
    if ((flags & APPCORE_FLUSH) || call->upgraded) {
        append_flush(call);
    }
    if (call->left >= 0) {
        call->left -= length;
    }
    if ((flags & APPCORE_LAST) && !call->upgraded) {
        append_end(call);
    }
    call->unflushed = !(flags & APPCORE_FLUSH);
    rv = APR_BRIGADE_EMPTY(brigade(call)) ? APPCORE_OK : pass(call, 1);
    if (rv == APPCORE_OK && call->upgraded) {
        count_stream(call, length, flags);
    }
    return rv;
}

int ac_table_sendfile(appcore_request number, appcore_str path, int64_t offset,
                      int64_t length, uint32_t flags)
{
    int rv;
    ac_call_t *call = ac_call_acquire(number, &rv);

    if (call) {
        rv = send_file(call, path, offset, length, flags);
        ac_call_release(call);
    }
    return rv;
}

static int trailer(ac_call_t *call, appcore_str name, appcore_str value)
{
    apr_pool_t *p = call->r->pool;

    /* httpd sends trailers on HTTP/2 streams only. */
    if (!call->r->connection->master) {
        return APPCORE_UNSUPPORTED;
    }
    if (call->finished || call->upgraded || !ac_answer_trailer_allowed(name, value)
        || apr_table_elts(call->r->trailers_out)->nelts >= AC_ANSWER_FIELDS
        || value.len > AC_ANSWER_BYTES) {
        return APPCORE_INVALID;
    }
    apr_table_addn(call->r->trailers_out, apr_pstrmemdup(p, name.p, name.len),
                   value.len ? apr_pstrmemdup(p, value.p, value.len) : "");
    return APPCORE_OK;
}

int ac_table_trailer(appcore_request number, appcore_str name, appcore_str value)
{
    int rv;
    ac_call_t *call = ac_call_acquire(number, &rv);

    if (call) {
        rv = trailer(call, name, value);
        ac_call_release(call);
    }
    return rv;
}
