/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The board's only writer. A process's entry is complete before its app's entry
 * names it, and its app's entry names another before it says that it drains, so
 * a child always finds one that takes requests. */

#include "manager/loop.h"

#include <stdlib.h>
#include <string.h>

/* Indices of ended processes rest until no child counts on them any more. */
static void wake_rested(ac_manager_t *m)
{
    unsigned i = 0;

    while (i < m->n_resting) {
        if (ac_rows_proc_count(m->rows, m->resting[i]) == 0) {
            ac_board_clear_proc(m->board, m->resting[i]);
            m->resting[i] = m->resting[--m->n_resting];
        }
        else {
            ++i;
        }
    }
}

int ac_publish_take(ac_manager_t *m)
{
    wake_rested(m);
    return ac_board_take_proc(m->board);
}

void ac_publish_give(ac_manager_t *m, unsigned index)
{
    ac_board_proc_t none;

    wake_rested(m);
    if (ac_rows_proc_count(m->rows, index) == 0) {
        ac_board_clear_proc(m->board, index);
        return;
    }
    memset(&none, 0, sizeof(none));
    none.draining = 1;
    ac_board_put_proc(m->board, index, &none);
    if (!m->resting) {
        m->resting = calloc(AC_BOARD_PROCS, sizeof(*m->resting));
    }
    if (m->resting) {
        m->resting[m->n_resting++] = index;
    }
}

static void put_run(ac_run_t *run, int draining)
{
    const ac_sup_proc_t *proc = run->proc;
    ac_board_proc_t entry;

    memset(&entry, 0, sizeof(entry));
    entry.app_id = proc->app->id;
    entry.slot = proc->is.slot;
    entry.generation = proc->is.generation;
    entry.pid = run->pid;
    entry.address = (uint8_t)run->address;
    entry.draining = draining != 0;
    entry.port = (uint16_t)run->port;
    entry.ipv6 = run->ipv6;
    entry.protocol = (uint8_t)run->protocol;
    memcpy(entry.token, run->token, sizeof(entry.token));
    entry.ready_since = run->ready_since;
    ac_board_put_proc(run->m->board, (unsigned)run->index, &entry);
}

static void put_current(ac_home_t *home, ac_board_app_t *entry)
{
    ac_sup_app_t *app = home->app;
    unsigned i;

    for (i = 0; i < AC_BOARD_SLOTS; ++i) {
        ac_sup_proc_t *proc = i < app->n_slots ? app->slots[i].current : NULL;
        ac_run_t *run = proc ? ac_run_of(proc) : NULL;

        entry->slots[i] = AC_BOARD_NO_PROC;
        if (run && run->index >= 0) {
            if (!run->shown) {
                put_run(run, 0);
                run->shown = 1;
            }
            entry->slots[i] = (uint16_t)run->index;
            entry->n_slots = (uint16_t)(i + 1);
            ++entry->n_ready;
        }
    }
}

static void put_draining(ac_home_t *home)
{
    ac_sup_proc_t *proc;

    for (proc = home->app->procs; proc; proc = proc->next) {
        ac_run_t *run = ac_run_of(proc);

        if (run && run->shown && run->index >= 0 && proc->is.state > AC_PROC_READY) {
            put_run(run, 1);
            run->shown = 0;
        }
    }
}

/* What makes a memo valid: the same app, and no reload since, because a reload is
 * the administrator's word that a cause may be gone. */
typedef struct memo_t {
    uint64_t app_id;
    uint64_t serial;
    ac_sup_memory_t memory;
} memo_t;

_Static_assert(sizeof(memo_t) <= AC_BOARD_MEMO_MAX, "a memo fits into the board");

static void leave_memo(const ac_home_t *home)
{
    memo_t memo = { .app_id = home->app->id, .serial = home->m->serial };

    ac_sup_remember(home->app, &memo.memory);
    ac_board_put_memo(home->m->board, home->index, &memo, sizeof(memo));
}

void ac_publish_recall(ac_home_t *home)
{
    memo_t memo;

    if (home->index >= 0
        && ac_board_memo(home->m->board, home->index, &memo, sizeof(memo))
        && memo.app_id == home->app->id && memo.serial == home->m->serial) {
        ac_sup_recall(home->app, &memo.memory);
    }
}

void ac_publish_app(ac_home_t *home)
{
    const ac_sup_view_t *view = &home->app->view;
    ac_board_app_t entry;

    if (home->index < 0) {
        return;
    }
    memset(&entry, 0, sizeof(entry));
    entry.id = home->app->id;
    entry.state = (uint32_t)view->state;
    entry.failures = view->failures;
    entry.retry_at = view->retry_at;
    entry.http_status = view->http_status;
    entry.substatus = view->substatus;
    entry.facts = home->facts;
    put_current(home, &entry);
    ac_board_put_app(home->m->board, home->index, &entry);
    put_draining(home);
    leave_memo(home);
    ac_board_touch(home->m->board);
    ac_children_wake(home->m);
}

uint64_t ac_home_total(const ac_home_t *home)
{
    return home->index < 0 ? 0 : ac_rows_app_total(home->m->rows, (unsigned)home->index);
}

static int is_adopted(const ac_manager_t *m, unsigned index)
{
    const ac_sup_app_t *app;
    const ac_sup_proc_t *proc;

    for (app = ac_sup_first(m->sup); app; app = app->next) {
        for (proc = app->procs; proc; proc = proc->next) {
            if (proc->io && ac_run_of(proc)->index == (int)index) {
                return 1;
            }
        }
    }
    return 0;
}

/* Entries that a former manager left. */
void ac_publish_sweep(ac_manager_t *m)
{
    unsigned index, used = ac_board_procs_used(m->board);

    for (index = 0; index < used; ++index) {
        if (!is_adopted(m, index)) {
            ac_board_clear_proc(m->board, index);
        }
    }
    ac_board_begin(m->board);
    ac_board_touch(m->board);
}
