/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_HTTP1_FIELDS_H
#define AC_HTTP1_FIELDS_H

/* What happens to a request's header fields on their way to the app: the rules of
 * docs/contract.md. Pure functions over tables; the caller supplies every fact.
 *
 * From the client nothing arrives that only we may say: names that begin with
 * MS-ASPNETCORE or APPCORE-, Proxy, X-Sendfile-Type, X-Accel-*, SCRIPT_NAME and
 * PATH_INFO (gunicorn takes its path from such fields), hop-by-hop fields and
 * what Connection names, Host excepted. Apps see header names as variables, so
 * every byte that is neither letter nor digit counts as a hyphen here.
 *
 * X-Forwarded-*, Forwarded, X-Real-IP, X-Request-ID, X-Request-Start,
 * X-Original-URL and X-Rewrite-URL are kept from a trusted proxy if they are
 * spelt with hyphens, otherwise removed. Then
 *   -For        is the client, behind what a trusted proxy said;
 *   -Proto      is the last one a trusted proxy said (Forwarded counts too), else
 *               the scheme; a list for ASP.NET Core, one word for others, which
 *               mostly read the value as a whole;
 *   -Host       is the trusted proxy's, else Host; -Prefix the trusted proxy's
 *               followed by the mount; neither for ASP.NET Core;
 *   Forwarded   is extended if a trusted proxy sent one, never made;
 *   X-Real-IP   is the trusted proxy's, else the client; not for ASP.NET Core;
 *   X-Request-* are the trusted proxy's if believable, else ours;
 *   -User and -Groups are ours where httpd knows the user, else the trusted
 *               proxy's. ASP.NET Core is told ours in MS-ASPNETCORE-USER, -AUTHTYPE
 *               and -ROLES, with %XX for "%", "," and what is no visible ASCII.
 *
 * Names and values in a result point into the table given and into the facts:
 * both live at least as long as p. */

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include "appcore.h"

typedef enum ac_upgrade_e {
    AC_UPGRADE_NONE = 0,
    AC_UPGRADE_WEBSOCKET,
    AC_UPGRADE_OTHER
} ac_upgrade_e;

typedef struct ac_fields_facts_t {
    int trusted;                /* the peer is an AppCoreTrustedProxy */
    int ancm;                   /* ASP.NET Core */
    const char *client_ip;      /* mod_remoteip's result if any */
    unsigned client_port;       /* 0 unknown */
    const char *scheme;         /* "http" or "https" of this connection */
    const char *host;           /* Host header as received */
    const char *prefix;         /* mount, "" for root */
    const char *token;          /* "" or NULL: none */
    const char *client_cert;    /* PEM or base64 DER as found; NULL: none */
    const char *user;           /* authenticated user or NULL */
    const char *auth_type;
    const apr_array_header_t *groups;   /* of the user, const char *; NULL: none */
    int identity_allowed;       /* token checked or our socket: user may be named */
    const char *request_id;     /* made when the client has no believable one */
    apr_time_t received;        /* r->request_time */
    ac_upgrade_e upgrade;       /* what Upgrade may pass */
    int trailers_ok;            /* client sent TE: trailers and may get them */
    int expect;                 /* Expect: 100-continue may pass, with a body */
} ac_fields_facts_t;

typedef enum ac_body_e { AC_BODY_NONE = 0, AC_BODY_LENGTH, AC_BODY_CHUNKED } ac_body_e;

/* A table in p for the app; `in` is not changed. body and length choose the one
 * framing field (a POST without a body wants AC_BODY_LENGTH and 0). NULL with
 * *perror set when a field is unacceptable: a control byte but HTAB in a value,
 * a name that is no token. */
apr_table_t *ac_fields_request(const apr_table_t *in, const ac_fields_facts_t *facts,
                               ac_body_e body, apr_int64_t length, const char **perror,
                               apr_pool_t *p);

/* The same for an app inside httpd, which is told of its client otherwise: of what
 * we say ourselves only framing and upgrade, and what a trusted proxy said as it said
 * it. Elements are appcore_field. */
apr_array_header_t *ac_fields_inside(const apr_table_t *in,
                                     const ac_fields_facts_t *facts, ac_body_e body,
                                     apr_int64_t length, const char **perror,
                                     apr_pool_t *p);

/* Which upgrade a request asks for: Connection names upgrade and Upgrade is
 * given on a GET without body. An upgrade to h2c is none. */
ac_upgrade_e ac_fields_upgrade(const apr_table_t *in, const char *method);

/* 1 iff no rule concerns the name: it passes from everybody (case-insensitive, any
 * byte that is neither letter nor digit equals '-'). */
int ac_fields_plain(const char *name);

/* Serialises "METHOD target HTTP/1.1", fields and the empty line, in one
 * allocation. The fields come from ac_fields_request(). */
const char *ac_fields_head(const char *method, const char *target,
                           const apr_table_t *fields, apr_size_t *plen, apr_pool_t *p);

#endif
