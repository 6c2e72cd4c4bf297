/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/warm.h"

#include <string.h>

#include "http_config.h"
#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "util_filter.h"
#include "apr_portable.h"
#include "apr_strings.h"
#include "base/clock.h"
#include "conn/block.h"
#include "inproc/call.h"
#include "inproc/warm.h"
#include "request/client.h"
#include "request/context.h"

APLOG_USE_MODULE(appcore);

#define SINK "APPCORE_WARM_UP"
/* As of a process: who says more, or has begun and is silent, has answered. */
#define BODY_MAX (1024 * 1024)
#define SILENCE apr_time_from_sec(1)

typedef struct page_t {
    ac_inproc_t *inproc;
    request_rec *r;
    ac_call_t *call;
    ac_task_t task;
    apr_off_t len;              /* of what came so far, with its head */
    apr_time_t heard;           /* 0: nothing yet */
} page_t;

static ap_filter_rec_t *sink;

/* No brigade: a flush of what is held, which is nothing. */
static apr_status_t swallow(ap_filter_t *f, apr_bucket_brigade *bb)
{
    page_t *page = f->ctx;
    apr_off_t len = 0;

    if (!bb) {
        return APR_SUCCESS;
    }
    apr_brigade_length(bb, 1, &len);
    apr_brigade_cleanup(bb);
    page->len += len;
    page->heard = len ? ac_clock_now() : page->heard;
    if (page->len > BODY_MAX) {
        f->c->aborted = 1;
        return APR_ECONNABORTED;
    }
    return APR_SUCCESS;
}

/* The connection */

static conn_rec *make_connection(page_t *page, int client_fd, apr_pool_t *p)
{
    const ac_spec_t *spec = page->inproc->mount->spec;
    conn_rec *c = apr_pcalloc(p, sizeof(*c));
    apr_socket_t *socket = NULL;

    c->pool = p;
    c->base_server = page->inproc->server;
    c->conn_config = ap_create_conn_config(p);
    c->notes = apr_table_make(p, 4);
    c->bucket_alloc = apr_bucket_alloc_create(p);
    c->keepalive = AP_CONN_CLOSE;
    c->client_ip = c->local_ip = apr_pstrdup(p, "127.0.0.1");
    c->log_id = "warm-up";
    apr_sockaddr_info_get(&c->client_addr, c->client_ip, APR_INET, 0, 0, p);
    apr_sockaddr_info_get(&c->local_addr, c->local_ip, APR_INET, (apr_port_t)spec->port,
                          0, p);
    apr_os_sock_put(&socket, &client_fd, p);
    ap_set_core_module_config(c->conn_config, socket);
    ap_add_output_filter_handle(sink, page, NULL, c);
    return c;
}

/* The request */

static const char *host_of(const ac_spec_t *spec, apr_pool_t *p)
{
    uint32_t usual = strcmp(spec->scheme, "https") == 0 ? 443 : 80;

    return spec->port && spec->port != usual
           ? apr_psprintf(p, "%s:%u", spec->host, spec->port) : spec->host;
}

/* 0 if the target is none. */
static int make_request(page_t *page, conn_rec *c, const char *target)
{
    request_rec *r = ap_create_request(c);
    ac_context_t *ctx = apr_pcalloc(r->pool, sizeof(*ctx));

    page->r = r;
    r->server = page->inproc->server;
    r->request_time = apr_time_now();
    r->method = "GET";
    r->method_number = M_GET;
    r->protocol = "HTTP/1.1";
    r->proto_num = HTTP_VERSION(1, 1);
    r->the_request = apr_pstrcat(r->pool, "GET ", target, " HTTP/1.1", NULL);
    r->status = HTTP_OK;
    r->hostname = page->inproc->mount->spec->host;
    apr_table_setn(r->headers_in, "Host", host_of(page->inproc->mount->spec, r->pool));
    apr_table_setn(r->headers_in, "User-Agent", "mod_appcore (warm-up)");
    ap_parse_uri(r, target);
    if (r->status != HTTP_OK || ap_unescape_url_keep2f(r->uri, 0) != OK) {
        return 0;
    }
    r->handler = AC_HANDLER;
    r->filename = apr_pstrcat(r->pool, "appcore:", r->uri, NULL);
    ctx->original_path = r->uri;
    ctx->mount = page->inproc->mount;
    ap_set_module_config(r->request_config, &appcore_module, ctx);
    return 1;
}

static int describe(appcore_info *info, const page_t *page)
{
    const char *scheme = page->inproc->mount->spec->scheme;
    int rv;

    memset(info, 0, sizeof(*info));
    rv = ac_client_info(info, page->r, NULL);
    info->scheme.p = scheme;
    info->scheme.len = strlen(scheme);
    if (strcmp(scheme, "https") == 0) {
        info->flags |= APPCORE_TLS;
    }
    return rv == OK;
}

/* The call */

static int step(ac_task_t *task)
{
    page_t *page = task->data;
    int rv = ac_call_step(page->call, task);

    if (rv == AC_TASK_WAIT && page->heard) {
        apr_time_t end = page->heard + SILENCE;

        if (ac_clock_now() >= end) {
            return AC_TASK_DROPPED;
        }
        task->deadline = ac_clock_earlier(task->deadline, end);
    }
    return rv;
}

static void slow(ac_task_t *task)
{
    (void)task;
}

static int wait_for_answer(page_t *page)
{
    int rv;

    ac_task_attach(&page->task, page->r);
    page->task.data = page;
    page->task.step = step;
    page->task.slow = slow;
    rv = ac_block_run(&page->task);
    if (rv == AC_TASK_DROPPED) {
        ac_call_drop(page->call);
    }
    return rv;
}

static void call_app(page_t *page, ac_inproc_answer_t *answer)
{
    request_rec *r = page->r;
    appcore_info info;
    ac_call_end_e how;
    int rv;

    if (!describe(&info, page)) {
        answer->status = HTTP_BAD_REQUEST;
        return;
    }
    page->call = ac_call_begin(page->inproc, r, NULL);
    if (!page->call) {
        return;
    }
    rv = ac_call_handle(page->call, &info);
    if (rv == AC_TASK_WAIT) {
        rv = wait_for_answer(page);
    }
    if (ac_call_finish(page->call, rv, &how) == DECLINED) {
        answer->status = HTTP_NOT_FOUND;
    }
    else if (r->status_line || r->status == HTTP_SWITCHING_PROTOCOLS) {
        answer->status = r->status;
        answer->location = apr_table_get(r->headers_out, "Location");
    }
}

static void ask(ac_inproc_t *inproc, const char *target, int client_fd,
                ac_inproc_answer_t *answer, apr_pool_t *p)
{
    page_t page = { .inproc = inproc };

    if (make_request(&page, make_connection(&page, client_fd, p), target)) {
        call_app(&page, answer);
    }
    else {
        answer->status = HTTP_BAD_REQUEST;
    }
    answer->location = answer->location ? apr_pstrdup(p, answer->location) : NULL;
}

void ac_request_warm_register(void)
{
    sink = ap_register_output_filter(SINK, swallow, NULL, AP_FTYPE_NETWORK);
}

void ac_request_warm_init(void)
{
    ac_inproc_warm_init(ask);
}
