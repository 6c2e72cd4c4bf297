/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_http1.h"

#include "http1/response.h"

static ac_response_parser_t *parser;

/* Feeds pieces of `step` bytes; the status of the last call, *pused in all. */
static apr_status_t feed(const char *data, apr_size_t len, apr_size_t step,
                         apr_size_t *pused)
{
    apr_status_t rv = APR_INCOMPLETE;
    apr_size_t at = 0;

    while (at < len && rv == APR_INCOMPLETE) {
        apr_size_t n = len - at < step ? len - at : step, used;

        rv = ac_response_parse(parser, data + at, n, &used);
        ck_assert(used <= n);
        ck_assert(rv != APR_INCOMPLETE || used == n);
        at += used;
    }
    *pused = at;
    return rv;
}

static apr_status_t parse_n(const char *data, apr_size_t len)
{
    apr_size_t used;

    parser = ac_response_parser_create(NULL, p);
    return feed(data, len, len, &used);
}

static apr_status_t parse(const char *data)
{
    return parse_n(data, strlen(data));
}

static const ac_response_t *accept_for(const char *data, int head_request)
{
    ck_assert_msg(parse(data) == APR_SUCCESS, "%s\n%s",
                  ac_response_parser_error(parser), data);
    return ac_response_finish(parser, head_request);
}

static const ac_response_t *accept_head(const char *data)
{
    return accept_for(data, 0);
}

static const char *get(const ac_response_t *res, const char *name)
{
    return apr_table_get(res->headers, name);
}

START_TEST(plain)
{
    const char *head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                       "Content-Length: 5\r\n\r\n";
    const char *data = apr_pstrcat(p, head, "hello", NULL);
    const ac_response_t *res;
    apr_size_t used;

    parser = ac_response_parser_create(NULL, p);
    ck_assert_int_eq(ac_response_parse(parser, data, strlen(data), &used), APR_SUCCESS);
    ck_assert_uint_eq(used, strlen(head));
    ck_assert_ptr_null(ac_response_parser_error(parser));
    res = ac_response_finish(parser, 0);
    ck_assert_int_eq(res->status, 200);
    ck_assert_int_eq(res->minor, 1);
    ck_assert_str_eq(res->reason, "OK");
    ck_assert_str_eq(get(res, "content-type"), "text/plain");
    ck_assert_str_eq(get(res, "Content-Length"), "5");
    ck_assert_int_eq(res->framing, AC_FRAMING_LENGTH);
    ck_assert_int_eq(res->length, 5);
    ck_assert_int_eq(res->keep_alive, 1);
    ck_assert_int_eq(res->idle, 0);
}
END_TEST

static const struct {
    const char *line;
    int status;
    const char *reason;
} good_lines[] = {
    { "HTTP/1.1 200 OK", 200, "OK" },
    { "HTTP/1.1 200", 200, "" },
    { "HTTP/1.1 200 ", 200, "" },
    { "HTTP/1.0 404 Not Found", 404, "Not Found" },
    { "HTTP/1.9 599 x", 599, "x" },
    { "HTTP/1.1 999 x", 999, "x" },
    { "HTTP/1.1 100 Continue", 100, "Continue" },
    { "HTTP/1.1 200 a\x01\x1b[31mb\x7f", 200, "a[31mb" },
    { "HTTP/1.1 200 a\tb", 200, "a b" },
    { "HTTP/1.1 200 gr\xc3\xbc\xc3\x9f", 200, "gr\xc3\xbc\xc3\x9f" },
    { "HTTP/1.1 200   two spaces", 200, "  two spaces" }
};

START_TEST(status_line)
{
    const char *crlf = apr_pstrcat(p, good_lines[_i].line, "\r\n\r\n", NULL);
    const char *lf = apr_pstrcat(p, good_lines[_i].line, "\n\n", NULL);

    ck_assert_int_eq(accept_head(crlf)->status, good_lines[_i].status);
    ck_assert_str_eq(accept_head(crlf)->reason, good_lines[_i].reason);
    ck_assert_str_eq(accept_head(lf)->reason, good_lines[_i].reason);
}
END_TEST

