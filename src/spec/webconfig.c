/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/webconfig_parts.h"

#include <stdarg.h>
#include <string.h>
#include <apr_strings.h>
#include "spec/launch.h"

void ac_webconfig_notice(ac_webconfig_t *web, const char *fmt, ...)
{
    va_list ap;

    if (web->notices->nelts < AC_LAUNCH_NOTICES_MAX) {
        va_start(ap, fmt);
        APR_ARRAY_PUSH(web->notices, const char *) = apr_pvsprintf(web->p, fmt, ap);
        va_end(ap);
    }
}

static int fail_at_line(const ac_webconfig_at_t *at, int line, ac_fault_e fault,
                        const char *why)
{
    if (line > 0) {
        ac_result_set(at->res, APR_EINVAL, AC_STAGE_LOOK, fault, "web.config, line %d: "
                      "%s", line, why);
    }
    else {
        ac_result_set(at->res, APR_EINVAL, AC_STAGE_LOOK, fault, "web.config: %s", why);
    }
    return 0;
}

int ac_webconfig_fail(const ac_webconfig_at_t *at, const ac_xml_t *elem,
                      ac_fault_e fault, const char *fmt, ...)
{
    const char *why;
    va_list ap;

    va_start(ap, fmt);
    why = apr_pvsprintf(at->web->p, fmt, ap);
    va_end(ap);
    return fail_at_line(at, elem->line, fault, why);
}

static int read_server_section(const ac_webconfig_at_t *at, const ac_xml_t *section)
{
    const ac_xml_t *child, *seen = NULL;

    for (child = section->first_child; child; child = child->next) {
        if (!ac_xml_is(child, "aspNetCore")) {
            continue;
        }
        if (at->location) {
            ac_webconfig_notice(at->web, "web.config: <aspNetCore> of <location path="
                                "\"%.64s\"> is about another app, which needs a mount of "
                                "its own", at->location);
            continue;
        }
        if (seen) {
            return ac_webconfig_fail(at, child, AC_FAULT_WEB_CONFIG, "there is a "
                                     "duplicate 'system.webServer/aspNetCore' section "
                                     "(the first is in line %d).", seen->line);
        }
        seen = child;
        if (!ac_webconfig_app(at, child)) {
            return 0;
        }
    }
    return 1;
}

static int read_sections(const ac_webconfig_at_t *at, const ac_xml_t *parent)
{
    const ac_xml_t *child;

    for (child = parent->first_child; child; child = child->next) {
        int is_server = ac_xml_is(child, "system.webServer");

        if (is_server && !read_server_section(at, child)) {
            return 0;
        }
        if ((is_server || ac_xml_is(child, "system.web"))
            && !ac_webconfig_section(at, child)) {
            return 0;
        }
    }
    return 1;
}

/* "." and nothing at all mean the folder of the file itself. Whether child
 * applications inherit it does not matter: no app of ours is another one's child. */
static const char *location_path(const ac_xml_t *location)
{
    const char *path = ac_xml_attr(location, "path");

    return path && *path && strcmp(path, ".") && strcmp(path, "./") ? path : NULL;
}

static int read_configuration(ac_webconfig_at_t *at, const ac_xml_t *root)
{
    const ac_xml_t *child;

    if (!ac_xml_is(root, "configuration")) {
        return ac_webconfig_fail(at, root, AC_FAULT_WEB_CONFIG, "the root element is "
                                 "<%.64s>, but must be <configuration>.", root->name);
    }
    if (!read_sections(at, root)) {
        return 0;
    }
    for (child = root->first_child; child; child = child->next) {
        if (ac_xml_is(child, "location")) {
            at->location = location_path(child);
            if (!read_sections(at, child)) {
                return 0;
            }
        }
    }
    if (at->web->has_app && (!at->web->process_path || !*at->web->process_path)) {
        return fail_at_line(at, at->web->app_line, AC_FAULT_CONFIG,
                            "Attribute 'processPath' is required.");
    }
    return 1;
}

ac_webconfig_t *ac_webconfig_parse(const char *data, apr_size_t len, ac_result_t *res,
                                   apr_pool_t *p)
{
    ac_webconfig_t *web = apr_pcalloc(p, sizeof(*web));
    ac_webconfig_at_t at = { web, res, NULL };
    const ac_xml_t *root;
    const char *why = NULL;
    int line = 0;

    web->p = p;
    web->overlay = ac_settings_create(p);
    web->max_content_length = -1;
    web->notices = apr_array_make(p, 4, sizeof(const char *));
    web->access_rules = apr_array_make(p, 4, sizeof(const char *));
    if (len > AC_WEBCONFIG_MAX) {
        why = apr_psprintf(p, "it is larger than %d KB.", AC_WEBCONFIG_MAX / 1024);
        fail_at_line(&at, 0, AC_FAULT_WEB_CONFIG, why);
        return NULL;
    }
    root = ac_xml_parse(data, len, &why, &line, p);
    if (!root) {
        fail_at_line(&at, line, AC_FAULT_WEB_CONFIG, why);
        return NULL;
    }
    return read_configuration(&at, root) ? web : NULL;
}
