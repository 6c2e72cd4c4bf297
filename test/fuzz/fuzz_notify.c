/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* What an app tells its manager, and lines as the kernel lists listeners. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "manager/notify.h"
#include "manager/port.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_listener(const char *text)
{
    ac_port_query_t query = { 8080, 1000, 0 };
    ac_port_owner_t owner;

    memset(&owner, 0, sizeof(owner));
    for (query.ipv6 = 0; query.ipv6 < 2; ++query.ipv6) {
        ac_port_line(&owner, &query, text);
        if (owner.foreign && !owner.found) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);
    ac_notify_t said;

    if (!text) {
        return 0;
    }
    memcpy(text, data, len);
    text[len] = '\0';
    check_listener(text);
    ac_notify_parse(&said, text);
    /* It points into the text, at a whole line. */
    if (said.status && (said.status < text || said.status > text + len
                        || strchr(said.status, '\n'))) {
        abort();
    }
    free(text);
    return 0;
}
