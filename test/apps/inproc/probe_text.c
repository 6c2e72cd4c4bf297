/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Strings, queries, events and answers of the probe. */

#define _GNU_SOURCE

#include "probe.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PERIOD 251      /* prime: no power of two hides a piece in the wrong place */

static void text_room(text_t *text, size_t more)
{
    if (text->len + more + 1 > text->room) {
        text->room = 2 * (text->len + more + 1);
        text->p = realloc(text->p, text->room);
        if (!text->p) {
            abort();
        }
    }
}

static void text_add_list(text_t *text, const char *format, va_list list)
{
    va_list again;
    int n;

    va_copy(again, list);
    n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    text_room(text, (size_t)n);
    vsnprintf(text->p + text->len, (size_t)n + 1, format, list);
    text->len += (size_t)n;
}

void text_add(text_t *text, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    text_add_list(text, format, list);
    va_end(list);
}

static void text_add_string(text_t *text, appcore_str value)
{
    size_t i;

    text_add(text, "\"");
    for (i = 0; i < value.len; ++i) {
        unsigned char c = (unsigned char)value.p[i];

        text_add(text, c < 32 || c > 126 || c == '"' || c == '\\' ? "\\u%04x" : "%c", c);
    }
    text_add(text, "\"");
}

/* Bytes are characters of Latin-1 to whoever reads it. A NULL name: an element of an
 * array. */
void text_add_json(text_t *text, const char *name, appcore_str value)
{
    if (text->len && !strchr("{[", text->p[text->len - 1])) {
        text_add(text, ",");
    }
    if (name) {
        text_add(text, "\"%s\":", name);
    }
    text_add_string(text, value);
}

appcore_str str(const char *p)
{
    appcore_str made = { p, p ? strlen(p) : 0 };

    return made;
}

int str_is(appcore_str value, const char *text)
{
    return value.len == strlen(text) && !memcmp(value.p, text, value.len);
}

static int hex(char c)
{
    return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

void query_parse(call_t *call)
{
    appcore_str from = call->info->query;
    text_t *to = &call->query;
    size_t i;

    text_room(to, from.len + 1);
    for (i = 0; i < from.len; ++i) {
        char c = from.p[i];

        if (c == '%' && i + 2 < from.len) {
            c = (char)(hex(from.p[i + 1]) * 16 + hex(from.p[i + 2]));
            i += 2;
        }
        else if (c == '&') {
            c = '\0';
        }
        to->p[to->len++] = c;
    }
    to->p[to->len++] = '\0';
}

const char *text_lookup(const text_t *text, const char *name, const char *otherwise)
{
    const char *at = text->p, *end = at + text->len;
    size_t len = strlen(name);

    for (; at < end; at += strlen(at) + 1) {
        if (!strncmp(at, name, len) && at[len] == '=') {
            return at + len + 1;
        }
    }
    return otherwise;
}

const char *query(call_t *call, const char *name, const char *otherwise)
{
    return text_lookup(&call->query, name, otherwise);
}

int64_t query_number(call_t *call, const char *name, int64_t otherwise)
{
    const char *value = query(call, name, NULL);

    return value ? strtoll(value, NULL, 10) : otherwise;
}

void event(const char *what, const char *format, ...)
{
    const char *folder = probe_setting("PROBE_FOLDER", NULL);
    struct timespec now;
    text_t line = { NULL, 0, 0 }, path = { NULL, 0, 0 };
    va_list list;
    int fd;

    if (!folder) {
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    text_add(&line, "{\"what\":\"%s\",\"pid\":%d,\"at\":%lld.%06ld", what, (int)getpid(),
             (long long)now.tv_sec, now.tv_nsec / 1000);
    va_start(list, format);
    if (*format) {
        text_add(&line, ",");
        text_add_list(&line, format, list);
    }
    va_end(list);
    text_add(&line, "}\n");
    text_add(&path, "%s/events", folder);
    fd = open(path.p, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, line.p, line.len) != (ssize_t)line.len) {
        fprintf(stderr, "probe: cannot write to %s\n", path.p);
    }
    if (fd >= 0) {
        close(fd);
    }
    free(line.p);
    free(path.p);
}

void pattern_fill(char *data, size_t len, int64_t at)
{
    size_t i;

    for (i = 0; i < len; ++i) {
        data[i] = (char)((at + (int64_t)i) % PERIOD);
    }
}

uint32_t adler32(uint32_t sum, const char *data, size_t len)
{
    uint32_t a = sum & 0xffff, b = sum >> 16;
    size_t i;

    for (i = 0; i < len; ++i) {
        a = (a + (unsigned char)data[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static const appcore_field plain = { { "Content-Type", 12 }, { "text/plain", 10 } };

int answer(call_t *call, int status, text_t *text)
{
    struct iovec body = { text->p, text->len };
    int result = host->respond(call->id, status, str(""), &plain, 1, &body, 1);

    free(text->p);
    text->p = NULL;
    text->len = text->room = 0;
    return result == APPCORE_OK ? APPCORE_DONE : result;
}

int answer_text(call_t *call, int status, const char *words)
{
    text_t text = { NULL, 0, 0 };

    text_add(&text, "%s", words);
    return answer(call, status, &text);
}

int start_text(call_t *call, int status)
{
    return host->start(call->id, status, str(""), &plain, 1);
}

int64_t write_text(call_t *call, const char *text, uint32_t flags)
{
    struct iovec data = { (void *)text, strlen(text) };

    return host->write(call->id, &data, 1, flags);
}
