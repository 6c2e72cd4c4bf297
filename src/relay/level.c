/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "relay/level.h"

#include "base/log.h"

#define MARK_LEN 3

static int has_mark(const ac_line_t *line)
{
    return line->len >= MARK_LEN && line->text[0] == '<' && line->text[2] == '>'
           && line->text[1] >= '0' && line->text[1] <= '7';
}

static int goes_on(const ac_line_t *line)
{
    return !line->begins || !line->len || line->text[0] == ' ' || line->text[0] == '\t'
           || line->text[0] == '\r';
}

void ac_level_take(ac_level_state_t *state, ac_line_t *line)
{
    if (line->begins && has_mark(line)) {
        state->level = (unsigned char)(line->text[1] - '0');
        state->said = 1;
        line->text += MARK_LEN;
        line->len -= MARK_LEN;
    }
    else if (!state->known || !goes_on(line)) {
        state->level = AC_LEVEL_INFO;
        state->said = 0;
    }
    state->known = 1;
}
