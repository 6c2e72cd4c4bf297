/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/service.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/identity.h"
#include "keeper/process.h"
#include "keeper/spawn.h"

#define OUTBOX_LIMIT (16 * 1024 * 1024)
#define STEADY_TIME apr_time_from_sec(10)   /* a run that long was no failure */
/* Where the next manager starts later than this, requests do not wait for it. */
#define LONG_PAUSE apr_time_from_sec(5)

static void on_link(ac_keeper_t *k, ac_kwatch_t *watch, uint32_t events);

void ac_service_init(ac_keeper_t *k, ac_service_t *svc, const char *name, int is_relay)
{
    memset(svc, 0, sizeof(*svc));
    svc->name = name;
    svc->is_relay = is_relay;
    ac_kwatch_init(&svc->link, svc, on_link);
    svc->pidfd.fd = -1;
    ac_outbox_init(&svc->out, -1, OUTBOX_LIMIT);
    (void)k;
}

static void close_link(ac_keeper_t *k, ac_service_t *svc)
{
    ac_outbox_clear(&svc->out);
    svc->out.link = -1;
    ac_kwatch_close(k, &svc->link);
}

/* Its end is seen through the pidfd like any other. */
static void give_up(ac_keeper_t *k, ac_service_t *svc)
{
    close_link(k, svc);
    if (svc->pid) {
        kill(svc->pid, SIGKILL);
    }
}

void ac_service_send(ac_keeper_t *k, ac_service_t *svc, const ac_wire_writer_t *w,
                     const int *fds, int n)
{
    apr_status_t rv;

    if (svc->out.link < 0) {
        return;
    }
    rv = ac_outbox_send(&svc->out, w, fds, n);
    if (rv != APR_SUCCESS && w->status == APR_SUCCESS) {
        give_up(k, svc);
    }
    else if (ac_outbox_pending(&svc->out)) {
        ac_kwatch_set(k, &svc->link, svc->link.fd, EPOLLIN | EPOLLOUT);
    }
}

static void on_link(ac_keeper_t *k, ac_kwatch_t *watch, uint32_t events)
{
    static unsigned char buf[AC_MESSAGE_MAX];
    ac_service_t *svc = watch->owner;
    ac_message_t msg;
    apr_status_t rv = APR_EAGAIN;

    if (events & EPOLLOUT) {
        rv = ac_outbox_flush(&svc->out);
        if (rv == APR_SUCCESS) {
            ac_kwatch_set(k, watch, watch->fd, EPOLLIN);
        }
        rv = APR_EAGAIN;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        rv = ac_message_receive(watch->fd, buf, &msg);
    }
    if (rv == APR_SUCCESS) {
        ac_request(k, svc, &msg);
        explicit_bzero(buf, msg.body.len);
        ac_message_done(&msg);
    }
    else if (!APR_STATUS_IS_EAGAIN(rv)) {
        give_up(k, svc);
    }
}

static void on_end(ac_keeper_t *k, ac_kwatch_t *watch, uint32_t events)
{
    ac_service_t *svc = watch->owner;
    apr_time_t now = ac_clock_now();
    apr_interval_time_t delay;
    int status = 0;

    (void)events;
    if (waitpid(svc->pid, &status, WNOHANG) != svc->pid) {
        return;
    }
    svc->pid = 0;
    ac_kwatch_close(k, watch);
    close_link(k, svc);
    if (k->stop) {
        return;
    }
    svc->failures = now - svc->started > STEADY_TIME ? 1 : svc->failures + 1;
    delay = ac_backoff_delay(svc->failures, (uint32_t)now * 2654435761u);
    svc->start_at = now + delay;
    if (!svc->is_relay && delay > LONG_PAUSE) {
        ac_board_abandon(k->args.board_fd, k->ptemp);
    }
    ac_keeper_log(k, AC_LEVEL_ERR, NULL, "%s ended (%s %d); another one takes over in "
                  "%d ms", svc->name, WIFSIGNALED(status) ? "signal" : "exit",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                  (int)(delay / 1000));
}

/* As 3 and 4, by way of numbers that cannot be in each other's way. */
static int keep_links(int link, int peer)
{
    link = fcntl(link, F_DUPFD, 5);
    peer = peer >= 0 ? fcntl(peer, F_DUPFD, 5) : peer;
    if (link < 0 || dup2(link, 3) < 0 || (peer >= 0 && dup2(peer, 4) < 0)) {
        return 0;
    }
    return close_range(peer >= 0 ? 5 : 4, ~0u, 0) == 0;
}

/* In the child. The keeper's memory goes along, so it stays unreadable. A manager
 * ends with its keeper, since two must never write one board; a relay goes on with
 * the output of apps that outlive it. */
static void become_service(ac_keeper_t *k, ac_service_t *svc, int link, int peer)
{
    ac_identity_t id;
    ac_result_t res;

    ac_spawn_reset_signals();
    signal(SIGPIPE, SIG_IGN);
    if (!keep_links(link, peer)) {
        _exit(125);
    }
    if (!svc->is_relay) {
        /* The relay gets newer logs in its place; here it would keep an old
         * logger's pipe open. */
        dup2(STDIN_FILENO, STDERR_FILENO);
    }
    ac_identity_server(&id, k->config->server_uid, k->config->server_gid);
    if (!ac_identity_take(&id, &res)) {
        _exit(126);
    }
    if (!svc->is_relay) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    prctl(PR_SET_NAME, svc->name);
    if (getppid() != k->pid) {
        _exit(0);
    }
    if (svc->is_relay) {
        k->mains.relay(3, 4);
    }
    else {
        k->mains.manager(3);
    }
    _exit(0);
}

