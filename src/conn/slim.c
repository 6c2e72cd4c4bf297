/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "conn/slim.h"

#include <poll.h>

#include "mpm_common.h"
#include "util_filter.h"
#include "apr_allocator.h"
#include "apr_buckets.h"

/* Pools and buckets take no less from their allocator. */
#define BLOCK 4096

/* The core filter keeps what the request was read into until it reads again. What
 * comes to light is kept for the next request, as when it had come together with
 * this one. Not where the task waits for it: poll() would say nothing any more. */
static void release_read_buffer(const ac_task_t *task)
{
    request_rec *r = task->r;
    ap_filter_t *core = r->connection->input_filters;
    apr_bucket_brigade *bb;

    if ((task->want_client & POLLIN) || task->reads_body || !core) {
        return;
    }
    while (core->next) {
        core = core->next;
    }
    bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    ap_get_brigade(core, bb, AP_MODE_SPECULATIVE, APR_NONBLOCK_READ, 1);
    apr_brigade_destroy(bb);
}

/* What request and answer went through is free, but the connection's allocator keeps
 * it for the next. It comes out first, as all small blocks have one size; if there is
 * none a mapping is made in vain. */
static void empty_allocator(apr_allocator_t *allocator)
{
    apr_memnode_t *blocks[2];
    int i;

    for (i = 0; i < 2; i++) {
        blocks[i] = apr_allocator_alloc(allocator, BLOCK);
    }
    apr_allocator_max_free_set(allocator, 1);
    for (i = 0; i < 2; i++) {
        if (blocks[i]) {
            apr_allocator_free(allocator, blocks[i]);
        }
    }
    apr_allocator_max_free_set(allocator, ap_max_mem_free);
}

void ac_slim(const ac_task_t *task)
{
    release_read_buffer(task);
    empty_allocator(apr_pool_allocator_get(task->r->connection->pool));
}
