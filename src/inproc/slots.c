/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/slots.h"

#include <stdlib.h>

ac_slot_t *ac_slots_at(ac_slots_t *slots, uint32_t index)
{
    char *chunk;

    if (index >= atomic_load_explicit(&slots->made, memory_order_acquire)) {
        return NULL;
    }
    chunk = atomic_load_explicit(&slots->chunks[index / AC_SLOTS_CHUNK],
                                 memory_order_acquire);
    return (ac_slot_t *)(void *)(chunk + index % AC_SLOTS_CHUNK * slots->size);
}

ac_slot_t *ac_slots_find(ac_slots_t *slots, uint64_t number)
{
    return ac_slots_at(slots, (uint32_t)(number & ((1u << AC_SLOTS_BITS) - 1)));
}

/* The count in the upper half tells a list that has changed and looks the same
 * from one that has not. */
static ac_slot_t *pop(ac_slots_t *slots)
{
    uint64_t head = atomic_load_explicit(&slots->free, memory_order_acquire);

    while ((uint32_t)head) {
        ac_slot_t *slot = ac_slots_at(slots, (uint32_t)head - 1);
        uint64_t rest = ((head >> 32) + 1) << 32
                        | atomic_load_explicit(&slot->next, memory_order_relaxed);

        if (atomic_compare_exchange_weak_explicit(&slots->free, &head, rest,
                                                  memory_order_acq_rel,
                                                  memory_order_acquire)) {
            return slot;
        }
    }
    return NULL;
}

void ac_slots_give(ac_slots_t *slots, ac_slot_t *slot)
{
    uint64_t head = atomic_load_explicit(&slots->free, memory_order_relaxed);
    uint64_t mine;

    do {
        atomic_store_explicit(&slot->next, (uint32_t)head, memory_order_relaxed);
        mine = ((head >> 32) + 1) << 32 | (slot->index + 1);
    } while (!atomic_compare_exchange_weak_explicit(&slots->free, &head, mine,
                                                    memory_order_acq_rel,
                                                    memory_order_relaxed));
}

/* Another chunk, unless somebody else has made one meanwhile. The first of its
 * slots is the caller's. */
static ac_slot_t *grow(ac_slots_t *slots)
{
    uint32_t made, i;
    char *chunk;

    made = atomic_load_explicit(&slots->made, memory_order_relaxed);
    if (made / AC_SLOTS_CHUNK >= AC_SLOTS_CHUNKS) {
        return NULL;
    }
    chunk = calloc(AC_SLOTS_CHUNK, slots->size);
    if (!chunk) {
        return NULL;
    }
    for (i = 0; i < AC_SLOTS_CHUNK; i++) {
        ac_slot_t *slot = (ac_slot_t *)(void *)(chunk + i * slots->size);

        slot->index = made + i;
        if (slots->make) {
            slots->make(slot);
        }
    }
    atomic_store_explicit(&slots->chunks[made / AC_SLOTS_CHUNK], chunk,
                          memory_order_release);
    atomic_store_explicit(&slots->made, made + AC_SLOTS_CHUNK, memory_order_release);
    for (i = 1; i < AC_SLOTS_CHUNK; i++) {
        ac_slots_give(slots, ac_slots_at(slots, made + i));
    }
    return ac_slots_at(slots, made);
}

ac_slot_t *ac_slots_take(ac_slots_t *slots)
{
    ac_slot_t *slot = pop(slots);

    if (!slot) {
        pthread_mutex_lock(&slots->growing);
        slot = pop(slots);
        if (!slot) {
            slot = grow(slots);
        }
        pthread_mutex_unlock(&slots->growing);
    }
    return slot;
}
