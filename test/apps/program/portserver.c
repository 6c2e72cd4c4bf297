/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* A plain program that knows nothing but $PORT: the simplest app that can be
 * mounted, and the backend of the benchmark, which may also give it a socket:
 *
 *   PORT=8000 portserver
 *   portserver --socket PATH | --fd N
 *
 * HTTP/1.1 with keep-alive, one thread per connection. The paths are those of
 * the other sample apps: see the table `routes`. */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (64 * 1024)
#define FIELDS 128
#define BYTES_MAX (16 * 1024 * 1024)

typedef struct field_t {
    char *name;
    char *value;
} field_t;

/* One connection and the request that it is at. */
typedef struct conn_t {
    int fd;
    size_t pos, len;            /* unread bytes of buf */
    char buf[BUFFER];
    char head[BUFFER + 1];      /* the request's head, cut into the strings below */
    char *method, *path, *query;
    field_t fields[FIELDS];
    int n_fields;
    int chunked, expects, closing;
    size_t body_left;           /* of the body, or of the chunk at hand */
} conn_t;

extern char **environ;

static int send_all(conn_t *c, const char *head, size_t head_len,
                    const char *body, size_t body_len)
{
    struct iovec iov[2] = {
        { (void *)head, head_len }, { (void *)body, body_len }
    };
    int first = head_len == 0;

    while (first < 2 && iov[1].iov_len + (first ? 0 : iov[0].iov_len)) {
        ssize_t n = writev(c->fd, iov + first, 2 - first);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            c->closing = 1;
            return 0;
        }
        for (; first < 2 && (size_t)n >= iov[first].iov_len; first++) {
            n -= (ssize_t)iov[first].iov_len;
        }
        if (first < 2) {
            iov[first].iov_base = (char *)iov[first].iov_base + n;
            iov[first].iov_len -= (size_t)n;
        }
    }
    return 1;
}

static void respond(conn_t *c, int status, const char *type, const char *body,
                    size_t len)
{
    char head[256];
    int n = snprintf(head, sizeof(head), "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n"
                     "Content-Length: %zu\r\n%s\r\n",
                     status, status < 400 ? "OK" : "Error", type, len,
                     c->closing ? "Connection: close\r\n" : "");

    send_all(c, head, (size_t)n, body, strcmp(c->method, "HEAD") ? len : 0);
}

static void respond_text(conn_t *c, int status, const char *text)
{
    respond(c, status, "text/plain", text, strlen(text));
}

static int begin_chunked(conn_t *c, const char *type)
{
    char head[256];
    int n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Type: %.100s\r\n"
                     "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n",
                     type);

    return send_all(c, head, (size_t)n, NULL, 0);
}

/* An empty chunk ends the body, so len 0 is the last call. */
static int send_chunk(conn_t *c, const char *data, size_t len)
{
    char size[32];
    int n = snprintf(size, sizeof(size), "%zx\r\n", len);

    return send_all(c, size, (size_t)n, data, len) && send_all(c, "\r\n", 2, NULL, 0);
}

