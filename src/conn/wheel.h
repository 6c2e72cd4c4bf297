/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_CONN_WHEEL_H
#define AC_CONN_WHEEL_H

/* Many time limits of which few are ever reached: a timer wheel.
 *
 * Adding and removing costs the same however many there are. A slot stands for
 * one tick; what is due later than one turn stays in its slot until its time
 * comes. Pure: no clock, no lock, no allocation; nodes are the caller's. A node is
 * due no earlier than asked for and at most one tick later. */

#include <stdint.h>
#include <apr_time.h>

#define AC_WHEEL_TICK apr_time_from_msec(16)
#define AC_WHEEL_SLOTS 512
#define AC_WHEEL_WORDS (AC_WHEEL_SLOTS / 64)

typedef struct ac_wheel_node_t ac_wheel_node_t;
struct ac_wheel_node_t {
    ac_wheel_node_t *prev, *next;   /* NULL while in no wheel */
    apr_time_t due;
};

typedef struct ac_wheel_t {
    ac_wheel_node_t slots[AC_WHEEL_SLOTS];
    uint64_t used[AC_WHEEL_WORDS];  /* slots with nodes */
    int64_t tick;                   /* all up to this one have expired */
} ac_wheel_t;

void ac_wheel_init(ac_wheel_t *wheel, apr_time_t now);
void ac_wheel_add(ac_wheel_t *wheel, ac_wheel_node_t *node, apr_time_t due);
/* Harmless for a node that is in no wheel. */
void ac_wheel_remove(ac_wheel_t *wheel, ac_wheel_node_t *node);
/* A node that is due, taken out, or NULL when there is none left. */
ac_wheel_node_t *ac_wheel_expire(ac_wheel_t *wheel, apr_time_t now);
/* When to call ac_wheel_expire() next, at the latest; 0: never. */
apr_time_t ac_wheel_next(const ac_wheel_t *wheel);

#endif
