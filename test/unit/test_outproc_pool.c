/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_outproc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <apr_pools.h>
#include "base/clock.h"
#include "outproc/pool.h"

#define PROC 7
#define GENERATION 3

static ac_pool_t *pool;
static int peer;

static void setup(void)
{
    pool = ac_pool_create(2);
    ck_assert_ptr_nonnull(pool);
    peer = -1;
}

static void teardown(void)
{
    ac_pool_destroy(pool);
    if (peer >= 0) {
        close(peer);
    }
}

static ac_appconn_t *connection(uint32_t generation)
{
    ac_appconn_t *conn = calloc(1, sizeof(*conn));
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    if (peer >= 0) {
        close(peer);
    }
    peer = fds[1];
    conn->fd = fds[0];
    conn->proc = PROC;
    conn->generation = generation;
    return conn;
}

static int is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static int put(ac_appconn_t *conn, apr_time_t when)
{
    int fd = conn->fd;

    ac_pool_put(pool, &conn, when);
    ck_assert_ptr_null(conn);
    return fd;
}

START_TEST(what_was_put_is_taken_again)
{
    int fd = put(connection(GENERATION), 1000);
    ac_appconn_t *conn = ac_pool_take(pool, PROC, GENERATION, 0, 2000);

    ck_assert_ptr_nonnull(conn);
    ck_assert_int_eq(conn->fd, fd);
    ck_assert_ptr_null(ac_pool_take(pool, PROC, GENERATION, 0, 2000));
    ac_appconn_close(&conn);
    ck_assert(!is_open(fd));
}
END_TEST

START_TEST(another_generation_is_closed)
{
    int fd = put(connection(GENERATION - 1), 1000);

    ck_assert_ptr_null(ac_pool_take(pool, PROC, GENERATION, 0, 1000));
    ck_assert(!is_open(fd));
    fd = put(connection(GENERATION), 1000);
    ck_assert_ptr_null(ac_pool_take(pool, PROC + 1, GENERATION, 0, 1000));
    ck_assert(!is_open(fd));
}
END_TEST

START_TEST(a_full_pool_closes_what_is_put)
{
    int third;

    put(connection(GENERATION), 0);
    put(connection(GENERATION), 0);
    third = put(connection(GENERATION), 0);
    ck_assert(!is_open(third));
}
END_TEST

START_TEST(a_closed_peer_is_noticed)
{
    ac_appconn_t *conn = connection(GENERATION);
    int fd = put(conn, 0);

    close(peer);
    peer = -1;
    ck_assert_ptr_null(ac_pool_take(pool, PROC, GENERATION, 0, 0));
    ck_assert(!is_open(fd));
}
END_TEST

START_TEST(an_unasked_answer_is_not_used)
{
    int fd = put(connection(GENERATION), 0);

    ck_assert_int_eq(write(peer, "HTTP/1.1 408 \r\n", 15), 15);
    ck_assert_ptr_null(ac_pool_take(pool, PROC, GENERATION, 0, 0));
    ck_assert(!is_open(fd));
}
END_TEST

/* HTTP/2 says things between requests; a PING wants an answer. */
START_TEST(an_idle_http2_connection_may_talk)
{
    static const char ping[] = "\0\0\0\4\0\0\0\0\0" "\0\0\10\6\0\0\0\0\0" "12345678";
    static const char goaway[] = "\0\0\10\7\0\0\0\0\0" "\0\0\0\0\0\0\0";
    ac_appconn_t *conn = connection(GENERATION);
    char answer[1024];
    ssize_t n;

    conn->h2 = ac_h2_create();
    if (!conn->h2) {
        ck_assert(!ac_h2_supported());
        return;
    }
    put(conn, 0);
    ck_assert_int_eq(write(peer, ping, sizeof(ping) - 1), sizeof(ping) - 1);
    conn = ac_pool_take(pool, PROC, GENERATION, 0, 0);
    ck_assert_ptr_nonnull(conn);
    n = read(peer, answer, sizeof(answer));
    ck_assert_int_ge(n, 17);
    ck_assert_ptr_nonnull(memmem(answer, (size_t)n, "12345678", 8));
    put(conn, 0);
    ck_assert_int_eq(write(peer, goaway, sizeof(goaway)), sizeof(goaway));
    ck_assert_ptr_null(ac_pool_take(pool, PROC, GENERATION, 0, 0));
}
END_TEST

