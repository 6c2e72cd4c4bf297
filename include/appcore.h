/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef APPCORE_H
#define APPCORE_H

/* The contract between mod_appcore (the host) and an app that runs inside a child
 * of httpd: a shared object with one exported symbol, appcore_app_v1().
 *
 * VERSIONS. This is version 1, and it is frozen: what is here keeps its place, its
 * value and its meaning. Structs that begin with their size, as whoever fills them was
 * compiled, may get members at their end; flags, events and results may get values that
 * are free now. Look at a member that version 1 did not begin with through APPCORE_HAS().
 * What an app leaves out is NULL. Flags and events that one side does not know it
 * ignores; a negative result that the app does not know is a failure.
 *
 * THREADS. handle() is called on a worker of httpd, by many at a time if the app
 * says APPCORE_THREAD_SAFE. No request belongs to a thread: its callbacks come one
 * after the other, each on whichever worker holds the request. In a callback of a
 * request the app may use every function of the host for that request. On any other
 * thread, and in on_disconnect(), only post(), complete(), abort(), aborted() and log()
 * with log_level(); the others answer APPCORE_ELSEWHERE. What post() runs is a callback
 * too, but it does not wait for one that is busy in the app's own code: an app may
 * block in handle() until another of its threads has read or written for it. So post()
 * may call what it is given, and every other function of the host what was posted
 * before, on the thread that calls it and before it returns: hold no lock over them
 * that a posted function takes. The host holds none while it calls the app.
 *
 * LIFE. A request is a number that is never given twice by one process. It ends when
 * handle() returns anything but APPCORE_PENDING, or by complete(), which may be called
 * even before handle() answers APPCORE_PENDING and then counts from there. Afterwards
 * every function answers APPCORE_GONE, nothing the host gave for it may be used, and the
 * only callback that still begins is release(). What the host gives (strings, headers)
 * lives until then; what the app gives is used before the function returns.
 *
 * STRINGS are pointer and length, not ended by NUL, and bytes as they came. A NULL
 * pointer is an empty one. */

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define APPCORE_ABI 1

/* Whether the struct that p points to, as its maker knew it, has that member. */
#define APPCORE_HAS(p, member) \
    ((p)->size >= (size_t)((const char *)&(p)->member - (const char *)(p)) \
                      + sizeof((p)->member))

/* Results. */
#define APPCORE_OK 0
#define APPCORE_AGAIN (-1)      /* would wait, or not all was taken: on_io() follows */
#define APPCORE_GONE (-2)       /* the request ended, or its client is gone */
#define APPCORE_ELSEWHERE (-3)  /* not from this thread: post() */
#define APPCORE_INVALID (-4)    /* not now, or not so: what the app asked is wrong */
#define APPCORE_TOO_LARGE (-5)  /* the body exceeds a limit: answer 413 */
#define APPCORE_MALFORMED (-6)  /* what the client sent is not HTTP: answer 400 */
#define APPCORE_TIMEOUT (-7)    /* the client was silent too long: answer 408 */
#define APPCORE_UNSUPPORTED (-8)
#define APPCORE_FAILED (-9)     /* anything else; the error log says what */
#define APPCORE_ABSENT (-10)    /* there is no such variable or file */

typedef uint64_t appcore_request;   /* 0: none */

typedef struct appcore_str {
    const char *p;
    size_t len;
} appcore_str;

typedef struct appcore_field {
    appcore_str name, value;
} appcore_field;

/* appcore_info.flags */
#define APPCORE_HAS_BODY 0x1u       /* Content-Length above 0, chunked, or HTTP/2 data */
#define APPCORE_UPGRADABLE 0x2u     /* upgrade() may be asked for: HTTP/1.1 */
#define APPCORE_UPGRADE_ASKED 0x4u  /* the client sent Connection: upgrade */
#define APPCORE_CONNECT 0x8u    /* extended CONNECT (RFC 8441): info.connect_protocol */
#define APPCORE_TLS 0x10u
#define APPCORE_TRAILERS 0x20u      /* trailer() reaches the client */
#define APPCORE_EXPECTS_100 0x40u   /* the first read() sends 100 Continue */
#define APPCORE_BLOCKING 0x80u  /* APPCORE_NONBLOCK is not kept: HTTP/2 streams */

