/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_APP_H
#define AC_INPROC_APP_H

/* An app that runs inside this child of httpd (include/appcore.h).
 *
 * One per app and child whose settings say InProcess, made in child_init, after the
 * fork, and never freed. Looking at the folder, loading and init() happen on a thread
 * of the app's own, so nothing that an app does at its start holds up httpd. The
 * state is what changes afterwards; any thread may read it, and what belongs to a
 * state was written before it. Requests hold a pointer to it, so what is in the app's
 * hands outlives every request.
 *
 *   STARTING --started()--> READY --ended(), folder changed--> LEAVING
 *      |  \--app_offline.htm--> OFFLINE
 *      \--init() failed, time limit--> FAILED
 *
 * OUTSIDE: not served here but by processes of its own. LEAVING ends with the child,
 * which httpd replaces. */

#include <pthread.h>
#include <stdatomic.h>

#include "appcore.h"
#include "httpd.h"
#include "ap_mpm.h"
#include "mpm_common.h"
#include "apr_ring.h"
#include "conf/conf.h"
#include "inproc/plan.h"
#include "shared/message.h"
#include "shared/report.h"

typedef enum ac_inproc_state_e {
    AC_INPROC_NONE = 0,
    AC_INPROC_STARTING,
    AC_INPROC_READY,
    AC_INPROC_FAILED,           /* report */
    AC_INPROC_OFFLINE,          /* page */
    AC_INPROC_LEAVING,
    AC_INPROC_OUTSIDE
} ac_inproc_state_e;

/* A request that waits for another state; its owner's memory. */
typedef struct ac_inproc_waiter_t ac_inproc_waiter_t;
struct ac_inproc_waiter_t {
    APR_RING_ENTRY(ac_inproc_waiter_t) link;
    int fd;                     /* an eventfd, written when the state changes */
};
APR_RING_HEAD(ac_inproc_waiters_t, ac_inproc_waiter_t);

/* Which file was loaded. */
typedef struct ac_inproc_file_t {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
} ac_inproc_file_t;

typedef struct ac_inproc_t {
    appcore_host host;          /* first: what the app is given leads back here */
    const ac_mount_t *mount;    /* the first one of the app */
    server_rec *server;         /* of that mount, for the log */
    const ac_settings_t *set;   /* with web.config's once the folder was looked at */
    appcore_app app;            /* what it left out is NULL */
    void *instance;             /* as init() set it */
    _Atomic int state;          /* ac_inproc_state_e */
    _Atomic int is_lost;        /* this child is a loss that counts */
    _Atomic int forgotten;      /* shutdown() was called: nothing is any more */
    _Atomic int asked;          /* OUTSIDE: the manager knows that this child needs it */
    apr_int64_t max_body;       /* maxAllowedContentLength; -1: none */
    const ac_report_t *report;  /* why it failed */
    const char *page;           /* of its app_offline.htm */
    apr_size_t page_len;
    pthread_mutex_t serial;     /* held in callbacks of an app that is not thread-safe */
    pthread_mutex_t mutex;      /* of what follows */
    pthread_cond_t changed;     /* told, concluded */
    struct ac_inproc_waiters_t waiters;
    int returned;               /* init() did: instance is known */
    int told;                   /* whether it started: it did unless `failed` */
    int failed;
    int has_ended;              /* it said so: never READY again */
    int concluded;              /* the state says how it went */
    ac_result_t result;         /* if it failed */
    const char *evidence;
    const char *warming;        /* the page that it is asked for before it is ready */
    int warm_fd;                /* of the client that asks */

    /* Of the thread that starts it. */
    apr_pool_t *p;
    appcore_config config;
    ac_plan_t plan;
    ac_launch_t *launch;
    ac_log_target_t log;
    const char **env;           /* its environment, NULL-terminated */
    int speaks;                 /* the child's output is its */
    apr_time_t begun;           /* ac_clock_now() scale */
    ac_inproc_file_t file;      /* watch.c's */
    pthread_t starter;          /* start.c's: the thread that starts it */
    int has_starter;
    int is_ending, is_down;     /* end.c's: it has a thread for its end; it is over */
} ac_inproc_t;

/* child_init: starts what is configured InProcess, and waits for it, but not longer
 * than a few seconds. */
void ac_inproc_child_init(apr_pool_t *pchild, server_rec *s);
/* NULL where the app is not in this child. */
ac_inproc_t *ac_inproc_of(const ac_mount_t *mount);
/* All that are, by ac_mount_t.index; NULL for an app that is not in this child. */
int ac_inproc_count(void);
ac_inproc_t *ac_inproc_at(int index);
const char *ac_inproc_state_name(ac_inproc_state_e state);

/* shared.c: what all children have in common. post_config, and the parent's hook
 * child_status: see inproc/losses.h. */
int ac_inproc_post_config(apr_pool_t *pconf, const ac_spec_table_t *table);
void ac_inproc_child_status(server_rec *s, pid_t pid, ap_generation_t generation,
                            int slot, mpm_child_status state);
/* child_init: this child hosts apps. */
void ac_inproc_enter(void);
/* A folder of its own that it may write to, or NULL. */
const char *ac_inproc_home(const ac_inproc_t *inproc);
/* Its code runs here from now on. */
void ac_inproc_host(const ac_inproc_t *inproc);
/* It is to blame for another child. */
void ac_inproc_lost(ac_inproc_t *inproc);
/* Its start took longer than it may: in this child, or in any within a minute. */
void ac_inproc_hung(const ac_inproc_t *inproc);
int ac_inproc_hung_lately(const ac_inproc_t *inproc);
int ac_inproc_lost_too_often(ac_inproc_t *inproc);
/* 1 in one child of all: for lines that are true of every one. */
enum { AC_SAYS_NOTICES = 1, AC_SAYS_OUTSIDE = 2, AC_SAYS_TOO_OFTEN = 4,
       AC_SAYS_COPIES = 8, AC_SAYS_BUCKETS = 16, AC_SAYS_RUNS = 32 };
int ac_inproc_says(const ac_inproc_t *inproc, unsigned what);
/* The child ends in good order. */
void ac_inproc_close(void);

/* Any thread: the new state, seen by whoever waits for one. */
void ac_inproc_become(ac_inproc_t *inproc, ac_inproc_state_e state);
/* From now on a change of the state writes to waiter->fd. */
void ac_inproc_join(ac_inproc_t *inproc, ac_inproc_waiter_t *waiter);
void ac_inproc_leave(ac_inproc_t *inproc, ac_inproc_waiter_t *waiter);

/* start.c. Starts the app on a thread of its own; errno where there is none. */
void ac_inproc_start_init(int is_threaded);
int ac_inproc_start(ac_inproc_t *inproc);
/* One that was offline starts after all. */
void ac_inproc_restart(ac_inproc_t *inproc);
/* The child ends: nobody waits for a start that is still under way. 1 if its thread has
 * ended, within that time (ac_clock_now() scale). */
int ac_inproc_end_start(ac_inproc_t *inproc, apr_time_t until);

/* Functions of the host that are about the app itself; any thread. */
void ac_inproc_fill_own(ac_inproc_t *inproc);
void ac_inproc_started(ac_inproc_t *inproc, const appcore_failure *failure);
void ac_inproc_ended(ac_inproc_t *inproc, int exit_code, appcore_str why);
void ac_inproc_replace(ac_inproc_t *inproc, appcore_str why);
/* What init() is told. */
void ac_inproc_fill_config(ac_inproc_t *inproc);

#endif
