/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/handler.h"

#include <string.h>
#include <strings.h>
#include <apr_strings.h>

#define IN_PROCESS "is about apps in process"
#define OWN_LOG "has no effect: the module writes to httpd's error log, which has " \
                "LogLevel appcore:debug"

static const ac_handler_t known[] = {
    { "callStartupHook", AC_HANDLER_SWITCH,
      "has no effect: the hook is how httpd serves an app in process" },
    { AC_HANDLER_SHADOW_CLEAN, AC_HANDLER_SWITCH, NULL },
    { "debugFile", AC_HANDLER_TEXT, OWN_LOG },
    { "debugLevel", AC_HANDLER_TEXT, OWN_LOG },
    { AC_HANDLER_NO_ROTATION, AC_HANDLER_SWITCH, NULL },
    { AC_HANDLER_CONSOLE, AC_HANDLER_SWITCH, NULL },
    { AC_HANDLER_SHADOW_COPY, AC_HANDLER_SWITCH, NULL },
    { AC_HANDLER_SHADOW_COPY_6, AC_HANDLER_SWITCH, NULL },
    { AC_HANDLER_CONNECTION, AC_HANDLER_SWITCH, NULL },
    { "handlerVersion", AC_HANDLER_TEXT,
      "has no effect: there is one version, that of the module" },
    { AC_HANDLER_CHDIR, AC_HANDLER_SWITCH, IN_PROCESS },
    { AC_HANDLER_SHADOW_DIRECTORY, AC_HANDLER_TEXT, NULL },
    { "shutdownDelay", AC_HANDLER_NUMBER,
      "has no effect: httpd hands its sockets over, so nothing has to be waited for" },
    { "stackSize", AC_HANDLER_TEXT, IN_PROCESS },
    { AC_HANDLER_NO_RECYCLE, AC_HANDLER_SWITCH, IN_PROCESS },
};

#define N_KNOWN (sizeof(known) / sizeof(known[0]))

const ac_handler_t *ac_handler_find(const char *name)
{
    apr_size_t i;

    for (i = 0; i < N_KNOWN; ++i) {
        if (!strcasecmp(known[i].name, name)) {
            return &known[i];
        }
    }
    return NULL;
}

static const char *known_names(apr_pool_t *p)
{
    const char *names = known[0].name;
    apr_size_t i;

    for (i = 1; i < N_KNOWN; ++i) {
        names = apr_pstrcat(p, names, i + 1 < N_KNOWN ? ", " : " or ", known[i].name,
                            NULL);
    }
    return names;
}

int ac_handler_is_valid(const char *name, const char *value)
{
    const ac_handler_t *def = ac_handler_find(name);
    apr_size_t digits = strspn(value, "0123456789");

    return !def || def->type != AC_HANDLER_NUMBER
           || (digits > 0 && digits < 10 && !value[digits]);
}

const char *ac_handler_check(const char *name, const char *value, apr_pool_t *p)
{
    const ac_handler_t *def = ac_handler_find(name);

    if (!def) {
        return apr_psprintf(p, "must name one of %s, not \"%.64s\"", known_names(p),
                            name);
    }
    if (def->type == AC_HANDLER_SWITCH && strcasecmp(value, "true")
        && strcasecmp(value, "false")) {
        return apr_psprintf(p, "%s must be true or false, not \"%.64s\"", def->name,
                            value);
    }
    if (!ac_handler_is_valid(name, value)) {
        return apr_psprintf(p, "%s must be a whole number of milliseconds, not "
                            "\"%.64s\"", def->name, value);
    }
    if (!*value) {
        return apr_psprintf(p, "%s must have a value", def->name);
    }
    return NULL;
}

int ac_handler_is_on(const ac_settings_t *set, const char *name, int otherwise)
{
    const char *value = ac_settings_handler(set, name);

    if (value && !strcasecmp(value, otherwise ? "false" : "true")) {
        return !otherwise;
    }
    return otherwise;
}
