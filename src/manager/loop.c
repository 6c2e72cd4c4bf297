/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "manager/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>
#include <apr_allocator.h>
#include <apr_strings.h>

#include "base/clock.h"

#define TO_KEEPER_MAX (64 * 1024 * 1024)
#define TO_RELAY_MAX (256 * 1024)
#define POOL_KEEP (64 * 1024)

int ac_watch_open(ac_manager_t *m, ac_watch_t *w, int fd)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = w };

    w->fd = fd;
    return epoll_ctl(m->epoll, EPOLL_CTL_ADD, fd, &ev) == 0;
}

void ac_watch_close(ac_manager_t *m, ac_watch_t *w)
{
    if (w->fd >= 0) {
        epoll_ctl(m->epoll, EPOLL_CTL_DEL, w->fd, NULL);
        close(w->fd);
        w->fd = -1;
    }
}

/* Asks to be told when a slow link takes more, and only then. */
static void flush(ac_manager_t *m, ac_watch_t *w, ac_outbox_t *box)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = w };

    if (ac_outbox_pending(box)) {
        ac_outbox_flush(box);
    }
    if (w->fd >= 0 && ac_outbox_pending(box) != w->writing) {
        w->writing = !w->writing;
        ev.events |= w->writing ? (uint32_t)EPOLLOUT : 0;
        epoll_ctl(m->epoll, EPOLL_CTL_MOD, w->fd, &ev);
    }
}

/* Of httpd's environment an app gets these alone. */
static const char **pick_environment(apr_pool_t *p)
{
    static const char *const names[] = { "PATH", "LANG", "TZ" };
    const char **env = apr_pcalloc(p, 4 * sizeof(*env));
    unsigned i, n = 0;

    for (i = 0; i < 3; ++i) {
        const char *value = getenv(names[i]);

        if (value) {
            env[n++] = apr_pstrcat(p, names[i], "=", value, NULL);
        }
    }
    return env;
}

/* A pool of its own allocator: nothing of httpd's parent, whose heap we got a
 * copy of, is touched, and freed memory goes back to the system. */
static apr_pool_t *create_pool(void)
{
    apr_allocator_t *allocator;
    apr_pool_t *p;

    if (apr_allocator_create(&allocator) != APR_SUCCESS) {
        abort();
    }
    apr_allocator_max_free_set(allocator, POOL_KEEP);
    if (apr_pool_create_unmanaged_ex(&p, NULL, allocator) != APR_SUCCESS) {
        abort();
    }
    apr_allocator_owner_set(allocator, p);
    return p;
}

static void watch_init(ac_manager_t *m, ac_watch_t *w,
                       void (*ready)(ac_manager_t *m, ac_watch_t *w))
{
    memset(w, 0, sizeof(*w));
    w->fd = -1;
    w->ready = ready;
    w->baton = m;
}

ac_manager_t *ac_loop_create(int link)
{
    apr_pool_t *p = create_pool();
    ac_manager_t *m = apr_pcalloc(p, sizeof(*m));
    uint32_t seed = 1;

    m->p = p;
    apr_pool_create(&m->ptemp, p);
    m->buf = apr_palloc(p, AC_MESSAGE_MAX);
    m->inherited = pick_environment(p);
    m->adopted = apr_array_make(p, 4, sizeof(ac_adopted_t));
    m->now = ac_clock_now();
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
        seed = (uint32_t)m->now;
    }
    /* Earlier managers drew theirs from an earlier clock. */
    m->sup = ac_sup_create((uint64_t)m->now, seed);
    m->next_look = (uint64_t)m->now;
    m->epoll = epoll_create1(EPOLL_CLOEXEC);
    watch_init(m, &m->keeper, ac_keeper_read);
    watch_init(m, &m->relay, NULL);
    watch_init(m, &m->wake, ac_children_read);
    watch_init(m, &m->notify, ac_notify_read);
    ac_outbox_init(&m->to_keeper, link, TO_KEEPER_MAX);
    ac_outbox_init(&m->to_relay, -1, TO_RELAY_MAX);
    ac_watch_open(m, &m->keeper, link);
    ac_eyes_open(m);
    return m;
}

static void relay_read(ac_manager_t *m, ac_watch_t *w)
{
    ac_message_t msg;
    apr_status_t rv = ac_message_receive(w->fd, m->buf, &msg);

    if (rv == APR_SUCCESS && msg.type == AC_MSG_CAPTURED) {
        uint64_t tag = ac_wire_get_u64(&msg.body);
        apr_size_t len;
        const char *data = ac_wire_get_bytes(&msg.body, &len);

        ac_failure_captured(m, tag, data, len);
    }
    if (rv == APR_SUCCESS) {
        ac_message_done(&msg);
    }
    else if (APR_STATUS_IS_EOF(rv)) {
        ac_loop_relay(m, -1);
    }
}

void ac_loop_relay(ac_manager_t *m, int link)
{
    ac_watch_close(m, &m->relay);
    ac_outbox_clear(&m->to_relay);
    ac_outbox_init(&m->to_relay, link, TO_RELAY_MAX);
    watch_init(m, &m->relay, relay_read);
    if (link >= 0) {
        ac_watch_open(m, &m->relay, link);
    }
}

static apr_time_t sooner(apr_time_t a, apr_time_t b)
{
    return a && (a < b || !b) ? a : b;
}

/* Milliseconds until something is due, rounded up; -1: nothing is. */
static int timeout(const ac_manager_t *m)
{
    apr_time_t due = sooner(ac_sup_due(m->sup), ac_ready_due(m));
    apr_time_t now;

    due = sooner(ac_failure_due(m), due);
    due = sooner(ac_doubt_due(m), due);
    due = sooner(ac_eyes_due(m), due);
    if (!due) {
        return -1;
    }
    now = ac_clock_now();
    return due <= now ? 0 : (int)((due - now + 999) / 1000);
}

static void run_due(ac_manager_t *m)
{
    m->now = ac_clock_now();
    ac_sup_tick(m->sup, m->now);
    ac_ready_tick(m);
    ac_failure_tick(m);
    ac_doubt_tick(m);
    ac_eyes_tick(m);
    ac_perform_all(m);
}

/* One event at a time: a callback may close any other watch, and an event that
 * was fetched before that would point at it. */
void ac_loop_run(ac_manager_t *m)
{
    struct epoll_event ev;

    for (;;) {
        int n = epoll_wait(m->epoll, &ev, 1, timeout(m));

        if (n < 0 && errno != EINTR) {
            _exit(1);
        }
        run_due(m);
        if (n > 0) {
            ac_watch_t *w = ev.data.ptr;

            if (w->ready && (ev.events & (uint32_t)~EPOLLOUT)) {
                w->ready(m, w);
            }
            ac_perform_all(m);
        }
        flush(m, &m->keeper, &m->to_keeper);
        flush(m, &m->relay, &m->to_relay);
        apr_pool_clear(m->ptemp);
        if (m->stopping && ac_sup_stopped(m->sup)) {
            _exit(0);
        }
    }
}
