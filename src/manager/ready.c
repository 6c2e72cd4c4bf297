/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* When is a process ready? What is offered decides what is watched:
 *
 *   FD    one connection of ours to its socket; accepted as soon as our copy of
 *         the listening descriptor is no longer readable. The kernel tells
 *         nobody of an accept, so this is looked at every 1 to 10 ms.
 *   PORT  a connection is taken and the one who listens is the app's user. The
 *         kernel tells nobody of a listen either: same steps.
 *   PATH  inotify tells of the socket file; the keeper checks and moves it; then
 *         a connection must be taken.
 *
 * Then it is asked for its protocol, if need be (protocol.c), and warmed up
 * (warm.c).
 *
 * FD and PORT together race. READY=1 settles FD at once and hurries the rest.
 * Only starting processes are probed, so an idle manager never wakes up. */

#include "manager/loop.h"

#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <apr_strings.h>

#include "base/clock.h"
#include "manager/knock.h"
#include "manager/port.h"

/* The step grows with the age of the start, so that it adds little to a short
 * one and costs little in a long one. */
static apr_interval_time_t step(const ac_run_t *run)
{
    apr_interval_time_t age = run->m->now - run->probe_since;

    if (age < apr_time_from_msec(500)) {
        return apr_time_from_msec(age < apr_time_from_msec(50) ? 1 : 2);
    }
    return apr_time_from_msec(age < apr_time_from_sec(5) ? 5 : 10);
}

static void close_knock(ac_run_t *run)
{
    if (run->knock >= 0) {
        close(run->knock);
        run->knock = -1;
    }
}

void ac_run_socket_path(char *buf, apr_size_t size, const ac_run_t *run)
{
    const ac_sup_note_t *is = &run->proc->is;

    ac_board_socket_path(buf, size, run->m->table->globals.runtime_dir,
                         run->proc->app->id, is->slot, is->generation);
}

/* Connects run->knock to the socket in s/. */
static int knock_socket(ac_run_t *run)
{
    char path[256];

    close_knock(run);
    ac_run_socket_path(path, sizeof(path), run);
    return ac_knock_path(path, &run->knock) == AC_KNOCK_TAKEN;
}

static int is_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, 0) > 0;
}

/* A backlog that is full, or inherited and not empty, serves as well: then the
 * first connections in it stand for ours. */
static int probe_listener(ac_run_t *run)
{
    if (run->listener < 0) {
        return 0;
    }
    if (!run->knocked) {
        run->knocked = is_readable(run->listener) || knock_socket(run);
        return 0;
    }
    return !is_readable(run->listener);
}

static int knock_port(uint32_t port, int ipv6)
{
    return ac_knock_port(port, ipv6) == AC_KNOCK_TAKEN;
}

static void say_everywhere(ac_run_t *run)
{
    ac_talk_run(run, AC_LEVEL_WARNING,
                "listens to port %u on all addresses: whoever reaches this machine can"
                " go past httpd; the app should listen to 127.0.0.1", run->port);
}

static void wrong_listener(ac_run_t *run, uint32_t uid)
{
    ac_result_t res = AC_RESULT_OK;

    /* With a socket on offer as well the port is simply not taken. */
    if (run->reach != AC_REACH_PORT) {
        run->reach &= ~(unsigned)AC_REACH_PORT;
        return;
    }
    ac_result_set(&res, APR_EGENERAL, AC_STAGE_READY, AC_FAULT_WRONG_LISTENER,
                  "port %u is listened to by user id %u, not by the app's user id %u",
                  run->port, uid, run->uid);
    ac_sup_failed(run->proc, &res);
}

static int probe_port(ac_run_t *run, int ipv6)
{
    ac_port_query_t query = { run->port, run->uid, ipv6 };
    ac_port_owner_t owner;

    if (!knock_port(run->port, ipv6)) {
        return 0;
    }
    ac_port_owner(&owner, &query);
    if (!owner.found) {
        return 0;
    }
    if (owner.foreign) {
        wrong_listener(run, owner.foreign_uid);
        return 0;
    }
    if (owner.everywhere) {
        say_everywhere(run);
    }
    run->ipv6 = (uint8_t)ipv6;
    return 1;
}

/* IPv4 where there is a choice: a listener on all addresses may come up between
 * the two looks. */
static int probe_ports(ac_run_t *run)
{
    return probe_port(run, 0)
           || (knock_port(run->port, 1) && (probe_port(run, 0) || probe_port(run, 1)));
}

static void look_for_path(ac_run_t *run)
{
    struct stat st;

    if (!run->path_asked && lstat(ac_run_app_socket(run), &st) == 0) {
        run->path_asked = 1;
        ac_talk_tag(run->m, AC_MSG_TAKE_PATH, run->proc->is.tag);
    }
}

void ac_ready_path_taken(ac_run_t *run, apr_status_t status)
{
    ac_result_t res = AC_RESULT_OK;
    char reason[120];

    if (!run->probed) {
        return;
    }
    if (status == APR_SUCCESS) {
        run->path_taken = 1;
        run->probe_at = run->m->now;
    }
    else if (APR_STATUS_IS_ENOENT(status)) {
        run->path_asked = 0;
        run->probe_at = run->m->now + step(run);
    }
    else {
        ac_result_set(&res, status, AC_STAGE_READY, AC_FAULT_WRONG_LISTENER,
                      "the socket that the app made is not acceptable: %s",
                      apr_strerror(status, reason, sizeof(reason)));
        ac_sup_failed(run->proc, &res);
    }
}

