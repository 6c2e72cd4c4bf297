/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_SEND_H
#define AC_INPROC_SEND_H

/* What an app answers on its way into httpd's filters: collected in the call's brigade,
 * and passed on. For whoever may use the call: its holder, or a thread that has acquired
 * it (inproc/call.h). All but NONBLOCK writes may wait for the client. Results are those
 * of appcore.h. */

#include "inproc/call.h"

/* Made when it is first asked for; empty after ac_send_pass(). */
apr_bucket_brigade *ac_send_brigade(ac_call_t *call);
int64_t ac_send_length(const struct iovec *data, size_t n);
/* The first `total` bytes; they have to live until they are passed on. */
void ac_send_append(ac_call_t *call, const struct iovec *data, size_t n, size_t total);
void ac_send_flush(ac_call_t *call);
/* Before an answer that is not the app's: what the client still has to send of the body
 * would be waited for, or taken for its next request. */
void ac_send_settle(ac_call_t *call);
/* That, and the end of the answer. After handle() it brings a FLUSH along: nobody else
 * sends on what is held then. */
void ac_send_end(ac_call_t *call);
/* quietly: no FLUSH that is in it waits for the client. FAILED: a filter refused it, and
 * may have answered itself. */
int ac_send_pass(ac_call_t *call, int quietly);

/* OK, or why no such part of a body may be sent now. Begins the answer if the app did
 * not. */
int ac_send_check(ac_call_t *call, int64_t total, uint32_t flags);
/* Passed on of an upgraded connection, which httpd does not count. */
void ac_send_count(ac_call_t *call, apr_off_t n, uint32_t flags);
/* If our direction of an upgraded connection has ended: tells the client, once that has
 * taken all of it. */
void ac_send_close(ac_call_t *call);

/* inproc/answer.c: 200 without fields, unless the app said otherwise. */
int ac_answer_begin(ac_call_t *call);

#endif
