/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "manager/port.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "spec/launch.h"

#define DRAW_MAX 32767
#define STATE_LISTEN 0x0a

static void draw(void *to, size_t size)
{
    unsigned char *at = to;

    while (size > 0) {
        ssize_t n = getrandom(at, size, 0);

        if (n > 0) {
            at += n;
            size -= (size_t)n;
        }
    }
}

uint32_t ac_port_draw(void)
{
    uint32_t range = DRAW_MAX - AC_PORT_MIN + 1;
    uint32_t limit = UINT32_MAX - UINT32_MAX % range;
    uint32_t n;

    do {
        draw(&n, sizeof(n));
    } while (n >= limit);
    return AC_PORT_MIN + n % range;
}

static int can_bind(int family, const void *address, socklen_t len)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1, ok;

    if (fd < 0) {
        return 1;
    }
    if (family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    }
    ok = bind(fd, address, len) == 0;
    close(fd);
    return ok;
}

int ac_port_is_free(uint32_t port)
{
    struct sockaddr_in any4 = { .sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port) };
    struct sockaddr_in6 any6 = { .sin6_family = AF_INET6,
                                 .sin6_port = htons((uint16_t)port) };

    return can_bind(AF_INET, &any4, sizeof(any4))
           && can_bind(AF_INET6, &any6, sizeof(any6));
}

/* The kernel prints addresses as host-order words of network-order bytes. */
static int is_loopback(const char *address, int ipv6)
{
    char word[9], all[33];

    if (strlen(address) == 8) {
        snprintf(word, sizeof(word), "%08X", (unsigned)htonl(INADDR_LOOPBACK));
        return !ipv6 && strcasecmp(address, word) == 0;
    }
    if (ipv6) {
        snprintf(all, sizeof(all), "%024d%08X", 0, (unsigned)htonl(1));
    }
    else {
        snprintf(all, sizeof(all), "%016d%08X%08X", 0, (unsigned)htonl(0xffff),
                 (unsigned)htonl(INADDR_LOOPBACK));
    }
    return strcasecmp(address, all) == 0;
}

/* An unspecified IPv6 listener takes IPv4 clients as well. */
static int is_any(const char *address, int ipv6)
{
    size_t len = strlen(address);

    return strspn(address, "0") == len && (len == 32 || (len == 8 && !ipv6));
}

void ac_port_line(ac_port_owner_t *owner, const ac_port_query_t *query, const char *line)
{
    char address[33];
    unsigned port, state, uid;
    int exact;

    if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x"
               " %*x %u", address, &port, &state, &uid) != 4
        || port != query->port || state != STATE_LISTEN) {
        return;
    }
    exact = is_loopback(address, query->ipv6);
    if (!exact && (!is_any(address, query->ipv6) || owner->exact)) {
        return;
    }
    /* The more specific listener gets the client, whoever else there is. */
    if (exact && !owner->exact) {
        memset(owner, 0, sizeof(*owner));
    }
    owner->found = 1;
    owner->exact = exact;
    owner->everywhere = !exact;
    if (uid != query->uid) {
        owner->foreign = 1;
        owner->foreign_uid = uid;
    }
}

static void scan_file(ac_port_owner_t *owner, const ac_port_query_t *query,
                      const char *path)
{
    FILE *f = fopen(path, "re");
    char line[256];

    while (f && fgets(line, sizeof(line), f)) {
        ac_port_line(owner, query, line);
    }
    if (f) {
        fclose(f);
    }
}

typedef struct ask_t {
    struct nlmsghdr head;
    struct inet_diag_req_v2 req;
} ask_t;

typedef struct reply_t {
    struct nlmsghdr head;
    struct inet_diag_msg msg;
    unsigned char rest[256];    /* attributes that nobody asked for */
} reply_t;

static void fill_ask(ask_t *ask, const ac_port_query_t *query)
{
    struct inet_diag_sockid *id = &ask->req.id;

    memset(ask, 0, sizeof(*ask));
    ask->head.nlmsg_len = sizeof(*ask);
    ask->head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    ask->head.nlmsg_flags = NLM_F_REQUEST;
    ask->req.sdiag_family = query->ipv6 ? AF_INET6 : AF_INET;
    ask->req.sdiag_protocol = IPPROTO_TCP;
    ask->req.idiag_states = ~0u;
    id->idiag_sport = htons((uint16_t)query->port);
    id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    if (query->ipv6) {
        id->idiag_src[3] = id->idiag_dst[3] = htonl(1);
    }
    else {
        id->idiag_src[0] = id->idiag_dst[0] = htonl(INADDR_LOOPBACK);
    }
}

static int take_reply(ac_port_owner_t *owner, const ac_port_query_t *query,
                      const reply_t *reply, ssize_t len)
{
    static const __be32 any[4];
    const struct inet_diag_msg *msg = &reply->msg;

    if (len < (ssize_t)(sizeof(reply->head) + sizeof(*msg))
        || reply->head.nlmsg_type != SOCK_DIAG_BY_FAMILY
        || msg->idiag_state != STATE_LISTEN
        || msg->id.idiag_sport != htons((uint16_t)query->port)) {
        return 0;
    }
    owner->found = 1;
    owner->everywhere = !memcmp(msg->id.idiag_src, any, sizeof(any));
    owner->exact = !owner->everywhere;
    owner->foreign = msg->idiag_uid != query->uid;
    owner->foreign_uid = owner->foreign ? msg->idiag_uid : 0;
    return 1;
}

/* The kernel looks for the listener as it would for that client's SYN. 0: there
 * is none, or it has no such service; it says the same of both. */
static int ask_kernel(ac_port_owner_t *owner, const ac_port_query_t *query)
{
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    NETLINK_SOCK_DIAG);
    reply_t reply;
    ask_t ask;
    int found = 0;

    fill_ask(&ask, query);
    /* The answer is queued before send() returns. */
    if (fd >= 0 && send(fd, &ask, sizeof(ask), 0) == sizeof(ask)) {
        found = take_reply(owner, query, &reply, recv(fd, &reply, sizeof(reply), 0));
    }
    if (fd >= 0) {
        close(fd);
    }
    return found;
}

/* The files list every connection of the machine: milliseconds where the kernel
 * itself needs microseconds. */
void ac_port_owner(ac_port_owner_t *owner, const ac_port_query_t *query)
{
    memset(owner, 0, sizeof(*owner));
    if (ask_kernel(owner, query)) {
        return;
    }
    scan_file(owner, query, "/proc/net/tcp");
    scan_file(owner, query, "/proc/net/tcp6");
}

void ac_token_draw(char token[AC_TOKEN_LEN + 1])
{
    unsigned char b[16];

    draw(b, sizeof(b));
    snprintf(token, AC_TOKEN_LEN + 1,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
             b[12], b[13], b[14], b[15]);
}
