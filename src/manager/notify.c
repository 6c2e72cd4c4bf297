/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* sd_notify messages. Anybody on the machine may send one; the kernel says which
 * process did, and only a process's own family speaks for it. */

#include "manager/loop.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <apr_lib.h>

#include "manager/notify.h"

#define DATAGRAM_MAX 4096
#define DATAGRAMS_PER_EVENT 16

void ac_notify_parse(ac_notify_t *said, char *text)
{
    char *line, *last = NULL;

    memset(said, 0, sizeof(*said));
    for (line = strtok_r(text, "\n", &last); line; line = strtok_r(NULL, "\n", &last)) {
        if (strcmp(line, "READY=1") == 0) {
            said->ready = 1;
        }
        else if (strncmp(line, "STATUS=", 7) == 0) {
            said->status = line + 7;
        }
        else if (strcmp(line, "X_APPCORE_PROTOCOL=h2c") == 0) {
            said->protocol = AC_PROTOCOL_H2C;
        }
        else if (strcmp(line, "X_APPCORE_PROTOCOL=http/1.1") == 0) {
            said->protocol = AC_PROTOCOL_HTTP1;
        }
    }
}

/* The process itself leads its group and its session; a helper of it may have a
 * group of its own. */
static ac_run_t *find_family(ac_manager_t *m, pid_t pid)
{
    pid_t group = getpgid(pid), session = getsid(pid);
    const ac_sup_app_t *app;
    const ac_sup_proc_t *proc;

    for (app = ac_sup_first(m->sup); app; app = app->next) {
        for (proc = app->procs; proc; proc = proc->next) {
            ac_run_t *run = ac_run_of(proc);

            if (run && run->pid && proc->is.state != AC_PROC_DEAD
                && ((pid_t)run->pid == group || (pid_t)run->pid == session)) {
                return run;
            }
        }
    }
    return NULL;
}

/* No room for descriptors: the kernel keeps what a sender attaches. */
static ssize_t receive(int fd, char *text, pid_t *ppid)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec iov = { text, DATAGRAM_MAX };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                          .msg_controllen = sizeof(control) };
    ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&msg) : NULL;
    struct ucred sender;

    *ppid = 0;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
        memcpy(&sender, CMSG_DATA(c), sizeof(sender));
        *ppid = sender.pid;
    }
    return n;
}

static void note_status(ac_run_t *run, const char *status)
{
    apr_size_t i;

    for (i = 0; status[i] && i < sizeof(run->status) - 1; ++i) {
        run->status[i] = apr_iscntrl(status[i]) ? ' ' : status[i];
    }
    run->status[i] = '\0';
    ac_talk_run(run, AC_LEVEL_INFO, "says: %s", run->status);
}

static void on_datagram(ac_manager_t *m, char *text, pid_t pid)
{
    ac_run_t *run = pid > 0 ? find_family(m, pid) : NULL;
    ac_notify_t said;

    if (!run) {
        return;
    }
    ac_notify_parse(&said, text);
    if (said.status) {
        note_status(run, said.status);
    }
    if (said.protocol && run->proc->is.state == AC_PROC_START) {
        run->protocol = said.protocol;
    }
    if (said.ready) {
        ac_ready_announce(run);
    }
}

void ac_notify_read(ac_manager_t *m, ac_watch_t *w)
{
    char text[DATAGRAM_MAX + 1];
    pid_t pid;
    int i;

    for (i = 0; i < DATAGRAMS_PER_EVENT; ++i) {
        ssize_t n = receive(w->fd, text, &pid);

        if (n < 0) {
            return;
        }
        text[n] = '\0';
        on_datagram(m, text, pid);
    }
}
