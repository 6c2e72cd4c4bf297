/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_manager_keeper.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <apr_strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "manager/manager.h"
#include "test_manager.h"

#define PATIENCE_MS 5000

keeper_t k;
const void *last_note;
apr_size_t last_note_len;

static unsigned char buf[AC_MESSAGE_MAX];

static void make_folders(void)
{
    static const char *const names[] = { "s", "p", "r" };
    char path[128];
    unsigned i;

    snprintf(k.dir, sizeof(k.dir), "/tmp/acmgrXXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(k.dir));
    for (i = 0; i < 3; ++i) {
        snprintf(path, sizeof(path), "%s/%s", k.dir, names[i]);
        ck_assert_int_eq(mkdir(path, 0700), 0);
    }
}

static void bind_notify(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int on = 1;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", k.dir);
    k.notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(k.notify, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(setsockopt(k.notify, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
}

static void describe_app(void)
{
    k.set = ac_settings_create(p);
    memset(&k.spec, 0, sizeof(k.spec));
    k.spec.name = "shop";
    k.spec.prefix = "/shop";
    k.spec.folder = "/srv/shop";
    k.spec.host = "localhost";
    k.spec.scheme = "http";
    k.spec.state_dir = k.dir;
    k.log_level = AC_LEVEL_DEBUG;
}

pid_t helper_fork(void)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
    }
    else {
        ck_assert_int_ge(pid, 0);
    }
    return pid;
}

void manager_start(void)
{
    int pair[2], relay[2], fds[5];
    ac_wire_writer_t w;

    ck_assert_int_eq(ac_message_pair(pair), APR_SUCCESS);
    ck_assert_int_eq(ac_message_pair(relay), APR_SUCCESS);
    k.manager = helper_fork();
    if (k.manager == 0) {
        /* What it needs comes through its link. */
        for (int fd = 3; fd < 64; ++fd) {
            if (fd != pair[1]) {
                close(fd);
            }
        }
        ac_manager_main(pair[1]);
    }
    close(pair[1]);
    k.link = pair[0];
    k.relay = relay[1];
    ac_message_begin(&w, AC_MSG_HELLO, p);
    ac_wire_put_u32(&w, ac_message_version);
    fds[0] = k.board_fd;
    fds[1] = k.rows_fd;
    fds[2] = k.wake_fd;
    fds[3] = k.notify;
    fds[4] = relay[0];
    ck_assert_int_eq(ac_message_send(k.link, &w, fds, 5), APR_SUCCESS);
    close(relay[0]);
}

void manager_kill(void)
{
    kill(k.manager, SIGKILL);
    waitpid(k.manager, NULL, 0);
    close(k.link);
    close(k.relay);
    k.manager = 0;
}

void keeper_setup(void)
{
    memset(&k, 0, sizeof(k));
    last_note_len = 0;
    make_folders();
    bind_notify();
    describe_app();
    ck_assert_int_eq(ac_board_create(&k.board_fd), APR_SUCCESS);
    ck_assert_int_eq(ac_board_map(k.board_fd, 0, &k.board, p), APR_SUCCESS);
    ck_assert_int_eq(ac_rows_create(&k.rows_fd), APR_SUCCESS);
    ck_assert_int_eq(ac_rows_map(k.rows_fd, &k.rows, p), APR_SUCCESS);
    ck_assert_int_eq(ac_wake_pair(&k.wake_fd, &k.wake), APR_SUCCESS);
    k.wakes = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    manager_start();
}

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void keeper_teardown(void)
{
    if (k.manager) {
        manager_kill();
    }
    close(k.wake);
    close(k.wake_fd);
    close(k.notify);
    close(k.wakes);
    close(k.board_fd);
    close(k.rows_fd);
    ck_assert_int_eq(nftw(k.dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

void configure_app(void)
{
    ac_spec_table_t table = { .specs = apr_array_make(p, 1, sizeof(ac_spec_t *)) };
    int fd = memfd_create("table", MFD_CLOEXEC);
    ac_wire_writer_t w;

    table.globals.runtime_dir = k.dir;
    table.globals.state_dir = k.dir;
    table.globals.max_spawns = 4;
    table.globals.log_level = k.log_level;
    k.spec.set = k.set;
    k.spec.log_level = k.spec.plain_level = k.log_level;
    ac_spec_seal(&k.spec, p);
    APR_ARRAY_PUSH(table.specs, ac_spec_t *) = &k.spec;
    ac_wire_writer_init(&w, AC_SPEC_TABLE_MAX, p);
    ac_spec_table_put(&w, &table);
    ck_assert_int_eq(write(fd, w.data, w.len), (int)w.len);
    ac_message_begin(&w, AC_MSG_CONFIG, p);
    ac_wire_put_u32(&w, 1);
    ck_assert_int_eq(ac_message_send(k.link, &w, &fd, 1), APR_SUCCESS);
    close(fd);
}

void begin(void)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_BEGIN, p);
    ck_assert_int_eq(ac_message_send(k.link, &w, NULL, 0), APR_SUCCESS);
}

/* What the manager asks ------------------------------------------------- */

static int is_readable(int fd, int ms)
{
    struct pollfd f = { .fd = fd, .events = POLLIN };

    return poll(&f, 1, ms) > 0;
}

static const char **get_strings(ac_wire_reader_t *r)
{
    uint32_t i, n = ac_wire_get_count(r, 2000);
    const char **list = apr_pcalloc(p, (n + 1) * sizeof(*list));

    for (i = 0; i < n; ++i) {
        list[i] = ac_wire_get_str(r, p);
    }
    return list;
}

static void decode(asked_t *asked, ac_wire_reader_t *r)
{
    ac_log_target_t target;
    apr_size_t len;

    asked->tag = ac_wire_get_u64(r);
    switch (asked->type) {
    case AC_MSG_LOOK:
        asked->app_id = ac_wire_get_u64(r);
        ac_wire_get_bytes(r, &len);
        ck_assert_uint_gt(len, 0);
        break;
    case AC_MSG_LISTEN:
    case AC_MSG_SPAWN:
        asked->app_id = ac_wire_get_u64(r);
        asked->slot = ac_wire_get_u32(r);
        asked->generation = ac_wire_get_u32(r);
        asked->reach = ac_wire_get_u32(r);
        if (asked->type == AC_MSG_LISTEN) {
            asked->heir_of = ac_wire_get_u64(r);
            break;
        }
        asked->proc = ac_wire_get_u32(r);
        asked->shutdown_limit = ac_wire_get_u32(r);
        asked->argv = get_strings(r);
        asked->env = get_strings(r);
        ac_log_target_get(r, &target, p);
        break;
    case AC_MSG_SIGNAL:
        asked->signal = ac_wire_get_u32(r);
        asked->group = ac_wire_get_u8(r);
        break;
    case AC_MSG_NOTE:
        asked->note = ac_wire_get_bytes(r, &asked->note_len);
        last_note = apr_pmemdup(p, asked->note, asked->note_len);
        last_note_len = asked->note_len;
        break;
    default:
        break;
    }
    ck_assert_int_eq(ac_wire_reader_end(r), APR_SUCCESS);
}

static int receive(asked_t *asked, int ms)
{
    ac_message_t msg;

    if (!is_readable(k.link, ms)
        || ac_message_receive(k.link, buf, &msg) != APR_SUCCESS) {
        return 0;
    }
    memset(asked, 0, sizeof(*asked));
    asked->type = msg.type;
    decode(asked, &msg.body);
    ac_message_done(&msg);
    return 1;
}

void expect(asked_t *asked, ac_message_e type)
{
    do {
        ck_assert_msg(receive(asked, PATIENCE_MS), "message %d did not come", type);
    } while (asked->type == AC_MSG_NOTE && type != AC_MSG_NOTE);
    ck_assert_int_eq(asked->type, type);
}

void expect_silence(int ms)
{
    asked_t asked;

    while (receive(&asked, ms)) {
        ck_assert_int_eq(asked.type, AC_MSG_NOTE);
    }
}

const char *env_of(const asked_t *asked, const char *name)
{
    size_t len = strlen(name);
    int i;

    for (i = 0; asked->env[i]; ++i) {
        if (strncmp(asked->env[i], name, len) == 0 && asked->env[i][len] == '=') {
            return asked->env[i] + len + 1;
        }
    }
    return NULL;
}

/* Answers --------------------------------------------------------------- */

ac_launch_t *launch_default(unsigned reach)
{
    ac_launch_t *launch = apr_pcalloc(p, sizeof(*launch));

    launch->kind = AC_KIND_PROGRAM;
    launch->reach = reach;
    launch->found = "a test";
    launch->folder = "/srv/shop";
    launch->argv = apr_array_make(p, 2, sizeof(const char *));
    APR_ARRAY_PUSH(launch->argv, const char *) = "/bin/app";
    launch->overlay = ac_settings_create(p);
    launch->max_content_length = -1;
    launch->notices = apr_array_make(p, 1, sizeof(const char *));
    launch->uid = (uint32_t)getuid();
    launch->gid = (uint32_t)getgid();
    launch->user = "tester";
    return launch;
}

void answer_look(const asked_t *asked, const ac_launch_t *launch)
{
    ac_wire_writer_t bytes, w;
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    ac_message_begin(&w, AC_MSG_LOOKED, p);
    ac_wire_put_u64(&w, asked->tag);
    ck_assert_int_eq(ac_message_send(k.link, &w, fds, 1), APR_SUCCESS);
    close(fds[0]);
    if (launch) {
        ac_wire_writer_init(&bytes, AC_LAUNCH_WIRE_MAX, p);
        ac_launch_put(&bytes, launch);
        ck_assert_int_eq(write(fds[1], bytes.data, bytes.len), (int)bytes.len);
    }
    close(fds[1]);
}

int answer_listen(const asked_t *asked)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ac_wire_writer_t w;

    ac_board_socket_path(address.sun_path, sizeof(address.sun_path), k.dir,
                         asked->app_id, asked->slot, asked->generation);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    ac_message_begin(&w, AC_MSG_LISTENING, p);
    ac_wire_put_u64(&w, asked->tag);
    ac_wire_put_u32(&w, 0);
    ck_assert_int_eq(ac_message_send(k.link, &w, &fd, 1), APR_SUCCESS);
    return fd;
}

void answer_number(ac_message_e type, uint64_t tag, uint32_t number)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, type, p);
    ac_wire_put_u64(&w, tag);
    ac_wire_put_u32(&w, number);
    ck_assert_int_eq(ac_message_send(k.link, &w, NULL, 0), APR_SUCCESS);
}

