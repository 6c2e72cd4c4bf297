/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Warming up: requests of ours to a process that accepts connections, before it
 * counts as ready. Driven by the same steps as the probes.
 *
 * AppCoreWarmUpPath must be answered below 400, or the start has failed. What a
 * web.config lists for application initialization is only asked for, as in IIS,
 * and only where the app starts without a request. */

#include "manager/warm.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <apr_strings.h>

#include "http1/response.h"
#include "http1/target.h"
#include "manager/knock.h"

#define BODY_MAX (1024 * 1024)
/* Who said all and does not close is not waited for. */
#define BODY_SILENCE apr_time_from_sec(1)
/* Who never pauses gets no more of the manager's time than others. */
#define READS_PER_STEP 16
/* The start-up limit as such would blame the app for not accepting. */
#define BEFORE_LIMIT apr_time_from_msec(50)

static const ac_settings_t *settings_of(const ac_home_t *home)
{
    return home->set ? home->set : home->spec ? home->spec->set : NULL;
}

static int is_dotnet(const ac_home_t *home)
{
    return home->facts.kind == AC_KIND_DOTNET;
}

static void copy_paths(ac_warm_t *warm, const apr_array_header_t *paths)
{
    int i;

    warm->paths = apr_array_make(warm->p, paths->nelts, sizeof(const char *));
    for (i = 0; i < paths->nelts; ++i) {
        APR_ARRAY_PUSH(warm->paths, const char *)
            = apr_pstrcat(warm->p, warm->prefix,
                          APR_ARRAY_IDX(paths, i, const char *), NULL);
    }
}

/* 0: there is nothing to ask for. */
static int begin(ac_run_t *run)
{
    const ac_home_t *home = ac_home_of(run->proc->app);
    const ac_settings_t *set = settings_of(home);
    ac_warm_t *warm;
    apr_pool_t *p;

    if (!set || !home->spec || set->warm_up.v->nelts == 0
        || (set->warm_up.origin == AC_ORIGIN_WEBCONFIG
            && set->start_mode.v != AC_START_ALWAYS_RUNNING)) {
        return 0;
    }
    apr_pool_create(&p, run->m->p);
    warm = apr_pcalloc(p, sizeof(*warm));
    warm->p = p;
    apr_pool_create(&warm->conn_p, p);
    warm->fd = -1;
    warm->strict = set->warm_up.origin != AC_ORIGIN_WEBCONFIG;
    warm->prefix = ac_target_escape(home->spec->prefix, p);
    copy_paths(warm, set->warm_up.v);
    warm->target = APR_ARRAY_IDX(warm->paths, 0, const char *);
    run->warm = warm;
    return 1;
}

static void disconnect(ac_warm_t *warm)
{
    if (warm->fd >= 0) {
        close(warm->fd);
        warm->fd = -1;
    }
    ac_warm_h2_close(warm);
    apr_pool_clear(warm->conn_p);
    warm->head = NULL;
    warm->sent = 0;
    warm->body = 0;
}

void ac_warm_stop(ac_run_t *run)
{
    if (run->warm) {
        disconnect(run->warm);
        apr_pool_destroy(run->warm->p);
        run->warm = NULL;
    }
}

static const char *host_of(const ac_spec_t *spec, apr_pool_t *p)
{
    const char *host = spec->host ? spec->host : "localhost";
    uint32_t usual = spec->scheme && strcmp(spec->scheme, "https") == 0 ? 443 : 80;

    return spec->port && spec->port != usual
           ? apr_psprintf(p, "%s:%u", host, spec->port) : host;
}

/* As a request of a client at this machine would reach the app. */
static void compose(const ac_run_t *run, ac_warm_t *warm)
{
    const ac_home_t *home = ac_home_of(run->proc->app);
    const ac_spec_t *spec = home->spec;
    const char *host = host_of(spec, warm->p);
    apr_table_t *fields = apr_table_make(warm->p, 8);

    apr_table_setn(fields, "Host", host);
    apr_table_setn(fields, "User-Agent", "mod_appcore (warm-up)");
    apr_table_setn(fields, "X-Forwarded-For", "127.0.0.1");
    apr_table_setn(fields, "X-Forwarded-Proto", spec->scheme ? spec->scheme : "http");
    if (!is_dotnet(home)) {
        apr_table_setn(fields, "X-Forwarded-Host", host);
        apr_table_setn(fields, "X-Forwarded-Prefix", *warm->prefix ? warm->prefix : "/");
        apr_table_setn(fields, "X-Real-IP", "127.0.0.1");
    }
    else if (*run->token) {
        apr_table_setn(fields, "MS-ASPNETCORE-TOKEN", run->token);
    }
    warm->fields = fields;
}

