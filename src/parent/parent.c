/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "parent/parent.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <apr_portable.h>
#include <apr_thread_proc.h>
#include "http_core.h"
#include "http_log.h"
#include "base/clock.h"
#include "keeper/keeper.h"
#include "parent/handover.h"
#include "parent/state.h"
#include "shared/board.h"
#include "shared/message.h"

APLOG_USE_MODULE(appcore);

/* A new keeper ends what another one left before it answers. */
#define ACK_TIME apr_time_from_sec(5)
#define STOP_GRACE apr_time_from_sec(5)
#define LEAVE_TIME apr_time_from_sec(1)
/* A keeper that lives this long, in seconds, ended for a reason of its own. */
#define STEADY 30
/* Where the next keeper starts later than this, requests do not wait for it. */
#define LONG_PAUSE apr_time_from_sec(5)

/* What this configuration's callbacks need; in pconf, as they are. */
typedef struct ac_parent_run_t {
    apr_pool_t *pconf;
    server_rec *main;
    const apr_array_header_t *logs;
    apr_proc_t proc;            /* the keeper, for other_child */
} ac_parent_run_t;

static void watch_keeper(ac_parent_run_t *run, const ac_parent_state_t *state);

/* Neither waits nor trusts a pid alone: a dead keeper that nobody has waited
 * for yet still has its pid. */
static int keeper_lives(ac_parent_state_t *state)
{
    int status;

    if (state->keeper && waitpid(state->keeper, &status, WNOHANG) != 0) {
        state->keeper = 0;
        ac_parent_close(&state->control);
    }
    return state->keeper != 0;
}

/* Ends early when the link does, which goes with httpd's parent: the sockets that
 * httpd listens to are open here until the keeper begins. */
static void nap(int link, apr_interval_time_t time)
{
    struct pollfd pfd = { .fd = link, .events = POLLRDHUP };

    poll(&pfd, 1, (int)apr_time_as_msec(time));
}

static int main_log_fd(const server_rec *s)
{
    apr_os_file_t fd;

    return s->error_log && apr_os_file_get(&fd, s->error_log) == APR_SUCCESS ? fd : -1;
}

/* The keeper's life begins here. It shares this process's memory image, not its
 * pools' cleanups: it never returns. A keeper that keeps dying starts later and
 * later; the delay is taken here so that httpd's parent never waits for it. */
static void __attribute__((noreturn))
become_keeper(const ac_parent_state_t *state, const server_rec *s, int control,
              pid_t parent)
{
    ac_keeper_args_t args = {
        .control = control,
        .board_fd = state->board,
        .rows_fd = state->rows,
        .wake_fd = state->wake_receive,
        .stderr_fd = main_log_fd(s),
        .parent = parent
    };

    nap(control,
        ac_backoff_delay((unsigned)state->failures, (uint32_t)getpid() * 2654435761u));
    ac_keeper_main(&args);
}

static apr_status_t start_keeper(ac_parent_state_t *state, const server_rec *s)
{
    int link[2];
    apr_status_t rv = ac_message_pair(link);
    pid_t parent = getpid(), pid;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    /* Whatever stdio holds would be written twice. */
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        close(link[0]);
        become_keeper(state, s, link[1], parent);
    }
    rv = pid < 0 ? errno : APR_SUCCESS;
    close(link[1]);
    if (rv != APR_SUCCESS) {
        close(link[0]);
        return rv;
    }
    ac_parent_close(&state->control);
    state->control = link[0];
    state->keeper = (int)pid;
    state->started = (int)apr_time_sec(ac_clock_now());
    return APR_SUCCESS;
}

/* The keeper is the one child of ours that httpd's parent has. Nothing may be
 * awaited here: httpd would notice no child's end meanwhile. What is sent lies
 * in the socket until the new keeper reads it. */
