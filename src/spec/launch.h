/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_LAUNCH_H
#define AC_SPEC_LAUNCH_H

/* How an app is started: what a look at its folder found.
 *
 * Made by ac_look() (spec/look.h) in a process that has the app's identity,
 * sent to the manager as bytes that the manager does not trust, decoded there
 * within the limits below. argv is not expanded yet: %VAR% and the module's
 * placeholders {fd} {socket} {port} {path} are filled per process by
 * ac_launch_argv(). Owned by the pool given to the decoder. */

#include <stdint.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include "base/result.h"
#include "base/wire.h"
#include "spec/settings.h"
#include "spec/spec.h"
#include "spec/survey.h"

#define AC_LAUNCH_ARGS_MAX 256
#define AC_LAUNCH_ENV_MAX 512
#define AC_LAUNCH_HANDLER_MAX 64
#define AC_LAUNCH_NOTICES_MAX 32
#define AC_LAUNCH_LINE_MAX 32767         /* of a command line, as on Windows */
#define AC_LAUNCH_WIRE_MAX (1024 * 1024 + AC_OFFLINE_MAX)
#define AC_PORT_MIN 1025                /* of an explicit PORT, as ANCM has it */
#define AC_PORT_MAX 48000

typedef enum ac_kind_e {
    AC_KIND_PROGRAM = 0,        /* anything that listens where it is told */
    AC_KIND_DOTNET,             /* ASP.NET Core: ANCM's contract */
    AC_KIND_NODE,
    AC_KIND_ASGI,
    AC_KIND_WSGI,
    AC_KIND_RUBY,
    AC_KIND_OBJECT              /* a shared object for httpd's children */
} ac_kind_e;

const char *ac_kind_name(ac_kind_e kind);

/* Ways to reach a process; a launch says which ones it can do. */
#define AC_REACH_FD     0x1     /* inherited listening socket, descriptor 3 */
#define AC_REACH_PATH   0x2     /* a socket path that it makes: {socket} */
#define AC_REACH_PORT   0x4     /* a loopback port */

/* What ac_launch_argv() replaces in argv. argv[0] is final in any case. */
typedef enum ac_expand_e {
    AC_EXPAND_PERCENT = 0,      /* %VAR% and the placeholders */
    AC_EXPAND_DOLLAR,           /* $VAR, ${VAR} and the placeholders: a Procfile */
    AC_EXPAND_NONE              /* nothing: a shell does it */
} ac_expand_e;

typedef struct ac_launch_t {
    ac_result_t result;         /* AC_FAULT_NONE, or why there is no launch */
    ac_kind_e kind;
    unsigned reach;             /* AC_REACH_*; FD and PORT together: offered both,
                                   the one that accepts first wins */
    uint32_t port;              /* asked for by PORT/ASPNETCORE_PORT; 0: any */
    uint8_t companion;          /* AC_REACH_FD by the kind's companion of this version;
                                   0: without */
    const char *found;          /* a sentence: what was found and why it decided */
    const char *folder;         /* working folder */
    apr_array_header_t *argv;   /* const char *, never empty on success */
    ac_expand_e expand;
    ac_settings_t *overlay;     /* origin AC_ORIGIN_WEBCONFIG: what web.config says */
    int64_t max_content_length; /* requestLimits@maxAllowedContentLength; -1 none */
    apr_array_header_t *notices;/* const char *: for the log, once per start */
    uint32_t uid;               /* who looked; filled by the keeper's child */
    uint32_t gid;
    const char *user;
    const char *home;           /* a writable home of the user, or NULL */
    ac_survey_t survey;         /* also with a fault; argv is empty when offline */
    int copy_fd;                /* holds the shadow copy; -1; not encoded */
} ac_launch_t;

void ac_launch_put(ac_wire_writer_t *w, const ac_launch_t *launch);
/* NULL and r->status set on any fault. An overlay holds nothing that a
 * web.config cannot say, within ANCM's ranges. */
ac_launch_t *ac_launch_get(ac_wire_reader_t *r, apr_pool_t *p);

/* What differs from process to process of one app. */
typedef struct ac_instance_t {
    uint32_t slot;
    uint32_t generation;
    unsigned reach;             /* the ways offered to this process */
    uint32_t port;              /* when reach has AC_REACH_PORT */
    const char *socket_path;    /* {socket} and APPCORE_SOCKET, for AC_REACH_PATH */
    const char *token;          /* pairing token, 36 characters; where the settings'
                                   environment has ASPNETCORE_TOKEN, that one */
    const char *notify_path;    /* NOTIFY_SOCKET */
    int is_logged;              /* APPCORE_LOG: its output goes to httpd's error log */
    const char *prefix;         /* {path}: the spec's prefix, without a last slash */
} ac_instance_t;

/* Settings in force for the app: spec's merged with the launch's overlay. */
ac_settings_t *ac_launch_settings(const ac_spec_t *spec, const ac_launch_t *launch,
                                  apr_pool_t *p);

/* The environment of one process, "NAME=value", NULL-terminated: PATH, LANG, TZ
 * of httpd (`inherited`, NAME=value), the contract for the launch's kind
 * (docs/architecture.md), then AppCoreEnvironmentVariable/-File and web.config by
 * precedence, with %VAR% expanded once against what was set before; last, again,
 * what nobody may change. LISTEN_PID is left as "LISTEN_PID=" and
 * filled in by the process that execs. */
const char **ac_launch_env(const ac_spec_t *spec, const ac_launch_t *launch,
                           const ac_instance_t *inst, const char *const *inherited,
                           apr_pool_t *p);

/* argv of one process, NULL-terminated, %VAR% from env and {…} expanded. */
const char **ac_launch_argv(const ac_launch_t *launch, const ac_instance_t *inst,
                            const char *const *env, apr_pool_t *p);

#endif
