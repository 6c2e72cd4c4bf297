/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Having an app's folder looked at, by a process of the keeper that has the
 * app's identity; its answer comes through a pipe and is not trusted. */

#include "spec/look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <apr_strings.h>

#include "manager/loop.h"
#include "spec/handler.h"

#define CHUNK 8192

void ac_look_start(ac_home_t *home)
{
    ac_manager_t *m = home->m;
    ac_look_request_t req = { home->spec->folder, home->spec->prefix, home->spec->name,
                              home->spec->set, home->spec->companions, 0 };
    ac_wire_writer_t bytes, w;

    ac_look_cancel(home);
    home->look_tag = ++m->next_look;
    ac_sup_suspect(home->app, home->hint.first);
    ac_hint_looked(&home->hint, m->now);
    ac_wire_writer_init(&bytes, AC_MESSAGE_MAX, m->ptemp);
    ac_look_request_put(&bytes, &req);
    ac_talk_begin(m, &w, AC_MSG_LOOK, home->look_tag);
    ac_wire_put_u64(&w, home->app->id);
    ac_wire_put_bytes(&w, bytes.data, bytes.len);
    if (bytes.status == APR_SUCCESS && w.status == APR_SUCCESS) {
        ac_talk_keeper_fd(m, &w, m->eyes.fd);
    }
    else {
        ac_look_opened(m, home->look_tag, -1);
    }
}

void ac_look_cancel(ac_home_t *home)
{
    ac_watch_close(home->m, &home->look);
    free(home->look_data);
    home->look_data = NULL;
    home->look_len = 0;
    home->look_tag = 0;
}

void ac_look_drop(ac_home_t *home)
{
    if (home->p) {
        apr_pool_destroy(home->p);
    }
    home->p = NULL;
    home->launch = NULL;
    home->set = NULL;
}

void ac_home_conf(ac_sup_conf_t *conf, const ac_settings_t *set,
                  const ac_launch_t *launch)
{
    memset(conf, 0, sizeof(*conf));
    conf->processes = ac_processes_most(set);
    conf->least = ac_processes_least(set);
    conf->share = ac_processes_share(set);
    conf->rapid_fails = (unsigned)set->rapid_fails_per_minute.v;
    conf->startup_limit = apr_time_from_sec(set->startup_time_limit.v);
    conf->shutdown_limit = apr_time_from_sec(set->shutdown_time_limit.v);
    conf->keep_config = (unsigned)ac_handler_is_on(set, AC_HANDLER_NO_ROTATION, 0);
    /* One that children host is theirs to start, until one of them asks. */
    conf->inside = set->hosting_model.v == AC_HOSTING_IN_PROCESS;
    conf->always_running = set->start_mode.v == AC_START_ALWAYS_RUNNING && !conf->inside;
    /* Two processes cannot listen to one port that the administrator named. */
    conf->alone = launch && launch->port != 0;
}

void ac_home_facts(ac_home_t *home, const ac_settings_t *set)
{
    home->facts.detailed_errors = (uint8_t)ac_settings_shows_details(set);
    home->facts.disable_error_page = set->disable_startup_error_page.v == AC_ON;
    home->facts.withhold_user = set->forward_windows_auth_token.v == AC_OFF;
    home->facts.forward_close = (uint8_t)ac_handler_is_on(set, AC_HANDLER_CONNECTION, 0);
    home->facts.request_time = set->request_time.v;
    if (home->launch) {
        home->facts.kind = (uint32_t)home->launch->kind;
        home->facts.uid = home->launch->uid;
        home->facts.max_content_length = home->launch->max_content_length;
    }
}

static void say_found(ac_home_t *home)
{
    const ac_launch_t *launch = home->launch;
    int i;

    ac_talk_line(home->m, home, AC_LEVEL_NOTICE, "found %s",
                 launch->found ? launch->found : ac_kind_name(launch->kind));
    for (i = 0; i < launch->notices->nelts; ++i) {
        ac_talk_line(home->m, home, AC_LEVEL_NOTICE, "%s",
                     APR_ARRAY_IDX(launch->notices, i, const char *));
    }
}

static ac_launch_t *decode(ac_home_t *home)
{
    ac_wire_reader_t r;
    ac_launch_t *launch;

    if (!home->look_len) {
        return NULL;
    }
    ac_wire_reader_init(&r, home->look_data, home->look_len);
    launch = ac_launch_get(&r, home->p);
    return launch && ac_wire_reader_end(&r) == APR_SUCCESS ? launch : NULL;
}

/* The page is there before the board speaks of it. */
static void take_page(ac_home_t *home)
{
    ac_manager_t *m = home->m;
    const ac_survey_t *survey = &home->launch->survey;
    char reason[120];
    apr_status_t rv = ac_offline_write(m->table->globals.runtime_dir, home->app->id,
                                       survey->page, survey->page_len, m->ptemp);

    if (survey->page_fault) {
        ac_talk_line(m, home, AC_LEVEL_WARNING, "everybody gets an empty page: %s",
                     survey->page_fault);
    }
    if (rv != APR_SUCCESS) {
        ac_talk_line(m, home, AC_LEVEL_WARNING, "its page could not be kept: %s",
                     apr_strerror(rv, reason, sizeof(reason)));
    }
}