static void replace_keeper(ac_parent_run_t *run, ac_parent_state_t *state)
{
    int lived = (int)apr_time_sec(ac_clock_now()) - state->started;
    apr_pool_t *ptemp;
    apr_status_t rv;

    apr_pool_create(&ptemp, run->pconf);
    state->keeper = 0;
    state->failures = lived < STEADY ? state->failures + 1 : 1;
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, run->main, "the keeper, which starts and "
                 "watches all apps, ended after %d s; starting another", lived);
    rv = start_keeper(state, run->main);
    if (rv == APR_SUCCESS) {
        watch_keeper(run, state);
        rv = ac_parent_hand_over(state, run->main, run->logs, 0, ptemp);
    }
    if (rv != APR_SUCCESS && !APR_STATUS_IS_TIMEUP(rv)) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, run->main, "the keeper cannot be "
                     "started; apps stay as they are until httpd is reloaded");
    }
    if (!state->keeper
        || ac_backoff_delay((unsigned)state->failures, UINT32_MAX / 2) > LONG_PAUSE) {
        ac_board_abandon(state->board, ptemp);
    }
    apr_pool_destroy(ptemp);
}

/* other_child callback. Unregistering is httpd's way to say that pconf goes. */
static void keeper_ended(int reason, void *data, apr_wait_t status)
{
    ac_parent_run_t *run = data;
    ac_parent_state_t *state = ac_parent_state();

    (void)status;
    if (reason != APR_OC_REASON_DEATH && reason != APR_OC_REASON_LOST) {
        return;
    }
    if (state->keeper != run->proc.pid) {
        return;
    }
    apr_proc_other_child_unregister(run);
    replace_keeper(run, state);
}

static void watch_keeper(ac_parent_run_t *run, const ac_parent_state_t *state)
{
    run->proc.pid = state->keeper;
    apr_proc_other_child_register(&run->proc, keeper_ended, run, NULL, run->pconf);
}

/* 1 once the keeper has ended and was waited for. Meanwhile it may tell how long
 * its apps may take: then *plimit becomes that and some more. */
static int await_end(ac_parent_state_t *state, apr_interval_time_t *plimit,
                     apr_pool_t *ptemp)
{
    struct pollfd pfds[2] = { { .events = POLLIN }, { .events = POLLIN } };
    apr_time_t begin = ac_clock_now(), left;
    int status, ended, seconds;

    pfds[0].fd = (int)syscall(SYS_pidfd_open, state->keeper, 0);
    while ((ended = waitpid(state->keeper, &status, WNOHANG)) == 0) {
        if (ac_parent_hear_stopping(state, &seconds, ptemp)) {
            *plimit = apr_time_from_sec(seconds) + STOP_GRACE;
        }
        left = begin + *plimit - ac_clock_now();
        if (left <= 0 || pfds[0].fd < 0) {
            break;
        }
        pfds[1].fd = state->control;
        poll(pfds, 2, (int)(left / 1000) + 1);
    }
    ac_parent_close(&pfds[0].fd);
    return ended != 0;
}

static void stop_keeper(ac_parent_state_t *state, const server_rec *s, apr_pool_t *ptemp)
{
    apr_interval_time_t limit = apr_time_from_sec(state->shutdown_limit) + STOP_GRACE;

    if (!keeper_lives(state)) {
        return;
    }
    ac_parent_send_stop(state, ac_clock_now() + ACK_TIME, ptemp);
    /* End of file means stop as well, should the message not have got through. The
     * other direction stays open. */
    shutdown(state->control, SHUT_WR);
    if (!await_end(state, &limit, ptemp)) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, "apps did not end within %d s; the "
                     "keeper (pid %d) goes on ending them", (int)apr_time_sec(limit),
                     state->keeper);
    }
    ac_parent_close(&state->control);
    state->keeper = 0;
}

/* pconf goes at every reload; only at the end do apps go with it. */
static apr_status_t stop_at_exit(void *data)
{
    ac_parent_run_t *run = data;
    ac_parent_state_t *state = ac_parent_state();

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_EXITING
        && state->owner == (int)getpid()) {
        stop_keeper(state, run->main, run->pconf);
    }
    return APR_SUCCESS;
}

/* A module of another version was here before. Its keeper leaves at once, ours
 * takes its apps over. Children of before go on by their board and the apps that it
 * shows, but nobody starts any for them. */
