/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_MANAGER_LOOP_H
#define AC_MANAGER_LOOP_H

/* What the manager's parts share: one ac_manager_t per process, its apps
 * (ac_home_t, hung on the state machine's apps) and processes (ac_run_t). One
 * thread; a watch's callback runs when its descriptor is ready, and after every
 * callback all actions of the state machine are carried out before the next
 * event, so nobody holds a pointer to an app or a process across callbacks
 * without being told of its end. Memory of apps and processes is malloc's; pools
 * hold the configuration and what a look found, each as a whole. */

#include <apr_pools.h>
#include <apr_time.h>
#include "base/log.h"
#include "manager/hint.h"
#include "manager/supervise.h"
#include "shared/board.h"
#include "shared/message.h"
#include "shared/offline.h"
#include "shared/outbox.h"
#include "shared/process.h"
#include "shared/report.h"
#include "shared/rows.h"
#include "spec/launch.h"

typedef struct ac_manager_t ac_manager_t;
typedef struct ac_home_t ac_home_t;
typedef struct ac_run_t ac_run_t;
typedef struct ac_watch_t ac_watch_t;
typedef struct ac_child_t ac_child_t;
typedef struct ac_job_t ac_job_t;
typedef struct ac_warm_t ac_warm_t;

struct ac_watch_t {
    int fd;                     /* -1: none */
    int writing;                /* EPOLLOUT is asked for, too */
    void (*ready)(ac_manager_t *m, ac_watch_t *w);
    void *baton;
};

/* An app: what the state machine need not know. */
struct ac_home_t {
    ac_manager_t *m;
    ac_sup_app_t *app;
    const ac_spec_t *spec;      /* in m->config; NULL once it is not configured */
    char *name;                 /* lives as long as the app */
    uint32_t log_index;
    uint32_t log_level;
    int index;                  /* in the board, -1 if that is full */
    apr_pool_t *p;              /* holds launch and set; NULL when there are none */
    ac_launch_t *launch;
    ac_settings_t *set;         /* in force: the spec's with the launch's overlay */
    ac_board_facts_t facts;
    uint64_t look_tag;          /* of the answer that is waited for; 0: none */
    ac_watch_t look;            /* pipe from the process that looks */
    char *look_data;
    apr_size_t look_len;
    ac_hint_t hint;             /* when to look again */
    ac_watched_t *watched;      /* what the last look watched */
    unsigned n_watched;
    int has_copy;               /* it runs from a shadow copy */
};

/* A process, seen from outside. */
struct ac_run_t {
    ac_manager_t *m;
    ac_sup_proc_t *proc;
    uint32_t pid;               /* 0: not forked yet */
    uint32_t uid;
    unsigned reach;             /* the ways offered */
    uint32_t port;
    int index;                  /* in the board, -1 for none */
    int shown;                  /* the board has its address */
    ac_address_e address;
    uint8_t ipv6;
    ac_protocol_e protocol;     /* AUTO: not known yet */
    char token[AC_TOKEN_LEN + 1];
    apr_time_t started;
    int wait_status;            /* -1: lives */
    apr_time_t ready_since;
    uint64_t served;            /* the app's total when it became ready */
    char *command;
    char *user;
    char *folder;
    char *found;
    char status[128];           /* last STATUS= */
    /* ready.c */
    ac_run_t *next_probed;
    apr_time_t probe_at;        /* 0: not probed, or waits for an event */
    apr_time_t probe_since;
    ac_watch_t folder_watch;    /* inotify */
    int listener;               /* ours, shared with the app */
    int knock;                  /* our connection */
    ac_address_e accepts;       /* it takes connections there */
    int asking;                 /* the connection on which it is asked, or -1 */
    apr_time_t ask_since;
    ac_warm_t *warm;            /* requests before it is ready, or NULL */
    unsigned probed:1;
    unsigned knocked:1;
    unsigned asked:1;
    unsigned announced:1;       /* READY=1 came */
    unsigned path_asked:1;
    unsigned path_taken:1;
    unsigned uncounted:1;       /* children of another board use it, too */
    /* doubt.c */
    ac_run_t *next_doubted;
    apr_time_t doubt_at;        /* 0: not in doubt */
    apr_time_t knocked_last;
    unsigned refusals;          /* in a row */
};

