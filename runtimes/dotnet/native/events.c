/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "native/app.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static appcore_str str(const char *text)
{
    return (appcore_str){ text, strlen(text) };
}

static void log_line(const ac_app_t *app, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void log_line(const ac_app_t *app, int level, const char *format, ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    app->host->log(app->host, 0, level, str(line));
}

/* Whether the host is to be told. */
static int move(ac_app_t *app, ac_app_state_e from, ac_app_state_e to)
{
    int told;

    pthread_mutex_lock(&app->lock);
    told = app->state == from && !app->asked;
    if (app->state == from) {
        app->state = to;
    }
    pthread_mutex_unlock(&app->lock);
    return told;
}

static int start_failed(ac_app_t *app, const appcore_failure *failure)
{
    if (!move(app, AC_APP_STARTING, AC_APP_FAILED)) {
        return 0;
    }
    app->host->started(app->host, failure);
    return 1;
}

static void main_ended_early(ac_app_t *app, int exit_code)
{
    ac_trouble_t *trouble = &app->trouble;
    appcore_failure failure;
    int hooked;

    pthread_mutex_lock(&app->lock);
    hooked = app->hooked;
    pthread_mutex_unlock(&app->lock);
    trouble->exit_code = exit_code;
    if (hooked) {
        ac_trouble_set(trouble, AC_TROUBLE_START, "Main exited prematurely: the app "
                       "ended with exit code %d before it took requests", exit_code);
    }
    else if (ac_trouble_is_hostfxr(exit_code)) {
        ac_trouble_set(trouble, AC_TROUBLE_START, "The .NET runtime did not start "
                       "(hostfxr: 0x%08x)", (unsigned)exit_code);
    }
    else {
        ac_trouble_set(trouble, AC_TROUBLE_HANDLER, "Main ended with exit code %d, and "
                       "the start-up hook %s never ran", exit_code,
                       app->start.companion);
    }
    failure = ac_trouble_failure(trouble);
    start_failed(app, &failure);
}

static void main_ended(ac_app_t *app, int exit_code)
{
    char why[80];

    snprintf(why, sizeof(why), "Main returned with exit code %d", exit_code);
    ac_gate_close(&app->gate);
    if (move(app, AC_APP_READY, AC_APP_LEFT)) {
        app->host->ended(app->host, exit_code, str(why));
    }
}

void ac_app_returned(ac_app_t *app, int exit_code)
{
    main_ended(app, exit_code);
    main_ended_early(app, exit_code);
    pthread_mutex_lock(&app->lock);
    app->returned = 1;
    pthread_cond_broadcast(&app->moved);
    pthread_mutex_unlock(&app->lock);
}

static void hook_runs(void)
{
    ac_app_t *app = &ac_app;

    pthread_mutex_lock(&app->lock);
    app->hooked = 1;
    pthread_mutex_unlock(&app->lock);
    ac_app_guard_exit();
    log_line(app, APPCORE_LOG_DEBUG, "the start-up hook runs, .NET is that of %s",
             app->runtime.found.hostfxr);
}

static void failed(appcore_str what, appcore_str evidence)
{
    ac_app_t *app = &ac_app;
    appcore_failure failure = {
        .size = sizeof(failure),
        .substatus = AC_TROUBLE_START,
        .what = what,
        .evidence = evidence
    };

    if (!start_failed(app, &failure)) {
        app->host->log(app->host, 0, APPCORE_LOG_ERROR, what);
    }
}

static void ready(const ac_dotnet_calls_t *calls)
{
    ac_app_t *app = &ac_app;
    int starting;

    /* Both come in one package; a mixture is an installation gone wrong. */
    if (calls->size < sizeof(app->calls)) {
        failed(str("AppCore.AspNetCore.dll is older than appcore-dotnet.so"), str(""));
        return;
    }
    pthread_mutex_lock(&app->lock);
    starting = app->state == AC_APP_STARTING && !app->asked;
    if (starting) {
        memcpy(&app->calls, calls, sizeof(app->calls));
        app->state = AC_APP_READY;
        ac_gate_open(&app->gate);
    }
    pthread_mutex_unlock(&app->lock);
    if (starting) {
        app->host->started(app->host, NULL);
    }
    else {
        /* Nobody waits for it any more: the end was asked for, or a failure reported. */
        calls->stop(app->config->shutdown_ms);
    }
}

static void stopping(void)
{
    ac_app_t *app = &ac_app;

    static const char why[] = "it stops itself (StopApplication)";
    int told;

    if (!APPCORE_HAS(app->host, replace)) {
        if (move(app, AC_APP_READY, AC_APP_LEFT)) {
            app->host->ended(app->host, 0, str(why));
        }
        return;
    }
    pthread_mutex_lock(&app->lock);
    told = app->state == AC_APP_READY && !app->asked;
    pthread_mutex_unlock(&app->lock);
    if (told) {
        app->host->replace(app->host, str(why));
    }
}

static void stopped(void)
{
    static const char why[] = "its server is stopped";
    ac_app_t *app = &ac_app;

    if (move(app, AC_APP_READY, AC_APP_LEFT)) {
        /* First, so that nobody asks at a closed gate: Main may go on for long. */
        app->host->ended(app->host, 0, str(why));
    }
    ac_gate_close(&app->gate);
    if (!ac_gate_wait(&app->gate, app->config->shutdown_ms)) {
        log_line(app, APPCORE_LOG_WARNING, "it ends while requests are still inside of "
                 "it");
    }
}

/* The runtime would abort the process, and nobody would be left to say why. */
static void stay(ac_app_t *app)
{
    pthread_mutex_lock(&app->lock);
    app->stuck = 1;
    pthread_cond_broadcast(&app->moved);
    pthread_mutex_unlock(&app->lock);
    ac_app_guard_exit();
    for (;;) {
        pause();
    }
}

static void crashed(appcore_str what, appcore_str evidence)
{
    ac_app_t *app = &ac_app;
    appcore_failure failure = {
        .size = sizeof(failure),
        .substatus = AC_TROUBLE_START,
        .exit_code = 128 + SIGABRT,
        .what = what,
        .evidence = evidence
    };
    int has_failed;

    start_failed(app, &failure);
    pthread_mutex_lock(&app->lock);
    has_failed = app->state == AC_APP_FAILED;
    pthread_mutex_unlock(&app->lock);
    if (has_failed) {
        stay(app);
    }
    /* No ended(): the process is lost, which httpd sees, and counts. */
    log_line(app, APPCORE_LOG_ERROR, "it ends its process: %.*s",
             what.len < 800 ? (int)what.len : 800, what.p);
}

void ac_app_fill_bridge(ac_app_t *app)
{
    ac_app_fill_outer(app);
    app->bridge = (ac_dotnet_bridge_t){
        .size = sizeof(ac_dotnet_bridge_t),
        .version = AC_DOTNET_BRIDGE,
        .host = &app->outer,
        .config = app->config,
        .ready = ready,
        .failed = failed,
        .stopped = stopped,
        .hooked = hook_runs,
        .stopping = stopping,
        .crashed = crashed
    };
}
