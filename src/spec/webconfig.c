/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/webconfig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include "spec/handler.h"
#include "spec/launch.h"

#define SECTION_ERROR "Unable to get required configuration section " \
    "'system.webServer/aspNetCore'. Possible reason is web.config authoring error."

typedef struct reading_t {
    ac_webconfig_t *web;
    ac_result_t *res;
} reading_t;

/* Attributes that are numbers of our settings as well. */
static const struct number_t {
    const char *name;
    size_t offset;
    long min;
    long max;
    int clamps;                 /* ANCM takes more and means max */
} numbers[] = {
    { "startupTimeLimit", offsetof(ac_settings_t, startup_time_limit), 0, 3600, 0 },
    { "shutdownTimeLimit", offsetof(ac_settings_t, shutdown_time_limit), 0, 600, 0 },
    { "rapidFailsPerMinute", offsetof(ac_settings_t, rapid_fails_per_minute), 0, 100, 1 },
    { "processesPerApplication", offsetof(ac_settings_t, processes_per_application),
      1, 100, 0 },
};

static const char *const known_attributes[] = {
    "processPath", "arguments", "hostingModel", "startupTimeLimit", "shutdownTimeLimit",
    "rapidFailsPerMinute", "processesPerApplication", "requestTimeout",
    "stdoutLogEnabled", "stdoutLogFile", "disableStartUpErrorPage",
    "forwardWindowsAuthToken",
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

void ac_webconfig_notice(ac_webconfig_t *web, const char *fmt, ...)
{
    va_list ap;

    if (web->notices->nelts < AC_LAUNCH_NOTICES_MAX) {
        va_start(ap, fmt);
        APR_ARRAY_PUSH(web->notices, const char *) = apr_pvsprintf(web->p, fmt, ap);
        va_end(ap);
    }
}

const char *ac_webconfig_attr(const apr_xml_elem *elem, const char *name)
{
    const apr_xml_attr *attr;

    for (attr = elem->attr; attr; attr = attr->next) {
        if (!strcmp(attr->name, name)) {
            return attr->value;
        }
    }
    return NULL;
}

static int fail(const reading_t *rd, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int fail(const reading_t *rd, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    ac_result_set(rd->res, APR_EINVAL, AC_STAGE_LOOK, AC_FAULT_CONFIG, "web.config: %s",
                  apr_pvsprintf(rd->web->p, fmt, ap));
    va_end(ap);
    return 0;
}

static ac_num_t said(apr_int64_t v)
{
    ac_num_t num = { v, AC_ORIGIN_WEBCONFIG };

    return num;
}

static int read_number(const reading_t *rd, const apr_xml_elem *elem,
                       const struct number_t *def)
{
    const char *value = ac_webconfig_attr(elem, def->name);
    apr_size_t len = value ? strlen(value) : 0;
    long n;

    if (!value) {
        return 1;
    }
    n = len < 10 ? strtol(value, NULL, 10) : def->max + 1;
    if (def->clamps && n > def->max && len && strspn(value, "0123456789") == len) {
        ac_webconfig_notice(rd->web, "web.config: %s is limited to %ld", def->name,
                            def->max);
        n = def->max;
    }
    if (!len || strspn(value, "0123456789") != len || n < def->min || n > def->max) {
        return fail(rd, "attribute '%s' is \"%.40s\". Integer value must be between "
                    "%ld and %ld inclusive.", def->name, value, def->min, def->max);
    }
    *(ac_num_t *)((char *)rd->web->overlay + def->offset) = said(n);
    return 1;
}

/* *pv: 1, 0, or -1 when the attribute is not there. */
static int read_bool(const reading_t *rd, const apr_xml_elem *elem, const char *name,
                     int *pv)
{
    const char *value = ac_webconfig_attr(elem, name);

    *pv = -1;
    if (!value) {
        return 1;
    }
    if (strcasecmp(value, "true") && strcasecmp(value, "false")) {
        return fail(rd, "attribute '%s' is \"%.40s\", but must be true or false.", name,
                    value);
    }
    *pv = !strcasecmp(value, "true");
    return 1;
}

static const char *two_digits(const char *at, int *pv)
{
    if (!apr_isdigit(at[0]) || !apr_isdigit(at[1])) {
        return NULL;
    }
    *pv = (at[0] - '0') * 10 + at[1] - '0';
    return *pv < 60 ? at + 2 : NULL;
}

/* [d.]hh:mm:ss; -1 if it is something else or more than 360 hours. */
static apr_int64_t parse_timespan(const char *text)
{
    apr_int64_t days = 0, hours;
    int minutes, seconds;
    char *at;

    if (strspn(text, "0123456789.:") != strlen(text) || !apr_isdigit(*text)
        || strlen(text) > 16) {
        return -1;
    }
    hours = strtol(text, &at, 10);
    if (*at == '.') {
        days = hours;
        if (!apr_isdigit(at[1])) {
            return -1;
        }
        hours = strtol(at + 1, &at, 10);
    }
    if (*at != ':' || !(text = two_digits(at + 1, &minutes)) || *text != ':'
        || !(text = two_digits(text + 1, &seconds)) || *text
        || days > 15 || hours > 360) {
        return -1;
    }
    hours += days * 24;
    seconds += minutes * 60 + (int)hours * 3600;
    return seconds <= 360 * 3600 ? seconds : -1;
}

static int read_request_timeout(const reading_t *rd, const apr_xml_elem *elem)
{
    const char *value = ac_webconfig_attr(elem, "requestTimeout");
    apr_int64_t seconds;

    if (!value) {
        return 1;
    }
    seconds = parse_timespan(value);
    if (seconds < 0) {
        return fail(rd, "attribute 'requestTimeout' is \"%.40s\". A time as hh:mm:ss "
                    "between 00:00:00 and 360:00:00 was expected.", value);
    }
    /* ANCM hands its zero to a library for which that means no limit at all. */
    rd->web->overlay->request_time =
        said(apr_time_from_sec(seconds ? seconds : 360 * 3600));
    return 1;
}

static int read_hosting_model(const reading_t *rd, const apr_xml_elem *elem)
{
    const char *value = ac_webconfig_attr(elem, "hostingModel");

    if (!value || !*value) {
        return 1;
    }
    if (!strcasecmp(value, "outofprocess")) {
        rd->web->overlay->hosting_model = said(AC_HOSTING_OUT_OF_PROCESS);
        return 1;
    }
    if (strcasecmp(value, "inprocess")) {
        return fail(rd, "Unknown hosting model '%.64s'. Please specify either "
                    "hostingModel=\"inprocess\" or hostingModel=\"outofprocess\" in the "
                    "web.config file.", value);
    }
    ac_webconfig_notice(rd->web, "web.config asks for hostingModel=\"inprocess\"; the "
                        "app runs out of process, because only AppCoreHostingModel "
                        "InProcess in httpd's configuration allows the other");
    return 1;
}

/* Every web.config that the SDK writes has stdoutLogEnabled="false", which is no
 * wish of its author; so "false" leaves to httpd's configuration where output
 * goes, and only "true" decides. */
static int read_stdout_log(const reading_t *rd, const apr_xml_elem *elem)
{
    const char *file = ac_webconfig_attr(elem, "stdoutLogFile");
    int enabled;

    if (!read_bool(rd, elem, "stdoutLogEnabled", &enabled)) {
        return 0;
    }
    if (enabled == 1) {
        rd->web->overlay->stdout_log_enabled = said(AC_ON);
        rd->web->overlay->stdout_log_file.v = file && *file ? file
                                                            : ".\\aspnetcore-stdout";
        rd->web->overlay->stdout_log_file.origin = AC_ORIGIN_WEBCONFIG;
    }
    return 1;
}

static int read_switches(const reading_t *rd, const apr_xml_elem *elem)
{
    int disable, forward;

    if (!read_bool(rd, elem, "disableStartUpErrorPage", &disable)
        || !read_bool(rd, elem, "forwardWindowsAuthToken", &forward)) {
        return 0;
    }
    if (disable >= 0) {
        rd->web->overlay->disable_startup_error_page = said(disable);
    }
    return 1;
}

static int read_command(const reading_t *rd, const apr_xml_elem *elem)
{
    ac_webconfig_t *web = rd->web;
    const char *args = ac_webconfig_attr(elem, "arguments");
    ac_str_t *path = &web->overlay->process_path;

    web->process_path = ac_webconfig_attr(elem, "processPath");
    if (!web->process_path || !*web->process_path) {
        return fail(rd, "Attribute 'processPath' is required.");
    }
    if (strlen(web->process_path) > AC_LAUNCH_LINE_MAX) {
        return fail(rd, "attribute 'processPath' is too long.");
    }
    web->arguments = args ? args : "";
    path->v = web->process_path;
    path->origin = AC_ORIGIN_WEBCONFIG;
    web->overlay->arguments.v = web->arguments;
    web->overlay->arguments.origin = AC_ORIGIN_WEBCONFIG;
    return 1;
}

static int add_variable(const reading_t *rd, const apr_xml_elem *elem)
{
    apr_array_header_t *list = rd->web->overlay->environment.v;
    ac_env_var_t var = { .origin = AC_ORIGIN_WEBCONFIG };

    var.name = ac_webconfig_attr(elem, "name");
    var.value = ac_webconfig_attr(elem, "value");
    if (!var.name || !*var.name || strchr(var.name, '=')) {
        return fail(rd, "an <environmentVariable> has no usable name.");
    }
    if (!var.value) {
        return fail(rd, "<environmentVariable name=\"%.64s\"> has no value.", var.name);
    }
    if (list->nelts == AC_LAUNCH_ENV_MAX) {
        return fail(rd, "there are more than %d environment variables.",
                    AC_LAUNCH_ENV_MAX);
    }
    APR_ARRAY_PUSH(list, ac_env_var_t) = var;
    return 1;
}

static int read_environment(const reading_t *rd, const apr_xml_elem *elem)
{
    ac_list_t *environment = &rd->web->overlay->environment;
    const apr_xml_elem *child;

    environment->origin = AC_ORIGIN_WEBCONFIG;
    for (child = elem->first_child; child; child = child->next) {
        if (!strcmp(child->name, "clear")) {
            apr_array_clear(environment->v);
        }
        else if (strcmp(child->name, "environmentVariable")) {
            return fail(rd, "%s", SECTION_ERROR);
        }
        else if (!add_variable(rd, child)) {
            return 0;
        }
    }
    return 1;
}

static void note_handler_setting(ac_webconfig_t *web, const char *name)
{
    const ac_handler_t *def = ac_handler_find(name);

    if (!def) {
        ac_webconfig_notice(web, "web.config: handlerSetting \"%.64s\" is not known and "
                            "has no effect", name);
    }
    else if (def->instead) {
        ac_webconfig_notice(web, "web.config: handlerSetting \"%s\" has no effect: %s",
                            def->name, def->instead);
    }
}

/* Of two with one name ANCM takes the first. */
static int add_handler_setting(const reading_t *rd, const apr_xml_elem *elem)
{
    ac_list_t *list = &rd->web->overlay->handler_settings;
    ac_env_var_t setting = { .origin = AC_ORIGIN_WEBCONFIG };

    setting.name = ac_webconfig_attr(elem, "name");
    setting.value = ac_webconfig_attr(elem, "value");
    if (strcmp(elem->name, "handlerSetting") || !setting.name || !*setting.name
        || strchr(setting.name, '=') || !setting.value) {
        return fail(rd, "%s", SECTION_ERROR);
    }
    if (ac_settings_handler(rd->web->overlay, setting.name)) {
        return 1;
    }
    if (list->v->nelts == AC_LAUNCH_HANDLER_MAX) {
        return fail(rd, "there are more than %d handler settings.",
                    AC_LAUNCH_HANDLER_MAX);
    }
    list->origin = AC_ORIGIN_WEBCONFIG;
    APR_ARRAY_PUSH(list->v, ac_env_var_t) = setting;
    note_handler_setting(rd->web, setting.name);
    return 1;
}

static int read_handler_settings(const reading_t *rd, const apr_xml_elem *elem)
{
    const apr_xml_elem *child;

    for (child = elem->first_child; child; child = child->next) {
        if (!strcmp(child->name, "clear")) {
            apr_array_clear(rd->web->overlay->handler_settings.v);
        }
        else if (!add_handler_setting(rd, child)) {
            return 0;
        }
    }
    return 1;
}

static int read_children(const reading_t *rd, const apr_xml_elem *elem)
{
    const apr_xml_elem *child;

    for (child = elem->first_child; child; child = child->next) {
        if (!strcmp(child->name, "environmentVariables")) {
            if (!read_environment(rd, child)) {
                return 0;
            }
        }
        else if (!strcmp(child->name, "handlerSettings")) {
            if (!read_handler_settings(rd, child)) {
                return 0;
            }
        }
        else if (!strcmp(child->name, "recycleOnFileChange")) {
            ac_webconfig_notice(rd->web, "web.config: <recycleOnFileChange> has no "
                                "effect, as in IIS");
        }
        else {
            return fail(rd, "%s", SECTION_ERROR);
        }
    }
    return 1;
}

static void note_unknown_attributes(const reading_t *rd, const apr_xml_elem *elem)
{
    const apr_xml_attr *attr;
    size_t i;

    for (attr = elem->attr; attr; attr = attr->next) {
        for (i = 0; i < N(known_attributes); ++i) {
            if (!strcmp(attr->name, known_attributes[i])) {
                break;
            }
        }
        if (i == N(known_attributes)) {
            ac_webconfig_notice(rd->web, "web.config: attribute '%.64s' of "
                                "<aspNetCore> is not known and has no effect",
                                attr->name);
        }
    }
}

static int read_app(const reading_t *rd, const apr_xml_elem *elem)
{
    size_t i;

    rd->web->has_app = 1;
    note_unknown_attributes(rd, elem);
    for (i = 0; i < N(numbers); ++i) {
        if (!read_number(rd, elem, &numbers[i])) {
            return 0;
        }
    }
    return read_command(rd, elem) && read_hosting_model(rd, elem)
           && read_request_timeout(rd, elem) && read_stdout_log(rd, elem)
           && read_switches(rd, elem) && read_children(rd, elem);
}

/* `here`: the section is about the app itself, not about a part of its URLs. */
static int read_section(const reading_t *rd, const apr_xml_elem *section, int here)
{
    const apr_xml_elem *child;

    for (child = section->first_child; child; child = child->next) {
        if (here && !strcmp(section->name, "system.webServer")
            && !strcmp(child->name, "aspNetCore") && !read_app(rd, child)) {
            return 0;
        }
    }
    return ac_webconfig_section(rd->web, section, here, rd->res);
}

static int read_groups(const reading_t *rd, const apr_xml_elem *parent, int here)
{
    const apr_xml_elem *child;

    for (child = parent->first_child; child; child = child->next) {
        int is_section = !strcmp(child->name, "system.webServer")
                         || !strcmp(child->name, "system.web");

        if (is_section && !read_section(rd, child, here)) {
            return 0;
        }
    }
    return 1;
}

static int read_configuration(const reading_t *rd, const apr_xml_elem *root)
{
    const apr_xml_elem *child;

    if (strcmp(root->name, "configuration")) {
        return fail(rd, "the root element is <%.64s>, but must be <configuration>.",
                    root->name);
    }
    if (!read_groups(rd, root, 1)) {
        return 0;
    }
    for (child = root->first_child; child; child = child->next) {
        const char *path;

        if (strcmp(child->name, "location")) {
            continue;
        }
        path = ac_webconfig_attr(child, "path");
        if (!read_groups(rd, child, !path || !*path || !strcmp(path, "."))) {
            return 0;
        }
    }
    return 1;
}

/* Whoever reads the tree may recurse afterwards. */
static int within_limits(const apr_xml_elem *root)
{
    const apr_xml_elem *elem = root;
    int depth = 1, n = 1;

    while (elem) {
        if (elem->first_child) {
            elem = elem->first_child;
            ++depth;
        }
        else {
            while (elem != root && !elem->next) {
                elem = elem->parent;
                --depth;
            }
            elem = elem == root ? NULL : elem->next;
        }
        if (++n > AC_WEBCONFIG_ELEMENTS || depth > AC_WEBCONFIG_DEPTH) {
            return 0;
        }
    }
    return 1;
}

static apr_xml_doc *parse_xml(const reading_t *rd, const char *data, apr_size_t len)
{
    apr_pool_t *p = rd->web->p;
    apr_xml_parser *parser = apr_xml_parser_create(p);
    apr_xml_doc *doc = NULL;
    char why[200];

    if (apr_xml_parser_feed(parser, data, len) != APR_SUCCESS
        || apr_xml_parser_done(parser, &doc) != APR_SUCCESS) {
        apr_xml_parser_geterror(parser, why, sizeof(why));
        fail(rd, "it is not well-formed XML (%s).", why);
        return NULL;
    }
    if (!within_limits(doc->root)) {
        fail(rd, "it has more than %d elements or they are nested deeper than %d.",
             AC_WEBCONFIG_ELEMENTS, AC_WEBCONFIG_DEPTH);
        return NULL;
    }
    return doc;
}

ac_webconfig_t *ac_webconfig_parse(const char *data, apr_size_t len, ac_result_t *res,
                                   apr_pool_t *p)
{
    ac_webconfig_t *web = apr_pcalloc(p, sizeof(*web));
    reading_t rd = { web, res };
    apr_xml_doc *doc;

    web->p = p;
    web->overlay = ac_settings_create(p);
    web->max_content_length = -1;
    web->notices = apr_array_make(p, 4, sizeof(const char *));
    web->access_rules = apr_array_make(p, 4, sizeof(const char *));
    if (len > AC_WEBCONFIG_MAX) {
        fail(&rd, "it is larger than %d KB.", AC_WEBCONFIG_MAX / 1024);
        return NULL;
    }
    doc = parse_xml(&rd, data, len);
    return doc && read_configuration(&rd, doc->root) ? web : NULL;
}
