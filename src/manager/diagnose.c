/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "manager/diagnose.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <apr_strings.h>

#include "manager/evidence.h"

/* The first phrase that the output has decides, so the narrower come first. */
static const struct {
    const char *phrase;
    const char *hint;
} phrases[] = {
    { "libhostpolicy.so",
      "The folder is not complete publish output: run 'dotnet publish' and copy all of"
      " what it made, the .runtimeconfig.json included." },
    { "The application to execute does not exist",
      "The program's .dll is missing: copy the whole publish output." },
    { "Could not execute because the specified command or file was not found",
      "The .dll is missing or the app's user cannot read it: check the folder and its"
      " permissions." },
    { "JSON parsing exception",
      "A .runtimeconfig.json or .deps.json is damaged, as by a partial copy: deploy"
      " again." },
    { "Failed to load configuration from file",
      "A configuration file such as appsettings.json is not valid JSON: the output names"
      " file and line." },
    { "BadImageFormatException",
      "A .dll is damaged or built for another platform: deploy again." },
    { "Could not load file or assembly 'System.",
      "A .dll of .NET could not be loaded: a limit is too tight for .NET (AppCoreLimit as"
      " or nofile), or not the whole publish output was copied." },
    { "Could not load file or assembly",
      "A .dll that the app needs is missing: copy the whole publish output." },
    { "Couldn't find a valid ICU package",
      "Often a limit is too tight for .NET (AppCoreLimit as or nofile); otherwise install"
      " libicu or set DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1." },
    { "address already in use",
      "The app listens to an address of its own that somebody else holds: let it listen"
      " where it is told (no UseUrls, no fixed port)." },
    { "EADDRINUSE",
      "The app listens to a port of its own that somebody else holds: let it listen to"
      " process.env.PORT." },
    { "Address already in use",
      "The app listens to an address of its own that somebody else holds: let it listen"
      " where it is told." },
    { "SocketException (13)",
      "The app wants a port below 1024, which needs root: let it listen where it is"
      " told." },
    { "Unable to load shared library",
      "A native library that the app needs is missing or was built for another machine:"
      " install its package, or publish for this one (dotnet publish -r linux-x64)." },
    { "DOTNET_ROLL_FORWARD",
      "DOTNET_ROLL_FORWARD has a value that .NET does not know: it may be Minor, Major,"
      " LatestPatch, LatestMinor, LatestMajor or Disable." },
    { "BackgroundServiceExceptionBehavior",
      "A background service of the app threw, and by its own settings"
      " (HostOptions.BackgroundServiceExceptionBehavior) that ends the whole app." },
    { "Stack overflow.",
      "The app ran out of stack: look for endless recursion in the output." },
    { "No module named",
      "A Python module is missing: install the app's requirements where its interpreter"
      " finds them, best in a virtual environment in the app's folder." },
    { "can't open file",
      "The script on the command line is missing or the app's user cannot read it." },
    { "Error loading ASGI app",
      "uvicorn did not find the application object: name it in AppCoreArguments, as in"
      " main:app." },
    { "Cannot find module",
      "A node module is missing: run 'npm install' in the app's folder." },
    { "Cannot find package",
      "A node package is missing: run 'npm install' in the app's folder." },
    { "Could not find gem",
      "A Ruby gem is missing: run 'bundle install' in the app's folder." },
    { "SyntaxError",
      "The app's source has a syntax error: the output names file and line." },
    { "Unhandled exception",
      "The app threw while it started: the output begins with the reason." },
    { "Application startup exception",
      "The app threw while it started: the output begins with the reason." },
    { "Traceback (most recent call last)",
      "The app raised an exception while it started: the last line of the traceback is"
      " the reason." },
    { "Out of memory",
      "The app ran out of memory, perhaps because a limit is too tight: check"
      " AppCoreLimit as (.NET reserves far more than it uses) and the machine." },
    { "out of memory",
      "The app ran out of memory: check AppCoreLimit as and the machine." },
};

static const char *framework_line(const char *output, apr_pool_t *p)
{
    const char *line = strstr(output, "Framework: ");

    return line ? apr_pstrndup(p, line, strcspn(line, "\r\n")) : "the framework it names";
}

