/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/state.h"

#include <errno.h>
#include <string.h>
#include <apr_strings.h>

#include "keeper/helper.h"
#include "keeper/ledger.h"
#include "keeper/listen.h"
#include "keeper/output.h"
#include "keeper/process.h"
#include "keeper/service.h"
#include "spec/launch.h"

/* What manager and relay ask for. They have no privileges and may be anybody
 * who broke into them: each request is decoded whole, checked against the
 * parent's table, and can do no more than an app's own configuration allows. */

static void answer(ac_keeper_t *k, ac_message_e type, uint64_t tag, apr_status_t rv,
                   int fd)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, type, k->ptemp);
    ac_wire_put_u64(&w, tag);
    ac_wire_put_u32(&w, (uint32_t)rv);
    ac_service_send(k, &k->manager, &w, &fd, fd >= 0);
}

static void on_look(ac_keeper_t *k, ac_message_t *msg)
{
    ac_wire_reader_t *r = &msg->body, body;
    uint64_t tag = ac_wire_get_u64(r);
    uint64_t app_id = ac_wire_get_u64(r);
    apr_size_t len;
    const void *request = ac_wire_get_bytes(r, &len);

    if (ac_wire_reader_end(r) == APR_SUCCESS && !k->stop) {
        ac_wire_reader_init(&body, request, len);
        ac_helper_look(k, tag, app_id, &body, msg->n_fds > 0 ? msg->fds[0] : -1);
    }
}

static apr_status_t listen_for(ac_keeper_t *k, ac_kproc_t *proc, uint64_t heir_of)
{
    ac_kproc_t *from = heir_of ? ac_kproc_find(k, heir_of) : NULL;

    /* A successor without the inheritance is still a successor. */
    if (from && ac_listen_inherit(k, from, proc) == APR_SUCCESS) {
        return APR_SUCCESS;
    }
    return ac_listen_open(k, proc);
}

static void on_listen(ac_keeper_t *k, ac_wire_reader_t *r)
{
    uint64_t tag = ac_wire_get_u64(r);
    uint64_t app_id = ac_wire_get_u64(r);
    uint32_t slot = ac_wire_get_u32(r);
    uint32_t generation = ac_wire_get_u32(r);
    uint32_t reach = ac_wire_get_u32(r);
    uint64_t heir_of = ac_wire_get_u64(r);
    apr_status_t rv = APR_SUCCESS;
    ac_kproc_t *proc = NULL;

    if (ac_wire_reader_end(r) != APR_SUCCESS || k->stop) {
        return;
    }
    if (!ac_keeper_config_find(k->config, app_id) || ac_kproc_find_any(k, tag)) {
        rv = APR_EINVAL;
    }
    else {
        proc = ac_kproc_create(k, tag, app_id);
        rv = proc ? APR_SUCCESS : APR_ENOMEM;
    }
    if (rv == APR_SUCCESS) {
        proc->is.slot = slot;
        proc->is.generation = generation;
        proc->is.reach = reach;
        if (reach & AC_REACH_PATH) {
            ac_helper_folder(k, proc);
            return;
        }
        rv = listen_for(k, proc, heir_of);
    }
    answer(k, AC_MSG_LISTENING, tag, rv, rv == APR_SUCCESS ? proc->listener : -1);
}

static const char **get_strings(ac_wire_reader_t *r, uint32_t max, apr_pool_t *p)
{
    uint32_t n = ac_wire_get_count(r, max);
    const char **list = apr_pcalloc(p, (n + 1) * sizeof(*list));
    uint32_t i;

    for (i = 0; i < n; ++i) {
        list[i] = ac_wire_get_str(r, p);
        if (!list[i]) {
            r->status = APR_EINVAL;
        }
    }
    return list;
}

static void wipe_strings(const char **list)
{
    for (; *list; ++list) {
        explicit_bzero((char *)*list, strlen(*list));
    }
}

