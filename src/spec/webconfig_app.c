/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* <aspNetCore>: its attributes and what is in it. */

#include "spec/webconfig_parts.h"

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

/* ANCM's own refusal: HTTP 500 and event 1034. */
#define REFUSE(at, elem, ...) \
    ac_webconfig_fail(at, elem, AC_FAULT_CONFIG, __VA_ARGS__)
/* What IIS refuses before ANCM sees it. */
#define INVALID(at, elem, ...) \
    ac_webconfig_fail(at, elem, AC_FAULT_WEB_CONFIG, __VA_ARGS__)

static ac_num_t said(apr_int64_t v)
{
    ac_num_t num = { v, AC_ORIGIN_WEBCONFIG };

    return num;
}

static int read_number(const ac_webconfig_at_t *at, const ac_xml_t *elem,
                       const struct number_t *def)
{
    const char *value = ac_xml_attr(elem, def->name);
    apr_size_t len = value ? strlen(value) : 0;
    long n;

    if (!value) {
        return 1;
    }
    n = len < 10 ? strtol(value, NULL, 10) : def->max + 1;
    if (def->clamps && n > def->max && len && strspn(value, "0123456789") == len) {
        ac_webconfig_notice(at->web, "web.config: %s is limited to %ld", def->name,
                            def->max);
        n = def->max;
    }
    if (!len || strspn(value, "0123456789") != len || n < def->min || n > def->max) {
        return INVALID(at, elem, "attribute '%s' is \"%.40s\". Integer value must be "
                       "between %ld and %ld inclusive.", def->name, value, def->min,
                       def->max);
    }
    *(ac_num_t *)((char *)at->web->overlay + def->offset) = said(n);
    return 1;
}