static const char *const bad_lines[] = {
    "", "\r", "HTTP", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 20", "HTTP/1.1 2000 OK",
    "HTTP/1.1 2x0 OK", "HTTP/1.1 1:0 OK", "HTTP/1.1 20: OK",
    "HTTP/1.1 -20 OK", "HTTP/1.1 099 x", "HTTP/1.1 000 x",
    "HTTP/2.0 200 OK", "HTTP/2 200 OK",
    "HTTP/0.9 200 OK", "HTTP/1.10 200 OK", "HTTP/1.x 200 OK", "http/1.1 200 OK",
    " HTTP/1.1 200 OK", "HTTP/1.1  200 OK", "HTTP/1.1\t200 OK", "HTTP/1.1 200\tOK",
    "HTTP/1.1 200 O\rK", "ICY 200 OK", "GET / HTTP/1.1", "\x15\x03\x01\x02\x02", "{}"
};

START_TEST(bad_status_line)
{
    const char *data = apr_pstrcat(p, bad_lines[_i], "\r\nA: b\r\n\r\n", NULL);

    ck_assert_int_eq(parse(data), APR_EGENERAL);
    ck_assert_ptr_nonnull(ac_response_parser_error(parser));
}
END_TEST

/* Other protocols often send no line end and then wait. */
START_TEST(refused_before_line_end)
{
    ck_assert_int_eq(parse_n("\x15\x03\x01\x00\x02", 5), APR_EGENERAL);
    ck_assert_int_eq(parse("HTTP/2"), APR_EGENERAL);
    ck_assert_int_eq(parse("HTTP/1"), APR_INCOMPLETE);
}
END_TEST

static const char *const bad_fields[] = {
    "Content-Length : 5",       /* space before the colon */
    "Content-Length\t: 5",
    ": 5", "NoColon", "Na me: x", "N\x80me: x", "Na(me: x", "Na\rme: x", "\x01: x",
    " folded", "\tfolded", " Content-Length: 5",
    "A: b\rc", "A: b\r", "A: \x01", "A: b\x7f", "A: b\x0b", "A:\x08",
    "Content-Length: ", "Content-Length: -1", "Content-Length: +5", "Content-Length: 0x5",
    "Content-Length: 5 5", "Content-Length: 5a", "Content-Length: 5.0",
    "Content-Length: \"5\"", "Content-Length: 9223372036854775808",
    "Content-Length: 99999999999999999999999", "Content-Length: 5, 6",
    "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5\r\ncontent-length: 05x",
    "Transfer-Encoding: ", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity", "Transfer-Encoding: gzip",
    "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, gzip",
    "Transfer-Encoding: chunked;q=1", "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: chu nked", "Transfer-Encoding: chunked chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: \x0b, chunked", "Transfer-Encoding: chunked\x0c"
};

START_TEST(bad_field)
{
    const char *head = "HTTP/1.1 200 OK\r\nServer: x\r\n";
    const char *data = apr_pstrcat(p, head, bad_fields[_i], "\r\n\r\n", NULL);
    apr_size_t used;

    ck_assert_msg(parse(data) == APR_EGENERAL, "%s", bad_fields[_i]);
    ck_assert_ptr_nonnull(ac_response_parser_error(parser));
    /* A fault stays. */
    ck_assert_int_eq(ac_response_parse(parser, "\r\n", 2, &used), APR_EGENERAL);
    ck_assert_uint_eq(used, 0);
}
END_TEST

/* An operator reads why. */
START_TEST(reasons)
{
    parse("HTTP/1.1 200 OK\n folded\n\n");
    ck_assert_ptr_nonnull(strstr(ac_response_parser_error(parser), "folded"));
    parse("HTTP/1.1 200 OK\nA : b\n\n");
    ck_assert_ptr_nonnull(strstr(ac_response_parser_error(parser), "colon"));
    parse("GET / HTTP/1.1\n\n");
    ck_assert_ptr_nonnull(strstr(ac_response_parser_error(parser), "status line"));
}
END_TEST