void answer_executed(const asked_t *asked, ac_fault_e fault)
{
    ac_result_t res = AC_RESULT_OK;
    ac_wire_writer_t w;

    if (fault != AC_FAULT_NONE) {
        ac_result_set(&res, APR_ENOENT, AC_STAGE_EXEC, fault, "a test says so");
    }
    ac_message_begin(&w, AC_MSG_EXECUTED, p);
    ac_wire_put_u64(&w, asked->tag);
    ac_result_put(&w, &res);
    ck_assert_int_eq(ac_message_send(k.link, &w, NULL, 0), APR_SUCCESS);
}

void answer_spawn(const asked_t *asked, pid_t pid)
{
    answer_number(AC_MSG_SPAWNED, asked->tag, (uint32_t)pid);
    answer_executed(asked, AC_FAULT_NONE);
}

static int relay_receive(ac_message_t *msg, int ms)
{
    return is_readable(k.relay, ms)
           && ac_message_receive(k.relay, buf, msg) == APR_SUCCESS;
}

void answer_capture(const char *output)
{
    ac_wire_writer_t w;
    ac_message_t msg;

    do {
        ck_assert(relay_receive(&msg, PATIENCE_MS));
    } while (msg.type != AC_MSG_CAPTURE);
    ac_message_begin(&w, AC_MSG_CAPTURED, p);
    ac_wire_put_u64(&w, ac_wire_get_u64(&msg.body));
    ac_wire_put_bytes(&w, output, strlen(output));
    ck_assert_int_eq(ac_message_send(k.relay, &w, NULL, 0), APR_SUCCESS);
}

