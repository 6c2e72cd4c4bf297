/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The pure parts beside the state machine. */

#include "test_manager.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "manager/breaker.h"
#include "manager/diagnose.h"
#include "manager/evidence.h"
#include "manager/notify.h"
#include "manager/port.h"
#include "manager/protocol.h"
#include "spec/launch.h"

/* breaker */

START_TEST(test_breaker_first_failure_waits_for_nothing)
{
    ac_breaker_t b = { 0 };

    ck_assert(ac_breaker_fail(&b, 10, 1, 0) == 0);
    ck_assert(!b.open);
    ck_assert(ac_breaker_fail(&b, 10, 2, 0) > 0);
    ac_breaker_reset(&b);
}
END_TEST

START_TEST(test_breaker_forgets_after_a_minute)
{
    ac_breaker_t b = { 0 };
    int i;

    for (i = 0; i < 50; ++i) {
        ac_breaker_fail(&b, 2, apr_time_from_sec(100 + 30 * i), 7);
        ck_assert_msg(!b.open, "two in a minute are allowed");
    }
    ac_breaker_fail(&b, 2, apr_time_from_sec(100 + 30 * 49 + 1), 7);
    ck_assert(b.open);
    ac_breaker_reset(&b);
}
END_TEST

START_TEST(test_breaker_bounds_delays)
{
    ac_breaker_t b = { 0 };
    int i;

    for (i = 0; i < 100; ++i) {
        apr_interval_time_t delay = ac_breaker_fail(&b, 200, i, UINT32_MAX);

        ck_assert(delay <= apr_time_from_sec(5));
    }
    b.open = 1;
    ck_assert(ac_breaker_fail(&b, 200, i, UINT32_MAX) <= apr_time_from_sec(38));
    ac_breaker_reset(&b);
}
END_TEST

START_TEST(test_breaker_closes_once)
{
    ac_breaker_t b = { 0 };

    ac_breaker_fail(&b, 0, 1, 0);
    ck_assert(b.open);
    ck_assert(ac_breaker_succeed(&b));
    ck_assert(!ac_breaker_succeed(&b));
    ac_breaker_stable(&b);
    ck_assert(ac_breaker_fail(&b, 1, 2, 0) == 0);
    ac_breaker_reset(&b);
}
END_TEST

START_TEST(test_breaker_refusal_waits_a_second_at_least)
{
    ac_breaker_t b = { 0 };
    int i;

    for (i = 0; i < 300; ++i) {
        apr_interval_time_t delay = ac_breaker_refuse(&b, 0, (uint32_t)i * 77777777u);

        ck_assert(delay >= apr_time_from_sec(1) && delay <= apr_time_from_sec(5));
        ck_assert(!b.open);
    }
    ck_assert(ac_breaker_refuse(&b, 1, 0) > apr_time_from_sec(20));
    ac_breaker_reset(&b);
}
END_TEST

/* ports */

#define LINE4(address, port, state, uid) \
    "   3: " address ":" port " 00000000:0000 " state " 00000000:00000000" \
    " 00:00000000 00000000 " uid "        0 5243 1 0000000000000000 100 0 0 10 0\n"
#define NONE6 "00000000000000000000000000000000"
#define LOOP6 "00000000000000000000000001000000"
#define MAPPED "0000000000000000FFFF00000100007F"
#define LINE6(address, port, uid) \
    "   0: " address ":" port " " NONE6 ":0000 0A 00000000:00000000 00:00000000" \
    " 00000000 " uid "        0 22144 1 0000000000000000 100 0 0 10 0\n"

static ac_port_owner_t scan(const char *a, const char *b, int ipv6)
{
    ac_port_query_t query = { 8080, 1000, ipv6 };
    ac_port_owner_t owner;

    memset(&owner, 0, sizeof(owner));
    ac_port_line(&owner, &query, a);
    ac_port_line(&owner, &query, b);
    return owner;
}

