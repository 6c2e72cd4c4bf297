/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* For bench/soak: the bytes that malloc has given out in this child; and, to see that
 * the soak finds it, a byte per request that is lost where BenchLeak says so. */

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "httpd.h"
#include "http_config.h"
#include "http_protocol.h"

/* What malloc needs at least for 24 bytes, and so what is lost at a time. */
#define PIECE 32

static enum { NOTHING, OF_MALLOC, OF_POOL } leaks;
static atomic_uint requests;
static apr_pool_t *child;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int handler(request_rec *r)
{
    struct mallinfo2 info;

    if (!r->handler || strcmp(r->handler, "bench-memory")) {
        return DECLINED;
    }
    /* What is in the middle of an arena goes back as well: what is left there is what
     * was not freed, up to whole pages. */
    malloc_trim(0);
    info = mallinfo2();
    ap_set_content_type(r, "text/plain");
    ap_rprintf(r, "%" APR_SIZE_T_FMT, info.uordblks + info.hblkhd);
    return OK;
}

static int lose(request_rec *r)
{
    static void *volatile lost;

    (void)r;
    if (leaks == NOTHING || atomic_fetch_add(&requests, 1) % PIECE) {
        return DECLINED;
    }
    if (leaks == OF_MALLOC) {
        lost = malloc(24);
        return DECLINED;
    }
    pthread_mutex_lock(&mutex);
    lost = apr_palloc(child, PIECE);
    pthread_mutex_unlock(&mutex);
    return DECLINED;
}

static const char *set_leak(cmd_parms *cmd, void *unused, const char *of)
{
    (void)cmd;
    (void)unused;
    leaks = !strcmp(of, "malloc") ? OF_MALLOC : !strcmp(of, "pool") ? OF_POOL : NOTHING;
    return NULL;
}

static void child_init(apr_pool_t *pchild, server_rec *s)
{
    (void)s;
    apr_pool_create(&child, pchild);
}

static void register_hooks(apr_pool_t *p)
{
    (void)p;
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_log_transaction(lose, NULL, NULL, APR_HOOK_MIDDLE);
}

static const command_rec commands[] = {
    AP_INIT_TAKE1("BenchLeak", set_leak, NULL, RSRC_CONF, "malloc, pool or none"),
    { NULL }
};

AP_DECLARE_MODULE(memory) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, commands, register_hooks,
    AP_MODULE_FLAG_NONE
};
