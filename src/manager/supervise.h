/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_MANAGER_SUPERVISE_H
#define AC_MANAGER_SUPERVISE_H

/* Supervision of apps as a pure state machine: events in, actions out.
 *
 * One ac_sup_t for all apps, because starts share permits. It has no clock, no
 * descriptor and no thread: ac_sup_tick() tells it the time before other events,
 * ac_sup_due() says when it wants to be told again, and whoever drives it takes
 * every action with ac_sup_next(), carries it out, and reports the answer as an
 * event. Answers may come while actions are being taken. Pointers to apps and
 * processes live until their REMOVE and FREE action was followed by the next
 * call of ac_sup_next(). Memory is malloc's: apps and processes come and go. The
 * states, events and actions are drawn at the top of supervise.c. */

#include <stdint.h>
#include <apr_time.h>
#include "base/result.h"
#include "manager/breaker.h"
#include "shared/board.h"
#include "spec/survey.h"

#define AC_SUP_DIGEST 20
#define AC_SUP_DRAIN_STEP apr_time_from_msec(50)
/* For an answer to LISTEN and SPAWN: the driver's trouble, never the app's. */
#define AC_SUP_ANSWER_LIMIT apr_time_from_sec(30)

typedef struct ac_sup_t ac_sup_t;
typedef struct ac_sup_app_t ac_sup_app_t;
typedef struct ac_sup_proc_t ac_sup_proc_t;

typedef enum ac_proc_state_e {
    AC_PROC_QUEUED = 0,         /* waits for a permit to start */
    AC_PROC_LISTEN,             /* its socket or port is being prepared */
    AC_PROC_EXEC,               /* fork and exec were asked for */
    AC_PROC_START,              /* runs, does not accept yet */
    AC_PROC_READY,
    AC_PROC_DRAIN,              /* gets no new requests, finishes those it has */
    AC_PROC_TERM,               /* SIGTERM was sent */
    AC_PROC_KILL,               /* SIGKILL was sent */
    AC_PROC_DEAD                /* ended; its listener may be left */
} ac_proc_state_e;

const char *ac_proc_state_name(ac_proc_state_e state);

/* What the machine needs of an app's settings. */
typedef struct ac_sup_conf_t {
    unsigned processes;         /* 1 to AC_BOARD_SLOTS */
    unsigned least;             /* as many go on when there is little to do; 0: all */
    unsigned share;             /* requests at a time that are enough for one */
    unsigned rapid_fails;
    apr_interval_time_t startup_limit;
    apr_interval_time_t shutdown_limit;
    unsigned always_running:1;
    unsigned inside:1;          /* children of httpd host it, unless one of them asks */
    unsigned alone:1;           /* never two processes of one slot at a time */
    unsigned keep_config:1;     /* a change of web.config replaces nothing */
} ac_sup_conf_t;

/* A process as a later manager finds it again. */
typedef struct ac_sup_note_t {
    unsigned char digest[AC_SUP_DIGEST];
    ac_marks_t marks;           /* of the folder that it was started from */
    uint64_t tag;
    uint32_t slot;
    uint32_t generation;
    ac_proc_state_e state;
    apr_time_t since;           /* it entered the state */
    apr_time_t limit;           /* end of the state, 0 if open */
    unsigned listener:1;
    unsigned leftover:1;        /* a keeper that is gone started it: to be replaced */
} ac_sup_note_t;

struct ac_sup_proc_t {
    ac_sup_proc_t *next;        /* of the same app */
    ac_sup_app_t *app;
    void *io;                   /* the driver's */
    ac_sup_note_t is;
    apr_time_t due;             /* next timer, 0 for none */
    uint64_t heir_of;           /* tag of the dead process whose listener it gets */
};

/* What of an app outlives its processes, for a later manager: plain data. */
typedef struct ac_sup_memory_t {
    apr_time_t retry_at;
    uint32_t pause;             /* ac_sup_pause_e */
    uint32_t failures;
    uint32_t failed_starts;
    uint32_t last_generation;
    uint16_t http_status;
    uint16_t substatus;
    uint8_t keep;
    uint8_t open;               /* of the breaker, as all that follows */
    uint16_t n;
    uint32_t streak;
    apr_time_t times[AC_BREAKER_TIMES];
} ac_sup_memory_t;

typedef struct ac_sup_slot_t {
    ac_sup_proc_t *current;     /* READY */
    ac_sup_proc_t *next;        /* on its way to READY */
    ac_sup_proc_t *heirloom;    /* DEAD; its listener waits for a successor */
} ac_sup_slot_t;

