/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <apr_strings.h>

#include "base/clock.h"
#include "keeper/identity.h"
#include "keeper/listen.h"
#include "keeper/runtime.h"
#include "keeper/service.h"
#include "keeper/spawn.h"
#include "spec/look.h"

#define HELPER_TIME 10          /* seconds, by its own alarm */
#define KILL_TIME apr_time_from_sec(HELPER_TIME + 2)
#define PROGRAM_END_TIME apr_time_from_sec(5)
#define LOOK_MEMORY (256L * 1024 * 1024)

int ac_helper_owns(const ac_keeper_t *k, pid_t pid)
{
    const ac_helper_t *helper = k->helpers;

    while (helper && helper->pid != pid) {
        helper = helper->next;
    }
    return helper != NULL;
}

static void on_end(ac_keeper_t *k, ac_kwatch_t *watch, uint32_t events)
{
    ac_helper_t *helper = watch->owner;
    ac_helper_t **at = &k->helpers;
    int status = 0;

    (void)events;
    if (waitpid(helper->pid, &status, WNOHANG) != helper->pid) {
        return;
    }
    while (*at != helper) {
        at = &(*at)->next;
    }
    *at = helper->next;
    ac_kwatch_close(k, watch);
    if (helper->done) {
        helper->done(k, helper, status);
    }
    if (helper->link >= 0) {
        close(helper->link);
    }
    free(helper);
}

ac_helper_t *ac_helper_watch(ac_keeper_t *k, pid_t pid, int link)
{
    ac_helper_t *helper = calloc(1, sizeof(*helper));

    if (helper) {
        helper->pid = pid;
        helper->link = link;
        helper->kill_at = ac_clock_now() + KILL_TIME;
        ac_kwatch_init(&helper->pidfd, helper, on_end);
        if (ac_kwatch_pid(k, &helper->pidfd, pid) == APR_SUCCESS) {
            helper->next = k->helpers;
            k->helpers = helper;
            return helper;
        }
        free(helper);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    if (link >= 0) {
        close(link);
    }
    return NULL;
}

static void begin(int fd, int second)
{
    ac_spawn_reset_signals();
    ac_spawn_keep_two(fd, second);
    alarm(HELPER_TIME);
}

void ac_helper_begin(int fd)
{
    begin(fd, -1);
}

/* Looking */

static void limit_look(void)
{
    struct rlimit none = { 0, 0 }, files = { 0, RLIM_INFINITY }, memory;
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    /* Shadow copies alone are written, and raise the limit. */
    getrlimit(RLIMIT_FSIZE, &files);
    files.rlim_cur = 0;
    setrlimit(RLIMIT_FSIZE, &files);
    setrlimit(RLIMIT_CORE, &none);
    if (f && fscanf(f, "%ld", &pages) == 1 && getrlimit(RLIMIT_AS, &memory) == 0) {
        /* What httpd mapped is no measure of what a look may need. */
        memory.rlim_cur = (rlim_t)(pages * sysconf(_SC_PAGESIZE) + LOOK_MEMORY);
        if (memory.rlim_cur < memory.rlim_max) {
            setrlimit(RLIMIT_AS, &memory);
        }
    }
    if (f) {
        fclose(f);
    }
}

static ac_launch_t *refused(const ac_keeper_app_t *app, const ac_result_t *res,
                            apr_pool_t *p)
{
    ac_launch_t *launch = apr_pcalloc(p, sizeof(*launch));

    launch->result = *res;
    launch->folder = app->folder;
    launch->argv = apr_array_make(p, 1, sizeof(const char *));
    launch->notices = apr_array_make(p, 1, sizeof(const char *));
    launch->overlay = ac_settings_create(p);
    launch->max_content_length = -1;
    return launch;
}

/* The folder is the configured one, whatever the request says. */
static ac_launch_t *look(const ac_keeper_app_t *app, ac_wire_reader_t *request,
                         int inotify, apr_pool_t *p)
{
    ac_result_t res = AC_RESULT_OK;
    ac_look_request_t *req;
    ac_launch_t *launch;
    ac_identity_t id;
    const char *home;

    if (!ac_identity_resolve(&id, app, &res)) {
        return refused(app, &res, p);
    }
    home = ac_identity_home(&id, app, p);
    if (!ac_identity_take(&id, &res)) {
        return refused(app, &res, p);
    }
    limit_look();
    req = ac_look_request_get(request, p);
    if (!req || ac_wire_reader_end(request) != APR_SUCCESS) {
        ac_result_set(&res, APR_EINVAL, AC_STAGE_LOOK, AC_FAULT_INTERNAL,
                      "the question about the folder was garbled");
        return refused(app, &res, p);
    }
    req->folder = app->folder;
    launch = ac_look_watched(req, inotify, p);
    launch->uid = id.uid;
    launch->gid = id.gid;
    launch->user = id.user[0] ? apr_pstrdup(p, id.user) : NULL;
    launch->home = home;
    return launch;
}

static void look_child(const ac_keeper_app_t *app, ac_wire_reader_t *request, int out,
                       int inotify)
{
    ac_wire_writer_t w;
    apr_pool_t *p;
    apr_size_t at = 0;

    begin(out, inotify);
    apr_pool_create(&p, NULL);
    ac_wire_writer_init(&w, AC_LAUNCH_WIRE_MAX, p);
    ac_launch_put(&w, look(app, request, inotify < 0 ? -1 : AC_HELPER_INOTIFY, p));
    while (w.status == APR_SUCCESS && at < w.len) {
        ssize_t n = write(AC_HELPER_LINK, w.data + at, w.len - at);

        if (n <= 0) {
            _exit(1);
        }
        at += (apr_size_t)n;
    }
    _exit(0);
}

void ac_helper_look(ac_keeper_t *k, uint64_t tag, uint64_t app_id,
                    ac_wire_reader_t *request, int inotify)
{
    const ac_keeper_app_t *app = ac_keeper_config_find(k->config, app_id);
    ac_wire_writer_t w;
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return;
    }
    /* Without a child the manager reads an end without bytes. */
    pid = app ? fork() : -1;
    if (pid == 0) {
        look_child(app, request, ends[1], inotify);
    }
    close(ends[1]);
    ac_message_begin(&w, AC_MSG_LOOKED, k->ptemp);
    ac_wire_put_u64(&w, tag);
    ac_service_send(k, &k->manager, &w, &ends[0], 1);
    close(ends[0]);
    if (pid > 0) {
        ac_helper_watch(k, pid, -1);
    }
}

