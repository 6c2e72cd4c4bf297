/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "native/gate.h"

#include "native/until.h"

#define CLOSED 0x80000000u

void ac_gate_init(ac_gate_t *gate)
{
    atomic_init(&gate->word, CLOSED);
    pthread_mutex_init(&gate->lock, NULL);
    ac_until_init(&gate->empty);
}

void ac_gate_open(ac_gate_t *gate)
{
    atomic_fetch_and(&gate->word, ~CLOSED);
}

void ac_gate_close(ac_gate_t *gate)
{
    atomic_fetch_or(&gate->word, CLOSED);
}

int ac_gate_wait(ac_gate_t *gate, uint32_t limit_ms)
{
    struct timespec until = ac_until(limit_ms);
    int empty, rc = 0;

    pthread_mutex_lock(&gate->lock);
    while (!(empty = (atomic_load(&gate->word) & ~CLOSED) == 0) && rc == 0) {
        rc = pthread_cond_timedwait(&gate->empty, &gate->lock, &until);
    }
    pthread_mutex_unlock(&gate->lock);
    return empty;
}

int ac_gate_enter(ac_gate_t *gate)
{
    /* Counted first, so that whoever closes it sees either the count or nobody. */
    if (!(atomic_fetch_add(&gate->word, 1) & CLOSED)) {
        return 1;
    }
    ac_gate_leave(gate);
    return 0;
}

void ac_gate_leave(ac_gate_t *gate)
{
    if (atomic_fetch_sub(&gate->word, 1) == (CLOSED | 1)) {
        pthread_mutex_lock(&gate->lock);
        pthread_cond_broadcast(&gate->empty);
        pthread_mutex_unlock(&gate->lock);
    }
}