START_TEST(nul_bytes)
{
    static const char in_line[] = "HTTP/1.1 200 O\0K\r\n\r\n";
    static const char in_name[] = "HTTP/1.1 200 OK\r\nA\0b: c\r\n\r\n";
    static const char in_value[] = "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n";
    static const char in_status[] = "HTTP/1.1 2\0" "0 OK\r\n\r\n";

    ck_assert_int_eq(parse_n(in_line, sizeof(in_line) - 1), APR_EGENERAL);
    ck_assert_int_eq(parse_n(in_name, sizeof(in_name) - 1), APR_EGENERAL);
    ck_assert_int_eq(parse_n(in_value, sizeof(in_value) - 1), APR_EGENERAL);
    ck_assert_int_eq(parse_n(in_status, sizeof(in_status) - 1), APR_EGENERAL);
}
END_TEST

START_TEST(field_values)
{
    const ac_response_t *res = accept_head(
        "HTTP/1.1 200 OK\nEmpty:\nBlank: \t \nTight:x\r\nWide: \t a b\tc \t\n"
        "Colon: a:b\nHigh: \xff\xe4\nset-cookie: a=1\nSet-Cookie: b=2\n"
        "!#$%&'*+-.^_`|~0aZ: odd\n\n");
    const apr_table_entry_t *entry;

    ck_assert_str_eq(get(res, "Empty"), "");
    ck_assert_str_eq(get(res, "Blank"), "");
    ck_assert_str_eq(get(res, "Tight"), "x");
    ck_assert_str_eq(get(res, "Wide"), "a b\tc");
    ck_assert_str_eq(get(res, "Colon"), "a:b");
    ck_assert_str_eq(get(res, "High"), "\xff\xe4");
    ck_assert_str_eq(get(res, "!#$%&'*+-.^_`|~0aZ"), "odd");
    entry = (const apr_table_entry_t *)apr_table_elts(res->headers)->elts;
    ck_assert_str_eq(entry[6].val, "a=1");
    ck_assert_str_eq(entry[7].val, "b=2");
}
END_TEST

