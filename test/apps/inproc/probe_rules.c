/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Routes that break the rules, and say what the host answers to that. */

#define _GNU_SOURCE

#include "probe.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FDS_MAX 1024
#define PAIRS_MAX 32

int route_declined(call_t *call)
{
    (void)call;
    return APPCORE_DECLINED;
}

int route_read_declined(call_t *call)
{
    char c;

    host->read(call->id, &c, 1, 0);
    return APPCORE_DECLINED;
}

/* Owes a complete() that never comes. */
int route_forgotten(call_t *call)
{
    event("wait", "\"tag\":\"%s\"", query(call, "tag", ""));
    return APPCORE_PENDING;
}

int route_nothing(call_t *call)
{
    (void)call;
    return APPCORE_DONE;
}

int route_pending_nothing(call_t *call)
{
    probe_complete(call, APPCORE_OK);
    return APPCORE_PENDING;
}

static void begin_if_asked(call_t *call)
{
    if (query(call, "begun", NULL)) {
        start_text(call, 200);
        write_text(call, "begun", APPCORE_FLUSH);
    }
}

int route_failed(call_t *call)
{
    begin_if_asked(call);
    return APPCORE_FAILED;
}

int route_nonsense(call_t *call)
{
    begin_if_asked(call);
    return (int)query_number(call, "value", 4711);
}

static void fail_thread(call_t *call)
{
    probe_complete(call, APPCORE_FAILED);
}

int route_complete_failed(call_t *call)
{
    begin_if_asked(call);
    probe_thread(call, fail_thread);
    return APPCORE_PENDING;
}

int route_short(call_t *call)
{
    appcore_field length = { str("Content-Length"), str("100") };

    host->start(call->id, 200, str(""), &length, 1);
    write_text(call, "too little", APPCORE_FLUSH);
    return APPCORE_DONE;
}

int route_long(call_t *call)
{
    appcore_field length = { str("Content-Length"), str("5") };
    int64_t first, second;

    host->start(call->id, 200, str(""), &length, 1);
    first = write_text(call, "12345", 0);
    second = write_text(call, "678", 0);
    event("long", "\"first\":%lld,\"second\":%lld", (long long)first, (long long)second);
    return APPCORE_DONE;
}

int route_crash(call_t *call)
{
    begin_if_asked(call);
    raise(SIGSEGV);
    return APPCORE_DONE;
}

int route_exit(call_t *call)
{
    int code = (int)query_number(call, "code", 7);

    begin_if_asked(call);
    if (query(call, "quick", NULL)) {
        _exit(code);
    }
    exit(code);
}

int route_abort(call_t *call)
{
    int result, gone;

    begin_if_asked(call);
    result = host->abort(call->id);
    gone = host->aborted(call->id);
    event("abort", "\"result\":%d,\"aborted\":%d,\"write\":%lld", result, gone,
          (long long)write_text(call, "x", APPCORE_FLUSH));
    return APPCORE_DONE;
}

/* A second complete() is one too late. */

static void twice_answer(call_t *call)
{
    answer_text(call, 200, "twice");
}

static void twice_thread(call_t *call)
{
    appcore_request id = call->id;
    int first, second;

    probe_post(call, twice_answer);
    first = host->complete(id, APPCORE_OK);
    second = host->complete(id, APPCORE_OK);
    event("twice", "\"first\":%d,\"second\":%d", first, second);
}

int route_twice(call_t *call)
{
    probe_thread(call, twice_thread);
    return APPCORE_PENDING;
}

/* Every function for a request, from a place where not all may be called. Results in
 * the order of appcore_host. */

static void never(void *app, appcore_request id, void *data, int result)
{
    (void)app;
    (void)data;
    event("violation", "\"why\":\"posted to %llu: %d\"", (unsigned long long)id, result);
}

