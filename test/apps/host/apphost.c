/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Runs one in-process app without httpd, as include/appcore.h says: for those who write
 * one, and for the tests of appcore-dotnet.so.
 *
 *   apphost [-s NAME=VALUE]... [-f FOLDER] [-b PATH-BASE] [-t SECONDS]
 *           APP.so [ARGUMENT]...
 *
 * Lines of standard input are requests, METHOD TARGET [BODY], which are answered one
 * after the other; "leave" before one: the client goes away while it waits. At the end
 * of the input, or once the app has ended, it is shut down. Standard output has a line
 * for what the app says about itself and the answers, each ended by a line of two
 * hyphens. The exit status is 0 unless the app did not start. */

#include <dlfcn.h>
#include <getopt.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "appcore.h"

#define SETTINGS_MAX 32
#define BODY_MAX (16 << 20)

typedef struct task_t {
    struct task_t *next;
    void (*fn)(void *app, appcore_request, void *data, int result);
    void *data;
} task_t;

/* The one request that there is. */
typedef struct exchange_t {
    appcore_request number;     /* 0: none, whatever names it is gone */
    int in_app;                 /* its worker is in a callback */
    int busy;                   /* somebody runs what was posted meanwhile */
    int completed, result;
    int gone;                   /* the client left */
    task_t *tasks, **last;
    int status;
    char *head, *body;
    FILE *head_to, *body_to;    /* what is written there becomes head and body */
    size_t head_len, body_len;
    const char *input;          /* what is left of the client's body */
    size_t input_len;
} exchange_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static exchange_t now;
static appcore_request last_number;
static int start_state;         /* 1: started, -1: failed */
static int has_ended;
static void *app_data;

static __thread int worker;     /* this thread may use the functions of the request */

static appcore_str str(const char *text)
{
    return (appcore_str){ text, strlen(text) };
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    fflush(stdout);
}

static int check(appcore_request request)
{
    return !worker ? APPCORE_ELSEWHERE
           : request != now.number ? APPCORE_GONE : APPCORE_OK;
}

static int host_start(appcore_request request, int status, appcore_str reason,
                      const appcore_field *fields, size_t n)
{
    int rc = check(request);
    size_t i;

    if (rc != APPCORE_OK || now.status) {
        return rc != APPCORE_OK ? rc : APPCORE_INVALID;
    }
    now.status = status;
    fprintf(now.head_to, "HTTP %d %.*s\n", status, (int)reason.len, reason.p);
    for (i = 0; i < n; ++i) {
        fprintf(now.head_to, "%.*s: %.*s\n", (int)fields[i].name.len, fields[i].name.p,
                (int)fields[i].value.len, fields[i].value.p);
    }
    return APPCORE_OK;
}

static int64_t host_write(appcore_request request, const struct iovec *data, size_t n,
                          uint32_t flags)
{
    int rc = check(request);
    int64_t taken = 0;
    size_t i;

    (void)flags;
    if (rc != APPCORE_OK || now.gone) {
        return rc != APPCORE_OK ? rc : APPCORE_GONE;
    }
    if (!now.status) {
        host_start(request, 200, str("OK"), NULL, 0);
    }
    for (i = 0; i < n; ++i) {
        fwrite(data[i].iov_base, 1, data[i].iov_len, now.body_to);
        taken += (int64_t)data[i].iov_len;
    }
    return taken;
}

static int host_respond(appcore_request request, int status, appcore_str reason,
                        const appcore_field *fields, size_t n, const struct iovec *body,
                        size_t n_body)
{
    int rc = host_start(request, status, reason, fields, n);
    int64_t len;

    if (rc != APPCORE_OK) {
        return rc;
    }
    len = host_write(request, body, n_body, APPCORE_LAST);
    fprintf(now.head_to, "Content-Length: %lld\n", (long long)len);
    return len < 0 ? (int)len : APPCORE_OK;
}

static int host_inform(appcore_request request, int status, const appcore_field *fields,
                       size_t n)
{
    (void)fields;
    (void)n;
    fprintf(now.head_to, "HTTP %d\n", status);
    return check(request);
}

