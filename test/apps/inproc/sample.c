/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The sample app that runs inside httpd:
 *
 *   cc -shared -fPIC -pthread -o sample.so sample.c
 *
 * The paths are those of the other sample apps: see the table `routes`. Whatever has to
 * wait is left to one thread, the clock, so that nobody who waits holds a worker. */

#define _GNU_SOURCE

#include <appcore.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BYTES_MAX (16 * 1024 * 1024)

extern char **environ;

static const appcore_host *host;

static appcore_str str(const char *text)
{
    appcore_str made = { text, strlen(text) };

    return made;
}

static int respond(appcore_request id, int status, const char *type, const void *data,
                   size_t len)
{
    appcore_field field = { str("Content-Type"), str(type) };
    struct iovec body = { (void *)data, len };
    int result = host->respond(id, status, str(""), &field, 1, &body, 1);

    return result == APPCORE_OK ? APPCORE_DONE : APPCORE_FAILED;
}

static int respond_text(appcore_request id, int status, const char *text)
{
    return respond(id, status, "text/plain", text, strlen(text));
}

static long query_number(const appcore_info *info, const char *name, long otherwise)
{
    const char *at = info->query.p, *end = at + info->query.len;
    size_t len = strlen(name);
    long found = 0;

    while (at < end && !((size_t)(end - at) > len && !strncmp(at, name, len)
                         && at[len] == '=')) {
        const char *amp = memchr(at, '&', (size_t)(end - at));

        at = amp ? amp + 1 : end;
    }
    if (at >= end) {
        return otherwise;
    }
    for (at += len + 1; at < end && *at >= '0' && *at <= '9'; at++) {
        found = found < 100000000 ? found * 10 + (*at - '0') : found;
    }
    return found;
}

/* The clock: whoever waits, and how long. */

typedef struct waiting_t waiting_t;
struct waiting_t {
    waiting_t *next;
    appcore_request id;
    struct timespec due;
    long ms, left;              /* between events, and how many of them are to come */
    int is_stream, is_last;
    long sent;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static pthread_t clock_thread;
static waiting_t *all;          /* those with an earlier time first */
static int ending;

static int is_before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static void wait_for(waiting_t *w, long ms)
{
    waiting_t **at = &all;

    clock_gettime(CLOCK_MONOTONIC, &w->due);
    w->due.tv_sec += ms / 1000;
    w->due.tv_nsec += ms % 1000 * 1000000;
    if (w->due.tv_nsec >= 1000000000) {
        w->due.tv_sec++;
        w->due.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&mutex);
    while (*at && !is_before(&w->due, &(*at)->due)) {
        at = &(*at)->next;
    }
    w->next = *at;
    *at = w;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&mutex);
}

/* On a worker, since only there may a request be written to. It completes the request
 * or waits again. */
static void go_on(void *app, appcore_request id, void *data, int result)
{
    waiting_t *w = data;
    char text[64];
    struct iovec body = { text, 0 };

    (void)app;
    if (result != APPCORE_OK) {
        free(w);
        return;
    }
    if (!w->is_stream) {
        respond_text(id, 200, "done\n");
    }
    else if (w->left > 0) {
        body.iov_len = (size_t)snprintf(text, sizeof(text), "data: %ld\n\n", ++w->sent);
        if (host->write(id, &body, 1, APPCORE_FLUSH) >= 0 && --w->left > 0) {
            wait_for(w, w->ms);
            return;
        }
    }
    host->complete(id, APPCORE_OK);
    free(w);
}

static void *run_clock(void *unused)
{
    pthread_mutex_lock(&mutex);
    while (!ending || all) {
        waiting_t *w = all;
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        if (!w) {
            pthread_cond_wait(&changed, &mutex);
        }
        else if (!ending && is_before(&now, &w->due)) {
            pthread_cond_timedwait(&changed, &mutex, &w->due);
        }
        else {
            all = w->next;
            w->left = ending && w->left > 1 ? 1 : w->left;
            pthread_mutex_unlock(&mutex);
            if (host->post(w->id, go_on, w) != APPCORE_OK) {
                free(w);
            }
            pthread_mutex_lock(&mutex);
        }
    }
    pthread_mutex_unlock(&mutex);
    return unused;
}

/* Routes */

static int get_root(appcore_request id, const appcore_info *info)
{
    char text[100];

    (void)info;
    snprintf(text, sizeof(text), "Hello from C inside httpd, process %d\n",
             (int)getpid());
    return respond_text(id, 200, text);
}

static void put_string(FILE *f, appcore_str value)
{
    size_t i;

    putc('"', f);
    for (i = 0; i < value.len; ++i) {
        unsigned char c = (unsigned char)value.p[i];

        fprintf(f, c < ' ' || c == '"' || c == '\\' || c > '~' ? "\\u%04x" : "%c", c);
    }
    putc('"', f);
}

static void put_pair(FILE *f, appcore_str name, appcore_str value)
{
    put_string(f, name);
    fputs(": ", f);
    put_string(f, value);
}

static int respond_json(appcore_request id, char *json, size_t len)
{
    int result = respond(id, 200, "application/json", json, len);

    free(json);
    return result;
}

static int get_headers(appcore_request id, const appcore_info *info)
{
    char *json = NULL;
    size_t i, len = 0;
    FILE *f = open_memstream(&json, &len);

    fputs("{", f);
    put_pair(f, str("method"), info->method);
    fputs(", ", f);
    put_pair(f, str("path"), info->path);
    fputs(", ", f);
    put_pair(f, str("client"), info->remote_address);
    fputs(", \"headers\": {", f);
    for (i = 0; i < info->n_fields; ++i) {
        fputs(i ? ",\n  " : "\n  ", f);
        put_pair(f, info->fields[i].name, info->fields[i].value);
    }
    fputs("\n}}\n", f);
    fclose(f);
    return respond_json(id, json, len);
}

