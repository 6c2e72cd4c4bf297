/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Lines are copied once into a block of the pool and cut there: names and
 * values point into it. When a block is full only the unfinished line moves to
 * the next one; what was cut before stays where it is.
 *
 *   STATUS --status line--> FIELDS --empty line--> DONE      any fault: BROKEN
 *
 * Fields that concern this connection alone are understood at once and never
 * enter the table; only names listed in Connection have to wait for the end. */

#include "http1/response.h"

#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include "http1/line.h"

#define BLOCK_MIN 512
#define BLOCK_MAX 4096
#define IDLE_MAX  86400         /* seconds; more is as good as for ever */

typedef enum state_e { STATE_STATUS, STATE_FIELDS, STATE_DONE, STATE_BROKEN } state_e;

struct ac_response_parser_t {
    ac_response_limits_t limits;
    apr_pool_t *p;
    const char *error;
    char *block;
    apr_size_t size;
    apr_size_t used;
    apr_size_t line;            /* where the unfinished line begins in block */
    apr_size_t head;            /* bytes of this head so far */
    int fields;
    state_e state;
    int close;                  /* Connection: close, or a reason of ours */
    int persist;                /* Connection: keep-alive */
    int has_length;
    int chunked;
    apr_array_header_t *named;  /* other names in Connection, or NULL */
    ac_response_t response;
};

ac_response_parser_t *ac_response_parser_create(const ac_response_limits_t *limits,
                                                apr_pool_t *p)
{
    static const ac_response_limits_t defaults = { 16384, 65536, 200 };
    ac_response_parser_t *parser = apr_pcalloc(p, sizeof(*parser));

    parser->limits = limits ? *limits : defaults;
    parser->p = p;
    ac_response_parser_reset(parser);
    return parser;
}

void ac_response_parser_reset(ac_response_parser_t *parser)
{
    parser->error = NULL;
    parser->head = 0;
    parser->fields = 0;
    parser->state = STATE_STATUS;
    parser->close = parser->persist = 0;
    parser->has_length = parser->chunked = 0;
    parser->named = NULL;
    memset(&parser->response, 0, sizeof(parser->response));
    parser->response.reason = "";
    parser->response.headers = apr_table_make(parser->p, 16);
}

const char *ac_response_parser_error(const ac_response_parser_t *parser)
{
    return parser->error;
}

static apr_status_t fault(ac_response_parser_t *parser, const char *error)
{
    parser->state = STATE_BROKEN;
    parser->error = error;
    return APR_EGENERAL;
}

/* Appends to the unfinished line; one byte stays free behind it, so that a line
 * without its end can be terminated. */
static void store(ac_response_parser_t *parser, const char *data, apr_size_t n)
{
    apr_size_t partial = parser->used - parser->line;

    if (n >= parser->size - parser->used) {
        apr_size_t size = partial + n + 1;
        char *block;

        size = size < BLOCK_MIN ? BLOCK_MIN : size;
        size = size < BLOCK_MAX / 2 ? size * 2 : size + BLOCK_MAX;
        block = apr_palloc(parser->p, size);
        if (partial) {
            memcpy(block, parser->block + parser->line, partial);
        }
        parser->block = block;
        parser->size = size;
        parser->line = 0;
        parser->used = partial;
    }
    memcpy(parser->block + parser->used, data, n);
    parser->used += n;
}

/* A reason goes to logs and to clients of older httpd: control bytes leave it. */
static void clean_reason(char *reason)
{
    char *to = reason;

    for (; *reason; ++reason) {
        if (*reason == '\t') {
            *to++ = ' ';
        }
        else if (ac_char_is(*reason, AC_CHAR_VALUE)) {
            *to++ = *reason;
        }
    }
    *to = '\0';
}

static apr_status_t status_line(ac_response_parser_t *parser, char *line, apr_size_t len)
{
    ac_response_t *res = &parser->response;

    if (len < 12 || memcmp(line, "HTTP/1.", 7) || line[7] < '0' || line[7] > '9'
        || line[8] != ' ' || (len > 12 && line[12] != ' ')) {
        return fault(parser, "no HTTP/1 status line");
    }
    if (memchr(line, '\0', len) || memchr(line, '\r', len)) {
        return fault(parser, "a bare CR or NUL in the status line");
    }
    line[len] = '\0';
    if (strspn(line + 9, "0123456789") != 3) {
        return fault(parser, "a status that is no number of three digits");
    }
    res->minor = line[7] - '0';
    res->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + line[11] - '0';
    if (res->status < 100) {
        return fault(parser, "a status below 100");
    }
    if (len > 13) {
        res->reason = line + 13;
        clean_reason(line + 13);
    }
    parser->state = STATE_FIELDS;
    return APR_INCOMPLETE;
}

