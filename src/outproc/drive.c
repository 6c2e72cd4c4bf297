/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "outproc/drive.h"

#include <poll.h>

#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"
#include "apr_optional.h"
#include "apr_poll.h"
#include "apr_portable.h"
#include "base/clock.h"

APLOG_USE_MODULE(appcore);

/* An HTTP/2 stream reports its end by a flag that wakes nobody. */
#define LOOK_AGAIN apr_time_from_msec(500)
/* mod_reqtimeout has a clock, but looks at it only when somebody reads. */
#define READ_AGAIN apr_time_from_sec(1)

/* mod_http2, httpd 2.4.58 and later: a pipe that is readable when the stream has
 * input. Declared here because mod_http2.h is not everywhere installed. */
APR_DECLARE_OPTIONAL_FN(apr_status_t, http2_get_pollfd_from_conn,
                        (conn_rec *c, struct apr_pollfd_t *pfd,
                         apr_interval_time_t *ptimeout));
static APR_OPTIONAL_FN_TYPE(http2_get_pollfd_from_conn) *stream_pollfd;

void ac_drive_init(void)
{
    stream_pollfd = APR_RETRIEVE_OPTIONAL_FN(http2_get_pollfd_from_conn);
}

static void attach_stream(ac_exchange_t *x)
{
    apr_pollfd_t pfd = { 0 };

    if (stream_pollfd
        && stream_pollfd(x->r->connection, &pfd, NULL) == APR_SUCCESS
        && pfd.desc_type == APR_POLL_FILE) {
        apr_os_file_get(&x->client_fd, pfd.desc.f);
    }
    x->body->blocking = x->client_fd < 0;
}

void ac_drive_attach(ac_exchange_t *x)
{
    conn_rec *c = x->r->connection;

    if (c->master) {
        attach_stream(x);
    }
    else {
        apr_os_sock_get(&x->client_fd, ap_get_conn_socket(c));
        x->client_is_socket = x->client_fd >= 0;
        x->body->blocking = x->client_fd < 0;
    }
}

static int timeout_ms(apr_time_t now, apr_time_t until)
{
    apr_interval_time_t left = until - now;

    if (until == 0) {
        return -1;
    }
    /* Rounded up, or the last millisecond would be a busy loop. */
    return left <= 0 ? 0 : (int)((left < apr_time_from_sec(3600)
                                  ? left : apr_time_from_sec(3600)) + 999) / 1000;
}

static apr_time_t earlier(apr_time_t a, apr_time_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* The end of what the client sends is looked for where that ends the exchange;
 * elsewhere it would be reported over and over while nobody reads. */
static short client_events(const ac_exchange_t *x)
{
    if (x->client_is_socket && x->phase != AC_PHASE_TUNNEL
        && ac_exchange_client_quiet(x)) {
        return x->want_client | POLLRDHUP;
    }
    return x->want_client;
}

static int waits_for_body(const ac_exchange_t *x)
{
    return (x->want_client & POLLIN) && x->phase != AC_PHASE_TUNNEL;
}

/* Waits until something that the exchange wants happened or `until` came. A client
 * of which nothing is wanted is not looked at in the first moments: most answers
 * come before it could leave, and looking at two sockets costs. */
static void wait_once(ac_exchange_t *x, apr_time_t until, int young)
{
    struct pollfd pfd[2] = {
        { .fd = x->conn->fd, .events = x->want_app },
        { .fd = x->client_fd, .events = client_events(x) },
    };
    int n;

    /* A socket without events tells of a reset all the same. */
    if (young ? !x->want_client : !pfd[1].events && !x->client_is_socket) {
        pfd[1].fd = -1;
    }
    n = poll(pfd, 2, timeout_ms(ac_clock_now(), until));
    x->got_app = n > 0 ? pfd[0].revents : 0;
    x->got_client = n > 0 ? pfd[1].revents : 0;
    if (n == 0 && waits_for_body(x)) {
        x->got_client = POLLIN;
    }
}

void ac_drive_run(ac_exchange_t *x, void (*slow)(void *baton), void *baton)
{
    apr_time_t slow_at = ac_clock_now() + AC_DRIVE_SLOW;

    while (ac_exchange_step(x) == AC_STEP_WAIT) {
        apr_time_t until = earlier(x->deadline, slow_at);

        if (!x->client_is_socket) {
            until = earlier(until, ac_clock_now() + LOOK_AGAIN);
        }
        else if (waits_for_body(x)) {
            until = earlier(until, ac_clock_now() + READ_AGAIN);
        }
        wait_once(x, until, slow_at != 0);
        if (slow_at && ac_clock_now() >= slow_at) {
            slow(baton);
            slow_at = 0;
        }
    }
}
