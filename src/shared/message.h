/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SHARED_MESSAGE_H
#define AC_SHARED_MESSAGE_H

/* Messages between httpd's parent, keeper, manager and relay.
 *
 * All links are AF_UNIX SOCK_SEQPACKET socketpairs made by the side that forks,
 * so one send is one message and descriptors ride along (SCM_RIGHTS). A message
 * is a type, then a body in base/wire encoding. ac_message_version counts changes, of
 * board and rows as well; a parent that finds a keeper of another number replaces it.
 *
 * Sends never block longer than the descriptor allows (all are non-blocking:
 * APR_EAGAIN means the peer is slow). A received message is bounded by
 * AC_MESSAGE_MAX, surplus descriptors are closed, and received descriptors are
 * close-on-exec. Message buffers belong to the caller. Any process, one thread
 * per link. */

#include <stdint.h>
#include <apr_errno.h>
#include <apr_pools.h>
#include "base/wire.h"

#define AC_MESSAGE_MAX (160 * 1024)
#define AC_MESSAGE_FDS 64

/* In an object of its own: a module that differs by this number alone is what tests
 * upgrade to. */
extern const uint32_t ac_message_version;

typedef enum ac_message_e {
    AC_MSG_NONE = 0,

    /* parent -> keeper, and forwarded keeper -> manager, relay */
    AC_MSG_LOGS,            /* u32 first index, u32 count; + error log descriptors */
    AC_MSG_CONFIG,          /* u32 serial; + memfd of ac_spec_table_put() */
    AC_MSG_STOP,            /* stop every app, then end */
    /* keeper -> parent */
    AC_MSG_ACK,             /* u32 serial, u32 ac_message_version */
    AC_MSG_STOPPING,        /* u32 seconds till what does not end by itself is killed */

    /* keeper -> manager, at its start */
    AC_MSG_HELLO,           /* u32 protocol; + board, rows, wake, notify, relay link */
    AC_MSG_ADOPT,           /* one process: ac_process_put() of shared/process.h;
                               + listener or none */
    AC_MSG_BEGIN,           /* end of the start sequence */
    AC_MSG_LINK,            /* + a new link to the other of manager and relay */

    /* manager -> keeper, each answered below with the same tag */
    AC_MSG_LOOK,            /* u64 tag, u64 app id, bytes look request; + inotify
                               instance that gets the folder's watches, or none */
    AC_MSG_LISTEN,          /* u64 tag, u64 app id, u32 slot, u32 gen, u32 reach (FD or
                               PATH), u64 tag whose listener is inherited or 0 */
    AC_MSG_SPAWN,           /* u64 tag, u64 app id, u32 slot, u32 gen, u32 reach,
                               u32 proc, u32 seconds that it may take to end,
                               strings argv, strings env, log target */
    AC_MSG_SIGNAL,          /* u64 tag, u32 signal, u8 whole group */
    AC_MSG_NOTE,            /* u64 tag, bytes (at most AC_NOTE_MAX): manager's state of
                               it, for a successor */
    AC_MSG_TAKE_PATH,       /* u64 tag: check the app's socket, name it in its place */
    AC_MSG_FORGET,          /* u64 tag: close listener, unlink its path */

    /* keeper -> manager; tag names the process instance from LISTEN/SPAWN on */
    AC_MSG_LOOKED,          /* u64 tag; + pipe to read the launch from, till EOF */
    AC_MSG_LISTENING,       /* u64 tag, u32 errno; + listener (FD) */
    AC_MSG_SPAWNED,         /* u64 tag, u32 pid */
    AC_MSG_EXECUTED,        /* u64 tag, result: AC_FAULT_NONE once exec succeeded. Without
                               SPAWNED before it nothing was forked, no EXITED follows */
    AC_MSG_PATH_TAKEN,      /* u64 tag, u32 errno */
    AC_MSG_EXITED,          /* u64 tag, u32 wait status */

    /* keeper -> relay */
    AC_MSG_STREAM,          /* u64 tag, u32 pid, log target; + stdout, stderr read ends;
                               without descriptors: another target for a known tag */
    AC_MSG_LOG_FILE,        /* u64 tag, u32 errno; + descriptor of a fresh log file */
    /* relay -> keeper */
    AC_MSG_OPEN_LOG,        /* u64 tag, str stamp: open the first or next file of that
                               stream (PREFIX_STAMP_PID.log), or start its program; the
                               relay always asks, the keeper only answers */

    /* manager -> relay */
    AC_MSG_LINE,            /* u32 log index, u32 level, str app, u32 pid, str text */
    AC_MSG_CAPTURE,         /* u64 tag: what did the process print at its start? */
    /* relay -> manager */
    AC_MSG_CAPTURED         /* u64 tag, bytes: at most AC_CAPTURE_MAX, any bytes */
} ac_message_e;

