/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_shared.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "shared/message.h"
#include "shared/outbox.h"

static int links[2];
static unsigned char *buf;

static void open_links(void)
{
    ck_assert_int_eq(ac_message_pair(links), APR_SUCCESS);
    buf = malloc(AC_MESSAGE_MAX);
}

static void close_links(void)
{
    close(links[0]);
    close(links[1]);
    free(buf);
}

static int open_fds(void)
{
    int fd, n = 0;

    for (fd = 0; fd < 1024; ++fd) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

START_TEST(a_message_carries_body_and_descriptors)
{
    ac_wire_writer_t w;
    ac_message_t msg;
    int event = eventfd(0, EFD_CLOEXEC);
    uint64_t value = 0;

    ac_message_begin(&w, AC_MSG_EXITED, p);
    ac_wire_put_u64(&w, 42);
    ac_wire_put_u32(&w, 256);
    ck_assert_int_eq(ac_message_send(links[0], &w, &event, 1), APR_SUCCESS);
    ck_assert_int_eq(ac_message_receive(links[1], buf, &msg), APR_SUCCESS);
    ck_assert_int_eq(msg.type, AC_MSG_EXITED);
    ck_assert_uint_eq(ac_wire_get_u64(&msg.body), 42);
    ck_assert_uint_eq(ac_wire_get_u32(&msg.body), 256);
    ck_assert_int_eq(ac_wire_reader_end(&msg.body), APR_SUCCESS);
    ck_assert_int_eq(msg.n_fds, 1);
    ck_assert_uint_eq(msg.sender_pid, 0);
    ck_assert_int_ne(fcntl(msg.fds[0], F_GETFD) & FD_CLOEXEC, 0);
    eventfd_write(msg.fds[0], 5);
    ck_assert_int_eq(read(event, &value, sizeof(value)), sizeof(value));
    ck_assert_uint_eq(value, 5);
    ac_message_done(&msg);
    ck_assert_int_eq(ac_message_receive(links[1], buf, &msg), APR_EAGAIN);
    close(event);
}
END_TEST

START_TEST(the_largest_message_fits_and_no_larger)
{
    static char data[AC_MESSAGE_MAX];
    ac_wire_writer_t w;
    ac_message_t msg;

    ac_message_begin(&w, AC_MSG_NOTE, p);
    ac_wire_put_bytes(&w, data, AC_MESSAGE_MAX - 8);
    ck_assert_int_eq(ac_message_send(links[0], &w, NULL, 0), APR_SUCCESS);
    ck_assert_int_eq(ac_message_receive(links[1], buf, &msg), APR_SUCCESS);
    ck_assert_uint_eq(msg.body.len, AC_MESSAGE_MAX);
    ac_message_begin(&w, AC_MSG_NOTE, p);
    ac_wire_put_bytes(&w, data, AC_MESSAGE_MAX - 7);
    ck_assert_int_eq(ac_message_send(links[0], &w, NULL, 0), APR_ENOSPC);
}
END_TEST

static void send_raw(const void *data, size_t len, int n)
{
    static int fds[AC_MESSAGE_FDS + 16];
    char control[CMSG_SPACE(sizeof(fds))] = { 0 };
    struct iovec iov = { (void *)data, len };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (n) {
        struct cmsghdr *head;
        int i;

        for (i = 0; i < n; ++i) {
            fds[i] = links[0];
        }
        msg.msg_control = control;
        msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
        head = CMSG_FIRSTHDR(&msg);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(head), fds, n * sizeof(int));
    }
    ck_assert_int_eq(sendmsg(links[0], &msg, 0), (ssize_t)len);
}

