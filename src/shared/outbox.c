/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "shared/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/message.h"

struct ac_outbox_item_t {
    ac_outbox_item_t *next;
    int fds[AC_MESSAGE_FDS];
    int n;
    apr_size_t len;
    unsigned char data[];
};

void ac_outbox_init(ac_outbox_t *box, int link, apr_size_t limit)
{
    memset(box, 0, sizeof(*box));
    box->link = link;
    box->limit = limit;
    box->tail = &box->first;
}

static void item_free(ac_outbox_item_t *item)
{
    while (item->n > 0) {
        close(item->fds[--item->n]);
    }
    free(item);
}

static apr_status_t item_create(ac_outbox_item_t **pitem, const ac_wire_writer_t *w,
                                const int *fds, int n)
{
    ac_outbox_item_t *item;

    if (n > AC_MESSAGE_FDS) {
        return APR_EINVAL;
    }
    item = malloc(sizeof(*item) + w->len);
    if (!item) {
        return APR_ENOMEM;
    }
    item->next = NULL;
    item->len = w->len;
    memcpy(item->data, w->data, w->len);
    for (item->n = 0; item->n < n; ++item->n) {
        item->fds[item->n] = fcntl(fds[item->n], F_DUPFD_CLOEXEC, 0);
        if (item->fds[item->n] < 0) {
            apr_status_t rv = errno;

            item_free(item);
            return rv;
        }
    }
    *pitem = item;
    return APR_SUCCESS;
}

apr_status_t ac_outbox_send(ac_outbox_t *box, const ac_wire_writer_t *w, const int *fds,
                            int n)
{
    ac_outbox_item_t *item = NULL;
    apr_status_t rv = APR_EAGAIN;

    if (box->link < 0) {
        return APR_EOF;
    }
    if (w->status != APR_SUCCESS) {
        return w->status;
    }
    if (!box->first) {
        rv = ac_message_send(box->link, w, fds, n);
    }
    if (!APR_STATUS_IS_EAGAIN(rv)) {
        return rv;
    }
    if (w->len > box->limit - box->bytes) {
        return APR_ENOSPC;
    }
    rv = item_create(&item, w, fds, n);
    if (rv == APR_SUCCESS) {
        *box->tail = item;
        box->tail = &item->next;
        box->bytes += item->len;
    }
    return rv;
}

static void drop_first(ac_outbox_t *box)
{
    ac_outbox_item_t *item = box->first;

    box->first = item->next;
    box->bytes -= item->len;
    if (!box->first) {
        box->tail = &box->first;
    }
    item_free(item);
}

apr_status_t ac_outbox_flush(ac_outbox_t *box)
{
    while (box->first) {
        ac_wire_writer_t w = { .data = box->first->data, .len = box->first->len };
        apr_status_t rv = ac_message_send(box->link, &w, box->first->fds, box->first->n);

        if (rv != APR_SUCCESS) {
            return rv;
        }
        drop_first(box);
    }
    return APR_SUCCESS;
}

int ac_outbox_pending(const ac_outbox_t *box)
{
    return box->first != NULL;
}

void ac_outbox_clear(ac_outbox_t *box)
{
    while (box->first) {
        drop_first(box);
    }
}