typedef enum ac_sup_mode_e { AC_SUP_CONFIGURED = 0, AC_SUP_REMOVED } ac_sup_mode_e;
typedef enum ac_sup_look_e {
    AC_LOOK_NONE = 0, AC_LOOK_ASKED, AC_LOOK_KNOWN
} ac_sup_look_e;
typedef enum ac_sup_pause_e {
    AC_PAUSE_NONE = 0, AC_PAUSE_BACKOFF, AC_PAUSE_REFUSED, AC_PAUSE_BROKEN
} ac_sup_pause_e;

/* What the board says of an app, but for its processes. */
typedef struct ac_sup_view_t {
    ac_app_state_e state;
    uint32_t failures;
    apr_time_t retry_at;
    uint16_t http_status;
    uint16_t substatus;
} ac_sup_view_t;

struct ac_sup_app_t {
    ac_sup_app_t *next;
    ac_sup_app_t *chain;        /* of the same hash */
    ac_sup_t *sup;
    void *io;                   /* the driver's */
    uint64_t id;
    unsigned char digest[AC_SUP_DIGEST];
    ac_marks_t marks;           /* of the folder, as last seen */
    ac_sup_conf_t conf;
    ac_sup_mode_e mode;
    ac_sup_look_e look;
    ac_sup_pause_e pause;
    apr_time_t retry_at;        /* end of the pause */
    apr_time_t look_limit;      /* while it is asked for */
    ac_breaker_t breaker;
    uint32_t failures;          /* failed starts */
    uint16_t http_status;       /* of the last one */
    uint16_t substatus;
    unsigned reports;           /* being written */
    unsigned failed_starts;     /* since a process was ready */
    uint32_t last_generation;
    unsigned target;            /* processes wanted now, from least to processes */
    apr_time_t measure_at;      /* 0: the load need not be known */
    apr_time_t crowded_since;   /* 0: not crowded */
    apr_time_t roomy_since;
    apr_time_t moved;           /* into httpd's children: when */
    apr_time_t suspected;       /* since then its folder may be another; 0: it is not */
    ac_sup_view_t view;         /* as published */
    ac_sup_slot_t *slots;
    unsigned n_slots;
    ac_sup_proc_t *procs;
    unsigned wanted:1;          /* a request waits */
    unsigned keep:1;            /* was ready: supervised until the breaker opens */
    unsigned look_again:1;      /* the answer on its way is out of date */
    unsigned hinted:1;          /* its folder may have changed: to be looked at */
    unsigned offline:1;         /* its folder has an app_offline.htm */
    unsigned has_launch:1;      /* the driver keeps what a look found */
    unsigned changed:1;         /* processes differ from what the board shows */
    unsigned publishing:1;      /* the action is on its way */
    unsigned seen:1;            /* in the configuration being read */
    unsigned gone:1;            /* its REMOVE is on its way */
    unsigned needed:1;          /* since it moved: a later child asked */
    unsigned moving:1;          /* only children of before use what runs */
    unsigned left_behind:1;     /* and now nobody does */
};

typedef enum ac_act_e {
    AC_ACT_LOOK = 0,            /* app: answer ac_sup_looked() */
    AC_ACT_UNLOOK,              /* app: what the look found is not needed any more */
    AC_ACT_LISTEN,              /* proc: answer ac_sup_listening() */
    AC_ACT_SPAWN,               /* proc: answer ac_sup_executed() */
    AC_ACT_PROBE,               /* proc: answer ac_sup_ready() or ac_sup_failed() */
    AC_ACT_QUIET,               /* proc: end probing */
    AC_ACT_COUNT,               /* proc: ac_sup_drained() if nothing is in flight */
    AC_ACT_MEASURE,             /* app: answer ac_sup_load() */
    AC_ACT_SIGNAL,              /* proc: number, group */
    AC_ACT_REPORT,              /* app, proc or NULL, result: then ac_sup_reported() */
    AC_ACT_PUBLISH,             /* app: view and processes to the board */
    AC_ACT_NOTE,                /* proc: keep `is` for a later manager */
    AC_ACT_SAY,                 /* app, proc or NULL: a sentence for the log */
    AC_ACT_FORGET,              /* proc: drop what is held for it */
    AC_ACT_FREE,                /* proc: last one of it */
    AC_ACT_REMOVE               /* app: last one of it */
} ac_act_e;

typedef enum ac_say_e {
    AC_SAY_NEXT_START = 0,      /* after delay */
    AC_SAY_BREAKER_OPEN,        /* for delay */
    AC_SAY_BREAKER_CLOSED,
    AC_SAY_GROW,                /* app->target processes from now on */
    AC_SAY_SHRINK,
    AC_SAY_DRAIN,               /* replaced, surplus or removed */
    AC_SAY_OFFLINE,             /* app_offline.htm appeared, or went */
    AC_SAY_ONLINE,
    AC_SAY_DRAIN_LIMIT,         /* SIGTERM although requests are in flight */
    AC_SAY_KILL                 /* did not end within the shutdown limit */
} ac_say_e;

