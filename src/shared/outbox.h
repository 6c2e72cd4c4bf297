/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SHARED_OUTBOX_H
#define AC_SHARED_OUTBOX_H

/* Messages on their way out of a link whose peer may be slow.
 *
 * Sends at once while nothing waits, else keeps a copy of the message with
 * duplicates of its descriptors, in order, up to `limit` bytes. The owner asks
 * for EPOLLOUT while ac_outbox_pending() and then calls ac_outbox_flush(). One
 * thread; nothing blocks. Memory comes from malloc, since what waits has no
 * pool's lifetime. */

#include <apr_errno.h>
#include "base/wire.h"

typedef struct ac_outbox_item_t ac_outbox_item_t;

typedef struct ac_outbox_t {
    int link;                   /* the owner's; -1: messages are refused with APR_EOF */
    apr_size_t limit;
    apr_size_t bytes;
    ac_outbox_item_t *first;
    ac_outbox_item_t **tail;
} ac_outbox_t;

void ac_outbox_init(ac_outbox_t *box, int link, apr_size_t limit);
/* APR_SUCCESS: sent or kept; APR_ENOSPC past the limit; else the link is dead.
 * The descriptors stay the caller's. */
apr_status_t ac_outbox_send(ac_outbox_t *box, const ac_wire_writer_t *w, const int *fds,
                            int n);
/* APR_SUCCESS when nothing waits any more, APR_EAGAIN, or the link is dead. */
apr_status_t ac_outbox_flush(ac_outbox_t *box);
int ac_outbox_pending(const ac_outbox_t *box);
/* Drops what waits; the link stays the owner's to close. */
void ac_outbox_clear(ac_outbox_t *box);

#endif
