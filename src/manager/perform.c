/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "manager/loop.h"

#include <stdlib.h>
#include <unistd.h>

ac_home_t *ac_home_of(const ac_sup_app_t *app)
{
    return app->io;
}

ac_run_t *ac_run_of(const ac_sup_proc_t *proc)
{
    return proc->io;
}

ac_run_t *ac_run_create(ac_manager_t *m, ac_sup_proc_t *proc)
{
    ac_run_t *run = calloc(1, sizeof(*run));

    if (!run) {
        abort();
    }
    run->m = m;
    run->proc = proc;
    run->index = -1;
    run->wait_status = -1;
    run->listener = -1;
    run->knock = -1;
    run->asking = -1;
    run->folder_watch.fd = -1;
    if (proc) {
        proc->io = run;
    }
    return run;
}

void ac_run_close_listener(ac_run_t *run)
{
    if (run->listener >= 0) {
        close(run->listener);
        run->listener = -1;
    }
}

void ac_run_destroy(ac_run_t *run)
{
    ac_ready_stop(run);
    ac_doubt_stop(run);
    if (run->index >= 0) {
        ac_publish_give(run->m, (unsigned)run->index);
    }
    ac_run_close_listener(run);
    free(run->command);
    free(run->user);
    free(run->folder);
    free(run->found);
    free(run);
}

static void home_destroy(ac_home_t *home)
{
    ac_report_remove(home->m->table->globals.runtime_dir, home->app->id);
    ac_offline_remove(home->m->table->globals.runtime_dir, home->app->id,
                      home->m->ptemp);
    ac_look_cancel(home);
    ac_look_drop(home);
    ac_eyes_forget(home);
    free(home->name);
    free(home);
}

static void send_signal(ac_run_t *run, const ac_sup_action_t *act)
{
    ac_wire_writer_t w;

    ac_talk_begin(run->m, &w, AC_MSG_SIGNAL, run->proc->is.tag);
    ac_wire_put_u32(&w, (uint32_t)act->signal);
    ac_wire_put_u8(&w, act->group != 0);
    ac_talk_keeper(run->m, &w);
}

static void count_requests(ac_run_t *run)
{
    if (run->uncounted) {
        return;
    }
    if (run->index < 0
        || ac_rows_proc_count(run->m->rows, (unsigned)run->index) == 0) {
        ac_sup_drained(run->proc);
    }
}

static void measure(ac_home_t *home)
{
    ac_manager_t *m = home->m;
    const ac_sup_app_t *app = home->app;
    unsigned i, n = home->index < 0 ? 0
                    : ac_rows_wait_count(m->rows, (unsigned)home->index);

    for (i = 0; i < app->n_slots; ++i) {
        const ac_run_t *run = app->slots[i].current ? ac_run_of(app->slots[i].current)
                                                    : NULL;

        n += run && run->index >= 0 ? ac_rows_proc_count(m->rows, (unsigned)run->index)
                                    : 0;
    }
    ac_sup_load(home->app, n);
}

static void say_app(ac_home_t *home, const ac_sup_action_t *act)
{
    char span[32];

    ac_talk_span(span, sizeof(span), act->delay);
    if (act->say == AC_SAY_NEXT_START && home->app->pause == AC_PAUSE_REFUSED) {
        ac_talk_line(home->m, home, AC_LEVEL_NOTICE,
                     "its folder is looked at again with the first request after %s",
                     span);
    }
    else if (act->say == AC_SAY_NEXT_START) {
        ac_talk_line(home->m, home, AC_LEVEL_NOTICE,
                     "failed %u times in a row; no new start within %s",
                     home->app->breaker.streak, span);
    }
    else if (act->say == AC_SAY_BREAKER_OPEN) {
        ac_talk_line(home->m, home, AC_LEVEL_ERR,
                     "failed more than %u times within a minute"
                     " (AppCoreRapidFailsPerMinute): requests get 503, the next start is"
                     " tried in %s", home->app->conf.rapid_fails, span);
    }
    else if (act->say == AC_SAY_OFFLINE) {
        ac_talk_line(home->m, home, AC_LEVEL_NOTICE,
                     "has " AC_OFFLINE_NAME " in its folder: it is stopped, and all"
                     " requests get that page");
    }
    else if (act->say == AC_SAY_ONLINE) {
        ac_talk_line(home->m, home, AC_LEVEL_NOTICE, AC_OFFLINE_NAME " is gone");
    }
    else if (act->say == AC_SAY_GROW || act->say == AC_SAY_SHRINK) {
        ac_talk_line(home->m, home, AC_LEVEL_NOTICE, "%s: %u process%s from now on",
                     act->say == AC_SAY_SHRINK ? "has little to do"
                     : "has more to do than its processes can take", home->app->target,
                     home->app->target == 1 ? "" : "es");
    }
    else if (act->say == AC_SAY_BREAKER_CLOSED) {
        ac_talk_line(home->m, home, AC_LEVEL_NOTICE, "works again");
    }
}

