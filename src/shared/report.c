/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "shared/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <apr_strings.h>

#define REPORT_VERSION 2
#define NOTICES_MAX 64
#define PATH_SIZE 4096

static int report_path(char *buf, const char *runtime_dir, uint64_t app_id,
                       const char *suffix)
{
    int n = snprintf(buf, PATH_SIZE, "%s/r/%016llx%s", runtime_dir,
                     (unsigned long long)app_id, suffix);

    return n > 0 && n < PATH_SIZE;
}

static void report_put(ac_wire_writer_t *w, const ac_report_t *report)
{
    int n = report->notices ? report->notices->nelts : 0;
    int i;

    if (n > NOTICES_MAX) {
        n = NOTICES_MAX;
    }
    ac_wire_put_u32(w, REPORT_VERSION);
    ac_result_put(w, &report->result);
    ac_wire_put_i64(w, report->when);
    ac_wire_put_str(w, report->found);
    ac_wire_put_str(w, report->command);
    ac_wire_put_str(w, report->folder);
    ac_wire_put_str(w, report->user);
    ac_wire_put_u32(w, report->pid);
    ac_wire_put_i64(w, report->wait_status);
    ac_wire_put_u32(w, report->slot);
    ac_wire_put_u32(w, report->generation);
    ac_wire_put_i64(w, report->lasted);
    ac_wire_put_u32(w, report->kind);
    ac_wire_put_str(w, report->evidence);
    ac_wire_put_str(w, report->hint);
    ac_wire_put_str(w, report->link);
    ac_wire_put_str(w, report->output);
    ac_wire_put_u32(w, (uint32_t)n);
    for (i = 0; i < n; ++i) {
        ac_wire_put_str(w, APR_ARRAY_IDX(report->notices, i, const char *));
    }
}

static ac_report_t *report_get(ac_wire_reader_t *r, apr_pool_t *p)
{
    ac_report_t *report = apr_pcalloc(p, sizeof(*report));
    uint32_t n;

    if (ac_wire_get_u32(r) != REPORT_VERSION) {
        r->status = APR_EINVAL;
    }
    ac_result_get(r, &report->result);
    report->when = ac_wire_get_i64(r);
    report->found = ac_wire_get_str(r, p);
    report->command = ac_wire_get_str(r, p);
    report->folder = ac_wire_get_str(r, p);
    report->user = ac_wire_get_str(r, p);
    report->pid = ac_wire_get_u32(r);
    report->wait_status = (int32_t)ac_wire_get_i64(r);
    report->slot = ac_wire_get_u32(r);
    report->generation = ac_wire_get_u32(r);
    report->lasted = ac_wire_get_i64(r);
    report->kind = ac_wire_get_u32(r);
    report->evidence = ac_wire_get_str(r, p);
    report->hint = ac_wire_get_str(r, p);
    report->link = ac_wire_get_str(r, p);
    report->output = ac_wire_get_str(r, p);
    report->notices = apr_array_make(p, 4, sizeof(const char *));
    for (n = ac_wire_get_count(r, NOTICES_MAX); n; --n) {
        APR_ARRAY_PUSH(report->notices, const char *) = ac_wire_get_str(r, p);
    }
    return report;
}

static apr_status_t write_all(int fd, const unsigned char *data, apr_size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno != EINTR) {
            return errno;
        }
        if (n > 0) {
            data += n;
            len -= (apr_size_t)n;
        }
    }
    return APR_SUCCESS;
}

/* A reader sees the old report or the new one, never a part: the file is
 * complete when it takes its name. There is one writer, so one temporary name. */
apr_status_t ac_report_write(const char *runtime_dir, uint64_t app_id,
                             const ac_report_t *report, apr_pool_t *ptemp)
{
    char *path = apr_palloc(ptemp, PATH_SIZE);
    char *temp = apr_palloc(ptemp, PATH_SIZE);
    ac_wire_writer_t w;
    apr_status_t rv;
    int fd;

    ac_wire_writer_init(&w, AC_REPORT_MAX, ptemp);
    report_put(&w, report);
    if (w.status != APR_SUCCESS) {
        return w.status;
    }
    if (!report_path(path, runtime_dir, app_id, "")
        || !report_path(temp, runtime_dir, app_id, ".new")) {
        return APR_ENAMETOOLONG;
    }
    unlink(temp);
    fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    rv = write_all(fd, w.data, w.len);
    if (close(fd) < 0 && rv == APR_SUCCESS) {
        rv = errno;
    }
    if (rv == APR_SUCCESS && rename(temp, path) < 0) {
        rv = errno;
    }
    if (rv != APR_SUCCESS) {
        unlink(temp);
    }
    return rv;
}

static apr_status_t read_all(int fd, unsigned char **pdata, apr_size_t *plen,
                             apr_pool_t *p)
{
    struct stat st;
    unsigned char *data;
    apr_size_t len = 0;
    ssize_t n = 1;

    if (fstat(fd, &st) < 0) {
        return errno;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > AC_REPORT_MAX) {
        return APR_EINVAL;
    }
    data = apr_palloc(p, (apr_size_t)st.st_size + 1);
    while (n && len < (apr_size_t)st.st_size) {
        n = read(fd, data + len, (apr_size_t)st.st_size - len);
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        len += n > 0 ? (apr_size_t)n : 0;
    }
    *pdata = data;
    *plen = len;
    return APR_SUCCESS;
}

apr_status_t ac_report_read(const char *runtime_dir, uint64_t app_id,
                            ac_report_t **preport, apr_pool_t *p)
{
    char *path = apr_palloc(p, PATH_SIZE);
    ac_wire_reader_t r;
    ac_report_t *report;
    unsigned char *data = NULL;
    apr_size_t len = 0;
    apr_status_t rv;
    int fd;

    if (!report_path(path, runtime_dir, app_id, "")) {
        return APR_ENAMETOOLONG;
    }
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    rv = read_all(fd, &data, &len, p);
    close(fd);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    ac_wire_reader_init(&r, data, len);
    report = report_get(&r, p);
    rv = ac_wire_reader_end(&r);
    if (rv == APR_SUCCESS) {
        *preport = report;
    }
    return rv;
}

void ac_report_remove(const char *runtime_dir, uint64_t app_id)
{
    char path[PATH_SIZE];

    if (report_path(path, runtime_dir, app_id, "")) {
        unlink(path);
    }
}
