/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* What the keeper says. Its framing is believed; descriptors are taken in the
 * order that shared/message.h gives. A tag that no process has any more belongs
 * to one that was given up: nothing is to be done, and its descriptors close. */

#include "manager/loop.h"

#include <string.h>
#include <unistd.h>

#define MESSAGES_PER_EVENT 32

static int take_fd(ac_message_t *msg, int i)
{
    int fd = i < msg->n_fds ? msg->fds[i] : -1;

    if (fd >= 0) {
        msg->fds[i] = -1;
    }
    return fd;
}

static void map_tables(ac_manager_t *m, int board_fd, int rows_fd)
{
    /* Both or nothing: without them no request finds an app. */
    if (ac_board_map(board_fd, 1, &m->board, m->p) != APR_SUCCESS
        || ac_rows_map(rows_fd, &m->rows, m->p) != APR_SUCCESS) {
        _exit(1);
    }
    close(board_fd);
    close(rows_fd);
}

static void on_hello(ac_manager_t *m, ac_message_t *msg)
{
    if (ac_wire_get_u32(&msg->body) != ac_message_version || msg->n_fds < 5 || m->board) {
        _exit(1);
    }
    map_tables(m, take_fd(msg, 0), take_fd(msg, 1));
    /* Read once all that they may be about is known; see ac_adopt_all(). */
    m->wake.fd = take_fd(msg, 2);
    m->notify.fd = take_fd(msg, 3);
    ac_loop_relay(m, take_fd(msg, 4));
}

static void on_adopt(ac_manager_t *m, ac_message_t *msg)
{
    ac_adopted_t *adopted = apr_array_push(m->adopted);

    memset(adopted, 0, sizeof(*adopted));
    ac_process_get(&msg->body, &adopted->process, m->p);
    adopted->listener = take_fd(msg, 0);
}

static void on_config(ac_manager_t *m, ac_message_t *msg)
{
    uint32_t serial = ac_wire_get_u32(&msg->body);

    ac_config_read(m, serial, take_fd(msg, 0));
}

static void on_looked(ac_manager_t *m, ac_message_t *msg)
{
    uint64_t tag = ac_wire_get_u64(&msg->body);

    ac_look_opened(m, tag, take_fd(msg, 0));
}

static ac_run_t *find_run(ac_manager_t *m, ac_message_t *msg)
{
    ac_sup_proc_t *proc = ac_sup_find_proc(m->sup, ac_wire_get_u64(&msg->body));

    return proc ? ac_run_of(proc) : NULL;
}

static void on_listening(ac_run_t *run, ac_message_t *msg)
{
    ac_result_t res = AC_RESULT_OK;
    apr_status_t status = (apr_status_t)ac_wire_get_u32(&msg->body);
    char reason[120];

    run->listener = take_fd(msg, 0);
    if (status != APR_SUCCESS) {
        ac_result_set(&res, status, AC_STAGE_LISTEN, AC_FAULT_LISTEN,
                      "no socket could be made for the app: %s",
                      apr_strerror(status, reason, sizeof(reason)));
    }
    ac_sup_listening(run->proc, &res, run->listener >= 0);
}

static void on_spawned(ac_run_t *run, ac_message_t *msg)
{
    run->pid = ac_wire_get_u32(&msg->body);
}

static void on_executed(ac_run_t *run, ac_message_t *msg)
{
    ac_result_t res;

    ac_result_get(&msg->body, &res);
    if (res.fault == AC_FAULT_NONE) {
        ac_talk_run(run, AC_LEVEL_NOTICE, "was started as %s: %s",
                    run->user ? run->user : "httpd's user",
                    run->command ? run->command : "?");
    }
    ac_sup_executed(run->proc, &res);
}

static void on_exited(ac_run_t *run, ac_message_t *msg)
{
    ac_failure_exited(run, (int)ac_wire_get_u32(&msg->body));
}

static void on_process(ac_manager_t *m, ac_message_t *msg)
{
    ac_run_t *run = find_run(m, msg);

    if (!run) {
        return;
    }
    if (msg->type == AC_MSG_LISTENING) {
        on_listening(run, msg);
    }
    else if (msg->type == AC_MSG_SPAWNED) {
        on_spawned(run, msg);
    }
    else if (msg->type == AC_MSG_EXECUTED) {
        on_executed(run, msg);
    }
    else if (msg->type == AC_MSG_PATH_TAKEN) {
        ac_ready_path_taken(run, (apr_status_t)ac_wire_get_u32(&msg->body));
    }
    else if (msg->type == AC_MSG_EXITED) {
        on_exited(run, msg);
    }
}

static void on_message(ac_manager_t *m, ac_message_t *msg)
{
    switch (msg->type) {
    case AC_MSG_HELLO:
        on_hello(m, msg);
        break;
    case AC_MSG_ADOPT:
        on_adopt(m, msg);
        break;
    case AC_MSG_BEGIN:
        m->begun = 1;
        ac_adopt_all(m);
        break;
    case AC_MSG_LINK:
        ac_loop_relay(m, take_fd(msg, 0));
        break;
    case AC_MSG_CONFIG:
        on_config(m, msg);
        break;
    case AC_MSG_STOP:
        m->stopping = 1;
        ac_sup_stop(m->sup);
        break;
    case AC_MSG_LOOKED:
        on_looked(m, msg);
        break;
    default:
        on_process(m, msg);
        break;
    }
}

void ac_keeper_read(ac_manager_t *m, ac_watch_t *w)
{
    int i;

    for (i = 0; i < MESSAGES_PER_EVENT; ++i) {
        ac_message_t msg;
        apr_status_t rv = ac_message_receive(w->fd, m->buf, &msg);

        if (APR_STATUS_IS_EOF(rv)) {
            _exit(0);
        }
        if (rv != APR_SUCCESS) {
            return;
        }
        on_message(m, &msg);
        ac_message_done(&msg);
        ac_perform_all(m);
    }
}