static const struct {
    const char *head;
    int head_request;
    ac_framing_e framing;
    int keep_alive;
    const char *length;         /* the field that stays, or NULL */
} framings[] = {
    { "HTTP/1.1 200 OK\n\n", 0, AC_FRAMING_EOF, 0, NULL },
    { "HTTP/1.0 200 OK\nConnection: keep-alive\n\n", 0, AC_FRAMING_EOF, 0, NULL },
    { "HTTP/1.1 200 OK\nContent-Length: 0\n\n", 0, AC_FRAMING_LENGTH, 1, "0" },
    { "HTTP/1.1 200 OK\nContent-Length: 007\n\n", 0, AC_FRAMING_LENGTH, 1, "7" },
    { "HTTP/1.1 200 OK\nContent-Length: 7, 7,07\n\n", 0, AC_FRAMING_LENGTH, 1, "7" },
    { "HTTP/1.1 200 OK\nContent-Length: 7\nContent-Length: 7\n\n", 0,
      AC_FRAMING_LENGTH, 1, "7" },
    { "HTTP/1.1 200 OK\nContent-Length: 9223372036854775807\n\n", 0,
      AC_FRAMING_LENGTH, 1, "9223372036854775807" },
    { "HTTP/1.0 200 OK\nContent-Length: 7\n\n", 0, AC_FRAMING_LENGTH, 0, "7" },
    { "HTTP/1.0 200 OK\nContent-Length: 7\nConnection: Keep-Alive\n\n", 0,
      AC_FRAMING_LENGTH, 1, "7" },
    { "HTTP/1.1 200 OK\nContent-Length: 7\nConnection: CLOSE\n\n", 0,
      AC_FRAMING_LENGTH, 0, "7" },
    { "HTTP/1.1 200 OK\nContent-Length: 7\nConnection: keep-alive, close\n\n", 0,
      AC_FRAMING_LENGTH, 0, "7" },
    { "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", 0, AC_FRAMING_CHUNKED, 1, NULL },
    { "HTTP/1.1 200 OK\nTransfer-Encoding: , Chunked ,\n\n", 0,
      AC_FRAMING_CHUNKED, 1, NULL },
    { "HTTP/1.0 200 OK\nConnection: keep-alive\nTransfer-Encoding: chunked\n\n", 0,
      AC_FRAMING_CHUNKED, 0, NULL },
    { "HTTP/1.1 200 OK\nContent-Length: 5\nTransfer-Encoding: chunked\n\n", 0,
      AC_FRAMING_CHUNKED, 0, NULL },
    { "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nContent-Length: 5\n\n", 0,
      AC_FRAMING_CHUNKED, 0, NULL },
    { "HTTP/1.1 204 No\n\n", 0, AC_FRAMING_NONE, 1, NULL },
    { "HTTP/1.1 204 No\nContent-Length: 0\n\n", 0, AC_FRAMING_NONE, 1, NULL },
    { "HTTP/1.1 204 No\nContent-Length: 5\n\n", 0, AC_FRAMING_NONE, 0, NULL },
    { "HTTP/1.1 204 No\nTransfer-Encoding: chunked\n\n", 0, AC_FRAMING_NONE, 0, NULL },
    { "HTTP/1.1 304 No\nContent-Length: 5\n\n", 0, AC_FRAMING_NONE, 0, "5" },
    { "HTTP/1.1 304 No\nContent-Length: 5\n\n", 1, AC_FRAMING_NONE, 0, "5" },
    { "HTTP/1.1 304 No\nTransfer-Encoding: chunked\n\n", 0, AC_FRAMING_NONE, 0, NULL },
    { "HTTP/1.1 304 No\nContent-Length: 0\n\n", 0, AC_FRAMING_NONE, 1, "0" },
    { "HTTP/1.1 304 No\n\n", 0, AC_FRAMING_NONE, 1, NULL },
    { "HTTP/1.1 200 OK\nContent-Length: 5\n\n", 1, AC_FRAMING_NONE, 1, "5" },
    { "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", 1, AC_FRAMING_NONE, 1, NULL },
    { "HTTP/1.1 200 OK\n\n", 1, AC_FRAMING_NONE, 1, NULL },
    { "HTTP/1.1 103 Early\nLink: </x>\nContent-Length: 5\n\n", 0,
      AC_FRAMING_NONE, 0, NULL },
    { "HTTP/1.1 101 Up\nUpgrade: websocket\nConnection: Upgrade\n\n", 0,
      AC_FRAMING_TUNNEL, 0, NULL },
    { "HTTP/1.1 101 Up\nUpgrade: x\nContent-Length: 5\n\n", 1,
      AC_FRAMING_TUNNEL, 0, NULL }
};

START_TEST(framing)
{
    const ac_response_t *res = accept_for(framings[_i].head, framings[_i].head_request);
    const char *length = get(res, "Content-Length");

    ck_assert_msg(res->framing == framings[_i].framing, "%s", framings[_i].head);
    ck_assert_msg(res->keep_alive == framings[_i].keep_alive, "%s", framings[_i].head);
    if (framings[_i].length) {
        ck_assert_ptr_nonnull(length);
        ck_assert_str_eq(length, framings[_i].length);
    }
    else {
        ck_assert_ptr_null(length);
    }
    ck_assert_ptr_null(get(res, "Transfer-Encoding"));
}
END_TEST

