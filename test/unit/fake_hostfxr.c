/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* A libhostfxr.so without .NET. "App.dll.script", one command per line, says what
 * hostfxr answers and what managed code does in Main:
 *
 *   init CODE TEXT     initialize() fails with that hexadecimal code and text
 *   property NAME=TEXT what the app's configuration sets
 *   hook, ready, stopping, stopped
 *   failed TEXT, crashed TEXT
 *   wait               for stop()
 *   block              until hostfxr_fake_release_main()
 *   tell               writes signal mask, arguments and properties to the log
 *   post               asks to be called back for request 9
 *   inside             on_io() blocks from now on, until hostfxr_fake_release()
 *   text TEXT          hostfxr says something
 *   return NUMBER      the end of Main, in any base */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "native/bridge.h"
#include "native/hostfxr.h"

#define PROPERTIES 16

typedef struct context_t {
    FILE *script;
    char args[512];
    char *names[PROPERTIES], *values[PROPERTIES];
    int n;
} context_t;

static context_t the_context;
static int used;                /* one app per process: as the real one */
static ac_hostfxr_writer_t writer;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int stop_asked, released, main_released, block_inside;
static const ac_dotnet_bridge_t *bridge;

ac_hostfxr_writer_t hostfxr_set_error_writer(ac_hostfxr_writer_t to);
int hostfxr_initialize_for_dotnet_command_line(int argc, const char **argv,
                                               const ac_hostfxr_parameters_t *how,
                                               void **phandle);
int hostfxr_get_runtime_property_value(void *handle, const char *name,
                                       const char **pvalue);
int hostfxr_set_runtime_property_value(void *handle, const char *name,
                                       const char *value);
int hostfxr_run_app(void *handle);
int hostfxr_close(void *handle);
void hostfxr_fake_release(void);
void hostfxr_fake_release_main(void);
void hostfxr_fake_forget(void);