START_TEST(malformed_messages_leave_no_descriptor)
{
    static const unsigned char unknown[] = { 99, 0, 0, 0 };
    static const unsigned char ack[] = { AC_MSG_ACK, 0, 0, 0 };
    static char large[AC_MESSAGE_MAX + 1] = { AC_MSG_ACK };
    ac_message_t msg;
    int before = open_fds();

    send_raw(unknown, sizeof(unknown), 2);
    send_raw(ack, 2, 1);
    send_raw(large, sizeof(large), 1);
    send_raw(ack, sizeof(ack), AC_MESSAGE_FDS + 1);
    send_raw(ack, sizeof(ack), AC_MESSAGE_FDS + 16);
    ck_assert_int_eq(ac_message_receive(links[1], buf, &msg), APR_EINVAL);
    ck_assert_int_eq(ac_message_receive(links[1], buf, &msg), APR_EINVAL);
    ck_assert_int_eq(ac_message_receive(links[1], buf, &msg), APR_EINVAL);
    ck_assert_int_eq(ac_message_receive(links[1], buf, &msg), APR_EINVAL);
    ck_assert_int_eq(ac_message_receive(links[1], buf, &msg), APR_EINVAL);
    ck_assert_int_eq(msg.n_fds, 0);
    ck_assert_int_eq(open_fds(), before);
    send_raw(ack, sizeof(ack), AC_MESSAGE_FDS);
    ck_assert_int_eq(ac_message_receive(links[1], buf, &msg), APR_SUCCESS);
    ck_assert_int_eq(msg.n_fds, AC_MESSAGE_FDS);
    ac_message_done(&msg);
    ck_assert_int_eq(open_fds(), before);
}
END_TEST

START_TEST(a_dead_peer_is_the_end)
{
    ac_wire_writer_t w;
    ac_message_t msg;

    ac_message_begin(&w, AC_MSG_STOP, p);
    close(links[0]);
    ck_assert_int_eq(ac_message_receive(links[1], buf, &msg), APR_EOF);
    ck_assert_int_ne(ac_message_send(links[1], &w, NULL, 0), APR_SUCCESS);
    ck_assert_int_eq(ac_message_pair(links), APR_SUCCESS);
}
END_TEST

START_TEST(a_log_target_crosses)
{
    ac_log_target_t target = { AC_LOG_FILE, 3, 4, 6, "shop", "/var/log/shop",
                               1 << 20, 4 };
    ac_log_target_t got = { 0 };
    ac_wire_writer_t w;
    ac_wire_reader_t r;

    ac_wire_writer_init(&w, 4096, p);
    ac_log_target_put(&w, &target);
    ac_wire_reader_init(&r, w.data, w.len);
    ac_log_target_get(&r, &got, p);
    ck_assert_int_eq(ac_wire_reader_end(&r), APR_SUCCESS);
    ck_assert_uint_eq(got.mode, AC_LOG_FILE);
    ck_assert_uint_eq(got.log_level, 4);
    ck_assert_uint_eq(got.plain_level, 6);
    ck_assert_str_eq(got.file, "/var/log/shop");
    ck_assert_uint_eq(got.max_size, 1 << 20);
    w.data[0] = 9;
    ac_wire_reader_init(&r, w.data, w.len);
    ac_log_target_get(&r, &got, p);
    ck_assert_int_eq(ac_wire_reader_end(&r), APR_EINVAL);
}
END_TEST

static int wake_from_child(int fd)
{
    return ac_wake_send(fd, AC_WAKE_HELLO, 7, fd) != APR_SUCCESS
           || ac_wake_send(fd, AC_WAKE_APP, 99, -1) != APR_SUCCESS;
}

