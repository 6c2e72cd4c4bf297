/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* What a manager or relay in strange hands may ask of the keeper, which is
 * root. The first byte says who speaks, the rest is a message without its
 * frame. No app is configured, so no request may start, make or open anything:
 * all must end in the decoders. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "keeper/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static ac_keeper_t keeper;
    ac_message_t msg;
    uint32_t type;

    if (len < 2 || len > AC_MESSAGE_MAX) {
        return 0;
    }
    if (!keeper.p) {
        apr_initialize();
        apr_pool_create(&keeper.p, NULL);
        apr_pool_create(&keeper.ptemp, keeper.p);
        keeper.manager.out.link = keeper.relay.out.link = -1;
        keeper.relay.is_relay = 1;
    }
    memset(&msg, 0, sizeof(msg));
    ac_wire_reader_init(&msg.body, data + 1, len - 1);
    type = ac_wire_get_u32(&msg.body);
    msg.type = (ac_message_e)type;
    ac_request(&keeper, data[0] & 1 ? &keeper.relay : &keeper.manager, &msg);
    if (keeper.procs || keeper.helpers) {
        abort();
    }
    apr_pool_clear(keeper.ptemp);
    return 0;
}