static void on_spawn(ac_keeper_t *k, ac_wire_reader_t *r)
{
    ac_spawn_request_t req;

    req.tag = ac_wire_get_u64(r);
    req.app_id = ac_wire_get_u64(r);
    req.slot = ac_wire_get_u32(r);
    req.generation = ac_wire_get_u32(r);
    req.reach = ac_wire_get_u32(r);
    req.proc = ac_wire_get_u32(r);
    req.shutdown_limit = ac_wire_get_count(r, AC_SHUTDOWN_SECONDS_MAX);
    req.argv = get_strings(r, AC_LAUNCH_ARGS_MAX * 2, k->ptemp);
    req.env = get_strings(r, AC_LAUNCH_ENV_MAX * 2, k->ptemp);
    ac_log_target_get(r, &req.log, k->ptemp);
    if (ac_wire_reader_end(r) == APR_SUCCESS && req.argv[0] && !k->stop) {
        ac_kproc_spawn(k, &req);
    }
    /* The environment has the app's secrets. */
    wipe_strings(req.env);
}

static void on_signal(ac_keeper_t *k, ac_wire_reader_t *r)
{
    ac_kproc_t *proc = ac_kproc_find(k, ac_wire_get_u64(r));
    uint32_t sig = ac_wire_get_u32(r);
    int group = ac_wire_get_u8(r);

    if (ac_wire_reader_end(r) == APR_SUCCESS && proc && sig > 0 && sig < 65) {
        ac_kproc_signal(proc, (int)sig, group);
    }
}

static void on_note(ac_keeper_t *k, ac_wire_reader_t *r)
{
    ac_kproc_t *proc = ac_kproc_find(k, ac_wire_get_u64(r));
    apr_size_t len;
    const void *note = ac_wire_get_bytes(r, &len);

    if (ac_wire_reader_end(r) == APR_SUCCESS && proc) {
        ac_kproc_note(proc, note, len);
        if (proc->is.pid) {
            ac_ledger_put(k, proc);
        }
    }
}

static void on_take_path(ac_keeper_t *k, ac_wire_reader_t *r)
{
    uint64_t tag = ac_wire_get_u64(r);
    ac_kproc_t *proc = ac_kproc_find(k, tag);

    if (ac_wire_reader_end(r) == APR_SUCCESS) {
        answer(k, AC_MSG_PATH_TAKEN, tag,
               proc && proc->has_folder ? ac_listen_take_path(k, proc) : ENOENT, -1);
    }
}

static void on_forget(ac_keeper_t *k, ac_wire_reader_t *r)
{
    ac_kproc_t *proc = ac_kproc_find(k, ac_wire_get_u64(r));

    if (ac_wire_reader_end(r) == APR_SUCCESS && proc) {
        ac_kproc_forget(k, proc);
    }
}

static void on_open_log(ac_keeper_t *k, ac_wire_reader_t *r)
{
    uint64_t tag = ac_wire_get_u64(r);
    const char *stamp = ac_wire_get_str(r, k->ptemp);

    if (ac_wire_reader_end(r) == APR_SUCCESS && stamp) {
        ac_output_open(k, tag, stamp);
    }
}

static void of_manager(ac_keeper_t *k, ac_message_t *msg)
{
    static void (*const handlers[])(ac_keeper_t *, ac_wire_reader_t *) = {
        [AC_MSG_LISTEN] = on_listen,
        [AC_MSG_SPAWN] = on_spawn,
        [AC_MSG_SIGNAL] = on_signal,
        [AC_MSG_NOTE] = on_note,
        [AC_MSG_TAKE_PATH] = on_take_path,
        [AC_MSG_FORGET] = on_forget,
    };

    if (msg->type == AC_MSG_LOOK) {
        on_look(k, msg);
    }
    else if (msg->type < sizeof(handlers) / sizeof(handlers[0])
             && handlers[msg->type]) {
        handlers[msg->type](k, &msg->body);
    }
}

void ac_request(ac_keeper_t *k, ac_service_t *from, ac_message_t *msg)
{
    if (!from->is_relay) {
        of_manager(k, msg);
    }
    else if (msg->type == AC_MSG_OPEN_LOG) {
        on_open_log(k, &msg->body);
    }
}
