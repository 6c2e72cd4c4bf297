/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Files as a part of the answer: httpd sends them itself. */

#include "inproc/send.h"

#include <string.h>
#include <sys/stat.h>

#include "http_ssl.h"
#include "util_filter.h"
#include "apr_portable.h"
#include "apr_strings.h"
#include "inproc/table.h"

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
static apr_pool_t *files_pool(ac_call_t *call, int is_direct)
{
    if (!call->files) {
        apr_pool_create(&call->files, call->r->pool);
    }
    else if (is_direct && !call->r->connection->data_in_output_filters) {
        apr_pool_clear(call->files);
    }
    return call->files;
}

static int send_file(ac_call_t *call, appcore_str path, int64_t offset, int64_t length,
                     uint32_t flags)
{
    /* Looked up only where somebody wants to know. */
    int is_direct = ((flags & APPCORE_NONBLOCK) || call->files)
                    && reaches_socket(call->r);
    apr_pool_t *p;
    apr_file_t *file;
    int rv;

    if ((flags & APPCORE_NONBLOCK) && !call->bodiless && !is_direct) {
        return APPCORE_UNSUPPORTED;
    }
    if (offset < 0 || length < -1 || memchr(path.p, '\0', path.len)) {
        return APPCORE_INVALID;
    }
    p = files_pool(call, is_direct);
    rv = file_part(&file, apr_pstrmemdup(p, path.p, path.len), offset, &length, p);
    if (rv == APPCORE_OK) {
        rv = ac_send_check(call, length, flags);
    }
    if (rv != APPCORE_OK || call->instead) {
        return rv;
    }
    if (!call->bodiless && length) {
        apr_brigade_insert_file(ac_send_brigade(call), file, offset, length, p);
    }
    if ((flags & APPCORE_FLUSH) || call->upgraded) {
        ac_send_flush(call);
    }
    if (call->left >= 0) {
        call->left -= length;
    }
    if ((flags & APPCORE_LAST) && !call->upgraded) {
        ac_send_end(call);
    }
    call->unflushed = !(flags & APPCORE_FLUSH);
    rv = APR_BRIGADE_EMPTY(ac_send_brigade(call)) ? APPCORE_OK : ac_send_pass(call, 1);
    if (rv == APPCORE_OK && call->upgraded) {
        ac_send_count(call, length, flags);
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
