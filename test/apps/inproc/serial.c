/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* An app that is not thread-safe: says what it is sent, or "part". */

#include <appcore.h>

static const appcore_host *host;

static int app_init(const appcore_host *given, const appcore_config *config, void **app,
                    appcore_failure *failure)
{
    (void)config;
    (void)app;
    (void)failure;
    host = given;
    return APPCORE_OK;
}

static int app_handle(void *app, appcore_request id, const appcore_info *info,
                      void **data)
{
    static const appcore_field type = { { "Content-Type", 12 }, { "text/html", 9 } };
    static const appcore_str none = { "", 0 };
    char text[1000] = "part";
    struct iovec body = { text, 4 };
    int64_t n = host->read(id, text, sizeof(text), 0);

    (void)app;
    (void)info;
    (void)data;
    if (n > 0) {
        body.iov_len = (size_t)n;
    }
    return host->respond(id, 200, none, &type, 1, &body, 1) == APPCORE_OK
           ? APPCORE_DONE : APPCORE_FAILED;
}

const appcore_app *appcore_app_v1(void)
{
    static const appcore_app app = {
        .size = sizeof(app), .version = APPCORE_ABI, .init = app_init,
        .handle = app_handle
    };

    return &app;
}
