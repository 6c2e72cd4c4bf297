/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_dotnet.h"
#include "test_dotnet_host.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

heard_t heard;
static void *fake;
void *app;

static void hear(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void hear(const char *format, ...)
{
    va_list args;
    int len;

    pthread_mutex_lock(&heard.lock);
    va_start(args, format);
    len = vsnprintf(heard.text + heard.len, sizeof(heard.text) - heard.len, format, args);
    va_end(args);
    ck_assert_int_lt(heard.len + len, sizeof(heard.text));
    heard.len += (size_t)len;
    pthread_cond_broadcast(&heard.more);
    pthread_mutex_unlock(&heard.lock);
}

void wait_for(const char *text)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&heard.lock);
    while (!strstr(heard.text, text) && rc == 0) {
        rc = pthread_cond_timedwait(&heard.more, &heard.lock, &until);
    }
    pthread_mutex_unlock(&heard.lock);
    ck_assert_msg(rc == 0, "%s is not in what was heard:\n%s", text, heard.text);
}

int was_heard(const char *text)
{
    int found;

    pthread_mutex_lock(&heard.lock);
    found = strstr(heard.text, text) != NULL;
    pthread_mutex_unlock(&heard.lock);
    return found;
}

static int respond(appcore_request request, int status, appcore_str reason,
                   const appcore_field *fields, size_t n, const struct iovec *body,
                   size_t n_body)
{
    (void)request;
    (void)reason;
    hear("respond %d %.*s %.*s\n", status, n ? (int)fields[0].name.len : 0,
         n ? fields[0].name.p : "", n_body ? (int)body[0].iov_len : 0,
         n_body ? (const char *)body[0].iov_base : "");
    return APPCORE_OK;
}

static void host_log(const appcore_host *host, appcore_request request, int level,
                     appcore_str line)
{
    (void)host;
    (void)request;
    hear("log %d %.*s\n", level, (int)line.len, line.p);
}

static void started(const appcore_host *host, const appcore_failure *failure)
{
    (void)host;
    if (!failure) {
        hear("started\n");
        return;
    }
    hear("not started 500.%d exit %d: %.*s | %.*s\n", (int)failure->substatus,
         (int)failure->exit_code, (int)failure->what.len, failure->what.p,
         (int)failure->evidence.len, failure->evidence.p);
}

static void ended(const appcore_host *host, int exit_code, appcore_str why)
{
    (void)host;
    hear("ended %d: %.*s\n", exit_code, (int)why.len, why.p);
}

static void replace(const appcore_host *host, appcore_str why)
{
    (void)host;
    hear("replace: %.*s\n", (int)why.len, why.p);
}

posted_t posted;

static int post(appcore_request number,
                void (*fn)(void *app, appcore_request, void *data, int result),
                void *data)
{
    (void)number;
    posted.fn = fn;
    posted.data = data;
    hear("posted\n");
    return APPCORE_OK;
}

static const appcore_host host = {
    .size = sizeof(host),
    .version = APPCORE_ABI,
    .respond = respond,
    .post = post,
    .log = host_log,
    .started = started,
    .ended = ended,
    .replace = replace
};

#define STR(text) { text, sizeof(text) - 1 }

static appcore_field settings[5];
static const appcore_str arguments[] = { STR("--urls"), STR("x y") };
appcore_config config;

void set(size_t i, const char *name, const char *value)
{
    settings[i].name = (appcore_str){ name, strlen(name) };
    settings[i].value = (appcore_str){ value, strlen(value) };
}

const char *fake_path(void)
{
    static char path[PATH_MAX];
    const char *build = getenv("builddir");

    snprintf(path, sizeof(path), "%s/test/unit/.libs/fake_hostfxr.so",
             build ? build : ".");
    return path;
}

void call_fake(const char *name)
{
    void (*function)(void);

    *(void **)&function = dlsym(fake, name);
    ck_assert_ptr_nonnull(function);
    function();
}

void host_setup(void)
{
    char resolved[PATH_MAX];

    test_dotnet_make_folder();
    test_dotnet_write("net8.0/AppCore.AspNetCore.dll", "");
    test_dotnet_write("root/host/fxr/10.0.0/README", "");
    ck_assert_ptr_nonnull(realpath(fake_path(), resolved));
    ck_assert_int_eq(symlink(resolved, test_dotnet_path("root/host/fxr/10.0.0/"
                                                        "libhostfxr.so")), 0);
    fake = dlopen(resolved, RTLD_NOW | RTLD_LOCAL);
    ck_assert_ptr_nonnull(fake);
    call_fake("hostfxr_fake_forget");
    memset(&heard, 0, sizeof(heard));
    pthread_mutex_init(&heard.lock, NULL);
    pthread_cond_init(&heard.more, NULL);
    set(0, "appcore.assembly", test_dotnet_path("App.dll"));
    set(1, "appcore.companion", test_dotnet_path("net8.0/AppCore.AspNetCore.dll"));
    set(2, "appcore.dotnetRoot", test_dotnet_path("root"));
    set(3, "StackSize", "200000");
    set(4, "setcurrentdirectory", "FALSE");
    config = (appcore_config){
        .size = sizeof(config),
        .version = APPCORE_ABI,
        .folder = { settings[0].value.p, settings[0].value.len - strlen("/App.dll") },
        .settings = settings,
        .n_settings = 5,
        .arguments = arguments,
        .n_arguments = 2,
        .shutdown_ms = 100
    };
}

int init(appcore_failure *failure)
{
    return appcore_app_v1()->init(&host, &config, &app, failure);
}

void start(const char *script)
{
    appcore_failure failure = { .size = sizeof(failure) };

    test_dotnet_write_assembly("App.dll", TEST_DOTNET_ASSEMBLY);
    test_dotnet_write("App.dll.script", script);
    ck_assert_int_eq(init(&failure), APPCORE_PENDING);
}

void shut_down(uint32_t limit_ms)
{
    appcore_app_v1()->shutdown(app, limit_ms);
}