int relay_says(const char *text)
{
    ac_message_t msg;

    while (relay_receive(&msg, PATIENCE_MS)) {
        const char *line;

        if (msg.type != AC_MSG_LINE) {
            continue;
        }
        ac_wire_get_u32(&msg.body);
        ac_wire_get_u32(&msg.body);
        ac_wire_get_str(&msg.body, p);
        ac_wire_get_u32(&msg.body);
        line = ac_wire_get_str(&msg.body, p);
        ck_assert_int_eq(ac_wire_reader_end(&msg.body), APR_SUCCESS);
        if (strstr(line, text)) {
            return 1;
        }
    }
    return 0;
}

/* httpd's child --------------------------------------------------------- */

int child_hello(void)
{
    int row = ac_rows_claim(k.rows, (uint32_t)getpid());

    ck_assert_int_ge(row, 0);
    ck_assert_int_eq(ac_wake_send(k.wake, AC_WAKE_HELLO, (uint64_t)row, k.wakes),
                     APR_SUCCESS);
    return row;
}

void wake(void)
{
    ck_assert_int_eq(ac_wake_send(k.wake, AC_WAKE_APP, k.spec.id, -1), APR_SUCCESS);
}

/* As a child waits: told by the eventfd; the short timeout covers tests that
 * registered none. */
