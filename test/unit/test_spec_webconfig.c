/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_spec.h"
#include "spec/handler.h"
#include "spec/webconfig.h"
#include "spec/xml.h"

#define BOM "\xef\xbb\xbf"

/* What the SDK writes, byte-order mark included. */
static const char published[] =
    BOM "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
    "<configuration>\n"
    "  <location path=\".\" inheritInChildApplications=\"false\">\n"
    "    <system.webServer>\n"
    "      <handlers>\n"
    "        <add name=\"aspNetCore\" path=\"*\" verb=\"*\" "
    "modules=\"AspNetCoreModuleV2\" resourceType=\"Unspecified\" />\n"
    "      </handlers>\n"
    "      <aspNetCore processPath=\"dotnet\" arguments=\".\\tweb.dll\" "
    "stdoutLogEnabled=\"false\" stdoutLogFile=\".\\logs\\stdout\" "
    "hostingModel=\"inprocess\" />\n"
    "    </system.webServer>\n"
    "  </location>\n"
    "</configuration>\n";

static ac_result_t result;

static ac_webconfig_t *parse(const char *text)
{
    ac_result_t none = AC_RESULT_OK;

    result = none;
    return ac_webconfig_parse(text, strlen(text), &result, p);
}

static ac_webconfig_t *parse_server(const char *inside)
{
    return parse(apr_pstrcat(p, "<configuration><system.webServer>", inside,
                             "</system.webServer></configuration>", NULL));
}

static ac_webconfig_t *parse_app(const char *attributes, const char *inside)
{
    return parse_server(apr_pstrcat(p, "<aspNetCore processPath='dotnet' ", attributes,
                        ">", inside, "</aspNetCore>", NULL));
}

static ac_webconfig_t *parse_security(const char *inside)
{
    return parse_server(apr_pstrcat(p, "<security>", inside, "</security>", NULL));
}

START_TEST(published_file_is_understood)
{
    const ac_webconfig_t *web = parse(published);

    ck_assert_ptr_nonnull(web);
    ck_assert_int_eq(web->has_app, 1);
    ck_assert_str_eq(web->process_path, "dotnet");
    ck_assert_str_eq(web->arguments, ".\\tweb.dll");
    ck_assert_int_eq(web->overlay->hosting_model.origin, AC_ORIGIN_DEFAULT);
    ck_assert_int_eq(web->overlay->stdout_log_enabled.origin, AC_ORIGIN_DEFAULT);
    ck_assert_int_eq(web->notices->nelts, 0);
    ck_assert(web->asks_inside);
    ck_assert_int_eq(web->access_rules->nelts, 0);
    ck_assert_int_eq(web->max_content_length, -1);
}
END_TEST

/* docs/ancm-parity.md: ANCM("NT4"). */
START_TEST(every_attribute_is_taken)
{
    const ac_webconfig_t *web = parse_app(
        "startupTimeLimit='3600' shutdownTimeLimit='0' rapidFailsPerMinute='5' "
        "processesPerApplication='100' requestTimeout='00:02:30' stdoutLogEnabled='TRUE' "
        "stdoutLogFile='.\\logs\\out' disableStartUpErrorPage='true' "
        "forwardWindowsAuthToken='false' hostingModel='OutOfProcess'", "");
    const ac_settings_t *set = web->overlay;

    ck_assert_int_eq(set->startup_time_limit.v, 3600);
    ck_assert_int_eq(set->startup_time_limit.origin, AC_ORIGIN_WEBCONFIG);
    ck_assert_int_eq(set->shutdown_time_limit.v, 0);
    ck_assert_int_eq(set->rapid_fails_per_minute.v, 5);
    ck_assert_int_eq(set->processes_per_application.v, 100);
    ck_assert_int_eq(set->request_time.v, apr_time_from_sec(150));
    ck_assert_int_eq(set->stdout_log_enabled.v, AC_ON);
    ck_assert_str_eq(set->stdout_log_file.v, ".\\logs\\out");
    ck_assert_int_eq(set->disable_startup_error_page.v, AC_ON);
    ck_assert_int_eq(set->forward_windows_auth_token.v, AC_OFF);
    ck_assert_int_eq(set->forward_windows_auth_token.origin, AC_ORIGIN_WEBCONFIG);
    ck_assert_int_eq(set->hosting_model.v, AC_HOSTING_OUT_OF_PROCESS);
    ck_assert_int_eq(set->hosting_model.origin, AC_ORIGIN_WEBCONFIG);
    ck_assert_int_eq(web->notices->nelts, 0);
    web = parse_app("stdoutLogEnabled='true'", "");
    ck_assert_str_eq(web->overlay->stdout_log_file.v, ".\\aspnetcore-stdout");
}
END_TEST

