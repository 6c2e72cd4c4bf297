/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/leave.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ap_listen.h"
#include "ap_mpm.h"
#include "http_log.h"
#include "base/clock.h"
#include "inproc/guard.h"
#include "inproc/minder.h"

APLOG_USE_MODULE(appcore);

/* Clients that use their connections again and again learn with a response that they
 * are to be closed, rather than find them closed. */
#define DRAIN apr_time_from_msec(300)
#define KNOCK_EVERY apr_time_from_msec(20)
#define WAKE_EVERY apr_time_from_msec(200)
/* So much later the MPM does not do what is expected of it. */
#define PATIENCE apr_time_from_sec(30)
/* After 9 s the parent kills a child that was not told to end gracefully
 * (ap_reclaim_child_processes() in server/mpm_unix.c); it began to count before the
 * child heard of it. */
#define KILLED_AFTER apr_time_from_sec(8)

static struct {
    _Atomic int begun;
    _Atomic int stopping;
    _Atomic apr_time_t killed_at;   /* by httpd; 0: it waits for the child */
    _Atomic apr_time_t from;    /* not to knock before */
    apr_time_t since;           /* the minder's: when it first knocked */
    int complained;
    int is_threaded;            /* the MPM */
    server_rec *server;
} leave;

static apr_status_t refuse(void **accepted, ap_listen_rec *lr, apr_pool_t *ptrans)
{
    (void)lr;
    (void)ptrans;
    *accepted = NULL;
    return APR_EGENERAL;
}

/* Makes the listener readable for a moment; whoever of the children comes first
 * finds a connection that was closed again. */
static void knock(const ap_listen_rec *lr)
{
    const apr_sockaddr_t *to = lr->bind_addr;
    int fd = socket(to->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0) {
        (void)!connect(fd, (const struct sockaddr *)&to->sa, to->salen);
        close(fd);
    }
}

static int mpm_state(void)
{
    int state = AP_MPMQ_STARTING;

    ap_mpm_query(AP_MPMQ_MPM_STATE, &state);
    return state;
}

int ac_leave_stopping(void)
{
    return atomic_load(&leave.stopping) || mpm_state() == AP_MPMQ_STOPPING;
}

static void complain(apr_time_t now)
{
    if (!leave.complained && now - leave.since > PATIENCE) {
        leave.complained = 1;
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, leave.server, "this process is to be "
                     "replaced for the sake of an app, but httpd's MPM goes on with it "
                     "(ListenCoresBucketsRatio must be 0); a graceful restart of httpd "
                     "helps");
    }
}

/* The listener of a threaded MPM tells the first thread by a SIGTERM to the process,
 * once. The kernel may choose any thread that takes it, and those of a runtime do: the
 * first one would wait for ever. All that the signal does is to end a system call. Until
 * the minder is stopped, which that thread does. */
static apr_time_t wake_first_thread(apr_time_t now)
{
    if (!leave.is_threaded) {
        return 0;
    }
    syscall(SYS_tgkill, getpid(), getpid(), SIGTERM);
    return now + WAKE_EVERY;
}

/* An MPM sets its own accept functions after child_init, so they are set again. */
static apr_time_t do_leave(apr_time_t now)
{
    ap_listen_rec *lr;

    if (!atomic_load(&leave.begun)) {
        return 0;
    }
    if (ac_leave_stopping()) {
        return wake_first_thread(now);
    }
    if (now < atomic_load(&leave.from)) {
        return atomic_load(&leave.from);
    }
    leave.since = leave.since ? leave.since : now;
    complain(now);
    if (mpm_state() == AP_MPMQ_RUNNING) {
        for (lr = ap_listeners; lr; lr = lr->next) {
            lr->accept_func = refuse;
        }
        for (lr = ap_listeners; lr; lr = lr->next) {
            knock(lr);
        }
    }
    return now + (leave.complained ? apr_time_from_sec(1) : KNOCK_EVERY);
}

void ac_leave_begin(int still_serves)
{
    if (!atomic_load(&leave.begun) || !still_serves) {
        atomic_store(&leave.from, still_serves ? ac_clock_now() + DRAIN : 0);
    }
    ac_guard_forgive(APEXIT_CHILDSICK);
    atomic_store(&leave.begun, 1);
    ac_minder_wake();
}

int ac_leave_see_request(request_rec *r)
{
    if (atomic_load_explicit(&leave.begun, memory_order_relaxed)) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    return DECLINED;
}

int ac_leave_begun(void)
{
    return atomic_load(&leave.begun);
}

apr_interval_time_t ac_leave_left(uint32_t limit_ms)
{
    apr_interval_time_t left = apr_time_from_msec((apr_time_t)limit_ms);
    apr_time_t until = atomic_load(&leave.killed_at);

    if (until && until - ac_clock_now() < left) {
        left = until - ac_clock_now();
    }
    return left > 0 ? left : 0;
}

apr_interval_time_t ac_leave_for_requests(uint32_t limit_ms)
{
    apr_interval_time_t left = ac_leave_left(limit_ms);

    return atomic_load(&leave.killed_at) ? left / 2 : left;
}

void ac_leave_hook(apr_pool_t *pchild, int graceful)
{
    (void)pchild;
    if (!graceful) {
        atomic_store(&leave.killed_at, ac_clock_now() + KILLED_AFTER);
    }
    atomic_store(&leave.stopping, 1);
    ac_minder_wake();
}

void ac_leave_init(server_rec *s, int is_threaded)
{
    leave.is_threaded = is_threaded;
    leave.server = s;
    ac_minder_add(AC_MINDER_CHILD, do_leave);
}
