/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/static.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "apr_strings.h"
#include "http_config.h"
#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"
#include "util_filter.h"
#include "request/beneath.h"

APLOG_USE_MODULE(appcore);

/* A second descriptor through /proc, because only a file that APR opened itself
 * survives being set aside by filters and HTTP/2 streams without leaking. */
static apr_status_t reopen(request_rec *r, int fd, apr_file_t **pfile)
{
    core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    char path[64];

    apr_snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return apr_file_open(pfile, path,
                         APR_READ | AP_SENDFILE_ENABLED(core->enable_sendfile),
                         APR_OS_DEFAULT, r->pool);
}

/* Asks mod_mime alone, about a copy of the request: other type checkers read the
 * file by its name, and for a proxied request mod_mime chooses neither handler
 * nor filters. */
static void find_type(request_rec *r)
{
    apr_array_header_t *checkers = ap_hook_get_type_checker();
    request_rec *copy = apr_pmemdup(r->pool, r, sizeof(*r));
    int i;

    copy->proxyreq = PROXYREQ_REVERSE;
    copy->handler = NULL;
    copy->path_info = NULL;
    copy->content_type = NULL;
    copy->content_encoding = NULL;
    copy->content_languages = NULL;
    copy->notes = apr_table_make(r->pool, 2);
    for (i = 0; checkers && i < checkers->nelts; ++i) {
        ap_LINK_type_checker_t checker = APR_ARRAY_IDX(checkers, i,
                                                       ap_LINK_type_checker_t);

        if (checker.szName && !strcmp(checker.szName, "mod_mime.c")) {
            checker.pFunc(copy);
        }
    }
    r->content_encoding = copy->content_encoding;
    r->content_languages = copy->content_languages;
    if (copy->content_type) {
        ap_set_content_type(r, copy->content_type);
    }
}

static void set_type(request_rec *r)
{
    core_dir_config *core = ap_get_core_module_config(r->per_dir_config);

    r->content_type = NULL;
    find_type(r);
    if (core->mime_type && strcmp(core->mime_type, "none")) {
        ap_set_content_type(r, core->mime_type);
    }
}

/* Never mapped into memory: the app may shorten the file at any time, and the
 * child would get SIGBUS. */
static int pass_file(request_rec *r, apr_file_t *file)
{
    conn_rec *c = r->connection;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, c->bucket_alloc);
    apr_status_t status;

    if (file && r->finfo.size > 0) {
        apr_bucket *e = apr_brigade_insert_file(bb, file, 0, r->finfo.size, r->pool);
#if APR_HAS_MMAP
        apr_bucket_file_enable_mmap(e, 0);
#else
        (void)e;
#endif
    }
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(c->bucket_alloc));
    status = ap_pass_brigade(r->output_filters, bb);
    apr_brigade_cleanup(bb);
    if (status == APR_SUCCESS || r->status != HTTP_OK || c->aborted) {
        return OK;
    }
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, status, r, "sending %s was broken off",
                  r->filename);
    return AP_FILTER_ERROR;
}

/* Sends an open file; r->filename is its name. Conditions are about a 200. */
static int send_file(request_rec *r, apr_file_t *file)
{
    int status;

    if (apr_file_info_get(&r->finfo, APR_FINFO_NORM, file) != APR_SUCCESS) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    ap_update_mtime(r, r->finfo.mtime);
    ap_set_last_modified(r);
    ap_set_etag_fd(r, file);
    ap_set_content_length(r, r->finfo.size);
    if (r->status != HTTP_OK) {
        return pass_file(r, file);
    }
    ap_set_accept_ranges(r);
    status = ap_meets_conditions(r);
    if (status == OK) {
        return pass_file(r, file);
    }
    apr_file_close(file);
    if (status != HTTP_NOT_MODIFIED) {
        return status;
    }
    r->status = status;
    return pass_file(r, NULL);
}

/* The file of that name in that folder, opened, or NULL and errno. */
static apr_file_t *open_file(request_rec *r, const ac_mount_t *mount, uid_t uid,
                             const char *folder, const char *name)
{
    int at = ac_beneath_folder(mount->spec->folder, folder);
    apr_file_t *file = NULL;
    struct stat st;
    int fd = -1;
    int error;

    if (at >= 0) {
        fd = ac_beneath_file(at, name, uid, &st);
    }
    error = errno;
    if (fd >= 0) {
        error = reopen(r, fd, &file);
        close(fd);
    }
    if (at >= 0) {
        close(at);
    }
    errno = error;
    return file;
}

