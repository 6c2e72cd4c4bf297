/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* What mod_bench.c answers, from an app in process. */

#include <appcore.h>

#include <string.h>

#define LARGEST (1024 * 1024)

static const appcore_host *host;
static char bytes[LARGEST];

static int is(appcore_str path, const char *name)
{
    return path.len == strlen(name) && !memcmp(path.p, name, path.len);
}

static int handle(void *app, appcore_request id, const appcore_info *info, void **data)
{
    static const appcore_field type = { { "Content-Type", 12 }, { "text/plain", 10 } };
    static const appcore_str usual;
    struct iovec body = { bytes, 12 };

    (void)app;
    (void)data;
    if (is(info->path, "/1m")) {
        body.iov_len = LARGEST;
    }
    else if (is(info->path, "/10k")) {
        body.iov_len = 10 * 1024;
    }
    return host->respond(id, 200, usual, &type, 1, &body, 1);
}

static int init(const appcore_host *given, const appcore_config *config, void **app,
                appcore_failure *failure)
{
    (void)config;
    (void)app;
    (void)failure;
    host = given;
    memset(bytes, 'x', sizeof(bytes));
    return APPCORE_OK;
}

const appcore_app *appcore_app_v1(void)
{
    static const appcore_app app = {
        .size = sizeof(app), .version = APPCORE_ABI, .flags = APPCORE_THREAD_SAFE,
        .init = init, .handle = handle
    };

    return &app;
}