static const struct {
    const char *attributes;
    const char *message;
} refused[] = {
    { "startupTimeLimit='3601'", "Integer value must be between 0 and 3600 inclusive." },
    { "startupTimeLimit='-1'", "startupTimeLimit" },
    { "startupTimeLimit=''", "startupTimeLimit" },
    { "startupTimeLimit='1x'", "startupTimeLimit" },
    { "startupTimeLimit='99999999999999999999'", "startupTimeLimit" },
    { "shutdownTimeLimit='601'", "between 0 and 600 inclusive" },
    { "processesPerApplication='0'", "between 1 and 100 inclusive" },
    { "processesPerApplication='101'", "between 1 and 100 inclusive" },
    { "rapidFailsPerMinute='many'", "between 0 and 100 inclusive" },
    { "requestTimeout='00:60:00'", "360:00:00" },
    { "requestTimeout='00:00:60'", "360:00:00" },
    { "requestTimeout='360:00:01'", "360:00:00" },
    { "requestTimeout='15.01:00:00'", "360:00:00" },
    { "requestTimeout='120'", "hh:mm:ss" },
    { "requestTimeout='1.:00:00'", "hh:mm:ss" },
    { "requestTimeout='-00:02:00'", "hh:mm:ss" },
    { "stdoutLogEnabled='yes'", "must be true or false" },
    { "disableStartUpErrorPage='1'", "must be true or false" },
    { "forwardWindowsAuthToken=''", "must be true or false" },
    { "hostingModel='asdf'", "Unknown hosting model 'asdf'. Please specify either "
      "hostingModel=\"inprocess\" or hostingModel=\"outofprocess\" in the web.config "
      "file." },
};

START_TEST(values_out_of_range_are_refused)
{
    ck_assert_ptr_null(parse_app(refused[_i].attributes, ""));
    ck_assert_int_eq(result.http_status, 500);
    ck_assert_int_eq(result.substatus, strstr(refused[_i].message, "model") ? 0 : 19);
    ck_assert_msg(strstr(result.detail, refused[_i].message) != NULL, "%s",
                  result.detail);
    ck_assert_int_eq(strncmp(result.detail, "web.config, line 1: ", 20), 0);
}
END_TEST

START_TEST(timespans_and_clamping)
{
    const ac_webconfig_t *web = parse_app("requestTimeout='360:00:00'", "");

    ck_assert_int_eq(web->overlay->request_time.v, apr_time_from_sec(1296000));
    web = parse_app("requestTimeout='1.02:00:05'", "");
    ck_assert_int_eq(web->overlay->request_time.v, apr_time_from_sec(93605));
    web = parse_app("requestTimeout='00:00:00'", "");
    ck_assert_int_eq(web->overlay->request_time.v, apr_time_from_sec(1296000));
    web = parse_app("rapidFailsPerMinute='4000'", "");
    ck_assert_int_eq(web->overlay->rapid_fails_per_minute.v, 100);
    ck_assert(mentions(web->notices, "rapidFailsPerMinute"));
    web = parse_app("fancy='1'", "");
    ck_assert(mentions(web->notices, "'fancy'"));
}
END_TEST

START_TEST(process_path_is_required)
{
    ck_assert_ptr_null(parse_server("\n\n<aspNetCore\narguments='x'/>"));
    ck_assert_str_eq(result.detail,
                     "web.config, line 3: Attribute 'processPath' is required.");
    ck_assert_int_eq(result.fault, AC_FAULT_CONFIG);
    ck_assert_ptr_null(parse_server("<aspNetCore processPath=''/>"));
}
END_TEST

START_TEST(variables_are_taken)
{
    const ac_webconfig_t *web = parse_app("", "<environmentVariables>"
        "<environmentVariable name='GONE' value='1'/><clear/>"
        "<environmentVariable name='A' value='%B%;x'/>"
        "<environmentVariable name='EMPTY' value=''/></environmentVariables>");

    ck_assert_int_eq(web->overlay->environment.v->nelts, 2);
    ck_assert_str_eq(ac_settings_env(web->overlay, "a")->value, "%B%;x");
    ck_assert_str_eq(ac_settings_env(web->overlay, "EMPTY")->value, "");
}
END_TEST

