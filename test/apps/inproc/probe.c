/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The probe's life in its process, and what each of its callbacks checks. */

#define _GNU_SOURCE

#include "probe.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const appcore_host *host;
const appcore_config *config;

static atomic_int n_calls, n_threads, ending;
static __thread int attached;
static text_t settings;

/* The thread that ended last, which whoever ends next waits for: at the end of the
 * process none runs code of ours any more. */
static pthread_mutex_t ended_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_t ended_last;
static int has_ended;

static const struct {
    const char *name;
    route_fn *fn;
} routes[] = {
    { "", route_hello }, { "hello", route_hello }, { "pid", route_pid },
    { "info", route_info }, { "config", route_config }, { "echo", route_echo },
    { "digest", route_digest }, { "big", route_big }, { "pieces", route_pieces },
    { "status", route_status }, { "field", route_field },
    { "trailers", route_trailers }, { "inform", route_inform },
    { "sendfile", route_sendfile }, { "upgrade", route_upgrade }, { "var", route_var },
    { "log", route_log }, { "limit", route_limit }, { "close", route_close },
    { "expect", route_expect }, { "answer-first", route_answer_first },
    { "later", route_later }, { "wait", route_wait }, { "stream", route_stream },
    { "echo-async", route_echo_async }, { "digest-async", route_digest_async },
    { "big-async", route_big_async }, { "tunnel-async", route_tunnel_async },
    { "lend", route_lend }, { "early", route_early },
    { "early-inside", route_early_inside }, { "threads", route_threads },
    { "posts", route_posts }, { "hold", route_hold },
    { "declined", route_declined }, { "read-declined", route_read_declined },
    { "nothing", route_nothing }, { "pending-nothing", route_pending_nothing },
    { "failed", route_failed }, { "nonsense", route_nonsense },
    { "short", route_short }, { "long", route_long }, { "crash", route_crash },
    { "exit", route_exit }, { "abort", route_abort }, { "twice", route_twice },
    { "after", route_after }, { "elsewhere", route_elsewhere },
    { "rules", route_rules }, { "bad-field", route_bad_field },
    { "complete-failed", route_complete_failed }, { "ended", route_ended },
    { "invented", route_invented }, { "fork", route_fork },
    { "descriptors", route_descriptors }, { "farewell", route_farewell },
    { "complete-abort", route_complete_abort }, { "mixed", route_mixed },
    { "forgotten", route_forgotten }, { "files", route_files },
    { "sever", route_sever }, { "cling", route_cling }, { "deaf", route_deaf },
    { "starve", route_starve },
};

const char *probe_setting(const char *name, const char *otherwise)
{
    return text_lookup(&settings, name, otherwise);
}

static void take_settings(void)
{
    size_t i;

    for (i = 0; i < config->n_environment; ++i) {
        appcore_field at = config->environment[i];

        text_add(&settings, "%.*s=%.*s", (int)at.name.len, at.name.p,
                 (int)at.value.len, at.value.p);
        settings.len++;         /* with the NUL */
    }
}

void probe_sleep(int ms)
{
    struct timespec time = { ms / 1000, ms % 1000 * 1000000L };

    nanosleep(&time, NULL);
}

static int gate_open(const char *gate)
{
    text_t path = { NULL, 0, 0 };
    int open;

    text_add(&path, "%s/gates/%s", probe_setting("PROBE_FOLDER", "/nonexistent"), gate);
    open = access(path.p, F_OK) == 0;
    free(path.p);
    return open;
}

int probe_wait(call_t *call, const char *gate)
{
    while (!gate_open(gate)) {
        if (ending || (call && (call->gone || host->aborted(call->id) == 1))) {
            return 0;
        }
        probe_sleep(3);
    }
    return 1;
}

/* Calls: freed by whoever is last, the host or a thread of ours. */

static void call_free(call_t *call)
{
    free(call->query.p);
    free(call->buffer);
    free(call);
    atomic_fetch_sub(&n_calls, 1);
}

static void call_leave(call_t *call)
{
    /* Both mark what they are through with; the exchange tells who came second. */
    if (atomic_exchange(&call->left, 1)) {
        call_free(call);
    }
}

typedef struct job_t {
    call_t *call;
    void (*fn)(call_t *);
} job_t;

static void thread_ends(void)
{
    pthread_t before;
    int join;

    pthread_mutex_lock(&ended_mutex);
    join = has_ended;
    before = ended_last;
    ended_last = pthread_self();
    has_ended = 1;
    atomic_fetch_sub(&n_threads, 1);
    pthread_mutex_unlock(&ended_mutex);
    if (join) {
        pthread_join(before, NULL);
    }
}