int ac_static_serve(request_rec *r, const ac_mount_t *mount, uid_t uid)
{
    const char *name = r->uri + mount->prefix_len;
    apr_file_t *file;
    int status;

    if (!mount->static_folder || r->method_number != M_GET || *name++ != '/') {
        return DECLINED;
    }
    file = open_file(r, mount, uid, mount->static_folder, name);
    if (!file) {
        if (errno != ENOENT && errno != ENOTDIR) {
            ap_log_rerror(APLOG_MARK, APLOG_DEBUG, errno, r,
                          "app %s: %s/%s is not sent by httpd, the app is asked",
                          mount->spec->name, mount->static_folder, name);
        }
        return DECLINED;
    }
    status = ap_discard_request_body(r);
    if (status != OK) {
        return status;
    }
    r->filename = apr_pstrcat(r->pool, mount->static_folder, "/", name, NULL);
    set_type(r);
    return send_file(r, file);
}

int ac_static_is_sendfile_header(const char *name)
{
    return !strcasecmp(name, "X-Sendfile") || !strcasecmp(name, "X-Accel-Redirect");
}

/* What stands before the name is the folder itself, or its last segment, as in
 * an internal location that is called like it, or nothing. */
static const char *name_in_folder(const char *folder, const char *path)
{
    apr_size_t len = strlen(folder);
    const char *last = strrchr(folder, '/');

    if (!strncmp(path, folder, len) && path[len] == '/') {
        return path + len + 1;
    }
    if (*path == '/') {
        ++path;
    }
    last = last ? last + 1 : folder;
    len = strlen(last);
    if (len && !strncmp(path, last, len) && path[len] == '/') {
        return path + len + 1;
    }
    return path;
}

static apr_file_t *find_in_folders(request_rec *r, const ac_mount_t *mount, uid_t uid,
                                   const char *path)
{
    int error = ENOENT;
    int i;

    for (i = 0; i < mount->sendfile->nelts; ++i) {
        const char *folder = APR_ARRAY_IDX(mount->sendfile, i, const char *);
        const char *name = name_in_folder(folder, path);
        apr_file_t *file = open_file(r, mount, uid, folder, name);

        if (file) {
            r->filename = apr_pstrcat(r->pool, folder, "/", name, NULL);
            return file;
        }
        if (errno != ENOENT && errno != ENOTDIR) {
            error = errno;
        }
    }
    errno = error;
    return NULL;
}

/* As it stands first, then with %XX decoded, as nginx takes X-Accel-Redirect. */
static apr_file_t *find_sendfile(request_rec *r, const ac_mount_t *mount, uid_t uid,
                                 const char *path)
{
    apr_file_t *file = find_in_folders(r, mount, uid, path);
    char *decoded;

    if (!file && errno == ENOENT && strchr(path, '%')) {
        decoded = apr_pstrdup(r->pool, path);
        if (ap_unescape_url_keep2f(decoded, 1) == OK) {
            file = find_in_folders(r, mount, uid, decoded);
        }
        else {
            errno = ENOENT;
        }
    }
    return file;
}

/* Of the app's response only what is not about its body stays. */
static void drop_body_headers(request_rec *r)
{
    static const char *const names[] = {
        "X-Sendfile", "X-Accel-Redirect", "X-Accel-Buffering", "X-Accel-Charset",
        "X-Accel-Expires", "X-Accel-Limit-Rate", "Content-Length", "Content-Range",
        "Content-Encoding", "Transfer-Encoding", "Accept-Ranges", "ETag",
        "Last-Modified", "Content-MD5", "Digest", "Trailer"
    };
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        apr_table_unset(r->headers_out, names[i]);
        apr_table_unset(r->err_headers_out, names[i]);
    }
}

int ac_static_sendfile(request_rec *r, const ac_mount_t *mount, uid_t uid,
                       const char *path)
{
    apr_file_t *file;
    int error;

    drop_body_headers(r);
    if (r->method_number != M_GET) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "app %s: X-Sendfile in a response to %s, but only GET and HEAD "
                      "are answered with a file", mount->spec->name, r->method);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    file = find_sendfile(r, mount, uid, path);
    if (!file) {
        error = errno;
        ap_log_rerror(APLOG_MARK, APLOG_ERR, error, r,
                      "app %s: no file to send for \"%s\" in the folders of "
                      "AppCoreSendfile (beneath them, regular, of the app's user, or of "
                      "root and readable for all)", mount->spec->name, path);
        return error == ENOENT || error == ENOTDIR ? HTTP_NOT_FOUND : HTTP_FORBIDDEN;
    }
    /* A type from the app stays as it is, untrusted if the caller made it so. */
    r->content_encoding = NULL;
    if (!r->content_type) {
        set_type(r);
    }
    return send_file(r, file);
}