typedef struct appcore_info {
    size_t size;
    uint32_t flags;
    uint16_t remote_port, local_port;
    int64_t content_length;     /* -1: not known beforehand */
    appcore_str method, protocol, scheme, authority;
    appcore_str target;         /* as the client sent it */
    appcore_str path_base;      /* where the app is mounted, "" at the root */
    appcore_str path;           /* below it: decoded but for %2F, no dot segments */
    appcore_str query;          /* without the question mark */
    appcore_str remote_address, local_address;  /* the client's as mod_remoteip says */
    appcore_str request_id, connection_id;
    appcore_str user, auth_type;    /* as httpd authenticated; "" if it did not */
    appcore_str connect_protocol;
    const appcore_field *fields;    /* the client's, less what the host answers for */
    size_t n_fields;
} appcore_info;

/* Levels of log(), httpd's. */
enum {
    APPCORE_LOG_ERROR = 3, APPCORE_LOG_WARNING, APPCORE_LOG_NOTICE, APPCORE_LOG_INFO,
    APPCORE_LOG_DEBUG, APPCORE_LOG_TRACE
};

/* read(), write(), sendfile() */
#define APPCORE_NONBLOCK 0x1u   /* rather APPCORE_AGAIN than wait for the client; but
                                 * see APPCORE_BLOCKING */
#define APPCORE_FLUSH 0x2u      /* the client is to have it now */
#define APPCORE_LAST 0x4u       /* nothing follows */

/* on_io() */
#define APPCORE_READABLE 0x1u
#define APPCORE_WRITABLE 0x2u

/* Why an app did not start; started(). */
typedef struct appcore_failure {
    size_t size;
    int32_t substatus;          /* of 500, as ANCM numbers them: 30 to 38; 0: 30 */
    int32_t exit_code;
    appcore_str what;           /* one sentence */
    appcore_str evidence;       /* lines, for detailed errors and the log */
} appcore_failure;