static int get_env(appcore_request id, const appcore_info *info)
{
    char *json = NULL;
    size_t len = 0;
    char **at;
    FILE *f = open_memstream(&json, &len);

    (void)info;
    fputs("{", f);
    for (at = environ; *at; at++) {
        appcore_str name = { *at, strcspn(*at, "=") };

        fputs(at == environ ? "\n  " : ",\n  ", f);
        put_pair(f, name, str((*at)[name.len] ? *at + name.len + 1 : ""));
    }
    fputs("\n}\n", f);
    fclose(f);
    return respond_json(id, json, len);
}

static int get_pid(appcore_request id, const appcore_info *info)
{
    char text[32];

    (void)info;
    snprintf(text, sizeof(text), "%d\n", (int)getpid());
    return respond_text(id, 200, text);
}

static int any_echo(appcore_request id, const appcore_info *info)
{
    appcore_field type = { str("Content-Type"), str("application/octet-stream") };
    char data[16384];
    int64_t n;

    (void)info;
    host->start(id, 200, str(""), &type, 1);
    while ((n = host->read(id, data, sizeof(data), 0)) > 0) {
        struct iovec piece = { data, (size_t)n };

        if (host->write(id, &piece, 1, APPCORE_FLUSH) < 0) {
            return APPCORE_FAILED;
        }
    }
    return n < 0 ? APPCORE_FAILED : APPCORE_DONE;
}

static waiting_t *new_waiting(appcore_request id, const appcore_info *info)
{
    waiting_t *w = calloc(1, sizeof(*w));

    if (w) {
        w->id = id;
        w->ms = query_number(info, "ms", 200);
        w->left = query_number(info, "n", 5);
    }
    return w;
}

static int get_slow(appcore_request id, const appcore_info *info)
{
    waiting_t *w = new_waiting(id, info);

    if (!w) {
        return APPCORE_FAILED;
    }
    wait_for(w, query_number(info, "ms", 1000));
    return APPCORE_PENDING;
}

static int get_stream(appcore_request id, const appcore_info *info)
{
    appcore_field fields[] = {
        { str("Content-Type"), str("text/event-stream") },
        { str("Cache-Control"), str("no-cache") },
    };
    waiting_t *w = new_waiting(id, info);

    if (!w) {
        return APPCORE_FAILED;
    }
    w->is_stream = 1;
    host->start(id, 200, str(""), fields, 2);
    wait_for(w, 0);
    return APPCORE_PENDING;
}

static int get_bytes(appcore_request id, const appcore_info *info)
{
    static const char bytes[BYTES_MAX];
    long n = query_number(info, "n", 1024);

    return respond(id, 200, "application/octet-stream", bytes,
                   n > BYTES_MAX ? BYTES_MAX : (size_t)n);
}

static int get_status(appcore_request id, const appcore_info *info)
{
    long code = query_number(info, "code", 200);

    return respond_text(id, code >= 200 && code <= 599 ? (int)code : 400, "status\n");
}

static int get_exit(appcore_request id, const appcore_info *info)
{
    respond_text(id, 200, "leaving\n");
    exit((int)query_number(info, "code", 0));
}

static int get_crash(appcore_request id, const appcore_info *info)
{
    (void)info;
    fprintf(stderr, "crashing on request %llu\n", (unsigned long long)id);
    abort();
}

static const struct {
    const char *path;
    int (*answer)(appcore_request, const appcore_info *);
} routes[] = {
    { "/", get_root },
    { "/headers", get_headers },        /* method, path and headers as JSON */
    { "/echo", any_echo },              /* the request's body */
    { "/slow", get_slow },              /* ?ms= */
    { "/stream", get_stream },          /* events; ?n= and ?ms= between them */
    { "/bytes", get_bytes },            /* ?n= */
    { "/status", get_status },          /* ?code= */
    { "/env", get_env },                /* the environment of httpd's child as JSON */
    { "/pid", get_pid },
    { "/exit", get_exit },              /* ?code= */
    { "/crash", get_crash },
};

static int handle(void *app, appcore_request id, const appcore_info *info, void **data)
{
    appcore_str path = info->path.len ? info->path : str("/");
    size_t i;

    (void)app;
    (void)data;
    for (i = 0; i < sizeof(routes) / sizeof(*routes); ++i) {
        if (path.len == strlen(routes[i].path)
            && !memcmp(path.p, routes[i].path, path.len)) {
            return routes[i].answer(id, info);
        }
    }
    return respond_text(id, 404, "not found\n");
}

/* Signals are httpd's own business, so the clock takes none. */
static int init(const appcore_host *given, const appcore_config *config, void **app,
                appcore_failure *failure)
{
    pthread_condattr_t attr;
    sigset_t every, before;
    int result;

    (void)config;
    (void)app;
    host = given;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attr);
    pthread_condattr_destroy(&attr);
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    result = pthread_create(&clock_thread, NULL, run_clock, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result) {
        failure->what = str("there is no thread for the clock");
        return APPCORE_FAILED;
    }
    return APPCORE_OK;
}

static void shutdown_app(void *app, uint32_t limit_ms)
{
    (void)app;
    (void)limit_ms;
    pthread_mutex_lock(&mutex);
    ending = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&mutex);
    pthread_join(clock_thread, NULL);
}

const appcore_app *appcore_app_v1(void)
{
    static const appcore_app app = {
        .size = sizeof(app),
        .version = APPCORE_ABI,
        .flags = APPCORE_THREAD_SAFE,
        .init = init,
        .handle = handle,
        .shutdown = shutdown_app,
    };

    return &app;
}