static int fill(conn_t *c)
{
    ssize_t n;

    if (c->pos == c->len) {
        c->pos = c->len = 0;
    }
    if (c->len == BUFFER) {
        memmove(c->buf, c->buf + c->pos, c->len - c->pos);
        c->len -= c->pos;
        c->pos = 0;
    }
    do {
        n = c->len < BUFFER ? read(c->fd, c->buf + c->len, BUFFER - c->len) : 0;
    } while (n < 0 && errno == EINTR);
    c->len += n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* The next line without its end, or NULL; valid until the next read. */
static char *read_line(conn_t *c)
{
    char *line, *end;

    while (!(end = memchr(c->buf + c->pos, '\n', c->len - c->pos))) {
        if (!fill(c)) {
            return NULL;
        }
    }
    line = c->buf + c->pos;
    c->pos = (size_t)(end - c->buf) + 1;
    if (end > line && end[-1] == '\r') {
        end--;
    }
    *end = '\0';
    return line;
}

static const char *field(const conn_t *c, const char *name)
{
    for (int i = 0; i < c->n_fields; i++) {
        if (strcasecmp(c->fields[i].name, name) == 0) {
            return c->fields[i].value;
        }
    }
    return NULL;
}

static int next_chunk(conn_t *c)
{
    char *line = read_line(c);

    if (line && *line == '\0') {
        line = read_line(c);
    }
    if (!line || !isxdigit((unsigned char)*line)) {
        c->closing = 1;
        return 0;
    }
    c->body_left = strtoul(line, NULL, 16);
    if (c->body_left == 0) {
        c->chunked = 0;
        while ((line = read_line(c)) && *line) {
            /* trailers say nothing to us */
        }
    }
    return c->body_left > 0;
}

/* Some of the request's body; 0 at its end or when the peer is gone. */
static size_t read_body(conn_t *c, const char **pdata)
{
    size_t n;

    if (c->body_left == 0 && !(c->chunked && next_chunk(c))) {
        return 0;
    }
    if (c->expects) {
        c->expects = 0;
        send_all(c, "HTTP/1.1 100 Continue\r\n\r\n", 25, NULL, 0);
    }
    if (c->pos == c->len && !fill(c)) {
        c->closing = 1;
        c->chunked = 0;
        return c->body_left = 0;
    }
    n = c->len - c->pos < c->body_left ? c->len - c->pos : c->body_left;
    *pdata = c->buf + c->pos;
    c->pos += n;
    c->body_left -= n;
    return n;
}

static long query_number(const conn_t *c, const char *name, long otherwise)
{
    size_t len = strlen(name);

    for (const char *at = c->query; at; at = strchr(at, '&')) {
        at += *at == '&';
        if (strncmp(at, name, len) == 0 && at[len] == '=') {
            return strtol(at + len + 1, NULL, 10);
        }
    }
    return otherwise;
}

static void pause_ms(long ms)
{
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

    while (nanosleep(&ts, &ts) != 0 && errno == EINTR) {
        /* the rest of the time is in ts */
    }
}

static void put_json_string(FILE *f, const char *s, size_t len)
{
    putc('"', f);
    for (size_t i = 0; i < len; i++) {
        unsigned char ch = (unsigned char)s[i];

        if (ch < 0x20 || ch == '"' || ch == '\\' || ch >= 0x7f) {
            fprintf(f, "\\u%04x", ch);
        }
        else {
            putc(ch, f);
        }
    }
    putc('"', f);
}

static void put_json_pair(FILE *f, const char *name, size_t name_len, const char *value)
{
    put_json_string(f, name, name_len);
    fputs(": ", f);
    put_json_string(f, value, strlen(value));
}

static void get_root(conn_t *c)
{
    char text[64];

    snprintf(text, sizeof(text), "Hello from a plain program, process %d\n", getpid());
    respond_text(c, 200, text);
}

static void get_headers(conn_t *c)
{
    char *json = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&json, &len);

    fputs("{", f);
    put_json_pair(f, "method", 6, c->method);
    fputs(", ", f);
    put_json_pair(f, "path", 4, c->path);
    fputs(", \"headers\": {", f);
    for (int i = 0; i < c->n_fields; i++) {
        fputs(i ? ",\n  " : "\n  ", f);
        put_json_pair(f, c->fields[i].name, strlen(c->fields[i].name),
                      c->fields[i].value);
    }
    fputs("\n}}\n", f);
    fclose(f);
    respond(c, 200, "application/json", json, len);
    free(json);
}

static void get_env(conn_t *c)
{
    char *json = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&json, &len);

    fputs("{", f);
    for (char **e = environ; *e; e++) {
        const char *eq = strchrnul(*e, '=');

        fputs(e == environ ? "\n  " : ",\n  ", f);
        put_json_pair(f, *e, (size_t)(eq - *e), *eq ? eq + 1 : "");
    }
    fputs("\n}\n", f);
    fclose(f);
    respond(c, 200, "application/json", json, len);
    free(json);
}

