/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Routes that are through when handle() returns. */

#define _GNU_SOURCE

#include "probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE 20000

int route_hello(call_t *call)
{
    return answer_text(call, 200, "hello\n");
}

int route_pid(call_t *call)
{
    text_t text = { NULL, 0, 0 };

    text_add(&text, "%d", (int)getpid());
    return answer(call, 200, &text);
}

int route_info(call_t *call)
{
    const appcore_info *info = call->info;
    const struct {
        const char *name;
        appcore_str value;
    } words[] = {
        { "method", info->method }, { "protocol", info->protocol },
        { "scheme", info->scheme }, { "authority", info->authority },
        { "target", info->target }, { "path_base", info->path_base },
        { "path", info->path }, { "query", info->query },
        { "remote_address", info->remote_address },
        { "local_address", info->local_address }, { "request_id", info->request_id },
        { "connection_id", info->connection_id }, { "user", info->user },
        { "auth_type", info->auth_type },
        { "connect_protocol", info->connect_protocol },
    };
    text_t text = { NULL, 0, 0 };
    char data[100];
    size_t i;

    while (query(call, "read", NULL)
           && host->read(call->id, data, sizeof(data), 0) > 0) {
        /* what it is does not matter */
    }
    text_add(&text, "{\"number\":%llu,\"flags\":%u,\"remote_port\":%u,"
             "\"local_port\":%u,\"content_length\":%lld,\"size\":%zu",
             (unsigned long long)call->id, info->flags, info->remote_port,
             info->local_port, (long long)info->content_length, info->size);
    for (i = 0; i < sizeof(words) / sizeof(*words); ++i) {
        text_add_json(&text, words[i].name, words[i].value);
    }
    text_add(&text, ",\"fields\":[");
    for (i = 0; i < info->n_fields; ++i) {
        text_add(&text, i ? ",[" : "[");
        text_add_json(&text, NULL, info->fields[i].name);
        text_add_json(&text, NULL, info->fields[i].value);
        text_add(&text, "]");
    }
    text_add(&text, "]}");
    return answer(call, 200, &text);
}

static void add_fields(text_t *text, const char *name, const appcore_field *fields,
                       size_t n)
{
    size_t i;

    text_add(text, ",\"%s\":[", name);
    for (i = 0; i < n; ++i) {
        text_add(text, i ? ",[" : "[");
        text_add_json(text, NULL, fields[i].name);
        text_add_json(text, NULL, fields[i].value);
        text_add(text, "]");
    }
    text_add(text, "]");
}

static void add_strings(text_t *text, const char *name, const appcore_str *strings,
                        size_t n)
{
    size_t i;

    text_add(text, ",\"%s\":[", name);
    for (i = 0; i < n; ++i) {
        text_add_json(text, NULL, strings[i]);
    }
    text_add(text, "]");
}

int route_config(call_t *call)
{
    text_t text = { NULL, 0, 0 };

    text_add(&text, "{\"size\":%zu,\"version\":%u,\"flags\":%u,\"workers\":%u,"
             "\"processes\":%u,\"startup_ms\":%u,\"shutdown_ms\":%u,\"host_size\":%zu,"
             "\"host_version\":%u", config->size, config->version, config->flags,
             config->workers, config->processes, config->startup_ms,
             config->shutdown_ms, host->size, host->version);
    text_add_json(&text, "name", config->name);
    text_add_json(&text, "folder", config->folder);
    text_add_json(&text, "file", config->file);
    text_add_json(&text, "path_base", config->path_base);
    add_fields(&text, "environment", config->environment, config->n_environment);
    add_fields(&text, "settings", config->settings, config->n_settings);
    add_strings(&text, "arguments", config->arguments, config->n_arguments);
    add_strings(&text, "addresses", config->addresses, config->n_addresses);
    text_add(&text, "}");
    return answer(call, 200, &text);
}

int route_echo(call_t *call)
{
    char *data = call->buffer = malloc(PIECE);
    int64_t n;

    while ((n = host->read(call->id, data, PIECE, 0)) > 0) {
        struct iovec piece = { data, (size_t)n };
        int64_t written = host->write(call->id, &piece, 1, APPCORE_FLUSH);

        if (written != n) {
            event("echo", "\"written\":%lld", (long long)written);
            return APPCORE_FAILED;
        }
    }
    if (n < 0) {
        event("echo", "\"read\":%lld", (long long)n);
        return APPCORE_FAILED;
    }
    return write_text(call, "", APPCORE_LAST) == 0 ? APPCORE_DONE : APPCORE_FAILED;
}

static const struct {
    int result, status;
} refusals[] = {
    { APPCORE_TOO_LARGE, 413 }, { APPCORE_MALFORMED, 400 }, { APPCORE_TIMEOUT, 408 },
};

