/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_WEBCONFIG_PARTS_H
#define AC_SPEC_WEBCONFIG_PARTS_H

/* Between the files that read a web.config: webconfig.c walks over the sections,
 * the others take one each. All of them return 1, or 0 with a fault in at->res
 * that names the line. */

#include "spec/webconfig.h"
#include "spec/xml.h"

typedef struct ac_webconfig_at_t {
    ac_webconfig_t *web;
    ac_result_t *res;
    const char *location;       /* path of the <location> around, for a part of the
                                   app's URLs; NULL: all of the app is meant */
} ac_webconfig_at_t;

/* Returns 0. elem: what is wrong there. */
int ac_webconfig_fail(const ac_webconfig_at_t *at, const ac_xml_t *elem,
                      ac_fault_e fault, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Appends, up to AC_LAUNCH_NOTICES_MAX. */
void ac_webconfig_notice(ac_webconfig_t *web, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* <aspNetCore>: webconfig_app.c. */
int ac_webconfig_app(const ac_webconfig_at_t *at, const ac_xml_t *elem);

/* The rest of <system.webServer> and <system.web>: webconfig_rules.c. */
int ac_webconfig_section(const ac_webconfig_at_t *at, const ac_xml_t *section);

/* What restricts access: webconfig_access.c. */
int ac_webconfig_security(const ac_webconfig_at_t *at, const ac_xml_t *security);
void ac_webconfig_asp_authorization(const ac_webconfig_at_t *at, const ac_xml_t *elem);
void ac_webconfig_rewrite(const ac_webconfig_at_t *at, const ac_xml_t *elem);
void ac_webconfig_handlers_policy(const ac_webconfig_at_t *at, const ac_xml_t *elem);

#endif