#define HANDLERS(inside) "<handlerSettings>" inside "</handlerSettings>"
#define HANDLER(name, value) \
    "<handlerSetting name='" name "' value='" value "'/>"

static const char *const bad_children[] = {
    "<environmentVariables><remove name='A'/></environmentVariables>",
    "<environmentVariables><add name='A' value='b'/></environmentVariables>",
    "<environmentVariables><environmentVariable value='b'/></environmentVariables>",
    "<environmentVariables><environmentVariable name='A'/></environmentVariables>",
    ("<environmentVariables><environmentVariable name='A=' value=''/>"
     "</environmentVariables>"),
    "<surprise/>",
    HANDLERS("<add name='debugFile' value='x'/>"),
    HANDLERS("<handlerSetting value='x'/>"),
    HANDLERS("<handlerSetting name='debugFile'/>"),
    HANDLERS(HANDLER("shutdownDelay", "-1")),
    HANDLERS(HANDLER("shutdowndelay", "soon")),
};

START_TEST(authoring_errors_are_refused)
{
    ck_assert_ptr_null(parse_app("", bad_children[_i]));
    ck_assert_int_eq(result.http_status, 500);
    if (_i < 2) {
        ck_assert_int_eq(result.fault, AC_FAULT_CONFIG);
        ck_assert_ptr_nonnull(strstr(result.detail, "Unable to get required "
                              "configuration section 'system.webServer/aspNetCore'. "
                              "Possible reason is web.config authoring error."));
    }
}
END_TEST

/* docs/ancm-parity.md: ANCM("NT2"). */
START_TEST(handler_settings_are_taken)
{
    const ac_webconfig_t *web = parse_app("", HANDLERS(
        HANDLER("Gone", "1") "<clear/>" HANDLER("DEBUGFILE", "x")
        HANDLER("debugFile", "later") HANDLER("fancy", "y")
        HANDLER("enableOutOfProcessConsoleRedirection", "False"))
        "<recycleOnFileChange/>");

    ck_assert_int_eq(web->overlay->handler_settings.v->nelts, 3);
    ck_assert_str_eq(ac_settings_handler(web->overlay, "debugFile"), "x");
    ck_assert(mentions(web->notices, "\"debugFile\" has no effect: the module writes"));
    ck_assert(mentions(web->notices, "\"fancy\" is not known"));
    ck_assert(!mentions(web->notices, "Redirection"));
    ck_assert(!ac_handler_is_on(web->overlay, AC_HANDLER_CONSOLE, 1));
    ck_assert(mentions(web->notices, "recycleOnFileChange"));
}
END_TEST

/* ANCM's reading: what is neither true nor false is the default. */
START_TEST(switches_change_on_their_word_only)
{
    ac_settings_t *set = ac_settings_create(p);

    add_handler(set, AC_ORIGIN_WEBCONFIG, "on", "TRUE");
    add_handler(set, AC_ORIGIN_WEBCONFIG, "off", "False");
    add_handler(set, AC_ORIGIN_WEBCONFIG, "odd", "1");
    ck_assert_int_eq(ac_handler_is_on(set, "on", 0), 1);
    ck_assert_int_eq(ac_handler_is_on(set, "off", 1), 0);
    ck_assert_int_eq(ac_handler_is_on(set, "odd", 0), 0);
    ck_assert_int_eq(ac_handler_is_on(set, "odd", 1), 1);
    ck_assert_int_eq(ac_handler_is_on(set, "none", 1), 1);
}
END_TEST

START_TEST(handler_settings_of_the_administrator_are_checked)
{
    ck_assert_ptr_null(ac_handler_check("ENABLEshadowcopy", "True", p));
    ck_assert_ptr_null(ac_handler_check("shadowCopyDirectory", "../copy", p));
    ck_assert_ptr_null(ac_handler_check("shutdownDelay", "0", p));
    ck_assert_ptr_nonnull(strstr(ac_handler_check("enableShadowCopy", "1", p),
                                 "enableShadowCopy must be true or false"));
    ck_assert_ptr_nonnull(strstr(ac_handler_check("shutdownDelay", "-1", p),
                                 "whole number of milliseconds"));
    ck_assert_ptr_nonnull(strstr(ac_handler_check("fancy", "x", p),
                                 "suppressRecycleOnStartupTimeout, not \"fancy\""));
    ck_assert_ptr_nonnull(strstr(ac_handler_check("debugFile", "", p), "a value"));
}
END_TEST