START_TEST(test_port_owner)
{
    static const struct {
        const char *a, *b;
        int ipv6, found, foreign, everywhere;
    } cases[] = {
        { LINE4("0100007F", "1F90", "0A", "1000"), "", 0, 1, 0, 0 },
        { LINE4("0100007F", "1F90", "0A", "33"), "", 0, 1, 1, 0 },
        { LINE4("0100007F", "1F90", "01", "1000"), "", 0, 0, 0, 0 },
        { LINE4("0100007F", "1F91", "0A", "1000"), "", 0, 0, 0, 0 },
        { LINE4("00000000", "1F90", "0A", "1000"), "", 0, 1, 0, 1 },
        { LINE4("0200007F", "1F90", "0A", "1000"), "", 0, 0, 0, 0 },
        { LINE4("0100007F", "1F90", "0A", "1000"), "", 1, 0, 0, 0 },
        { LINE6(NONE6, "1F90", "1000"), "", 0, 1, 0, 1 },
        { LINE6(NONE6, "1F90", "33"), "", 1, 1, 1, 1 },
        { LINE6(LOOP6, "1F90", "1000"), "", 1, 1, 0, 0 },
        { LINE6(LOOP6, "1F90", "1000"), "", 0, 0, 0, 0 },
        { LINE6(MAPPED, "1F90", "1000"), "", 0, 1, 0, 0 },
        /* The exact address wins, in whatever order they come. */
        { LINE4("00000000", "1F90", "0A", "33"),
          LINE4("0100007F", "1F90", "0A", "1000"), 0, 1, 0, 0 },
        { LINE4("0100007F", "1F90", "0A", "1000"),
          LINE4("00000000", "1F90", "0A", "33"), 0, 1, 0, 0 },
        { LINE4("0100007F", "1F90", "0A", "1000"),
          LINE4("0100007F", "1F90", "0A", "33"), 0, 1, 1, 0 },
        { "  sl  local_address rem_address   st tx_queue rx_queue\n", "", 0, 0, 0, 0 },
        { "   3: 0100007F", "3: :::::", 0, 0, 0, 0 },
    };
    unsigned i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        ac_port_owner_t owner = scan(cases[i].a, cases[i].b, cases[i].ipv6);

        ck_assert_msg(owner.found == cases[i].found, "case %u: found", i);
        ck_assert_msg(owner.foreign == cases[i].foreign, "case %u: foreign", i);
        ck_assert_msg(owner.everywhere == cases[i].everywhere, "case %u: everywhere", i);
    }
}
END_TEST

static int listen_on(int family, uint32_t *pport)
{
    struct sockaddr_in6 six = { .sin6_family = AF_INET6,
                                .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    struct sockaddr_in four = { .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr *address = family == AF_INET ? (struct sockaddr *)&four
                                                 : (struct sockaddr *)&six;
    socklen_t len = family == AF_INET ? sizeof(four) : sizeof(six);
    in_port_t *at = family == AF_INET ? &four.sin_port : &six.sin6_port;
    int fd = socket(family, SOCK_STREAM, 0);
    unsigned tries = 0;

    ck_assert_int_ge(fd, 0);
    /* None that the kernel may give to a client of somebody else afterwards. */
    do {
        *at = htons((uint16_t)(61000 + ((unsigned)getpid() + tries * 31) % 4500));
    } while (bind(fd, address, len) != 0 && errno == EADDRINUSE && ++tries < 4500);
    if (getsockname(fd, address, &len) != 0 || *at == 0) {
        close(fd);
        return -1;
    }
    ck_assert_int_eq(listen(fd, 4), 0);
    *pport = ntohs(*at);
    return fd;
}

START_TEST(test_port_owner_of_this_machine)
{
    int family = _i ? AF_INET6 : AF_INET;
    ac_port_query_t query = { 0, (uint32_t)getuid(), _i };
    ac_port_owner_t owner;
    int fd = listen_on(family, &query.port);

    if (fd < 0) {
        return;                 /* a machine without IPv6 */
    }
    ac_port_owner(&owner, &query);
    ck_assert(owner.found && !owner.foreign && !owner.everywhere);
    query.uid += 1;
    ac_port_owner(&owner, &query);
    ck_assert(owner.found && owner.foreign);
    ck_assert_uint_eq(owner.foreign_uid, getuid());
    ck_assert(!ac_port_is_free(query.port));
    close(fd);
    ac_port_owner(&owner, &query);
    ck_assert(!owner.found);
    ck_assert(ac_port_is_free(query.port));
}
END_TEST

START_TEST(test_port_draw)
{
    uint32_t low = UINT32_MAX, high = 0;
    int i;

    for (i = 0; i < 5000; ++i) {
        uint32_t port = ac_port_draw();

        ck_assert_uint_ge(port, AC_PORT_MIN);
        ck_assert_uint_le(port, 32767);
        low = port < low ? port : low;
        high = port > high ? port : high;
    }
    ck_assert_msg(low < 2000 && high > 31000, "the whole range is used");
}
END_TEST

START_TEST(test_token)
{
    char a[AC_TOKEN_LEN + 1], b[AC_TOKEN_LEN + 1];
    unsigned i;

    ac_token_draw(a);
    ac_token_draw(b);
    ck_assert_str_ne(a, b);
    ck_assert_uint_eq(strlen(a), AC_TOKEN_LEN);
    for (i = 0; i < AC_TOKEN_LEN; ++i) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            ck_assert_int_eq(a[i], '-');
        }
        else {
            ck_assert_ptr_nonnull(strchr("0123456789abcdef", a[i]));
        }
    }
}
END_TEST