/* Without an event to wait for (inotify refused) the path is looked for in
 * steps, too. */
static int probe_path(ac_run_t *run)
{
    if (run->path_taken) {
        return knock_socket(run);
    }
    look_for_path(run);
    return 0;
}

/* One read, since the app can make events faster than they are read. */
static void folder_changed(ac_manager_t *m, ac_watch_t *w)
{
    char events[1024];

    (void)m;
    if (read(w->fd, events, sizeof(events)) > 0) {
        look_for_path(w->baton);
    }
}

static int watch_folder(ac_run_t *run)
{
    char *folder = (char *)ac_run_app_socket(run);
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    *strrchr(folder, '/') = '\0';
    if (fd < 0 || inotify_add_watch(fd, folder, IN_CREATE | IN_MOVED_TO) < 0) {
        if (fd >= 0) {
            close(fd);
        }
        return 0;
    }
    run->folder_watch.ready = folder_changed;
    run->folder_watch.baton = run;
    return ac_watch_open(run->m, &run->folder_watch, fd);
}

static void become_ready(ac_run_t *run, ac_address_e address)
{
    const char *speaks = run->protocol == AC_PROTOCOL_H2C ? ", speaking HTTP/2" : "";
    char span[32];

    run->address = address;
    run->ready_since = run->m->now;
    run->served = ac_home_total(ac_home_of(run->proc->app));
    ac_talk_span(span, sizeof(span), run->ready_since - run->started);
    if (address == AC_ADDRESS_TCP) {
        ac_talk_run(run, AC_LEVEL_NOTICE, "is ready after %s on %s:%u%s", span,
                    run->ipv6 ? "[::1]" : "127.0.0.1", run->port, speaks);
    }
    else {
        ac_talk_run(run, AC_LEVEL_NOTICE, "is ready after %s on %s%s", span,
                    run->reach & AC_REACH_PATH ? "its own socket" : "the socket it got",
                    speaks);
    }
    ac_sup_ready(run->proc);
}

static ac_address_e find(ac_run_t *run)
{
    if ((run->reach & AC_REACH_PORT) && probe_ports(run)) {
        return AC_ADDRESS_TCP;
    }
    if ((run->reach & AC_REACH_FD) && (probe_listener(run) || run->announced)) {
        return AC_ADDRESS_SOCKET;
    }
    if ((run->reach & AC_REACH_PATH) && probe_path(run)) {
        return AC_ADDRESS_SOCKET;
    }
    return AC_ADDRESS_NONE;
}

static void probe(ac_run_t *run)
{
    int waits = !run->accepts && run->folder_watch.fd >= 0 && !run->path_taken;

    run->probe_at = waits ? 0 : run->m->now + step(run);
    if (!run->accepts) {
        run->accepts = find(run);
    }
    if (!run->accepts || !ac_protocol_known(run)) {
        return;
    }
    /* Whoever serves one connection at a time still has ours. */
    close_knock(run);
    if (ac_warm_done(run)) {
        become_ready(run, run->accepts);
    }
}

void ac_ready_start(ac_run_t *run)
{
    ac_manager_t *m = run->m;

    run->probed = 1;
    run->probe_since = m->now;
    run->accepts = AC_ADDRESS_NONE;
    run->probe_at = m->now;
    run->next_probed = m->probed;
    m->probed = run;
    if (run->reach & AC_REACH_PATH) {
        watch_folder(run);
        /* It may be there already. */
        look_for_path(run);
    }
}

void ac_ready_stop(ac_run_t *run)
{
    ac_run_t **at = &run->m->probed;

    if (!run->probed) {
        return;
    }
    while (*at != run) {
        at = &(*at)->next_probed;
    }
    *at = run->next_probed;
    run->probed = 0;
    run->probe_at = 0;
    close_knock(run);
    ac_protocol_stop(run);
    ac_warm_stop(run);
    ac_watch_close(run->m, &run->folder_watch);
    ac_run_close_listener(run);
}

void ac_ready_announce(ac_run_t *run)
{
    run->announced = 1;
    if (run->probed) {
        run->probe_at = run->m->now;
    }
}

/* A process may leave the list while it is probed, so each round starts over. */
void ac_ready_tick(ac_manager_t *m)
{
    ac_run_t *run = m->probed;

    while (run) {
        if (run->probe_at && run->probe_at <= m->now) {
            probe(run);
            ac_perform_all(m);
            run = m->probed;
        }
        else {
            run = run->next_probed;
        }
    }
}

apr_time_t ac_ready_due(const ac_manager_t *m)
{
    const ac_run_t *run;
    apr_time_t due = 0;

    for (run = m->probed; run; run = run->next_probed) {
        if (run->probe_at && (!due || run->probe_at < due)) {
            due = run->probe_at;
        }
    }
    return due;
}
