/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The app behind every server that is measured: as little work per request as
 * HTTP/1.1 with keep-alive allows, so that what is left is the server's.
 *
 * It answers GET /…/12, /…/10k and /…/1m with so many bytes. It listens where it
 * is told to: `backend PATH` on a unix socket; LISTEN_FDS=1 on descriptor 3;
 * otherwise PORT on loopback. One thread, epoll, edge cases of HTTP left out. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define EVENTS  256
#define REQUEST 8192
#define LARGEST (1024 * 1024)

typedef struct answer_t {
    const char *suffix;
    size_t size;
    char head[128];
    size_t head_len;
} answer_t;

static answer_t answers[] = {
    { "/12 ", 12, "", 0 }, { "/10k ", 10 * 1024, "", 0 }, { "/1m ", LARGEST, "", 0 }
};
static char body[LARGEST];

typedef struct peer_t {
    int fd;
    size_t have;                /* bytes of an unfinished request */
    const answer_t *answer;     /* being sent, or NULL */
    size_t sent;
    int wants_write;
    char request[REQUEST + 1];
} peer_t;

static int epoll_fd;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || chmod(path, 0666)
        || listen(fd, 1024)) {
        die(path);
    }
    return fd;
}

static int listen_port(const char *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    if (!port) {
        fputs("neither a path nor LISTEN_FDS nor PORT\n", stderr);
        exit(2);
    }
    address.sin_port = htons((uint16_t)atoi(port));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1024)) {
        die(port);
    }
    return fd;
}

static void watch(int op, int fd, uint32_t events, peer_t *peer)
{
    struct epoll_event event = { .events = events, .data.ptr = peer };

    if (epoll_ctl(epoll_fd, op, fd, &event)) {
        die("epoll_ctl");
    }
}

static void drop(peer_t *peer)
{
    close(peer->fd);
    free(peer);
}

/* One per event: the listener may be shared and stays as blocking as it came. */
static void accept_peer(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    peer_t *peer;

    if (fd < 0) {
        return;                 /* it left before we came */
    }
    peer = calloc(1, sizeof(*peer));
    if (!peer) {
        die("calloc");
    }
    peer->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    watch(EPOLL_CTL_ADD, fd, EPOLLIN, peer);
}

static const answer_t *find_answer(const char *request)
{
    const char *target = strchr(request, ' ');
    const char *end = target ? strchr(target + 1, ' ') : NULL;
    unsigned i;

    for (i = 0; end && i < sizeof(answers) / sizeof(answers[0]); ++i) {
        size_t len = strlen(answers[i].suffix);

        if ((size_t)(end + 1 - target) >= len
            && !memcmp(end + 1 - len, answers[i].suffix, len)) {
            return &answers[i];
        }
    }
    return &answers[0];
}

/* 1: sent, 0: the peer is slower than we are, -1: it is gone. */
static int send_answer(peer_t *peer)
{
    const answer_t *answer = peer->answer;

    while (peer->sent < answer->head_len + answer->size) {
        size_t head = peer->sent < answer->head_len ? answer->head_len - peer->sent : 0;
        size_t skip = head ? 0 : peer->sent - answer->head_len;
        struct iovec parts[2] = {
            { (char *)answer->head + peer->sent, head },
            { body + skip, answer->size - skip }
        };
        ssize_t n = writev(peer->fd, head ? parts : parts + 1, head ? 2 : 1);

        if (n < 0) {
            return errno == EAGAIN ? 0 : -1;
        }
        peer->sent += (size_t)n;
    }
    peer->answer = NULL;
    return 1;
}

/* Answers every whole request at hand. */
static int serve(peer_t *peer)
{
    int rv = peer->answer ? send_answer(peer) : 1;
    char *end;

    while (rv > 0 && (end = strstr(peer->request, "\r\n\r\n")) != NULL) {
        peer->answer = find_answer(peer->request);
        peer->sent = 0;
        peer->have -= (size_t)(end + 4 - peer->request);
        memmove(peer->request, end + 4, peer->have + 1);
        rv = send_answer(peer);
    }
    if (rv >= 0 && peer->wants_write != !rv) {
        peer->wants_write = !rv;
        watch(EPOLL_CTL_MOD, peer->fd, rv ? EPOLLIN : EPOLLOUT, peer);
    }
    return rv;
}

static void on_peer(peer_t *peer)
{
    if (!peer->answer) {
        ssize_t n = read(peer->fd, peer->request + peer->have, REQUEST - peer->have);

        if (n <= 0) {
            if (n == 0 || errno != EAGAIN) {
                drop(peer);
            }
            return;
        }
        peer->have += (size_t)n;
        peer->request[peer->have] = '\0';
    }
    if (serve(peer) < 0) {
        drop(peer);
    }
}

static void prepare(void)
{
    unsigned i;

    memset(body, 'x', sizeof(body));
    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); ++i) {
        answers[i].head_len = (size_t)snprintf(
            answers[i].head, sizeof(answers[i].head),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
            answers[i].size);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    int listener;

    signal(SIGPIPE, SIG_IGN);
    prepare();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (argc > 1) {
        listener = listen_unix(argv[1]);
    }
    else {
        listener = getenv("LISTEN_FDS") ? 3 : listen_port(getenv("PORT"));
    }
    watch(EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    for (;;) {
        int i, n = epoll_wait(epoll_fd, events, EVENTS, -1);

        for (i = 0; i < n; ++i) {
            if (events[i].data.ptr) {
                on_peer(events[i].data.ptr);
            }
            else {
                accept_peer(listener);
            }
        }
    }
}
