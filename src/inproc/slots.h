/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_SLOTS_H
#define AC_INPROC_SLOTS_H

/* Numbers for requests that outlive the requests.
 *
 * An app may use a number long after its request ended, on any thread. So what a
 * number leads to lives as long as the process and is used again, each time with
 * another number: turn << AC_SLOTS_BITS | index. Who finds a slot looks whether it is
 * still open under that number, under whatever lock guards its other contents.
 *
 * Taking and giving back are lock-free, so that workers do not meet there. Any
 * thread; needs neither httpd nor a pool. */

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define AC_SLOTS_BITS 20        /* a million requests at a time */
#define AC_SLOTS_CHUNK 256
#define AC_SLOTS_CHUNKS ((1u << AC_SLOTS_BITS) / AC_SLOTS_CHUNK)

/* How every element begins. */
typedef struct ac_slot_t {
    _Atomic uint64_t number;    /* 0: not open */
    uint64_t turn;
    uint32_t index;
    _Atomic uint32_t next;      /* of those that are free: index + 1, 0 at the end */
} ac_slot_t;

typedef struct ac_slots_t {
    size_t size;                /* of an element */
    void (*make)(ac_slot_t *slot);  /* the rest of one, zeroed before; or NULL */
    _Atomic uint64_t free;      /* count of changes << 32 | index + 1 */
    _Atomic uint32_t made;      /* slots that there are */
    pthread_mutex_t growing;
    _Atomic(char *) chunks[AC_SLOTS_CHUNKS];
} ac_slots_t;

#define AC_SLOTS_INIT(type, fn) \
    { .size = sizeof(type), .make = (fn), .growing = PTHREAD_MUTEX_INITIALIZER }

/* NULL when memory or numbers ran out. */
ac_slot_t *ac_slots_take(ac_slots_t *slots);
/* The caller has closed it. */
void ac_slots_give(ac_slots_t *slots, ac_slot_t *slot);
/* Whatever is at that index, NULL if nothing ever was. Compare its number. */
ac_slot_t *ac_slots_find(ac_slots_t *slots, uint64_t number);
/* The same by index, for who walks over all that were made. */
ac_slot_t *ac_slots_at(ac_slots_t *slots, uint32_t index);

/* A number that was never given, and from now on leads here. What was stored
 * before is seen by who finds the slot by it. */
static inline uint64_t ac_slot_open(ac_slot_t *slot)
{
    uint64_t number = ++slot->turn << AC_SLOTS_BITS | slot->index;

    atomic_store_explicit(&slot->number, number, memory_order_release);
    return number;
}

static inline void ac_slot_close(ac_slot_t *slot)
{
    atomic_store_explicit(&slot->number, 0, memory_order_release);
}

static inline int ac_slot_is(ac_slot_t *slot, uint64_t number)
{
    return number && atomic_load_explicit(&slot->number, memory_order_acquire) == number;
}

#endif