#define AC_CAPTURE_MAX 30000

/* Where a process's output goes; part of SPAWN and STREAM. */
typedef struct ac_log_target_t {
    uint32_t mode;              /* ac_log_mode_e */
    uint32_t log_index;         /* AC_LOG_ERRORLOG */
    uint32_t log_level;         /* ac_level_e: lines above it are left out there */
    uint32_t plain_level;       /* the same for lines that say no level */
    const char *app;            /* name for the line prefix */
    const char *file;           /* prefix or program */
    uint64_t max_size;
    uint32_t keep;
} ac_log_target_t;

typedef enum ac_log_mode_e {
    AC_LOG_ERRORLOG = 0, AC_LOG_FILE, AC_LOG_PROGRAM, AC_LOG_NONE
} ac_log_mode_e;

void ac_log_target_put(ac_wire_writer_t *w, const ac_log_target_t *target);
void ac_log_target_get(ac_wire_reader_t *r, ac_log_target_t *target, apr_pool_t *p);

/* A pair of connected links, non-blocking, close-on-exec. */
apr_status_t ac_message_pair(int fds[2]);

/* Begins a message of that type in w (wire writer limited to AC_MESSAGE_MAX). */
void ac_message_begin(ac_wire_writer_t *w, ac_message_e type, apr_pool_t *p);
/* Sends it with n descriptors, which stay the caller's. */
apr_status_t ac_message_send(int link, const ac_wire_writer_t *w, const int *fds, int n);

typedef struct ac_message_t {
    ac_message_e type;
    ac_wire_reader_t body;
    int fds[AC_MESSAGE_FDS];    /* the caller's to close or take; taken ones set to -1 */
    int n_fds;
    uint32_t sender_pid;        /* SCM_CREDENTIALS where enabled, else 0 */
} ac_message_t;

/* One message into buf (AC_MESSAGE_MAX bytes): APR_SUCCESS, APR_EAGAIN,
 * APR_EOF, or APR_EINVAL for one that is malformed (its descriptors closed). */
apr_status_t ac_message_receive(int link, unsigned char *buf, ac_message_t *pmsg);
/* Closes what was not taken. */
void ac_message_done(ac_message_t *msg);

/* A message from httpd's children to the manager, on the wake socket
 * (SOCK_DGRAM, the receiving end has SO_PASSCRED). */
#define AC_WAKE_HELLO 1             /* value = row; + the child's eventfd */
#define AC_WAKE_APP 2               /* value = app id */
typedef struct ac_wake_t {
    uint32_t version;               /* ac_message_version */
    uint32_t what;
    uint64_t value;
} ac_wake_t;

apr_status_t ac_wake_pair(int *preceive, int *psend);
apr_status_t ac_wake_send(int fd, uint32_t what, uint64_t value, int eventfd_or_minus1);
apr_status_t ac_wake_receive(int fd, ac_wake_t *pwake, uint32_t *ppid, int *pfd);

#endif
