/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Version 1 of include/appcore.h is frozen. What follows is what apps were compiled
 * with: it does not compile any more when a member moves or becomes another type, or
 * when a constant gets another value. Nothing in here is ever to be changed; what is
 * appended to the header is appended here as well, and a lint looks that it is. */

#include "test_inproc.h"

#include <stddef.h>
#include "appcore.h"

#define IS(name, value) \
    _Static_assert((name) == (value), #name " has another value")

#define SAME(a, b) __builtin_types_compatible_p(__typeof__(a), __typeof__(b))
#define OF(type, member) (((type *)0)->member)

/* Machines of 32 bits have places of their own, and the same rule. */
#define IF_LP64(holds) (sizeof(void *) != 8 || (holds))

/* ... is the member's type, which may have commas. */
#define MEMBER(type, offset, member, ...) \
    _Static_assert(IF_LP64(offsetof(type, member) == (offset)), \
                   #type "." #member " has moved"); \
    _Static_assert(SAME(OF(type, member), __VA_ARGS__), \
                   #type "." #member " is of another type")

/* Where version 1 began to end: the size that its apps and hosts say. */
#define ENDS(type, size, last) \
    _Static_assert(IF_LP64(offsetof(type, last) + sizeof(OF(type, last)) == (size) \
                           && sizeof(type) >= (size)), \
                   #type " is not what it was")

IS(APPCORE_ABI, 1);
IS(APPCORE_OK, 0);
IS(APPCORE_AGAIN, -1);
IS(APPCORE_GONE, -2);
IS(APPCORE_ELSEWHERE, -3);
IS(APPCORE_INVALID, -4);
IS(APPCORE_TOO_LARGE, -5);
IS(APPCORE_MALFORMED, -6);
IS(APPCORE_TIMEOUT, -7);
IS(APPCORE_UNSUPPORTED, -8);
IS(APPCORE_FAILED, -9);
IS(APPCORE_ABSENT, -10);
IS(APPCORE_HAS_BODY, 0x1u);
IS(APPCORE_UPGRADABLE, 0x2u);
IS(APPCORE_UPGRADE_ASKED, 0x4u);
IS(APPCORE_CONNECT, 0x8u);
IS(APPCORE_TLS, 0x10u);
IS(APPCORE_TRAILERS, 0x20u);
IS(APPCORE_EXPECTS_100, 0x40u);
IS(APPCORE_BLOCKING, 0x80u);
IS(APPCORE_NONBLOCK, 0x1u);
IS(APPCORE_FLUSH, 0x2u);
IS(APPCORE_LAST, 0x4u);
IS(APPCORE_READABLE, 0x1u);
IS(APPCORE_WRITABLE, 0x2u);
IS(APPCORE_DETAILED_ERRORS, 0x1u);
IS(APPCORE_DONE, 0);
IS(APPCORE_PENDING, 1);
IS(APPCORE_DECLINED, 2);
IS(APPCORE_NO_UNLOAD, 0x1u);
IS(APPCORE_SINGLE_PROCESS, 0x2u);
IS(APPCORE_THREAD_SAFE, 0x4u);
IS(APPCORE_LOG_ERROR, 3);
IS(APPCORE_LOG_WARNING, 4);
IS(APPCORE_LOG_NOTICE, 5);
IS(APPCORE_LOG_INFO, 6);
IS(APPCORE_LOG_DEBUG, 7);
IS(APPCORE_LOG_TRACE, 8);

IS(sizeof(appcore_request), 8);
_Static_assert(SAME(appcore_request, uint64_t), "requests are other numbers");

MEMBER(appcore_str, 0, p, const char *);
MEMBER(appcore_str, 8, len, size_t);
ENDS(appcore_str, 16, len);

MEMBER(appcore_field, 0, name, appcore_str);
MEMBER(appcore_field, 16, value, appcore_str);
ENDS(appcore_field, 32, value);

MEMBER(appcore_info, 0, size, size_t);
MEMBER(appcore_info, 8, flags, uint32_t);
MEMBER(appcore_info, 12, remote_port, uint16_t);
MEMBER(appcore_info, 14, local_port, uint16_t);
MEMBER(appcore_info, 16, content_length, int64_t);
MEMBER(appcore_info, 24, method, appcore_str);
MEMBER(appcore_info, 40, protocol, appcore_str);
MEMBER(appcore_info, 56, scheme, appcore_str);
MEMBER(appcore_info, 72, authority, appcore_str);
MEMBER(appcore_info, 88, target, appcore_str);
MEMBER(appcore_info, 104, path_base, appcore_str);
MEMBER(appcore_info, 120, path, appcore_str);
MEMBER(appcore_info, 136, query, appcore_str);
MEMBER(appcore_info, 152, remote_address, appcore_str);
MEMBER(appcore_info, 168, local_address, appcore_str);
MEMBER(appcore_info, 184, request_id, appcore_str);
MEMBER(appcore_info, 200, connection_id, appcore_str);
MEMBER(appcore_info, 216, user, appcore_str);
MEMBER(appcore_info, 232, auth_type, appcore_str);
MEMBER(appcore_info, 248, connect_protocol, appcore_str);
MEMBER(appcore_info, 264, fields, const appcore_field *);
MEMBER(appcore_info, 272, n_fields, size_t);
ENDS(appcore_info, 280, n_fields);

MEMBER(appcore_failure, 0, size, size_t);
MEMBER(appcore_failure, 8, substatus, int32_t);
MEMBER(appcore_failure, 12, exit_code, int32_t);
MEMBER(appcore_failure, 16, what, appcore_str);
MEMBER(appcore_failure, 32, evidence, appcore_str);
ENDS(appcore_failure, 48, evidence);

MEMBER(appcore_host, 0, size, size_t);
MEMBER(appcore_host, 8, version, uint32_t);
MEMBER(appcore_host, 12, flags, uint32_t);
MEMBER(appcore_host, 16, start, int (*)(appcore_request, int, appcore_str, const
       appcore_field *, size_t));
MEMBER(appcore_host, 24, respond, int (*)(appcore_request, int, appcore_str,
       const appcore_field *, size_t, const struct iovec *, size_t));
MEMBER(appcore_host, 32, inform, int (*)(appcore_request, int, const
       appcore_field *, size_t));
MEMBER(appcore_host, 40, write, int64_t (*)(appcore_request, const struct iovec
       *, size_t, uint32_t));
MEMBER(appcore_host, 48, sendfile, int (*)(appcore_request, appcore_str,
       int64_t, int64_t, uint32_t));
MEMBER(appcore_host, 56, trailer, int (*)(appcore_request, appcore_str,
       appcore_str));
MEMBER(appcore_host, 64, read, int64_t (*)(appcore_request, void *, size_t,
       uint32_t));
MEMBER(appcore_host, 72, upgrade, int (*)(appcore_request, const appcore_field
       *, size_t));
MEMBER(appcore_host, 80, post, int (*)(appcore_request, void (*)(void *,
       appcore_request, void *, int), void *));
MEMBER(appcore_host, 88, complete, int (*)(appcore_request, int));
MEMBER(appcore_host, 96, aborted, int (*)(appcore_request));
MEMBER(appcore_host, 104, abort, int (*)(appcore_request));
MEMBER(appcore_host, 112, var_get, int (*)(appcore_request, appcore_str,
       appcore_str *));
MEMBER(appcore_host, 120, var_set, int (*)(appcore_request, appcore_str,
       appcore_str));
MEMBER(appcore_host, 128, limit_body, int (*)(appcore_request, int64_t));
MEMBER(appcore_host, 136, close_connection, int (*)(appcore_request));
MEMBER(appcore_host, 144, log, void (*)(const appcore_host *, appcore_request,
       int, appcore_str));
MEMBER(appcore_host, 152, log_level, int (*)(const appcore_host *,
       appcore_request));
MEMBER(appcore_host, 160, started, void (*)(const appcore_host *, const
       appcore_failure *));
MEMBER(appcore_host, 168, ended, void (*)(const appcore_host *, int,
       appcore_str));
ENDS(appcore_host, 184, reset);
MEMBER(appcore_host, 176, reset, int (*)(appcore_request, uint32_t));
MEMBER(appcore_host, 184, replace, void (*)(const appcore_host *, appcore_str));

MEMBER(appcore_config, 0, size, size_t);
MEMBER(appcore_config, 8, version, uint32_t);
MEMBER(appcore_config, 12, flags, uint32_t);
MEMBER(appcore_config, 16, name, appcore_str);
MEMBER(appcore_config, 32, folder, appcore_str);
MEMBER(appcore_config, 48, file, appcore_str);
MEMBER(appcore_config, 64, path_base, appcore_str);
MEMBER(appcore_config, 80, environment, const appcore_field *);
MEMBER(appcore_config, 88, n_environment, size_t);
MEMBER(appcore_config, 96, settings, const appcore_field *);
MEMBER(appcore_config, 104, n_settings, size_t);
MEMBER(appcore_config, 112, arguments, const appcore_str *);
MEMBER(appcore_config, 120, n_arguments, size_t);
MEMBER(appcore_config, 128, addresses, const appcore_str *);
MEMBER(appcore_config, 136, n_addresses, size_t);
MEMBER(appcore_config, 144, workers, uint32_t);
MEMBER(appcore_config, 148, processes, uint32_t);
MEMBER(appcore_config, 152, startup_ms, uint32_t);
MEMBER(appcore_config, 156, shutdown_ms, uint32_t);
ENDS(appcore_config, 160, shutdown_ms);

MEMBER(appcore_app, 0, size, size_t);
MEMBER(appcore_app, 8, version, uint32_t);
MEMBER(appcore_app, 12, flags, uint32_t);
MEMBER(appcore_app, 16, init, int (*)(const appcore_host *, const appcore_config
       *, void **, appcore_failure *));
MEMBER(appcore_app, 24, handle, int (*)(void *, appcore_request, const
       appcore_info *, void **));
MEMBER(appcore_app, 32, on_io, void (*)(void *, appcore_request, void *,
       uint32_t));
MEMBER(appcore_app, 40, on_disconnect, void (*)(void *, appcore_request, void
       *));
MEMBER(appcore_app, 48, thread_attach, void (*)(void *));
MEMBER(appcore_app, 56, thread_detach, void (*)(void *));
MEMBER(appcore_app, 64, quiesce, void (*)(void *));
MEMBER(appcore_app, 72, shutdown, void (*)(void *, uint32_t));
MEMBER(appcore_app, 80, release, void (*)(void *, appcore_request, void *));
ENDS(appcore_app, 88, release);

_Static_assert(sizeof(appcore_str) == 2 * sizeof(void *)
               && sizeof(appcore_field) == 4 * sizeof(void *),
               "these have no size in them and stand in arrays: they never grow");
_Static_assert(SAME(appcore_app_v1, const appcore_app *(void)), "the symbol");

START_TEST(members_are_there_by_size)
{
    appcore_app app = { .size = sizeof(app) };

    ck_assert(APPCORE_HAS(&app, handle) && APPCORE_HAS(&app, release));
    app.size = offsetof(appcore_app, release);
    ck_assert(APPCORE_HAS(&app, shutdown) && !APPCORE_HAS(&app, release));
    app.size = sizeof(app) - 1;
    ck_assert(!APPCORE_HAS(&app, release));
}
END_TEST

TCase *test_inproc_abi(void)
{
    TCase *tc = tcase_create("abi");

    tcase_add_test(tc, members_are_there_by_size);
    return tc;
}