static int start(ac_keeper_t *k, ac_service_t *svc, int peer)
{
    int links[2];
    pid_t pid;

    if (ac_message_pair(links) != APR_SUCCESS) {
        return 0;
    }
    pid = fork();
    if (pid == 0) {
        become_service(k, svc, links[1], peer);
    }
    close(links[1]);
    if (pid < 0) {
        close(links[0]);
        return 0;
    }
    svc->pid = pid;
    svc->started = ac_clock_now();
    svc->start_at = 0;
    ac_outbox_init(&svc->out, links[0], OUTBOX_LIMIT);
    ac_kwatch_init(&svc->pidfd, svc, on_end);
    if (ac_kwatch_set(k, &svc->link, links[0], EPOLLIN) != APR_SUCCESS
        || ac_kwatch_pid(k, &svc->pidfd, pid) != APR_SUCCESS) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        svc->pid = 0;
        close_link(k, svc);
        return 0;
    }
    return 1;
}

static void send_link(ac_keeper_t *k, ac_service_t *to, int fd)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_LINK, k->ptemp);
    ac_service_send(k, to, &w, &fd, 1);
}

void ac_service_send_logs(ac_keeper_t *k, unsigned first, unsigned count)
{
    while (count) {
        unsigned n = count < AC_MESSAGE_FDS ? count : AC_MESSAGE_FDS;
        ac_wire_writer_t w;

        ac_message_begin(&w, AC_MSG_LOGS, k->ptemp);
        ac_wire_put_u32(&w, first);
        ac_wire_put_u32(&w, n);
        ac_service_send(k, &k->relay, &w, k->logs + first, (int)n);
        first += n;
        count -= n;
    }
}

void ac_service_send_config(ac_keeper_t *k)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_CONFIG, k->ptemp);
    ac_wire_put_u32(&w, k->serial);
    ac_service_send(k, &k->manager, &w, &k->config_fd, 1);
}

static int start_relay(ac_keeper_t *k)
{
    int pair[2];
    int started;

    if (ac_message_pair(pair) != APR_SUCCESS) {
        return 0;
    }
    started = start(k, &k->relay, pair[1]);
    close(pair[1]);
    if (!started) {
        close(pair[0]);
        return 0;
    }
    if (k->manager.pid) {
        send_link(k, &k->manager, pair[0]);
        close(pair[0]);
    }
    else {
        if (k->spare_link >= 0) {
            close(k->spare_link);
        }
        k->spare_link = pair[0];
    }
    ac_service_send_logs(k, 0, k->n_logs);
    ac_kproc_hand_over(k, &k->relay);
    return 1;
}

/* The link to the relay: what the relay was started with, else a new one. */
static int take_relay_link(ac_keeper_t *k)
{
    int pair[2];
    int link = k->spare_link;

    k->spare_link = -1;
    if (link < 0 && ac_message_pair(pair) == APR_SUCCESS) {
        send_link(k, &k->relay, pair[1]);
        close(pair[1]);
        link = pair[0];
    }
    return link;
}

static int start_manager(ac_keeper_t *k)
{
    ac_wire_writer_t w;
    int fds[5] = { k->args.board_fd, k->args.rows_fd, k->args.wake_fd, k->notify_fd, -1 };

    if (!start(k, &k->manager, -1)) {
        return 0;
    }
    fds[4] = take_relay_link(k);
    ac_message_begin(&w, AC_MSG_HELLO, k->ptemp);
    ac_wire_put_u32(&w, ac_message_version);
    ac_service_send(k, &k->manager, &w, fds, 5);
    if (fds[4] >= 0) {
        close(fds[4]);
    }
    ac_service_send_config(k);
    ac_kproc_hand_over(k, &k->manager);
    ac_message_begin(&w, AC_MSG_BEGIN, k->ptemp);
    ac_service_send(k, &k->manager, &w, NULL, 0);
    return 1;
}

static void start_one(ac_keeper_t *k, ac_service_t *svc, int (*starter)(ac_keeper_t *))
{
    apr_time_t now = ac_clock_now();

    if (!svc->pid && now >= svc->start_at && !starter(k)) {
        svc->failures++;
        svc->start_at = now + apr_time_from_sec(1);
    }
}

void ac_service_start_all(ac_keeper_t *k)
{
    if (k->config && !k->stop) {
        start_one(k, &k->relay, start_relay);
        start_one(k, &k->manager, start_manager);
    }
}

void ac_service_close_all(ac_keeper_t *k)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_STOP, k->ptemp);
    ac_service_send(k, &k->relay, &w, NULL, 0);
    close_link(k, &k->manager);
    close_link(k, &k->relay);
}

void ac_service_kill_all(ac_keeper_t *k)
{
    if (k->manager.pid) {
        kill(k->manager.pid, SIGKILL);
    }
    if (k->relay.pid) {
        kill(k->relay.pid, SIGKILL);
    }
}
