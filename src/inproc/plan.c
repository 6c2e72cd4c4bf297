/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "inproc/plan.h"

#include <string.h>
#include <unistd.h>
#include <apr_strings.h>
#include "inproc/load.h"
#include "spec/companion.h"

#define DOTNET_OBJECT "appcore-dotnet.so"
#define APP_MISSING 38

static void outside(ac_plan_t *plan, const char *why)
{
    plan->decision = AC_PLAN_OUTSIDE;
    plan->why = why;
}

static int ends_with(const char *text, const char *suffix)
{
    apr_size_t len = strlen(text);
    apr_size_t n = strlen(suffix);

    return len > n && !strcmp(text + len - n, suffix);
}

static const char *below(const ac_launch_t *launch, const char *path, apr_pool_t *p)
{
    while (!strncmp(path, "./", 2)) {
        path += 2;
    }
    return *path == '/' ? path : apr_pstrcat(p, launch->folder, "/", path, NULL);
}

/* "dotnet [exec] App.dll …", or "App …", the apphost beside App.dll. NULL where
 * options of the dotnet host come first, which only that program understands. */
static const char *find_assembly(ac_plan_t *plan, const ac_launch_t *launch,
                                 apr_pool_t *p)
{
    const char *const *argv = (const char *const *)launch->argv->elts;
    const char *slash = strrchr(argv[0], '/');
    int at = 1;

    if (strcmp(slash ? slash + 1 : argv[0], "dotnet")) {
        plan->first_argument = 1;
        return apr_pstrcat(p, below(launch, argv[0], p), ".dll", NULL);
    }
    at += launch->argv->nelts > 2 && !strcmp(argv[1], "exec");
    if (launch->argv->nelts <= at || !ends_with(argv[at], ".dll")) {
        return NULL;
    }
    plan->first_argument = at + 1;
    return below(launch, argv[at], p);
}

static void plan_dotnet(ac_plan_t *plan, const ac_spec_t *spec,
                        const ac_launch_t *launch, const ac_plan_child_t *child,
                        apr_pool_t *p)
{
    if (!child->is_threaded) {
        outside(plan, "the prefork MPM would bring one .NET runtime per request at a "
                "time, and uses the runtime's signals; the event MPM hosts it in "
                "process");
        return;
    }
    plan->file = spec->companions
        ? apr_pstrcat(p, spec->companions, "/" DOTNET_OBJECT, NULL) : NULL;
    if (!plan->file || access(plan->file, R_OK) < 0) {
        outside(plan, DOTNET_OBJECT " is not installed beside the module (package "
                "appcore-dotnet)");
        return;
    }
    plan->assembly = find_assembly(plan, launch, p);
    if (!plan->assembly) {
        outside(plan, "its command line has options of the dotnet program");
        return;
    }
    if (access(plan->assembly, F_OK) < 0) {
        outside(plan, "it is published as a single file, which only its own program "
                "can run");
        return;
    }
    plan->companion = ac_companion_path(spec->companions, AC_KIND_DOTNET,
                                        launch->companion, p);
    if (!plan->companion) {
        outside(plan, "AppCore.AspNetCore.dll is not installed beside the module, or "
                "the app is trimmed, older than .NET 8 or otherwise runs no start-up "
                "hooks");
        return;
    }
    if (child->has_dotnet) {
        outside(plan, "there is one .NET runtime in a process of httpd, and another app "
                "has it");
        return;
    }
    plan->dotnet_root = child->dotnet_root;
    plan->decision = AC_PLAN_DOTNET;
}

/* ANCM numbers what its shim cannot use as 500.0. */
static void plan_fault(ac_plan_t *plan, const ac_launch_t *launch)
{
    plan->decision = AC_PLAN_FAILED;
    plan->result = launch->result;
    plan->result.stage = AC_STAGE_NONE;
    if (plan->result.http_status != 500) {
        plan->result.http_status = 500;
        plan->result.substatus = launch->kind == AC_KIND_DOTNET ? APP_MISSING : 0;
    }
}

void ac_plan_make(ac_plan_t *plan, const ac_spec_t *spec, const ac_settings_t *set,
                  const ac_launch_t *launch, const ac_plan_child_t *child,
                  apr_pool_t *p)
{
    memset(plan, 0, sizeof(*plan));
    plan->first_argument = 1;
    if (set->hosting_model.v != AC_HOSTING_IN_PROCESS) {
        outside(plan, NULL);
    }
    else if (launch->survey.is_offline) {
        plan->decision = AC_PLAN_OFFLINE;
    }
    else if (launch->result.fault == AC_FAULT_IDENTITY) {
        outside(plan, launch->result.detail);
    }
    else if (launch->result.fault != AC_FAULT_NONE) {
        plan_fault(plan, launch);
    }
    else if (launch->kind == AC_KIND_OBJECT) {
        plan->decision = AC_PLAN_OBJECT;
        plan->file = APR_ARRAY_IDX(launch->argv, 0, const char *);
    }
    else if (launch->kind == AC_KIND_DOTNET) {
        plan_dotnet(plan, spec, launch, child, p);
    }
    else {
        outside(plan, apr_psprintf(p, "it is an app of the kind %s",
                                   ac_kind_name(launch->kind)));
    }
}
