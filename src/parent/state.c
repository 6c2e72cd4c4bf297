/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "parent/state.h"

#include <string.h>
#include <unistd.h>
#include "httpd.h"
#include "http_config.h"
#include "shared/board.h"
#include "shared/message.h"
#include "shared/rows.h"

#define RETAINED_KEY "mod_appcore"
/* More than this version needs, so that a later one can add numbers. */
#define RETAINED_SIZE (64 * sizeof(int))

void ac_parent_close(int *pfd)
{
    if (*pfd >= 0) {
        close(*pfd);
        *pfd = -1;
    }
}

static void forget(ac_parent_state_t *state)
{
    memset(state, 0, sizeof(*state));
    state->control = state->board = state->board_ro = state->rows = -1;
    state->wake_receive = state->wake_send = state->table = -1;
}

ac_parent_state_t *ac_parent_state(void)
{
    ac_parent_state_t *state = ap_retained_data_get(RETAINED_KEY);

    if (!state) {
        state = ap_retained_data_create(RETAINED_KEY, RETAINED_SIZE);
        forget(state);
    }
    return state;
}

void ac_parent_state_reset(ac_parent_state_t *state)
{
    ac_parent_close(&state->board);
    ac_parent_close(&state->board_ro);
    ac_parent_close(&state->rows);
    ac_parent_close(&state->wake_receive);
    ac_parent_close(&state->wake_send);
    ac_parent_close(&state->table);
    ac_parent_close(&state->control);
    forget(state);
}

apr_status_t ac_parent_state_open(ac_parent_state_t *state)
{
    apr_status_t rv;

    if (state->protocol == (int)ac_message_version && state->board >= 0) {
        return APR_SUCCESS;
    }
    rv = ac_board_create(&state->board);
    if (rv == APR_SUCCESS) {
        rv = ac_board_readonly_fd(state->board, &state->board_ro);
    }
    if (rv == APR_SUCCESS) {
        rv = ac_rows_create(&state->rows);
    }
    if (rv == APR_SUCCESS) {
        rv = ac_wake_pair(&state->wake_receive, &state->wake_send);
    }
    state->protocol = (int)ac_message_version;
    state->owner = (int)getpid();
    if (rv != APR_SUCCESS) {
        ac_parent_state_reset(state);
    }
    return rv;
}
