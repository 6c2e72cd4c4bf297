/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/webconfig.h"

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
    { "applicationInitialization", "AppCoreStartMode AlwaysRunning" },
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

/* Where something lies, for messages. */
typedef struct place_t {
    ac_webconfig_t *web;
    const char *section;        /* system.webServer or system.web */
    ac_result_t *res;
} place_t;

static int is(const apr_xml_elem *elem, const char *name)
{
    return !strcmp(elem->name, name);
}

static int attr_is(const apr_xml_elem *elem, const char *name, const char *value)
{
    const char *found = ac_webconfig_attr(elem, name);

    return found && !strcasecmp(found, value);
}

static void add_access_rule(const place_t *at, const char *path)
{
    if (at->web->access_rules->nelts < AC_LAUNCH_NOTICES_MAX) {
        APR_ARRAY_PUSH(at->web->access_rules, const char *) =
            apr_pstrcat(at->web->p, at->section, "/", path, NULL);
    }
}

/* Anything but "everybody may" takes something from somebody. */
static int authorization_restricts(const apr_xml_elem *elem)
{
    const apr_xml_elem *child;

    for (child = elem->first_child; child; child = child->next) {
        int everybody = is(child, "add") && attr_is(child, "users", "*")
                        && attr_is(child, "accessType", "Allow");

        if (!everybody && !is(child, "clear") && !is(child, "allow")) {
            return 1;
        }
    }
    return 0;
}

static int has_entries(const apr_xml_elem *elem)
{
    const apr_xml_elem *child;

    for (child = elem->first_child; child; child = child->next) {
        if (!is(child, "clear") && !is(child, "remove")) {
            return 1;
        }
    }
    return 0;
}

static int ssl_flags_restrict(const apr_xml_elem *elem)
{
    const char *flags = ac_webconfig_attr(elem, "sslFlags");

    return flags && *flags && strcasecmp(flags, "None");
}

static int read_max_content(const place_t *at, const apr_xml_elem *limits)
{
    const char *value = ac_webconfig_attr(limits, "maxAllowedContentLength");
    apr_size_t len = value ? strlen(value) : 0;
    apr_int64_t n;

    if (!value) {
        return 1;
    }
    n = len && len < 11 ? apr_atoi64(value) : -1;
    if (!len || strspn(value, "0123456789") != len || n < 0 || n > 4294967295LL) {
        ac_result_set(at->res, APR_EINVAL, AC_STAGE_LOOK, AC_FAULT_CONFIG,
                      "web.config: attribute 'maxAllowedContentLength' is \"%.40s\". "
                      "Integer value must be between 0 and 4294967295 inclusive.", value);
        return 0;
    }
    at->web->max_content_length = n;
    return 1;
}

static int read_request_limits(const place_t *at, const apr_xml_elem *limits, int here)
{
    const apr_xml_attr *attr;

    for (attr = limits->attr; attr; attr = attr->next) {
        if (strcmp(attr->name, "maxAllowedContentLength")) {
            ac_webconfig_notice(at->web, "web.config: requestLimits '%.64s' has no "
                                "effect; httpd has LimitRequestLine and "
                                "LimitRequestFieldSize", attr->name);
        }
    }
    if (has_entries(limits)) {
        add_access_rule(at, "security/requestFiltering/requestLimits/headerLimits");
    }
    if (!here && ac_webconfig_attr(limits, "maxAllowedContentLength")) {
        ac_webconfig_notice(at->web, "web.config: maxAllowedContentLength of a "
                            "<location> has no effect; httpd has LimitRequestBody in "
                            "<Location>");
        return 1;
    }
    return read_max_content(at, limits);
}

static int read_request_filtering(const place_t *at, const apr_xml_elem *elem, int here)
{
    const apr_xml_elem *child;

    for (child = elem->first_child; child; child = child->next) {
        if (is(child, "requestLimits")) {
            if (!read_request_limits(at, child, here)) {
                return 0;
            }
        }
        else if (has_entries(child) || attr_is(child, "allowUnlisted", "false")) {
            add_access_rule(at, apr_psprintf(at->web->p,
                            "security/requestFiltering/%.64s", child->name));
        }
    }
    return 1;
}

