/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_KEEPER_STATE_H
#define AC_KEEPER_STATE_H

/* Everything that the keeper knows. One object in its one thread; the files of
 * this room share it, nobody else sees it.
 *
 * The loop takes one event at a time, so whoever handles it may free any watch,
 * the one that fired included. Whatever has a deadline says so in a member that
 * ac_keeper_due() reads; 0 is none. */

#include <sys/types.h>
#include <apr_pools.h>
#include "base/log.h"
#include "keeper/config.h"
#include "keeper/keeper.h"
#include "shared/board.h"
#include "shared/message.h"
#include "shared/outbox.h"
#include "shared/process.h"

#define AC_KEEPER_LOGS 4096

typedef struct ac_keeper_t ac_keeper_t;
typedef struct ac_kwatch_t ac_kwatch_t;
typedef struct ac_kproc_t ac_kproc_t;
typedef struct ac_helper_t ac_helper_t;

struct ac_kwatch_t {
    int fd;                     /* -1: none */
    uint32_t events;
    void (*ready)(ac_keeper_t *k, ac_kwatch_t *watch, uint32_t events);
    void *owner;
};

/* The two mains, so that tests can put others in their place. */
typedef struct ac_keeper_mains_t {
    void (*manager)(int link);
    void (*relay)(int link, int peer);
} ac_keeper_mains_t;

/* Manager or relay. */
typedef struct ac_service_t {
    const char *name;           /* of the process */
    int is_relay;
    pid_t pid;                  /* 0: does not run */
    ac_kwatch_t pidfd;
    ac_kwatch_t link;
    ac_outbox_t out;
    apr_time_t started;
    apr_time_t start_at;
    unsigned failures;
} ac_service_t;

typedef enum ac_stop_e {
    AC_STOP_NO = 0,
    AC_STOP_APPS,               /* until no app and no child of one is left */
    AC_STOP_SERVICES,           /* until manager, relay and log programs ended */
    AC_STOP_DONE
} ac_stop_e;

struct ac_keeper_t {
    ac_keeper_args_t args;
    ac_keeper_mains_t mains;
    pid_t pid;
    struct rlimit files;        /* as inherited: for apps */
    apr_pool_t *p;
    apr_pool_t *ptemp;          /* cleared after every event */
    int epoll;
    ac_kwatch_t signals;
    ac_kwatch_t parent;
    ac_kwatch_t control;
    ac_outbox_t to_parent;

    ac_keeper_config_t *config; /* NULL before the first CONFIG */
    int config_fd;
    uint32_t serial;
    int logs[AC_KEEPER_LOGS];   /* error logs by index, without gaps */
    unsigned n_logs;

    int runtime_fd;             /* the runtime dir and two folders in it */
    int sockets_fd;
    int private_fd;
    int notify_fd;
    int ledger_fd;
    unsigned char *ledger_used;
    int ledger_failed;          /* and that was said */

    ac_service_t manager;
    ac_service_t relay;
    int spare_link;             /* to the relay, for the next manager; -1 */

    ac_kproc_t *procs;
    ac_helper_t *helpers;
    int sweep;                  /* something ended: see what it left behind */
    int left;                   /* processes of apps at the last sweep */
    apr_time_t strays_at;       /* SIGKILL for strays that SIGTERM did not end */

    ac_stop_e stop;
    apr_time_t stop_at;         /* end of AC_STOP_SERVICES */
};

/* keeper.c: the loop. */
void ac_keeper_run(const ac_keeper_args_t *args, const ac_keeper_mains_t *mains)
    __attribute__((noreturn));

/* watch.c */
void ac_kwatch_init(ac_kwatch_t *watch, void *owner,
                    void (*ready)(ac_keeper_t *, ac_kwatch_t *, uint32_t));
/* Watches fd, which it owns from now on, or changes the events. */
apr_status_t ac_kwatch_set(ac_keeper_t *k, ac_kwatch_t *watch, int fd, uint32_t events);
void ac_kwatch_close(ac_keeper_t *k, ac_kwatch_t *watch);
/* A pidfd of a child of ours, readable when it ended. */
apr_status_t ac_kwatch_pid(ac_keeper_t *k, ac_kwatch_t *watch, pid_t pid);
/* A sentence for the log of an app, or with NULL for the server's. */
void ac_keeper_log(ac_keeper_t *k, ac_level_e level, const ac_kproc_t *proc,
                   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* The same while there is no relay: to standard error. */
void ac_keeper_complain(ac_level_e level, const char *text);

/* request.c: one message of the manager or relay. */
void ac_request(ac_keeper_t *k, ac_service_t *from, ac_message_t *msg);

#endif