static void replace_version(ac_parent_state_t *state, const server_rec *s,
                            apr_pool_t *ptemp)
{
    apr_interval_time_t limit = LEAVE_TIME;

    if (!state->protocol || state->protocol == (int)ac_message_version) {
        return;
    }
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, "mod_appcore was replaced by another "
                 "version, which takes over the apps that run and replaces them one "
                 "by one");
    if (keeper_lives(state)) {
        kill(state->keeper, SIGUSR2);
        if (!await_end(state, &limit, ptemp)) {
            kill(state->keeper, SIGKILL);
            await_end(state, &limit, ptemp);
        }
    }
    ac_board_abandon(state->board, ptemp);
    ac_parent_state_reset(state);
}

/* APR_EOF: the keeper ended over it, and was waited for. */
static apr_status_t hand_over(ac_parent_state_t *state, ac_parent_run_t *run,
                              apr_pool_t *ptemp)
{
    apr_interval_time_t limit = ACK_TIME;
    apr_status_t rv = APR_SUCCESS;

    if (!keeper_lives(state)) {
        rv = start_keeper(state, run->main);
    }
    if (rv == APR_SUCCESS) {
        rv = ac_parent_hand_over(state, run->main, run->logs, ac_clock_now() + ACK_TIME,
                                 ptemp);
    }
    if (rv == APR_EOF && await_end(state, &limit, ptemp)) {
        state->keeper = 0;
        ac_parent_close(&state->control);
    }
    return rv;
}

static ac_parent_run_t *make_run(server_rec *main_server, const apr_array_header_t *logs,
                                 apr_pool_t *pconf)
{
    ac_parent_run_t *run = apr_pcalloc(pconf, sizeof(*run));

    run->pconf = pconf;
    run->main = main_server;
    run->logs = logs;
    return run;
}

apr_status_t ac_parent_apply(server_rec *main_server, const ac_spec_table_t *table,
                             const apr_array_header_t *log_servers, apr_pool_t *pconf)
{
    ac_parent_state_t *state = ac_parent_state();
    ac_parent_run_t *run = make_run(main_server, log_servers, pconf);
    int has_apps = table->specs->nelts > 0 || state->keeper;
    apr_pool_t *ptemp;
    apr_status_t rv;

    apr_pool_create(&ptemp, pconf);
    replace_version(state, main_server, ptemp);
    /* A keeper that is gone may have left some. */
    if (!keeper_lives(state) && !has_apps) {
        apr_pool_destroy(ptemp);
        return APR_SUCCESS;
    }
    rv = ac_parent_state_open(state);
    if (rv == APR_SUCCESS) {
        rv = ac_parent_keep_table(state, table, ptemp);
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, main_server, "cannot prepare what the "
                     "keeper of apps needs");
        goto cleanup;
    }
    rv = hand_over(state, run, ptemp);
    if (rv == APR_EOF) {
        /* It ended while it was told; a fresh one gets one chance. */
        rv = hand_over(state, run, ptemp);
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, main_server, "the keeper of apps did "
                     "not take the configuration over; apps may be missing or "
                     "out of date");
    }
    if (keeper_lives(state)) {
        watch_keeper(run, state);
    }
    else {
        ac_board_abandon(state->board, ptemp);
    }
    apr_pool_cleanup_register(pconf, run, stop_at_exit, apr_pool_cleanup_null);
    rv = APR_SUCCESS;

cleanup:
    apr_pool_destroy(ptemp);
    return rv;
}

apr_status_t ac_parent_child_fds(ac_parent_fds_t *fds)
{
    ac_parent_state_t *state = ac_parent_state();

    fds->board_ro = state->board_ro;
    fds->rows = state->rows;
    fds->wake = state->wake_send;
    /* With httpd -X the only child is the parent itself. */
    if (state->owner != (int)getpid()) {
        ac_parent_close(&state->control);
        ac_parent_close(&state->board);
        ac_parent_close(&state->wake_receive);
        ac_parent_close(&state->table);
    }
    return fds->board_ro >= 0 ? APR_SUCCESS : APR_ENOENT;
}
