/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* What an app prints, on its ways to the error log, to a file and to the error
 * page. The first byte says in what steps the rest arrives. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "relay/format.h"
#include "relay/lines.h"
#include "relay/queue.h"
#include "request/html.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

typedef struct seen_t {
    const char *at;             /* the input from here on has not come out yet */
    int inside;                 /* the last piece did not end its line */
    ac_queue_t queue;
} seen_t;

static void require(int condition)
{
    if (!condition) {
        abort();
    }
}

static void check_log_line(const ac_line_t *line)
{
    static char buf[AC_FORMAT_MAX];
    ac_line_head_t head = { APR_TIME_C(1795241148123456), 6, 1, "fuzz" };
    apr_size_t len = ac_format_line(buf, sizeof(buf), &head, line);
    apr_size_t i;

    require(len > 0 && len <= sizeof(buf) && buf[len - 1] == '\n');
    for (i = 0; i + 1 < len; ++i) {
        require(buf[i] >= 0x20 && buf[i] < 0x7f);
    }
}

/* Pieces are the input in order, but for the newlines. */
static void see(void *baton, const ac_line_t *line)
{
    seen_t *seen = baton;

    require(line->len <= AC_LINE_MAX && line->begins == !seen->inside);
    require(!line->len || !memchr(line->text, '\n', line->len));
    require(!line->len || !memcmp(line->text, seen->at, line->len));
    seen->at += line->len + (line->ends ? 1 : 0);
    seen->inside = !line->ends;
    check_log_line(line);
    ac_queue_push(&seen->queue, line->text, line->len);
}

static void check_queue(ac_queue_t *queue)
{
    char buf[777];
    apr_size_t n;

    while ((n = ac_queue_peek(queue, buf, sizeof(buf))) > 0) {
        require(n <= sizeof(buf));
        ac_queue_consume(queue, n);
    }
    require(ac_queue_empty(queue) && !queue->data);
    ac_queue_release(queue);
}

static void check_lines(const char *text, apr_size_t len, apr_size_t step)
{
    ac_lines_t lines = { NULL, 0, 0 };
    seen_t seen;
    apr_size_t i;

    memset(&seen, 0, sizeof(seen));
    seen.at = text;
    for (i = 0; i < len; i += step) {
        ac_lines_feed(&lines, text + i, len - i < step ? len - i : step, see, &seen);
    }
    ac_lines_end(&lines, see, &seen);
    require(!seen.inside && seen.at >= text + len && seen.at <= text + len + 1);
    check_queue(&seen.queue);
}

static void check_html(const char *text, apr_pool_t *p)
{
    ac_html_t html;
    apr_size_t i;

    ac_html_init(&html, p);
    ac_html_text(&html, text);
    require(strlen(html.text) == html.len);
    for (i = 0; i < html.len; ++i) {
        unsigned char c = (unsigned char)html.text[i];

        require(c != '<' && c != '>' && c != '"' && c != '\'' && c != 0x7f);
        require(c >= 0x20 || c == '\n' || c == '\t');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static apr_pool_t *parent;
    apr_pool_t *p;
    char *text;

    if (!parent) {
        apr_initialize();
        apr_pool_create(&parent, NULL);
    }
    if (len < 1 || len > 64 * 1024) {
        return 0;
    }
    apr_pool_create(&p, parent);
    text = malloc(len);
    memcpy(text, data + 1, len - 1);
    text[len - 1] = '\0';
    check_lines(text, len - 1, 1 + 37 * (apr_size_t)data[0]);
    check_html(text, p);
    free(text);
    apr_pool_destroy(p);
    return 0;
}
