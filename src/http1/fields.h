/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_HTTP1_FIELDS_H
#define AC_HTTP1_FIELDS_H

/* What happens to a request's header fields on their way to the app: design.md
 * section 4. Pure functions over tables; the caller supplies every fact.
 *
 * From the client nothing arrives that only we may say: names that begin with
 * MS-ASPNETCORE or APPCORE- (also with underscores for hyphens), Proxy,
 * X-Sendfile-Type, X-Accel-*, hop-by-hop fields and what Connection names. X-Forwarded-*,
 * Forwarded, X-Real-IP, X-Request-ID and X-Request-Start are kept and extended
 * from a trusted proxy, otherwise removed and set anew. */

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

typedef enum ac_upgrade_e { AC_UPGRADE_NONE = 0, AC_UPGRADE_WEBSOCKET, AC_UPGRADE_OTHER } ac_upgrade_e;

typedef struct ac_fields_facts_t {
    int trusted;                /* the peer is an AppCoreTrustedProxy */
    int ancm;                   /* ASP.NET Core: -For with port, -Proto, no -Host/-Prefix */
    const char *client_ip;      /* mod_remoteip's result if any */
    unsigned client_port;       /* 0 unknown */
    const char *scheme;         /* "http" or "https" of this connection */
    const char *host;           /* Host header as received */
    const char *prefix;         /* mount, "" for root */
    const char *token;          /* "" or NULL: none */
    const char *client_cert;    /* PEM or base64 DER as found; NULL: none */
    const char *user;           /* authenticated user or NULL */
    const char *auth_type;
    int identity_allowed;       /* token checked or our socket: user may be named */
    const char *request_id;     /* made when the client has no believable one */
    apr_time_t received;        /* r->request_time */
    ac_upgrade_e upgrade;       /* what Upgrade may pass */
    int trailers_ok;            /* client sent TE: trailers and may get them */
} ac_fields_facts_t;

typedef enum ac_body_e { AC_BODY_NONE = 0, AC_BODY_LENGTH, AC_BODY_CHUNKED } ac_body_e;

/* A table in p for the app; `in` is not changed. body and length choose the one
 * framing field. NULL with *perror set when a field is unacceptable (CR, LF or
 * NUL in a value, a name that is no token). */
apr_table_t *ac_fields_request(const apr_table_t *in, const ac_fields_facts_t *facts,
                               ac_body_e body, apr_int64_t length, const char **perror,
                               apr_pool_t *p);

/* Which upgrade a request asks for: Connection names upgrade and Upgrade is
 * given on a GET without body. */
ac_upgrade_e ac_fields_upgrade(const apr_table_t *in, const char *method);

/* 1 iff the name may only be said by us (case-insensitive, '_' equals '-'). */
int ac_fields_reserved(const char *name);

/* Serialises "METHOD target HTTP/1.1", fields and the empty line. */
const char *ac_fields_head(const char *method, const char *target,
                           const apr_table_t *fields, apr_size_t *plen, apr_pool_t *p);

#endif