START_TEST(careful_requests_take_fresh_connections_only)
{
    apr_time_t late = AC_POOL_FRESH + 1;
    ac_appconn_t *conn;

    put(connection(GENERATION), 0);
    ck_assert_ptr_null(ac_pool_take(pool, PROC, GENERATION, 1, late));
    conn = ac_pool_take(pool, PROC, GENERATION, 0, late);
    ck_assert_ptr_nonnull(conn);
    put(conn, late);
    conn = ac_pool_take(pool, PROC, GENERATION, 1, late + 1);
    ck_assert_ptr_nonnull(conn);
    ac_appconn_close(&conn);
}
END_TEST

START_TEST(the_apps_own_timeout_counts)
{
    ac_appconn_t *conn = connection(GENERATION);
    int fd;

    conn->keep = apr_time_from_sec(4);
    fd = put(conn, 0);
    conn = ac_pool_take(pool, PROC, GENERATION, 0, apr_time_from_sec(4) - 1);
    ck_assert_ptr_nonnull(conn);
    put(conn, 0);
    ck_assert_ptr_null(ac_pool_take(pool, PROC, GENERATION, 0, apr_time_from_sec(4)));
    ck_assert(!is_open(fd));
}
END_TEST

START_TEST(nothing_idles_forever)
{
    int fd = put(connection(GENERATION), 0);

    ck_assert_ptr_null(ac_pool_take(pool, PROC, GENERATION, 0, AC_POOL_IDLE_MAX + 1));
    ck_assert(!is_open(fd));
}
END_TEST

static ac_board_t *board_with(unsigned *pproc, apr_pool_t *p)
{
    ac_board_proc_t proc = { .app_id = 1, .generation = GENERATION, .pid = 1 };
    ac_board_t *board;
    int fd, index;

    ck_assert_int_eq(ac_board_create(&fd), APR_SUCCESS);
    ck_assert_int_eq(ac_board_map(fd, 1, &board, p), APR_SUCCESS);
    index = ac_board_take_proc(board);
    ck_assert_int_ge(index, 0);
    ac_board_put_proc(board, (unsigned)index, &proc);
    *pproc = (unsigned)index;
    close(fd);
    return board;
}

START_TEST(sweep_keeps_current_connections)
{
    apr_pool_t *p;
    ac_board_t *board;
    ac_appconn_t *conn;
    unsigned proc;
    int stale, current;

    apr_pool_create(&p, NULL);
    board = board_with(&proc, p);
    conn = connection(GENERATION - 1);
    conn->proc = proc;
    stale = put(conn, 0);
    conn = connection(GENERATION);
    conn->proc = proc;
    current = put(conn, 0);
    ck_assert_uint_eq(ac_pool_sweep(pool, board, 1), 1);
    ck_assert(!is_open(stale));
    ck_assert_uint_eq(ac_pool_sweep(pool, board, 1), 1);
    ac_board_clear_proc(board, proc);
    ck_assert_uint_eq(ac_pool_sweep(pool, board, 1), 0);
    ck_assert(!is_open(current));
    apr_pool_destroy(p);
}
END_TEST

START_TEST(sweep_closes_what_idled_too_long_or_was_left)
{
    apr_pool_t *p;
    ac_board_t *board;
    ac_appconn_t *conn;
    unsigned proc;
    int fd;

    apr_pool_create(&p, NULL);
    board = board_with(&proc, p);
    conn = connection(GENERATION);
    conn->proc = proc;
    fd = put(conn, 0);
    ck_assert_uint_eq(ac_pool_sweep(pool, board, AC_POOL_IDLE_MAX), 1);
    ck_assert_uint_eq(ac_pool_sweep(pool, board, AC_POOL_IDLE_MAX + 1), 0);
    ck_assert(!is_open(fd));
    conn = connection(GENERATION);
    conn->proc = proc;
    fd = put(conn, 0);
    close(peer);
    peer = -1;
    ck_assert_uint_eq(ac_pool_sweep(pool, board, 1), 0);
    ck_assert(!is_open(fd));
    apr_pool_destroy(p);
}
END_TEST

static char folder[] = "/tmp/ac-pool-XXXXXX";

static int listen_at(const char *path, int backlog)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    ck_assert_int_eq(listen(fd, backlog), 0);
    return fd;
}

