/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_KEEPER_HELPER_H
#define AC_KEEPER_HELPER_H

/* Short-lived children with an app's identity, and log programs.
 *
 * A helper does one job and ends; its answer goes to who asked when it ended or,
 * for a look, straight through a pipe. Each has a time limit but log programs,
 * which end with their process. */

#include "keeper/listen.h"

#define AC_HELPER_LINK 3
#define AC_HELPER_INOTIFY 4

/* Looks at the folder of the app, as `request` asks; answers LOOKED. inotify gets
 * the folder's watches; -1 for none. */
void ac_helper_look(ac_keeper_t *k, uint64_t tag, uint64_t app_id,
                    ac_wire_reader_t *request, int inotify);
/* Makes the folder for the instance's socket; answers LISTENING. */
void ac_helper_folder(ac_keeper_t *k, ac_kproc_t *proc);

/* In a fresh child: default signals, a time limit, and `fd`, as AC_HELPER_LINK,
 * is all that it keeps of the keeper's descriptors. */
void ac_helper_begin(int fd);
/* A child to be waited for, with a time limit; its link is closed after done().
 * Takes link over, also when it fails: NULL, and the child is dead. */
ac_helper_t *ac_helper_watch(ac_keeper_t *k, pid_t pid, int link);

int ac_helper_owns(const ac_keeper_t *k, pid_t pid);
/* The instance is gone: its log program may end. */
void ac_helper_orphan(ac_keeper_t *k, uint64_t tag);
void ac_helper_tick(ac_keeper_t *k, apr_time_t now);
/* SIGKILL for all that answer somebody; log programs read to the end. */
void ac_helper_stop_all(ac_keeper_t *k);

struct ac_helper_t {
    ac_helper_t *next;
    pid_t pid;
    ac_kwatch_t pidfd;
    int link;                   /* what it has to tell; -1 */
    uint64_t tag;
    char folder[AC_LISTEN_NAME]; /* that it makes, in p/ */
    apr_time_t kill_at;         /* 0: a log program of a living instance */
    void (*done)(ac_keeper_t *k, ac_helper_t *helper, int wait_status);
};

#endif
