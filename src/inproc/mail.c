/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Functions of the host that any thread may call: post, complete, abort, aborted. */

#include "inproc/table.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "http_core.h"
#include "apr_portable.h"

/* With the mutex locked: whoever polls for it comes back. */
static void wake(ac_call_t *call)
{
    if (call->state == AC_CALL_WAITING && !call->rung) {
        call->rung = 1;
        eventfd_write(call->event_fd, 1);
    }
}

/* The same, and unlocks: he takes the mutex first thing, so he is told when it is free.
 * The number may lead nowhere by then: while it rings, the descriptor stays. */
static void wake_unlock(ac_call_t *call)
{
    int fd = call->state == AC_CALL_WAITING && !call->rung ? call->event_fd : -1;

    if (fd >= 0) {
        call->rung = 1;
        atomic_fetch_add(&call->ringing, 1);
    }
    ac_call_unlock(call);
    if (fd >= 0) {
        eventfd_write(fd, 1);
        atomic_fetch_sub(&call->ringing, 1);
    }
}

/* With the mutex locked: 1 if this thread is to run it, as a guest. */
static int deliver(ac_call_t *call, ac_mail_t *mail)
{
    *call->mail_end = mail;
    call->mail_end = &mail->next;
    if (call->state != AC_CALL_APP) {
        return 0;
    }
    if (call->busy || call->running) {
        return 0;
    }
    call->guests++;
    return 1;
}

static void run_as_guest(ac_call_t *call)
{
    ac_thread_attach(call->inproc);
    ac_call_run_mail(call);
    pthread_mutex_lock(&call->mutex);
    call->guests--;
    pthread_cond_broadcast(&call->changed);
    pthread_mutex_unlock(&call->mutex);
}

int ac_table_post(appcore_request number,
                  void (*fn)(void *app, appcore_request, void *data, int result),
                  void *data)
{
    ac_mail_t *mail = malloc(sizeof(*mail));
    ac_call_t *call;
    int guest, completed;

    if (!mail) {
        return APPCORE_FAILED;
    }
    *mail = (ac_mail_t) { .fn = fn, .data = data };
    call = ac_call_lock(number);
    completed = call && call->completed;
    if (!call || completed) {
        if (call) {
            ac_call_unlock(call);
        }
        free(mail);
        return APPCORE_GONE;
    }
    guest = deliver(call, mail);
    wake_unlock(call);
    if (guest) {
        run_as_guest(call);
    }
    return APPCORE_OK;
}

int ac_table_complete(appcore_request number, int result)
{
    ac_call_t *call = ac_call_lock(number);
    ac_frame_t *frame;

    if (!call) {
        return APPCORE_GONE;
    }
    if (call->completed) {
        ac_call_unlock(call);
        return APPCORE_GONE;
    }
    ac_call_complete(call, result == APPCORE_OK ? APPCORE_OK : APPCORE_FAILED);
    frame = ac_call_frame(number);
    if (frame && frame->kind == AC_FRAME_LATER) {
        frame->over = 1;
    }
    ac_call_unlock(call);
    return APPCORE_OK;
}

int ac_table_aborted(appcore_request number)
{
    ac_call_t *call = ac_call_lock(number);
    int gone;

    if (!call) {
        return APPCORE_GONE;
    }
    gone = atomic_load(&call->gone);
    ac_call_unlock(call);
    return gone;
}

/* With the mutex locked: the descriptor is the client's. An MPM that ends at once closes
 * it under the worker that has the request, and the number may be anybody's then. */
static int is_open(const ac_call_t *call)
{
    int fd = -1;

    if (call->client_fd >= 0) {
        apr_os_sock_get(&fd, ap_get_conn_socket(call->r->connection));
    }
    return fd >= 0;
}

/* What was sent and not yet taken is lost, so that nobody takes a cut answer for a whole
 * one. */
static void cut_off(int fd)
{
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    shutdown(fd, SHUT_RDWR);
}

void ac_call_cut_off(ac_call_t *call, uint32_t code)
{
    if (!call->aborted) {
        call->aborted = 1;
        call->reset_code = code;
    }
    if (!atomic_exchange(&call->gone, 1)) {
        if (is_open(call)) {
            cut_off(call->client_fd);
        }
        wake(call);
    }
}

void ac_call_complete(ac_call_t *call, int result)
{
    call->completed = 1;
    call->result = result;
    wake(call);
}

int ac_table_abort(appcore_request number)
{
    return ac_table_reset(number, 0);
}

int ac_table_reset(appcore_request number, uint32_t code)
{
    ac_call_t *call = ac_call_lock(number);

    if (!call) {
        return APPCORE_GONE;
    }
    ac_call_cut_off(call, code);
    ac_call_unlock(call);
    return APPCORE_OK;
}