START_TEST(initialization_pages)
{
    const ac_webconfig_t *web = parse_server(
        "<applicationInitialization doAppInitAfterRestart='true'><clear/><add "
        "initializationPage='/a?b'/><add initializationPage='c' hostName='x'/><add "
        "initializationPage='/not a path'/><add/></applicationInitialization>");
    const apr_array_header_t *pages = web->overlay->warm_up.v;

    ck_assert_int_eq(pages->nelts, 2);
    ck_assert_str_eq(APR_ARRAY_IDX(pages, 0, const char *), "/a?b");
    ck_assert_str_eq(APR_ARRAY_IDX(pages, 1, const char *), "/c");
    ck_assert_int_eq(web->overlay->warm_up.origin, AC_ORIGIN_WEBCONFIG);
    ck_assert_int_eq(web->notices->nelts, 2);
}
END_TEST

START_TEST(other_elements_name_their_equivalent)
{
    const ac_webconfig_t *web = parse_server(
        "<rewrite><rules/></rewrite><httpErrors/><staticContent/><modules><remove "
        "name='WebDAVModule'/></modules><strange/><handlers><add name='php' "
        "modules='FastCgiModule'/><remove name='aspNetCore'/></handlers>"
        "<webSocket enabled='false'/>");

    ck_assert_int_eq(web->has_app, 0);
    ck_assert(mentions(web->notices, "mod_rewrite"));
    ck_assert(mentions(web->notices, "ErrorDocument"));
    ck_assert(mentions(web->notices, "AddType"));
    ck_assert(mentions(web->notices, "<strange>"));
    ck_assert(mentions(web->notices, "\"php\""));
    ck_assert_int_eq(web->notices->nelts, 5);
    ck_assert_int_eq(web->overlay->websockets.v, AC_OFF);
}
END_TEST

static const struct {
    const char *security;
    const char *rule;           /* NULL: takes nothing from anybody */
} rules[] = {
    { "<authorization><clear/></authorization>", "security/authorization" },
    { "<authorization><clear/><add accessType='Allow' users='*'/></authorization>",
      NULL },
    { "<authorization><remove users='*' roles='' verbs=''/><add accessType='Allow' "
      "users='*' verbs=''/></authorization>", NULL },
    { "<authorization><remove users='*'/><add accessType='Allow' users='*' "
      "verbs='GET'/></authorization>", "security/authorization" },
    { "<authorization><clear/><add accessType='Allow' users='*'/><add "
      "accessType='Allow' roles='Admins'/></authorization>", NULL },
    { "<authorization><add accessType='Allow' users='*'/><add accessType='Deny' "
      "users='?'/></authorization>", "security/authorization" },
    { "<authorization/>", NULL },
    { "<authorization configSource='auth.config'/>",
      "security/authorization configSource" },
    { "<ipSecurity allowUnlisted='true'><add ipAddress='10.0.0.1' allowed='true'/>"
      "</ipSecurity>", NULL },
    { "<ipSecurity><add ipAddress='10.0.0.1'/></ipSecurity>", "security/ipSecurity" },
    { "<ipSecurity><clear/><remove ipAddress='10.0.0.1'/></ipSecurity>", NULL },
    { "<dynamicIpSecurity><denyByRequestRate enabled='true'/></dynamicIpSecurity>",
      "security/dynamicIpSecurity" },
    { "<dynamicIpSecurity enableLoggingOnlyMode='true'><denyByRequestRate "
      "enabled='true'/></dynamicIpSecurity>", NULL },
    { "<dynamicIpSecurity><denyByRequestRate enabled='false'/></dynamicIpSecurity>",
      NULL },
    { "<access sslFlags='SslNegotiateCert, SslMapCert'/>", NULL },
    { "<access sslFlags='SslNegotiateCert,SslRequireCert'/>", "sslFlags" },
    { "<access sslFlags='Ssl128'/>", "sslFlags" },
    { "<access sslFlags=''/>", NULL },
    { "<requestFiltering><fileExtensions allowUnlisted='true'><add "
      "fileExtension='.x' allowed='true'/></fileExtensions></requestFiltering>", NULL },
    { "<requestFiltering><fileExtensions><add fileExtension='.x' allowed='false'/>"
      "</fileExtensions></requestFiltering>", "fileExtensions" },
    { "<requestFiltering><verbs allowUnlisted='false'><add verb='GET' allowed='true'/>"
      "</verbs></requestFiltering>", "requestFiltering/verbs" },
    { "<requestFiltering><denyUrlSequences><add sequence='..'/></denyUrlSequences>"
      "</requestFiltering>", "denyUrlSequences" },
    { "<requestFiltering><denyQueryStringSequences><add sequence=';'/>"
      "</denyQueryStringSequences></requestFiltering>", "denyQueryStringSequences" },
    { "<requestFiltering><filteringRules><filteringRule name='x'/></filteringRules>"
      "</requestFiltering>", "filteringRules" },
    { "<requestFiltering><alwaysAllowedUrls><add url='/x'/></alwaysAllowedUrls>"
      "</requestFiltering>", NULL },
    { "<requestFiltering allowHighBitCharacters='false'/>", "allowHighBitCharacters" },
    { "<requestFiltering removeServerHeader='true' allowDoubleEscaping='true'/>", NULL },
    { "<requestFiltering><requestLimits><headerLimits><add header='X' sizeLimit='1'/>"
      "</headerLimits></requestLimits></requestFiltering>",
      "requestLimits/headerLimits" },
    { "<requestFiltering><newerThanThis><add x='1'/></newerThanThis></requestFiltering>",
      "requestFiltering/newerThanThis" },
    { "<authorization><deny users='?'/></authorization>", "security/authorization" },
    { "<authorization><add accessType='Deny' users='*'/></authorization>",
      "security/authorization" },
    { "<authorization><remove users='*' roles='' verbs=''/></authorization>",
      "security/authorization" },
    { "<authorization><add accessType='Allow' roles='Admins'/></authorization>",
      "security/authorization" },
    { "<authorization><add accessType='Allow' users='*'/></authorization>", NULL },
    { "<ipSecurity allowUnlisted='false'/>", "security/ipSecurity" },
    { "<ipSecurity><add ipAddress='10.0.0.1' allowed='false'/></ipSecurity>",
      "security/ipSecurity" },
    { "<ipSecurity/>", NULL },
    { "<access sslFlags='Ssl'/>", "sslFlags" },
    { "<access sslFlags='None'/>", NULL },
    { "<requestFiltering><hiddenSegments><add segment='x'/></hiddenSegments>"
      "</requestFiltering>", "security/requestFiltering/hiddenSegments" },
    { "<requestFiltering><fileExtensions allowUnlisted='false'/></requestFiltering>",
      "fileExtensions" },
    { "<requestFiltering><verbs><remove verb='PUT'/></verbs></requestFiltering>", NULL },
    { "<requestFiltering><requestLimits maxUrl='10'/></requestFiltering>", NULL },
    { "<authentication><anonymousAuthentication enabled='false'/></authentication>",
      "anonymousAuthentication" },
    { "<authentication><anonymousAuthentication enabled='true'/><windowsAuthentication "
      "enabled='true'/></authentication>", NULL },
};

