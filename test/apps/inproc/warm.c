/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* An app in process for what happens around its start: it notes what it is asked,
 * prints what it is told to, and answers in ways that are hard to wait for. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "appcore.h"

static const appcore_host *host;

static appcore_str str(const char *text)
{
    appcore_str s = { text, strlen(text) };

    return s;
}

static int is(appcore_str s, const char *text)
{
    return s.len == strlen(text) && !memcmp(s.p, text, s.len);
}

static int respond(appcore_request r, int status, const char *name, appcore_str value,
                   const char *text)
{
    appcore_field field = { str(name), value };
    struct iovec body = { (void *)text, strlen(text) };

    return host->respond(r, status, str(""), &field, *name ? 1 : 0, &body, 1)
           == APPCORE_OK ? APPCORE_DONE : APPCORE_FAILED;
}

static void note(const appcore_info *info)
{
    char text[400];

    snprintf(text, sizeof(text), "noted %.*s at %.*s over %.*s from %.*s",
             (int)info->target.len, info->target.p, (int)info->authority.len,
             info->authority.p, (int)info->scheme.len, info->scheme.p,
             (int)info->remote_address.len, info->remote_address.p);
    host->log(host, 0, APPCORE_LOG_NOTICE, str(text));
}

static void answer(void *app, appcore_request r, void *data, int result)
{
    (void)app;
    (void)data;
    if (result == APPCORE_OK) {
        respond(r, 200, "", str(""), "late\n");
    }
}

static void *answer_later(void *data)
{
    appcore_request r = *(appcore_request *)data;

    free(data);
    usleep(300 * 1000);
    host->post(r, answer, NULL);
    host->complete(r, APPCORE_OK);
    return NULL;
}

static int later(appcore_request r)
{
    appcore_request *number = malloc(sizeof(*number));
    pthread_t thread;

    *number = r;
    if (pthread_create(&thread, NULL, answer_later, number)) {
        return APPCORE_FAILED;
    }
    pthread_detach(thread);
    return APPCORE_PENDING;
}

/* Until nobody wants more. */
static int write_on(appcore_request r)
{
    static char data[65536];
    struct iovec body = { data, sizeof(data) };

    while (host->write(r, &body, 1, APPCORE_FLUSH) > 0) {
    }
    return APPCORE_DONE;
}

/* A head and nothing more. */
static int begin(appcore_request r)
{
    struct iovec body = { (void *)"begun\n", 6 };

    host->write(r, &body, 1, APPCORE_FLUSH);
    return APPCORE_PENDING;
}

static int print(appcore_request r, FILE *to, appcore_str text, const char *end)
{
    fprintf(to, "%.*s%s", (int)text.len, text.p, end);
    fflush(to);
    return respond(r, 200, "", str(""), "printed\n");
}

static int handle(void *app, appcore_request r, const appcore_info *info, void **data)
{
    char text[80];
    appcore_str path = info->path;

    (void)app;
    *data = &host;
    if (is(path, "/note")) {
        note(info);
    }
    else if (is(path, "/status")) {
        return respond(r, atoi(info->query.p), "", str(""), "as told\n");
    }
    else if (is(path, "/redirect")) {
        return respond(r, 302, "Location", info->query, "");
    }
    else if (is(path, "/later")) {
        return later(r);
    }
    else if (is(path, "/endless")) {
        return write_on(r);
    }
    else if (is(path, "/begin")) {
        return begin(r);
    }
    else if (is(path, "/never")) {
        return APPCORE_PENDING;
    }
    else if (is(path, "/fail")) {
        return APPCORE_FAILED;
    }
    else if (is(path, "/declined")) {
        return APPCORE_DECLINED;
    }
    else if (is(path, "/print")) {
        return print(r, stdout, info->query, "\n");
    }
    else if (is(path, "/prompt")) {
        return print(r, stderr, info->query, "");
    }
    snprintf(text, sizeof(text), "pid %d\n", (int)getpid());
    return respond(r, 200, "", str(""), text);
}

static void on_disconnect(void *app, appcore_request r, void *data)
{
    (void)app;
    (void)data;
    host->complete(r, APPCORE_FAILED);
}

static int init(const appcore_host *h, const appcore_config *c, void **app,
                appcore_failure *failure)
{
    (void)c;
    (void)app;
    (void)failure;
    host = h;
    puts("first line");
    fflush(stdout);
    return APPCORE_OK;
}

const appcore_app *appcore_app_v1(void)
{
    static const appcore_app app = {
        .size = sizeof(app), .version = APPCORE_ABI, .flags = APPCORE_THREAD_SAFE,
        .init = init, .handle = handle, .on_disconnect = on_disconnect
    };

    return &app;
}