static void any_echo(conn_t *c)
{
    const char *type = field(c, "Content-Type");
    const char *data = NULL;
    /* Before the head of the response: a client that expects 100-continue takes
     * a final status as a refusal of its body. */
    size_t n = read_body(c, &data);
    int ok = begin_chunked(c, type ? type : "application/octet-stream");

    while (ok && n > 0) {
        ok = send_chunk(c, data, n);
        n = ok ? read_body(c, &data) : 0;
    }
    if (ok) {
        send_chunk(c, NULL, 0);
    }
}

static void get_slow(conn_t *c)
{
    pause_ms(query_number(c, "ms", 1000));
    respond_text(c, 200, "done\n");
}

static void get_stream(conn_t *c)
{
    long count = query_number(c, "n", 5);
    long ms = query_number(c, "ms", 200);
    int ok = begin_chunked(c, "text/event-stream");

    for (long i = 1; ok && i <= count; i++) {
        char event[64];
        int n = snprintf(event, sizeof(event), "data: %ld\n\n", i);

        ok = send_chunk(c, event, (size_t)n);
        if (i < count) {
            pause_ms(ms);
        }
    }
    if (ok) {
        send_chunk(c, NULL, 0);
    }
}

static void get_bytes(conn_t *c)
{
    static char bytes[BYTES_MAX];
    long n = query_number(c, "n", 1024);

    respond(c, 200, "application/octet-stream", bytes,
            n < 0 ? 0 : n > BYTES_MAX ? BYTES_MAX : (size_t)n);
}

static void get_status(conn_t *c)
{
    long code = query_number(c, "code", 200);

    respond_text(c, code >= 200 && code <= 599 ? (int)code : 400, "status\n");
}

static void get_pid(conn_t *c)
{
    char text[32];

    snprintf(text, sizeof(text), "%d\n", getpid());
    respond_text(c, 200, text);
}

static void get_exit(conn_t *c)
{
    respond_text(c, 200, "leaving\n");
    exit((int)query_number(c, "code", 0));
}

static void get_crash(conn_t *c)
{
    fprintf(stderr, "crashing on request, connection %d\n", c->fd);
    abort();
}

static const struct {
    const char *path;
    void (*answer)(conn_t *c);
} routes[] = {
    { "/", get_root },
    { "/headers", get_headers },        /* method, path and headers as JSON */
    { "/echo", any_echo },              /* the request's body */
    { "/slow", get_slow },              /* ?ms= */
    { "/stream", get_stream },          /* events; ?n= and ?ms= between them */
    { "/bytes", get_bytes },            /* ?n= */
    { "/status", get_status },          /* ?code= */
    { "/env", get_env },                /* the environment as JSON */
    { "/pid", get_pid },
    { "/exit", get_exit },              /* ?code= */
    { "/crash", get_crash },
};

/* The path below the URL prefix at which the app is mounted. */
static const char *path_in_app(const conn_t *c)
{
    const char *prefix = field(c, "X-Forwarded-Prefix");
    size_t len = prefix ? strlen(prefix) : 0;

    if (len && strncmp(c->path, prefix, len) == 0 && strchr("/", c->path[len])) {
        return c->path[len] ? c->path + len : "/";
    }
    return c->path;
}

static void answer(conn_t *c)
{
    const char *path = path_in_app(c);
    const char *data;

    for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
        if (strcmp(routes[i].path, path) == 0) {
            routes[i].answer(c);
            break;
        }
        if (i + 1 == sizeof(routes) / sizeof(*routes)) {
            respond_text(c, 404, "no such path\n");
        }
    }
    while (!c->closing && read_body(c, &data) > 0) {
        /* what the route did not want */
    }
}

static int parse_request_line(conn_t *c, char *line)
{
    char *save = NULL;
    char *version;

    c->method = strtok_r(line, " ", &save);
    c->path = strtok_r(NULL, " ", &save);
    version = strtok_r(NULL, " ", &save);
    if (!version || c->path[0] != '/') {
        return 0;
    }
    c->query = strchr(c->path, '?');
    if (c->query) {
        *c->query++ = '\0';
    }
    c->closing = strcmp(version, "HTTP/1.1") != 0;
    return 1;
}