START_TEST(a_wake_says_who_sent_it)
{
    ac_wake_t wake;
    uint32_t pid = 0;
    pid_t child;
    int in, out, fd = -1;

    ck_assert_int_eq(ac_wake_pair(&in, &out), APR_SUCCESS);
    CHILD(child, wake_from_child(out));
    ck_assert_int_eq(child_status(child), 0);
    ck_assert_int_eq(ac_wake_receive(in, &wake, &pid, &fd), APR_SUCCESS);
    ck_assert_uint_eq(pid, (uint32_t)child);
    ck_assert_uint_eq(wake.what, AC_WAKE_HELLO);
    ck_assert_uint_eq(wake.value, 7);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(ac_wake_receive(in, &wake, &pid, &fd), APR_SUCCESS);
    ck_assert_uint_eq(wake.value, 99);
    ck_assert_int_eq(fd, -1);
    ck_assert_int_eq(ac_wake_receive(in, &wake, &pid, &fd), APR_EAGAIN);
    ck_assert_int_eq(send(out, "short", 5, 0), 5);
    ck_assert_int_eq(ac_wake_receive(in, &wake, &pid, &fd), APR_EINVAL);
    ck_assert_int_eq(send(out, "", 0, 0), 0);
    ck_assert_int_eq(ac_wake_receive(in, &wake, &pid, &fd), APR_EINVAL);
    close(in);
    close(out);
}
END_TEST

START_TEST(an_outbox_keeps_order_and_descriptors)
{
    ac_outbox_t box;
    ac_wire_writer_t w;
    ac_message_t msg;
    uint32_t sent, got = 0;
    int before = open_fds();

    ac_outbox_init(&box, links[0], 64 * 1024);
    for (sent = 0; !ac_outbox_pending(&box) || sent % 16; ++sent) {
        ac_message_begin(&w, AC_MSG_ACK, p);
        ac_wire_put_u32(&w, sent);
        ck_assert_int_eq(ac_outbox_send(&box, &w, links, sent % 8 == 0), APR_SUCCESS);
    }
    ck_assert_int_eq(ac_outbox_flush(&box), APR_EAGAIN);
    while (got < sent) {
        apr_status_t rv = ac_message_receive(links[1], buf, &msg);

        if (APR_STATUS_IS_EAGAIN(rv)) {
            ac_outbox_flush(&box);
            continue;
        }
        ck_assert_int_eq(rv, APR_SUCCESS);
        ck_assert_uint_eq(ac_wire_get_u32(&msg.body), got);
        ck_assert_int_eq(msg.n_fds, got % 8 == 0);
        ac_message_done(&msg);
        ++got;
    }
    ck_assert(!ac_outbox_pending(&box));
    ck_assert_int_eq(open_fds(), before);
}
END_TEST

START_TEST(an_outbox_has_a_limit)
{
    static char data[64 * 1024];
    ac_outbox_t box;
    ac_wire_writer_t w;
    apr_status_t rv;
    int before = open_fds();

    ac_message_begin(&w, AC_MSG_NOTE, p);
    ac_wire_put_bytes(&w, data, sizeof(data));
    ac_outbox_init(&box, links[0], 3 * sizeof(data));
    do {
        rv = ac_outbox_send(&box, &w, links, 1);
    } while (rv == APR_SUCCESS);
    ck_assert_int_eq(rv, APR_ENOSPC);
    ck_assert_uint_le(box.bytes, 3 * sizeof(data));
    ac_outbox_clear(&box);
    ck_assert(!ac_outbox_pending(&box));
    ck_assert_int_eq(open_fds(), before);
    box.link = -1;
    ck_assert_int_eq(ac_outbox_send(&box, &w, NULL, 0), APR_EOF);
}
END_TEST

TCase *message_case(void)
{
    TCase *tc = case_create("message");

    tcase_add_checked_fixture(tc, open_links, close_links);
    tcase_add_test(tc, a_message_carries_body_and_descriptors);
    tcase_add_test(tc, the_largest_message_fits_and_no_larger);
    tcase_add_test(tc, malformed_messages_leave_no_descriptor);
    tcase_add_test(tc, a_dead_peer_is_the_end);
    tcase_add_test(tc, a_log_target_crosses);
    tcase_add_test(tc, a_wake_says_who_sent_it);
    tcase_add_test(tc, an_outbox_keeps_order_and_descriptors);
    tcase_add_test(tc, an_outbox_has_a_limit);
    return tc;
}