START_TEST(hop_by_hop)
{
    const ac_response_t *res = accept_head(
        "HTTP/1.1 200 OK\nConnection: X-One, keep-alive\nConnection: x-two\n"
        "X-One: 1\nX-Two: 2\nx-two: 3\nX-Three: 3\nKeep-Alive: timeout=5\n"
        "Proxy-Connection: close\nTE: trailers\nUpgrade: h2c\nTrailer: X-Sum\n"
        "Transfer-Encoding: chunked\nServer: app\n\n");

    ck_assert_ptr_null(get(res, "Connection"));
    ck_assert_ptr_null(get(res, "X-One"));
    ck_assert_ptr_null(get(res, "X-Two"));
    ck_assert_ptr_null(get(res, "Keep-Alive"));
    ck_assert_ptr_null(get(res, "Proxy-Connection"));
    ck_assert_ptr_null(get(res, "TE"));
    ck_assert_ptr_null(get(res, "Upgrade"));
    ck_assert_str_eq(get(res, "X-Three"), "3");
    ck_assert_str_eq(get(res, "Trailer"), "X-Sum");
    ck_assert_str_eq(get(res, "Server"), "app");
    ck_assert_int_eq(res->keep_alive, 1);

    res = accept_head("HTTP/1.1 101 Switching\nConnection: Upgrade\nUpgrade: websocket\n"
                      "Sec-WebSocket-Accept: x\n\n");
    ck_assert_str_eq(get(res, "Upgrade"), "websocket");
    ck_assert_ptr_null(get(res, "Connection"));
}
END_TEST

static const struct {
    const char *value;
    int seconds;
} idles[] = {
    { "timeout=5", 5 }, { "timeout=5, max=100", 5 }, { "max=100,timeout=72", 72 },
    { "TIMEOUT=3", 3 }, { "timeout=0", 0 }, { "timeout=", 0 }, { "timeout=-1", 0 },
    { "timeout=5x", 0 }, { "5", 0 }, { "timeout=99999999999999", 86400 }
};

START_TEST(idle_time)
{
    const char *data = apr_pstrcat(p, "HTTP/1.1 200 OK\nKeep-Alive: ", idles[_i].value,
                                   "\nContent-Length: 0\n\n", NULL);

    ck_assert_int_eq(accept_head(data)->idle, apr_time_from_sec(idles[_i].seconds));
}
END_TEST

static const char *const sequences[] = {
    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\nHello",
    "HTTP/1.1 200 OK\nA: b\n\nrest",
    "HTTP/1.1 200\r\n\r\n",
    "HTTP/1.1 200 OK\r\nA: b\r\n",
    "HTTP/1.1 200 OK\r\nA: b\r\n\r",
    "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
    "HTTP/1.1 200 O\rK\r\nA: b\r\n\r\n",
    "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n5\r\n",
    "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "HTP/1.1 200 OK\r\n\r\n", ""
};

/* How an app's bytes are cut into packets changes nothing. */
START_TEST(pieces)
{
    const char *data = sequences[_i];
    apr_size_t len = strlen(data), used, whole_used = 0, step;
    ac_response_parser_t *whole = ac_response_parser_create(NULL, p);
    apr_status_t rv = ac_response_parse(whole, data, len, &whole_used);

    for (step = 1; step <= 7; ++step) {
        apr_table_t *expected;

        parser = ac_response_parser_create(NULL, p);
        ck_assert_int_eq(feed(data, len, step, &used), rv);
        if (rv != APR_SUCCESS) {
            continue;
        }
        ck_assert_uint_eq(used, whole_used);
        expected = ac_response_finish(whole, 0)->headers;
        ck_assert_int_eq(apr_table_elts(ac_response_finish(parser, 0)->headers)->nelts,
                         apr_table_elts(expected)->nelts);
        ck_assert_int_eq(ac_response_finish(parser, 0)->framing,
                         ac_response_finish(whole, 0)->framing);
    }
}
END_TEST