struct ac_manager_t {
    apr_pool_t *p;
    apr_pool_t *ptemp;          /* cleared after every event */
    apr_time_t now;
    int epoll;
    ac_watch_t keeper;
    ac_watch_t relay;
    ac_watch_t wake;
    ac_watch_t notify;
    ac_outbox_t to_keeper;
    ac_outbox_t to_relay;
    unsigned char *buf;         /* AC_MESSAGE_MAX */
    ac_board_t *board;
    ac_rows_t *rows;
    apr_pool_t *config;
    ac_spec_table_t *table;     /* in config; NULL before the first */
    uint32_t serial;            /* of the configuration, as httpd's parent counts */
    ac_sup_t *sup;
    const char **inherited;     /* PATH, LANG, TZ */
    const char *notify_path;    /* in config */
    ac_child_t *children;
    ac_run_t *probed;
    ac_run_t *doubted;
    ac_job_t *jobs;             /* reports being written */
    unsigned *resting;          /* board indices that rows still count on */
    unsigned n_resting;
    apr_array_header_t *adopted;/* ac_adopted_t: until BEGIN and CONFIG came */
    uint64_t next_look;
    ac_watch_t eyes;            /* inotify */
    apr_time_t eyes_rest;       /* end of a pause in reading it, or 0 */
    unsigned watches_any;       /* watches where a file of any name may matter */
    unsigned begun:1;           /* the start sequence is complete */
    unsigned swept:1;           /* leavings in the board were cleared */
    unsigned stopping:1;
    unsigned said_blind:1;
};

/* What the keeper holds of an earlier manager's process. */
typedef struct ac_adopted_t {
    ac_process_t process;
    int listener;
} ac_adopted_t;

/* loop.c */
int ac_watch_open(ac_manager_t *m, ac_watch_t *w, int fd);
/* Also closes the descriptor. */
void ac_watch_close(ac_manager_t *m, ac_watch_t *w);
ac_manager_t *ac_loop_create(int link);
void ac_loop_run(ac_manager_t *m) __attribute__((noreturn));
/* Another relay, or none (-1). */
void ac_loop_relay(ac_manager_t *m, int link);

/* keeper_link.c: what the keeper says. */
void ac_keeper_read(ac_manager_t *m, ac_watch_t *w);

/* config.c */
void ac_config_read(ac_manager_t *m, uint32_t serial, int fd);
ac_home_t *ac_home_create(ac_manager_t *m, ac_sup_app_t *app);

/* adopt.c */
void ac_run_note(ac_run_t *run);
/* Once BEGIN and a configuration came; also ends the latter. */
void ac_adopt_all(ac_manager_t *m);

/* perform.c: what the state machine wants. */
void ac_perform_all(ac_manager_t *m);
ac_home_t *ac_home_of(const ac_sup_app_t *app);
ac_run_t *ac_run_of(const ac_sup_proc_t *proc);
ac_run_t *ac_run_create(ac_manager_t *m, ac_sup_proc_t *proc);
void ac_run_destroy(ac_run_t *run);
void ac_run_close_listener(ac_run_t *run);

/* spawn.c */
void ac_spawn_listen(ac_run_t *run);
void ac_spawn_exec(ac_run_t *run);
/* Where the app makes its socket, should it make one; in ptemp. */
const char *ac_run_app_socket(ac_run_t *run);

/* look.c */
void ac_look_start(ac_home_t *home);
void ac_look_opened(ac_manager_t *m, uint64_t tag, int fd);
void ac_look_drop(ac_home_t *home);
void ac_look_cancel(ac_home_t *home);
void ac_home_conf(ac_sup_conf_t *conf, const ac_settings_t *set,
                  const ac_launch_t *launch);
void ac_home_facts(ac_home_t *home, const ac_settings_t *set);

