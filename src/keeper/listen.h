/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_KEEPER_LISTEN_H
#define AC_KEEPER_LISTEN_H

/* Listening sockets and the places where apps make theirs.
 *
 * Every path in s/ was bound or linked there by the keeper and is named after
 * app, slot and generation; httpd's group may connect. */

#include "keeper/process.h"

#define AC_LISTEN_NAME 64

/* Its name in s/ and p/, in AC_LISTEN_NAME bytes. */
void ac_listen_name(char *name, const ac_kproc_t *proc);

/* A listener of its own for the instance. */
apr_status_t ac_listen_open(ac_keeper_t *k, ac_kproc_t *proc);
/* That of a dead instance of the same app, under the name of the new one. */
apr_status_t ac_listen_inherit(ac_keeper_t *k, ac_kproc_t *from, ac_kproc_t *proc);
/* In a forked child, still privileged: makes the folder for app.sock. */
apr_status_t ac_listen_make_folder(ac_keeper_t *k, const ac_kproc_t *proc, uid_t uid);
/* Checks what the app made there and gives it a name in s/. */
apr_status_t ac_listen_take_path(ac_keeper_t *k, ac_kproc_t *proc);
/* Closes and unlinks whatever the instance has. */
void ac_listen_drop(ac_keeper_t *k, ac_kproc_t *proc);

#endif
