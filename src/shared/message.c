/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "shared/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINK_BUFFER (1024 * 1024)

/* Room for the descriptors of one message and the sender's credentials. */
typedef union control_t {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(AC_MESSAGE_FDS * sizeof(int))
               + CMSG_SPACE(sizeof(struct ucred))];
} control_t;

typedef struct ancillary_t {
    int fds[AC_MESSAGE_FDS];
    int n_fds;
    int surplus;                /* more descriptors came than anybody may send */
    uint32_t pid;
} ancillary_t;

void ac_log_target_put(ac_wire_writer_t *w, const ac_log_target_t *target)
{
    ac_wire_put_u32(w, target->mode);
    ac_wire_put_u32(w, target->log_index);
    ac_wire_put_u32(w, target->log_level);
    ac_wire_put_u32(w, target->plain_level);
    ac_wire_put_str(w, target->app);
    ac_wire_put_str(w, target->file);
    ac_wire_put_u64(w, target->max_size);
    ac_wire_put_u32(w, target->keep);
}

void ac_log_target_get(ac_wire_reader_t *r, ac_log_target_t *target, apr_pool_t *p)
{
    target->mode = ac_wire_get_u32(r);
    target->log_index = ac_wire_get_u32(r);
    target->log_level = ac_wire_get_u32(r);
    target->plain_level = ac_wire_get_u32(r);
    target->app = ac_wire_get_str(r, p);
    target->file = ac_wire_get_str(r, p);
    target->max_size = ac_wire_get_u64(r);
    target->keep = ac_wire_get_u32(r);
    if (target->mode > AC_LOG_NONE) {
        r->status = APR_EINVAL;
    }
}

/* An unprivileged process gets the system's limit, which still holds one
 * message of AC_MESSAGE_MAX. */
static void widen(int fd)
{
    int size = LINK_BUFFER;

    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    }
}

apr_status_t ac_message_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
        return errno;
    }
    widen(fds[0]);
    widen(fds[1]);
    return APR_SUCCESS;
}

void ac_message_begin(ac_wire_writer_t *w, ac_message_e type, apr_pool_t *p)
{
    ac_wire_writer_init(w, AC_MESSAGE_MAX, p);
    ac_wire_put_u32(w, (uint32_t)type);
}

static apr_status_t send_with(int fd, const void *data, apr_size_t len, const int *fds,
                              int n)
{
    control_t control;
    struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t sent;

    if (n < 0 || n > AC_MESSAGE_FDS) {
        return APR_EINVAL;
    }
    if (n > 0) {
        struct cmsghdr *head;

        memset(&control, 0, sizeof(control));
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
        head = CMSG_FIRSTHDR(&msg);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(head), fds, n * sizeof(int));
    }
    do {
        sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? errno : APR_SUCCESS;
}

apr_status_t ac_message_send(int link, const ac_wire_writer_t *w, const int *fds, int n)
{
    return w->status != APR_SUCCESS ? w->status
                                    : send_with(link, w->data, w->len, fds, n);
}

static void close_all(const int *fds, int n)
{
    int i;

    for (i = 0; i < n; ++i) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
}

static void take_rights(struct cmsghdr *head, ancillary_t *anc)
{
    apr_size_t n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    apr_size_t i;

    for (i = 0; i < n; ++i) {
        int fd;

        memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(int));
        if (anc->n_fds < AC_MESSAGE_FDS) {
            anc->fds[anc->n_fds++] = fd;
        }
        else {
            close(fd);
            anc->surplus = 1;
        }
    }
}

static void take_ancillary(struct msghdr *msg, ancillary_t *anc)
{
    struct cmsghdr *head;
    struct ucred cred;

    for (head = CMSG_FIRSTHDR(msg); head; head = CMSG_NXTHDR(msg, head)) {
        if (head->cmsg_level != SOL_SOCKET) {
            continue;
        }
        if (head->cmsg_type == SCM_RIGHTS) {
            take_rights(head, anc);
        }
        else if (head->cmsg_type == SCM_CREDENTIALS) {
            memcpy(&cred, CMSG_DATA(head), sizeof(cred));
            anc->pid = (uint32_t)cred.pid;
        }
    }
    if (msg->msg_flags & MSG_CTRUNC) {
        anc->surplus = 1;
    }
}

/* One packet of at most `size` bytes. Descriptors stay open only on success. */
static apr_status_t receive_with(int fd, void *data, apr_size_t size, apr_size_t *plen,
                                 ancillary_t *anc)
{
    control_t control;
    struct iovec iov = { .iov_base = data, .iov_len = size };
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes)
    };
    ssize_t got;

    memset(anc, 0, sizeof(*anc));
    do {
        got = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return errno == ECONNRESET ? APR_EOF : errno;
    }
    take_ancillary(&msg, anc);
    if (got == 0 || anc->surplus || (msg.msg_flags & MSG_TRUNC)) {
        close_all(anc->fds, anc->n_fds);
        anc->n_fds = 0;
        return got == 0 ? APR_EOF : APR_EINVAL;
    }
    *plen = (apr_size_t)got;
    return APR_SUCCESS;
}

apr_status_t ac_message_receive(int link, unsigned char *buf, ac_message_t *pmsg)
{
    ancillary_t anc;
    apr_size_t len;
    uint32_t type;
    apr_status_t rv;

    memset(pmsg, 0, sizeof(*pmsg));
    rv = receive_with(link, buf, AC_MESSAGE_MAX, &len, &anc);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    memcpy(pmsg->fds, anc.fds, sizeof(anc.fds));
    pmsg->n_fds = anc.n_fds;
    pmsg->sender_pid = anc.pid;
    ac_wire_reader_init(&pmsg->body, buf, len);
    type = ac_wire_get_u32(&pmsg->body);
    if (type == AC_MSG_NONE || type > AC_MSG_CAPTURED) {
        ac_message_done(pmsg);
        return APR_EINVAL;
    }
    pmsg->type = (ac_message_e)type;
    return APR_SUCCESS;
}

void ac_message_done(ac_message_t *msg)
{
    close_all(msg->fds, msg->n_fds);
    msg->n_fds = 0;
}

apr_status_t ac_wake_pair(int *preceive, int *psend)
{
    int fds[2];
    int on = 1;

    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
        return errno;
    }
    /* From the start: a datagram sent before the receiver asks has no sender. */
    (void)setsockopt(fds[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
    *preceive = fds[0];
    *psend = fds[1];
    return APR_SUCCESS;
}

apr_status_t ac_wake_send(int fd, uint32_t what, uint64_t value, int eventfd_or_minus1)
{
    ac_wake_t wake = { .version = ac_message_version, .what = what, .value = value };

    return send_with(fd, &wake, sizeof(wake), &eventfd_or_minus1,
                     eventfd_or_minus1 >= 0 ? 1 : 0);
}

apr_status_t ac_wake_receive(int fd, ac_wake_t *pwake, uint32_t *ppid, int *pfd)
{
    ancillary_t anc;
    apr_size_t len = 0;
    apr_status_t rv = receive_with(fd, pwake, sizeof(*pwake), &len, &anc);

    if (rv != APR_SUCCESS) {
        /* A datagram socket has no end; an empty one is just malformed. */
        return rv == APR_EOF ? APR_EINVAL : rv;
    }
    if (len != sizeof(*pwake) || pwake->version != ac_message_version || anc.n_fds > 1) {
        close_all(anc.fds, anc.n_fds);
        return APR_EINVAL;
    }
    *ppid = anc.pid;
    *pfd = anc.n_fds ? anc.fds[0] : -1;
    return APR_SUCCESS;
}
