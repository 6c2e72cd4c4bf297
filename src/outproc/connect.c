/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "outproc/pool.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "spec/settings.h"

/* More than a few acknowledgements between two requests are suspicious. */
#define IDLE_READS 8

typedef struct address_t {
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } sa;
    socklen_t len;
} address_t;

static void loopback(address_t *to, const ac_board_proc_t *proc)
{
    if (proc->ipv6) {
        to->sa.in6.sin6_family = AF_INET6;
        to->sa.in6.sin6_addr = in6addr_loopback;
        to->sa.in6.sin6_port = htons(proc->port);
        to->len = sizeof(to->sa.in6);
    }
    else {
        to->sa.in.sin_family = AF_INET;
        to->sa.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        to->sa.in.sin_port = htons(proc->port);
        to->len = sizeof(to->sa.in);
    }
}

static apr_status_t resolve(address_t *to, const char *runtime_dir,
                            const ac_board_proc_t *proc)
{
    memset(to, 0, sizeof(*to));
    switch (proc->address) {
    case AC_ADDRESS_SOCKET:
        to->sa.un.sun_family = AF_UNIX;
        ac_board_socket_path(to->sa.un.sun_path, sizeof(to->sa.un.sun_path),
                             runtime_dir, proc->app_id, proc->slot,
                             proc->generation);
        to->len = sizeof(to->sa.un);
        return APR_SUCCESS;
    case AC_ADDRESS_TCP:
        loopback(to, proc);
        return APR_SUCCESS;
    default:
        return APR_EINVAL;
    }
}

apr_status_t ac_appconn_open(ac_appconn_t **pconn, const char *runtime_dir,
                             unsigned index, const ac_board_proc_t *proc)
{
    address_t to;
    ac_appconn_t *conn = NULL;
    apr_status_t rv = resolve(&to, runtime_dir, proc);
    int on = 1;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    conn = calloc(1, sizeof(*conn));
    if (!conn) {
        return APR_ENOMEM;
    }
    conn->proc = index;
    conn->generation = proc->generation;
    conn->fd = -1;
    if (proc->protocol == AC_PROTOCOL_H2C) {
        conn->h2 = ac_h2_create();
        if (!conn->h2) {
            errno = ENOMEM;
            goto failed;
        }
    }
    conn->fd = socket(to.sa.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                      0);
    if (conn->fd < 0) {
        goto failed;
    }
    if (proc->address == AC_ADDRESS_TCP) {
        setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    if (connect(conn->fd, &to.sa.any, to.len) != 0) {
        /* A unix socket with a full backlog says EAGAIN and stays unconnected. */
        if (errno != EINPROGRESS) {
            goto failed;
        }
        conn->connecting = 1;
    }
    *pconn = conn;
    return APR_SUCCESS;

failed:
    rv = errno;
    ac_appconn_close(&conn);
    return rv;
}

apr_status_t ac_appconn_finish(ac_appconn_t *conn)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        error = errno;
    }
    conn->connecting = 0;
    return error;
}

void ac_appconn_close(ac_appconn_t **pconn)
{
    ac_appconn_t *conn = *pconn;

    if (conn) {
        *pconn = NULL;
        if (conn->fd >= 0) {
            close(conn->fd);
        }
        ac_h2_destroy(conn->h2);
        free(conn);
    }
}

/* With HTTP/1.1 an idle connection has nothing to say: bytes are an answer nobody
 * asked for and would be taken for that of the next request. */
static int is_silent(const ac_appconn_t *conn)
{
    char byte;
    ssize_t n = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

int ac_appconn_idle(ac_appconn_t *conn)
{
    char data[4096], answer[1024];
    int i;

    if (!conn->h2) {
        return is_silent(conn);
    }
    for (i = 0; i < IDLE_READS; ++i) {
        ssize_t n = recv(conn->fd, data, sizeof(data), MSG_DONTWAIT);
        apr_ssize_t len;

        if (n <= 0) {
            return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
        }
        len = ac_h2_idle(conn->h2, data, (apr_size_t)n, answer, sizeof(answer));
        if (len < 0 || (len && send(conn->fd, answer, (apr_size_t)len,
                                    MSG_NOSIGNAL | MSG_DONTWAIT) != len)) {
            return 0;
        }
    }
    return 0;
}

/* proc(5): pid (name) state ppid pgrp session tty tpgid flags … */
#define PF_EXITING 0x4

static int is_ending(const char *stat)
{
    const char *at = strrchr(stat, ')');
    unsigned flags = 0;
    char state = '\0';

    if (!at || sscanf(at + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2) {
        return 0;
    }
    /* A process closes its connections before it becomes a zombie. */
    return state == 'Z' || state == 'X' || (flags & PF_EXITING);
}

/* 1 and the text of a /proc/…/stat, which is as good as one that ended when there
 * is nothing to read; 0 with errno when it cannot be opened. */
static int read_stat(const char *path, char *stat, apr_size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0) {
        return 0;
    }
    n = read(fd, stat, size - 1);
    close(fd);
    stat[n > 0 ? n : 0] = '\0';
    return 1;
}

/* The main thread may end before the others: what the process has open stays. */
static int has_living_thread(uint32_t pid)
{
    char path[64], stat[512];
    struct dirent *thread;
    int living = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%u/task", pid);
    dir = opendir(path);
    while (dir && !living && (thread = readdir(dir)) != NULL) {
        snprintf(path, sizeof(path), "/proc/%u/task/%.10s/stat", pid, thread->d_name);
        living = thread->d_name[0] != '.' && read_stat(path, stat, sizeof(stat))
                 && *stat && !is_ending(stat);
    }
    if (dir) {
        closedir(dir);
    }
    return living;
}

int ac_process_gone(uint32_t pid)
{
    char path[32], stat[512];

    if (pid == 0) {
        return 0;
    }
    snprintf(path, sizeof(path), "/proc/%u/stat", pid);
    if (!read_stat(path, stat, sizeof(stat))) {
        /* With hidepid, what is there looks as if it were not. */
        return errno == ENOENT && access("/proc/1/stat", R_OK) == 0;
    }
    return !*stat || (is_ending(stat) && !has_living_thread(pid));
}
