/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/page_text.h"

#include <signal.h>
#include <string.h>
#include <apr_strings.h>
#include <sys/wait.h>
#include "request/html.h"
#include "spec/launch.h"

/* From here on they are about apps in process. */
#define SUBSTATUS_INSIDE 30
#define DOTNET_HELP "https://go.microsoft.com/fwlink/?linkid=808681"

static const char style[] =
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50em;margin:0 auto;"
    "padding:1.5em 1em;overflow-wrap:anywhere}"
    "h1{font-size:1.4em;line-height:1.25}h2{font-size:1.1em;margin-top:1.6em}"
    "pre,code{font:13px/1.45 ui-monospace,monospace}"
    "pre{overflow-x:auto;padding:.8em;border:1px solid #8886;border-radius:.4em;"
    "white-space:pre-wrap}"
    "ol{list-style:none;padding:0}li.done::before{content:\"\\2713\\a0\"}"
    "li.failed::before{content:\"\\2717\\a0\"}li.open::before{content:\"\\b7\\a0\\a0\"}"
    "li.failed{font-weight:bold;color:#c22}li.open{opacity:.6}"
    "dt{font-weight:bold}dd{margin:0 0 .5em 0}";

static const struct {
    int status;
    int substatus;
    const char *reason;
} reasons[] = {
    { 500, 0, "The app is not set up correctly" },
    { 500, 19, "The app asks for access rules that are not in force" },
    { 500, 30, "The app failed to start" },
    { 500, 31, "The app's runtime was not found" },
    { 500, 32, "The app's runtime could not be loaded" },
    { 500, 33, "The app's request handler could not be loaded" },
    { 500, 34, "The app's hosting model does not fit the other apps" },
    { 500, 35, "Only one such app can run here" },
    { 500, 36, "The app's request handler was not found" },
    { 500, 37, "The app did not start in time" },
    { 500, 38, "The app was not found" },
    { 502, 3, "The app broke off its response" },
    { 502, 5, "The app failed to start" },
    { 502, 0, "The app's response was not usable" },
    { 503, 0, "The app is not available at the moment" },
    { 504, 0, "The app did not answer in time" },
};

#define N_REASONS (sizeof(reasons) / sizeof(reasons[0]))

static const struct {
    int number;
    const char *name;
    const char *meaning;
} endings[] = {
    { SIGKILL, "SIGKILL", "killed from outside, most often because memory ran out" },
    { SIGSEGV, "SIGSEGV", "an invalid memory access in the program" },
    { SIGABRT, "SIGABRT", "the program gave up by itself" },
    { SIGTERM, "SIGTERM", "it was asked to end" },
    { SIGINT, "SIGINT", "it was interrupted" },
    { SIGHUP, "SIGHUP", "it was asked to hang up" },
    { SIGBUS, "SIGBUS", "an invalid memory access, or a file that became shorter" },
    { SIGILL, "SIGILL", "the program is not made for this processor" },
    { SIGFPE, "SIGFPE", "an arithmetic fault in the program" },
    { SIGSYS, "SIGSYS", "a system call that is forbidden to it" },
    { SIGXCPU, "SIGXCPU", "its limit of processor time" },
    { SIGXFSZ, "SIGXFSZ", "its limit of file size" },
    { SIGPIPE, "SIGPIPE", "it wrote to a pipe that nobody reads" },
};

#define N_ENDINGS (sizeof(endings) / sizeof(endings[0]))

const char *ac_page_number(const ac_page_t *page, apr_pool_t *p)
{
    if (page->substatus || page->status == 500) {
        return apr_psprintf(p, "%d.%d", page->status, page->substatus);
    }
    return apr_itoa(p, page->status);
}

const char *ac_page_reason(const ac_page_t *page)
{
    const char *reason = "The app cannot answer";
    apr_size_t i;

    for (i = 0; i < N_REASONS; ++i) {
        if (reasons[i].status == page->status) {
            if (reasons[i].substatus == page->substatus) {
                return reasons[i].reason;
            }
            reason = reasons[i].reason;
        }
    }
    return reason;
}

static const char *signal_text(int number, apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < N_ENDINGS; ++i) {
        if (endings[i].number == number) {
            return apr_psprintf(p, "signal %d (%s): %s", number, endings[i].name,
                                endings[i].meaning);
        }
    }
    return apr_psprintf(p, "signal %d", number);
}

