/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SHARED_BOARD_H
#define AC_SHARED_BOARD_H

/* The board: what the manager tells httpd's children.
 *
 * One per httpd parent, a sparse memfd made in post_config and kept over
 * reloads. Exactly one process writes, the manager. Children map it read-only
 * through a descriptor that was reopened O_RDONLY, so no child can make a
 * writable mapping (who starts managers may say that none comes). Two flat tables:
 *
 *   apps       found by 64-bit app id, open addressing, linear probing.
 *   processes  one entry per process instance (app, slot, generation). A
 *              replacement has an entry of its own; the app's slot points at
 *              the one that takes new requests.
 *
 * Every entry is guarded by a sequence number (odd while written): readers copy
 * and retry, nobody locks. Copies are plain structs, safe to use afterwards but
 * possibly out of date at once: the caller finds out when it connects. An app
 * index stays valid for as long as the id in it compares equal.
 *
 * Reading: any thread, never blocks beyond a few retries. Writing: the
 * manager's one thread. */

#include <stdint.h>
#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_time.h>

#define AC_BOARD_VERSION 2
#define AC_BOARD_APPS 4096          /* power of two, twice AC_SPEC_APPS_MAX */
#define AC_BOARD_PROCS 8192
#define AC_BOARD_SLOTS 100          /* AppCoreProcessesPerApplication */
#define AC_BOARD_NO_PROC 0xffffu
#define AC_BOARD_MEMO_MAX 1024
#define AC_TOKEN_LEN 36

typedef enum ac_app_state_e {
    AC_APP_FREE = 0,
    AC_APP_IDLE,                    /* known, nothing runs, next request starts it */
    AC_APP_STARTING,                /* at least one process is on its way */
    AC_APP_RUNNING,                 /* at least one slot is ready */
    AC_APP_BACKOFF,                 /* next start at retry_at */
    AC_APP_BROKEN,                  /* breaker open: 503 at once until retry_at */
    AC_APP_REFUSED,                 /* misconfigured: error page until it changes */
    AC_APP_STOPPING,                /* being stopped; 503 */
    AC_APP_REMOVED,                 /* no longer configured; index may be reused */
    AC_APP_OFFLINE                  /* its folder has an app_offline.htm: 503 */
} ac_app_state_e;

const char *ac_app_state_name(ac_app_state_e state);

/* Facts that a request needs and that may come from the app's folder. */
typedef struct ac_board_facts_t {
    uint32_t kind;                  /* ac_kind_e */
    uint8_t detailed_errors;        /* resolved: 0 or 1 */
    uint8_t disable_error_page;
    uint8_t withhold_user;          /* AppCoreForwardWindowsAuthToken Off */
    uint8_t unwatched;              /* requests have to ask whether its folder changed */
    int64_t request_time;           /* µs */
    int64_t max_content_length;     /* -1: none */
    uint32_t uid;                   /* the app's user: owner check of static files */
    uint8_t forward_close;          /* the app may close a client's connection */
    uint8_t reserved[3];
} ac_board_facts_t;

typedef struct ac_board_app_t {
    uint64_t id;
    uint32_t state;                 /* ac_app_state_e */
    uint32_t failures;              /* failed starts so far; a waiter whose copy grew
                                       gets the error page */
    apr_time_t retry_at;            /* ac_clock_now() scale, for BACKOFF and BROKEN */
    uint16_t http_status;           /* of the last failure */
    uint16_t substatus;
    uint16_t n_slots;               /* from here on no slot is ready */
    uint16_t n_ready;
    uint16_t slots[AC_BOARD_SLOTS]; /* process index, AC_BOARD_NO_PROC if not ready */
    ac_board_facts_t facts;
} ac_board_app_t;

typedef enum ac_address_e {
    AC_ADDRESS_NONE = 0, AC_ADDRESS_SOCKET, AC_ADDRESS_TCP
} ac_address_e;

