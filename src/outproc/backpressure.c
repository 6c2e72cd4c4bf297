/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "outproc/backpressure.h"

#include <poll.h>

#include "http_log.h"
#include "base/clock.h"
#include "conn/park.h"

APLOG_USE_MODULE(appcore);

/* One full read, or two small ones, stay below what the core filter holds without
 * blocking (64 KiB), framing and TLS included. */
#define AHEAD (24 * 1024)
#define FIRST_READ (56 * 1024)
#define NEXT_READ (16 * 1024)

/* Data that was never flushed is held as well, for more to come with it. */
static int holds(const ac_exchange_t *x)
{
    return x->async && x->r->connection->data_in_output_filters;
}

void ac_backpressure_begin(ac_exchange_t *x)
{
    if (x->async && (x->got_client & POLLOUT)) {
        x->progress = ac_clock_now();
        if (holds(x)) {
            ac_park_flush(x->r->connection);
        }
    }
}

int ac_backpressure_blocked(ac_exchange_t *x)
{
    if (!holds(x)) {
        x->ahead = 0;
    }
    if (x->ahead < AHEAD) {
        return 0;
    }
    ac_park_flush(x->r->connection);
    if (!holds(x)) {
        x->ahead = 0;
    }
    return x->ahead >= AHEAD;
}

apr_size_t ac_backpressure_room(const ac_exchange_t *x, apr_size_t size)
{
    apr_size_t most = x->ahead ? NEXT_READ : FIRST_READ;

    return x->async && most < size ? most : size;
}

void ac_backpressure_want(ac_exchange_t *x)
{
    int whole = !x->unflushed || x->phase == AC_PHASE_TUNNEL;

    if (holds(x) && (whole || x->ahead >= AHEAD)) {
        x->want_client |= POLLOUT;
    }
}
