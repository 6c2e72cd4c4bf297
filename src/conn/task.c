/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "conn/task.h"

#include "http_connection.h"
#include "http_core.h"
#include "apr_optional.h"
#include "apr_poll.h"
#include "apr_portable.h"

/* mod_http2, httpd 2.4.58 and later: a pipe that is readable when the stream has
 * input. Declared here because mod_http2.h is not everywhere installed. */
APR_DECLARE_OPTIONAL_FN(apr_status_t, http2_get_pollfd_from_conn,
                        (conn_rec *c, struct apr_pollfd_t *pfd,
                         apr_interval_time_t *ptimeout));
static APR_OPTIONAL_FN_TYPE(http2_get_pollfd_from_conn) *stream_pollfd;

void ac_task_init(void)
{
    stream_pollfd = APR_RETRIEVE_OPTIONAL_FN(http2_get_pollfd_from_conn);
}

int ac_task_stream_fd(conn_rec *c)
{
    apr_pollfd_t pfd = { 0 };
    int fd = -1;

    if (stream_pollfd && stream_pollfd(c, &pfd, NULL) == APR_SUCCESS
        && pfd.desc_type == APR_POLL_FILE) {
        apr_os_file_get(&fd, pfd.desc.f);
    }
    return fd;
}

void ac_task_attach(ac_task_t *task, request_rec *r)
{
    conn_rec *c = r->connection;

    task->r = r;
    task->fd = task->client_fd = -1;
    if (c->master) {
        task->client_fd = ac_task_stream_fd(c);
    }
    else {
        apr_os_sock_get(&task->client_fd, ap_get_conn_socket(c));
        task->client_is_socket = task->client_fd >= 0;
    }
}
