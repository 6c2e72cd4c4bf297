/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "shared/process.h"

#include <string.h>
#include <apr_strings.h>

void ac_process_put(ac_wire_writer_t *w, const ac_process_t *process)
{
    ac_wire_put_u64(w, process->tag);
    ac_wire_put_u64(w, process->app_id);
    ac_wire_put_u32(w, process->slot);
    ac_wire_put_u32(w, process->generation);
    ac_wire_put_u32(w, process->reach);
    ac_wire_put_u32(w, process->proc);
    ac_wire_put_u32(w, process->pid);
    ac_wire_put_u32(w, process->uid);
    ac_wire_put_u32(w, process->state);
    ac_wire_put_u32(w, process->origin);
    ac_wire_put_u32(w, (uint32_t)process->wait_status);
    ac_wire_put_i64(w, process->started);
    ac_wire_put_bytes(w, process->note, process->note_len);
}

void ac_process_get(ac_wire_reader_t *r, ac_process_t *process, apr_pool_t *p)
{
    const void *note;

    memset(process, 0, sizeof(*process));
    process->tag = ac_wire_get_u64(r);
    process->app_id = ac_wire_get_u64(r);
    process->slot = ac_wire_get_u32(r);
    process->generation = ac_wire_get_u32(r);
    process->reach = ac_wire_get_u32(r);
    process->proc = ac_wire_get_u32(r);
    process->pid = ac_wire_get_u32(r);
    process->uid = ac_wire_get_u32(r);
    process->state = (ac_process_state_e)ac_wire_get_count(r, AC_PROCESS_EXITED);
    process->origin = (ac_process_origin_e)ac_wire_get_count(r, AC_PROCESS_FOREIGN);
    process->wait_status = (int32_t)ac_wire_get_u32(r);
    process->started = ac_wire_get_i64(r);
    note = ac_wire_get_bytes(r, &process->note_len);
    if (process->note_len > AC_NOTE_MAX) {
        r->status = APR_EINVAL;
        process->note_len = 0;
    }
    if (process->note_len) {
        process->note = apr_pmemdup(p, note, process->note_len);
    }
}
