/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "conf/conf.h"

#include <strings.h>

#include "util_cfgtree.h"

static const char *find(const ap_directive_t *node, const char *name)
{
    for (; node; node = node->next) {
        const char *found = node->first_child ? find(node->first_child, name) : NULL;

        if (found) {
            return found;
        }
        if (!strcasecmp(node->directive, name)) {
            return node->args;
        }
    }
    return NULL;
}

const char *ac_conf_foreign(const char *directive)
{
    return find(ap_conftree, directive);
}
