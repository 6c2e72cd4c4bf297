/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Processes of an earlier manager: the note that is left for each of them with
 * the keeper, and how a successor takes them over. */

#include "manager/loop.h"

#include <string.h>

/* Of the bytes below; a keeper may find those that another version wrote. */
#define NOTE_LAYOUT 1
/* For those who still use a process of which nothing is known. */
#define UNKNOWN_DRAIN_TIME apr_time_from_sec(10)

static int note_get(ac_run_t *run, ac_sup_note_t *note, const ac_process_t *process)
{
    ac_wire_reader_t r;
    const void *digest;
    apr_size_t len;
    const char *token;
    uint32_t uid;

    ac_wire_reader_init(&r, process->note, process->note_len);
    if (ac_wire_get_u32(&r) != NOTE_LAYOUT) {
        return 0;
    }
    digest = ac_wire_get_bytes(&r, &len);
    if (!digest || len != AC_SUP_DIGEST) {
        return 0;
    }
    memcpy(note->digest, digest, AC_SUP_DIGEST);
    ac_marks_get(&r, &note->marks);
    note->state = (ac_proc_state_e)ac_wire_get_u32(&r);
    note->since = ac_wire_get_i64(&r);
    note->limit = ac_wire_get_i64(&r);
    note->listener = ac_wire_get_u8(&r) != 0;
    run->address = (ac_address_e)ac_wire_get_u8(&r);
    run->ipv6 = ac_wire_get_u8(&r);
    run->protocol = (ac_protocol_e)ac_wire_get_u8(&r);
    run->port = ac_wire_get_u32(&r);
    uid = ac_wire_get_u32(&r);
    /* Before exec the keeper does not know it. */
    run->uid = process->state == AC_PROCESS_STARTING ? uid : run->uid;
    run->ready_since = ac_wire_get_i64(&r);
    run->served = ac_wire_get_u64(&r);
    token = ac_wire_get_bytes(&r, &len);
    if (token && len <= AC_TOKEN_LEN) {
        memcpy(run->token, token, len);
    }
    return ac_wire_reader_end(&r) == APR_SUCCESS && note->state <= AC_PROC_DEAD;
}

void ac_run_note(ac_run_t *run)
{
    const ac_sup_note_t *is = &run->proc->is;
    ac_wire_writer_t note, w;

    ac_wire_writer_init(&note, AC_NOTE_MAX, run->m->ptemp);
    ac_wire_put_u32(&note, NOTE_LAYOUT);
    ac_wire_put_bytes(&note, is->digest, AC_SUP_DIGEST);
    ac_marks_put(&note, &is->marks);
    ac_wire_put_u32(&note, (uint32_t)is->state);
    ac_wire_put_i64(&note, is->since);
    ac_wire_put_i64(&note, is->limit);
    ac_wire_put_u8(&note, is->listener);
    ac_wire_put_u8(&note, (uint8_t)run->address);
    ac_wire_put_u8(&note, run->ipv6);
    ac_wire_put_u8(&note, (uint8_t)run->protocol);
    ac_wire_put_u32(&note, run->port);
    ac_wire_put_u32(&note, run->uid);
    ac_wire_put_i64(&note, run->ready_since);
    ac_wire_put_u64(&note, run->served);
    ac_wire_put_bytes(&note, run->token, strlen(run->token));
    ac_talk_begin(run->m, &w, AC_MSG_NOTE, is->tag);
    ac_wire_put_bytes(&w, note.data, note.len);
    ac_talk_keeper(run->m, &w);
}

/* One without a note was asked for with the last breath: it counts as starting. */
static void note_default(ac_manager_t *m, ac_sup_note_t *note,
                         const ac_process_t *process)
{
    const ac_sup_app_t *app = ac_sup_find(m->sup, process->app_id);

    memset(note, 0, sizeof(*note));
    note->state = AC_PROC_START;
    if (app) {
        memcpy(note->digest, app->digest, AC_SUP_DIGEST);
    }
    if (process->origin != AC_PROCESS_OURS && process->note_len) {
        note->state = AC_PROC_DRAIN;
        note->limit = m->now + UNKNOWN_DRAIN_TIME;
    }
}

static void run_recall(ac_run_t *run, const ac_adopted_t *adopted)
{
    const ac_process_t *process = &adopted->process;

    run->pid = process->pid;
    run->uid = process->uid;
    run->reach = process->reach;
    run->started = process->started;
    run->index = process->proc < AC_BOARD_PROCS ? (int)process->proc : -1;
    if (process->origin == AC_PROCESS_FOREIGN) {
        run->index = ac_publish_take(run->m);
        run->uncounted = 1;
    }
    run->listener = adopted->listener;
}

static void adopt(ac_manager_t *m, const ac_adopted_t *adopted)
{
    const ac_process_t *process = &adopted->process;
    ac_sup_note_t note;
    ac_sup_proc_t *proc;
    ac_run_t *run = ac_run_create(m, NULL);

    run_recall(run, adopted);
    if (!note_get(run, &note, process)) {
        note_default(m, &note, process);
    }
    note.tag = process->tag;
    note.slot = process->slot;
    note.generation = process->generation;
    note.leftover = process->origin != AC_PROCESS_OURS;
    proc = process->pid ? ac_sup_adopt(m->sup, process->app_id, &note) : NULL;
    if (!proc) {
        ac_talk_tag(m, AC_MSG_FORGET, process->tag);
        run->index = -1;
        ac_run_destroy(run);
        return;
    }
    proc->io = run;
    run->proc = proc;
    if (proc->is.state != AC_PROC_START) {
        ac_run_close_listener(run);
    }
    if (!proc->app->io) {
        ac_home_create(m, proc->app);
    }
    if (process->state == AC_PROCESS_EXITED) {
        ac_failure_exited(run, process->wait_status);
    }
}

void ac_adopt_all(ac_manager_t *m)
{
    int i;

    if (!m->table || !m->begun) {
        return;
    }
    if (m->adopted->nelts > 0) {
        ac_talk_line(m, NULL, AC_LEVEL_NOTICE, "a new manager found %d processes",
                     m->adopted->nelts);
    }
    for (i = 0; i < m->adopted->nelts; ++i) {
        adopt(m, &APR_ARRAY_IDX(m->adopted, i, ac_adopted_t));
    }
    if (m->adopted->nelts > 0) {
        /* The watches went with the manager before. */
        ac_eyes_hint_all(m);
    }
    m->adopted->nelts = 0;
    if (!m->swept) {
        if (ac_board_manager(m->board)) {
            ac_children_recall(m);
        }
        ac_publish_sweep(m);
        m->swept = 1;
        ac_watch_open(m, &m->wake, m->wake.fd);
        ac_watch_open(m, &m->notify, m->notify.fd);
    }
    ac_sup_config_end(m->sup);
    if (m->stopping) {
        ac_sup_stop(m->sup);
    }
}