/* notify */

START_TEST(test_notify)
{
    char ready[] = "STATUS=warming up\nREADY=1\n";
    char not_yet[] = "READY=0\nXREADY=1\nREADY=1x\nSTATUS";
    char empty[] = "";
    char h2c[] = "X_APPCORE_PROTOCOL=h2c";
    char http1[] = "READY=1\nX_APPCORE_PROTOCOL=http/1.1\n";
    char other[] = "X_APPCORE_PROTOCOL=h2cx\nPROTOCOL=h2c";
    ac_notify_t said;

    ac_notify_parse(&said, ready);
    ck_assert_int_eq(said.ready, 1);
    ck_assert_str_eq(said.status, "warming up");
    ac_notify_parse(&said, not_yet);
    ck_assert_int_eq(said.ready, 0);
    ck_assert_ptr_null(said.status);
    ac_notify_parse(&said, empty);
    ck_assert_int_eq(said.ready, 0);
    ac_notify_parse(&said, h2c);
    ck_assert_int_eq(said.protocol, AC_PROTOCOL_H2C);
    ac_notify_parse(&said, http1);
    ck_assert_int_eq(said.protocol, AC_PROTOCOL_HTTP1);
    ac_notify_parse(&said, other);
    ck_assert_int_eq(said.protocol, AC_PROTOCOL_AUTO);
}
END_TEST

/* protocol */

static const struct {
    const char *answer;
    apr_size_t len;
    ac_protocol_e protocol;
} greetings[] = {
    { "", 0, AC_PROTOCOL_AUTO },
    { "\0\0\30\4\0\0\0\0", 8, AC_PROTOCOL_AUTO },
    /* Kestrel with HTTP/2 alone, node's http2, Kestrel with HTTP/1.1 (GOAWAY) */
    { "\0\0\30\4\0\0\0\0\0", 9, AC_PROTOCOL_H2C },
    { "\0\0\0\4\0\0\0\0\0\0\0\0", 12, AC_PROTOCOL_H2C },
    { "\0\0\10\7\0\0\0\0\0", 9, AC_PROTOCOL_HTTP1 },
    { "\0\0\0\4\0\0\0\0\1", 9, AC_PROTOCOL_HTTP1 },
    { "H", 1, AC_PROTOCOL_HTTP1 },
    { "HTTP/1.1 400 Bad Request", 24, AC_PROTOCOL_HTTP1 },
    { "\25\3\1", 3, AC_PROTOCOL_HTTP1 },
};

START_TEST(test_protocol)
{
    ck_assert_int_eq(ac_protocol_of(greetings[_i].answer, greetings[_i].len),
                     greetings[_i].protocol);
}
END_TEST

