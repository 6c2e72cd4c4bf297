/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "native/app.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "native/until.h"

#define STACK_MIN ((size_t)8 << 20)
#define STACK_MAX ((size_t)1 << 30)

ac_app_t ac_app;

/* Whether the app may be started: it has not been, or is gone without a trace. */
static int idle = 1;

static char *copy(appcore_str s)
{
    return strndup(s.p, s.len);
}

/* Names in any case, as everywhere in web.config. NULL: none. The last one counts: the
 * host's own are behind those of administrator and app, who must not replace them. */
static char *setting(const appcore_config *config, const char *name)
{
    size_t i;

    for (i = config->n_settings; i > 0; --i) {
        const appcore_field *field = &config->settings[i - 1];

        if (field->name.len == strlen(name)
            && !strncasecmp(field->name.p, name, field->name.len)) {
            return copy(field->value);
        }
    }
    return NULL;
}

static int take_arguments(const appcore_config *config, ac_runtime_start_t *start)
{
    size_t i;

    start->argv = calloc(config->n_arguments + 1, sizeof(*start->argv));
    for (i = 0; start->argv && i < config->n_arguments; ++i) {
        start->argv[i] = copy(config->arguments[i]);
        if (!start->argv[i]) {
            return 0;
        }
        ++start->argc;
    }
    return start->argv != NULL;
}

static void release(ac_runtime_start_t *start)
{
    int i;

    for (i = 0; i < start->argc; ++i) {
        free((char *)start->argv[i]);
    }
    free(start->argv);
    free((char *)start->assembly);
    free((char *)start->companion);
    free((char *)start->dotnet_root);
    free((char *)start->stack_size);
    memset(start, 0, sizeof(*start));
}

void ac_app_open_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static void *thread_main(void *data)
{
    ac_app_t *app = data;
    int rc = 0;

    pthread_setname_np(pthread_self(), "appcore-dotnet");
    /* The threads that the runtime makes inherit the mask. */
    ac_app_open_signals();
    if (ac_runtime_prepare(&app->runtime, &app->start, &app->trouble)) {
        atomic_store(&app->inside, 1);
        rc = ac_runtime_run(&app->runtime);
        atomic_store(&app->inside, 0);
    }
    ac_app_returned(app, rc);
    return NULL;
}

static size_t stack_size(const ac_runtime_start_t *start)
{
    /* As ANCM has it, hexadecimal. */
    size_t size = start->stack_size ? strtoul(start->stack_size, NULL, 16) : 0;

    return size < STACK_MIN ? STACK_MIN : size > STACK_MAX ? STACK_MAX : size;
}

static int start_thread(ac_app_t *app)
{
    pthread_attr_t attr;
    int rc;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, stack_size(&app->start));
    rc = pthread_create(&app->thread, &attr, thread_main, app);
    pthread_attr_destroy(&attr);
    return rc == 0;
}

static int refuse(appcore_failure *failure, int substatus, const char *what)
{
    failure->substatus = substatus;
    failure->what = (appcore_str){ what, strlen(what) };
    return APPCORE_FAILED;
}

static void warn(const ac_app_t *app, const char *text)
{
    app->host->log(app->host, 0, APPCORE_LOG_WARNING,
                   (appcore_str){ text, strlen(text) });
}

/* Apps name their databases and logs relative to their folder. */
static void change_folder(ac_app_t *app)
{
    char *wanted = setting(app->config, "setCurrentDirectory");
    char *folder = copy(app->config->folder);

    if (!(wanted && !strcasecmp(wanted, "false")) && folder && chdir(folder) != 0) {
        warn(app, "its folder could not be made the current one");
    }
    free(wanted);
    free(folder);
}

int ac_app_start(const appcore_host *host, const appcore_config *config,
                 appcore_failure *failure)
{
    ac_app_t *app = &ac_app;

    if (!idle) {
        return refuse(failure, AC_TROUBLE_SECOND, "Another .NET app runs in this process "
                      "already");
    }
    memset(app, 0, sizeof(*app));
    app->host = host;
    app->config = config;
    app->start.assembly = setting(config, "appcore.assembly");
    app->start.companion = setting(config, "appcore.companion");
    app->start.dotnet_root = setting(config, "appcore.dotnetRoot");
    app->start.stack_size = setting(config, "stackSize");
    app->start.bridge = &app->bridge;
    ac_app_fill_bridge(app);
    ac_gate_init(&app->gate);
    pthread_mutex_init(&app->lock, NULL);
    ac_until_init(&app->moved);
    if (!app->start.assembly || !take_arguments(config, &app->start)) {
        release(&app->start);
        return refuse(failure, AC_TROUBLE_APP, "httpd named no assembly");
    }
    change_folder(app);
    if (!start_thread(app)) {
        release(&app->start);
        return refuse(failure, AC_TROUBLE_START, "No thread could be made for the app");
    }
    idle = 0;
    return APPCORE_PENDING;
}

/* Returns where exit() is the app's own affair, and so that of httpd's guard: the child's
 * first thread runs no managed code. The status is 0, since httpd's parent takes some of
 * the others for a reason to end the server. */
static void leave_at_once(void)
{
    if (atomic_load(&ac_app.inside)
        && (gettid() == getpid() || atomic_load(&ac_app.left_behind))) {
        _exit(0);
    }
}

void ac_app_guard_exit(void)
{
    atexit(leave_at_once);
}

static void stop_managed(ac_app_t *app, uint32_t limit_ms)
{
    if (ac_gate_enter(&app->gate)) {
        app->calls.stop(limit_ms);
        ac_gate_leave(&app->gate);
    }
}

void ac_app_quiesce(ac_app_t *app)
{
    pthread_mutex_lock(&app->lock);
    app->asked = 1;
    pthread_mutex_unlock(&app->lock);
    if (ac_gate_enter(&app->gate)) {
        app->calls.quiesce();
        ac_gate_leave(&app->gate);
    }
}

void ac_app_stop(ac_app_t *app, uint32_t limit_ms)
{
    struct timespec until = ac_until(limit_ms);
    int rc = 0, returned;

    pthread_mutex_lock(&app->lock);
    app->asked = 1;
    pthread_mutex_unlock(&app->lock);
    stop_managed(app, limit_ms);
    pthread_mutex_lock(&app->lock);
    while (!app->returned && !app->stuck && rc == 0) {
        rc = pthread_cond_timedwait(&app->moved, &app->lock, &until);
    }
    returned = app->returned;
    pthread_mutex_unlock(&app->lock);
    if (!returned) {
        warn(app, "it did not end in time and is left behind by its process, which ends");
        atomic_store(&app->left_behind, 1);
        ac_app_guard_exit();
        return;
    }
    pthread_join(app->thread, NULL);
    release(&app->start);
    idle = 1;
}