/* *pv: 1, 0, or -1 when the attribute is not there. */
static int read_bool(const ac_webconfig_at_t *at, const ac_xml_t *elem, const char *name,
                     int *pv)
{
    const char *value = ac_xml_attr(elem, name);

    *pv = -1;
    if (!value) {
        return 1;
    }
    if (strcasecmp(value, "true") && strcasecmp(value, "false")) {
        return INVALID(at, elem, "attribute '%s' is \"%.40s\", but must be true or "
                       "false.", name, value);
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

static int read_request_timeout(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    const char *value = ac_xml_attr(elem, "requestTimeout");
    apr_int64_t seconds;

    if (!value) {
        return 1;
    }
    seconds = parse_timespan(value);
    if (seconds < 0) {
        return INVALID(at, elem, "attribute 'requestTimeout' is \"%.40s\". A time as "
                       "hh:mm:ss between 00:00:00 and 360:00:00 was expected.", value);
    }
    /* ANCM hands its zero to a library for which that means no limit at all. */
    at->web->overlay->request_time =
        said(apr_time_from_sec(seconds ? seconds : 360 * 3600));
    return 1;
}

static int read_hosting_model(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    const char *value = ac_xml_attr(elem, "hostingModel");

    if (!value || !*value) {
        return 1;
    }
    if (!strcasecmp(value, "outofprocess")) {
        at->web->overlay->hosting_model = said(AC_HOSTING_OUT_OF_PROCESS);
        return 1;
    }
    if (strcasecmp(value, "inprocess")) {
        return REFUSE(at, elem, "Unknown hosting model '%.64s'. Please specify either "
                      "hostingModel=\"inprocess\" or hostingModel=\"outofprocess\" in "
                      "the web.config file.", value);
    }
    at->web->asks_inside = 1;
    return 1;
}

/* Every web.config that the SDK writes has stdoutLogEnabled="false", which is no
 * wish of its author; so "false" leaves to httpd's configuration where output
 * goes, and only "true" decides. */
static int read_stdout_log(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    const char *file = ac_xml_attr(elem, "stdoutLogFile");
    int enabled;

    if (!read_bool(at, elem, "stdoutLogEnabled", &enabled)) {
        return 0;
    }
    if (enabled == 1) {
        at->web->overlay->stdout_log_enabled = said(AC_ON);
        at->web->overlay->stdout_log_file.v = file && *file ? file
                                                            : ".\\aspnetcore-stdout";
        at->web->overlay->stdout_log_file.origin = AC_ORIGIN_WEBCONFIG;
    }
    return 1;
}

static int read_switches(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    int disable, forward;

    if (!read_bool(at, elem, "disableStartUpErrorPage", &disable)
        || !read_bool(at, elem, "forwardWindowsAuthToken", &forward)) {
        return 0;
    }
    if (disable >= 0) {
        at->web->overlay->disable_startup_error_page = said(disable);
    }
    if (forward >= 0) {
        at->web->overlay->forward_windows_auth_token = said(forward);
    }
    return 1;
}

/* Of several elements that apply, each says what it says: whether there is a
 * processPath is known at the end. */
static int read_command(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    ac_webconfig_t *web = at->web;
    const char *path = ac_xml_attr(elem, "processPath");
    const char *args = ac_xml_attr(elem, "arguments");

    if ((path && strlen(path) > AC_LAUNCH_LINE_MAX)
        || (args && strlen(args) > AC_LAUNCH_LINE_MAX)) {
        return INVALID(at, elem, "attribute 'processPath' or 'arguments' is longer than "
                       "%d characters.", AC_LAUNCH_LINE_MAX);
    }
    if (path) {
        web->process_path = path;
        web->overlay->process_path = (ac_str_t){ path, AC_ORIGIN_WEBCONFIG };
    }
    if (args || !web->arguments) {
        web->arguments = args ? args : "";
        web->overlay->arguments = (ac_str_t){ web->arguments, AC_ORIGIN_WEBCONFIG };
    }
    return 1;
}

static int add_variable(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    apr_array_header_t *list = at->web->overlay->environment.v;
    ac_env_var_t var = { .origin = AC_ORIGIN_WEBCONFIG };

    var.name = ac_xml_attr(elem, "name");
    var.value = ac_xml_attr(elem, "value");
    if (!var.name || !*var.name || strchr(var.name, '=')) {
        return INVALID(at, elem, "an <environmentVariable> has no usable name.");
    }
    if (!var.value) {
        return INVALID(at, elem, "<environmentVariable name=\"%.64s\"> has no value.",
                       var.name);
    }
    if (list->nelts == AC_LAUNCH_ENV_MAX) {
        return REFUSE(at, elem, "there are more than %d environment variables.",
                      AC_LAUNCH_ENV_MAX);
    }
    APR_ARRAY_PUSH(list, ac_env_var_t) = var;
    return 1;
}

static int read_environment(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    ac_list_t *environment = &at->web->overlay->environment;
    const ac_xml_t *child;

    environment->origin = AC_ORIGIN_WEBCONFIG;
    for (child = elem->first_child; child; child = child->next) {
        if (!strcmp(child->name, "clear")) {
            apr_array_clear(environment->v);
        }
        else if (strcmp(child->name, "environmentVariable")) {
            return REFUSE(at, child, "%s", SECTION_ERROR);
        }
        else if (!add_variable(at, child)) {
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
    else if (def->notice) {
        ac_webconfig_notice(web, "web.config: handlerSetting \"%s\" %s", def->name,
                            def->notice);
    }
}

/* Of two with one name ANCM takes the first. */
static int add_handler_setting(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    ac_list_t *list = &at->web->overlay->handler_settings;
    ac_env_var_t setting = { .origin = AC_ORIGIN_WEBCONFIG };

    setting.name = ac_xml_attr(elem, "name");
    setting.value = ac_xml_attr(elem, "value");
    if (strcmp(elem->name, "handlerSetting") || !setting.name || !*setting.name
        || strchr(setting.name, '=') || !setting.value) {
        return REFUSE(at, elem, "%s", SECTION_ERROR);
    }
    if (ac_settings_handler(at->web->overlay, setting.name)) {
        return 1;
    }
    if (list->v->nelts == AC_LAUNCH_HANDLER_MAX) {
        return REFUSE(at, elem, "there are more than %d handler settings.",
                      AC_LAUNCH_HANDLER_MAX);
    }
    if (!ac_handler_is_valid(setting.name, setting.value)) {
        return REFUSE(at, elem, "handlerSetting '%.64s' is \"%.40s\", but must be a "
                      "number of milliseconds.", setting.name, setting.value);
    }
    list->origin = AC_ORIGIN_WEBCONFIG;
    APR_ARRAY_PUSH(list->v, ac_env_var_t) = setting;
    note_handler_setting(at->web, setting.name);
    return 1;
}

static int read_handler_settings(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    const ac_xml_t *child;

    for (child = elem->first_child; child; child = child->next) {
        if (!strcmp(child->name, "clear")) {
            apr_array_clear(at->web->overlay->handler_settings.v);
        }
        else if (!add_handler_setting(at, child)) {
            return 0;
        }
    }
    return 1;
}

static int read_children(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    const ac_xml_t *child;

    for (child = elem->first_child; child; child = child->next) {
        if (!strcmp(child->name, "environmentVariables")) {
            if (!read_environment(at, child)) {
                return 0;
            }
        }
        else if (!strcmp(child->name, "handlerSettings")) {
            if (!read_handler_settings(at, child)) {
                return 0;
            }
        }
        else if (!strcmp(child->name, "recycleOnFileChange")) {
            ac_webconfig_notice(at->web, "web.config: <recycleOnFileChange> has no "
                                "effect, as in IIS");
        }
        else {
            return REFUSE(at, child, "%s", SECTION_ERROR);
        }
    }
    return 1;
}

static void note_unknown_attributes(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    const ac_xml_attr_t *attr;
    size_t i;

    for (attr = elem->attr; attr; attr = attr->next) {
        for (i = 0; i < N(known_attributes); ++i) {
            if (!strcmp(attr->name, known_attributes[i])) {
                break;
            }
        }
        if (i == N(known_attributes)) {
            ac_webconfig_notice(at->web, "web.config: attribute '%.64s' of "
                                "<aspNetCore> is not known and has no effect",
                                attr->name);
        }
    }
}

int ac_webconfig_app(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    size_t i;

    if (ac_xml_attr(elem, "configSource")) {
        return INVALID(at, elem, "configSource of <aspNetCore> is not followed here; "
                       "write the element itself into web.config.");
    }
    at->web->has_app = 1;
    at->web->app_line = elem->line;
    note_unknown_attributes(at, elem);
    for (i = 0; i < N(numbers); ++i) {
        if (!read_number(at, elem, &numbers[i])) {
            return 0;
        }
    }
    return read_command(at, elem) && read_hosting_model(at, elem)
           && read_request_timeout(at, elem) && read_stdout_log(at, elem)
           && read_switches(at, elem) && read_children(at, elem);
}
