/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Any bytes as a web.config: refused with a fault, or understood within the limits
 * that everybody downstream relies on. */

#include <stdlib.h>
#include <string.h>
#include <apr_general.h>
#include "spec/argv.h"
#include "spec/launch.h"
#include "spec/webconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(int condition)
{
    if (!condition) {
        abort();
    }
}

/* The overlay must pass the decoder that the manager uses. */
static void check_overlay(const ac_webconfig_t *web, apr_pool_t *p)
{
    ac_launch_t launch = { .reach = AC_REACH_PORT, .folder = "/f" };
    ac_wire_writer_t w;
    ac_wire_reader_t r;

    launch.argv = apr_array_make(p, 1, sizeof(const char *));
    APR_ARRAY_PUSH(launch.argv, const char *) = "/bin/app";
    launch.overlay = web->overlay;
    launch.max_content_length = web->max_content_length;
    launch.notices = web->notices;
    ac_wire_writer_init(&w, 4 * 1024 * 1024, p);
    ac_launch_put(&w, &launch);
    require(w.status == APR_SUCCESS);
    ac_wire_reader_init(&r, w.data, w.len);
    require(w.len <= AC_LAUNCH_WIRE_MAX && ac_launch_get(&r, p) != NULL);
}

static void check_arguments(const ac_webconfig_t *web, apr_pool_t *p)
{
    const apr_array_header_t *words = ac_argv_split(web->arguments, AC_QUOTES_WINDOWS, p);

    (void)ac_argv_split(web->arguments, AC_QUOTES_UNIX, p);
    require(!words || words->nelts <= AC_LAUNCH_ARGS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    ac_result_t res = AC_RESULT_OK;
    const ac_webconfig_t *web;
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    web = ac_webconfig_parse((const char *)data, len, &res, p);
    require((web == NULL) == (res.fault != AC_FAULT_NONE));
    if (web) {
        check_overlay(web, p);
        if (web->has_app) {
            require(*web->process_path != '\0');
            check_arguments(web, p);
        }
    }
    apr_pool_destroy(p);
    apr_terminate();
    return 0;
}