/* What the documentation of these results asks for. */
static int refuse(call_t *call, int64_t result)
{
    size_t i;

    event("read", "\"result\":%lld,\"tag\":\"%s\"", (long long)result,
          query(call, "tag", ""));
    for (i = 0; i < sizeof(refusals) / sizeof(*refusals); ++i) {
        if (result == refusals[i].result) {
            return answer_text(call, refusals[i].status, "refused\n");
        }
    }
    return APPCORE_FAILED;
}

/* Reads pieces of a size that fits nothing. */
int route_digest(call_t *call)
{
    char *data = call->buffer = malloc(PIECE);
    text_t text = { NULL, 0, 0 };
    uint32_t sum = 1;
    int64_t n, total = 0;

    event("reading", "\"tag\":\"%s\",\"id\":%llu", query(call, "tag", ""),
          (unsigned long long)call->id);
    while ((n = host->read(call->id, data, 7777, 0)) > 0) {
        sum = adler32(sum, data, (size_t)n);
        total += n;
    }
    if (n < 0) {
        return refuse(call, n);
    }
    n = host->read(call->id, data, 1, 0);
    text_add(&text, "%lld %u %lld", (long long)total, sum, (long long)n);
    return answer(call, 200, &text);
}

int route_big(call_t *call)
{
    int64_t n = query_number(call, "n", 1000000), at = 0;
    size_t piece = (size_t)query_number(call, "piece", PIECE);
    uint32_t flags = query_number(call, "flush", 0) ? APPCORE_FLUSH : 0;
    char length[24];
    appcore_field fields[] = {
        { str("Content-Type"), str("application/octet-stream") },
        { str("Content-Length"), { length, 0 } },
    };

    fields[1].value.len = (size_t)snprintf(length, sizeof(length), "%lld", (long long)n);
    host->start(call->id, 200, str(""), fields, query_number(call, "length", 0) ? 2 : 1);
    call->buffer = malloc(piece);
    while (at < n) {
        size_t size = n - at < (int64_t)piece ? (size_t)(n - at) : piece;
        struct iovec data = { call->buffer, size };
        int64_t written;

        pattern_fill(call->buffer, size, at);
        written = host->write(call->id, &data, 1, flags);
        if (written != (int64_t)size) {
            event("big", "\"written\":%lld", (long long)written);
            return APPCORE_FAILED;
        }
        at += written;
    }
    return APPCORE_DONE;
}

/* respond() with a body in pieces. */
int route_pieces(call_t *call)
{
    size_t n = (size_t)query_number(call, "n", 100000);
    struct iovec body[4] = { { NULL, 0 } };
    appcore_field field = { str("X-Pieces"), str("4") };
    int i;

    call->buffer = malloc(n);
    pattern_fill(call->buffer, n, 0);
    for (i = 0; i < 4; ++i) {
        body[i].iov_base = call->buffer + (size_t)i * (n / 4);
        body[i].iov_len = i < 3 ? n / 4 : n - 3 * (n / 4);
    }
    return host->respond(call->id, 200, str(""), &field, 1, body, 4) == APPCORE_OK
        ? APPCORE_DONE : APPCORE_FAILED;
}

int route_status(call_t *call)
{
    int status = (int)query_number(call, "code", 200);
    const char *body = query(call, "body", "body");
    struct iovec data = { (void *)body, strlen(body) };
    int result = host->respond(call->id, status, str(query(call, "reason", "")), NULL, 0,
                               &data, 1);
    text_t text = { NULL, 0, 0 };

    if (result == APPCORE_OK) {
        return APPCORE_DONE;
    }
    text_add(&text, "%d", result);
    return answer(call, 200, &text);
}

/* Answers with the field that the query gives, as often as it says. */
int route_field(call_t *call)
{
    appcore_field field = { str(query(call, "name", "X-One")),
                            str(query(call, "value", "1")) };
    appcore_field fields[8];
    size_t i, n = (size_t)query_number(call, "times", 1);
    int code = (int)query_number(call, "code", 200);

    for (i = 0; i < n && i < 8; ++i) {
        fields[i] = field;
    }
    return host->respond(call->id, code, str(""), fields, i, NULL, 0) == APPCORE_OK
        ? APPCORE_DONE : answer_text(call, 200, "refused");
}

int route_trailers(call_t *call)
{
    int result;

    start_text(call, 200);
    write_text(call, "body", APPCORE_FLUSH);
    result = host->trailer(call->id, str("X-Sum"), str("77"));
    event("trailer", "\"result\":%d,\"promised\":%d", result,
          !!(call->info->flags & APPCORE_TRAILERS));
    write_text(call, "", APPCORE_LAST);
    return APPCORE_DONE;
}