const char *ac_page_ending(int wait_status, apr_pool_t *p)
{
    int code;

    if (wait_status == -1) {
        return NULL;
    }
    if (WIFSIGNALED(wait_status)) {
        return apr_psprintf(p, "ended by %s%s", signal_text(WTERMSIG(wait_status), p),
                            WCOREDUMP(wait_status) ? "; a core was dumped" : "");
    }
    code = WEXITSTATUS(wait_status);
    /* How shells and dotnet report that a process of theirs died of a signal. */
    if (code > 128 && code <= 128 + SIGSYS) {
        return apr_psprintf(p, "ended with exit status %d, which often stands for %s",
                            code, signal_text(code - 128, p));
    }
    if (code == 126 || code == 127) {
        return apr_psprintf(p, "ended with exit status %d, which often stands for a "
                            "command that %s", code,
                            code == 127 ? "was not found" : "could not be run");
    }
    return apr_psprintf(p, "ended with exit status %d%s", code,
                        code ? "" : ": it ended by its own decision");
}

static void add_head(ac_html_t *html, const ac_page_t *page)
{
    const char *number = ac_page_number(page, html->p);
    const char *reason = ac_page_reason(page);

    ac_html_raw(html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
                      "<meta charset=\"utf-8\">\n"
                      "<meta name=\"viewport\" content=\"width=device-width, "
                      "initial-scale=1\">\n<title>");
    ac_html_printf(html, "HTTP Error %s - %s", number, reason);
    ac_html_raw(html, "</title>\n<style>");
    ac_html_raw(html, style);
    ac_html_raw(html, "</style>\n</head>\n<body>\n<h1>");
    ac_html_printf(html, "HTTP Error %s - %s", number, reason);
    ac_html_raw(html, "</h1>\n");
}

/* What usually was the reason, where the output says nothing better. */
static const struct {
    ac_fault_e fault;
    const char *solution;
} solutions[] = {
    { AC_FAULT_CONFIG, "Mend what the error names in the app's folder or in httpd's "
      "configuration; the next request looks at the folder again." },
    { AC_FAULT_WEB_CONFIG, "Mend web.config in the line that the error names; the next "
      "request reads it again." },
    { AC_FAULT_ACCESS_RULES, "Say in httpd who may come in (Require in a <Location>), "
      "then set AppCoreWebConfig IgnoreAccessRules." },
    { AC_FAULT_IDENTITY, "Check AppCoreUser, and owner and permissions of the folder and "
      "of all folders above it." },
    { AC_FAULT_LISTEN, "Check AppCoreListen, and PORT and ASPNETCORE_PORT in the app's "
      "environment." },
    { AC_FAULT_EXEC, "The application process failed to start: check the path, the "
      "permissions and the processor of the program." },
    { AC_FAULT_EXITED, "The application process started but then stopped: what it "
      "printed says why." },
    { AC_FAULT_TIMEOUT, "The application process started but failed to listen where it "
      "was told, or needs more time (AppCoreStartupTimeLimit)." },
    { AC_FAULT_WRONG_LISTENER, "The application process started but failed to listen on "
      "its own port." },
    { AC_FAULT_CRASHED, "The application process ran and then stopped: what it printed "
      "says why." },
};

/* In process the sub-status says more than the fault. */
static const struct {
    int substatus;
    const char *solution;
} inside_solutions[] = {
    { 30, "The app failed to start, or started but then stopped: what is said below, and "
      "what it printed, shows why." },
    { 31, "The .NET that the app asks for is not installed where it was looked for: "
      "install it, or name its folder with AppCoreDotnetRoot." },
    { 32, "The .NET host is damaged, or made for another processor." },
    { 33, "The app's shared object lacks a library or a symbol, is made for another "
      "processor, or is no app for this module." },
    { 35, "Host one of the apps out of process (AppCoreHostingModel OutOfProcess)." },
    { 37, "The app needs more time (AppCoreStartupTimeLimit), or hangs. The next request "
      "tries again, in another process of httpd." },
    { 38, "The deployment is incomplete, or the folder is not what was published." },
};

static const char *const steps[] = {
    "Check the error log of this virtual host for messages about the app.",
    ("Enable logging the application process' output with AppCoreStdoutLogEnabled and "
     "AppCoreStdoutLogFile; without them it is in the error log."),
    "Run the command below by hand, in its folder and as its user.",
};

