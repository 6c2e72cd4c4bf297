/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/losses.h"

#include <stdatomic.h>
#include <sys/mman.h>

typedef struct app_t {
    _Atomic uint32_t hosted;
    _Atomic uint32_t too_many;  /* for good */
    _Atomic uint32_t said;
    _Atomic uint32_t next;      /* of `times`, modulo their number */
    _Atomic apr_time_t hung;    /* when it last did */
    _Atomic apr_time_t times[AC_LOSSES_TIMES];
} app_t;

struct ac_losses_t {
    int n_apps, n_children;     /* the process's own copies */
    apr_size_t size;
    app_t *apps;
    _Atomic uint32_t *pids;
    void *base;
};

static apr_status_t unmap(void *data)
{
    ac_losses_t *losses = data;

    munmap(losses->base, losses->size);
    return APR_SUCCESS;
}

ac_losses_t *ac_losses_create(int apps, int children, apr_pool_t *p)
{
    ac_losses_t *losses = apr_pcalloc(p, sizeof(*losses));

    losses->n_apps = apps;
    losses->n_children = children;
    losses->size = (apr_size_t)apps * sizeof(app_t)
                   + (apr_size_t)children * sizeof(*losses->pids);
    losses->base = mmap(NULL, losses->size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (losses->base == MAP_FAILED) {
        return NULL;
    }
    losses->apps = losses->base;
    losses->pids = (_Atomic uint32_t *)(losses->apps + apps);
    apr_pool_cleanup_register(p, losses, unmap, apr_pool_cleanup_null);
    return losses;
}

int ac_losses_enter(ac_losses_t *losses, uint32_t pid)
{
    int i;

    for (i = 0; i < losses->n_children; ++i) {
        uint32_t nobody = 0;

        if (atomic_compare_exchange_strong(&losses->pids[i], &nobody, pid)) {
            return i;
        }
    }
    return -1;
}

void ac_losses_leave(ac_losses_t *losses, int row)
{
    if (row >= 0 && row < losses->n_children) {
        atomic_store(&losses->pids[row], 0);
    }
}

void ac_losses_host(ac_losses_t *losses, int app)
{
    atomic_store(&losses->apps[app].hosted, 1);
}

int ac_losses_is_hosted(const ac_losses_t *losses, int app)
{
    return atomic_load(&losses->apps[app].hosted) != 0;
}

void ac_losses_add(ac_losses_t *losses, int app, apr_time_t now)
{
    app_t *a = &losses->apps[app];

    atomic_store(&a->times[atomic_fetch_add(&a->next, 1) % AC_LOSSES_TIMES], now);
}

int ac_losses_exited(ac_losses_t *losses, uint32_t pid, apr_time_t now)
{
    int row, app;

    for (row = 0; row < losses->n_children; ++row) {
        if (atomic_load(&losses->pids[row]) == pid) {
            break;
        }
    }
    if (row == losses->n_children) {
        return 0;
    }
    ac_losses_leave(losses, row);
    for (app = 0; app < losses->n_apps; ++app) {
        if (ac_losses_is_hosted(losses, app)) {
            ac_losses_add(losses, app, now);
        }
    }
    return 1;
}

void ac_losses_hung(ac_losses_t *losses, int app, apr_time_t now)
{
    atomic_store(&losses->apps[app].hung, now);
}

int ac_losses_hung_lately(const ac_losses_t *losses, int app, apr_time_t now)
{
    apr_time_t when = atomic_load(&losses->apps[app].hung);

    return when > 0 && now - when < AC_LOSSES_WINDOW;
}

int ac_losses_too_many(ac_losses_t *losses, int app, unsigned limit, apr_time_t now)
{
    app_t *a = &losses->apps[app];
    unsigned n = 0;
    int i;

    for (i = 0; i < AC_LOSSES_TIMES; ++i) {
        apr_time_t when = atomic_load(&a->times[i]);

        n += when > 0 && now - when < AC_LOSSES_WINDOW;
    }
    if (n >= (limit ? limit : 1)) {
        atomic_store(&a->too_many, 1);
    }
    return atomic_load(&a->too_many) != 0;
}

int ac_losses_first(ac_losses_t *losses, int app, uint32_t what)
{
    return !(atomic_fetch_or(&losses->apps[app].said, what) & what);
}
