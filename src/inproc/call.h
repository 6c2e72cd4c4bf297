/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_CALL_H
#define AC_INPROC_CALL_H

/* One request in the hands of an app that runs inside this child.
 *
 *            handle()            PENDING               posted, completed, client
 *   HOST ----------------> APP ----------> HOST --> WAITING ------------------> HOST
 *     ^                     |                          (no thread, or one in poll())
 *     +-- other callbacks --+   DONE, completed: ENDED, the number leads nowhere
 *
 * The holder is the worker that has the request; only it changes the state, and only
 * it and guests, which are threads inside of a callback while the holder is in one
 * (APP), touch the request. Before it leaves APP the holder waits for guests, so
 * nobody is near the request in any other state. One of them at a time is inside of a
 * function of the host (busy). What is posted is run by the holder, or by whoever posts
 * while the state is APP and nobody is busy, or by who was busy then; one after the
 * other.
 *
 * A call is a slot (inproc/slots.h): it outlives the request, so late calls find it,
 * and that it is another's by then. */

#include <pthread.h>
#include <stdatomic.h>

#include "apr_buckets.h"
#include "conn/task.h"
#include "inproc/app.h"
#include "inproc/slots.h"
#include "outproc/body.h"

typedef enum ac_call_state_e {
    AC_CALL_ENDED = 0, AC_CALL_HOST, AC_CALL_APP, AC_CALL_WAITING
} ac_call_state_e;

typedef struct ac_mail_t {
    struct ac_mail_t *next;
    void (*fn)(void *app, appcore_request number, void *data, int result);
    void *data;
} ac_mail_t;

typedef struct ac_call_t {
    ac_slot_t slot;             /* first: a slot is its call */
    pthread_mutex_t mutex;      /* of this block */
    pthread_cond_t changed;     /* busy or guests */
    ac_call_state_e state;
    unsigned guests;
    unsigned busy:1;
    unsigned running:1;         /* what was posted is being run */
    unsigned completed:1;
    unsigned aborted:1;         /* by the app */
    unsigned told:1;            /* on_disconnect() was called, or came too late */
    int result;                 /* as completed */
    uint32_t reset_code;        /* of HTTP/2, if the app said which; 0: it did not */
    ac_mail_t *mail, **mail_end;
    unsigned rung:1;            /* event_fd is written or will be, and was not read */
    int event_fd;               /* written when posted to while WAITING; -1: none yet */
    _Atomic unsigned ringing;   /* who writes it at this moment, without the mutex */
    int client_fd;              /* of its socket, -1: not to be looked at */
    _Atomic int gone;           /* the client left, or was cut off */

    /* The holder's and its guests'. */
    ac_inproc_t *inproc;
    request_rec *r;
    void *data;                 /* the app's */
    int (*challenge)(request_rec *r);   /* as in ac_exchange_t; or NULL */
    ac_body_t *body;            /* NULL: none */
    apr_bucket_brigade *in, *bb;
    apr_pool_t *files;          /* that are being sent; NULL: none yet */
    apr_table_t *prior_headers; /* r's own, before the app said anything */
    int prior_status;
    int instead;                /* what the handler returns in place of the answer */
    apr_int64_t left;           /* of Content-Length; -1: not known */
    size_t ahead;               /* NONBLOCK: passed on since the client had taken all */
    int fault;                  /* what read() answers from now on; 0: none */
    short want_client;          /* poll()'s: what the app waits for */
    apr_time_t since;           /* that nothing came of it; 0: not waited yet */
    uint32_t events;            /* for on_io() */
    unsigned started:1;         /* there are status and fields */
    unsigned committed:1;       /* something was passed on */
    unsigned finished:1;        /* its end as well */
    unsigned bodiless:1;        /* HEAD, 204, 304 */
    unsigned was_read:1;
    unsigned upgraded:1;
    unsigned later:1;           /* handle() is over: what ends an answer is flushed */
    unsigned tunnel:1;          /* an HTTP/2 stream that may be upgraded */
    unsigned upgradable:1;
    unsigned stream_ended:1;    /* the client's side of an upgraded connection */
    unsigned unflushed:1;       /* something was passed on without a FLUSH */
    unsigned closed_ours:1;     /* our side, and the client was told */
} ac_call_t;

/* Before the first call. */
void ac_call_child_init(apr_pool_t *pchild);

/* 1: this thread is in a callback of that app, which, not being thread-safe, may not be
 * called before it returns: a page of the app's own wants a part of it (mod_include). */
