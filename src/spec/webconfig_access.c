/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* What takes access from somebody. Such a rule that is not in force would leave
 * a site open that was closed, so in doubt it counts; one that allows everybody
 * everything does not. */

#include "spec/webconfig_parts.h"

#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include "spec/launch.h"

#define REQUEST_FILTERING "security/requestFiltering"

/* Elements of <requestFiltering> and when they refuse requests. */
static const struct {
    const char *name;
    enum { BY_ENTRY, BY_FORBIDDEN_ENTRY, NEVER } refuses;
} filters[] = {
    { "alwaysAllowedQueryStrings", NEVER },
    { "alwaysAllowedUrls", NEVER },
    { "denyQueryStringSequences", BY_ENTRY },
    { "denyUrlSequences", BY_ENTRY },
    { "fileExtensions", BY_FORBIDDEN_ENTRY },
    { "filteringRules", BY_ENTRY },
    { "hiddenSegments", BY_ENTRY },
    { "verbs", BY_FORBIDDEN_ENTRY },
};

#define N_FILTERS (sizeof(filters) / sizeof(filters[0]))

static void add_rule(const ac_webconfig_at_t *at, const ac_xml_t *elem, const char *path)
{
    const char *section = ac_xml_is(elem, "authorization")
                          && ac_xml_is(elem->parent, "system.web")
                          ? "system.web" : "system.webServer";
    apr_pool_t *p = at->web->p;
    const char *where = at->location
        ? apr_psprintf(p, " of <location path=\"%.64s\">", at->location) : "";

    if (at->web->access_rules->nelts < AC_LAUNCH_NOTICES_MAX) {
        APR_ARRAY_PUSH(at->web->access_rules, const char *) =
            apr_psprintf(p, "%s/%s%s in line %d", section, path, where, elem->line);
    }
}

static int is_empty(const char *text)
{
    return !text || !*text;
}

static int is_edit(const ac_xml_t *elem)
{
    return ac_xml_is(elem, "clear") || ac_xml_is(elem, "remove");
}

static int is_for_all(const ac_xml_t *rule)
{
    return ac_xml_attr_is(rule, "users", "*") && is_empty(ac_xml_attr(rule, "verbs"));
}

/* IIS begins with one rule, which allows everybody; refusals go before permissions,
 * and who is in no rule is refused. */
static int authorization_restricts(const ac_xml_t *elem)
{
    const ac_xml_t *child;
    int everybody = 1, said = 0, some = 0;

    for (child = elem->first_child; child; child = child->next) {
        if (ac_xml_is(child, "clear")) {
            everybody = said = some = 0;
        }
        else if (ac_xml_is(child, "remove")) {
            everybody = everybody && !ac_xml_attr_is(child, "users", "*");
        }
        else if (!ac_xml_is(child, "add")
                 || !ac_xml_attr_is(child, "accessType", "Allow")) {
            return 1;
        }
        else if (is_for_all(child)) {
            everybody = said = 1;
        }
        else {
            some = 1;
        }
    }
    /* Permissions for some are of no use beside one for all, so whoever wrote them
     * alone reckoned with a server that allows nobody else. */
    return !everybody || (some && !said);
}

void ac_webconfig_asp_authorization(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    const ac_xml_t *child;

    /* The first that fits decides, and behind the last everybody is allowed. */
    for (child = elem->first_child; child; child = child->next) {
        if (ac_xml_is(child, "allow") && is_for_all(child)) {
            return;
        }
        if (!ac_xml_is(child, "allow") && !is_edit(child)) {
            break;
        }
    }
    if (child || ac_xml_attr(elem, "configSource")) {
        add_rule(at, elem, "authorization");
    }
}

/* Entries of a list that says per entry whether it is allowed. */
static int has_forbidden_entry(const ac_xml_t *elem, int otherwise)
{
    const ac_xml_t *child;

    for (child = elem->first_child; child; child = child->next) {
        if (!is_edit(child) && !ac_xml_attr_is(child, "allowed", "true")
            && (!otherwise || ac_xml_attr(child, "allowed"))) {
            return 1;
        }
    }
    return 0;
}

