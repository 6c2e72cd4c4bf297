/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "apr_portable.h"
#include "apr_strings.h"
#include "http_log.h"
#include "relay/format.h"
#include "relay/level.h"
#include "shared/message.h"

APLOG_USE_MODULE(appcore);

#define READ_MAX 65536
/* In steps of 2 ms: how long a page waits for what was just printed. */
#define CAPTURE_TRIES 50

/* Shared with the reading process. */
typedef struct capture_t {
    _Atomic apr_size_t len;
    char data[AC_CAPTURE_MAX];
} capture_t;

typedef struct reader_t {
    int in, log;
    uint32_t pid;               /* of the child */
    const char *name;
    unsigned log_level, plain_level;
    ac_level_state_t level;
    ac_lines_t lines;
} reader_t;

static capture_t *capture;

/* The process that reads --------------------------------------------------- */

static void write_line(void *data, const ac_line_t *line)
{
    static char text[AC_FORMAT_MAX];
    reader_t *reader = data;
    ac_line_t rest = *line;
    ac_line_head_t head = { .pid = reader->pid, .app = reader->name };

    ac_level_take(&reader->level, &rest);
    head.when = apr_time_now();
    head.level = reader->level.level;
    if (head.level <= (reader->level.said ? reader->log_level : reader->plain_level)) {
        (void)!write(reader->log, text, ac_format_line(text, sizeof(text), &head, &rest));
    }
}

static void keep(const char *data, apr_size_t n)
{
    apr_size_t len = atomic_load(&capture->len);

    n = n < sizeof(capture->data) - len ? n : sizeof(capture->data) - len;
    memcpy(capture->data + len, data, n);
    atomic_store(&capture->len, len + n);
}

static void close_others(const reader_t *reader)
{
    unsigned low = (unsigned)(reader->in < reader->log ? reader->in : reader->log);
    unsigned high = (unsigned)(reader->in < reader->log ? reader->log : reader->in);

    if (low > 3) {
        close_range(3, low - 1, 0);
    }
    if (high > low + 1) {
        close_range(low + 1, high - 1, 0);
    }
    close_range(high + 1, ~0u, 0);
}

/* Ends when nobody has the other end any more. */
static void __attribute__((noreturn)) read_all(reader_t *reader)
{
    static char data[READ_MAX];
    ssize_t n;

    prctl(PR_SET_NAME, "appcore-output");
    close_others(reader);
    while ((n = read(reader->in, data, sizeof(data))) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0) {
            keep(data, (apr_size_t)n);
            ac_lines_feed(&reader->lines, data, (apr_size_t)n, write_line, reader);
        }
    }
    ac_lines_end(&reader->lines, write_line, reader);
    _exit(0);
}

/* The child ---------------------------------------------------------------- */

static int log_of(const server_rec *s)
{
    apr_os_file_t fd;

    return s->error_log && apr_os_file_get(&fd, s->error_log) == APR_SUCCESS ? fd : -1;
}

/* httpd's main error log is stderr itself. */
static apr_status_t move_log(server_rec *main_server, apr_pool_t *pchild)
{
    apr_os_file_t fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    apr_file_t *file;
    server_rec *s;
    apr_status_t rv = fd < 0 ? errno
        : apr_os_file_put(&file, &fd, APR_FOPEN_WRITE | APR_FOPEN_APPEND, pchild);

    for (s = main_server; s && rv == APR_SUCCESS; s = s->next) {
        if (log_of(s) == STDERR_FILENO) {
            s->error_log = file;
        }
    }
    return rv;
}

static apr_status_t map_capture(void)
{
    void *base = mmap(NULL, sizeof(*capture), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (base == MAP_FAILED) {
        return errno;
    }
    capture = base;
    return APR_SUCCESS;
}

static apr_status_t fork_reader(int in, int out, const server_rec *app, reader_t *reader)
{
    pid_t pid;

    reader->in = in;
    reader->log = log_of(app);
    reader->pid = (uint32_t)getpid();
    if (reader->log < 0) {
        return APR_ENOTIMPL;    /* syslog, or a program: as it was */
    }
    pid = fork();
    if (pid == 0) {
        close(out);
        read_all(reader);
    }
    return pid < 0 ? errno : APR_SUCCESS;
}

/* httpd became a daemon by freopen(), after which even stderr is buffered in blocks. */
static void unbuffer(void)
{
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    setvbuf(stderr, NULL, _IONBF, 0);
}

apr_status_t ac_output_begin(server_rec *main_server, server_rec *app, const char *name,
                             unsigned log_level, unsigned plain_level,
                             apr_pool_t *pchild)
{
    reader_t reader = {
        .name = name, .log_level = log_level, .plain_level = plain_level
    };
    apr_status_t rv;
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0) {
        return errno;
    }
    rv = map_capture();
    if (rv == APR_SUCCESS) {
        rv = move_log(main_server, pchild);
    }
    if (rv == APR_SUCCESS) {
        rv = fork_reader(fds[0], fds[1], app, &reader);
    }
    if (rv == APR_SUCCESS
        && (dup2(fds[1], STDOUT_FILENO) < 0 || dup2(fds[1], STDERR_FILENO) < 0)) {
        rv = errno;
    }
    close(fds[0]);
    close(fds[1]);
    unbuffer();
    return rv;
}

const char *ac_output_captured(apr_pool_t *p)
{
    int tries, left = 0;
    apr_size_t len;

    if (!capture) {
        return NULL;
    }
    for (tries = 0; tries < CAPTURE_TRIES; tries++) {
        if (ioctl(STDERR_FILENO, FIONREAD, &left) < 0 || left == 0) {
            break;
        }
        poll(NULL, 0, 2);
    }
    poll(NULL, 0, 2);
    len = atomic_load(&capture->len);
    return len ? apr_pstrmemdup(p, capture->data, len) : NULL;
}