static void add_element(ac_html_t *html, const char *name, const char *text)
{
    ac_html_raw(html, apr_pstrcat(html->p, "<", name, ">", NULL));
    ac_html_text(html, text);
    ac_html_raw(html, apr_pstrcat(html->p, "</", name, ">\n", NULL));
}

static void add_public(ac_html_t *html, const ac_page_t *page)
{
    if (page->status == 503 && page->retry_after > 0) {
        add_element(html, "p", apr_psprintf(html->p, "Please try again in %d second%s.",
                                            page->retry_after,
                                            page->retry_after == 1 ? "" : "s"));
    }
    else {
        add_element(html, "p", "Please try again in a moment.");
    }
    add_element(html, "p", "If this is your server: the reason is in its error log, and "
                "on this page with AppCoreDetailedErrors On.");
}

static void add_solutions(ac_html_t *html, const ac_report_t *report)
{
    apr_size_t i;

    add_element(html, "h2", "Common solutions to this issue:");
    ac_html_raw(html, "<ul>\n");
    if (report->hint && *report->hint) {
        add_element(html, "li", report->hint);
    }
    for (i = 0; i < sizeof(inside_solutions) / sizeof(inside_solutions[0]); ++i) {
        if (inside_solutions[i].substatus == report->result.substatus) {
            add_element(html, "li", inside_solutions[i].solution);
        }
    }
    for (i = 0; i < sizeof(solutions) / sizeof(solutions[0]); ++i) {
        if (solutions[i].fault == report->result.fault
            && report->result.substatus < SUBSTATUS_INSIDE) {
            add_element(html, "li", solutions[i].solution);
        }
    }
    ac_html_raw(html, "</ul>\n");
}

static void add_steps(ac_html_t *html, const ac_report_t *report)
{
    apr_size_t i, n = sizeof(steps) / sizeof(steps[0]);

    add_element(html, "h2", "Troubleshooting steps:");
    ac_html_raw(html, "<ul>\n");
    for (i = 0; i < (report->command ? n : n - 1); ++i) {
        add_element(html, "li", steps[i]);
    }
    ac_html_raw(html, "</ul>\n");
}

/* Whoever wrote it may have been the app's author: it must be a page of the web. */
static int is_web_address(const char *link)
{
    return link && (!strncmp(link, "https://", 8) || !strncmp(link, "http://", 7));
}

static void add_link(ac_html_t *html, const char *link)
{
    ac_html_raw(html, "<a href=\"");
    ac_html_text(html, link);
    ac_html_raw(html, "\"><cite>");
    ac_html_text(html, link);
    ac_html_raw(html, "</cite></a>");
}

static void add_links(ac_html_t *html, const ac_report_t *report)
{
    int own = is_web_address(report->link);
    int dotnet = report->kind == AC_KIND_DOTNET;

    if (own || dotnet) {
        ac_html_raw(html, "<p>For more information visit: ");
        if (own) {
            add_link(html, report->link);
        }
        ac_html_raw(html, own && dotnet ? " and " : "");
        if (dotnet) {
            add_link(html, DOTNET_HELP);
        }
        ac_html_raw(html, "</p>\n");
    }
}

/* The steps of a start, up to the one that failed and the ones behind it. */
static void add_journey(ac_html_t *html, const ac_result_t *result)
{
    ac_stage_e last = result->stage >= AC_STAGE_WARMUP ? result->stage : AC_STAGE_READY;
    ac_stage_e stage;

    if (result->stage == AC_STAGE_NONE || result->stage > AC_STAGE_RUN) {
        return;
    }
    add_element(html, "h2", "How far it came");
    ac_html_raw(html, "<ol>\n");
    for (stage = AC_STAGE_LOOK; stage <= last; ++stage) {
        int order = (int)stage - (int)result->stage;

        if (stage == AC_STAGE_WARMUP && order < 0) {
            continue;
        }
        ac_html_raw(html, order < 0 ? "<li class=\"done\">" : order == 0
                          ? "<li class=\"failed\">" : "<li class=\"open\">");
        ac_html_text(html, ac_stage_text(stage));
        ac_html_raw(html, order == 0 ? " &ndash; failed</li>\n" : "</li>\n");
    }
    ac_html_raw(html, "</ol>\n");
}

