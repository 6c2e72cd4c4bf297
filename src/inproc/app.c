/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/app.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/eventfd.h>

#include "http_log.h"
#include "apr_strings.h"
#include "inproc/host.h"

APLOG_USE_MODULE(appcore);

static ac_inproc_t **apps;      /* by ac_mount_t.index */

ac_inproc_t *ac_inproc_of(const ac_mount_t *mount)
{
    return apps ? apps[mount->index] : NULL;
}

void ac_inproc_become(ac_inproc_t *inproc, ac_inproc_state_e state)
{
    ac_inproc_waiter_t *waiter;

    pthread_mutex_lock(&inproc->mutex);
    atomic_store(&inproc->state, state);
    APR_RING_FOREACH(waiter, &inproc->waiters, ac_inproc_waiter_t, link) {
        eventfd_write(waiter->fd, 1);
    }
    pthread_mutex_unlock(&inproc->mutex);
}

void ac_inproc_join(ac_inproc_t *inproc, ac_inproc_waiter_t *waiter)
{
    pthread_mutex_lock(&inproc->mutex);
    APR_RING_INSERT_TAIL(&inproc->waiters, waiter, ac_inproc_waiter_t, link);
    pthread_mutex_unlock(&inproc->mutex);
}

void ac_inproc_leave(ac_inproc_t *inproc, ac_inproc_waiter_t *waiter)
{
    pthread_mutex_lock(&inproc->mutex);
    APR_RING_REMOVE(waiter, link);
    pthread_mutex_unlock(&inproc->mutex);
}

static const char *file_of(const ac_mount_t *mount, apr_pool_t *p)
{
    const char *folder = mount->spec->folder;

    return apr_pstrcat(p, folder, strrchr(folder, '/'), ".so", NULL);
}

static int load(ac_inproc_t *inproc, const char *file)
{
    typedef const appcore_app *entry_fn(void);
    void *object = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    union { void *object; entry_fn *call; } entry = { NULL };
    const appcore_app *given;

    if (object) {
        entry.object = dlsym(object, "appcore_app_v1");
    }
    given = entry.object ? entry.call() : NULL;
    if (!given) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, inproc->server, "app %s: %s",
                     inproc->mount->spec->name, object ? "no app" : dlerror());
        return 0;
    }
    ac_host_copy_app(&inproc->app, given);
    return 1;
}

static ac_inproc_t *make(const ac_mount_t *mount, server_rec *s, apr_pool_t *p)
{
    ac_inproc_t *inproc = apr_pcalloc(p, sizeof(*inproc));
    appcore_failure failure = { .size = sizeof(failure) };
    appcore_config *config = apr_pcalloc(p, sizeof(*config));
    int rv = APPCORE_FAILED;

    ac_host_fill(&inproc->host);
    inproc->mount = mount;
    inproc->server = s;
    inproc->max_body = -1;
    pthread_mutex_init(&inproc->serial, NULL);
    pthread_mutex_init(&inproc->mutex, NULL);
    APR_RING_INIT(&inproc->waiters, ac_inproc_waiter_t, link);
    config->size = sizeof(*config);
    config->version = APPCORE_ABI;
    if (load(inproc, file_of(mount, p))) {
        rv = inproc->app.init ? inproc->app.init(&inproc->host, config,
                                                 &inproc->instance, &failure)
                              : APPCORE_OK;
    }
    atomic_store(&inproc->state, rv == APPCORE_OK ? AC_INPROC_READY
                 : rv == APPCORE_PENDING ? AC_INPROC_STARTING : AC_INPROC_FAILED);
    return inproc;
}

void ac_inproc_child_init(apr_pool_t *pchild, server_rec *s)
{
    apps = apr_pcalloc(pchild, (apr_size_t)ac_conf_app_count() * sizeof(*apps));
    for (; s; s = s->next) {
        int n, i;
        const ac_mount_t *mounts = ac_conf_mounts(s, &n);

        for (i = 0; i < n; i++) {
            if (mounts[i].spec->set->hosting_model.v == AC_HOSTING_IN_PROCESS
                && !apps[mounts[i].index]) {
                apps[mounts[i].index] = make(&mounts[i], s, pchild);
            }
        }
    }
}