typedef struct ac_sup_action_t {
    ac_act_e what;
    ac_sup_app_t *app;
    ac_sup_proc_t *proc;
    int signal;
    int group;
    ac_say_e say;
    apr_interval_time_t delay;
    const ac_result_t *result;  /* until the next call of ac_sup_next() */
} ac_sup_action_t;

/* first_tag: above every tag of earlier managers. */
ac_sup_t *ac_sup_create(uint64_t first_tag, uint32_t seed);
void ac_sup_destroy(ac_sup_t *sup);
void ac_sup_limit_spawns(ac_sup_t *sup, unsigned max_spawns);
ac_sup_app_t *ac_sup_find(const ac_sup_t *sup, uint64_t id);
ac_sup_app_t *ac_sup_first(const ac_sup_t *sup);
ac_sup_proc_t *ac_sup_find_proc(const ac_sup_t *sup, uint64_t tag);
/* 1 and the next action, or 0. */
int ac_sup_next(ac_sup_t *sup, ac_sup_action_t *action);

/* Time passes: runs what is due. */
void ac_sup_tick(ac_sup_t *sup, apr_time_t now);
/* When ac_sup_tick() has something to do; 0 for never. */
apr_time_t ac_sup_due(const ac_sup_t *sup);

/* A configuration: begin, each app once, end (which removes the others). */
void ac_sup_config_begin(ac_sup_t *sup);
ac_sup_app_t *ac_sup_configure(ac_sup_t *sup, uint64_t id, const unsigned char *digest,
                               const ac_sup_conf_t *conf);
void ac_sup_config_end(ac_sup_t *sup);

/* A living process of an earlier manager, before ac_sup_config_end(); an id
 * that is not configured makes an app that is being removed. */
ac_sup_proc_t *ac_sup_adopt(ac_sup_t *sup, uint64_t app_id, const ac_sup_note_t *note);

/* Fills all of it; differs from the last one at most after a PUBLISH. */
void ac_sup_remember(const ac_sup_app_t *app, ac_sup_memory_t *memory);
/* Before ac_sup_config_end(), for an app that is as it was. */
void ac_sup_recall(ac_sup_app_t *app, const ac_sup_memory_t *memory);

/* Before a hint or a look: what that finds new may be so since then. */
void ac_sup_suspect(ac_sup_app_t *app, apr_time_t since);
/* For an app that children of httpd host, where one asks all the same, before
 * ac_sup_wake(): since when that child is there, 0: not known. */
void ac_sup_asked(ac_sup_app_t *app, apr_time_t since);
/* The oldest child is there since then; 0: there is none. */
void ac_sup_oldest(ac_sup_app_t *app, apr_time_t since);
/* A request waits for it, or finds all its processes busy. */
void ac_sup_wake(ac_sup_app_t *app);
/* Requests in flight to its ready processes, and those that wait. */
void ac_sup_load(ac_sup_app_t *app, unsigned requests);
/* Something happened in the app's folder: it is looked at where that matters. */
void ac_sup_hint(ac_sup_app_t *app);
/* What a look saw of the folder, before ac_sup_looked() says what it found. */
void ac_sup_surveyed(ac_sup_app_t *app, const ac_marks_t *marks, int offline);
/* conf is the one in force with what the folder says; NULL on a fault, and while
 * the app is offline. */
void ac_sup_looked(ac_sup_app_t *app, const ac_result_t *res, const ac_sup_conf_t *conf);
/* listener: a listening socket is held for it, which a successor may inherit. */
void ac_sup_listening(ac_sup_proc_t *proc, const ac_result_t *res, int listener);
void ac_sup_executed(ac_sup_proc_t *proc, const ac_result_t *res);
void ac_sup_ready(ac_sup_proc_t *proc);
/* Runs, but will never be ready. */
void ac_sup_failed(ac_sup_proc_t *proc, const ac_result_t *res);
void ac_sup_drained(ac_sup_proc_t *proc);
/* Was ready and lives, but takes no connections any more. */
void ac_sup_deaf(ac_sup_proc_t *proc, const ac_result_t *res, int served);
/* res is for the report, should the end count as a failure; served: the process
 * got requests. */
void ac_sup_exited(ac_sup_proc_t *proc, const ac_result_t *res, int served);
void ac_sup_reported(ac_sup_app_t *app);
/* Ends every process; nothing starts any more. */
void ac_sup_stop(ac_sup_t *sup);
/* 1 once the stop has nothing left to wait for. */
int ac_sup_stopped(const ac_sup_t *sup);

#endif