static void add_fact(ac_html_t *html, const char *name, const char *value)
{
    if (value && *value) {
        add_element(html, "dt", name);
        ac_html_raw(html, "<dd><code>");
        ac_html_text(html, value);
        ac_html_raw(html, "</code></dd>\n");
    }
}

static const char *duration(apr_interval_time_t time, apr_pool_t *p)
{
    if (time < apr_time_from_sec(10)) {
        return apr_psprintf(p, "%" APR_INT64_T_FMT " ms", apr_time_as_msec(time));
    }
    return apr_psprintf(p, "%" APR_INT64_T_FMT " s", apr_time_sec(time));
}

static const char *ending(const ac_report_t *report, apr_pool_t *p)
{
    const char *text = ac_page_ending(report->wait_status, p);

    if (text && report->lasted > 0) {
        text = apr_pstrcat(p, text, ", after ", duration(report->lasted, p), NULL);
    }
    return text;
}

static void add_facts(ac_html_t *html, const ac_page_t *page)
{
    const ac_report_t *report = page->report;

    add_element(html, "h2", "What was run");
    ac_html_raw(html, "<dl>\n");
    add_fact(html, "App", page->app);
    add_fact(html, "Folder", report->folder);
    add_fact(html, "Found", report->found);
    add_fact(html, "Command", report->command);
    add_fact(html, "User", report->user);
    if (report->pid) {
        add_fact(html, "Process", apr_psprintf(html->p, "%u (slot %u, generation %u)",
                                               report->pid, report->slot,
                                               report->generation));
    }
    add_fact(html, "Ending", ending(report, html->p));
    /* APR's own codes, beyond those of the system, say nothing to a reader. */
    if (report->result.status > 0 && report->result.status < APR_OS_START_ERROR) {
        char text[128];

        add_fact(html, "System error",
                 apr_strerror(report->result.status, text, sizeof(text)));
    }
    ac_html_raw(html, "</dl>\n");
}

static void add_list(ac_html_t *html, const char *title, const apr_array_header_t *items)
{
    int i;

    if (!items || !items->nelts) {
        return;
    }
    add_element(html, "h2", title);
    ac_html_raw(html, "<ul>\n");
    for (i = 0; i < items->nelts; ++i) {
        add_element(html, "li", APR_ARRAY_IDX(items, i, const char *));
    }
    ac_html_raw(html, "</ul>\n");
}

static void add_output(ac_html_t *html, const ac_report_t *report)
{
    add_element(html, "h2", "What it printed");
    if (!report->output || !*report->output) {
        add_element(html, "p", "Nothing, neither on stdout nor on stderr.");
        return;
    }
    /* The parser drops a newline right behind <pre>: one that is ours to drop. */
    ac_html_raw(html, "<pre>\n");
    ac_html_text(html, report->output);
    ac_html_raw(html, "</pre>\n");
}

static void add_report(ac_html_t *html, const ac_page_t *page)
{
    const ac_report_t *report = page->report;

    add_solutions(html, report);
    add_element(html, "h2", "Specific error detected:");
    add_element(html, "p", report->result.detail);
    if (report->evidence && *report->evidence) {
        add_element(html, "pre", report->evidence);
    }
    add_steps(html, report);
    add_links(html, report);
    add_journey(html, &report->result);
    add_facts(html, page);
    if (report->pid || (report->output && *report->output)) {
        add_output(html, report);
    }
    add_list(html, "Notices", report->notices);
}

static void add_detailed(ac_html_t *html, const ac_page_t *page)
{
    if (page->detail && *page->detail) {
        add_element(html, "p", page->detail);
    }
    if (page->status == 503 && page->retry_after > 0) {
        add_element(html, "p", apr_psprintf(html->p, "The next attempt is worth while in "
                                            "%d s.", page->retry_after));
    }
    if (page->report) {
        add_report(html, page);
    }
    add_element(html, "p", "These details are shown because AppCoreDetailedErrors is On "
                "or the app runs in its Development environment.");
}

const char *ac_page_text(const ac_page_t *page, apr_pool_t *p)
{
    ac_html_t html;

    ac_html_init(&html, p);
    add_head(&html, page);
    if (page->detailed) {
        add_detailed(&html, page);
    }
    else {
        add_public(&html, page);
    }
    ac_html_raw(&html, "</body>\n</html>\n");
    return html.text;
}