static void threads_join(void)
{
    while (n_threads) {
        probe_sleep(2);
    }
    pthread_mutex_lock(&ended_mutex);
    if (has_ended) {
        pthread_join(ended_last, NULL);
    }
    has_ended = 0;
    pthread_mutex_unlock(&ended_mutex);
}

static void *run_job(void *data)
{
    job_t job = *(job_t *)data;

    free(data);
    job.fn(job.call);
    call_leave(job.call);
    thread_ends();
    return NULL;
}

void probe_thread(call_t *call, void (*fn)(call_t *))
{
    job_t *job = malloc(sizeof(*job));
    pthread_attr_t attr;
    pthread_t thread;

    if (!job) {
        abort();
    }
    job->call = call;
    job->fn = fn;
    call->thread = 1;
    atomic_fetch_add(&n_threads, 1);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 128 * 1024);
    if (pthread_create(&thread, &attr, run_job, job)) {
        abort();
    }
    pthread_attr_destroy(&attr);
}

static void enter(call_t *call, atomic_int *inside, const char *what)
{
    if (call->over) {
        event("violation", "\"why\":\"%s after the end\"", what);
    }
    if (atomic_fetch_add(inside, 1)) {
        event("violation", "\"why\":\"%s during another one\"", what);
    }
}

static void check_thread(const char *what)
{
    if (!attached) {
        event("violation", "\"why\":\"%s on a thread that was not attached\"", what);
    }
}

typedef struct post_t {
    call_t *call;
    void (*fn)(call_t *);
} post_t;

static void run_post(void *app, appcore_request id, void *data, int result)
{
    post_t post = *(post_t *)data;

    (void)app;
    free(data);
    if (result == APPCORE_OK) {
        if (id != post.call->id) {
            event("violation", "\"why\":\"posted to another request\"");
        }
        enter(post.call, &post.call->posting, "a post");
        post.fn(post.call);
        atomic_fetch_sub(&post.call->posting, 1);
    }
    else {
        event("post", "\"result\":%d", result);
    }
}

int probe_post(call_t *call, void (*fn)(call_t *))
{
    post_t *post = malloc(sizeof(*post));
    int result;

    if (!post) {
        abort();
    }
    post->call = call;
    post->fn = fn;
    result = host->post(call->id, run_post, post);
    if (result != APPCORE_OK) {
        free(post);
    }
    return result;
}

void probe_complete(call_t *call, int result)
{
    int rv = host->complete(call->id, result);

    if (rv != APPCORE_OK && !(rv == APPCORE_GONE && call->gone)) {
        event("violation", "\"why\":\"complete() was refused\"");
    }
}

/* Callbacks */

static route_fn *find_route(appcore_str path, const char **name)
{
    size_t i, len = 0;

    if (path.len && *path.p == '/') {
        path.p++;
        path.len--;
    }
    while (len < path.len && path.p[len] != '/') {
        len++;
    }
    path.len = len;
    for (i = 0; i < sizeof(routes) / sizeof(*routes); ++i) {
        if (str_is(path, routes[i].name)) {
            *name = routes[i].name;
            return routes[i].fn;
        }
    }
    return NULL;
}

static int app_handle(void *app, appcore_request id, const appcore_info *info,
                      void **data)
{
    call_t *call;
    route_fn *route;
    const char *name;
    int result;

    (void)app;
    check_thread("handle");
    route = find_route(info->path, &name);
    if (!route) {
        return APPCORE_DECLINED;
    }
    call = calloc(1, sizeof(*call));
    if (!call) {
        return APPCORE_FAILED;
    }
    atomic_fetch_add(&n_calls, 1);
    call->id = id;
    call->info = info;
    call->name = name;
    query_parse(call);
    *data = call;
    enter(call, &call->inside, "handle");
    result = route(call);
    atomic_fetch_sub(&call->inside, 1);
    return result;
}

static void app_on_io(void *app, appcore_request id, void *data, uint32_t events)
{
    call_t *call = data;

    (void)app;
    check_thread("on_io");
    if (!call || call->id != id || !call->io) {
        event("violation", "\"why\":\"on_io that nobody waits for\"");
        return;
    }
    enter(call, &call->inside, "on_io");
    call->io(call, events);
    atomic_fetch_sub(&call->inside, 1);
}

static void app_on_disconnect(void *app, appcore_request id, void *data)
{
    call_t *call = data;

    (void)app;
    if (!call || call->id != id) {
        event("violation", "\"why\":\"on_disconnect of nobody\"");
        return;
    }
    if (atomic_exchange(&call->gone, 1)) {
        event("violation", "\"why\":\"on_disconnect twice\"");
    }
    event("disconnect", "\"name\":\"%s\",\"tag\":\"%s\"", call->name,
          query(call, "tag", ""));
    if (!strcmp(probe_setting("PROBE_DISCONNECT", ""), "wait")) {
        probe_wait(NULL, "told");
    }
}

