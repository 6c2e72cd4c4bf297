/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_DETECT_H
#define AC_SPEC_DETECT_H

/* The steps of a look, one per kind of evidence in a folder.
 *
 * ac_look() calls them in order. Each returns 1 when it decided, having made the
 * launch or put a fault into its result, and 0 when the next one may try. What
 * was there but could not be used is left as a hint for the message at the end.
 * All work on the one ac_look_t of their look. */

#include "spec/command.h"
#include "spec/folder.h"
#include "spec/look.h"

typedef struct ac_look_t {
    apr_pool_t *p;
    const ac_look_request_t *req;
    ac_folder_t *folder;
    ac_launch_t *launch;
    ac_settings_t *set;         /* the request's, with the launch's overlay */
    apr_array_header_t *env;    /* what %VAR% and PATH mean by now */
    apr_array_header_t *hints;  /* const char * */
} ac_look_t;

typedef int ac_detect_fn(ac_look_t *look);

ac_detect_fn ac_detect_web_config;      /* reads it; never decides but on a fault */
ac_detect_fn ac_detect_process_path;    /* of a directive or of web.config */
ac_detect_fn ac_detect_dotnet;
ac_detect_fn ac_detect_shared_object;
ac_detect_fn ac_detect_procfile;
ac_detect_fn ac_detect_package_json;
ac_detect_fn ac_detect_python;
ac_detect_fn ac_detect_ruby;

/* Whether the app may run in a child of httpd, and a child is to host it. */
int ac_look_is_inside(const ac_look_t *look);
/* Decides for the shared object of that name, relative to the folder or absolute. */
int ac_look_object(ac_look_t *look, const char *source, const char *name);
/* The words of the directive AppCoreArguments, behind what the command line has;
 * 0, or as ac_look_fail(). */
int ac_look_arguments(ac_look_t *look);

/* Puts a fault of the look into its result; returns 1. */
int ac_look_fail(ac_look_t *look, ac_fault_e fault, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void ac_look_notice(ac_look_t *look, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void ac_look_hint(ac_look_t *look, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void ac_look_found(ac_look_t *look, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void ac_look_arg(ac_look_t *look, const char *arg);
/* A variable of the launch, as if web.config had it. */
void ac_look_variable(ac_look_t *look, const char *name, const char *value);
/* After the overlay changed: set and env again. */
void ac_look_refresh(ac_look_t *look);

/* Fills reach and port and returns 1: the placeholders of argv decide, else an
 * explicit PORT or AppCoreListen tcp, else `reach`. */
int ac_look_reach(ac_look_t *look, unsigned reach);
/* Whether this app must be given a port, before argv is made. */
int ac_look_wants_port(const ac_look_t *look);

/* A program by name, absolute: beneath the folder, then in PATH; NULL. */
const char *ac_look_program(const ac_look_t *look, const char *name);
const char *ac_look_path_search(const ac_look_t *look, const char *name);
/* The dotnet host: PATH, DOTNET_ROOT, where packages put it; NULL. */
const char *ac_look_dotnet(const ac_look_t *look);
/* The fault when there is none; returns 1. */
int ac_look_no_dotnet(ac_look_t *look);

/* What a program's name says about the app. */
ac_kind_e ac_look_kind_of(const ac_look_t *look, const char *program);
/* The same of a command; "python3 -m uvicorn" is uvicorn. */
ac_kind_e ac_look_kind_of_words(const ac_look_t *look, const apr_array_header_t *words);
/* How an app of that kind can be reached that says nothing about it. */
unsigned ac_look_reach_of(ac_look_t *look, ac_kind_e kind);
/* The major version of .NET whose start-up hooks the app of argv runs; 0: none. */
unsigned ac_look_hookable(ac_look_t *look);

/* A launch from a command line written for a shell; `source` names the file. The
 * launch's kind stays where the program's name says none. */
int ac_look_command(ac_look_t *look, const char *source, const char *text);

#endif