static void read_authentication(const place_t *at, const apr_xml_elem *elem)
{
    const apr_xml_elem *child;

    for (child = elem->first_child; child; child = child->next) {
        if (is(child, "anonymousAuthentication")) {
            if (attr_is(child, "enabled", "false")) {
                add_access_rule(at, "security/authentication/anonymousAuthentication");
            }
        }
        else if (attr_is(child, "enabled", "true")) {
            ac_webconfig_notice(at->web, "web.config: <%.64s> has no effect; httpd has "
                                "AuthType and Require", child->name);
        }
    }
}

static int read_security(const place_t *at, const apr_xml_elem *elem, int here)
{
    const apr_xml_elem *child;

    for (child = elem->first_child; child; child = child->next) {
        if (is(child, "authorization") && authorization_restricts(child)) {
            add_access_rule(at, "security/authorization");
        }
        else if ((is(child, "ipSecurity") || is(child, "dynamicIpSecurity"))
                 && (has_entries(child) || attr_is(child, "allowUnlisted", "false"))) {
            add_access_rule(at, apr_pstrcat(at->web->p, "security/", child->name, NULL));
        }
        else if (is(child, "access") && ssl_flags_restrict(child)) {
            add_access_rule(at, "security/access sslFlags");
        }
        else if (is(child, "authentication")) {
            read_authentication(at, child);
        }
        else if (is(child, "requestFiltering")
                 && !read_request_filtering(at, child, here)) {
            return 0;
        }
    }
    return 1;
}

static void note_handlers(const place_t *at, const apr_xml_elem *elem)
{
    const apr_xml_elem *child;

    for (child = elem->first_child; child; child = child->next) {
        const char *modules = ac_webconfig_attr(child, "modules");

        if (is(child, "add") && (!modules || strncmp(modules, "AspNetCoreModule", 16))) {
            const char *name = ac_webconfig_attr(child, "name");

            ac_webconfig_notice(at->web, "web.config: handler \"%.64s\" has no effect; "
                                "httpd has SetHandler, and AppCoreEnabled Off in a "
                                "<Location>", name ? name : "");
        }
    }
}

static void read_web_socket(const place_t *at, const apr_xml_elem *elem)
{
    ac_num_t *websockets = &at->web->overlay->websockets;

    if (attr_is(elem, "enabled", "false") || attr_is(elem, "enabled", "true")) {
        websockets->v = attr_is(elem, "enabled", "true") ? AC_ON : AC_OFF;
        websockets->origin = AC_ORIGIN_WEBCONFIG;
    }
}

static void note_element(const place_t *at, const apr_xml_elem *elem)
{
    size_t i;

    if (is(elem, "modules") && !has_entries(elem)) {
        return;
    }
    for (i = 0; i < sizeof(equivalents) / sizeof(equivalents[0]); ++i) {
        if (is(elem, equivalents[i].name)) {
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

static int read_web_server(const place_t *at, const apr_xml_elem *section, int here)
{
    const apr_xml_elem *child;

    for (child = section->first_child; child; child = child->next) {
        note_element(at, child);
        if (ac_webconfig_attr(child, "configSource")) {
            ac_webconfig_notice(at->web, "web.config: configSource of <%.64s> is not "
                                "followed", child->name);
        }
        if (is(child, "handlers")) {
            note_handlers(at, child);
        }
        else if (is(child, "webSocket") && here) {
            read_web_socket(at, child);
        }
        else if (is(child, "security") && !read_security(at, child, here)) {
            return 0;
        }
    }
    return 1;
}

int ac_webconfig_section(ac_webconfig_t *web, const apr_xml_elem *section, int here,
                         ac_result_t *res)
{
    place_t at = { web, section->name, res };
    const apr_xml_elem *child;

    if (is(section, "system.webServer")) {
        return read_web_server(&at, section, here);
    }
    for (child = section->first_child; child; child = child->next) {
        if (is(child, "authorization") && authorization_restricts(child)) {
            add_access_rule(&at, "authorization");
        }
    }
    return 1;
}