/* A folder for {socket} */

static void answer_listening(ac_keeper_t *k, uint64_t tag, apr_status_t rv)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_LISTENING, k->ptemp);
    ac_wire_put_u64(&w, tag);
    ac_wire_put_u32(&w, (uint32_t)rv);
    ac_service_send(k, &k->manager, &w, NULL, 0);
}

static void folder_child(ac_keeper_t *k, const ac_keeper_app_t *app,
                         const ac_kproc_t *proc)
{
    ac_identity_t id;
    ac_result_t res;
    apr_status_t rv;

    ac_helper_begin(k->private_fd);
    k->private_fd = AC_HELPER_LINK;
    if (!ac_identity_resolve(&id, app, &res)) {
        rv = res.status;
    }
    else {
        rv = ac_listen_make_folder(k, proc, id.uid);
    }
    _exit(rv >= 0 && rv < 255 ? rv : EPERM);
}

static void folder_done(ac_keeper_t *k, ac_helper_t *helper, int wait_status)
{
    ac_kproc_t *proc = ac_kproc_find(k, helper->tag);
    apr_status_t rv = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : ETIMEDOUT;

    if (!proc) {
        /* It was forgotten before there was a folder to remove. */
        ac_runtime_remove_private(k, helper->folder);
    }
    else {
        proc->has_folder = 1;
        answer_listening(k, helper->tag, rv);
    }
}

void ac_helper_folder(ac_keeper_t *k, ac_kproc_t *proc)
{
    const ac_keeper_app_t *app = ac_keeper_config_find(k->config, proc->is.app_id);
    ac_helper_t *helper = NULL;
    pid_t pid = app ? fork() : -1;

    if (pid == 0) {
        folder_child(k, app, proc);
    }
    if (pid > 0) {
        helper = ac_helper_watch(k, pid, -1);
    }
    if (!helper) {
        answer_listening(k, proc->is.tag, app ? EAGAIN : ENOENT);
        return;
    }
    helper->tag = proc->is.tag;
    helper->done = folder_done;
    ac_listen_name(helper->folder, proc);
}

/* Its pipe ends with the relay's stream; what does not read to the end and go
 * is ended. Helpers that answer somebody have a limit already. */
void ac_helper_orphan(ac_keeper_t *k, uint64_t tag)
{
    ac_helper_t *helper;

    for (helper = k->helpers; helper; helper = helper->next) {
        if (helper->tag == tag && !helper->kill_at) {
            helper->kill_at = ac_clock_now() + PROGRAM_END_TIME;
        }
    }
}

static void kill_helper(const ac_helper_t *helper)
{
    kill(helper->pid, SIGKILL);
    kill(-helper->pid, SIGKILL);
}

void ac_helper_tick(ac_keeper_t *k, apr_time_t now)
{
    ac_helper_t *helper;

    for (helper = k->helpers; helper; helper = helper->next) {
        if (helper->kill_at && now >= helper->kill_at) {
            kill_helper(helper);
            helper->kill_at = now + KILL_TIME;
        }
    }
}

void ac_helper_stop_all(ac_keeper_t *k)
{
    ac_helper_t *helper;

    for (helper = k->helpers; helper; helper = helper->next) {
        if (helper->kill_at) {
            kill_helper(helper);
        }
    }
}