static void set(int *flag)
{
    pthread_mutex_lock(&lock);
    *flag = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_for(const int *flag)
{
    pthread_mutex_lock(&lock);
    while (!*flag) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
}

void hostfxr_fake_release(void)
{
    set(&released);
}

void hostfxr_fake_release_main(void)
{
    set(&main_released);
}

/* As if it were loaded for the first time. */
void hostfxr_fake_forget(void)
{
    used = stop_asked = released = main_released = block_inside = 0;
}

static char *find(context_t *context, const char *name)
{
    int i;

    for (i = 0; i < context->n; ++i) {
        if (!strcmp(context->names[i], name)) {
            return context->values[i];
        }
    }
    return NULL;
}

ac_hostfxr_writer_t hostfxr_set_error_writer(ac_hostfxr_writer_t to)
{
    ac_hostfxr_writer_t before = writer;

    writer = to;
    return before;
}

int hostfxr_get_runtime_property_value(void *handle, const char *name,
                                       const char **pvalue)
{
    *pvalue = find(handle, name);
    return *pvalue ? 0 : (int)0x800080a4u;
}

int hostfxr_set_runtime_property_value(void *handle, const char *name,
                                       const char *value)
{
    context_t *context = handle;
    int i = 0;

    while (i < context->n && strcmp(context->names[i], name) != 0) {
        ++i;
    }
    if (i == PROPERTIES) {
        return (int)0x80008081u;
    }
    if (i == context->n) {
        context->names[context->n++] = strdup(name);
    }
    free(context->values[i]);
    context->values[i] = strdup(value);
    return 0;
}

static int fail(const char *argument)
{
    char *text;
    unsigned long code = strtoul(argument, &text, 16);

    if (*text) {
        writer(text + 1);
    }
    return (int)(unsigned)code;
}

/* The next line in two parts, or 0. */
static int next(FILE *script, char *line, size_t size, char **pargument)
{
    if (!fgets(line, (int)size, script)) {
        return 0;
    }
    line[strcspn(line, "\n")] = '\0';
    *pargument = line + strcspn(line, " ");
    if (**pargument) {
        *(*pargument)++ = '\0';
    }
    return 1;
}

/* What is to happen before Main, at the start of the script. */
static int read_preamble(context_t *context)
{
    char line[512], *argument, *value;
    long at = 0;

    while (next(context->script, line, sizeof(line), &argument)) {
        if (!strcmp(line, "init")) {
            return fail(argument);
        }
        if (strcmp(line, "property") != 0) {
            break;
        }
        value = strchr(argument, '=');
        *value++ = '\0';
        hostfxr_set_runtime_property_value(context, argument, value);
        at = ftell(context->script);
    }
    fseek(context->script, at, SEEK_SET);
    return 0;
}

int hostfxr_initialize_for_dotnet_command_line(int argc, const char **argv,
                                               const ac_hostfxr_parameters_t *how,
                                               void **phandle)
{
    context_t *context = &the_context;
    char script[4096];
    size_t len;
    int i;

    if (used) {
        writer("Hosting components are already initialized.");
        return (int)0x800080a3u;
    }
    used = 1;
    memset(context, 0, sizeof(*context));
    snprintf(script, sizeof(script), "%s.script", argv[0]);
    context->script = fopen(script, "re");
    snprintf(context->args, sizeof(context->args), "root %s:", how->dotnet_root);
    for (i = 1; i < argc; ++i) {
        len = strlen(context->args);
        snprintf(context->args + len, sizeof(context->args) - len, " %s", argv[i]);
    }
    *phandle = context;
    return read_preamble(context);
}

static appcore_str str(const char *text)
{
    return (appcore_str){ text, strlen(text) };
}

static int handle_request(appcore_request request, const appcore_info *info,
                          void **data)
{
    appcore_str body = str("managed");
    struct iovec iov = { (void *)body.p, body.len };

    (void)info;
    (void)data;
    bridge->host->respond(request, 200, str(""), NULL, 0, &iov, 1);
    return APPCORE_DONE;
}

static void on_io(appcore_request request, void *data, uint32_t events)
{
    (void)request;
    (void)data;
    (void)events;
    if (block_inside) {
        bridge->host->log(bridge->host, 0, APPCORE_LOG_INFO, str("inside"));
        wait_for(&released);
        bridge->host->log(bridge->host, 0, APPCORE_LOG_INFO, str("outside"));
    }
}

static void on_disconnect(appcore_request request, void *data)
{
    (void)request;
    (void)data;
    bridge->host->log(bridge->host, 0, APPCORE_LOG_INFO, str("disconnected"));
}

static void quiesce(void)
{
    bridge->host->log(bridge->host, 0, APPCORE_LOG_INFO, str("quiet"));
}

static void stop(uint32_t limit_ms)
{
    (void)limit_ms;
    set(&stop_asked);
}

static void tell_mask(void)
{
    FILE *f = fopen("/proc/thread-self/status", "re");
    char line[256];

    while (f && fgets(line, sizeof(line), f)) {
        if (!strncmp(line, "SigBlk:", 7)) {
            bridge->host->log(bridge->host, 0, APPCORE_LOG_INFO, str(line));
        }
    }
    if (f) {
        fclose(f);
    }
}

static void tell(context_t *context)
{
    char line[1024];
    int i;

    tell_mask();
    bridge->host->log(bridge->host, 0, APPCORE_LOG_INFO, str(context->args));
    for (i = 0; i < context->n; ++i) {
        snprintf(line, sizeof(line), "%s=%s", context->names[i], context->values[i]);
        bridge->host->log(bridge->host, 0, APPCORE_LOG_INFO, str(line));
    }
}

static void called_back(void *app, appcore_request request, void *data, int result)
{
    (void)app;
    (void)data;
    (void)result;
    bridge->host->log(bridge->host, request, APPCORE_LOG_INFO, str("called back for 9"));
}

static void post(void)
{
    static int times;

    bridge->host->post(9, called_back, NULL);
    if (++times > 1) {
        bridge->host->log(bridge->host, 0, APPCORE_LOG_INFO, str("posted again"));
        times = 0;
    }
}

static void do_one(context_t *context, const char *command, const char *argument)
{
    static const ac_dotnet_calls_t calls = {
        sizeof(calls), handle_request, on_io, on_disconnect, quiesce, stop
    };

    if (!strcmp(command, "hook")) {
        bridge->hooked();
    }
    else if (!strcmp(command, "ready")) {
        bridge->ready(&calls);
    }
    else if (!strcmp(command, "stopping")) {
        bridge->stopping();
    }
    else if (!strcmp(command, "stopped")) {
        bridge->stopped();
    }
    else if (!strcmp(command, "failed")) {
        bridge->failed(str(argument), str("evidence of managed code"));
    }
    else if (!strcmp(command, "crashed")) {
        bridge->crashed(str(argument), str("   at Program.Main()"));
    }
    else if (!strcmp(command, "wait")) {
        wait_for(&stop_asked);
    }
    else if (!strcmp(command, "block")) {
        wait_for(&main_released);
    }
    else if (!strcmp(command, "inside")) {
        block_inside = 1;
    }
    else if (!strcmp(command, "post")) {
        post();
    }
    else if (!strcmp(command, "text")) {
        writer(argument);
    }
    else {
        tell(context);
    }
}

int hostfxr_run_app(void *handle)
{
    context_t *context = handle;
    char line[512], *argument;

    bridge = (const ac_dotnet_bridge_t *)(uintptr_t)
        strtoull(find(context, "APPCORE_NATIVE"), NULL, 16);
    while (next(context->script, line, sizeof(line), &argument)) {
        if (!strcmp(line, "return")) {
            return (int)strtoul(argument, NULL, 0);
        }
        do_one(context, line, argument);
    }
    return 0;
}

int hostfxr_close(void *handle)
{
    context_t *context = handle;
    int i;

    for (i = 0; i < context->n; ++i) {
        free(context->names[i]);
        free(context->values[i]);
    }
    if (context->script) {
        fclose(context->script);
    }
    memset(context, 0, sizeof(*context));
    return 0;
}