static int has_entry(const ac_xml_t *elem)
{
    const ac_xml_t *child = elem->first_child;

    while (child && is_edit(child)) {
        child = child->next;
    }
    return child != NULL;
}

static int is_unlisted_refused(const ac_xml_t *elem)
{
    return ac_xml_attr(elem, "allowUnlisted")
           && !ac_xml_attr_is(elem, "allowUnlisted", "true");
}

/* Those that only log refuse nobody. */
static int dynamic_ip_restricts(const ac_xml_t *elem)
{
    const ac_xml_t *child;

    if (ac_xml_attr_is(elem, "enableLoggingOnlyMode", "true")) {
        return 0;
    }
    for (child = elem->first_child; child; child = child->next) {
        if (ac_xml_attr_is(child, "enabled", "true")) {
            return 1;
        }
    }
    return 0;
}

/* Asking for a certificate, or mapping one, refuses nobody without one. */
static int ssl_flags_restrict(const ac_xml_t *elem)
{
    const char *flags = ac_xml_attr(elem, "sslFlags");

    while (flags && *flags) {
        apr_size_t n = strcspn(flags, ", ");

        if (n && !(n == 4 && !strncasecmp(flags, "None", n))
            && !(n == 16 && !strncasecmp(flags, "SslNegotiateCert", n))
            && !(n == 10 && !strncasecmp(flags, "SslMapCert", n))) {
            return 1;
        }
        flags += n + strspn(flags + n, ", ");
    }
    return 0;
}

static int read_max_content(const ac_webconfig_at_t *at, const ac_xml_t *limits)
{
    const char *value = ac_xml_attr(limits, "maxAllowedContentLength");
    apr_size_t len = value ? strlen(value) : 0;
    apr_int64_t n;

    if (!value) {
        return 1;
    }
    n = len && len < 11 ? apr_atoi64(value) : -1;
    if (!len || strspn(value, "0123456789") != len || n < 0 || n > 4294967295LL) {
        return ac_webconfig_fail(at, limits, AC_FAULT_WEB_CONFIG, "attribute "
                                 "'maxAllowedContentLength' is \"%.40s\". Integer value "
                                 "must be between 0 and 4294967295 inclusive.", value);
    }
    at->web->max_content_length = n;
    return 1;
}

static int read_request_limits(const ac_webconfig_at_t *at, const ac_xml_t *limits)
{
    const ac_xml_attr_t *attr;
    const ac_xml_t *child;

    for (attr = limits->attr; attr; attr = attr->next) {
        if (strcmp(attr->name, "maxAllowedContentLength")) {
            ac_webconfig_notice(at->web, "web.config: requestLimits '%.64s' has no "
                                "effect; httpd has LimitRequestLine and "
                                "LimitRequestFieldSize", attr->name);
        }
    }
    for (child = limits->first_child; child; child = child->next) {
        if (has_entry(child)) {
            add_rule(at, child, apr_psprintf(at->web->p, REQUEST_FILTERING
                                             "/requestLimits/%.64s", child->name));
        }
    }
    if (at->location && ac_xml_attr(limits, "maxAllowedContentLength")) {
        ac_webconfig_notice(at->web, "web.config: maxAllowedContentLength of a "
                            "<location> has no effect; httpd has LimitRequestBody in "
                            "<Location>");
        return 1;
    }
    return read_max_content(at, limits);
}

static int filter_restricts(const ac_xml_t *elem)
{
    size_t i;

    if (ac_xml_attr(elem, "configSource") || is_unlisted_refused(elem)) {
        return 1;
    }
    for (i = 0; i < N_FILTERS; ++i) {
        if (ac_xml_is(elem, filters[i].name)) {
            return filters[i].refuses == BY_ENTRY ? has_entry(elem)
                   : filters[i].refuses == BY_FORBIDDEN_ENTRY
                     && has_forbidden_entry(elem, 1);
        }
    }
    return has_entry(elem);
}

