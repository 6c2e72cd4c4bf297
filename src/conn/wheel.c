/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "conn/wheel.h"

static unsigned slot_of(int64_t tick)
{
    return (unsigned)(tick % AC_WHEEL_SLOTS);
}

static int is_used(const ac_wheel_t *wheel, unsigned slot)
{
    return (wheel->used[slot / 64] >> (slot % 64)) & 1;
}

void ac_wheel_init(ac_wheel_t *wheel, apr_time_t now)
{
    unsigned i;

    for (i = 0; i < AC_WHEEL_SLOTS; i++) {
        wheel->slots[i].prev = wheel->slots[i].next = &wheel->slots[i];
    }
    for (i = 0; i < AC_WHEEL_WORDS; i++) {
        wheel->used[i] = 0;
    }
    wheel->tick = now / AC_WHEEL_TICK;
}

void ac_wheel_add(ac_wheel_t *wheel, ac_wheel_node_t *node, apr_time_t due)
{
    int64_t tick = (due + AC_WHEEL_TICK - 1) / AC_WHEEL_TICK;
    unsigned slot = slot_of(tick > wheel->tick ? tick : wheel->tick + 1);
    ac_wheel_node_t *head = &wheel->slots[slot];

    node->due = due;
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
    wheel->used[slot / 64] |= UINT64_C(1) << (slot % 64);
}

void ac_wheel_remove(ac_wheel_t *wheel, ac_wheel_node_t *node)
{
    ac_wheel_node_t *other = node->next;

    if (!other) {
        return;
    }
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->prev = node->next = NULL;
    /* The last one's neighbour on both sides is the head of its slot. */
    if (other->next == other) {
        unsigned slot = (unsigned)(other - wheel->slots);

        wheel->used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    }
}

static ac_wheel_node_t *first_due(const ac_wheel_t *wheel, unsigned slot, apr_time_t now)
{
    const ac_wheel_node_t *head = &wheel->slots[slot];
    ac_wheel_node_t *node = head->next;

    while (node != head && node->due > now) {
        node = node->next;
    }
    return node == head ? NULL : node;
}

ac_wheel_node_t *ac_wheel_expire(ac_wheel_t *wheel, apr_time_t now)
{
    int64_t end = now / AC_WHEEL_TICK;

    /* After a pause of more than a turn every slot is looked at once. */
    if (end - wheel->tick > AC_WHEEL_SLOTS) {
        wheel->tick = end - AC_WHEEL_SLOTS;
    }
    while (wheel->tick < end) {
        unsigned slot = slot_of(wheel->tick + 1);
        ac_wheel_node_t *node = is_used(wheel, slot) ? first_due(wheel, slot, now)
                                                     : NULL;

        if (node) {
            ac_wheel_remove(wheel, node);
            return node;
        }
        wheel->tick++;
    }
    return NULL;
}

apr_time_t ac_wheel_next(const ac_wheel_t *wheel)
{
    int64_t tick;

    for (tick = wheel->tick + 1; tick <= wheel->tick + AC_WHEEL_SLOTS; tick++) {
        if (is_used(wheel, slot_of(tick))) {
            return tick * AC_WHEEL_TICK;
        }
    }
    return 0;
}