static int parse_number(const char *item, apr_size_t len, apr_int64_t *pn)
{
    apr_int64_t n = 0;
    apr_size_t i;

    for (i = 0; i < len; ++i) {
        int digit = item[i] - '0';

        if (digit < 0 || digit > 9 || n > (APR_INT64_MAX - digit) / 10) {
            return 0;
        }
        n = n * 10 + digit;
    }
    *pn = n;
    return len > 0;
}

static apr_status_t on_connection(ac_response_parser_t *parser, const char *value)
{
    const char *item;
    apr_size_t len;

    while (ac_list_next(&value, &item, &len)) {
        if (ac_list_is(item, len, "close")) {
            parser->close = 1;
        }
        else if (ac_list_is(item, len, "keep-alive")) {
            parser->persist = 1;
        }
        else if (!ac_list_is(item, len, "upgrade")) {
            if (!parser->named) {
                parser->named = apr_array_make(parser->p, 4, sizeof(char *));
            }
            APR_ARRAY_PUSH(parser->named, char *) = apr_pstrmemdup(parser->p, item, len);
        }
    }
    return APR_INCOMPLETE;
}

static apr_status_t on_keep_alive(ac_response_parser_t *parser, const char *value)
{
    const char *item;
    apr_size_t len;

    while (ac_list_next(&value, &item, &len)) {
        apr_int64_t seconds;

        if (len > 8 && !strncasecmp(item, "timeout=", 8)
            && parse_number(item + 8, len - 8, &seconds)) {
            seconds = seconds > IDLE_MAX ? IDLE_MAX : seconds;
            parser->response.idle = apr_time_from_sec(seconds);
        }
    }
    return APR_INCOMPLETE;
}

/* Only the chunked coding can be decoded here, and its end is the end of the
 * message: any other coding, or the same twice, leaves the body unknown. */
static apr_status_t on_transfer_encoding(ac_response_parser_t *parser, const char *value)
{
    const char *item;
    apr_size_t len;
    int codings = 0;

    while (ac_list_next(&value, &item, &len)) {
        ++codings;
        if (parser->chunked || !ac_list_is(item, len, "chunked")) {
            return fault(parser, "a Transfer-Encoding other than chunked");
        }
        parser->chunked = 1;
    }
    return codings ? APR_INCOMPLETE : fault(parser, "an empty Transfer-Encoding");
}

/* RFC 9110 8.6 lets equal lengths pass; they become one field. */
static apr_status_t on_content_length(ac_response_parser_t *parser, const char *value)
{
    const char *list = value, *item;
    apr_size_t len;
    apr_int64_t n;
    int seen = 0;

    while (ac_list_next(&list, &item, &len)) {
        if (!parse_number(item, len, &n)) {
            return fault(parser, "a Content-Length that is no number");
        }
        if (parser->has_length && n != parser->response.length) {
            return fault(parser, "differing Content-Length");
        }
        parser->has_length = seen = 1;
        parser->response.length = n;
    }
    if (!seen) {
        return fault(parser, "an empty Content-Length");
    }
    if (strchr(value, ',') || (value[0] == '0' && value[1])) {
        value = apr_psprintf(parser->p, "%" APR_INT64_T_FMT, parser->response.length);
    }
    apr_table_setn(parser->response.headers, "Content-Length", value);
    return APR_INCOMPLETE;
}

static apr_status_t on_ignored(ac_response_parser_t *parser, const char *value)
{
    (void)parser;
    (void)value;
    return APR_INCOMPLETE;
}

typedef apr_status_t field_fn(ac_response_parser_t *parser, const char *value);

static field_fn *special(const char *name, apr_size_t len)
{
    static const struct {
        const char *name;
        apr_size_t len;
        field_fn *fn;
    } fields[] = {
        { "Connection", 10, on_connection },
        { "Keep-Alive", 10, on_keep_alive },
        { "Content-Length", 14, on_content_length },
        { "Transfer-Encoding", 17, on_transfer_encoding },
        { "Proxy-Connection", 16, on_ignored },
        { "TE", 2, on_ignored }
    };
    unsigned i;

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); ++i) {
        if (len == fields[i].len && !strncasecmp(name, fields[i].name, len)) {
            return fields[i].fn;
        }
    }
    return NULL;
}

static apr_status_t field_line(ac_response_parser_t *parser, char *line, apr_size_t len)
{
    const char *error;
    char *name, *value;
    field_fn *fn;

    if (++parser->fields > parser->limits.fields) {
        return fault(parser, "too many headers");
    }
    error = ac_line_field(line, len, &name, &value);
    if (error) {
        return fault(parser, error);
    }
    fn = special(name, strlen(name));
    if (fn) {
        return fn(parser, value);
    }
    apr_table_addn(parser->response.headers, name, value);
    return APR_INCOMPLETE;
}