static const char *as_text(const ac_warm_t *warm)
{
    const apr_array_header_t *elts = apr_table_elts(warm->fields);
    const apr_table_entry_t *field = (const apr_table_entry_t *)elts->elts;
    const char *text = apr_pstrcat(warm->p, "GET ", warm->target,
                                   " HTTP/1.1\r\nConnection: close\r\n", NULL);
    int i;

    for (i = 0; i < elts->nelts; ++i, ++field) {
        text = apr_pstrcat(warm->p, text, field->key, ": ", field->val, "\r\n", NULL);
    }
    return apr_pstrcat(warm->p, text, "\r\n", NULL);
}

/* Once per target, since a process may take as many connections as the start has
 * steps, and drop them. */
static void prepare(ac_run_t *run)
{
    static const ac_response_limits_t limits = { 16 * 1024, 64 * 1024, 200 };
    ac_warm_t *warm = run->warm;

    compose(run, warm);
    if (run->protocol != AC_PROTOCOL_H2C) {
        warm->request = as_text(warm);
        warm->len = strlen(warm->request);
        warm->parser = ac_response_parser_create(&limits, warm->p);
    }
    warm->interims = 0;
}

static void connect_to(ac_run_t *run)
{
    ac_warm_t *warm = run->warm;
    char path[256];

    if (run->accepts == AC_ADDRESS_TCP) {
        warm->fd = ac_knock_port_open(run->port, run->ipv6);
    }
    else {
        ac_run_socket_path(path, sizeof(path), run);
        if (ac_knock_path(path, &warm->fd) != AC_KNOCK_TAKEN) {
            disconnect(warm);
        }
    }
    if (!warm->fields) {
        prepare(run);
    }
    if (warm->fd >= 0 && run->protocol == AC_PROTOCOL_H2C && !ac_warm_h2_open(warm)) {
        disconnect(warm);
    }
    warm->heard = run->m->now;
}

static void fail(ac_run_t *run, apr_status_t status, ac_fault_e fault, const char *what)
{
    ac_result_t res = AC_RESULT_OK;
    const char *target = run->warm->target;

    ac_result_set(&res, status, AC_STAGE_WARMUP, fault, "the warm-up request for %.200s"
                  " (AppCoreWarmUpPath) %.200s", target, what);
    ac_sup_failed(run->proc, &res);
}

/* Not ready. What only is asked for need not work. */
static int went_wrong(ac_run_t *run, const char *what)
{
    ac_warm_t *warm = run->warm;

    if (warm->strict) {
        fail(run, APR_EGENERAL, AC_FAULT_EXITED, what);
        return 0;
    }
    ac_talk_run(run, AC_LEVEL_WARNING, "was asked for its initialization page %.200s,"
                " which %.200s", warm->target, what);
    return 1;
}

static int is_redirect(const ac_response_t *head)
{
    return head->status >= 300 && head->status < 400 && head->status != 304;
}

/* 1: another request is to be made for the same page. */
static int follow(ac_run_t *run)
{
    ac_warm_t *warm = run->warm;
    const char *location = is_redirect(warm->head)
                           ? apr_table_get(warm->head->headers, "Location") : NULL;
    const char *path = location && !warm->redirected
                       ? ac_target_inside(location, warm->prefix) : NULL;

    if (!path) {
        return 0;
    }
    warm->target = apr_pstrmemdup(warm->p, path, strcspn(path, "#"));
    warm->redirected = 1;
    warm->fields = NULL;
    disconnect(warm);
    return 1;
}

