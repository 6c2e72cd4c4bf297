/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/json.h"

#include <string.h>

static apr_status_t free_tree(void *data)
{
    json_decref(data);
    return APR_SUCCESS;
}

json_t *ac_json_parse(ac_look_t *look, const char *name, const char *data,
                      apr_size_t len)
{
    json_error_t error;
    json_t *tree;

    /* Tools of Windows begin files with a mark that JSON does not allow. */
    if (len >= 3 && !memcmp(data, "\xef\xbb\xbf", 3)) {
        data += 3;
        len -= 3;
    }
    tree = json_loadb(data, len, 0, &error);
    if (!json_is_object(tree)) {
        json_decref(tree);
        ac_look_fail(look, AC_FAULT_CONFIG, "%.100s is not valid JSON (line %d: "
                     "%.100s): was it copied completely?", name, tree ? 1 : error.line,
                     tree ? "not an object" : error.text);
        return NULL;
    }
    apr_pool_cleanup_register(look->p, tree, free_tree, apr_pool_cleanup_null);
    return tree;
}

json_t *ac_json_read(ac_look_t *look, const char *name)
{
    apr_size_t len = 0;
    char *data = ac_folder_read(look->folder, name, &len, &look->launch->result);

    return data ? ac_json_parse(look, name, data, len) : NULL;
}
