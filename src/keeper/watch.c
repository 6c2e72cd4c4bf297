/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/state.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include <apr_strings.h>

#include "base/pidfd.h"
#include "keeper/process.h"
#include "keeper/service.h"

void ac_kwatch_init(ac_kwatch_t *watch, void *owner,
                    void (*ready)(ac_keeper_t *, ac_kwatch_t *, uint32_t))
{
    watch->fd = -1;
    watch->events = 0;
    watch->ready = ready;
    watch->owner = owner;
}

apr_status_t ac_kwatch_set(ac_keeper_t *k, ac_kwatch_t *watch, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };
    int op = watch->fd < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

    if (watch->fd >= 0 && watch->events == events) {
        return APR_SUCCESS;
    }
    if (epoll_ctl(k->epoll, op, fd, &event) < 0) {
        apr_status_t rv = errno;

        if (op == EPOLL_CTL_ADD) {
            close(fd);
        }
        return rv;
    }
    watch->fd = fd;
    watch->events = events;
    return APR_SUCCESS;
}

void ac_kwatch_close(ac_keeper_t *k, ac_kwatch_t *watch)
{
    if (watch->fd >= 0) {
        /* The descriptor may live on in others: closing would not remove it. */
        epoll_ctl(k->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
        close(watch->fd);
        watch->fd = -1;
    }
}

apr_status_t ac_kwatch_pid(ac_keeper_t *k, ac_kwatch_t *watch, pid_t pid)
{
    int fd = ac_pidfd_open(pid);

    return fd < 0 ? errno : ac_kwatch_set(k, watch, fd, EPOLLIN);
}

void ac_keeper_complain(ac_level_e level, const char *text)
{
    struct pollfd log = { .fd = STDERR_FILENO, .events = POLLOUT };
    char when[64];
    time_t now = time(NULL);
    struct tm tm;

    /* A logger that takes nothing costs the line, not the keeper's time. */
    if (poll(&log, 1, 0) != 1) {
        return;
    }
    localtime_r(&now, &tm);
    strftime(when, sizeof(when), "%a %b %d %H:%M:%S %Y", &tm);
    dprintf(STDERR_FILENO, "[%s] [appcore:%s] [pid %ld] %s\n", when, ac_level_name(level),
            (long)getpid(), text);
}

void ac_keeper_log(ac_keeper_t *k, ac_level_e level, const ac_kproc_t *proc,
                   const char *fmt, ...)
{
    ac_wire_writer_t w;
    const char *text;
    va_list ap;

    if (k->config && level > (proc ? proc->log.log_level : k->config->log_level)) {
        return;
    }
    va_start(ap, fmt);
    text = apr_pvsprintf(k->ptemp, fmt, ap);
    va_end(ap);
    if (k->relay.out.link < 0) {
        ac_keeper_complain(level, text);
        return;
    }
    ac_message_begin(&w, AC_MSG_LINE, k->ptemp);
    ac_wire_put_u32(&w, proc ? proc->log.log_index : 0);
    ac_wire_put_u32(&w, level);
    ac_wire_put_str(&w, proc ? proc->log.app : NULL);
    ac_wire_put_u32(&w, proc && proc->is.pid ? proc->is.pid : (uint32_t)getpid());
    ac_wire_put_str(&w, text);
    ac_service_send(k, &k->relay, &w, NULL, 0);
}