START_TEST(access_rules_are_noticed)
{
    const ac_webconfig_t *web = parse_security(rules[_i].security);

    ck_assert_ptr_nonnull(web);
    ck_assert_int_eq(web->access_rules->nelts, rules[_i].rule ? 1 : 0);
    ck_assert(!rules[_i].rule || mentions(web->access_rules, rules[_i].rule));
}
END_TEST

START_TEST(access_rules_of_a_part_count_too)
{
    const ac_webconfig_t *web = parse(
        "<configuration><location path='admin'><system.webServer>"
        "<aspNetCore processPath='other'/><webSocket enabled='false'/></system.webServer>"
        "<system.web><authorization><allow roles='x'/><deny users='*'/></authorization>"
        "</system.web></location></configuration>");

    ck_assert_int_eq(web->has_app, 0);
    ck_assert_str_eq(words(web->access_rules), "system.web/authorization of "
                     "<location path=\"admin\"> in line 1");
    ck_assert_int_eq(web->overlay->websockets.origin, AC_ORIGIN_DEFAULT);
    ck_assert(mentions(web->notices, "<location path=\"admin\"> is about another app"));
}
END_TEST

/* Every kind, for a part of the URLs as for all of them. */
START_TEST(access_rules_count_in_every_location)
{
    static const char *const paths[] = { "", ".", "admin", "files/secret.txt" };
    int i;

    for (i = 0; i < 4; ++i) {
        const ac_webconfig_t *web = parse(apr_psprintf(p,
            "<configuration><location path='%s' inheritInChildApplications='false'>"
            "<system.webServer><security>%s</security></system.webServer></location>"
            "</configuration>", paths[i], rules[_i].security));

        ck_assert_ptr_nonnull(web);
        ck_assert_int_eq(web->access_rules->nelts, rules[_i].rule ? 1 : 0);
        ck_assert(!rules[_i].rule || mentions(web->access_rules, rules[_i].rule));
    }
}
END_TEST

