/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_MANAGER_PORT_H
#define AC_MANAGER_PORT_H

/* Loopback ports: drawing one for an app, and who listens to it. Also the
 * pairing token that goes with it. No function blocks. */

#include <stdint.h>
#include <apr_errno.h>
#include "shared/board.h"

#define AC_PORT_TRIES 50

/* Uniform in 1025–32767: below the range from which the kernel takes the source
 * ports of clients, so that none of them holds it by chance. */
uint32_t ac_port_draw(void);
/* 1 if nothing listens to it on any address. */
int ac_port_is_free(uint32_t port);

typedef struct ac_port_query_t {
    uint32_t port;
    uint32_t uid;               /* who should listen */
    int ipv6;                   /* the client is ::1, not 127.0.0.1 */
} ac_port_query_t;

typedef struct ac_port_owner_t {
    int found;                  /* somebody listens where that client ends up */
    int exact;                  /* on the loopback address itself */
    int everywhere;             /* on all addresses */
    int foreign;                /* … and is not the user asked for, but: */
    uint32_t foreign_uid;
} ac_port_owner_t;

/* Who answers such a client? */
void ac_port_owner(ac_port_owner_t *owner, const ac_port_query_t *query);
/* What one line of /proc/net/tcp (or tcp6) adds; any other line adds nothing. */
void ac_port_line(ac_port_owner_t *owner, const ac_port_query_t *query, const char *line);

/* 36 characters, 8-4-4-4-12 hexadecimal digits, from the kernel's random source. */
void ac_token_draw(char token[AC_TOKEN_LEN + 1]);

#endif