/* diagnose */

static ac_report_t report;

static const char *hint(ac_fault_e fault, int wait_status, const char *output)
{
    memset(&report, 0, sizeof(report));
    report.result.fault = fault;
    report.wait_status = wait_status;
    report.output = output;
    ac_diagnose(&report, p);
    return report.hint ? report.hint : "";
}

#define ck_hint(fault, status, output, expected) \
    ck_assert_msg(strstr(hint(fault, status, output), expected) != NULL, "got: %s", \
                  hint(fault, status, output))
#define EXIT(code) ((code) << 8)

START_TEST(test_diagnose_output)
{
    ck_hint(AC_FAULT_EXITED, EXIT(150),
            "You must install or update .NET to run this application.\n\n"
            "Framework: 'Microsoft.NETCore.App', version '8.0.0' (x64)\n.NET location",
            "'Microsoft.NETCore.App', version '8.0.0' (x64), or set DOTNET_ROLL_FORWARD");
    ck_hint(AC_FAULT_EXITED, EXIT(150), "You must install or update .NET", "it names");
    ck_hint(AC_FAULT_EXITED, EXIT(131), "The library 'libhostpolicy.so' required",
            "dotnet publish");
    ck_hint(AC_FAULT_EXITED, SIGABRT,
            "Unhandled exception. System.IO.FileNotFoundException:"
            " Could not load file or assembly 'X'", "missing");
    ck_hint(AC_FAULT_EXITED, SIGABRT,
            "Could not load file or assembly 'System.Net.Security'", "AppCoreLimit as");
    ck_hint(AC_FAULT_EXITED, SIGABRT, "Unhandled exception. System.Exception: no",
            "reason");
    ck_hint(AC_FAULT_EXITED, EXIT(1), "ModuleNotFoundError: No module named 'flask'",
            "Python module");
    ck_hint(AC_FAULT_EXITED, EXIT(1), "Error: Cannot find module 'express'",
            "npm install");
    ck_hint(AC_FAULT_EXITED, EXIT(1), "Error: listen EADDRINUSE: address already in use",
            "listen");
}
END_TEST

#define ck_evidence(output, expected) \
    do { \
        hint(AC_FAULT_EXITED, EXIT(134), output); \
        ck_assert_str_eq(report.evidence, expected); \
    } while (0)

START_TEST(test_diagnose_evidence)
{
    char *text;

    ck_evidence("App starts\nUnhandled exception. System.IO.InvalidDataException: Failed"
                " to load configuration from file '/a.json'.\n"
                " ---> System.FormatException: no JSON.\n"
                "   at X.Parse()\n   at X.Load()\n",
                "Unhandled exception. System.IO.InvalidDataException: Failed to load"
                " configuration from file '/a.json'. | ---> System.FormatException: no"
                " JSON. | at X.Parse()");
    ck_evidence("You must install or update .NET to run this application.\n\n"
                "Framework: 'N', version '8.0.0' (x64)\r\n.NET location: /x\n\n"
                "The following frameworks were found:\n  9.0.1 at [/x]\n"
                "  10.0.1 at [/x]\n\nLearn more:\n",
                "Framework: 'N', version '8.0.0' (x64) | found: 9.0.1 at [/x], 10.0.1 at"
                " [/x]");
    ck_evidence("You must install or update .NET\nFramework: 'N', version '8'\n",
                "Framework: 'N', version '8' | found: none");
    ck_evidence("one\n  the last one \n\n  \n", "the last one");
    ck_evidence("no newline", "no newline");
    hint(AC_FAULT_EXITED, EXIT(1), "\n \n");
    ck_assert_ptr_null(report.evidence);
    text = apr_palloc(p, 2000);
    memset(text, 'x', 1999);
    text[1999] = '\0';
    hint(AC_FAULT_EXITED, EXIT(1), text);
    ck_assert_uint_eq(strlen(report.evidence), AC_EVIDENCE_MAX);
}
END_TEST