/* What ASP.NET does: the first that fits decides. */
static const struct {
    const char *rules;
    int restricts;
} asp_rules[] = {
    { "<allow users='*'/><deny users='*'/>", 0 },
    { "<allow roles='x'/>", 0 },
    { "<clear/><allow users='*' verbs='GET'/>", 0 },
    { "<allow users='*' verbs='GET'/><deny users='*'/>", 1 },
    { "<deny users='?'/><allow users='*'/>", 1 },
    { "", 0 },
};

START_TEST(rules_of_asp_net_are_noticed)
{
    const ac_webconfig_t *web = parse(apr_psprintf(p,
        "<configuration><system.web><authorization>%s</authorization></system.web>"
        "</configuration>", asp_rules[_i].rules));

    ck_assert_int_eq(web->access_rules->nelts, asp_rules[_i].restricts);
}
END_TEST

#define REWRITE(rule, action) "<rewrite><rules><rule name='x' " rule \
    "><match url='.*'/><action " action "/></rule></rules></rewrite>"

START_TEST(refusals_of_other_elements_count)
{
    const ac_webconfig_t *web = parse_server(REWRITE("", "type='AbortRequest'"));

    ck_assert_str_eq(words(web->access_rules),
                     "system.webServer/rewrite/rules/rule/action in line 1");
    web = parse_server(REWRITE("", "type='CustomResponse' statusCode='403'"));
    ck_assert_int_eq(web->access_rules->nelts, 1);
    web = parse_server(REWRITE("enabled='false'", "type='AbortRequest'"));
    ck_assert_int_eq(web->access_rules->nelts, 0);
    web = parse_server(REWRITE("", "type='Redirect' url='https://{HTTP_HOST}'"));
    ck_assert_int_eq(web->access_rules->nelts, 0);
    web = parse_server("<rewrite><rules configSource='rules.config'/></rewrite>");
    ck_assert_str_eq(words(web->access_rules),
                     "system.webServer/rewrite/rules configSource in line 1");
    web = parse_server("<rewrite><outboundRules configSource='x'/></rewrite>");
    ck_assert_int_eq(web->access_rules->nelts, 0);
    web = parse_server("<handlers accessPolicy='Read'/>");
    ck_assert_int_eq(web->access_rules->nelts, 1);
    web = parse_server("<handlers accessPolicy='Read, Script'/>");
    ck_assert_int_eq(web->access_rules->nelts, 0);
}
END_TEST

#define APP(attributes) "<system.webServer><aspNetCore " attributes \
    "/></system.webServer>"

/* All that is about the whole app adds up, the locations behind what stands alone. */
START_TEST(sections_of_the_app_add_up)
{
    const ac_webconfig_t *web = parse(
        "<configuration><location path='.' inheritInChildApplications='false'>"
        APP("arguments='second.dll' shutdownTimeLimit='5'") "</location>"
        APP("processPath='dotnet' arguments='first.dll' startupTimeLimit='7'")
        "</configuration>");

    ck_assert_str_eq(web->process_path, "dotnet");
    ck_assert_str_eq(web->arguments, "second.dll");
    ck_assert_int_eq(web->overlay->shutdown_time_limit.v, 5);
    ck_assert_int_eq(web->overlay->startup_time_limit.v, 7);
    ck_assert_ptr_null(parse("<configuration>\n<system.webServer>\n<aspNetCore "
                             "processPath='a'/>\n<aspNetCore processPath='b'/>"
                             "</system.webServer></configuration>"));
    ck_assert_str_eq(result.detail, "web.config, line 4: there is a duplicate "
                     "'system.webServer/aspNetCore' section (the first is in line 3).");
    ck_assert_ptr_null(parse_server("<aspNetCore configSource='app.config'/>"));
    ck_assert_ptr_nonnull(strstr(result.detail, "configSource"));
    ck_assert_int_eq(result.substatus, 19);
}
END_TEST

START_TEST(body_limit_is_taken)
{
#define BODY(n) "<requestFiltering><requestLimits maxAllowedContentLength='" n \
    "'/></requestFiltering>"
    ck_assert_int_eq(parse_security(BODY("52428800"))->max_content_length, 52428800);
    ck_assert_int_eq(parse_security(BODY("4294967295"))->max_content_length,
                     4294967295LL);
    ck_assert_ptr_null(parse_security(BODY("4294967296")));
    ck_assert_ptr_null(parse_security(BODY("10M")));
    ck_assert_ptr_null(parse_security(BODY("")));
    ck_assert_int_eq(result.fault, AC_FAULT_WEB_CONFIG);
#undef BODY
}
END_TEST