static void call_everything(text_t *text, appcore_request id, int with_any_thread)
{
    appcore_str value, empty = { NULL, 0 };
    struct iovec data = { (void *)"x", 1 };
    char c;

    text_add(text, "%d", host->start(id, 200, empty, NULL, 0));
    text_add(text, " %d", host->respond(id, 200, empty, NULL, 0, &data, 1));
    text_add(text, " %d", host->inform(id, 103, NULL, 0));
    text_add(text, " %d", (int)host->write(id, &data, 1, 0));
    text_add(text, " %d", host->sendfile(id, str("/etc/passwd"), 0, -1, 0));
    text_add(text, " %d", host->trailer(id, str("X-A"), str("1")));
    text_add(text, " %d", (int)host->read(id, &c, 1, 0));
    text_add(text, " %d", host->upgrade(id, NULL, 0));
    text_add(text, " %d", host->var_get(id, str("PATH"), &value));
    text_add(text, " %d", host->var_set(id, str("A"), str("1")));
    text_add(text, " %d", host->limit_body(id, 1));
    text_add(text, " %d", host->close_connection(id));
    if (with_any_thread) {
        text_add(text, " %d", host->post(id, never, NULL));
        text_add(text, " %d", host->complete(id, APPCORE_OK));
        text_add(text, " %d", host->aborted(id));
        text_add(text, " %d", host->abort(id));
        text_add(text, " %d", host->reset(id, 8));
        host->log(host, id, APPCORE_LOG_INFO, str("about a request that is over"));
        host->log_level(host, id);
    }
}

static void after_thread(call_t *call)
{
    text_t text = { NULL, 0, 0 };

    while (!call->over) {
        probe_sleep(1);
    }
    call_everything(&text, call->id, 1);
    event("after", "\"results\":\"%s\"", text.p);
    free(text.p);
}

int route_after(call_t *call)
{
    probe_thread(call, after_thread);
    return answer_text(call, 200, "after");
}

/* Numbers that were never given. */
int route_invented(call_t *call)
{
    static const appcore_request numbers[] = {
        0, 1, 0xfffff, 0x100000, 0x7fffffffffffffff, 0xffffffffffffffff
    };
    text_t text = { NULL, 0, 0 };
    size_t i;

    for (i = 0; i < sizeof(numbers) / sizeof(*numbers); ++i) {
        if (numbers[i] != call->id) {
            call_everything(&text, numbers[i], numbers[i] != 0);
            text_add(&text, "\n");
        }
    }
    return answer(call, 200, &text);
}

static void elsewhere_answer(call_t *call)
{
    answer_text(call, 200, call->buffer);
}

static void elsewhere_thread(call_t *call)
{
    text_t text = { NULL, 0, 0 };

    call_everything(&text, call->id, 0);
    call->buffer = text.p;
    host->log(host, call->id, APPCORE_LOG_DEBUG, str("from a thread"));
    probe_post(call, elsewhere_answer);
    probe_complete(call, APPCORE_OK);
}

int route_elsewhere(call_t *call)
{
    probe_thread(call, elsewhere_thread);
    return APPCORE_PENDING;
}

/* What is wrong within one request; the results are its answer. */
int route_rules(call_t *call)
{
    appcore_request id = call->id;
    appcore_field odd = { str("X-Odd"), { "a\0b", 3 } };
    appcore_str empty = { NULL, 0 };
    text_t text = { NULL, 0, 0 };
    char c;

    text_add(&text, "status 99: %d\n", host->start(id, 99, empty, NULL, 0));
    text_add(&text, "status 101: %d\n", host->start(id, 101, empty, NULL, 0));
    text_add(&text, "status 1000: %d\n", host->start(id, 1000, empty, NULL, 0));
    text_add(&text, "NUL in a field: %d\n", host->start(id, 200, empty, &odd, 1));
    text_add(&text, "sendfile of a folder: %d\n",
             host->sendfile(id, str("/tmp"), 0, -1, 0));
    text_add(&text, "sendfile of nothing: %d\n",
             host->sendfile(id, str("/nonexistent"), 0, -1, 0));
    text_add(&text, "unknown variable: %d\n",
             host->var_get(id, str("PROBE_NO_SUCH"), &empty));
    text_add(&text, "read of 0 bytes: %d\n", (int)host->read(id, &c, 0, 0));
    text_add(&text, "limit below -1: %d\n", host->limit_body(id, -2));
    text_add(&text, "started: %d\n", start_text(call, 200));
    text_add(&text, "started again: %d\n", start_text(call, 200));
    text_add(&text, "respond after start: %d\n",
             host->respond(id, 200, str(""), NULL, 0, NULL, 0));
    text_add(&text, "upgrade after start: %d\n", host->upgrade(id, NULL, 0));
    write_text(call, text.p, APPCORE_LAST);
    free(text.p);
    event("rules", "\"after_last\":%lld,\"last_trailer\":%d",
          (long long)write_text(call, "more", 0),
          host->trailer(id, str("X-Late"), str("1")));
    return APPCORE_DONE;
}

