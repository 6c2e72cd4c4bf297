/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Does a process speak HTTP/1.1 or HTTP/2 alone? Best first: AppCoreProtocol says
 * so; the app says so, as the companion for ASP.NET Core does; its kind never
 * speaks HTTP/2 alone; else it is asked, once, when it takes connections. An
 * HTTP/1.1 server may log what is asked, so that is left to runtimes that do not:
 * Kestrel answers GOAWAY, node 400. */

#include "manager/loop.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http2/session.h"
#include "manager/knock.h"
#include "manager/protocol.h"

#define PATIENCE apr_time_from_sec(1)
#define FRAME_HEAD 9
#define TYPE_SETTINGS 4

/* RFC 9113 3.4: the client's preface, and SETTINGS without any. */
static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";

ac_protocol_e ac_protocol_of(const char *answer, apr_size_t len)
{
    static const char stream_0[4];

    if (len && answer[0] != '\0') {
        return AC_PROTOCOL_HTTP1;
    }
    if (len < FRAME_HEAD) {
        return AC_PROTOCOL_AUTO;
    }
    return answer[3] == TYPE_SETTINGS && memcmp(answer + 5, stream_0, 4) == 0
           ? AC_PROTOCOL_H2C : AC_PROTOCOL_HTTP1;
}

void ac_protocol_stop(ac_run_t *run)
{
    if (run->asking >= 0) {
        close(run->asking);
        run->asking = -1;
    }
}

static void ask(ac_run_t *run)
{
    char path[256];

    if (run->accepts == AC_ADDRESS_TCP) {
        run->asking = ac_knock_port_open(run->port, run->ipv6);
    }
    else {
        ac_run_socket_path(path, sizeof(path), run);
        ac_knock_path(path, &run->asking);
    }
}

static void hear(ac_run_t *run)
{
    char answer[FRAME_HEAD];
    ssize_t n;

    if (!run->asked) {
        run->asked = send(run->asking, preface, sizeof(preface),
                          MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(preface);
        return;
    }
    n = recv(run->asking, answer, sizeof(answer), MSG_PEEK | MSG_DONTWAIT);
    if (n > 0) {
        run->protocol = ac_protocol_of(answer, (apr_size_t)n);
    }
    else if (n == 0) {
        run->protocol = AC_PROTOCOL_HTTP1;
    }
}

/* node's companion serves HTTP/1.1 from the socket; who is on the port instead may
 * be an HTTP/2 server. */
static int is_doubtful(const ac_run_t *run)
{
    const ac_launch_t *launch = ac_home_of(run->proc->app)->launch;

    return launch && ac_h2_supported()
           && (launch->kind == AC_KIND_DOTNET
               || (launch->kind == AC_KIND_NODE && run->accepts == AC_ADDRESS_TCP));
}

static void say_or_ask(ac_run_t *run)
{
    const ac_settings_t *set = ac_home_of(run->proc->app)->set;

    if (set && set->protocol.v != AC_PROTOCOL_AUTO) {
        run->protocol = (ac_protocol_e)set->protocol.v;
    }
    else if (!run->protocol && !is_doubtful(run)) {
        run->protocol = AC_PROTOCOL_HTTP1;
    }
    else if (!run->protocol && !run->ask_since) {
        /* What the app said may still lie in our socket. */
        run->ask_since = run->m->now;
    }
    else if (!run->protocol && run->asking < 0) {
        ask(run);
    }
}

int ac_protocol_known(ac_run_t *run)
{
    say_or_ask(run);
    if (!run->protocol && run->asking >= 0) {
        hear(run);
    }
    if (!run->protocol && run->ask_since && run->m->now - run->ask_since > PATIENCE) {
        run->protocol = AC_PROTOCOL_HTTP1;
    }
    if (run->protocol) {
        ac_protocol_stop(run);
    }
    return run->protocol != AC_PROTOCOL_AUTO;
}