static const char *const malformed[] = {
    "", "x", "<configuration>", "<configuration></configuratio>", "<other/>",
    "<configuration a=b/>", "<configuration><x:y/></configuration>",
    "<!DOCTYPE c [<!ENTITY a 'b'>]><configuration>&a;</configuration>",
    "<configuration>\x01</configuration>", BOM BOM "<configuration/>",
};

START_TEST(other_texts_are_refused)
{
    ck_assert_ptr_null(parse(malformed[_i]));
    ck_assert_int_eq(result.fault, AC_FAULT_WEB_CONFIG);
    ck_assert_int_eq(result.substatus, 19);
    ck_assert_int_eq(strncmp(result.detail, "web.config, line ", 17), 0);
}
END_TEST

START_TEST(the_line_is_named)
{
    ck_assert_ptr_null(parse("<configuration>\n  <a>\n  </b>\n</configuration>"));
    ck_assert_str_eq(result.detail, "web.config, line 3: it is not well-formed XML: "
                     "mismatched tag");
    ck_assert_ptr_null(parse("<?xml version='1.0'?>\n<!DOCTYPE configuration>\n"
                             "<configuration/>"));
    ck_assert_str_eq(result.detail, "web.config, line 2: a DOCTYPE is not allowed");
    ck_assert_ptr_null(parse("<configuration>\n<!-- two\nlines -->\n"
                             "<system.webServer>\n<aspNetCore processPath='x'\n"
                             "startupTimeLimit='9999'/></system.webServer>"
                             "</configuration>"));
    ck_assert_int_eq(strncmp(result.detail, "web.config, line 5: ", 20), 0);
}
END_TEST

#define VARIABLE_OF(encoding, text) "<?xml version=\"1.0\" encoding=\"" encoding \
    "\"?><configuration><system.webServer><aspNetCore processPath=\"x\">" \
    "<environmentVariables><environmentVariable name=\"A\" value=\"" text \
    "\"/></environmentVariables></aspNetCore></system.webServer></configuration>"

static const struct {
    const char *text;
    const char *value;          /* NULL: refused */
} encodings[] = {
    { VARIABLE_OF("utf-8", "\xc3\xa4"), "\xc3\xa4" },
    { BOM VARIABLE_OF("UTF-8", "\xc3\xa4"), "\xc3\xa4" },
    { VARIABLE_OF("iso-8859-1", "\xe4"), "\xc3\xa4" },
    { VARIABLE_OF("Windows-1252", "\xe4\x80"), "\xc3\xa4\xe2\x82\xac" },
    { VARIABLE_OF("us-ascii", "a"), "a" },
    { VARIABLE_OF("utf-8", "\xe4"), NULL },
    { VARIABLE_OF("koi8-r", "\xe4"), NULL },
    { VARIABLE_OF("utf-16", "a"), NULL },
};

START_TEST(encodings_are_understood)
{
    const ac_webconfig_t *web = parse(encodings[_i].text);

    if (encodings[_i].value) {
        ck_assert_ptr_nonnull(web);
        ck_assert_str_eq(ac_settings_env(web->overlay, "A")->value, encodings[_i].value);
    }
    else {
        ck_assert_ptr_null(web);
        ck_assert_int_eq(result.fault, AC_FAULT_WEB_CONFIG);
    }
}
END_TEST

/* As Windows' editors save "Unicode": every character two bytes, a mark in front. */
START_TEST(utf_16_is_understood)
{
    static const char text[] = VARIABLE_OF("utf-16", "b");
    int big;

    for (big = 0; big < 2; ++big) {
        char *wide = apr_pcalloc(p, 2 * sizeof(text));
        ac_result_t res = AC_RESULT_OK;
        const ac_webconfig_t *web;
        apr_size_t i;

        memcpy(wide, big ? "\xfe\xff" : "\xff\xfe", 2);
        for (i = 0; i < sizeof(text) - 1; ++i) {
            wide[2 + 2 * i + (apr_size_t)big] = text[i];
        }
        web = ac_webconfig_parse(wide, 2 * sizeof(text), &res, p);
        ck_assert_msg(web != NULL, "%s", res.detail);
        ck_assert_str_eq(ac_settings_env(web->overlay, "A")->value, "b");
    }
}
END_TEST