static int parse_field(conn_t *c, char *line)
{
    char *colon = strchr(line, ':');
    field_t *f = &c->fields[c->n_fields];

    if (!colon || c->n_fields == FIELDS) {
        return 0;
    }
    *colon = '\0';
    f->name = line;
    f->value = colon + 1 + strspn(colon + 1, " \t");
    c->n_fields++;
    return 1;
}

static void apply_fields(conn_t *c)
{
    const char *length = field(c, "Content-Length");
    const char *coding = field(c, "Transfer-Encoding");
    const char *connection = field(c, "Connection");
    const char *expect = field(c, "Expect");

    c->chunked = coding != NULL;
    c->body_left = length && !coding ? strtoul(length, NULL, 10) : 0;
    c->expects = expect && strcasecmp(expect, "100-continue") == 0;
    if (connection && strcasecmp(connection, "close") == 0) {
        c->closing = 1;
    }
}

/* Lines are copied into head, where they outlive further reads. */
static char *keep_line(conn_t *c, size_t *pused)
{
    char *line = read_line(c);
    char *kept = c->head + *pused;
    size_t len;

    if (!line || *pused + (len = strlen(line)) + 1 > sizeof(c->head)) {
        return NULL;
    }
    memcpy(kept, line, len + 1);
    *pused += len + 1;
    return kept;
}

static int read_request(conn_t *c)
{
    size_t used = 0;
    char *line = keep_line(c, &used);

    c->n_fields = 0;
    if (!line || !parse_request_line(c, line)) {
        return 0;
    }
    while ((line = keep_line(c, &used)) && *line) {
        if (!parse_field(c, line)) {
            return 0;
        }
    }
    apply_fields(c);
    return line != NULL;
}

static void *serve(void *data)
{
    conn_t *c = data;

    do {
        if (!read_request(c)) {
            break;
        }
        answer(c);
    } while (!c->closing);
    close(c->fd);
    free(c);
    return NULL;
}

static int listen_on(const struct sockaddr *address, socklen_t len)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, address, len) != 0 || listen(fd, 511) != 0) {
        perror("portserver: listen");
        exit(EXIT_FAILURE);
    }
    return fd;
}

static int listen_on_port(const char *port)
{
    struct sockaddr_in in = { .sin_family = AF_INET };

    in.sin_port = htons((in_port_t)atoi(port));
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return listen_on((struct sockaddr *)&in, sizeof(in));
}

static int listen_on_path(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    return listen_on((struct sockaddr *)&un, sizeof(un));
}

static int listener(int argc, char **argv)
{
    const char *port = getenv("PORT");

    if (argc == 3 && strcmp(argv[1], "--fd") == 0) {
        return atoi(argv[2]);
    }
    if (argc == 3 && strcmp(argv[1], "--socket") == 0) {
        return listen_on_path(argv[2]);
    }
    if (argc > 1 || !port) {
        fprintf(stderr, "usage: PORT=N %s [--socket PATH | --fd N]\n", argv[0]);
        exit(EXIT_FAILURE);
    }
    return listen_on_port(port);
}

static void accept_one(int listening)
{
    conn_t *c;
    pthread_t thread;
    int on = 1;
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0) {
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c = calloc(1, sizeof(*c));
    if (c) {
        c->fd = fd;
    }
    if (!c || pthread_create(&thread, NULL, serve, c) != 0) {
        close(fd);
        free(c);
        return;
    }
    pthread_detach(thread);
}

static void leave(int sig)
{
    (void)sig;
    _exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
    int listening = listener(argc, argv);

    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, leave);
    signal(SIGINT, leave);
    printf("portserver: process %d is listening\n", getpid());
    fflush(stdout);
    for (;;) {
        accept_one(listening);
    }
}