int route_inform(call_t *call)
{
    appcore_field hint[] = {
        { str("Link"), str("</a.css>; rel=preload") },
        { str("Content-Length"), str("5") },
    };
    int hints = host->inform(call->id, 103, hint, 2);
    int wrong = host->inform(call->id, 101, NULL, 0);
    int final = host->inform(call->id, 200, NULL, 0);
    text_t text = { NULL, 0, 0 };
    int late;

    start_text(call, 200);
    late = host->inform(call->id, 103, hint, 1);
    text_add(&text, "%d %d %d %d", hints, wrong, final, late);
    write_text(call, text.p, APPCORE_LAST);
    free(text.p);
    return APPCORE_DONE;
}

int route_sendfile(call_t *call)
{
    const char *before = query(call, "before", "");
    uint32_t flags = query_number(call, "last", 1) ? APPCORE_LAST : 0;
    uint32_t mode = query_number(call, "nonblock", 0) ? APPCORE_NONBLOCK : 0;
    text_t text = { NULL, 0, 0 };
    int result;

    start_text(call, 200);
    if (*before) {
        write_text(call, before, 0);
    }
    result = host->sendfile(call->id, str(query(call, "path", "")),
                            query_number(call, "offset", 0),
                            query_number(call, "length", -1), flags | mode);
    if (result != APPCORE_OK) {
        text_add(&text, "%d", result);
        write_text(call, text.p, APPCORE_LAST);
        free(text.p);
    }
    else if (!flags) {
        write_text(call, query(call, "after", ""), APPCORE_LAST);
    }
    return APPCORE_DONE;
}

int route_upgrade(call_t *call)
{
    appcore_field field = { str("Upgrade"), str("echo") };
    char *data = call->buffer = malloc(PIECE);
    int64_t n;

    if (host->upgrade(call->id, &field, 1) != APPCORE_OK) {
        return answer_text(call, 426, "no upgrade");
    }
    while ((n = host->read(call->id, data, PIECE, 0)) > 0) {
        struct iovec piece = { data, (size_t)n };

        if (host->write(call->id, &piece, 1, APPCORE_FLUSH) != n) {
            break;
        }
    }
    event("upgrade", "\"end\":%lld,\"tag\":\"%s\"", (long long)n, query(call, "tag", ""));
    write_text(call, "", APPCORE_LAST);
    return APPCORE_DONE;
}

/* The variable's value, or what var_get() answers; set first if the query says so. */
int route_var(call_t *call)
{
    const char *name = query(call, "name", ""), *value = query(call, "set", NULL);
    appcore_str found = { NULL, 0 }, none = { NULL, 0 };
    text_t text = { NULL, 0, 0 };
    int result = 0;

    if (value) {
        result = host->var_set(call->id, str(name), str(value));
    }
    if (query(call, "unset", NULL)) {
        result = host->var_set(call->id, str(name), none);
    }
    text_add(&text, "%d ", result);
    result = host->var_get(call->id, str(name), &found);
    text_add(&text, "%d %.*s", result, (int)found.len, found.p ? found.p : "");
    return answer(call, 200, &text);
}

int route_log(call_t *call)
{
    int level = (int)query_number(call, "level", APPCORE_LOG_NOTICE);
    appcore_request id = query(call, "app", NULL) ? 0 : call->id;
    text_t text = { NULL, 0, 0 };

    host->log(host, id, level, str(query(call, "text", "a line")));
    text_add(&text, "%d", host->log_level(host, id));
    return answer(call, 200, &text);
}

int route_limit(call_t *call)
{
    int before = host->limit_body(call->id, query_number(call, "size", -1)), after;
    char *data = call->buffer = malloc(PIECE);
    int64_t n, total = 0;
    text_t text = { NULL, 0, 0 };

    while ((n = host->read(call->id, data, PIECE, 0)) > 0) {
        total += n;
    }
    after = host->limit_body(call->id, 5);
    event("limit", "\"before\":%d,\"after\":%d,\"read\":%lld,\"total\":%lld", before,
          after, (long long)n, (long long)total);
    if (n < 0) {
        return refuse(call, n);
    }
    text_add(&text, "%lld", (long long)total);
    return answer(call, 200, &text);
}

int route_close(call_t *call)
{
    int result = host->close_connection(call->id);

    return result == APPCORE_OK ? answer_text(call, 200, "closing") : APPCORE_FAILED;
}

/* Reads the body when its answer has begun. */
int route_answer_first(call_t *call)
{
    char *data = call->buffer = malloc(PIECE);
    text_t text = { NULL, 0, 0 };
    int64_t n, total = 0;

    start_text(call, 200);
    write_text(call, "first ", APPCORE_FLUSH);
    while ((n = host->read(call->id, data, PIECE, 0)) > 0) {
        total += n;
    }
    text_add(&text, "%lld %lld", (long long)total, (long long)n);
    write_text(call, text.p, APPCORE_LAST);
    free(text.p);
    return APPCORE_DONE;
}

/* Answers without a look at the body. */
int route_expect(call_t *call)
{
    return answer_text(call, call->info->flags & APPCORE_EXPECTS_100 ? 417 : 200,
                       "not read");
}
