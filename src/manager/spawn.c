/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* From a launch to a process: the way it is reached, its port and token, its
 * command line and environment. The keeper forks. */

#include "manager/loop.h"

#include <stdlib.h>
#include <string.h>
#include <apr_strings.h>

#include "manager/port.h"
#include "shared/target.h"
#include "spec/argv.h"
#include "spec/handler.h"

#define SOCKET_NAME "app.sock"
#define HIDDEN "***"
#define TOKEN_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" \
    "0123456789-._~+/=:@!$&*()[]{}#%^"

/* A socket that the app makes itself is asked for by its command line, so it
 * would not take one of ours. */
static unsigned choose_reach(const ac_launch_t *launch, const ac_settings_t *set)
{
    unsigned reach = launch->reach;

    if (reach & AC_REACH_PATH) {
        reach &= ~(unsigned)AC_REACH_FD;
    }
    if (set->listen.v == AC_LISTEN_SOCKET) {
        reach &= ~(unsigned)AC_REACH_PORT;
    }
    else if (set->listen.v == AC_LISTEN_TCP) {
        reach &= (unsigned)AC_REACH_PORT;
    }
    else if (reach & AC_REACH_PATH) {
        reach = AC_REACH_PATH;
    }
    return reach;
}

static int is_port_ours(const ac_manager_t *m, uint32_t port)
{
    const ac_sup_app_t *app;
    const ac_sup_proc_t *proc;

    for (app = ac_sup_first(m->sup); app; app = app->next) {
        for (proc = app->procs; proc; proc = proc->next) {
            if (proc->io && ac_run_of(proc)->port == port) {
                return 1;
            }
        }
    }
    return 0;
}

static apr_status_t choose_port(ac_run_t *run, const ac_launch_t *launch)
{
    int tries;

    if (launch->port) {
        run->port = launch->port + run->proc->is.slot;
        return run->port <= AC_PORT_MAX ? APR_SUCCESS : APR_EINVAL;
    }
    for (tries = 0; tries < AC_PORT_TRIES; ++tries) {
        uint32_t port = ac_port_draw();

        if (!is_port_ours(run->m, port) && ac_port_is_free(port)) {
            run->port = port;
            return APR_SUCCESS;
        }
    }
    return APR_EGENERAL;
}

/* What waits in an inherited socket was sent with the dead process's token. */
static void inherit_token(ac_run_t *run)
{
    const ac_sup_proc_t *dead = ac_sup_find_proc(run->m->sup, run->proc->heir_of);

    if (dead && dead->io) {
        memcpy(run->token, ac_run_of(dead)->token, sizeof(run->token));
    }
}

static void ask_listener(ac_run_t *run)
{
    const ac_sup_proc_t *proc = run->proc;
    int inherits = (run->reach & AC_REACH_FD) != 0;
    ac_wire_writer_t w;

    if (inherits && proc->heir_of) {
        inherit_token(run);
    }
    ac_talk_begin(run->m, &w, AC_MSG_LISTEN, proc->is.tag);
    ac_wire_put_u64(&w, proc->app->id);
    ac_wire_put_u32(&w, proc->is.slot);
    ac_wire_put_u32(&w, proc->is.generation);
    ac_wire_put_u32(&w, run->reach & (AC_REACH_FD | AC_REACH_PATH));
    ac_wire_put_u64(&w, inherits ? proc->heir_of : 0);
    ac_talk_keeper(run->m, &w);
}

static const char *listen_word(const ac_settings_t *set)
{
    return set->listen.v == AC_LISTEN_SOCKET ? "socket" : "tcp";
}

void ac_spawn_listen(ac_run_t *run)
{
    ac_home_t *home = ac_home_of(run->proc->app);
    ac_result_t res = AC_RESULT_OK;

    run->reach = home->launch ? choose_reach(home->launch, home->set) : 0;
    if (!home->launch) {
        ac_result_set(&res, APR_EGENERAL, AC_STAGE_LISTEN, AC_FAULT_INTERNAL,
                      "what was found in the app's folder is gone");
    }
    else if (!run->reach) {
        ac_result_set(&res, APR_EINVAL, AC_STAGE_LISTEN, AC_FAULT_LISTEN,
                      "this app cannot be reached as 'AppCoreListen %s' asks; use"
                      " 'AppCoreListen auto'", listen_word(home->set));
    }
    else if ((run->reach & AC_REACH_PORT)
             && choose_port(run, home->launch) != APR_SUCCESS) {
        ac_result_set(&res, APR_EGENERAL, AC_STAGE_LISTEN, AC_FAULT_LISTEN,
                      "no free port was found for the app");
    }
    if (res.fault == AC_FAULT_NONE && (run->reach & (AC_REACH_FD | AC_REACH_PATH))) {
        ask_listener(run);
        return;
    }
    ac_sup_listening(run->proc, &res, 0);
}

/* RUNTIMEDIR/p/ID.SLOT.GENERATION/app.sock, named as the socket in s/. */
const char *ac_run_app_socket(ac_run_t *run)
{
    const ac_sup_proc_t *proc = run->proc;
    const char *dir = run->m->table->globals.runtime_dir;
    char path[256];

    ac_board_socket_path(path, sizeof(path), dir, proc->app->id, proc->is.slot,
                         proc->is.generation);
    return apr_pstrcat(run->m->ptemp, dir, "/p", strrchr(path, '/'), "/" SOCKET_NAME,
                       NULL);
}

/* It goes into a header field; what is not fit for one cannot be a token. */
static int is_token(const char *text)
{
    return *text && strspn(text, TOKEN_CHARACTERS) == strlen(text);
}