static const char *reason_to_drain(const ac_sup_proc_t *proc)
{
    const ac_sup_app_t *app = proc->app;

    if (app->offline) {
        return "its app is taken offline";
    }
    if (app->mode == AC_SUP_REMOVED) {
        return "its app is not configured any more";
    }
    if (proc->is.slot >= app->conf.processes) {
        return "fewer processes are configured";
    }
    if (proc->is.slot >= app->target) {
        return "there is not enough to do for it";
    }
    if (ac_marks_changed(&proc->is.marks, &app->marks, app->conf.keep_config)) {
        return "its app's folder changed, so it is replaced";
    }
    return "it is replaced";
}

static void say_run(ac_run_t *run, const ac_sup_action_t *act)
{
    char span[32];

    ac_talk_span(span, sizeof(span), run->proc->app->conf.shutdown_limit);
    if (act->say == AC_SAY_DRAIN) {
        ac_talk_run(run, AC_LEVEL_NOTICE, "gets no new requests: %s",
                    reason_to_drain(run->proc));
    }
    else if (act->say == AC_SAY_DRAIN_LIMIT && run->uncounted) {
        ac_talk_run(run, AC_LEVEL_NOTICE, "is stopped: httpd's children of before had %s"
                    " for their last requests to it", span);
    }
    else if (act->say == AC_SAY_DRAIN_LIMIT) {
        ac_talk_run(run, AC_LEVEL_WARNING,
                    "still had requests in flight after %s and is stopped now", span);
    }
    else if (act->say == AC_SAY_KILL) {
        ac_talk_run(run, AC_LEVEL_WARNING,
                    "did not end within %s after SIGTERM (AppCoreShutdownTimeLimit) and"
                    " is killed", span);
    }
}

static void perform_run(ac_run_t *run, const ac_sup_action_t *act)
{
    switch (act->what) {
    case AC_ACT_LISTEN:
        ac_spawn_listen(run);
        break;
    case AC_ACT_SPAWN:
        ac_spawn_exec(run);
        break;
    case AC_ACT_PROBE:
        ac_ready_start(run);
        break;
    case AC_ACT_QUIET:
        ac_ready_stop(run);
        break;
    case AC_ACT_COUNT:
        count_requests(run);
        break;
    case AC_ACT_SIGNAL:
        send_signal(run, act);
        break;
    case AC_ACT_NOTE:
        ac_run_note(run);
        break;
    case AC_ACT_SAY:
        say_run(run, act);
        break;
    case AC_ACT_FORGET:
        ac_talk_tag(run->m, AC_MSG_FORGET, run->proc->is.tag);
        break;
    case AC_ACT_FREE:
        ac_eyes_ended(ac_home_of(run->proc->app));
        ac_run_destroy(run);
        break;
    default:
        break;
    }
}

static void perform_app(ac_home_t *home, const ac_sup_action_t *act)
{
    switch (act->what) {
    case AC_ACT_LOOK:
        ac_look_start(home);
        break;
    case AC_ACT_UNLOOK:
        ac_look_drop(home);
        break;
    case AC_ACT_MEASURE:
        measure(home);
        break;
    case AC_ACT_PUBLISH:
        ac_publish_app(home);
        break;
    case AC_ACT_SAY:
        say_app(home, act);
        break;
    case AC_ACT_REMOVE:
        home_destroy(home);
        break;
    default:
        break;
    }
}

void ac_perform_all(ac_manager_t *m)
{
    ac_sup_action_t act;

    while (ac_sup_next(m->sup, &act)) {
        ac_home_t *home = ac_home_of(act.app);
        ac_run_t *run = act.proc ? ac_run_of(act.proc) : NULL;

        if (act.proc && !run) {
            run = ac_run_create(m, act.proc);
        }
        if (act.what == AC_ACT_REPORT) {
            ac_failure_report(home, run, act.result);
        }
        else if (run) {
            perform_run(run, &act);
        }
        else {
            perform_app(home, &act);
        }
    }
}
