/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* An app in process that lives as its variable MODE says, and may start, end, crash
 * or hang in any way. Its answer to every request: pid, how many requests, and the
 * variable WORD. */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "appcore.h"

static const appcore_host *host;
static const appcore_config *config;

static appcore_str str(const char *text)
{
    appcore_str s = { text, strlen(text) };

    return s;
}

static int is(appcore_str s, const char *text)
{
    return s.len == strlen(text) && !memcmp(s.p, text, s.len);
}

static appcore_str variable(const char *name)
{
    size_t i;

    for (i = 0; i < config->n_environment; i++) {
        if (is(config->environment[i].name, name)) {
            return config->environment[i].value;
        }
    }
    return str("");
}

static int mode(const char *name)
{
    return is(variable("MODE"), name);
}

static void say(const char *text)
{
    host->log(host, 0, APPCORE_LOG_NOTICE, str(text));
}

static int respond(appcore_request r, int status, const char *text)
{
    struct iovec body = { (void *)text, strlen(text) };

    return host->respond(r, status, str(""), NULL, 0, &body, 1);
}

static void *start_later(void *data)
{
    appcore_failure failure = { .size = sizeof(failure) };

    (void)data;
    usleep(300 * 1000);
    if (mode("pending-fail")) {
        failure.substatus = 31;
        failure.what = str("the framework 'Tea' 2.9.9 was not found");
        failure.evidence = str("looked in /cup\nand in /pot");
        host->started(host, &failure);
    }
    else {
        host->started(host, NULL);
    }
    return NULL;
}

static void *end_later(void *data)
{
    (void)data;
    usleep(500 * 1000);
    host->ended(host, 3, str("asked for"));
    return NULL;
}

static void *exit_later(void *data)
{
    (void)data;
    usleep(300 * 1000);
    exit(15);
}

static void no_end(int sig)
{
    (void)sig;
}

static struct sigaction at_init;

/* As a runtime that starts late: as soon as httpd has put its last handler in place. */
static void *take_sigterm(void *data)
{
    struct sigaction now, mine = { .sa_handler = no_end };

    (void)data;
    do {
        usleep(50);
        sigaction(SIGTERM, NULL, &now);
    } while (now.sa_handler == at_init.sa_handler);
    sigaction(SIGTERM, &mine, NULL);
    return NULL;
}

static int start_thread(void *(*fn)(void *))
{
    pthread_t thread;

    return pthread_create(&thread, NULL, fn, NULL) || pthread_detach(thread);
}

/* While one of these runs the end of the process must not run another. */
static _Atomic int starting;

static void hang(void)
{
    starting = 1;
    for (;;) {
        pause();
    }
}

#ifdef HANGS_IN_ITS_LOADING
__attribute__((constructor)) static void construct(void)
{
    hang();
}
#endif

__attribute__((destructor)) static void destruct(void)
{
    if (starting) {
        abort();
    }
}

static int init(const appcore_host *h, const appcore_config *c, void **app,
                appcore_failure *failure)
{
    host = h;
    config = c;
    *app = NULL;
    if (mode("fail")) {
        puts("looking for tea");
        fputs("<3>no tea in the pot\n", stderr);
        fflush(stdout);
        failure->what = str("there is no <tea>");
        failure->evidence = str("cup: empty");
        return APPCORE_FAILED;
    }
    if (mode("crash")) {
        fputs("<2>last words\n", stderr);
        abort();
    }
    if (mode("exit")) {
        exit(15);
    }
    if (mode("exit-0")) {
        exit(0);
    }
    if (mode("exit-thread")) {
        return start_thread(exit_later) ? APPCORE_FAILED : APPCORE_PENDING;
    }
    if (mode("hang")) {
        hang();
    }
    if (mode("never")) {
        return APPCORE_PENDING;
    }
    if (mode("sigterm")) {
        sigaction(SIGTERM, NULL, &at_init);
        return start_thread(take_sigterm) ? APPCORE_FAILED : APPCORE_OK;
    }
    if (mode("ending")) {
        return start_thread(end_later) ? APPCORE_FAILED : APPCORE_OK;
    }
    if (mode("pending") || mode("pending-fail")) {
        return start_thread(start_later) ? APPCORE_FAILED : APPCORE_PENDING;
    }
    return APPCORE_OK;
}

/* Ends the process in the way that is named. */
static void *go(void *data)
{
    const char *how = data;

    if (!strcmp(how, "exit")) {
        exit(15);
    }
    if (!strcmp(how, "exit-0")) {
        exit(0);
    }
    if (!strcmp(how, "fault")) {
        raise(SIGSEGV);
    }
    abort();
}

/* The same on a thread of the app's, while the worker waits for what never comes. */
static void *go_elsewhere(void *data)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, go, data) == 0) {
        pthread_join(thread, NULL);
    }
    return NULL;
}

static const struct {
    const char *path;
    void *(*fn)(void *);
    const char *how;
} ends[] = {
    { "/exit", go, "exit" }, { "/exit-0", go, "exit-0" }, { "/crash", go, "crash" },
    { "/fault", go, "fault" }, { "/exit-thread", go_elsewhere, "exit" },
    { "/exit-0-thread", go_elsewhere, "exit-0" },
    { "/crash-thread", go_elsewhere, "crash" },
    { "/fault-thread", go_elsewhere, "fault" },
};

static int handle(void *app, appcore_request r, const appcore_info *info, void **data)
{
    char text[200];
    size_t i;

    (void)app;
    (void)data;
    for (i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        if (is(info->path, ends[i].path)) {
            ends[i].fn((void *)ends[i].how);
        }
    }
    if (is(info->path, "/end")) {
        host->ended(host, 3, str("somebody asked for it"));
    }
    if (is(info->path, "/slow")) {
        sleep(2);
    }
    snprintf(text, sizeof(text), "pid %d word %.*s\n", (int)getpid(),
             (int)variable("WORD").len, variable("WORD").p);
    return respond(r, 200, text) == APPCORE_OK ? APPCORE_DONE : APPCORE_FAILED;
}

static void quiesce(void *app)
{
    (void)app;
    say("quiesce");
}

static void shut_down(void *app, uint32_t limit_ms)
{
    char text[80];

    (void)app;
    snprintf(text, sizeof(text), "shutdown within %u ms", (unsigned)limit_ms);
    say(text);
    if (mode("stuck")) {
        for (;;) {
            pause();
        }
    }
}

const appcore_app *appcore_app_v1(void)
{
    static appcore_app app = {
        .size = sizeof(app), .version = APPCORE_ABI, .flags = APPCORE_THREAD_SAFE,
        .init = init, .handle = handle, .quiesce = quiesce, .shutdown = shut_down
    };

#ifdef SINGLE
    app.flags |= APPCORE_SINGLE_PROCESS;
#endif
#ifdef WRONG_VERSION
    app.version = 7;
#endif
#ifdef NO_TABLE
    return NULL;
#else
    return &app;
#endif
}