typedef struct ac_board_proc_t {
    uint64_t app_id;                /* 0: free */
    uint32_t slot;
    uint32_t generation;
    uint32_t pid;
    uint8_t address;                /* ac_address_e */
    uint8_t draining;               /* send nothing new, close idle connections */
    uint16_t port;                  /* AC_ADDRESS_TCP, 127.0.0.1 unless ipv6 */
    uint8_t ipv6;
    uint8_t protocol;               /* ac_protocol_e */
    char token[AC_TOKEN_LEN + 1];   /* "" where the app takes none */
    apr_time_t ready_since;
} ac_board_proc_t;

typedef struct ac_board_t ac_board_t;

/* A new board of full, sparse size; *pfd is read-write, close-on-exec. */
apr_status_t ac_board_create(int *pfd);
/* Reopens a board's descriptor read-only through /proc/self/fd. */
apr_status_t ac_board_readonly_fd(int fd, int *pfd);
/* Maps it; writable only in the manager. APR_EMISMATCH on another version. */
apr_status_t ac_board_map(int fd, int writable, ac_board_t **pboard, apr_pool_t *p);

/* Reader. Index of the app, or -1. */
int ac_board_find(const ac_board_t *board, uint64_t id);
/* 1 and a copy if the entry at index still belongs to id, else 0. */
int ac_board_app(const ac_board_t *board, int index, uint64_t id, ac_board_app_t *papp);
/* 1 and a copy if the process entry belongs to id, else 0. */
int ac_board_proc(const ac_board_t *board, unsigned index, uint64_t id,
                  ac_board_proc_t *pproc);
/* 1 iff process `index` is still generation `generation` and not draining:
 * one load, for pooled connections and for who was just counted in the rows. */
int ac_board_proc_current(const ac_board_t *board, unsigned index, uint32_t generation);
/* Time of the manager's last sign of life, ac_clock_now() scale. */
apr_time_t ac_board_alive(const ac_board_t *board);
/* The number of the manager in charge: one that took over knows no child until
 * that introduces itself again. 0 before the first. */
uint32_t ac_board_manager(const ac_board_t *board);
/* 1 while no manager is to be expected: waiting for one is in vain. */
int ac_board_abandoned(const ac_board_t *board);

/* Writer. The index for id, found or taken: -1 when the table is full. */
int ac_board_take_app(ac_board_t *board, uint64_t id);
void ac_board_put_app(ac_board_t *board, int index, const ac_board_app_t *app);
/* A free process index, taken until it is cleared, or -1. Indices go round, so
 * one rests before it is used again; the caller clears an entry only when no
 * row counts on it. A new manager clears what it did not adopt. */
int ac_board_take_proc(ac_board_t *board);
/* No index from here on was ever taken; reading one would allocate its page. */
unsigned ac_board_procs_used(const ac_board_t *board);
void ac_board_put_proc(ac_board_t *board, unsigned index, const ac_board_proc_t *proc);
void ac_board_clear_proc(ac_board_t *board, unsigned index);
void ac_board_touch(ac_board_t *board);
/* Once per manager, when it has taken over. */
void ac_board_begin(ac_board_t *board);
/* What one manager leaves for the next about an app: bytes of its own choosing,
 * at most AC_BOARD_MEMO_MAX. It outlives manager and keeper. */
void ac_board_put_memo(ac_board_t *board, int index, const void *memo, apr_size_t size);
/* 1 and a copy, if one of exactly that size was written to its end. */
int ac_board_memo(const ac_board_t *board, int index, void *memo, apr_size_t size);
/* The one word that others write, httpd's parent and the keeper: whoever should
 * start the next manager could not, or not often enough. Holds until one begins. */
apr_status_t ac_board_abandon(int fd, apr_pool_t *ptemp);

/* RUNTIMEDIR/s/ID.SLOT.GENERATION, where the process of that entry listens. */
void ac_board_socket_path(char *buf, apr_size_t size, const char *runtime_dir,
                          uint64_t app_id, uint32_t slot, uint32_t generation);

#endif