START_TEST(test_diagnose_end)
{
    ck_hint(AC_FAULT_EXITED, EXIT(0), "", "foreground");
    ck_hint(AC_FAULT_EXITED, EXIT(0), NULL, "foreground");
    ck_hint(AC_FAULT_EXITED, EXIT(127), "sh: 1: x: not found", "PATH");
    ck_hint(AC_FAULT_CRASHED, SIGKILL, "", "memory");
    ck_hint(AC_FAULT_CRASHED, SIGSEGV | 0x80, "", "broken");
    ck_hint(AC_FAULT_DEAF, -1, "", "closed its listener");
    ck_hint(AC_FAULT_EXITED, EXIT(3), "hello", "itself decided to end");
    ck_assert_str_eq(hint(AC_FAULT_CONFIG, -1, NULL), "");
}
END_TEST

START_TEST(test_diagnose_timeout)
{
    ck_hint(AC_FAULT_TIMEOUT, -1, "Now listening on: http://localhost:5000",
            "listens on http://localhost:5000, an address of its own: it calls UseUrls");
    ck_hint(AC_FAULT_TIMEOUT, -1, "<6>Lifetime[14] Now listening on: http://[::]:5000\n"
            "<6>Lifetime[14] Now listening on: https://[::]:5001 \n",
            "listens on http://[::]:5000, https://[::]:5001, an");
    ck_hint(AC_FAULT_TIMEOUT, -1, "INFO:     Uvicorn running on http://127.0.0.1:8000"
            " (Press CTRL+C to quit)", "that it listens on http://127.0.0.1:8000, an");
    ck_hint(AC_FAULT_TIMEOUT, -1, "starts\nServer is listening on port 3000.\n",
            "that it listens on port 3000, an");
    ck_hint(AC_FAULT_TIMEOUT, -1, "[INFO] Listening at: http://0.0.0.0:8000 (7)",
            "http://0.0.0.0:8000, an");
    ck_hint(AC_FAULT_TIMEOUT, -1, "running on empty; port x", "does not listen");
    ck_hint(AC_FAULT_TIMEOUT, -1, "", "AppCoreStartupTimeLimit");
    ck_hint(AC_FAULT_TIMEOUT, -1, NULL, "AppCoreStartupTimeLimit");
}
END_TEST

START_TEST(test_diagnose_exec)
{
    static const struct { int number; const char *hint; } causes[] = {
        { EACCES, "chmod +x" }, { ENOENT, "AppCoreProcessPath" },
        { ENOEXEC, "another processor" }, { EAGAIN, "AppCoreLimit nproc" },
    };
    unsigned i;

    for (i = 0; i < sizeof(causes) / sizeof(causes[0]); ++i) {
        memset(&report, 0, sizeof(report));
        report.result.fault = AC_FAULT_EXEC;
        report.result.status = causes[i].number;
        ac_diagnose(&report, p);
        ck_assert_ptr_nonnull(strstr(report.hint, causes[i].hint));
        ck_assert_ptr_null(report.evidence);
    }
}
END_TEST

TCase *parts_case(void)
{
    TCase *tc = case_create("parts");

    tcase_add_test(tc, test_breaker_first_failure_waits_for_nothing);
    tcase_add_test(tc, test_breaker_forgets_after_a_minute);
    tcase_add_test(tc, test_breaker_bounds_delays);
    tcase_add_test(tc, test_breaker_closes_once);
    tcase_add_test(tc, test_breaker_refusal_waits_a_second_at_least);
    tcase_add_test(tc, test_port_owner);
    tcase_add_loop_test(tc, test_port_owner_of_this_machine, 0, 2);
    tcase_add_test(tc, test_port_draw);
    tcase_add_test(tc, test_token);
    tcase_add_test(tc, test_notify);
    tcase_add_loop_test(tc, test_protocol, 0,
                        (int)(sizeof(greetings) / sizeof(greetings[0])));
    tcase_add_test(tc, test_diagnose_output);
    tcase_add_test(tc, test_diagnose_evidence);
    tcase_add_test(tc, test_diagnose_end);
    tcase_add_test(tc, test_diagnose_timeout);
    tcase_add_test(tc, test_diagnose_exec);
    return tc;
}
