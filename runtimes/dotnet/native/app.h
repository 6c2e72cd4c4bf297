/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef APPCORE_DOTNET_APP_H
#define APPCORE_DOTNET_APP_H

/* The one .NET app of the process, between the host and managed code. It runs on a
 * thread of its own, with a stack and a signal mask that suit the runtime.
 *
 *              STARTING             READY                  FAILED     LEFT
 *   a step
 *   fails      started(why) FAILED  -                      -          -
 *   ready      started()    READY   -                      stop       stop
 *   failed     started(why) FAILED  logged                 logged     logged
 *   crashed    the same, and its   logged: the process     the same   logged
 *              thread stays        ends
 *   stopping   -                    replace(why)           -          -
 *   stopped    -                    ended(0) LEFT, the gate closes and empties
 *   Main ends  started(why) FAILED  ended(exit code) LEFT  -          -
 *
 * Each of started(), replace() and ended() is called once at most, without the lock, and
 * not after the host itself asked for the end. An app that stops serves on until the host
 * asks, or its own time is over. */

#include <pthread.h>
#include <stdatomic.h>

#include "native/bridge.h"
#include "native/gate.h"
#include "native/runtime.h"
#include "native/trouble.h"

typedef enum ac_app_state_e {
    AC_APP_STARTING,
    AC_APP_READY,
    AC_APP_FAILED,
    AC_APP_LEFT
} ac_app_state_e;

typedef struct ac_app_t {
    const appcore_host *host;
    const appcore_config *config;
    appcore_host outer;         /* the host as managed code sees it: see outer.c */
    ac_dotnet_bridge_t bridge;
    ac_dotnet_calls_t calls;    /* whole before the gate opens */
    ac_gate_t gate;
    ac_runtime_start_t start;   /* its strings are ours, until the thread was joined */
    ac_runtime_t runtime;       /* the app's thread only */
    ac_trouble_t trouble;       /* that thread, until it is in Main; then the lock */

    _Atomic int inside;         /* Main runs, or may */
    _Atomic int left_behind;    /* and nobody waits for it any more */

    pthread_t thread;
    pthread_mutex_t lock;       /* for all below */
    pthread_cond_t moved;
    ac_app_state_e state;
    int hooked;                 /* our start-up hook ran */
    int asked;                  /* the host wants the end */
    int stuck;                  /* a thread stays in crashed(): Main may never end */
    int returned;               /* Main did, or never ran */
} ac_app_t;

/* Of the process. */
extern ac_app_t ac_app;

/* PENDING, or FAILED with the reason. */
int ac_app_start(const appcore_host *host, const appcore_config *config,
                 appcore_failure *failure);

/* Lets the calling thread take every signal, as threads of a .NET process do. The
 * collector stops threads by one, Process.Start() learns of ends by another, and what it
 * starts inherits the mask of the thread that calls it: with httpd's, which blocks all,
 * no SIGTERM would end that. Signals to the process still go to its first thread if
 * that takes them, and httpd's handlers are left as they are. */
void ac_app_open_signals(void);

/* No new connections come. The app is told of its end, for which some requests may wait,
 * and serves on until ac_app_stop() or its own time for that is over. */
void ac_app_quiesce(ac_app_t *app);

/* Stops the app and waits for the end of Main, at most so long. */
void ac_app_stop(ac_app_t *app, uint32_t limit_ms);

/* exit() runs the destructors of all libraries, those of the runtime among them, which
 * pull the ground from under an app that still runs. Whoever registers last is called
 * first, so this is called whenever the runtime has loaded more: from now on httpd's
 * exit() is _exit(0) as long as Main runs. */
void ac_app_guard_exit(void);

/* What managed code calls. */
void ac_app_fill_bridge(ac_app_t *app);
/* The host's functions, with the gate before what they call back later. */
void ac_app_fill_outer(ac_app_t *app);

/* Main has ended, or (with trouble set) was not reached. */
void ac_app_returned(ac_app_t *app, int exit_code);

#endif
