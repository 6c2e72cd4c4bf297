/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <apr_file_io.h>
#include <apr_file_info.h>
#include <apr_strings.h>

#include "base/pidfd.h"
#include "keeper/state.h"
#include "shared/board.h"
#include "shared/rows.h"

#define LIMIT_MSEC 10000

apr_pool_t *p;
harness_t h;
int app_out = -1;
int app_err = -1;

static unsigned char buf[AC_MESSAGE_MAX];
static ac_message_t last;
static struct sockaddr_un report_addr;
static socklen_t report_len;

int is_root(void)
{
    return geteuid() == 0;
}

int wait_readable(int fd, int msec)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

    return poll(&poll_fd, 1, msec) == 1;
}

void wait_pidfd(int pidfd)
{
    ck_assert_msg(wait_readable(pidfd, LIMIT_MSEC), "a process does not end");
}

int process_gone(pid_t pid)
{
    char path[32], state = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    f = fopen(path, "r");
    if (!f) {
        return 1;
    }
    /* It may be gone between opening and reading. */
    if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1) {
        state = 'X';
    }
    fclose(f);
    return state == 'Z' || state == 'X';
}

const char *in_dir(const char *name)
{
    return apr_pstrcat(p, h.dir, "/", name, NULL);
}

/* The fakes: their only descriptors are the links. */

static void report(int link, int is_relay)
{
    ac_wire_writer_t w;
    apr_pool_t *own;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

    apr_pool_create(&own, NULL);
    if (fd < 0 || connect(fd, (struct sockaddr *)&report_addr, report_len) < 0) {
        _exit(9);
    }
    ac_message_begin(&w, AC_MSG_LINK, own);
    ac_wire_put_u32(&w, (uint32_t)getpid());
    ac_wire_put_u32(&w, (uint32_t)is_relay);
    if (ac_message_send(fd, &w, &link, 1) != APR_SUCCESS) {
        _exit(9);
    }
}

/* The relay goes at the end of its link, as the true one does. */
static void fake_manager(int link)
{
    report(link, 0);
    for (;;) {
        pause();
    }
}

static void fake_relay(int link, int peer)
{
    struct pollfd poll_fd = { .fd = link, .events = 0 };

    (void)peer;
    report(link, 1);
    while (!(poll_fd.revents & (POLLHUP | POLLERR))) {
        poll(&poll_fd, 1, -1);
    }
    _exit(0);
}

int harness_next_link(pid_t *ppid, int *pis_relay)
{
    int link, fd;

    ck_assert(wait_readable(h.listener, LIMIT_MSEC));
    fd = accept(h.listener, NULL, NULL);
    hear(fd, AC_MSG_LINK);
    *ppid = (pid_t)ac_wire_get_u32(&last.body);
    *pis_relay = (int)ac_wire_get_u32(&last.body);
    link = taken_fd(&last, 0);
    close(fd);
    return link;
}

void harness_links(void)
{
    int i, is_relay;

    for (i = 0; i < 2; ++i) {
        pid_t pid;
        int link = harness_next_link(&pid, &is_relay);

        if (is_relay) {
            h.relay = link;
            h.relay_pid = pid;
        }
        else {
            h.manager = link;
            h.manager_pid = pid;
        }
    }
}

static void make_folders(void)
{
    char *dir = apr_pstrdup(p, "/tmp/appcore-keeper-XXXXXX");

    h.dir = mkdtemp(dir);
    ck_assert_ptr_nonnull(h.dir);
    ck_assert_int_eq(chmod(h.dir, 0755), 0);
    h.runtime = in_dir("run");
    h.folder = in_dir("app");
    ck_assert_int_eq(mkdir(h.folder, 0755), 0);
    h.set = ac_settings_create(p);
    if (is_root()) {
        h.set->user.v = apr_psprintf(p, "#%d", OTHER_USER);
        h.set->group.v = apr_psprintf(p, "#%d", OTHER_USER);
    }
    /* What counts is the limit of each process, since it may come from a folder. */
    h.set->shutdown_time_limit.v = 60;
    h.shutdown_limit = 2;
}