static void describe(ac_instance_t *inst, ac_run_t *run)
{
    ac_home_t *home = ac_home_of(run->proc->app);

    memset(inst, 0, sizeof(*inst));
    if (home->launch->kind == AC_KIND_DOTNET) {
        const ac_env_var_t *fixed = ac_settings_env(home->set, "ASPNETCORE_TOKEN");

        if (fixed && is_token(fixed->value)) {
            apr_cpystrn(run->token, fixed->value, sizeof(run->token));
        }
        else if (!*run->token) {
            ac_token_draw(run->token);
        }
        inst->token = run->token;
    }
    inst->slot = run->proc->is.slot;
    inst->generation = run->proc->is.generation;
    inst->reach = run->reach;
    inst->port = run->port;
    inst->socket_path = run->reach & AC_REACH_PATH
                        ? ac_run_app_socket(run) : NULL;
    inst->notify_path = run->m->notify_path;
    inst->prefix = home->spec->prefix;
}

/* The manager's names outlive a spec. */
static void choose_log(ac_log_target_t *target, const ac_home_t *home, apr_pool_t *p)
{
    ac_log_target_choose(target, home->spec, home->set, p);
    target->app = home->name;
    target->log_index = home->log_index;
    target->log_level = home->log_level;
    if (!ac_handler_is_on(home->set, AC_HANDLER_CONSOLE, 1)) {
        target->mode = AC_LOG_NONE;
    }
}

static void put_strings(ac_wire_writer_t *w, const char *const *list)
{
    uint32_t i, n = 0;

    while (list[n]) {
        ++n;
    }
    ac_wire_put_u32(w, n);
    for (i = 0; i < n; ++i) {
        ac_wire_put_str(w, list[i]);
    }
}

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

static apr_array_header_t *hide(const apr_array_header_t *environment, apr_pool_t *p)
{
    apr_array_header_t *shown = apr_array_copy(p, environment);
    int i;

    for (i = 0; i < shown->nelts; ++i) {
        ac_env_var_t *var = &APR_ARRAY_IDX(shown, i, ac_env_var_t);

        var->value = var->secret ? HIDDEN : var->value;
    }
    return shown;
}

/* The command line for log and error page: as it is run, but made with other
 * values for what comes from AppCoreEnvironmentFile, and for the token. */
static char *shown_command(ac_run_t *run, ac_instance_t inst)
{
    ac_home_t *home = ac_home_of(run->proc->app);
    apr_pool_t *p = run->m->ptemp;
    apr_array_header_t *words = apr_array_make(p, 8, sizeof(const char *));
    ac_settings_t set = *home->spec->set;
    ac_spec_t spec = *home->spec;
    const char **env, **word;

    set.environment.v = hide(set.environment.v, p);
    spec.set = &set;
    inst.token = inst.token ? HIDDEN : NULL;
    env = ac_launch_env(&spec, home->launch, &inst, run->m->inherited, p);
    for (word = ac_launch_argv(home->launch, &inst, env, p); *word; ++word) {
        APR_ARRAY_PUSH(words, const char *) = *word;
    }
    return copy(ac_argv_join(words, p));
}

static void remember(ac_run_t *run, const ac_launch_t *launch, const ac_instance_t *inst)
{
    run->command = shown_command(run, *inst);
    run->user = copy(launch->user);
    run->folder = copy(launch->folder);
    run->found = copy(launch->found);
    run->uid = launch->uid;
}

static void put_spawn(ac_wire_writer_t *w, ac_run_t *run)
{
    const ac_sup_proc_t *proc = run->proc;
    ac_home_t *home = ac_home_of(proc->app);
    apr_pool_t *p = run->m->ptemp;
    ac_log_target_t target;
    ac_instance_t inst;
    const char **env, **argv;

    choose_log(&target, home, p);
    describe(&inst, run);
    inst.is_logged = target.mode == AC_LOG_ERRORLOG;
    env = ac_launch_env(home->spec, home->launch, &inst, run->m->inherited, p);
    argv = ac_launch_argv(home->launch, &inst, env, p);
    remember(run, home->launch, &inst);
    ac_talk_begin(run->m, w, AC_MSG_SPAWN, proc->is.tag);
    ac_wire_put_u64(w, proc->app->id);
    ac_wire_put_u32(w, proc->is.slot);
    ac_wire_put_u32(w, proc->is.generation);
    ac_wire_put_u32(w, run->reach);
    ac_wire_put_u32(w, (uint32_t)run->index);
    ac_wire_put_u32(w, (uint32_t)home->set->shutdown_time_limit.v);
    put_strings(w, argv);
    put_strings(w, env);
    ac_log_target_put(w, &target);
}

void ac_spawn_exec(ac_run_t *run)
{
    ac_home_t *home = ac_home_of(run->proc->app);
    ac_result_t res = AC_RESULT_OK;
    ac_wire_writer_t w = { .status = APR_ENOSPC };

    run->index = ac_publish_take(run->m);
    if (run->index < 0 || !home->launch) {
        ac_result_set(&res, APR_ENOSPC, AC_STAGE_EXEC, AC_FAULT_INTERNAL,
                      "there are more processes than the board has room for");
        ac_sup_executed(run->proc, &res);
        return;
    }
    put_spawn(&w, run);
    if (w.status != APR_SUCCESS) {
        ac_result_set(&res, w.status, AC_STAGE_EXEC, AC_FAULT_EXEC,
                      "arguments and environment of the app are too large");
        ac_sup_executed(run->proc, &res);
        return;
    }
    run->started = run->m->now;
    ac_talk_keeper(run->m, &w);
    /* Port and token are in it: a successor could not find the process otherwise. */
    ac_run_note(run);
}
