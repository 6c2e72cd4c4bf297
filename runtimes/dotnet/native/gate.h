/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef APPCORE_DOTNET_GATE_H
#define APPCORE_DOTNET_GATE_H

/* What stands between httpd's threads and managed code. When Main has returned the
 * runtime is shutting down and must not be entered, and it must not begin to while
 * somebody is inside: so the gate is closed, and whoever closes it waits until all
 * have left.
 *
 * One word, two atomic additions per passage; the lock is taken by the last one to
 * leave a closed gate alone. Any thread. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

typedef struct ac_gate_t {
    _Atomic uint32_t word;      /* the closed bit, and how many are inside */
    pthread_mutex_t lock;
    pthread_cond_t empty;
} ac_gate_t;

/* Closed. */
void ac_gate_init(ac_gate_t *gate);
void ac_gate_open(ac_gate_t *gate);

/* Nobody enters any more. */
void ac_gate_close(ac_gate_t *gate);

/* Waits until nobody is inside; 0 if somebody still is after so many milliseconds. */
int ac_gate_wait(ac_gate_t *gate, uint32_t limit_ms);

/* 0: it is closed, and there is nothing to leave. */
int ac_gate_enter(ac_gate_t *gate);
void ac_gate_leave(ac_gate_t *gate);

#endif