void harness_remove(const char *path)
{
    apr_dir_t *dir;
    apr_finfo_t info;

    if (apr_dir_open(&dir, path, p) != APR_SUCCESS) {
        return;
    }
    while (apr_dir_read(&info, APR_FINFO_NAME | APR_FINFO_TYPE, dir) == APR_SUCCESS) {
        const char *name = apr_pstrcat(p, path, "/", info.name, NULL);

        if (!strcmp(info.name, ".") || !strcmp(info.name, "..")) {
            continue;
        }
        if (info.filetype == APR_DIR) {
            harness_remove(name);
        }
        unlink(name);
    }
    apr_dir_close(dir);
    rmdir(path);
}

void harness_no_keeper(void)
{
    memset(&h, 0, sizeof(h));
    h.keeper_pidfd = h.control = h.manager = h.relay = h.listener = -1;
    h.board = h.rows = h.wake = h.wake_send = -1;
    last.n_fds = 0;
    app_out = app_err = -1;
    apr_pool_create(&p, NULL);
    make_folders();
}

static void open_report_socket(void)
{
    memset(&report_addr, 0, sizeof(report_addr));
    report_addr.sun_family = AF_UNIX;
    report_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1
        + (size_t)snprintf(report_addr.sun_path + 1, 64, "appcore-test-%d", getpid()));
    h.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(h.listener, (struct sockaddr *)&report_addr, report_len), 0);
    ck_assert_int_eq(listen(h.listener, 8), 0);
}

void harness_fork_keeper(void)
{
    static const ac_keeper_mains_t mains = { fake_manager, fake_relay };
    ac_keeper_args_t args = { .stderr_fd = dup(2), .parent = getpid() };
    int pair[2];

    ck_assert_int_eq(ac_message_pair(pair), APR_SUCCESS);
    args.control = pair[1];
    args.board_fd = h.board;
    args.rows_fd = h.rows;
    args.wake_fd = h.wake;
    h.keeper = fork();
    if (h.keeper == 0) {
        ac_keeper_run(&args, &mains);
    }
    ck_assert_int_ge(h.keeper, 0);
    close(pair[1]);
    close(args.stderr_fd);
    h.control = pair[0];
    h.keeper_pidfd = ac_pidfd_open(h.keeper);
    ck_assert_int_ge(h.keeper_pidfd, 0);
}

void harness_send_config(void)
{
    ac_spec_table_t table = { .globals = { .runtime_dir = h.runtime,
        .state_dir = in_dir("state"), .server_uid = 65534, .server_gid = 65534,
        .max_spawns = 4, .log_level = 7 } };
    ac_spec_t *spec = apr_pcalloc(p, sizeof(*spec));
    ac_wire_writer_t w;
    int fd = memfd_create("config", MFD_CLOEXEC);

    spec->name = "shop";
    spec->prefix = "/shop";
    spec->folder = h.folder;
    spec->host = "localhost";
    spec->scheme = "http";
    spec->default_user = "nobody";
    spec->log_level = spec->plain_level = 7;
    spec->state_dir = table.globals.state_dir;
    spec->set = h.set;
    ac_spec_seal(spec, p);
    spec->id = APP;
    table.specs = apr_array_make(p, 1, sizeof(ac_spec_t *));
    APR_ARRAY_PUSH(table.specs, ac_spec_t *) = spec;
    ac_wire_writer_init(&w, AC_SPEC_TABLE_MAX, p);
    ac_spec_table_put(&w, &table);
    ck_assert_int_eq(w.status, APR_SUCCESS);
    ck_assert_int_eq(write(fd, w.data, w.len), (ssize_t)w.len);

    ac_message_begin(&w, AC_MSG_CONFIG, p);
    ac_wire_put_u32(&w, ++h.serial);
    ck_assert_int_eq(ac_message_send(h.control, &w, &fd, 1), APR_SUCCESS);
    close(fd);
}

void harness_configure(void)
{
    harness_send_config();
    hear(h.control, AC_MSG_ACK);
    ck_assert_uint_eq(ac_wire_get_u32(&last.body), h.serial);
    ck_assert_uint_eq(ac_wire_get_u32(&last.body), ac_message_version);
}