int ac_call_is_within(const ac_inproc_t *inproc);

/* NULL when there is no number left. body: NULL if the request has none. */
ac_call_t *ac_call_begin(ac_inproc_t *inproc, request_rec *r, ac_body_t *body);

/* Gives it to the app. AC_TASK_WAIT: it is pending, and ac_call_step() goes on; else
 * what the app answered (APPCORE_DONE, _DECLINED, _FAILED), and the call has ended. */
int ac_call_handle(ac_call_t *call, const appcore_info *info);

/* A step of a task for a pending call. AC_TASK_WAIT, or how it was completed: then
 * it has ended. */
int ac_call_step(ac_call_t *call, ac_task_t *task);
/* drop.c. The request goes although the call is pending: by its holder, or while the
 * connection's pool is destroyed. */
void ac_call_drop(ac_call_t *call);
/* The thread that ends the app, once the MPM has no workers: drops the app's calls that
 * nobody holds, and waits for those that HTTP/2's threads hold; until then at most
 * (ac_clock_now() scale). */
void ac_call_drop_all(const ac_inproc_t *inproc, apr_time_t until);

typedef enum ac_call_end_e {
    AC_CALL_ANSWERED = 0,
    AC_CALL_NO_ANSWER,          /* nothing was sent */
    AC_CALL_BROKEN,             /* the client sees that it is not whole */
    AC_CALL_CLIENT_GONE
} ac_call_end_e;

/* After it has ended: brings the response to its end, gives the call back. OK, or
 * what the handler returns. */
int ac_call_finish(ac_call_t *call, int result, ac_call_end_e *pend);

/* Duties of the minders: telling apps of clients that left while they were busy with
 * their requests; ending what is still pending when its child should have ended. */
apr_time_t ac_call_mind(apr_time_t now);
apr_time_t ac_call_expire(apr_time_t now);
/* The first one at that index or behind it; *pindex is where to go on. */
ac_call_t *ac_call_next(uint32_t *pindex);

/* For the files that hold functions of the host. */

typedef enum ac_frame_e { AC_FRAME_HANDLE, AC_FRAME_LATER } ac_frame_e;

/* A callback on this thread; on its stack. */
typedef struct ac_frame_t {
    ac_call_t *call;
    ac_frame_e kind;
    int over;                   /* it completed its own request */
    struct ac_frame_t *below;
} ac_frame_t;

/* The innermost callback of that request on this thread, or NULL. */
ac_frame_t *ac_call_frame(appcore_request number);
/* The call if this thread may use it now, and nobody else does until
 * ac_call_release(); else NULL and what to answer. */
ac_call_t *ac_call_acquire(appcore_request number, int *perror);
void ac_call_release(ac_call_t *call);
/* The holder, in HOST: lets the app do something. */
void ac_call_visit(ac_call_t *call, void (*what)(ac_call_t *call));
void ac_call_push(ac_frame_t *frame, ac_call_t *call, ac_frame_e kind);
void ac_call_pop(const ac_frame_t *frame);
/* The holder, in HOST with the mutex locked, which is unlocked: the number leads
 * nowhere from now on. */
void ac_call_end(ac_call_t *call);
void ac_call_give_event_fd(ac_call_t *call);
/* The holder, in HOST: the app is told, once. */
void ac_call_client_left(ac_call_t *call);
/* As the second parameter of ac_call_visit(): the events are in the call. */
void ac_call_visit_on_io(ac_call_t *call);
/* A look at the client, without waiting: POLLRDHUP, POLLHUP, POLLERR. HTTP/2 streams
 * have no socket; mod_http2 marks them. */
short ac_call_look(const ac_call_t *call);
/* Looks the number up and locks the call's mutex; NULL if it leads nowhere. */
ac_call_t *ac_call_lock(appcore_request number);
void ac_call_unlock(ac_call_t *call);
/* With the mutex locked: the client is cut off; the call is complete. */
void ac_call_cut_off(ac_call_t *call, uint32_t code);
void ac_call_complete(ac_call_t *call, int result);
/* Calls what was posted, one by one. */
void ac_call_run_mail(ac_call_t *call);

/* inproc/answer.c: the end of the response, if it is not there yet. */
ac_call_end_e ac_answer_end(ac_call_t *call, int result);
/* What the client has not taken yet goes out as far as it does without waiting. */
void ac_answer_push(ac_call_t *call);

#endif