static ac_board_app_t wait_for(ac_app_state_e state, uint32_t failures)
{
    apr_time_t end = ac_clock_now() + apr_time_from_msec(PATIENCE_MS);
    ac_board_app_t app;

    memset(&app, 0, sizeof(app));
    while (ac_clock_now() < end) {
        int index = ac_board_find(k.board, k.spec.id);
        uint64_t n;

        if (index >= 0 && ac_board_app(k.board, index, k.spec.id, &app)
            && app.state == state && app.failures >= failures) {
            return app;
        }
        if (is_readable(k.wakes, 10)) {
            ck_assert_int_eq(read(k.wakes, &n, sizeof(n)), sizeof(n));
        }
    }
    ck_abort_msg("the app is %s after %u failures, not %s",
                 ac_app_state_name((ac_app_state_e)app.state), app.failures,
                 ac_app_state_name(state));
    return app;
}

ac_board_app_t wait_state(ac_app_state_e state)
{
    return wait_for(state, 0);
}

ac_board_app_t wait_failure(ac_app_state_e state)
{
    return wait_for(state, 1);
}

int connect_tcp_listener(uint32_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, 4), 0);
    return fd;
}

/* The app ----------------------------------------------------------------- */

/* The app: a process with a group of its own that only waits. */
pid_t app_pid;

static void app_fork(void)
{
    app_pid = helper_fork();
    if (app_pid == 0) {
        setsid();
        pause();
        _exit(0);
    }
    while (getpgid(app_pid) != app_pid) {
    }
}

void world_of_processes(void)
{
    keeper_setup();
    app_fork();
}

void end_of_processes(void)
{
    keeper_teardown();
    if (app_pid > 0) {
        kill(app_pid, SIGKILL);
        waitpid(app_pid, NULL, 0);
    }
}

/* Up to the spawned process; the app's listener, if it gets one. */
int start_app(asked_t *spawn, const ac_launch_t *launch)
{
    asked_t asked;
    int fd = -1;

    wake();
    expect(&asked, AC_MSG_LOOK);
    ck_assert(asked.app_id == k.spec.id);
    answer_look(&asked, launch);
    if (launch->reach & AC_REACH_FD) {
        expect(&asked, AC_MSG_LISTEN);
        fd = answer_listen(&asked);
    }
    expect(spawn, AC_MSG_SPAWN);
    answer_spawn(spawn, app_pid);
    return fd;
}

void accept_one(int fd)
{
    int client = accept(fd, NULL, NULL);

    ck_assert_int_ge(client, 0);
    close(client);
}

/* A running app on an inherited socket. */
int run_app(asked_t *spawn)
{
    int fd;

    configure_app();
    begin();
    child_hello();
    fd = start_app(spawn, launch_default(AC_REACH_FD));
    accept_one(fd);
    wait_state(AC_APP_RUNNING);
    return fd;
}