/* 1: that was the last page. */
static int next_page(ac_warm_t *warm)
{
    disconnect(warm);
    warm->redirected = 0;
    warm->fields = NULL;
    if (++warm->at == warm->paths->nelts) {
        return 1;
    }
    warm->target = APR_ARRAY_IDX(warm->paths, warm->at, const char *);
    return 0;
}

static int answered(ac_run_t *run)
{
    ac_warm_t *warm = run->warm;

    if (!warm->head) {
        return went_wrong(run, "was not answered: the connection ended")
               && next_page(warm);
    }
    if (follow(run)) {
        return 0;
    }
    if (warm->head->status >= 400
        && !went_wrong(run, apr_psprintf(run->m->ptemp, "was answered with status %d",
                                         warm->head->status))) {
        return 0;
    }
    return next_page(warm);
}

/* 0 on what is no answer. */
static int take_http1(ac_warm_t *warm, const char *data, apr_size_t len)
{
    while (len > 0 && !warm->head) {
        apr_size_t used = 0;
        apr_status_t rv = ac_response_parse(warm->parser, data, len, &used);

        if (rv != APR_SUCCESS) {
            return rv == APR_INCOMPLETE;
        }
        data += used;
        len -= used;
        warm->head = ac_response_finish(warm->parser, 0);
        if (warm->head->status < 200 && warm->head->status != 101) {
            warm->head = NULL;
            ac_response_parser_reset(warm->parser);
            if (++warm->interims > AC_WARM_INTERIMS_MAX) {
                return 0;
            }
        }
    }
    warm->body += (apr_int64_t)len;
    return 1;
}

static int is_complete(const ac_run_t *run)
{
    const ac_warm_t *warm = run->warm;

    return warm->head
           && (warm->head->framing == AC_FRAMING_NONE
               || warm->head->framing == AC_FRAMING_TUNNEL
               || (warm->h2 && warm->h2->state != AC_H2_OPEN)
               || (warm->head->framing == AC_FRAMING_LENGTH
                   && warm->body >= warm->head->length)
               || warm->body > BODY_MAX || run->m->now - warm->heard > BODY_SILENCE);
}

static const char *complaint(const ac_warm_t *warm)
{
    return warm->h2 && (warm->h2->state == AC_H2_RESET || warm->h2->state == AC_H2_UNREAD)
           ? "was not answered: the app reset the stream" : "was not answered with HTTP";
}

static void say(ac_warm_t *warm)
{
    ssize_t n = send(warm->fd, warm->request + warm->sent, warm->len - warm->sent,
                     MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n > 0) {
        warm->sent += (apr_size_t)n;
    }
    else if (errno != EAGAIN && errno != EINTR) {
        /* Once more, with a new connection. */
        disconnect(warm);
    }
}

/* 1: all pages were asked for. */
static int receive(ac_run_t *run)
{
    ac_warm_t *warm = run->warm;
    char data[8192];
    ssize_t n = 1;
    int i;

    /* Nothing is taken before what it was answered with is said. */
    for (i = 0; i < READS_PER_STEP && warm->sent == warm->len
                && (n = recv(warm->fd, data, sizeof(data), MSG_DONTWAIT)) > 0; ++i) {
        warm->heard = run->m->now;
        if (warm->h2 ? !ac_warm_h2_take(warm, data, (apr_size_t)n)
                     : !take_http1(warm, data, (apr_size_t)n)) {
            return went_wrong(run, complaint(warm)) && next_page(warm);
        }
        if (warm->sent < warm->len) {
            say(warm);
        }
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || is_complete(run)) {
        return answered(run);
    }
    return 0;
}

int ac_warm_done(ac_run_t *run)
{
    ac_warm_t *warm;

    if (!run->warm && !begin(run)) {
        return 1;
    }
    warm = run->warm;
    if (run->m->now >= run->proc->is.limit - BEFORE_LIMIT) {
        fail(run, APR_TIMEUP, AC_FAULT_TIMEOUT,
             "was not answered within AppCoreStartupTimeLimit");
        return 0;
    }
    if (warm->fd < 0) {
        connect_to(run);
    }
    if (warm->fd >= 0 && warm->sent < warm->len) {
        say(warm);
    }
    return warm->fd >= 0 && warm->sent == warm->len && receive(run);
}
