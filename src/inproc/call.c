/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/call.h"

#include <stdlib.h>
#include <string.h>

#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "apr_portable.h"
#include "inproc/minder.h"
#include "inproc/thread.h"

APLOG_USE_MODULE(appcore);

static void make(ac_slot_t *slot)
{
    ac_call_t *call = (ac_call_t *)slot;

    pthread_mutex_init(&call->mutex, NULL);
    pthread_cond_init(&call->changed, NULL);
    call->event_fd = -1;
}

static ac_slots_t slots = AC_SLOTS_INIT(ac_call_t, make);
static __thread ac_frame_t *innermost;

void ac_call_child_init(apr_pool_t *pchild)
{
    ac_thread_init(pchild);
    ac_minder_add(AC_MINDER_CHILD, ac_call_expire);
    ac_minder_add(AC_MINDER_CALLBACKS, ac_call_mind);
}

/* Numbers and threads */

ac_frame_t *ac_call_frame(appcore_request number)
{
    ac_frame_t *frame = innermost;

    while (frame && !ac_slot_is(&frame->call->slot, number)) {
        frame = frame->below;
    }
    return frame;
}

ac_call_t *ac_call_lock(appcore_request number)
{
    ac_slot_t *slot = ac_slots_find(&slots, number);
    ac_call_t *call = (ac_call_t *)slot;

    if (!slot || !ac_slot_is(slot, number)) {
        return NULL;
    }
    pthread_mutex_lock(&call->mutex);
    if (!ac_slot_is(slot, number)) {
        pthread_mutex_unlock(&call->mutex);
        return NULL;
    }
    return call;
}

void ac_call_unlock(ac_call_t *call)
{
    pthread_mutex_unlock(&call->mutex);
}

static int lives(appcore_request number)
{
    ac_slot_t *slot = ac_slots_find(&slots, number);

    return slot && ac_slot_is(slot, number);
}

ac_call_t *ac_call_acquire(appcore_request number, int *perror)
{
    ac_frame_t *frame = ac_call_frame(number);
    ac_call_t *call;

    if (!frame || frame->over) {
        *perror = !frame && lives(number) ? APPCORE_ELSEWHERE : APPCORE_GONE;
        return NULL;
    }
    call = frame->call;
    pthread_mutex_lock(&call->mutex);
    while (call->busy) {
        pthread_cond_wait(&call->changed, &call->mutex);
    }
    call->busy = 1;
    pthread_mutex_unlock(&call->mutex);
    return call;
}

void ac_call_release(ac_call_t *call)
{
    int mail;

    pthread_mutex_lock(&call->mutex);
    call->busy = 0;
    mail = call->mail && !call->running;
    pthread_cond_broadcast(&call->changed);
    pthread_mutex_unlock(&call->mutex);
    if (mail) {
        ac_call_run_mail(call);
    }
}

ac_call_t *ac_call_next(uint32_t *pindex)
{
    return (ac_call_t *)ac_slots_at(&slots, (*pindex)++);
}

/* Callbacks */

void ac_call_push(ac_frame_t *frame, ac_call_t *call, ac_frame_e kind)
{
    frame->call = call;
    frame->kind = kind;
    frame->over = 0;
    frame->below = innermost;
    innermost = frame;
}

void ac_call_pop(const ac_frame_t *frame)
{
    innermost = frame->below;
}

/* Callbacks of an app that is not thread-safe do not overlap. A guest runs under the
 * lock of its holder. Who takes this lock has no call's mutex: in a callback, that of
 * any call may be wanted. */
static void serialise(ac_inproc_t *inproc)
{
    if (!(inproc->app.flags & APPCORE_THREAD_SAFE)) {
        pthread_mutex_lock(&inproc->serial);
    }
    ac_thread_attach(inproc);
}

static void unserialise(ac_inproc_t *inproc)
{
    if (!(inproc->app.flags & APPCORE_THREAD_SAFE)) {
        pthread_mutex_unlock(&inproc->serial);
    }
}

/* The holder, with the mutex locked: back from a callback. */
static void back_from_app(ac_call_t *call)
{
    while (call->guests) {
        pthread_cond_wait(&call->changed, &call->mutex);
    }
    call->state = AC_CALL_HOST;
}

void ac_call_run_mail(ac_call_t *call)
{
    ac_frame_t frame;

    pthread_mutex_lock(&call->mutex);
    if (call->running) {
        pthread_mutex_unlock(&call->mutex);
        return;
    }
    call->running = 1;
    while (call->mail) {
        ac_mail_t *mail = call->mail;

        call->mail = mail->next;
        if (!call->mail) {
            call->mail_end = &call->mail;
        }
        pthread_mutex_unlock(&call->mutex);
        ac_call_push(&frame, call, AC_FRAME_LATER);
        mail->fn(call->inproc->instance, atomic_load(&call->slot.number), mail->data,
                 APPCORE_OK);
        ac_call_pop(&frame);
        free(mail);
        pthread_mutex_lock(&call->mutex);
    }
    call->running = 0;
    pthread_mutex_unlock(&call->mutex);
}