/* What the host does for the app. One per app and process; lives as long as that. */
typedef struct appcore_host {
    size_t size;
    uint32_t version;           /* APPCORE_ABI */
    uint32_t flags;             /* none yet */

    /* Status (200 to 999), reason, which may be empty, and header fields, once;
     * APPCORE_INVALID if they were said before, are none that HTTP allows, or too many
     * (1000 fields, 256 KiB). Nothing goes out before the first write(). Content-Length,
     * if given, is kept to: write() takes no more, and the client of an answer that ends
     * before sees that it is cut off. Transfer-Encoding and Connection are the host's
     * affair. What is written to HEAD, 204 and 304 is counted and dropped. */
    int (*start)(appcore_request, int status, appcore_str reason,
                 const appcore_field *fields, size_t n);
    /* start(), the body and its end in one; a Content-Length is added. */
    int (*respond)(appcore_request, int status, appcore_str reason,
                   const appcore_field *fields, size_t n,
                   const struct iovec *body, size_t n_body);
    /* An interim response, 100 to 199 but for 101, before start(). A client of HTTP/1.0
     * gets none, which is no fault. */
    int (*inform)(appcore_request, int status, const appcore_field *fields, size_t n);
    /* How many bytes were taken; fewer than given, or APPCORE_AGAIN for none, only with
     * APPCORE_NONBLOCK (and what was not taken, APPCORE_LAST included, is to be written
     * again). Without start() the status is 200. Without APPCORE_FLUSH the host may keep
     * a little, at most until the request ends. */
    int64_t (*write)(appcore_request, const struct iovec *data, size_t n,
                     uint32_t flags);
    /* A part of a regular file; length -1: to its end. The path is opened by the
     * host, with the rights of httpd's User. What the client does not take yet goes out
     * later; but where httpd has to read the file itself (TLS, HTTP/2, a filter that
     * changes bodies) this waits for the client, or with APPCORE_NONBLOCK answers
     * APPCORE_UNSUPPORTED: read it, and write() it. */
    int (*sendfile)(appcore_request, appcore_str path, int64_t offset, int64_t length,
                    uint32_t flags);
    int (*trailer)(appcore_request, appcore_str name, appcore_str value);
    /* Of the body, or of an upgraded connection: bytes read, 0 at the end. A size of 0
     * is APPCORE_INVALID. What is left of a body when the request ends is the host's
     * affair. */
    int64_t (*read)(appcore_request, void *data, size_t size, uint32_t flags);
    /* 101 (extended CONNECT: 200) with these fields goes out; from then on read() and
     * write() are a stream in both directions. LAST ends ours. */
    int (*upgrade)(appcore_request, const appcore_field *fields, size_t n);

    /* Any thread. fn is called once, soon, perhaps before post() returns: with
     * APPCORE_OK as a callback of the request, or with APPCORE_GONE, on any thread,
     * where only data is to be freed. It is not called when post() answers anything but
     * APPCORE_OK, nor after shutdown(). */
    int (*post)(appcore_request,
                void (*fn)(void *app, appcore_request, void *data, int result),
                void *data);
    /* Any thread, once: a request that handle() leaves pending has its answer. What was
     * posted before is run before. result: APPCORE_OK, or APPCORE_FAILED: 500 if
     * nothing was sent, else the client sees that it is cut off. APPCORE_OK without any
     * answer is APPCORE_FAILED. */
    int (*complete)(appcore_request, int result);
    /* Any thread: 1 if the client is gone, 0 if it is there as far as is known. */
    int (*aborted)(appcore_request);
    /* Any thread: cuts the client off; the request is still to be completed. */
    int (*abort)(appcore_request);

    /* Variables of the request as httpd knows them: SSL_CLIENT_CERT, HTTPS, what
     * SetEnv and mod_rewrite set; of a user APPCORE_GROUPS, a group in each line.
     * APPCORE_ABSENT: not defined. */
    int (*var_get)(appcore_request, appcore_str name, appcore_str *value);
    /* Seen by var_get() and in access logs as %{name}e; a NULL p removes it. */
    int (*var_set)(appcore_request, appcore_str name, appcore_str value);
    /* Of the request: the largest body read() accepts, -1: no limit. Before the
     * first read(), else APPCORE_INVALID. */
    int (*limit_body)(appcore_request, int64_t size);
    /* The client's connection is closed after this response. */
    int (*close_connection)(appcore_request);

    /* Any thread; request 0: of the app. Whole lines. */
    void (*log)(const struct appcore_host *, appcore_request, int level, appcore_str);
    /* The most talkative level that is logged. */
    int (*log_level)(const struct appcore_host *, appcore_request);

    /* Any thread, once, if init() answers APPCORE_PENDING, perhaps before it does: NULL
     * if the app takes requests from now on. */
    void (*started)(const struct appcore_host *, const appcore_failure *);
    /* Any thread, once: the app has ended; httpd replaces the child. New connections wait
     * for the new one; what still comes on those of this one is answered with 503 and
     * Retry-After. */
    void (*ended)(const struct appcore_host *, int exit_code, appcore_str why);
    /* Any thread: abort(), and over HTTP/2 the client is told this code (RFC 9113, 7),
     * if it is 1 to 99 and no answer has begun; else httpd chooses one. */
    int (*reset)(appcore_request, uint32_t code);
    /* Any thread: the app wants another process. httpd replaces the child, and no request
     * is refused if the app serves all that still come until shutdown(). */
    void (*replace)(const struct appcore_host *, appcore_str why);
} appcore_host;