static void app_release(void *app, appcore_request id, void *data)
{
    call_t *call = data;

    (void)app;
    if (call->id != id || host->aborted(id) != APPCORE_GONE) {
        event("violation", "\"why\":\"release of another request\"");
    }
    if (call->inside || call->posting || atomic_exchange(&call->over, 1)) {
        event("violation", "\"why\":\"release during a callback, or twice\"");
    }
    if (*query(call, "tag", "")) {
        event("release", "\"tag\":\"%s\"", query(call, "tag", ""));
    }
    if (call->thread) {
        call_leave(call);
    }
    else {
        call_free(call);
    }
}

static void app_attach(void *app)
{
    (void)app;
    if (attached++) {
        event("violation", "\"why\":\"a thread attached twice\"");
    }
}

static void app_detach(void *app)
{
    (void)app;
    if (!attached--) {
        event("violation", "\"why\":\"a thread detached that was not attached\"");
    }
}

static void app_quiesce(void *app)
{
    (void)app;
    check_thread("quiesce");
    event("quiesce", "\"calls\":%d", (int)n_calls);
    if (!strcmp(probe_setting("PROBE_QUIESCE", ""), "hang")) {
        probe_wait(NULL, "never");
    }
    if (!strcmp(probe_setting("PROBE_QUIESCE", ""), "slow")) {
        probe_sleep(2500);
    }
    event("quiesced", "\"calls\":%d", (int)n_calls);
}

static void app_shutdown(void *app, uint32_t limit_ms)
{
    (void)app;
    event("shutdown", "\"limit\":%u,\"calls\":%d", limit_ms, (int)n_calls);
    ending = 1;
    if (!strcmp(probe_setting("PROBE_SHUTDOWN", ""), "hang")) {
        ending = 0;
        probe_wait(NULL, "never");
    }
    if (!strcmp(probe_setting("PROBE_SHUTDOWN", ""), "exit")) {
        exit(15);               /* to httpd's parent: a fault of the whole server */
    }
    threads_join();
    event("ended", "\"calls\":%d", (int)n_calls);
}

/* Start */

static void *start_later(void *how)
{
    appcore_failure failure = {
        sizeof(failure), 0, 0, { "the probe changed its mind", 26 },
        { "first thought\nsecond thought", 28 }
    };

    probe_wait(NULL, "start");
    if (!strcmp(how, "late-crash")) {
        raise(SIGSEGV);
    }
    host->started(host, strcmp(how, "late-fail") ? NULL : &failure);
    return NULL;
}

static int init_late(const char *how)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, start_later, (void *)how)) {
        return APPCORE_FAILED;
    }
    pthread_detach(thread);
    return APPCORE_PENDING;
}

static int app_init(const appcore_host *given, const appcore_config *conf, void **app,
                    appcore_failure *failure)
{
    static const char *late[] = { "late", "late-fail", "late-crash" };
    static int one;
    const char *how;
    size_t i;

    host = given;
    config = conf;
    *app = &one;
    take_settings();
    how = probe_setting("PROBE_INIT", "");
    event("init", "\"how\":\"%s\"", how);
    for (i = 0; i < sizeof(late) / sizeof(*late); ++i) {
        if (!strcmp(how, late[i])) {
            return init_late(late[i]);
        }
    }
    if (!strcmp(how, "fail")) {
        failure->substatus = 34;
        failure->exit_code = 3;
        failure->what = str("the probe was told to fail");
        failure->evidence = str("line one\nline two");
        return APPCORE_FAILED;
    }
    if (!strcmp(how, "fail-mute")) {
        return APPCORE_FAILED;
    }
    if (!strcmp(how, "crash")) {
        raise(SIGSEGV);
    }
    if (!strcmp(how, "exit")) {
        exit(7);
    }
    if (!strcmp(how, "_exit")) {
        _exit(7);
    }
    if (!strcmp(how, "hang")) {
        probe_wait(NULL, "never");
    }
    return strcmp(how, "nonsense") ? APPCORE_OK : 42;
}

const appcore_app *appcore_app_v1(void)
{
    static const appcore_app app = {
        .size = sizeof(app),
        .version = APPCORE_ABI,
        .flags = APPCORE_THREAD_SAFE,
        .init = app_init,
        .handle = app_handle,
        .on_io = app_on_io,
        .on_disconnect = app_on_disconnect,
        .thread_attach = app_attach,
        .thread_detach = app_detach,
        .quiesce = app_quiesce,
        .shutdown = app_shutdown,
        .release = app_release,
    };

    return &app;
}
