/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/warm.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apr_strings.h"
#include "http_log.h"
#include "http1/target.h"
#include "inproc/load.h"
#include "inproc/outcome.h"

APLOG_USE_MODULE(appcore);

/* ANCM's sub-status of 500 for an app that failed to start. */
#define START_FAILED 30

static ac_inproc_ask_fn *ask_app;

void ac_inproc_warm_init(ac_inproc_ask_fn *ask)
{
    ask_app = ask;
}

/* 0: the start is over. */
static int note_page(ac_inproc_t *inproc, const char *target, int fd)
{
    int goes_on;

    pthread_mutex_lock(&inproc->mutex);
    inproc->warming = target;
    inproc->warm_fd = fd;
    goes_on = !inproc->concluded;
    pthread_mutex_unlock(&inproc->mutex);
    return goes_on;
}

const char *ac_inproc_warm_stop(ac_inproc_t *inproc)
{
    const char *page;

    pthread_mutex_lock(&inproc->mutex);
    page = inproc->warming;
    if (page) {
        shutdown(inproc->warm_fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&inproc->mutex);
    return page;
}

static int ask(ac_inproc_t *inproc, const char *target, ac_inproc_answer_t *answer)
{
    int ends[2], goes_on;
    apr_pool_t *p;

    memset(answer, 0, sizeof(*answer));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        return 1;
    }
    goes_on = note_page(inproc, target, ends[1]);
    if (goes_on) {
        apr_pool_create_unmanaged_ex(&p, NULL, NULL);
        ask_app(inproc, target, ends[0], answer, p);
        answer->location = answer->location ? apr_pstrdup(inproc->p, answer->location)
                                            : NULL;
        apr_pool_destroy(p);
        goes_on = note_page(inproc, NULL, -1);
    }
    close(ends[0]);
    close(ends[1]);
    return goes_on;
}

static const char *describe(const ac_inproc_answer_t *answer, apr_pool_t *p)
{
    return answer->status ? apr_psprintf(p, "was answered with status %d", answer->status)
                          : "was not answered";
}

/* 1: the start goes on. */
static int judge(ac_inproc_t *inproc, const char *target,
                 const ac_inproc_answer_t *answer)
{
    int is_strict = inproc->set->warm_up.origin != AC_ORIGIN_WEBCONFIG;
    ac_result_t result = AC_RESULT_OK;

    if (answer->status && answer->status < 400) {
        return 1;
    }
    if (!is_strict) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, inproc->server, "app %s was asked for "
                     "its initialization page %s, which %s", inproc->mount->spec->name,
                     target, describe(answer, inproc->p));
        return 1;
    }
    ac_inproc_refuse(&result, AC_FAULT_EXITED, START_FAILED, "the warm-up request for "
                     "%.200s (AppCoreWarmUpPath) %s", target,
                     describe(answer, inproc->p));
    ac_outcome_give_up(inproc, &result);
    return 0;
}

static const char *redirect(const ac_inproc_answer_t *answer, const char *prefix,
                            apr_pool_t *p)
{
    const char *path = answer->status >= 300 && answer->status < 400
                       && answer->status != 304 && answer->location
                       ? ac_target_inside(answer->location, prefix) : NULL;

    return path ? apr_pstrmemdup(p, path, strcspn(path, "#")) : NULL;
}

/* One redirect within the app is followed. */
static int warm_page(ac_inproc_t *inproc, const char *prefix, const char *path)
{
    const char *target = apr_pstrcat(inproc->p, prefix, path, NULL), *next;
    ac_inproc_answer_t answer;

    if (!ask(inproc, target, &answer)) {
        return 0;
    }
    next = redirect(&answer, prefix, inproc->p);
    if (next) {
        target = next;
        if (!ask(inproc, target, &answer)) {
            return 0;
        }
    }
    return judge(inproc, target, &answer);
}

int ac_inproc_warm_up(ac_inproc_t *inproc)
{
    const apr_array_header_t *paths = inproc->set->warm_up.v;
    const char *prefix = ac_target_escape(inproc->mount->spec->prefix, inproc->p);
    int i;

    for (i = 0; ask_app && i < paths->nelts; ++i) {
        if (!warm_page(inproc, prefix, APR_ARRAY_IDX(paths, i, const char *))) {
            return 0;
        }
    }
    return 1;
}
