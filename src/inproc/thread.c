/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/thread.h"

#include <stdlib.h>

#include "base/clock.h"

/* What a thread was attached to, newest first. */
typedef struct attached_t {
    ac_inproc_t *inproc;
    struct attached_t *next;
} attached_t;

static pthread_key_t key;
static int has_key;

/* At the end of a thread. */
static void detach(void *data)
{
    attached_t *at = data;

    while (at) {
        attached_t *next = at->next;
        ac_inproc_t *inproc = at->inproc;

        if (inproc->app.thread_detach && !atomic_load(&inproc->forgotten)) {
            inproc->app.thread_detach(inproc->instance);
        }
        free(at);
        at = next;
    }
}

void ac_thread_init(apr_pool_t *pchild)
{
    (void)pchild;
    has_key = has_key || pthread_key_create(&key, detach) == 0;
}

int ac_thread_join(pthread_t thread, apr_interval_time_t patience)
{
    /* The only clock that this function knows. */
    apr_time_t until = apr_time_now() + (patience > 0 ? patience : 0);
    struct timespec ts = ac_clock_timespec(until);

    return pthread_timedjoin_np(thread, NULL, &ts) == 0;
}

static void *end_at_once(void *unused)
{
    (void)unused;
    pthread_exit(NULL);
}

/* With the first thread that ends by pthread_exit() the C library loads what that takes,
 * and waits for the loader's lock, which an app's constructors hold as long as they
 * run. httpd's threads, for whose ends its first one waits, end so. */
void ac_thread_prepare(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, end_at_once, NULL) == 0) {
        pthread_join(thread, NULL);
    }
}

void ac_thread_attach_slow(ac_inproc_t *inproc)
{
    attached_t *first = pthread_getspecific(key), *at;

    for (at = first; at; at = at->next) {
        if (at->inproc == inproc) {
            return;
        }
    }
    at = malloc(sizeof(*at));
    if (!at) {
        return;
    }
    at->inproc = inproc;
    at->next = first;
    pthread_setspecific(key, at);
    if (inproc->app.thread_attach) {
        inproc->app.thread_attach(inproc->instance);
    }
}