static void take_survey(ac_home_t *home)
{
    const ac_survey_t *survey = &home->launch->survey;

    if (survey->watched->nelts > 0 || survey->blind) {
        ac_eyes_follow(home, survey);
    }
    if (survey->is_offline) {
        take_page(home);
    }
    if (survey->marks.folder) {
        home->hint.missed = 0;
        ac_sup_surveyed(home->app, &survey->marks, survey->is_offline);
    }
    home->has_copy = survey->marks.copy != 0;
    home->app->changed = 1;
}

/* The keeper's own fault is known by silence: the process that looked was killed
 * at its limits, or could not be made. */
static void judge(const ac_home_t *home, ac_result_t *res)
{
    const ac_launch_t *launch = home->launch;

    if (!launch) {
        ac_result_set(res, APR_EGENERAL, AC_STAGE_LOOK, AC_FAULT_INTERNAL,
                      "looking at the app's folder ended without an answer; it has"
                      " 10 seconds and little memory");
    }
    else if (launch->result.fault == AC_FAULT_NONE && !launch->survey.is_offline
             && launch->argv->nelts == 0) {
        ac_result_set(res, APR_EINVAL, AC_STAGE_LOOK, AC_FAULT_INTERNAL,
                      "looking at the app's folder found no program");
    }
    else {
        *res = launch->result;
    }
}

static void take_launch(ac_home_t *home, ac_sup_conf_t *conf)
{
    home->set = ac_launch_settings(home->spec, home->launch, home->p);
    ac_home_facts(home, home->set);
    ac_home_conf(conf, home->set, home->launch);
}

/* A folder that is gone or not to be trusted, as in the middle of a deployment, or
 * whose look was killed: no event is sure to tell when that is over. */
static int is_missed(const ac_home_t *home)
{
    return (!home->launch || !home->launch->survey.marks.folder)
           && (home->app->procs || home->app->offline) && home->m->eyes.fd >= 0;
}

static void look_done(ac_home_t *home)
{
    ac_result_t res = AC_RESULT_OK;
    ac_sup_conf_t conf = { 0 };
    unsigned reports;

    ac_look_drop(home);
    apr_pool_create(&home->p, home->m->p);
    home->launch = decode(home);
    ac_look_cancel(home);
    judge(home, &res);
    if (home->launch) {
        take_survey(home);
    }
    if (res.fault == AC_FAULT_NONE && !home->launch->survey.is_offline) {
        take_launch(home, &conf);
    }
    if (res.fault != AC_FAULT_NONE && is_missed(home)) {
        ac_hint_missed(&home->hint, home->m->now);
    }
    reports = home->app->reports;
    ac_sup_looked(home->app, &res, &conf);
    if (res.fault != AC_FAULT_NONE && home->app->reports == reports) {
        ac_talk_line(home->m, home, AC_LEVEL_INFO, "nothing changes: %s", res.detail);
    }
    /* A look that changes nothing is no news. */
    if (home->app->look == AC_LOOK_KNOWN) {
        say_found(home);
    }
    if (home->app->moving) {
        ac_children_tell(home->m);
    }
}

static int append(ac_home_t *home, const char *data, apr_size_t len)
{
    char *all;

    if (home->look_len + len > AC_LAUNCH_WIRE_MAX) {
        return 0;
    }
    all = realloc(home->look_data, home->look_len + len);
    if (!all) {
        return 0;
    }
    memcpy(all + home->look_len, data, len);
    home->look_data = all;
    home->look_len += len;
    return 1;
}

static void look_read(ac_manager_t *m, ac_watch_t *w)
{
    ac_home_t *home = w->baton;
    char chunk[CHUNK];
    ssize_t n;

    (void)m;
    while ((n = read(w->fd, chunk, sizeof(chunk))) > 0) {
        if (!append(home, chunk, (apr_size_t)n)) {
            home->look_len = 0;
            n = 0;
            break;
        }
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        look_done(home);
    }
}

void ac_look_opened(ac_manager_t *m, uint64_t tag, int fd)
{
    ac_sup_app_t *app;

    for (app = ac_sup_first(m->sup); app; app = app->next) {
        ac_home_t *home = ac_home_of(app);

        if (home->look_tag != tag || home->look.fd >= 0) {
            continue;
        }
        if (fd < 0) {
            look_done(home);
            return;
        }
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        home->look.baton = home;
        home->look.ready = look_read;
        ac_watch_open(m, &home->look, fd);
        return;
    }
    if (fd >= 0) {
        close(fd);
    }
}
