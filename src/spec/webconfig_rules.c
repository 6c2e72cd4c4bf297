/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/webconfig_parts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include "spec/launch.h"

/* Elements of <system.webServer> and what serves their purpose in httpd. */
static const struct {
    const char *name;
    const char *instead;        /* NULL: nothing is lost without it */
} equivalents[] = {
    { "aspNetCore", NULL },
    { "handlers", NULL },
    { "security", NULL },
    { "webSocket", NULL },
    { "validation", NULL },
    { "serverRuntime", NULL },
    { "management", NULL },
    { "tracing", NULL },
    { "applicationInitialization", NULL },
    { "asp", "nothing" },
    { "caching", "mod_cache and Header set Cache-Control" },
    { "cgi", "mod_cgid" },
    { "cors", "Header set Access-Control-Allow-Origin" },
    { "defaultDocument", "DirectoryIndex" },
    { "directoryBrowse", "Options Indexes" },
    { "fastCgi", "mod_proxy_fcgi" },
    { "httpCompression", "mod_deflate or mod_brotli" },
    { "httpErrors", "ErrorDocument" },
    { "httpLogging", "CustomLog" },
    { "httpPlatform", "AppCoreProcessPath and AppCoreArguments" },
    { "httpProtocol", "Header set" },
    { "httpRedirect", "Redirect" },
    { "httpTracing", "LogLevel" },
    { "isapiFilters", "nothing" },
    { "modules", "LoadModule" },
    { "proxy", "mod_proxy" },
    { "rewrite", "mod_rewrite (RewriteRule)" },
    { "serverSideInclude", "mod_include" },
    { "staticContent", "AppCoreStaticFiles, AddType and mod_expires" },
    { "urlCompression", "mod_deflate or mod_brotli" },
    { "webdav", "mod_dav" },
};

static void note_handlers(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    const ac_xml_t *child;

    for (child = elem->first_child; child; child = child->next) {
        const char *modules = ac_xml_attr(child, "modules");

        if (ac_xml_is(child, "add")
            && (!modules || strncmp(modules, "AspNetCoreModule", 16))) {
            const char *name = ac_xml_attr(child, "name");

            ac_webconfig_notice(at->web, "web.config: handler \"%.64s\" has no effect; "
                                "httpd has SetHandler, and AppCoreEnabled Off in a "
                                "<Location>", name ? name : "");
        }
    }
}

static void read_web_socket(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    ac_num_t *websockets = &at->web->overlay->websockets;

    if (ac_xml_attr_is(elem, "enabled", "false")
        || ac_xml_attr_is(elem, "enabled", "true")) {
        websockets->v = ac_xml_attr_is(elem, "enabled", "true") ? AC_ON : AC_OFF;
        websockets->origin = AC_ORIGIN_WEBCONFIG;
    }
}

static void read_initialization(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    ac_list_t *pages = &at->web->overlay->warm_up;
    const ac_xml_t *child;

    for (child = elem->first_child; child; child = child->next) {
        const char *page = ac_xml_attr(child, "initializationPage");

        if (!ac_xml_is(child, "add")) {
            continue;
        }
        if (page && *page != '/') {
            page = apr_pstrcat(at->web->p, "/", page, NULL);
        }
        if (!page || !ac_settings_path_is_valid(page)
            || pages->v->nelts == AC_SETTINGS_WARM_UP_MAX) {
            ac_webconfig_notice(at->web, "web.config: an initializationPage is left out, "
                                "since it is no path or there are too many");
            continue;
        }
        pages->origin = AC_ORIGIN_WEBCONFIG;
        APR_ARRAY_PUSH(pages->v, const char *) = page;
    }
}

static int has_entries(const ac_xml_t *elem)
{
    const ac_xml_t *child;

    for (child = elem->first_child; child; child = child->next) {
        if (!ac_xml_is(child, "clear") && !ac_xml_is(child, "remove")) {
            return 1;
        }
    }
    return 0;
}

static void note_element(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    size_t i;

    if (ac_xml_attr(elem, "configSource")) {
        ac_webconfig_notice(at->web, "web.config: configSource of <%.64s> is not "
                            "followed", elem->name);
    }
    if (ac_xml_is(elem, "modules") && !has_entries(elem)) {
        return;
    }
    for (i = 0; i < sizeof(equivalents) / sizeof(equivalents[0]); ++i) {
        if (ac_xml_is(elem, equivalents[i].name)) {
            if (equivalents[i].instead) {
                ac_webconfig_notice(at->web, "web.config: <%s> has no effect; httpd "
                                    "has %s", equivalents[i].name,
                                    equivalents[i].instead);
            }
            return;
        }
    }
    ac_webconfig_notice(at->web, "web.config: <%.64s> is not known and has no effect",
                        elem->name);
}

static int read_web_server(const ac_webconfig_at_t *at, const ac_xml_t *section)
{
    const ac_xml_t *child;

    for (child = section->first_child; child; child = child->next) {
        note_element(at, child);
        if (ac_xml_is(child, "handlers")) {
            note_handlers(at, child);
            ac_webconfig_handlers_policy(at, child);
        }
        else if (ac_xml_is(child, "rewrite")) {
            ac_webconfig_rewrite(at, child);
        }
        else if (ac_xml_is(child, "applicationInitialization") && !at->location) {
            read_initialization(at, child);
        }
        else if (ac_xml_is(child, "webSocket") && !at->location) {
            read_web_socket(at, child);
        }
        else if (ac_xml_is(child, "security") && !ac_webconfig_security(at, child)) {
            return 0;
        }
    }
    return 1;
}

int ac_webconfig_section(const ac_webconfig_at_t *at, const ac_xml_t *section)
{
    const ac_xml_t *child;

    if (ac_xml_is(section, "system.webServer")) {
        return read_web_server(at, section);
    }
    for (child = section->first_child; child; child = child->next) {
        if (ac_xml_is(child, "authorization")) {
            ac_webconfig_asp_authorization(at, child);
        }
    }
    return 1;
}