void harness_start(void)
{
    harness_no_keeper();
    /* What the keeper leaves behind becomes ours, so the end can prove that it
     * leaves nothing. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    open_report_socket();
    ck_assert_int_eq(ac_board_create(&h.board), APR_SUCCESS);
    ck_assert_int_eq(ac_rows_create(&h.rows), APR_SUCCESS);
    ck_assert_int_eq(ac_wake_pair(&h.wake, &h.wake_send), APR_SUCCESS);
    harness_fork_keeper();
    harness_configure();
    harness_links();
    hear(h.manager, AC_MSG_BEGIN);
}

static void close_all(void)
{
    int *const fds[] = {
        &h.keeper_pidfd, &h.control, &h.manager, &h.relay, &h.listener,
        &h.board, &h.rows, &h.wake, &h.wake_send, &app_out, &app_err
    };
    unsigned i;

    ac_message_done(&last);
    for (i = 0; i < sizeof(fds) / sizeof(fds[0]); ++i) {
        if (*fds[i] >= 0) {
            close(*fds[i]);
            *fds[i] = -1;
        }
    }
}

void harness_stop(void)
{
    ac_wire_writer_t w;
    int status;

    if (h.keeper > 0) {
        ac_message_begin(&w, AC_MSG_STOP, p);
        ac_message_send(h.control, &w, NULL, 0);
        /* The relay goes when the last holder of its link does. */
        close(h.relay);
        h.relay = -1;
        wait_pidfd(h.keeper_pidfd);
        ck_assert_int_eq(waitpid(h.keeper, &status, 0), h.keeper);
        ck_assert_int_eq(status, 0);
        UNTIL(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
        ck_assert_int_eq(access(apr_pstrcat(p, h.runtime, "/notify", NULL), F_OK), -1);
    }
    close_all();
    harness_remove(h.dir);
    apr_pool_destroy(p);
}

/* Messages */

void say(int link, ac_wire_writer_t *w)
{
    ck_assert_int_eq(ac_message_send(link, w, NULL, 0), APR_SUCCESS);
}

void say_tag(ac_message_e type, uint64_t tag)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, type, p);
    ac_wire_put_u64(&w, tag);
    say(h.manager, &w);
}

ac_message_t *hear(int link, ac_message_e type)
{
    apr_status_t rv;

    do {
        ac_message_done(&last);
        ck_assert_msg(wait_readable(link, LIMIT_MSEC), "no message %d", type);
        rv = ac_message_receive(link, buf, &last);
        ck_assert_int_eq(rv, APR_SUCCESS);
    } while (last.type != type);
    return &last;
}

ac_message_t *hear_tag(ac_message_e type, uint64_t tag)
{
    do {
        hear(h.manager, type);
    } while (ac_wire_get_u64(&last.body) != tag);
    return &last;
}

int taken_fd(ac_message_t *msg, int i)
{
    int fd;

    ck_assert_int_lt(i, msg->n_fds);
    fd = msg->fds[i];
    msg->fds[i] = -1;
    return fd;
}

void ask_listen(uint64_t tag, uint32_t generation, uint32_t reach, uint64_t heir_of)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_LISTEN, p);
    ac_wire_put_u64(&w, tag);
    ac_wire_put_u64(&w, APP);
    ac_wire_put_u32(&w, 0);
    ac_wire_put_u32(&w, generation);
    ac_wire_put_u32(&w, reach);
    ac_wire_put_u64(&w, heir_of);
    say(h.manager, &w);
}

int listen_fd(uint64_t tag, uint32_t generation, uint64_t heir_of)
{
    ac_message_t *msg;

    ask_listen(tag, generation, AC_REACH_FD, heir_of);
    msg = hear_tag(AC_MSG_LISTENING, tag);
    ck_assert_uint_eq(ac_wire_get_u32(&msg->body), 0);
    return taken_fd(msg, 0);
}

