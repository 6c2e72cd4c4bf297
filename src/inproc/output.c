/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "apr_portable.h"
#include "apr_strings.h"
#include "http_log.h"
#include "inproc/reader.h"

APLOG_USE_MODULE(appcore);

/* In steps of 2 ms: how long a page waits for what was just printed. */
#define CAPTURE_TRIES 50

static struct {
    ac_reader_capture_t *capture;
    const char *name;           /* of all apps */
    int link;                   /* to the reader; -1: there is none */
} output = { .link = -1 };

static int log_of(const server_rec *s)
{
    apr_os_file_t fd;

    return s->error_log && apr_os_file_get(&fd, s->error_log) == APR_SUCCESS ? fd : -1;
}

/* httpd's main error log is stderr itself. *pfd: what that was. */
static apr_status_t move_log(server_rec *main_server, int *pfd, apr_pool_t *pchild)
{
    apr_os_file_t fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    apr_file_t *file;
    server_rec *s;
    apr_status_t rv = fd < 0 ? errno
        : apr_os_file_put(&file, &fd, APR_FOPEN_WRITE | APR_FOPEN_APPEND, pchild);

    *pfd = fd;
    for (s = main_server; s && rv == APR_SUCCESS; s = s->next) {
        if (log_of(s) == STDERR_FILENO) {
            s->error_log = file;
        }
    }
    return rv;
}

static apr_status_t map_capture(void)
{
    void *base = mmap(NULL, sizeof(*output.capture), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (base == MAP_FAILED) {
        return errno;
    }
    output.capture = base;
    return APR_SUCCESS;
}

/* Until the reader has closed the last of what is httpd's, the other end of this among
 * it. */
static void await_end(int fd)
{
    char none;

    while (read(fd, &none, 1) < 0 && errno == EINTR) {
    }
}

/* A child that httpd ends meanwhile ends afterwards: else httpd, which waits for its
 * children, would be gone while a listener is still open in the reader. */
static apr_status_t fork_safely(ac_reader_t *reader)
{
    apr_status_t rv;
    sigset_t all;
    int closed[2];
    pid_t pid;

    if (pipe2(closed, O_CLOEXEC) < 0) {
        return errno;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &reader->blocked);
    pid = fork();
    if (pid == 0) {
        ac_reader_main(reader);
    }
    rv = pid < 0 ? errno : APR_SUCCESS;
    close(closed[1]);
    await_end(closed[0]);
    close(closed[0]);
    pthread_sigmask(SIG_SETMASK, &reader->blocked, NULL);
    return rv;
}

/* links[0] is the child's. */
static apr_status_t fork_reader(ac_reader_t *reader, const int *ends, const int *links)
{
    apr_status_t rv;

    reader->in = ends[0];
    reader->link = links[1];
    reader->pid = (uint32_t)getpid();
    reader->capture = output.capture;
    rv = fork_safely(reader);
    close(links[1]);
    if (rv == APR_SUCCESS) {
        output.link = links[0];
    }
    else {
        close(links[0]);
    }
    return rv;
}

/* httpd became a daemon by freopen(), after which even stderr is buffered in blocks. */
static void unbuffer(void)
{
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    setvbuf(stderr, NULL, _IONBF, 0);
}

static apr_status_t redirect(ac_reader_t *reader, const int *ends)
{
    int links[2];
    apr_status_t rv = ac_message_pair(links);

    if (rv == APR_SUCCESS) {
        rv = fork_reader(reader, ends, links);
    }
    if (rv == APR_SUCCESS
        && (dup2(ends[1], STDOUT_FILENO) < 0 || dup2(ends[1], STDERR_FILENO) < 0)) {
        rv = errno;
    }
    return rv;
}

apr_status_t ac_output_begin(server_rec *main_server, server_rec *app,
                             const ac_log_target_t *target, apr_pool_t *pchild)
{
    ac_reader_t reader = { .usual = *target };
    apr_status_t rv;
    int ends[2], was_stderr;

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return errno;
    }
    output.name = target->app;
    rv = map_capture();
    if (rv == APR_SUCCESS) {
        rv = move_log(main_server, &was_stderr, pchild);
    }
    if (rv == APR_SUCCESS) {
        /* Where errors go to syslog there is still what stderr was. */
        reader.log = log_of(app) >= 0 ? log_of(app) : was_stderr;
        rv = redirect(&reader, ends);
    }
    close(ends[0]);
    close(ends[1]);
    unbuffer();
    return rv;
}

void ac_output_aim(const ac_log_target_t *target, const char *folder)
{
    ac_log_target_t own = *target;

    own.app = output.name;
    if (output.link >= 0) {
        ac_reader_aim(output.link, &own, folder);
    }
}

const char *ac_output_captured(apr_pool_t *p)
{
    int tries, left = 0;
    apr_size_t len;

    if (!output.capture) {
        return NULL;
    }
    for (tries = 0; tries < CAPTURE_TRIES; tries++) {
        if (ioctl(STDERR_FILENO, FIONREAD, &left) < 0 || left == 0) {
            break;
        }
        poll(NULL, 0, 2);
    }
    poll(NULL, 0, 2);
    len = atomic_load(&output.capture->len);
    return len ? apr_pstrmemdup(p, output.capture->data, len) : NULL;
}
