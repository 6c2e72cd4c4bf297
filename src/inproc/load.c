/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/load.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <apr_strings.h>
#include "inproc/host.h"

/* What version 1 began with: as far as handle(), the one that must be there. */
#define APP_MIN (offsetof(appcore_app, handle) + sizeof(((appcore_app *)0)->handle))

#define LOAD_FAILED 33
#define START_FAILED 30

void ac_inproc_refuse(ac_result_t *res, ac_fault_e fault, int substatus,
                      const char *fmt, ...)
{
    char detail[AC_RESULT_DETAIL];
    va_list ap;

    va_start(ap, fmt);
    apr_vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    ac_result_set(res, APR_EGENERAL, AC_STAGE_NONE, fault, "%s", detail);
    res->http_status = 500;
    res->substatus = substatus;
}

int ac_inproc_take(appcore_app *app, const appcore_app *theirs, const char *path,
                   ac_result_t *res)
{
    memset(app, 0, sizeof(*app));
    if (!theirs) {
        ac_inproc_refuse(res, AC_FAULT_EXEC, START_FAILED,
                         "appcore_app_v1() of %.200s answered NULL: it cannot run here",
                         path);
        return 0;
    }
    if (theirs->size < APP_MIN || theirs->version != APPCORE_ABI) {
        ac_inproc_refuse(res, AC_FAULT_EXEC, LOAD_FAILED,
                         "%.200s was built for version %u of the interface (%u bytes); "
                         "this is version %u", path, theirs->version,
                         (unsigned)theirs->size, APPCORE_ABI);
        return 0;
    }
    ac_host_copy_app(app, theirs);
    if (!app->handle) {
        ac_inproc_refuse(res, AC_FAULT_EXEC, LOAD_FAILED,
                         "the app of %.200s has no handle()", path);
        return 0;
    }
    return 1;
}

int ac_inproc_load(appcore_app *app, const char *path, ac_result_t *res)
{
    const appcore_app *(*symbol)(void);
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

    if (!object) {
        const char *why = dlerror();

        ac_inproc_refuse(res, AC_FAULT_EXEC, LOAD_FAILED,
                         "the shared object could not be loaded: %.400s",
                         why ? why : path);
        return 0;
    }
    *(void **)&symbol = dlsym(object, "appcore_app_v1");
    if (!symbol) {
        ac_inproc_refuse(res, AC_FAULT_EXEC, LOAD_FAILED,
                         "%.200s does not export appcore_app_v1", path);
        return 0;
    }
    return ac_inproc_take(app, symbol(), path, res);
}