static int host_sendfile(appcore_request request, appcore_str path, int64_t offset,
                         int64_t length, uint32_t flags)
{
    char name[4096], buffer[16384];
    struct iovec iov = { buffer, 0 };
    int rc = check(request);
    FILE *f;

    snprintf(name, sizeof(name), "%.*s", (int)path.len, path.p);
    f = rc == APPCORE_OK ? fopen(name, "re") : NULL;
    if (!f || fseek(f, offset, SEEK_SET) != 0) {
        return rc != APPCORE_OK ? rc : APPCORE_FAILED;
    }
    while (length != 0 && (iov.iov_len = fread(buffer, 1, sizeof(buffer), f)) > 0) {
        if (length >= 0 && (int64_t)iov.iov_len > length) {
            iov.iov_len = (size_t)length;
        }
        length -= length > 0 ? (int64_t)iov.iov_len : 0;
        host_write(request, &iov, 1, flags);
    }
    fclose(f);
    return APPCORE_OK;
}

static int host_trailer(appcore_request request, appcore_str name, appcore_str value)
{
    fprintf(now.head_to, "(trailer) %.*s: %.*s\n", (int)name.len, name.p, (int)value.len,
            value.p);
    return check(request);
}

static int64_t host_read(appcore_request request, void *data, size_t size, uint32_t flags)
{
    int rc = check(request);

    (void)flags;
    if (rc != APPCORE_OK) {
        return rc;
    }
    size = size < now.input_len ? size : now.input_len;
    memcpy(data, now.input, size);
    now.input += size;
    now.input_len -= size;
    return (int64_t)size;
}

static int host_upgrade(appcore_request request, const appcore_field *fields, size_t n)
{
    (void)request;
    (void)fields;
    (void)n;
    return APPCORE_UNSUPPORTED;
}

/* With the lock, which is given back meanwhile. */
static void run_tasks(void)
{
    task_t *task;
    int was_worker = worker;

    now.busy = 1;
    while ((task = now.tasks)) {
        now.tasks = task->next;
        if (!now.tasks) {
            now.last = &now.tasks;
        }
        pthread_mutex_unlock(&lock);
        worker = 1;
        task->fn(app_data, now.number, task->data, APPCORE_OK);
        worker = was_worker;
        free(task);
        pthread_mutex_lock(&lock);
    }
    now.busy = 0;
    pthread_cond_broadcast(&changed);
}