static int read_request_filtering(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    const ac_xml_t *child;

    if (ac_xml_attr_is(elem, "allowHighBitCharacters", "false")) {
        add_rule(at, elem, REQUEST_FILTERING " allowHighBitCharacters");
    }
    for (child = elem->first_child; child; child = child->next) {
        if (ac_xml_is(child, "requestLimits")) {
            if (!read_request_limits(at, child)) {
                return 0;
            }
        }
        else if (filter_restricts(child)) {
            add_rule(at, child, apr_psprintf(at->web->p, REQUEST_FILTERING "/%.64s",
                                             child->name));
        }
    }
    return 1;
}

static void read_authentication(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    const ac_xml_t *child;

    for (child = elem->first_child; child; child = child->next) {
        if (ac_xml_is(child, "anonymousAuthentication")) {
            if (ac_xml_attr_is(child, "enabled", "false")) {
                add_rule(at, child, "security/authentication/anonymousAuthentication");
            }
        }
        else if (ac_xml_attr_is(child, "enabled", "true")) {
            ac_webconfig_notice(at->web, "web.config: <%.64s> has no effect; httpd has "
                                "AuthType and Require", child->name);
        }
    }
}

static int restricts(const ac_xml_t *elem)
{
    if (ac_xml_is(elem, "authorization")) {
        return authorization_restricts(elem);
    }
    if (ac_xml_is(elem, "ipSecurity")) {
        return is_unlisted_refused(elem) || has_forbidden_entry(elem, 0);
    }
    if (ac_xml_is(elem, "dynamicIpSecurity")) {
        return dynamic_ip_restricts(elem);
    }
    return ac_xml_is(elem, "access") && ssl_flags_restrict(elem);
}

int ac_webconfig_security(const ac_webconfig_at_t *at, const ac_xml_t *security)
{
    const ac_xml_t *child;

    for (child = security->first_child; child; child = child->next) {
        int elsewhere = ac_xml_attr(child, "configSource") != NULL;

        if (restricts(child) || elsewhere) {
            add_rule(at, child, apr_psprintf(at->web->p, "security/%.64s%s", child->name,
                                             elsewhere ? " configSource"
                                             : ac_xml_is(child, "access") ? " sslFlags"
                                                                          : ""));
        }
        else if (ac_xml_is(child, "authentication")) {
            read_authentication(at, child);
        }
        else if (ac_xml_is(child, "requestFiltering")
                 && !read_request_filtering(at, child)) {
            return 0;
        }
    }
    return 1;
}

/* A rule that ends requests instead of sending them elsewhere. */
static int is_refusal(const ac_xml_t *action)
{
    const char *status = ac_xml_attr(action, "statusCode");

    return ac_xml_is(action, "action")
           && (ac_xml_attr_is(action, "type", "AbortRequest")
               || (ac_xml_attr_is(action, "type", "CustomResponse") && status
                   && *status == '4'));
}

void ac_webconfig_rewrite(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    const ac_xml_t *list, *rule, *action;

    for (list = elem->first_child; list; list = list->next) {
        if (ac_xml_is(list, "rules") && ac_xml_attr(list, "configSource")) {
            add_rule(at, list, "rewrite/rules configSource");
        }
        for (rule = list->first_child; rule; rule = rule->next) {
            for (action = rule->first_child; action; action = action->next) {
                if (is_refusal(action) && !ac_xml_attr_is(rule, "enabled", "false")) {
                    add_rule(at, action, "rewrite/rules/rule/action");
                }
            }
        }
    }
}

void ac_webconfig_handlers_policy(const ac_webconfig_at_t *at, const ac_xml_t *elem)
{
    const char *policy = ac_xml_attr(elem, "accessPolicy");

    if (policy && !strcasestr(policy, "Script") && !strcasestr(policy, "Execute")) {
        add_rule(at, elem, "handlers accessPolicy");
    }
}
