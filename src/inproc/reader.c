/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_pools.h>
#include <apr_strings.h>
#include "base/clock.h"
#include "keeper/logfile.h"
#include "relay/logs.h"
#include "relay/stream.h"
#include "shared/target.h"

#define TAG 1
/* An app may print before the folder of the one whose settings count was looked at. */
#define TARGET_MS 5000
#define FAREWELL apr_time_from_sec(2)

static const int ignored[] = { SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD };

typedef struct state_t {
    const ac_reader_t *reader;
    ac_log_target_t target;
    const char *folder;
    ac_relay_loop_t loop;
    ac_logs_t logs;
    ac_streams_t streams;
    int asked;                  /* for a file or program */
    char stamp[AC_STAMP_SIZE];
    apr_pool_t *p;
} state_t;

apr_status_t ac_reader_aim(int link, const ac_log_target_t *target, const char *folder)
{
    ac_wire_writer_t w;
    apr_status_t rv;
    apr_pool_t *p;

    apr_pool_create_unmanaged_ex(&p, NULL, NULL);
    ac_message_begin(&w, AC_MSG_STREAM, p);
    ac_log_target_put(&w, target);
    ac_wire_put_str(&w, folder);
    rv = ac_message_send(link, &w, NULL, 0);
    apr_pool_destroy(p);
    return rv;
}

/* What is httpd's is not ours: above all the write end of the pipe, which would hide its
 * end. */
static void close_others(const ac_reader_t *reader)
{
    int keep[] = { STDERR_FILENO, reader->in, reader->log, reader->link };
    unsigned from = 0;
    int i;

    for (;;) {
        unsigned next = ~0u;

        for (i = 0; i < 4; ++i) {
            if ((unsigned)keep[i] >= from && (unsigned)keep[i] < next) {
                next = (unsigned)keep[i];
            }
        }
        if (next > from && from > STDERR_FILENO) {
            close_range(from, next == ~0u ? next : next - 1, 0);
        }
        if (next == ~0u) {
            return;
        }
        from = next + 1;
    }
}

/* It ends after the child, not before. */
static void take_signals(const ac_reader_t *reader)
{
    apr_size_t i;

    for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); ++i) {
        signal(ignored[i], SIG_IGN);
    }
    sigprocmask(SIG_SETMASK, &reader->blocked, NULL);
}

/* The target, or the usual one: nothing waits for it before something was printed. */
static void await_target(state_t *state)
{
    static unsigned char buf[AC_MESSAGE_MAX];
    struct pollfd fds[2] = {
        { .fd = state->reader->link, .events = POLLIN },
        { .fd = state->reader->in, .events = POLLIN }
    };
    ac_message_t msg;

    poll(fds, 2, -1);
    if (!fds[0].revents) {
        poll(fds, 1, TARGET_MS);
    }
    state->target = state->reader->usual;
    if (ac_message_receive(state->reader->link, buf, &msg) != APR_SUCCESS) {
        return;
    }
    ac_log_target_get(&msg.body, &state->target, state->p);
    state->folder = ac_wire_get_str(&msg.body, state->p);
    if (ac_wire_reader_end(&msg.body) != APR_SUCCESS) {
        state->target = state->reader->usual;
    }
    state->target.log_index = 0;        /* the one that we have */
    ac_message_done(&msg);
}

static void __attribute__((noreturn)) become_program(const state_t *state, int in)
{
    const char **argv = ac_log_program_argv(state->target.file, state->p);
    const char **env = ac_log_program_env(state->p);
    apr_size_t i;

    for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); ++i) {
        signal(ignored[i], SIG_DFL);
    }
    if (argv && (!state->folder || chdir(state->folder) == 0)
        && dup2(in, STDIN_FILENO) == STDIN_FILENO) {
        execvpe(argv[0], (char *const *)argv, (char *const *)env);
    }
    _exit(127);
}

static apr_status_t run_program(const state_t *state, int *pfd)
{
    apr_status_t rv = APR_SUCCESS;
    int ends[2];
    pid_t pid;

    if (!state->target.file || !ac_log_program_argv(state->target.file, state->p)) {
        return APR_EINVAL;
    }
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return errno;
    }
    pid = fork();
    if (pid == 0) {
        become_program(state, ends[0]);
    }
    if (pid < 0) {
        rv = errno;
        close(ends[1]);
    }
    close(ends[0]);
    *pfd = ends[1];
    return rv;
}

/* Its stream waits for this. */
static void open_log(state_t *state)
{
    apr_status_t rv;
    int fd = -1;

    state->asked = 0;
    if (state->target.mode == AC_LOG_FILE && state->target.file) {
        rv = ac_logfile_open(&fd, &state->target, state->stamp,
                             (pid_t)state->reader->pid, state->p);
    }
    else {
        rv = run_program(state, &fd);
    }
    ac_streams_opened(&state->streams, TAG, rv == APR_SUCCESS ? fd : -1, rv);
    apr_pool_clear(state->p);
}

static apr_status_t ask(ac_streams_t *streams, uint64_t tag, const char *stamp)
{
    state_t *state = streams->owner;

    (void)tag;
    apr_cpystrn(state->stamp, stamp, sizeof(state->stamp));
    state->asked = 1;
    return APR_SUCCESS;
}

static void publish(state_t *state)
{
    const ac_capture_t *captured = ac_streams_capture(&state->streams, TAG);
    ac_reader_capture_t *shared = state->reader->capture;
    apr_size_t len = atomic_load(&shared->len);

    if (captured && captured->len > len && captured->len <= sizeof(shared->data)) {
        memcpy(shared->data + len, captured->data + len, captured->len - len);
        atomic_store(&shared->len, captured->len);
    }
}

static void begin(state_t *state)
{
    const ac_reader_t *reader = state->reader;

    ac_relay_loop_create(&state->loop);
    state->logs.loop = state->streams.loop = &state->loop;
    state->streams.logs = &state->logs;
    state->streams.ask = ask;
    state->streams.owner = state;
    ac_logs_put(&state->logs, 0, &reader->log, 1);
    ac_streams_put(&state->streams, TAG, reader->pid, &state->target, &reader->in, 1);
}

static void step(state_t *state, int timeout_ms)
{
    if (state->asked) {
        open_log(state);
    }
    else {
        ac_relay_loop_once(&state->loop, timeout_ms);
        publish(state);
    }
}

static void farewell(state_t *state)
{
    apr_time_t limit = ac_clock_now() + FAREWELL, now;

    while ((now = ac_clock_now()) < limit
           && (state->asked || ac_logs_busy(&state->logs)
               || ac_streams_busy(&state->streams))) {
        step(state, (int)apr_time_as_msec(limit - now) + 1);
    }
}

void ac_reader_main(const ac_reader_t *reader)
{
    static state_t state;

    prctl(PR_SET_NAME, "appcore-output");
    take_signals(reader);
    close_others(reader);
    umask(027);
    state.reader = reader;
    apr_pool_create_unmanaged_ex(&state.p, NULL, NULL);
    await_target(&state);
    /* The pool is cleared; the target stays. */
    apr_pool_create_unmanaged_ex(&state.p, NULL, NULL);
    begin(&state);
    while (ac_streams_open(&state.streams)) {
        step(&state, ac_streams_hurry(&state.streams));
        ac_streams_sweep(&state.streams);
    }
    farewell(&state);
    _exit(0);
}