/* Values that straddle the parser's blocks stay whole. */
START_TEST(many_sizes)
{
    apr_size_t n;

    for (n = 1; n < 9000; n = n * 3 / 2 + 1) {
        char *value = apr_palloc(p, n + 1);
        const char *data;
        const ac_response_t *res;
        apr_size_t used;

        memset(value, 'v', n);
        value[n] = '\0';
        data = apr_pstrcat(p, "HTTP/1.1 200 OK\r\nA: 1\r\nB: ", value, "\r\nC: 3\r\nD: ",
                           value, "\r\nE: 5\r\n\r\n", NULL);
        parser = ac_response_parser_create(NULL, p);
        ck_assert_int_eq(feed(data, strlen(data), 1 + n % 700, &used), APR_SUCCESS);
        res = ac_response_finish(parser, 0);
        ck_assert_str_eq(get(res, "A"), "1");
        ck_assert_str_eq(get(res, "B"), value);
        ck_assert_str_eq(get(res, "C"), "3");
        ck_assert_str_eq(get(res, "D"), value);
        ck_assert_str_eq(get(res, "E"), "5");
        ck_assert_str_eq(res->reason, "OK");
    }
}
END_TEST

static const char *filled(const char *before, char c, apr_size_t n, const char *after)
{
    char *run = apr_palloc(p, n + 1);

    memset(run, c, n);
    run[n] = '\0';
    return apr_pstrcat(p, before, run, after, NULL);
}

START_TEST(limit_line)
{
    static const ac_response_limits_t limits = { 64, 1000, 10 };
    const char *fits = filled("HTTP/1.1 200 OK\nA: ", 'x', 61, "\n\n");
    const char *long_line = filled("HTTP/1.1 200 OK\nA: ", 'x', 62, "\n\n");
    const char *endless = filled("HTTP/1.1 200 ", 'x', 200, "");
    apr_size_t used, step;

    for (step = 1; step < 300; step += 149) {
        parser = ac_response_parser_create(&limits, p);
        ck_assert_int_eq(feed(fits, strlen(fits), step, &used), APR_SUCCESS);
        parser = ac_response_parser_create(&limits, p);
        ck_assert_int_eq(feed(long_line, strlen(long_line), step, &used), APR_EGENERAL);
        parser = ac_response_parser_create(&limits, p);
        ck_assert_int_eq(feed(endless, strlen(endless), step, &used), APR_EGENERAL);
    }
}
END_TEST

START_TEST(limit_head)
{
    static const ac_response_limits_t limits = { 64, 100, 1000 };
    /* 18 bytes, then 16 fields of 5, then the empty line: 100. */
    const char *head = "HTTP/1.1 200 OK..\n", *fits, *large, *larger;
    apr_size_t used, step;
    int i;

    for (i = 0; i < 16; ++i) {
        head = apr_pstrcat(p, head, "A:bc\n", NULL);
    }
    fits = apr_pstrcat(p, head, "\r\n", filled("", 'b', 500, ""), NULL);
    large = apr_pstrcat(p, "HTTP/1.1 200 OK...", strchr(head, '\n'), "\r\n", NULL);
    larger = apr_pstrcat(p, head, "A:b\n\n", NULL);
    for (step = 1; step < 1200; step += 599) {
        parser = ac_response_parser_create(&limits, p);
        ck_assert_int_eq(feed(fits, strlen(fits), step, &used), APR_SUCCESS);
        ck_assert_uint_eq(used, 100);
        parser = ac_response_parser_create(&limits, p);
        ck_assert_int_eq(feed(large, strlen(large), step, &used), APR_EGENERAL);
        parser = ac_response_parser_create(&limits, p);
        ck_assert_int_eq(feed(larger, strlen(larger), step, &used), APR_EGENERAL);
    }
}
END_TEST

START_TEST(limit_fields)
{
    static const ac_response_limits_t limits = { 64, 1000, 3 };
    const char *fits = "HTTP/1.1 200 OK\nA: 1\nB: 2\nConnection: close\n\n";
    const char *many = "HTTP/1.1 200 OK\nA: 1\nB: 2\nConnection: close\nD: 4\n\n";
    apr_size_t used;

    parser = ac_response_parser_create(&limits, p);
    ck_assert_int_eq(feed(fits, strlen(fits), 100, &used), APR_SUCCESS);
    parser = ac_response_parser_create(&limits, p);
    ck_assert_int_eq(feed(many, strlen(many), 100, &used), APR_EGENERAL);
}
END_TEST

