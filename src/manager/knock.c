/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "manager/knock.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static ac_knock_e by_error(int error)
{
    return error == ECONNREFUSED ? AC_KNOCK_REFUSED
           : error ? AC_KNOCK_UNKNOWN : AC_KNOCK_TAKEN;
}

ac_knock_e ac_knock_path(const char *path, int *pfd)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);

    *pfd = -1;
    if (n < 0 || n >= (int)sizeof(address.sun_path)) {
        return AC_KNOCK_UNKNOWN;
    }
    *pfd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*pfd < 0) {
        return AC_KNOCK_UNKNOWN;
    }
    return connect(*pfd, (struct sockaddr *)&address, sizeof(address)) == 0
           ? AC_KNOCK_TAKEN : by_error(errno);
}

/* On loopback the answer to a SYN is there before connect() returns. */
static ac_knock_e outcome(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    int error = 0;
    socklen_t len = sizeof(error);

    if (poll(&p, 1, 0) <= 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        return AC_KNOCK_UNKNOWN;
    }
    return by_error(error);
}

/* errno says what became of it. */
static int open_port(uint32_t port, int ipv6)
{
    struct sockaddr_in six4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in6 six6 = { .sin6_family = AF_INET6,
                                 .sin6_port = htons((uint16_t)port),
                                 .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    int fd = socket(ipv6 ? AF_INET6 : AF_INET,
                    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rv;

    if (fd < 0) {
        return -1;
    }
    rv = ipv6 ? connect(fd, (struct sockaddr *)&six6, sizeof(six6))
              : connect(fd, (struct sockaddr *)&six4, sizeof(six4));
    errno = rv == 0 ? 0 : errno;
    return fd;
}

int ac_knock_port_open(uint32_t port, int ipv6)
{
    int fd = open_port(port, ipv6);

    if (fd >= 0 && errno && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

ac_knock_e ac_knock_port(uint32_t port, int ipv6)
{
    int fd = open_port(port, ipv6);
    ac_knock_e knock;

    if (fd < 0) {
        return AC_KNOCK_UNKNOWN;
    }
    knock = errno == EINPROGRESS ? outcome(fd) : by_error(errno);
    close(fd);
    return knock;
}