static const char *repeat(const char *head, const char *part, int n, const char *tail)
{
    apr_size_t len = strlen(part);
    char *text = apr_palloc(p, strlen(head) + len * (apr_size_t)n + strlen(tail) + 1);
    char *at = text + strlen(head);

    memcpy(text, head, strlen(head));
    for (; n > 0; --n, at += len) {
        memcpy(at, part, len);
    }
    memcpy(at, tail, strlen(tail) + 1);
    return text;
}

START_TEST(size_and_depth_are_limited)
{
    const char *close = repeat("", "</a>", AC_XML_DEPTH, "</configuration>");

    ck_assert_ptr_null(parse(repeat("<configuration>", "<a>", AC_XML_DEPTH,
                       close)));
    ck_assert_ptr_nonnull(strstr(result.detail, "nested"));
    ck_assert_ptr_null(parse(repeat("<configuration>", "<a/>", AC_XML_ELEMENTS,
                                    "</configuration>")));
    ck_assert_ptr_nonnull(strstr(result.detail, "elements"));
    ck_assert_ptr_null(parse(repeat("<configuration>", " ", AC_WEBCONFIG_MAX,
                                    "</configuration>")));
    ck_assert_ptr_nonnull(strstr(result.detail, "larger"));
    ck_assert_ptr_nonnull(parse(repeat("<configuration>", " ", AC_WEBCONFIG_MAX - 40,
                                       "</configuration>")));
}
END_TEST

START_TEST(numbers_of_things_are_limited)
{
    const char *var = "<environmentVariable name='A' value='b'/>";
    const ac_webconfig_t *web;

    ck_assert_ptr_null(parse_app("", repeat("<environmentVariables>", var,
                                            AC_LAUNCH_ENV_MAX + 1,
                                            "</environmentVariables>")));
    web = parse_server(repeat("", "<strange/>", 200, ""));
    ck_assert_int_eq(web->notices->nelts, AC_LAUNCH_NOTICES_MAX);
}
END_TEST

START_TEST(truncated_anywhere_is_refused)
{
    apr_size_t len;

    for (len = 0; len < sizeof(published) - 2; ++len) {
        ac_result_t res = AC_RESULT_OK;

        ck_assert_ptr_null(ac_webconfig_parse(published, len, &res, p));
        ck_assert_int_eq(res.fault, AC_FAULT_WEB_CONFIG);
    }
}
END_TEST

TCase *webconfig_case(void)
{
    TCase *tc = case_create("web.config");

    tcase_add_test(tc, published_file_is_understood);
    tcase_add_test(tc, every_attribute_is_taken);
    tcase_add_loop_test(tc, values_out_of_range_are_refused, 0,
                        sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tc, timespans_and_clamping);
    tcase_add_test(tc, process_path_is_required);
    tcase_add_test(tc, variables_are_taken);
    tcase_add_loop_test(tc, authoring_errors_are_refused, 0,
                        sizeof(bad_children) / sizeof(bad_children[0]));
    tcase_add_test(tc, handler_settings_are_taken);
    tcase_add_test(tc, switches_change_on_their_word_only);
    tcase_add_test(tc, handler_settings_of_the_administrator_are_checked);
    tcase_add_test(tc, initialization_pages);
    tcase_add_test(tc, other_elements_name_their_equivalent);
    tcase_add_loop_test(tc, access_rules_are_noticed, 0,
                        sizeof(rules) / sizeof(rules[0]));
    tcase_add_test(tc, access_rules_of_a_part_count_too);
    tcase_add_loop_test(tc, access_rules_count_in_every_location, 0,
                        sizeof(rules) / sizeof(rules[0]));
    tcase_add_loop_test(tc, rules_of_asp_net_are_noticed, 0,
                        sizeof(asp_rules) / sizeof(asp_rules[0]));
    tcase_add_test(tc, refusals_of_other_elements_count);
    tcase_add_test(tc, sections_of_the_app_add_up);
    tcase_add_test(tc, body_limit_is_taken);
    tcase_add_loop_test(tc, other_texts_are_refused, 0,
                        sizeof(malformed) / sizeof(malformed[0]));
    tcase_add_test(tc, the_line_is_named);
    tcase_add_loop_test(tc, encodings_are_understood, 0,
                        sizeof(encodings) / sizeof(encodings[0]));
    tcase_add_test(tc, utf_16_is_understood);
    tcase_add_test(tc, size_and_depth_are_limited);
    tcase_add_test(tc, numbers_of_things_are_limited);
    tcase_add_test(tc, truncated_anywhere_is_refused);
    return tc;
}