/* What init() gets; lives as long as the process. */
typedef struct appcore_config {
    size_t size;
    uint32_t version;           /* APPCORE_ABI */
    uint32_t flags;
    appcore_str name;           /* of the app in messages */
    appcore_str folder, file;   /* AppCorePath, and the shared object */
    appcore_str path_base;
    const appcore_field *environment;   /* AppCoreEnvironmentVariable and web.config */
    size_t n_environment;
    const appcore_field *settings;      /* AppCoreHandlerSetting, and the host's own */
    size_t n_settings;
    const appcore_str *arguments;
    size_t n_arguments;
    const appcore_str *addresses;       /* http://name:port/base of its virtual hosts */
    size_t n_addresses;
    uint32_t workers;           /* threads of this process that may call handle() */
    uint32_t processes;         /* how many copies of the app httpd may run */
    uint32_t startup_ms, shutdown_ms;
} appcore_config;

/* appcore_config.flags */
#define APPCORE_DETAILED_ERRORS 0x1u

/* handle(). Anything else is taken as APPCORE_FAILED, with what complete() says of that.
 * init() answers one of OK, PENDING and FAILED. */
#define APPCORE_DONE 0          /* the answer is complete; without any: APPCORE_FAILED */
#define APPCORE_PENDING 1       /* complete() follows */
#define APPCORE_DECLINED 2      /* not the app's, which neither read nor answered: httpd
                                 * goes on with the request */

/* appcore_app.flags */
#define APPCORE_NO_UNLOAD 0x1u      /* never dlclose()d: it brings a runtime */
#define APPCORE_SINGLE_PROCESS 0x2u /* several copies at a time are not wanted */
#define APPCORE_THREAD_SAFE 0x4u    /* else callbacks of two requests do not overlap,
                                     * but for on_disconnect() */

/* What the app does. Everything but handle may be NULL. app is what init() set. */
typedef struct appcore_app {
    size_t size;
    uint32_t version;           /* APPCORE_ABI */
    uint32_t flags;

    /* Once per process, after it was forked, before any other. May take
     * its time only by answering APPCORE_PENDING. On APPCORE_FAILED, failure may say
     * why: strings that live on. */
    int (*init)(const appcore_host *, const appcore_config *, void **app,
                appcore_failure *failure);
    /* *data is NULL, and the app's to set here: other callbacks of the request get it
     * (on_disconnect(), where handle() has not set it yet, NULL). release() is where it
     * is freed, since on_disconnect() may be looking at it. */
    int (*handle)(void *app, appcore_request, const appcore_info *, void **data);
    /* After APPCORE_AGAIN: it is worth trying again. Not before handle() has answered
     * APPCORE_PENDING. */
    void (*on_io)(void *app, appcore_request, void *data, uint32_t events);
    /* The client is gone; at most once, within a second, on any thread, perhaps beside
     * another callback of the request. The request is still to be completed, which is
     * APPCORE_GONE if httpd has closed the connection under it. */
    void (*on_disconnect)(void *app, appcore_request, void *data);
    /* The first callback on a thread comes after it, the last before; init() and
     * shutdown() apart. Threads that live on when shutdown() is called do not detach. */
    void (*thread_attach)(void *app);
    void (*thread_detach)(void *app);
    /* Any thread, once: this process gets no new connections any more. */
    void (*quiesce)(void *app);
    /* Any thread, once. Nothing is called afterwards. Pending requests are completed or
     * lost. */
    void (*shutdown)(void *app, uint32_t limit_ms);
    /* The request has ended, its number leads nowhere, and none of its callbacks runs
     * any more: once for every request whose *data is not NULL, on any thread. */
    void (*release)(void *app, appcore_request, void *data);
} appcore_app;

/* The one symbol an app exports. NULL: it cannot run here. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const appcore_app *appcore_app_v1(void);

#ifdef __cplusplus
}
#endif

#endif
