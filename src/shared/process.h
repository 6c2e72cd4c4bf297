/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SHARED_PROCESS_H
#define AC_SHARED_PROCESS_H

/* What the keeper knows of one process instance, for a new manager.
 *
 * The body of AC_MSG_ADOPT. The note is whatever the former manager left with
 * AC_MSG_NOTE, bytes that the keeper does not read. Plain data; strings of a
 * decoded one live in the given pool. */

#include <stdint.h>
#include <apr_pools.h>
#include <apr_time.h>
#include "base/wire.h"

#define AC_NOTE_MAX 4096
/* The end of a process that was no child of the keeper. As a wait status it is
 * neither an exit nor a signal. */
#define AC_WAIT_UNKNOWN 0x7f

typedef enum ac_process_state_e {
    AC_PROCESS_LISTENING = 0,   /* LISTEN was answered, no SPAWN came */
    AC_PROCESS_STARTING,        /* SPAWNED; EXECUTED is still to come */
    AC_PROCESS_RUNNING,         /* EXECUTED without a fault */
    AC_PROCESS_EXITED           /* EXITED; wait for FORGET */
} ac_process_state_e;

typedef enum ac_process_origin_e {
    AC_PROCESS_OURS = 0,
    AC_PROCESS_LEFT,            /* by a keeper that is gone */
    AC_PROCESS_FOREIGN          /* the same, and it served those who see another board */
} ac_process_origin_e;

typedef struct ac_process_t {
    uint64_t tag;
    uint64_t app_id;
    uint32_t slot;
    uint32_t generation;
    uint32_t reach;             /* AC_REACH_FD, AC_REACH_PATH, …, as asked for */
    uint32_t proc;              /* index in the board */
    uint32_t pid;               /* 0 before SPAWNED */
    uint32_t uid;               /* of the process; 0 before EXECUTED */
    ac_process_state_e state;
    ac_process_origin_e origin;
    int32_t wait_status;        /* of EXITED, else -1 */
    apr_time_t started;         /* ac_clock_now() of the fork */
    const void *note;
    apr_size_t note_len;
} ac_process_t;

void ac_process_put(ac_wire_writer_t *w, const ac_process_t *process);
void ac_process_get(ac_wire_reader_t *r, ac_process_t *process, apr_pool_t *p);

#endif