/* The block ends with a whole line. */
static apr_status_t take_line(ac_response_parser_t *parser)
{
    char *line = parser->block + parser->line;
    apr_size_t len = parser->used - parser->line - 1;

    if (len && line[len - 1] == '\r') {
        --len;
    }
    parser->line = parser->used;
    if (parser->state == STATE_STATUS) {
        return status_line(parser, line, len);
    }
    if (len) {
        return field_line(parser, line, len);
    }
    parser->state = STATE_DONE;
    return APR_SUCCESS;
}

/* What cannot become a status line is refused before its line ends: TLS alerts
 * and other protocols often have none. */
static apr_status_t check_start(ac_response_parser_t *parser)
{
    apr_size_t len = parser->used - parser->line;

    if (parser->state != STATE_STATUS) {
        return APR_INCOMPLETE;
    }
    len = len < 7 ? len : 7;
    return memcmp(parser->block + parser->line, "HTTP/1.", len)
           ? fault(parser, "no HTTP/1 status line") : APR_INCOMPLETE;
}

/* n more bytes, with or without the end of their line. */
static const char *check_limits(const ac_response_parser_t *parser, apr_size_t n,
                                int ended)
{
    if (parser->used - parser->line + n - (ended ? 1 : 0) > parser->limits.line) {
        return "a line that is too long";
    }
    return parser->head + n > parser->limits.head ? "headers that are too large" : NULL;
}

apr_status_t ac_response_parse(ac_response_parser_t *parser, const char *data,
                               apr_size_t len, apr_size_t *pused)
{
    apr_status_t rv = APR_INCOMPLETE;
    apr_size_t at = 0;

    *pused = 0;
    if (parser->state == STATE_BROKEN) {
        return APR_EGENERAL;
    }
    if (parser->state == STATE_DONE) {
        return APR_SUCCESS;
    }
    while (rv == APR_INCOMPLETE && at < len) {
        const char *end = memchr(data + at, '\n', len - at);
        apr_size_t n = end ? (apr_size_t)(end - data) + 1 - at : len - at;
        const char *error = check_limits(parser, n, end != NULL);

        if (error) {
            return fault(parser, error);
        }
        store(parser, data + at, n);
        parser->head += n;
        at += n;
        rv = end ? take_line(parser) : check_start(parser);
    }
    *pused = at;
    return rv;
}

/* What it announces is the body of the answer to a GET. */
static int is_head_of_body(const ac_response_t *res, int head_request)
{
    return head_request && res->status >= 200 && res->status != 204
           && res->status != 304;
}

/* RFC 9112 6.3, in its order. */
static void choose_framing(ac_response_parser_t *parser, int head_request)
{
    ac_response_t *res = &parser->response;
    int bodiless = res->status < 200 || res->status == 204;

    if (res->status == 101) {
        res->framing = AC_FRAMING_TUNNEL;
        parser->close = 1;
    }
    else if (bodiless || head_request || res->status == 304) {
        res->framing = AC_FRAMING_NONE;
        /* An app that announces a body where there can be none may well send
         * it: those bytes would answer the next request. Of HEAD it is usual, and
         * a 304 may do so, but seldom does. */
        if (!is_head_of_body(res, head_request)
            && (parser->chunked || res->length > 0)) {
            parser->close = 1;
        }
    }
    else if (parser->chunked) {
        res->framing = AC_FRAMING_CHUNKED;
    }
    else if (parser->has_length) {
        res->framing = AC_FRAMING_LENGTH;
    }
    else {
        res->framing = AC_FRAMING_EOF;
        parser->close = 1;
    }
    if (parser->has_length && (bodiless || parser->chunked)) {
        apr_table_unset(res->headers, "Content-Length");
    }
}

const ac_response_t *ac_response_finish(ac_response_parser_t *parser, int head_request)
{
    ac_response_t *res = &parser->response;
    int i;

    /* Both framings at once, or chunks in HTTP/1.0: somebody on the way may
     * understand the message differently, RFC 9112 6.1. */
    if (parser->chunked && (parser->has_length || res->minor == 0)) {
        parser->close = 1;
    }
    choose_framing(parser, head_request);
    res->keep_alive = !parser->close && (res->minor > 0 || parser->persist);
    for (i = 0; parser->named && i < parser->named->nelts; ++i) {
        apr_table_unset(res->headers, APR_ARRAY_IDX(parser->named, i, char *));
    }
    if (res->status != 101) {
        apr_table_unset(res->headers, "Upgrade");
    }
    return res;
}
