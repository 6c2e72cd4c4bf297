/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "shared/process.h"

#include <string.h>

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
    ac_wire_put_u8(w, process->executed);
    ac_wire_put_u8(w, process->ended);
    ac_wire_put_u32(w, process->wait_status);
    ac_wire_put_bytes(w, process->note, process->note_len);
}

void ac_process_get(ac_wire_reader_t *r, ac_process_t *process)
{
    memset(process, 0, sizeof(*process));
    process->tag = ac_wire_get_u64(r);
    process->app_id = ac_wire_get_u64(r);
    process->slot = ac_wire_get_u32(r);
    process->generation = ac_wire_get_u32(r);
    process->reach = ac_wire_get_u32(r);
    process->proc = ac_wire_get_u32(r);
    process->pid = ac_wire_get_u32(r);
    process->uid = ac_wire_get_u32(r);
    process->executed = ac_wire_get_u8(r);
    process->ended = ac_wire_get_u8(r);
    process->wait_status = ac_wire_get_u32(r);
    process->note = ac_wire_get_bytes(r, &process->note_len);
}
