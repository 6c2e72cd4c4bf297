/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SHARED_PROCESS_H
#define AC_SHARED_PROCESS_H

/* A process as the keeper knows it, for a manager that takes over: the body of
 * AC_MSG_ADOPT. The keeper fills in what it did itself and passes on the bytes
 * of the last AC_MSG_NOTE unread. One per tag that the keeper holds anything
 * for, be it only a listener. Plain data; note points into the message. */

#include <stdint.h>
#include "base/wire.h"

typedef struct ac_process_t {
    uint64_t tag;
    uint64_t app_id;
    uint32_t slot;
    uint32_t generation;
    uint32_t reach;             /* AC_REACH_* of SPAWN, or of LISTEN before it */
    uint32_t proc;              /* index in the board */
    uint32_t pid;               /* 0: nothing was started yet */
    uint32_t uid;               /* the identity it was started with */
    uint8_t executed;           /* exec succeeded */
    uint8_t ended;              /* the main process is gone */
    uint32_t wait_status;       /* then */
    const void *note;
    apr_size_t note_len;
} ac_process_t;

void ac_process_put(ac_wire_writer_t *w, const ac_process_t *process);
void ac_process_get(ac_wire_reader_t *r, ac_process_t *process);

#endif