/* eyes.c */
void ac_eyes_open(ac_manager_t *m);
/* What a look watches now, in place of what the last one did. */
void ac_eyes_follow(ac_home_t *home, const ac_survey_t *survey);
void ac_eyes_forget(ac_home_t *home);
void ac_eyes_hint_all(ac_manager_t *m);
/* A process ended: what it ran from may be cleared away. */
void ac_eyes_ended(ac_home_t *home);
/* A request came for an app: the only hints where nothing can be watched. */
void ac_eyes_asked(ac_home_t *home);
void ac_eyes_tick(ac_manager_t *m);
apr_time_t ac_eyes_due(const ac_manager_t *m);

/* ready.c */
void ac_ready_start(ac_run_t *run);
void ac_ready_stop(ac_run_t *run);
void ac_ready_tick(ac_manager_t *m);
apr_time_t ac_ready_due(const ac_manager_t *m);
void ac_ready_path_taken(ac_run_t *run, apr_status_t status);
/* The app said so itself. */
void ac_ready_announce(ac_run_t *run);

/* Where httpd connects to it, if it has a socket. */
void ac_run_socket_path(char *buf, apr_size_t size, const ac_run_t *run);

/* doubt.c: processes that were ready, and may take no connections any more. */
void ac_doubt_app(ac_home_t *home);
void ac_doubt_stop(ac_run_t *run);
void ac_doubt_tick(ac_manager_t *m);
apr_time_t ac_doubt_due(const ac_manager_t *m);

/* protocol.c */
/* 1 once run->protocol is; else it is called again with every step. */
int ac_protocol_known(ac_run_t *run);
void ac_protocol_stop(ac_run_t *run);

/* warm.c */
/* One step; 1 once nothing is left to ask for. Where that failed, the state machine
 * was told. */
int ac_warm_done(ac_run_t *run);
void ac_warm_stop(ac_run_t *run);

/* notify.c */
void ac_notify_read(ac_manager_t *m, ac_watch_t *w);

/* children.c */
void ac_children_read(ac_manager_t *m, ac_watch_t *w);
void ac_children_wake(ac_manager_t *m);
/* Apps that moved into children hear who is still there of before. */
void ac_children_tell(ac_manager_t *m);
/* Rows that were claimed under an earlier manager: watches who holds them. */
void ac_children_recall(ac_manager_t *m);

/* publish.c */
int ac_publish_take(ac_manager_t *m);
void ac_publish_give(ac_manager_t *m, unsigned index);
void ac_publish_run(ac_run_t *run, int draining);
void ac_publish_app(ac_home_t *home);
void ac_publish_sweep(ac_manager_t *m);
/* What an earlier manager knew of an app of the same configuration. */
void ac_publish_recall(ac_home_t *home);
/* Requests that the app got so far. */
uint64_t ac_home_total(const ac_home_t *home);

/* failure.c */
void ac_failure_report(ac_home_t *home, ac_run_t *run, const ac_result_t *res);
void ac_failure_captured(ac_manager_t *m, uint64_t tag, const char *data, apr_size_t len);
void ac_failure_tick(ac_manager_t *m);
apr_time_t ac_failure_due(const ac_manager_t *m);
void ac_failure_exited(ac_run_t *run, int wait_status);

/* talk.c */
void ac_talk_begin(ac_manager_t *m, ac_wire_writer_t *w, ac_message_e type, uint64_t tag);
void ac_talk_keeper(ac_manager_t *m, const ac_wire_writer_t *w);
/* The same with a descriptor; -1: none. */
void ac_talk_keeper_fd(ac_manager_t *m, const ac_wire_writer_t *w, int fd);
void ac_talk_relay(ac_manager_t *m, const ac_wire_writer_t *w);
void ac_talk_tag(ac_manager_t *m, ac_message_e type, uint64_t tag);
/* A sentence for the app's error log; home NULL: the main one. */
void ac_talk_line(ac_manager_t *m, const ac_home_t *home, ac_level_e level,
                  const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The same about a process, with its name in front. */
void ac_talk_run(const ac_run_t *run, ac_level_e level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
const char *ac_talk_span(char *buf, apr_size_t size, apr_interval_time_t span);

#endif
