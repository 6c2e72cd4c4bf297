/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/state.h"
#include "manager/manager.h"
#include "relay/relay.h"

/* The one place where this room looks up: what the keeper forks has its code in
 * rooms above it. */
void ac_keeper_main(const ac_keeper_args_t *args)
{
    const ac_keeper_mains_t mains = { ac_manager_main, ac_relay_main };

    ac_keeper_run(args, &mains);
}