static const char *by_output(ac_report_t *report, apr_pool_t *p)
{
    const char *output = report->output;
    unsigned i;

    if (strstr(output, "You must install or update .NET")) {
        report->evidence = ac_evidence_framework(output, p);
        return apr_pstrcat(p, "The app needs another .NET runtime: install ",
                           framework_line(output, p), ", or set DOTNET_ROLL_FORWARD=Major"
                           " to run it on a newer one.", NULL);
    }
    for (i = 0; i < sizeof(phrases) / sizeof(phrases[0]); ++i) {
        if (strstr(output, phrases[i].phrase)) {
            report->evidence = ac_evidence(output, phrases[i].phrase, p);
            return phrases[i].hint;
        }
    }
    return NULL;
}

static const char *by_errno(apr_status_t status)
{
    switch (status) {
    case ENOENT:
        return "The program was not found: give AppCoreProcessPath an absolute path, or"
               " check the PATH that httpd was started with; a script's '#!' line may"
               " name a missing interpreter.";
    case EACCES:
        return "The app's user may not run the program: 'chmod +x' it and check the"
               " permissions of every folder on its path.";
    case ENOEXEC:
        return "The program has no '#!' line or was built for another processor.";
    case EAGAIN:
        return "The user has too many processes: check AppCoreLimit nproc.";
    default:
        return NULL;
    }
}

static const char *by_signal(int number)
{
    switch (number) {
    case SIGKILL:
        return "It was killed from outside; when nobody did, the kernel ran out of memory"
               " ('journalctl -k').";
    case SIGXCPU:
        return "It used up its processor time: AppCoreLimit cpu.";
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
        return "The program itself is broken or was built for another machine.";
    case SIGSYS:
        return "A system call was forbidden to it.";
    default:
        return NULL;
    }
}

static const char *by_exit_code(int code)
{
    switch (code) {
    case 0:
        return "The program ended without an error. It must stay in the foreground (no"
               " daemon mode) and listen where it is told.";
    case 126:
        return "The shell found a program that it may not run: 'chmod +x' it.";
    case 127:
        return "The shell did not find a program: check PATH and the command line.";
    case 131:
    case 147:
    case 154:
        return "The folder is not complete publish output: deploy again.";
    case 150:
        return "The app needs another .NET runtime: see 'dotnet --list-runtimes'.";
    default:
        return "The program itself decided to end: what it printed, or its source, says"
               " what that exit code means.";
    }
}

static const char *by_end(const ac_report_t *report)
{
    int status = report->wait_status;

    if (status == -1 || report->result.fault == AC_FAULT_TIMEOUT) {
        return NULL;
    }
    if (WIFSIGNALED(status)) {
        return by_signal(WTERMSIG(status));
    }
    return WIFEXITED(status) ? by_exit_code(WEXITSTATUS(status)) : NULL;
}

static const char *by_timeout(const char *output, apr_pool_t *p)
{
    const char *elsewhere = output ? ac_evidence_addresses(output, p) : NULL;

    if (elsewhere && strstr(output, "Now listening on: ")) {
        return apr_pstrcat(p, "The app listens on ", elsewhere, ", an address of its own:"
                           " it calls UseUrls or Run(url), or is built with"
                           " CreateSlimBuilder or CreateEmptyBuilder. Let it listen to"
                           " the port in ASPNETCORE_PORT.", NULL);
    }
    if (elsewhere) {
        return apr_pstrcat(p, "The app says that it listens on ", elsewhere, ", an"
                           " address of its own: let it listen where it is told, on the"
                           " port in PORT, on descriptor 3, or on the socket in"
                           " {socket}.", NULL);
    }
    return "The program runs but does not listen where it is told: on the port in PORT,"
           " on descriptor 3, or on the socket in {socket}. Is it slow, raise"
           " AppCoreStartupTimeLimit.";
}

static const char *find_hint(ac_report_t *report, apr_pool_t *p)
{
    const char *hint = NULL;

    switch (report->result.fault) {
    case AC_FAULT_EXEC:
        return by_errno(report->result.status);
    case AC_FAULT_TIMEOUT:
        return by_timeout(report->output, p);
    case AC_FAULT_WRONG_LISTENER:
        return "Another program took the app's port or socket, or the app runs its"
               " server as somebody else.";
    case AC_FAULT_DEAF:
        return "The app closed its listener without ending: a server inside of it was"
               " stopped, or failed. A program whose server is over must end.";
    case AC_FAULT_EXITED:
    case AC_FAULT_CRASHED:
        hint = report->output ? by_output(report, p) : NULL;
        return hint ? hint : by_end(report);
    default:
        return NULL;
    }
}

void ac_diagnose(ac_report_t *report, apr_pool_t *p)
{
    report->hint = find_hint(report, p);
    if (!report->evidence && report->output) {
        report->evidence = ac_evidence_last(report->output, p);
    }
}
