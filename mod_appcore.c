/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The module record and what it hangs on; everything else is in src/. Only
 * symbols of httpd's core and APR are used, so the module loads before or after
 * any other and with or without them. */

#include "httpd.h"
#include "http_config.h"
#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "mpm_common.h"
#include "conf/conf.h"
#include "conn/park.h"
#include "inproc/app.h"
#include "inproc/leave.h"
#include "parent/parent.h"
#include "request/request.h"

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                       server_rec *s)
{
    apr_array_header_t *log_servers;
    ac_spec_table_t *table = ac_conf_resolve(s, &log_servers, pconf, ptemp);

    (void)plog;
    if (!table) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    /* The first pass runs in a process that is not yet httpd's parent. */
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG
        || ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_NORMAL) {
        return OK;
    }
    if (ac_inproc_post_config(pconf, table) != APR_SUCCESS) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return ac_parent_apply(s, table, log_servers, pconf) == APR_SUCCESS
        ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

static void register_hooks(apr_pool_t *p)
{
    ap_hook_check_config(ac_conf_check, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_LAST);
    ap_hook_child_init(ac_request_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_status(ac_inproc_child_status, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_read_request(ac_leave_see_request, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_stopping(ac_leave_hook, NULL, NULL, APR_HOOK_MIDDLE);
    ac_park_register_hooks(p);
    ac_request_register_hooks(p);
}

/* The one symbol that httpd looks for; all others are compiled hidden. */
extern module AP_MODULE_DECLARE_DATA appcore_module
    __attribute__((visibility("default")));

AP_DECLARE_MODULE(appcore) = {
    STANDARD20_MODULE_STUFF,
    ac_conf_create_dir,
    ac_conf_merge_dir,
    ac_conf_create_server,
    ac_conf_merge_server,
    ac_conf_commands,
    register_hooks,
    AP_MODULE_FLAG_NONE
};
