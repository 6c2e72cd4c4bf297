/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Apps that are not as the host knows them; ODD says how. The small one and the large
 * one are compiled with what appcore.h was, or may be one day: doctored.py made that. */

#include <appcore.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NO_APP 1
#define WRONG_VERSION 2
#define NO_HANDLE 3
#define NO_SYMBOL 4
#define TINY 5
#define SMALL 6
#define LARGE 7
#define ONLY_HANDLE 8

#ifndef ODD
#error "say -DODD=…"
#endif

#if ODD == NO_SYMBOL

int appcore_app_v0(void);

int appcore_app_v0(void)
{
    return 0;
}

#elif ODD == ONLY_HANDLE

static int only_handle(void *app, appcore_request id, const appcore_info *info,
                       void **data)
{
    (void)app;
    (void)id;
    (void)info;
    (void)data;
    return APPCORE_DECLINED;
}

const appcore_app *appcore_app_v1(void)
{
    static const appcore_app app = {
        .size = sizeof(app), .version = APPCORE_ABI, .handle = only_handle
    };

    return &app;
}

#else

static const appcore_host *host;

static int odd_init(const appcore_host *given, const appcore_config *config, void **app,
                    appcore_failure *failure)
{
    (void)config;
    (void)app;
    (void)failure;
    host = given;
    return APPCORE_OK;
}

#if ODD == LARGE
/* Whoever was told of more asks first whether it is there. */
static const char *news(const appcore_info *info)
{
    return APPCORE_HAS(host, of_tomorrow) || APPCORE_HAS(info, of_tomorrow)
        ? "tomorrow" : "today";
}
#else
static const char *news(const appcore_info *info)
{
    (void)info;
    return "yesterday";
}
#endif

static int odd_handle(void *app, appcore_request id, const appcore_info *info,
                      void **data)
{
    char text[100];
    struct iovec body = { text, 0 };
    appcore_str no_reason = { NULL, 0 };

    (void)app;
    (void)data;
    body.iov_len = (size_t)snprintf(text, sizeof(text), "%s %s %d", news(info),
                                    host->size >= sizeof(*host) ? "all" : "less",
                                    (int)(info->size >= sizeof(*info)));
    return host->respond(id, 200, no_reason, NULL, 0, &body, 1) == APPCORE_OK
        ? APPCORE_DONE : APPCORE_FAILED;
}

/* A copy at the very end of what may be read, so that a host that looks beyond the size
 * which an app names comes to harm. */
static const appcore_app *at_the_edge(const appcore_app *app, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                     -1, 0);

    if (two == MAP_FAILED || mprotect(two + page, page, PROT_NONE)) {
        return NULL;
    }
    memcpy(two + page - size, app, size);
    return (const appcore_app *)(const void *)(two + page - size);
}

const appcore_app *appcore_app_v1(void)
{
    static appcore_app app = {
        .size = sizeof(app),
        .version = APPCORE_ABI,
        .flags = APPCORE_THREAD_SAFE,
        .init = odd_init,
        .handle = odd_handle,
    };

#if ODD == NO_APP
    return NULL;
#elif ODD == WRONG_VERSION
    app.version = 99;
#elif ODD == NO_HANDLE
    app.handle = NULL;
#elif ODD == TINY
    /* Too small to hold handle(). */
    app.size = offsetof(appcore_app, handle);
#elif ODD == LARGE
    app.of_tomorrow = (void (*)(void))1;    /* to be left alone */
    app.flags |= 0x80000000u;
#endif
    return at_the_edge(&app, app.size);
}

#endif
