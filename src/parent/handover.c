/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "parent/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>
#include <apr_portable.h>
#include "http_config.h"
#include "base/clock.h"
#include "shared/message.h"

static apr_status_t write_all(int fd, const unsigned char *data, apr_size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);

        if (n > 0) {
            data += n;
            len -= (apr_size_t)n;
        }
        else if (n < 0 && errno != EINTR) {
            return errno;
        }
    }
    return APR_SUCCESS;
}

/* The keeper decodes what the parent wrote and nobody else can change it. */
static apr_status_t sealed_memfd(int *pfd, const unsigned char *data, apr_size_t len)
{
    int fd = memfd_create("appcore-table", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    apr_status_t rv;

    if (fd < 0) {
        return errno;
    }
    rv = write_all(fd, data, len);
    if (rv == APR_SUCCESS && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK
                                   | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
        rv = errno;
    }
    if (rv != APR_SUCCESS) {
        close(fd);
        return rv;
    }
    *pfd = fd;
    return APR_SUCCESS;
}

static int longest_limit(const ac_spec_table_t *table)
{
    apr_int64_t longest = 0;
    int i;

    for (i = 0; i < table->specs->nelts; ++i) {
        const ac_spec_t *spec = APR_ARRAY_IDX(table->specs, i, const ac_spec_t *);

        if (spec->set->shutdown_time_limit.v > longest) {
            longest = spec->set->shutdown_time_limit.v;
        }
    }
    return (int)longest;
}

apr_status_t ac_parent_keep_table(ac_parent_state_t *state, const ac_spec_table_t *table,
                                  apr_pool_t *ptemp)
{
    int limit = longest_limit(table);
    ac_wire_writer_t w;
    apr_status_t rv;
    int fd = -1;

    ac_wire_writer_init(&w, AC_SPEC_TABLE_MAX, ptemp);
    ac_spec_table_put(&w, table);
    rv = w.status;
    if (rv == APR_SUCCESS) {
        rv = sealed_memfd(&fd, w.data, w.len);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    ac_parent_close(&state->table);
    state->table = fd;
    state->serial++;
    state->n_apps = table->specs->nelts;
    /* Apps of the table before may still be draining by their own limit. */
    state->shutdown_limit = limit > state->shutdown_limit ? limit : state->shutdown_limit;
    return APR_SUCCESS;
}

static apr_status_t wait_for(int fd, short events, apr_time_t deadline)
{
    struct pollfd pfd = { .fd = fd, .events = events };
    apr_time_t left;
    int n;

    do {
        left = deadline - ac_clock_now();
        n = poll(&pfd, 1, left > 0 ? (int)(left / 1000) + 1 : 0);
    } while (n < 0 && errno == EINTR);
    return n > 0 ? APR_SUCCESS : n < 0 ? errno : APR_TIMEUP;
}

static apr_status_t send_by(int link, const ac_wire_writer_t *w, const int *fds, int n,
                            apr_time_t deadline)
{
    apr_status_t rv;

    while (APR_STATUS_IS_EAGAIN(rv = ac_message_send(link, w, fds, n))) {
        rv = wait_for(link, POLLOUT, deadline);
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    return rv;
}

/* A log that goes to syslog or through a provider has no descriptor; lines of
 * apps then go where the main server's go, or to standard error. */
static int log_fd(server_rec *s, server_rec *main_server)
{
    apr_file_t *file = s->error_log ? s->error_log : main_server->error_log;
    apr_os_file_t fd;

    return file && apr_os_file_get(&fd, file) == APR_SUCCESS ? fd : STDERR_FILENO;
}

static apr_status_t send_logs(ac_parent_state_t *state, server_rec *main_server,
                              const apr_array_header_t *servers, apr_time_t deadline,
                              apr_pool_t *ptemp)
{
    int fds[AC_MESSAGE_FDS];
    ac_wire_writer_t w;
    apr_status_t rv = APR_SUCCESS;
    int first, n;

    for (first = 0; first < servers->nelts && rv == APR_SUCCESS; first += n) {
        for (n = 0; n < AC_MESSAGE_FDS && first + n < servers->nelts; ++n) {
            fds[n] = log_fd(APR_ARRAY_IDX(servers, first + n, server_rec *), main_server);
        }
        ac_message_begin(&w, AC_MSG_LOGS, ptemp);
        ac_wire_put_u32(&w, (uint32_t)first);
        ac_wire_put_u32(&w, (uint32_t)n);
        rv = send_by(state->control, &w, fds, n, deadline);
    }
    return rv;
}

/* Acknowledgements of tables before may still lie in the socket. */
static apr_status_t wait_for_ack(ac_parent_state_t *state, apr_time_t deadline,
                                 apr_pool_t *ptemp)
{
    unsigned char *buf = apr_palloc(ptemp, AC_MESSAGE_MAX);
    ac_message_t msg;
    uint32_t serial, protocol;
    apr_status_t rv;

    for (;;) {
        rv = ac_message_receive(state->control, buf, &msg);
        if (APR_STATUS_IS_EAGAIN(rv)) {
            rv = wait_for(state->control, POLLIN, deadline);
            if (rv != APR_SUCCESS) {
                return rv;
            }
            continue;
        }
        if (rv != APR_SUCCESS) {
            return rv;
        }
        serial = msg.type == AC_MSG_ACK ? ac_wire_get_u32(&msg.body) : 0;
        protocol = ac_wire_get_u32(&msg.body);
        ac_message_done(&msg);
        if (serial == (uint32_t)state->serial) {
            return protocol == ac_message_version ? APR_SUCCESS : APR_EMISMATCH;
        }
    }
}

apr_status_t ac_parent_hand_over(ac_parent_state_t *state, server_rec *main_server,
                                 const apr_array_header_t *log_servers,
                                 apr_time_t deadline, apr_pool_t *ptemp)
{
    ac_wire_writer_t w;
    apr_status_t rv = send_logs(state, main_server, log_servers, deadline, ptemp);

    if (rv == APR_SUCCESS) {
        ac_message_begin(&w, AC_MSG_CONFIG, ptemp);
        ac_wire_put_u32(&w, (uint32_t)state->serial);
        rv = send_by(state->control, &w, &state->table, 1, deadline);
    }
    if (rv == APR_SUCCESS) {
        rv = wait_for_ack(state, deadline, ptemp);
    }
    return rv == EPIPE || rv == ECONNRESET ? APR_EOF : rv;
}

int ac_parent_hear_stopping(ac_parent_state_t *state, int *pseconds, apr_pool_t *ptemp)
{
    unsigned char *buf = apr_palloc(ptemp, AC_MESSAGE_MAX);
    apr_status_t rv = APR_SUCCESS;
    ac_message_t msg;
    int heard = 0;

    while (state->control >= 0 && rv == APR_SUCCESS) {
        rv = ac_message_receive(state->control, buf, &msg);
        if (rv == APR_SUCCESS && msg.type == AC_MSG_STOPPING) {
            uint32_t seconds = ac_wire_get_u32(&msg.body);

            *pseconds = seconds < AC_PARENT_STOP_MAX ? (int)seconds : AC_PARENT_STOP_MAX;
            heard = 1;
        }
        if (rv == APR_SUCCESS) {
            ac_message_done(&msg);
        }
    }
    if (!APR_STATUS_IS_EAGAIN(rv)) {
        ac_parent_close(&state->control);
    }
    return heard;
}

apr_status_t ac_parent_send_stop(ac_parent_state_t *state, apr_time_t deadline,
                                 apr_pool_t *ptemp)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_STOP, ptemp);
    return send_by(state->control, &w, NULL, 0, deadline);
}
