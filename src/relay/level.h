/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_RELAY_LEVEL_H
#define AC_RELAY_LEVEL_H

/* How important a line of an app is, by what stands at its beginning.
 *
 * "<0>" to "<7>" are the levels emerg to debug, as for systemd's journal. A line
 * without one is info. A line that is empty or begins with a blank goes on with
 * the entry of the line before and shares its level, and so do the pieces of a
 * long line. One state per pipe, zeroed at its start. Pure. */

#include "relay/lines.h"

typedef struct ac_level_state_t {
    unsigned char level;        /* ac_level_e of the entry */
    unsigned char said;         /* the app said so */
    unsigned char known;        /* there was an entry */
} ac_level_state_t;

/* Finds the level of the line and takes its mark off. */
void ac_level_take(ac_level_state_t *state, ac_line_t *line);

#endif
