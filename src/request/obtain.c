/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/obtain.h"

#include <errno.h>

#include "base/clock.h"

/* Instead of the load of a process that just refused a connection: the last choice. */
#define REFUSED (UINT32_MAX - 1)

/* The ready slot with the fewest requests in flight; equals take turns. A process
 * that just refused a connection comes last. */
static int choose(ac_serve_t *s)
{
    unsigned n = s->app.n_slots < AC_BOARD_SLOTS ? s->app.n_slots : AC_BOARD_SLOTS;
    unsigned first = 0, i, best = AC_BOARD_NO_PROC;
    uint32_t least = UINT32_MAX;
    int matters = n > 1 || s->share || s->limit;

    if (n > 1) {
        first = atomic_fetch_add_explicit(&s->child->apps[s->mount->index].turn, 1,
                                          memory_order_relaxed);
    }
    for (i = 0; i < n; i++) {
        unsigned proc = s->app.slots[(first + i) % n];
        uint32_t load;

        if (proc == AC_BOARD_NO_PROC) {
            continue;
        }
        load = matters ? ac_rows_proc_count(s->child->rows, proc) : 0;
        if (proc == s->failed_proc) {
            load = REFUSED;
        }
        if (load < least) {
            least = load;
            best = proc;
        }
    }
    s->proc_index = best;
    s->load = least;
    if (s->share && least >= s->share) {
        ac_child_crowded(s->mount);
    }
    return best != AC_BOARD_NO_PROC
           && ac_board_proc(s->child->board, best, s->app.id, &s->proc)
           && !s->proc.draining;
}

void ac_obtain_release(ac_serve_t *s)
{
    if (s->counted) {
        s->counted = 0;
        ac_rows_proc_put(s->child->rows, s->child->row, s->proc_index);
        if (s->limit) {
            ac_wait_call_next(s->mount, s->index);
        }
    }
}

static int count(ac_serve_t *s)
{
    if (s->limit) {
        return ac_rows_proc_take_below(s->child->rows, s->child->row, s->proc_index,
                                       s->limit);
    }
    ac_rows_proc_take(s->child->rows, s->child->row, s->proc_index);
    return 1;
}

/* The manager ends a process that drains as soon as nobody is counted on it, so who
 * counts looks once more: either that one sees us, or we see that it drains. */
static int count_in(ac_serve_t *s)
{
    if (!count(s)) {
        return 0;
    }
    s->counted = 1;
    if (ac_board_proc_current(s->child->board, s->proc_index, s->proc.generation)) {
        return 1;
    }
    ac_obtain_release(s);
    return 0;
}

int ac_obtain_process(ac_serve_t *s)
{
    return choose(s) && count_in(s);
}

int ac_obtain_is_full(const ac_serve_t *s)
{
    return s->limit && s->load >= s->limit && s->load < REFUSED;
}

/* A request that may not be repeated takes no connection the app may be closing
 * at this moment. */
static int must_be_careful(const ac_serve_t *s)
{
    return !ac_retry_idempotent(s->task.r->method)
           || (s->body->framing == AC_BODY_CHUNKED)
           || s->body->length > AC_BODY_KEEP;
}

/* A process that ended leaves its listener behind for its successor. Nothing that
 * may not be repeated is sent there, nor what came back from there already. */
static int nobody_there(const ac_serve_t *s)
{
    return (s->proc_index == s->failed_proc || must_be_careful(s))
           && ac_process_gone(s->proc.pid);
}

apr_status_t ac_obtain_connection(ac_serve_t *s)
{
    ac_pool_t *pool = ac_child_pool(s->mount, s->proc.slot);

    if (pool && !s->again) {
        s->conn = ac_pool_take(pool, s->proc_index, s->proc.generation,
                               must_be_careful(s), ac_clock_now());
    }
    if (s->conn) {
        return APR_SUCCESS;
    }
    if (nobody_there(s)) {
        return ECONNREFUSED;
    }
    return ac_appconn_open(&s->conn, ac_conf_globals()->runtime_dir, s->proc_index,
                           &s->proc);
}

int ac_obtain_has_room(const ac_serve_t *s)
{
    unsigned i;

    for (i = 0; i < s->app.n_slots && i < AC_BOARD_SLOTS; i++) {
        if (s->app.slots[i] != AC_BOARD_NO_PROC
            && ac_rows_proc_count(s->child->rows, s->app.slots[i]) < s->limit) {
            return 1;
        }
    }
    return 0;
}