START_TEST(connecting_tells_missing_from_busy)
{
    ac_board_proc_t proc = { .app_id = 9, .slot = 1, .generation = 2,
                             .address = AC_ADDRESS_SOCKET };
    ac_appconn_t *first = NULL, *more[8] = { NULL };
    char path[108], sub[64];
    apr_status_t rv = APR_SUCCESS;
    int listener, i;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(sub, sizeof(sub), "%s/s", folder);
    ck_assert_int_eq(mkdir(sub, 0700), 0);
    ck_assert_int_eq(ac_appconn_open(&first, folder, PROC, &proc), ENOENT);
    ck_assert_ptr_null(first);

    ac_board_socket_path(path, sizeof(path), folder, 9, 1, 2);
    listener = listen_at(path, 0);
    ck_assert_int_eq(ac_appconn_open(&first, folder, PROC, &proc), APR_SUCCESS);
    ck_assert_uint_eq(first->proc, PROC);
    ck_assert_uint_eq(first->generation, 2);
    for (i = 0; i < 8 && rv == APR_SUCCESS; i++) {
        rv = ac_appconn_open(&more[i], folder, PROC, &proc);
    }
    ck_assert(APR_STATUS_IS_EAGAIN(rv));
    close(listener);
    ck_assert_int_eq(ac_appconn_open(&more[7], folder, PROC, &proc), ECONNREFUSED);

    ac_appconn_close(&first);
    for (i = 0; i < 8; i++) {
        ac_appconn_close(&more[i]);
    }
    unlink(path);
    rmdir(sub);
    rmdir(folder);
}
END_TEST

START_TEST(a_port_is_connected_to_without_waiting)
{
    ac_board_proc_t proc = { .app_id = 9, .address = AC_ADDRESS_TCP, .port = 1 };
    ac_appconn_t *conn = NULL;
    apr_status_t rv = ac_appconn_open(&conn, "/nowhere", PROC, &proc);

    if (rv == APR_SUCCESS) {
        ck_assert_int_eq(conn->connecting, 1);
        rv = ac_appconn_finish(conn);
        ac_appconn_close(&conn);
    }
    ck_assert_int_eq(rv, ECONNREFUSED);
}
END_TEST

START_TEST(a_process_that_ended_is_gone)
{
    siginfo_t info;
    pid_t pid = fork();

    if (pid == 0) {
        pause();
        _exit(0);
    }
    ck_assert(!ac_process_gone((uint32_t)getpid()));
    ck_assert(!ac_process_gone((uint32_t)pid));
    ck_assert(!ac_process_gone(0));
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    ck_assert(ac_process_gone((uint32_t)pid));
    waitpid(pid, NULL, 0);
    ck_assert(ac_process_gone((uint32_t)pid));
}
END_TEST

static void *stay(void *unused)
{
    pause();
    return unused;
}

START_TEST(a_process_lives_without_its_main_thread)
{
    char path[32], state = 0;
    pthread_t thread;
    pid_t pid = fork();
    int i;

    if (pid == 0) {
        pthread_create(&thread, NULL, stay, NULL);
        pthread_exit(NULL);
    }
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    for (i = 0; state != 'Z' && i < 5000; ++i) {
        FILE *f = fopen(path, "r");

        ck_assert_int_eq(fscanf(f, "%*d (%*[^)]) %c", &state), 1);
        fclose(f);
        poll(NULL, 0, 1);
    }
    ck_assert_int_eq(state, 'Z');
    ck_assert(!ac_process_gone((uint32_t)pid));
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert(ac_process_gone((uint32_t)pid));
}
END_TEST

TCase *test_outproc_pool(void)
{
    TCase *tc = tcase_create("pool");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_was_put_is_taken_again);
    tcase_add_test(tc, another_generation_is_closed);
    tcase_add_test(tc, a_full_pool_closes_what_is_put);
    tcase_add_test(tc, a_closed_peer_is_noticed);
    tcase_add_test(tc, an_unasked_answer_is_not_used);
    tcase_add_test(tc, an_idle_http2_connection_may_talk);
    tcase_add_test(tc, careful_requests_take_fresh_connections_only);
    tcase_add_test(tc, the_apps_own_timeout_counts);
    tcase_add_test(tc, nothing_idles_forever);
    tcase_add_test(tc, sweep_keeps_current_connections);
    tcase_add_test(tc, sweep_closes_what_idled_too_long_or_was_left);
    tcase_add_test(tc, connecting_tells_missing_from_busy);
    tcase_add_test(tc, a_process_that_ended_is_gone);
    tcase_add_test(tc, a_process_lives_without_its_main_thread);
    tcase_add_test(tc, a_port_is_connected_to_without_waiting);
    return tc;
}