void ask_spawn(uint64_t tag, uint32_t reach, const ac_log_target_t *log,
               const char *const *argv)
{
    static const ac_log_target_t errorlog = { .mode = AC_LOG_ERRORLOG, .app = "shop" };
    static const char *const env[] = {
        "PATH=/usr/local/bin:/usr/bin:/bin", "LISTEN_PID=", "SECRET=swordfish"
    };
    ac_wire_writer_t w;
    uint32_t i, n = 0;

    while (argv[n]) {
        ++n;
    }
    ac_message_begin(&w, AC_MSG_SPAWN, p);
    ac_wire_put_u64(&w, tag);
    ac_wire_put_u64(&w, APP);
    ac_wire_put_u32(&w, 0);
    ac_wire_put_u32(&w, 1);
    ac_wire_put_u32(&w, reach);
    ac_wire_put_u32(&w, 7);
    ac_wire_put_u32(&w, h.shutdown_limit);
    ac_wire_put_u32(&w, n);
    for (i = 0; i < n; ++i) {
        ac_wire_put_str(&w, argv[i]);
    }
    ac_wire_put_u32(&w, 3);
    for (i = 0; i < 3; ++i) {
        ac_wire_put_str(&w, env[i]);
    }
    ac_log_target_put(&w, log ? log : &errorlog);
    say(h.manager, &w);
}

void ask_shell(uint64_t tag, uint32_t reach, const char *script)
{
    const char *argv[] = { "sh", "-c", script, NULL };

    ask_spawn(tag, reach, NULL, argv);
}

void ask_signal(uint64_t tag, int sig, int group)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_SIGNAL, p);
    ac_wire_put_u64(&w, tag);
    ac_wire_put_u32(&w, (uint32_t)sig);
    ac_wire_put_u8(&w, (uint8_t)group);
    say(h.manager, &w);
}

pid_t spawned(uint64_t tag)
{
    return (pid_t)ac_wire_get_u32(&hear_tag(AC_MSG_SPAWNED, tag)->body);
}

ac_result_t executed(uint64_t tag)
{
    ac_result_t res;

    ac_result_get(&hear_tag(AC_MSG_EXECUTED, tag)->body, &res);
    return res;
}

int exited(uint64_t tag)
{
    return (int)ac_wire_get_u32(&hear_tag(AC_MSG_EXITED, tag)->body);
}

void take_stream(uint64_t tag)
{
    do {
        hear(h.relay, AC_MSG_STREAM);
    } while (ac_wire_get_u64(&last.body) != tag || !last.n_fds);
    if (app_out >= 0) {
        close(app_out);
        close(app_err);
    }
    app_out = taken_fd(&last, 0);
    app_err = taken_fd(&last, 1);
}

pid_t run_shell(uint64_t tag, const char *script)
{
    pid_t pid;

    ask_shell(tag, 0, script);
    pid = spawned(tag);
    ck_assert_int_eq(executed(tag).fault, AC_FAULT_NONE);
    take_stream(tag);
    return pid;
}

const char *read_line(int fd)
{
    static char line[1024];
    size_t n = 0;

    while (n + 1 < sizeof(line)) {
        ck_assert_msg(wait_readable(fd, LIMIT_MSEC), "no output");
        if (read(fd, line + n, 1) != 1 || line[n] == '\n') {
            break;
        }
        ++n;
    }
    line[n] = '\0';
    return line;
}

/* No keeper without them; valgrind does not know the system call. */
static int has_pidfds(void)
{
    int fd = ac_pidfd_open(getpid());

    if (fd < 0) {
        printf("skipped: the tests that run a keeper, for want of pidfd_open()\n");
        return 0;
    }
    close(fd);
    return 1;
}

int main(void)
{
    static TCase *(*const cases[])(void) = {
        unit_case, run_case, socket_case, log_case, end_case, refused_case
    };
    Suite *suite = suite_create("keeper");
    SRunner *runner;
    unsigned i, n;
    int failed;

    apr_initialize();
    n = has_pidfds() ? sizeof(cases) / sizeof(cases[0]) : 1;
    for (i = 0; i < n; ++i) {
        TCase *tc = cases[i]();

        tcase_set_timeout(tc, 30);
        suite_add_tcase(suite, tc);
    }
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    apr_terminate();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