static int host_post(appcore_request request,
                     void (*fn)(void *app, appcore_request, void *data, int result),
                     void *data)
{
    task_t *task = calloc(1, sizeof(*task));

    pthread_mutex_lock(&lock);
    if (!task || request != now.number || now.completed) {
        pthread_mutex_unlock(&lock);
        free(task);
        return task ? APPCORE_GONE : APPCORE_FAILED;
    }
    task->fn = fn;
    task->data = data;
    *now.last = task;
    now.last = &task->next;
    if (now.in_app && !now.busy) {
        run_tasks();
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return APPCORE_OK;
}

static int host_complete(appcore_request request, int result)
{
    int rc = APPCORE_GONE;

    pthread_mutex_lock(&lock);
    if (request == now.number && !now.completed) {
        now.completed = 1;
        now.result = result;
        rc = APPCORE_OK;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

static int host_aborted(appcore_request request)
{
    return request != now.number ? APPCORE_GONE : now.gone;
}

static int host_abort(appcore_request request)
{
    if (request != now.number) {
        return APPCORE_GONE;
    }
    now.gone = 1;
    return APPCORE_OK;
}

static int host_var_get(appcore_request request, appcore_str name, appcore_str *value)
{
    (void)name;
    (void)value;
    return check(request) != APPCORE_OK ? check(request) : APPCORE_INVALID;
}

static int host_var_set(appcore_request request, appcore_str name, appcore_str value)
{
    (void)name;
    (void)value;
    return check(request);
}

static int host_limit_body(appcore_request request, int64_t size)
{
    (void)size;
    return check(request);
}

static void host_log(const appcore_host *host, appcore_request request, int level,
                     appcore_str line)
{
    (void)host;
    fprintf(stderr, "[%d] [%llu] %.*s\n", level, (unsigned long long)request,
            (int)line.len, line.p);
}

static int host_log_level(const appcore_host *host, appcore_request request)
{
    (void)host;
    (void)request;
    return APPCORE_LOG_DEBUG;
}

static void host_started(const appcore_host *host, const appcore_failure *failure)
{
    (void)host;
    if (failure) {
        say("failed 500.%d exit %d: %.*s\n%.*s", (int)failure->substatus,
            (int)failure->exit_code, (int)failure->what.len, failure->what.p,
            (int)failure->evidence.len, failure->evidence.p);
    }
    else {
        say("started\n");
    }
    pthread_mutex_lock(&lock);
    start_state = failure ? -1 : 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void host_ended(const appcore_host *host, int exit_code, appcore_str why)
{
    (void)host;
    say("ended %d: %.*s\n", exit_code, (int)why.len, why.p);
    pthread_mutex_lock(&lock);
    has_ended = 1;
    pthread_mutex_unlock(&lock);
}

static const appcore_host host = {
    .size = sizeof(host),
    .version = APPCORE_ABI,
    .start = host_start,
    .respond = host_respond,
    .inform = host_inform,
    .write = host_write,
    .sendfile = host_sendfile,
    .trailer = host_trailer,
    .read = host_read,
    .upgrade = host_upgrade,
    .post = host_post,
    .complete = host_complete,
    .aborted = host_aborted,
    .abort = host_abort,
    .var_get = host_var_get,
    .var_set = host_var_set,
    .limit_body = host_limit_body,
    .close_connection = host_abort,
    .log = host_log,
    .log_level = host_log_level,
    .started = host_started,
    .ended = host_ended
};

static void begin(const char *body)
{
    memset(&now, 0, sizeof(now));
    now.number = ++last_number;
    now.last = &now.tasks;
    now.input = body;
    now.input_len = strlen(body);
    now.head_to = open_memstream(&now.head, &now.head_len);
    now.body_to = open_memstream(&now.body, &now.body_len);
}

static void finish(int rc)
{
    fclose(now.head_to);
    fclose(now.body_to);
    if (rc == APPCORE_DECLINED) {
        say("declined\n--\n");
    }
    else if (!now.status || now.result != APPCORE_OK) {
        say("no answer, result %d\n%s%s\n--\n", now.result, now.head, now.body);
    }
    else {
        say("%s\n%s\n--\n", now.head, now.body);
    }
    free(now.head);
    free(now.body);
    now.number = 0;
}

/* The worker's part once handle() has said that the answer follows. */
static void wait_for_answer(const appcore_app *app, void *data, int leaves)
{
    pthread_mutex_lock(&lock);
    if (leaves && !now.completed) {
        now.gone = 1;
        pthread_mutex_unlock(&lock);
        if (app->on_disconnect) {
            app->on_disconnect(app_data, now.number, data);
        }
        pthread_mutex_lock(&lock);
    }
    while (!now.completed || now.tasks) {
        if (now.tasks && !now.busy) {
            run_tasks();
        }
        else {
            pthread_cond_wait(&changed, &lock);
        }
    }
    pthread_mutex_unlock(&lock);
}

static void call_app(const appcore_app *app, const appcore_info *info, int leaves)
{
    void *data = NULL;
    int rc;

    pthread_mutex_lock(&lock);
    now.in_app = 1;
    pthread_mutex_unlock(&lock);
    rc = app->handle(app_data, now.number, info, &data);
    pthread_mutex_lock(&lock);
    now.in_app = 0;
    while (now.busy) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
    if (rc == APPCORE_PENDING) {
        wait_for_answer(app, data, leaves);
    }
    finish(rc);
}

/* "METHOD TARGET [BODY]" */
static void serve(const appcore_app *app, const appcore_config *config, char *line)
{
    appcore_field fields[] = { { str("Host"), str("localhost") },
                               { str("User-Agent"), str("apphost") },
                               { str("Content-Type"), str("text/plain") } };
    int leaves = !strncmp(line, "leave ", 6);
    char *method = line + (leaves ? 6 : 0), *end = NULL, *target, *body;
    const char *query;
    appcore_info info;

    method = strtok_r(method, " ", &end);
    target = strtok_r(NULL, " ", &end);
    body = end && *end ? end : "";
    if (!method || !target) {
        return;
    }
    query = strchr(target, '?');
    begin(body);
    info = (appcore_info){
        .size = sizeof(info),
        .flags = *body ? APPCORE_HAS_BODY : 0,
        .remote_port = 40000,
        .local_port = 80,
        .content_length = *body ? (int64_t)strlen(body) : 0,
        .method = str(method),
        .protocol = str("HTTP/1.1"),
        .scheme = str("http"),
        .authority = str("localhost"),
        .target = str(target),
        .path_base = config->path_base,
        .path = { target, query ? (size_t)(query - target) : strlen(target) },
        .query = str(query ? query + 1 : ""),
        .remote_address = str("127.0.0.1"),
        .local_address = str("127.0.0.1"),
        .request_id = str("1"),
        .connection_id = str("1"),
        .user = str(""),
        .auth_type = str(""),
        .connect_protocol = str(""),
        .fields = fields,
        .n_fields = *body ? 3 : 2
    };
    call_app(app, &info, leaves);
}

static int wait_for_start(int seconds)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&lock);
    while (!start_state && rc == 0) {
        rc = pthread_cond_timedwait(&changed, &lock, &until);
    }
    if (!start_state) {
        say("failed: not started after %d seconds\n", seconds);
    }
    pthread_mutex_unlock(&lock);
    return start_state == 1;
}

static int start(const appcore_app *app, const appcore_config *config, int seconds)
{
    appcore_failure failure = { .size = sizeof(failure) };
    int rc = app->init ? app->init(&host, config, &app_data, &failure) : APPCORE_OK;

    if (rc == APPCORE_PENDING) {
        return wait_for_start(seconds);
    }
    host_started(&host, rc == APPCORE_OK ? NULL : &failure);
    return rc == APPCORE_OK;
}

static const appcore_app *load(const char *path)
{
    const appcore_app *(*entry)(void);
    void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    *(void **)&entry = lib ? dlsym(lib, "appcore_app_v1") : NULL;
    if (!entry) {
        fprintf(stderr, "apphost: %s\n", dlerror());
        exit(2);
    }
    return entry();
}

static void take_setting(appcore_config *config, appcore_field *settings, char *text)
{
    char *value = strchr(text, '=');

    if (!value || config->n_settings == SETTINGS_MAX) {
        fprintf(stderr, "apphost: -s NAME=VALUE\n");
        exit(2);
    }
    *value++ = '\0';
    settings[config->n_settings++] = (appcore_field){ str(text), str(value) };
}

static int serve_lines(const appcore_app *app, const appcore_config *config)
{
    static char line[BODY_MAX];

    worker = 1;
    while (!has_ended && fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        serve(app, config, line);
    }
    if (app->quiesce) {
        app->quiesce(app_data);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static appcore_field settings[SETTINGS_MAX];
    static appcore_str arguments[64];
    appcore_config config = {
        .size = sizeof(config), .version = APPCORE_ABI, .flags = APPCORE_DETAILED_ERRORS,
        .name = str("app"), .folder = str("."), .path_base = str(""),
        .settings = settings, .arguments = arguments, .workers = 1, .processes = 1,
        .startup_ms = 120000, .shutdown_ms = 10000
    };
    const appcore_app *app;
    int option, seconds = 120, status = 1;

    while ((option = getopt(argc, argv, "+s:f:b:t:")) != -1) {
        switch (option) {
        case 's': take_setting(&config, settings, optarg); break;
        case 'f': config.folder = str(optarg); break;
        case 'b': config.path_base = str(optarg); break;
        case 't': seconds = atoi(optarg); break;
        default: return 2;
        }
    }
    if (optind == argc) {
        fprintf(stderr, "usage: apphost [-s NAME=VALUE]... [-f FOLDER] [-b PATH-BASE] "
                "[-t SECONDS] APP.so [ARGUMENT]...\n");
        return 2;
    }
    app = load(argv[optind++]);
    while (optind < argc && config.n_arguments < 64) {
        arguments[config.n_arguments++] = str(argv[optind++]);
    }
    if (start(app, &config, seconds)) {
        status = serve_lines(app, &config);
    }
    if (app->shutdown) {
        app->shutdown(app_data, config.shutdown_ms);
    }
    say("shut down\n");
    /* What the app left running must not be in its libraries' destructors. */
    _exit(status);
}
