/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/thread.h"

#include <stdlib.h>

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

void ac_thread_forget(ac_inproc_t *inproc)
{
    atomic_store(&inproc->forgotten, 1);
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