START_TEST(default_limits)
{
    const char *fields = "HTTP/1.1 200 OK\n";
    int i;

    ck_assert_int_eq(parse(filled("HTTP/1.1 200 OK\nA:", 'x', 16382, "\n\n")),
                     APR_SUCCESS);
    ck_assert_int_eq(parse(filled("HTTP/1.1 200 OK\nA:", 'x', 16383, "\n\n")),
                     APR_EGENERAL);
    ck_assert_int_eq(parse(filled("HTTP/1.1 200 OK\nA:", 'x', 1 << 20, "")),
                     APR_EGENERAL);
    for (i = 0; i < 200; ++i) {
        fields = apr_pstrcat(p, fields, "A:b\n", NULL);
    }
    ck_assert_int_eq(parse(apr_pstrcat(p, fields, "\n", NULL)), APR_SUCCESS);
    ck_assert_int_eq(parse(apr_pstrcat(p, fields, "A:b\n\n", NULL)), APR_EGENERAL);
}
END_TEST

START_TEST(interim_then_final)
{
    const char *data = "HTTP/1.1 100 Continue\r\nConnection: close, Vary\r\n\r\n"
                       "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
                       "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVary: a\r\n\r\nok";
    apr_size_t len = strlen(data), used, at = 0;
    const ac_response_t *res;
    apr_table_t *hints;

    parser = ac_response_parser_create(NULL, p);
    ck_assert_int_eq(ac_response_parse(parser, data, len, &used), APR_SUCCESS);
    ck_assert_int_eq(ac_response_finish(parser, 0)->status, 100);
    at += used;
    ac_response_parser_reset(parser);
    ck_assert_int_eq(ac_response_parse(parser, data + at, len - at, &used), APR_SUCCESS);
    res = ac_response_finish(parser, 0);
    ck_assert_int_eq(res->status, 103);
    hints = res->headers;
    at += used;
    ac_response_parser_reset(parser);
    ck_assert_int_eq(ac_response_parse(parser, data + at, len - at, &used), APR_SUCCESS);
    res = ac_response_finish(parser, 0);
    ck_assert_int_eq(res->status, 200);
    ck_assert_int_eq(res->keep_alive, 1);
    ck_assert_ptr_null(get(res, "Link"));
    ck_assert_str_eq(get(res, "Vary"), "a");
    ck_assert_str_eq(apr_table_get(hints, "Link"), "</a.css>");
    ck_assert_str_eq(data + at + used, "ok");
    /* A head that was taken is not taken again. */
    ck_assert_int_eq(ac_response_parse(parser, "HTTP", 4, &used), APR_SUCCESS);
    ck_assert_uint_eq(used, 0);
}
END_TEST

#define LOOP(tc, test, list) \
    tcase_add_loop_test(tc, test, 0, sizeof(list) / sizeof(list[0]))

TCase *response_case(void)
{
    TCase *tc = case_create("response");

    tcase_add_test(tc, plain);
    LOOP(tc, status_line, good_lines);
    LOOP(tc, bad_status_line, bad_lines);
    tcase_add_test(tc, refused_before_line_end);
    LOOP(tc, bad_field, bad_fields);
    tcase_add_test(tc, reasons);
    tcase_add_test(tc, nul_bytes);
    tcase_add_test(tc, field_values);
    LOOP(tc, framing, framings);
    tcase_add_test(tc, hop_by_hop);
    LOOP(tc, idle_time, idles);
    LOOP(tc, pieces, sequences);
    tcase_add_test(tc, many_sizes);
    tcase_add_test(tc, limit_line);
    tcase_add_test(tc, limit_head);
    tcase_add_test(tc, limit_fields);
    tcase_add_test(tc, default_limits);
    tcase_add_test(tc, interim_then_final);
    return tc;
}