/* Fields that would let an app answer twice. */
int route_bad_field(call_t *call)
{
    static const appcore_field bad[] = {
        { { "X-A", 3 }, { "a\r\nX-B: b", 9 } }, { { "X-A", 3 }, { "a\nb", 3 } },
        { { "X-A\r\n", 5 }, { "a", 1 } }, { { "X A", 3 }, { "a", 1 } },
        { { "", 0 }, { "a", 1 } }, { { "X:A", 3 }, { "a", 1 } },
        { { "X-A", 3 }, { "a\rb", 3 } },
    };
    text_t text = { NULL, 0, 0 };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(*bad); ++i) {
        text_add(&text, "%d ", host->start(call->id, 200, str(""), &bad[i], 1));
        text_add(&text, "%d ", host->inform(call->id, 103, &bad[i], 1));
        text_add(&text, "%d ", host->trailer(call->id, bad[i].name, bad[i].value));
    }
    return answer(call, 200, &text);
}

/* The app has ended, it says; the child is replaced. */
int route_ended(call_t *call)
{
    int result = answer_text(call, 200, "ended");
    int64_t i;

    for (i = query_number(call, "times", 1); i > 0; --i) {
        host->ended(host, (int)query_number(call, "code", 0), str("it was told to"));
    }
    return result;
}

/* A process of the app's own that ends by exit(). */
int route_fork(call_t *call)
{
    text_t text = { NULL, 0, 0 };
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        exit((int)query_number(call, "code", 7));
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        return APPCORE_FAILED;
    }
    text_add(&text, "%d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return answer(call, 200, &text);
}

static int count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (dir && readdir(dir)) {
        ++n;
    }
    if (dir) {
        closedir(dir);
    }
    return n;
}

/* One small file again and again. */
int route_files(call_t *call)
{
    int64_t i, n = query_number(call, "n", 10);
    int most = 0, before = count_descriptors();

    start_text(call, 200);
    for (i = 0; i < n; ++i) {
        uint32_t flags = i + 1 == n ? APPCORE_LAST : APPCORE_FLUSH;

        if (host->sendfile(call->id, str(query(call, "path", "")), 0, -1, flags)) {
            return APPCORE_FAILED;
        }
        if (i % 50 == 0 && count_descriptors() - before > most) {
            most = count_descriptors() - before;
        }
    }
    event("files", "\"most\":%d", most);
    return APPCORE_DONE;
}

/* What a program that the app starts can reach. */
int route_descriptors(call_t *call)
{
    text_t text = { NULL, 0, 0 };
    char part[500];
    int fds[2];
    ssize_t n;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC)) {
        return APPCORE_FAILED;
    }
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        execlp("ls", "ls", "-l", "/proc/self/fd", NULL);
        _exit(1);
    }
    close(fds[1]);
    while ((n = read(fds[0], part, sizeof(part))) > 0) {
        text_add(&text, "%.*s", (int)n, part);
    }
    close(fds[0]);
    waitpid(pid, NULL, 0);
    return answer(call, 200, &text);
}

/* Cuts off another request's client, by the number of the request. */
int route_sever(call_t *call)
{
    host->abort((appcore_request)query_number(call, "id", 0));
    return answer_text(call, 200, "cut off");
}

/* The descriptor of the only client that there is, or -1. */
static int find_client(void)
{
    struct sockaddr_in peer;
    int fd;

    for (fd = 0; fd < FDS_MAX; ++fd) {
        socklen_t len = sizeof(peer);

        if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0
            && peer.sin_family == AF_INET) {
            return fd;
        }
    }
    return -1;
}

/* Opens pairs until one end has that number: the other end, or -1. */
static int take_number(int fd)
{
    int i, pair[2];

    for (i = 0; i < PAIRS_MAX && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair); ++i) {
        if (pair[0] == fd || pair[1] == fd) {
            return pair[0] == fd ? pair[1] : pair[0];
        }
    }
    return -1;
}

/* At the end of its process the client's descriptor is closed under a request that is
 * busy, and something that the app opens gets its number: abort() is not to hit that. */
int route_cling(call_t *call)
{
    struct pollfd end = { .events = POLLIN };
    int fd = find_client();

    event("cling", "\"fd\":%d", fd);
    while (find_client() == fd) {
        probe_sleep(1);
    }
    end.fd = take_number(fd);
    host->abort(call->id);
    poll(&end, 1, 0);
    event("clung", "\"taken\":%d,\"cut\":%d", end.fd >= 0, end.revents != 0);
    return APPCORE_DONE;
}