void ac_call_visit(ac_call_t *call, void (*what)(ac_call_t *call))
{
    serialise(call->inproc);
    pthread_mutex_lock(&call->mutex);
    call->state = AC_CALL_APP;
    pthread_mutex_unlock(&call->mutex);
    what(call);
    pthread_mutex_lock(&call->mutex);
    back_from_app(call);
    pthread_mutex_unlock(&call->mutex);
    unserialise(call->inproc);
}

int ac_call_is_within(const ac_inproc_t *inproc)
{
    const ac_frame_t *frame = innermost;

    while (frame && frame->call->inproc != inproc) {
        frame = frame->below;
    }
    return frame && !(inproc->app.flags & APPCORE_THREAD_SAFE);
}

/* Beginning and end */

static int client_socket(request_rec *r)
{
    int fd = -1;

    if (!r->connection->master) {
        apr_os_sock_get(&fd, ap_get_conn_socket(r->connection));
    }
    return fd;
}

ac_call_t *ac_call_begin(ac_inproc_t *inproc, request_rec *r, ac_body_t *body)
{
    ac_call_t *call = (ac_call_t *)ac_slots_take(&slots);

    if (!call) {
        return NULL;
    }
    call->state = AC_CALL_APP;
    call->guests = 0;
    call->busy = call->running = call->completed = call->aborted = call->told = 0;
    call->rung = 0;
    call->reset_code = 0;
    call->mail = NULL;
    call->mail_end = &call->mail;
    atomic_store_explicit(&call->gone, 0, memory_order_relaxed);
    call->client_fd = client_socket(r);
    memset(&call->inproc, 0, sizeof(*call) - offsetof(ac_call_t, inproc));
    call->inproc = inproc;
    call->r = r;
    call->body = body;
    call->tunnel = body && body->tunnel;
    call->left = -1;
    call->prior_headers = r->headers_out;
    call->prior_status = r->status;
    return call;
}

/* With the mutex locked; what was posted and not run is returned. */
static ac_mail_t *close_number(ac_call_t *call)
{
    ac_mail_t *mail = call->mail;

    call->mail = NULL;
    call->state = AC_CALL_ENDED;
    call->told = 1;
    ac_slot_close(&call->slot);
    return mail;
}

static void refuse(ac_inproc_t *inproc, appcore_request number, ac_mail_t *mail)
{
    while (mail) {
        ac_mail_t *next = mail->next;

        if (!atomic_load(&inproc->forgotten)) {
            mail->fn(inproc->instance, number, mail->data, APPCORE_GONE);
        }
        free(mail);
        mail = next;
    }
}

void ac_call_end(ac_call_t *call)
{
    appcore_request number = atomic_load(&call->slot.number);
    ac_inproc_t *inproc = call->inproc;
    ac_mail_t *mail = close_number(call);

    pthread_mutex_unlock(&call->mutex);
    if (!mail && !(call->data && inproc->app.release)) {
        return;
    }
    serialise(inproc);
    refuse(inproc, number, mail);
    if (call->data && inproc->app.release && !atomic_load(&inproc->forgotten)) {
        inproc->app.release(inproc->instance, number, call->data);
    }
    unserialise(inproc);
}

int ac_call_handle(ac_call_t *call, const appcore_info *info)
{
    ac_inproc_t *inproc = call->inproc;
    ac_frame_t frame;
    int rv;

    serialise(inproc);
    ac_call_push(&frame, call, AC_FRAME_HANDLE);
    rv = inproc->app.handle(inproc->instance, ac_slot_open(&call->slot), info,
                            &call->data);
    ac_call_pop(&frame);
    pthread_mutex_lock(&call->mutex);
    back_from_app(call);
    unserialise(inproc);
    if (rv == APPCORE_PENDING) {
        call->later = 1;
        pthread_mutex_unlock(&call->mutex);
        return AC_TASK_WAIT;
    }
    ac_call_end(call);
    return rv == APPCORE_DONE || rv == APPCORE_DECLINED ? rv : APPCORE_FAILED;
}

int ac_call_finish(ac_call_t *call, int result, ac_call_end_e *pend)
{
    int rv = OK;

    *pend = AC_CALL_ANSWERED;
    if (result == APPCORE_DECLINED && !call->started && !call->was_read) {
        rv = DECLINED;
    }
    else if (call->instead) {
        rv = call->instead;
    }
    else {
        *pend = ac_answer_end(call, result);
        rv = *pend == AC_CALL_NO_ANSWER ? HTTP_INTERNAL_SERVER_ERROR : call->instead;
    }
    ac_call_give_event_fd(call);
    ac_slots_give(&slots, &call->slot);
    return rv;
}
