/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <apr_strings.h>

#include "keeper/helper.h"
#include "keeper/identity.h"
#include "keeper/logfile.h"
#include "keeper/service.h"
#include "keeper/spawn.h"
#include "shared/target.h"

static void answer_log(ac_keeper_t *k, uint64_t tag, apr_status_t rv, int fd)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_LOG_FILE, k->ptemp);
    ac_wire_put_u64(&w, tag);
    ac_wire_put_u32(&w, (uint32_t)rv);
    ac_service_send(k, &k->relay, &w, &fd, rv == APR_SUCCESS);
}

static void file_child(ac_keeper_t *k, const ac_keeper_app_t *app, const ac_kproc_t *proc,
                       const char *stamp, int link)
{
    ac_identity_t id;
    ac_result_t res;
    ac_wire_writer_t w;
    apr_status_t rv;
    int fd = -1;

    ac_helper_begin(link);
    if (!ac_identity_resolve(&id, app, &res) || !ac_identity_take(&id, &res)
        || !ac_identity_enter(&id, app, &res)) {
        rv = res.status;
    }
    else {
        umask(app->umask >= 0 ? (mode_t)app->umask & 0777 : 027);
        rv = ac_logfile_open(&fd, &proc->log, stamp, (pid_t)proc->is.pid, k->ptemp);
    }
    ac_message_begin(&w, AC_MSG_LOG_FILE, k->ptemp);
    ac_wire_put_u32(&w, (uint32_t)rv);
    ac_message_send(AC_HELPER_LINK, &w, &fd, rv == APR_SUCCESS);
    _exit(0);
}

/* The file is not looked at here: even fstat() may wait for a file server. */
static void file_done(ac_keeper_t *k, ac_helper_t *helper, int wait_status)
{
    static unsigned char buf[AC_MESSAGE_MAX];
    apr_status_t rv = ETIMEDOUT;
    ac_message_t msg;

    (void)wait_status;
    if (ac_message_receive(helper->link, buf, &msg) != APR_SUCCESS) {
        answer_log(k, helper->tag, rv, -1);
        return;
    }
    rv = (apr_status_t)ac_wire_get_u32(&msg.body);
    if (rv == APR_SUCCESS && msg.n_fds != 1) {
        rv = APR_EINVAL;
    }
    answer_log(k, helper->tag, rv, msg.fds[0]);
    ac_message_done(&msg);
}

static apr_status_t open_file(ac_keeper_t *k, const ac_keeper_app_t *app,
                              const ac_kproc_t *proc, const char *stamp)
{
    ac_helper_t *helper;
    int links[2];
    pid_t pid;

    if (ac_message_pair(links) != APR_SUCCESS) {
        return errno;
    }
    pid = fork();
    if (pid == 0) {
        file_child(k, app, proc, stamp, links[1]);
    }
    close(links[1]);
    if (pid < 0) {
        close(links[0]);
        return EAGAIN;
    }
    helper = ac_helper_watch(k, pid, links[0]);
    if (!helper) {
        return EAGAIN;
    }
    helper->tag = proc->is.tag;
    helper->done = file_done;
    return APR_SUCCESS;
}

static void program_done(ac_keeper_t *k, ac_helper_t *helper, int wait_status)
{
    ac_kproc_t *proc = ac_kproc_find_any(k, helper->tag);
    ac_result_t res = AC_RESULT_OK;

    if (ac_spawn_status(helper->link, &res) == APR_SUCCESS
        && res.fault != AC_FAULT_NONE) {
        ac_keeper_log(k, AC_LEVEL_ERR, proc, "the log program did not start: %s",
                      res.detail);
    }
    else if (!helper->kill_at && !k->stop) {
        ac_keeper_log(k, AC_LEVEL_WARNING, proc, "the log program ended (%s %d)",
                      WIFSIGNALED(wait_status) ? "signal" : "exit",
                      WIFSIGNALED(wait_status) ? WTERMSIG(wait_status)
                                               : WEXITSTATUS(wait_status));
    }
}

static apr_status_t run_program(ac_keeper_t *k, const ac_keeper_app_t *app,
                                const ac_kproc_t *proc)
{
    ac_spawn_t what = {
        .app = app, .out = -1, .err = -1, .listener = -1, .files = &k->files
    };
    ac_helper_t *helper = NULL;
    apr_status_t rv;
    ac_spawned_t spawned;
    int ends[2];

    what.argv = proc->log.file ? ac_log_program_argv(proc->log.file, k->ptemp) : NULL;
    if (!what.argv) {
        return APR_EINVAL;
    }
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return errno;
    }
    what.env = ac_log_program_env(k->ptemp);
    what.in = ends[0];
    rv = ac_spawn(&spawned, &what);
    close(ends[0]);
    if (rv == APR_SUCCESS) {
        /* Without a keeper and a relay it comes to the end of its input. */
        ac_spawn_release(&spawned);
        helper = ac_helper_watch(k, spawned.pid, spawned.status);
        rv = helper ? APR_SUCCESS : EAGAIN;
    }
    if (helper) {
        helper->tag = proc->is.tag;
        helper->kill_at = 0;
        helper->done = program_done;
        answer_log(k, proc->is.tag, APR_SUCCESS, ends[1]);
    }
    close(ends[1]);
    return rv;
}

void ac_output_open(ac_keeper_t *k, uint64_t tag, const char *stamp)
{
    ac_kproc_t *proc = ac_kproc_find_any(k, tag);
    const ac_keeper_app_t *app = NULL;
    apr_status_t rv = ESRCH;

    if (proc) {
        app = ac_keeper_config_find(k->config, proc->is.app_id);
    }

    if (app && proc->log.mode == AC_LOG_FILE && proc->log.file) {
        rv = open_file(k, app, proc, stamp);
    }
    else if (app && proc->log.mode == AC_LOG_PROGRAM) {
        rv = run_program(k, app, proc);
    }
    if (rv != APR_SUCCESS) {
        answer_log(k, tag, rv, -1);
    }
}
