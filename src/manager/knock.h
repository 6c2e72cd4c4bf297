/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_MANAGER_KNOCK_H
#define AC_MANAGER_KNOCK_H

/* Would an app take a connection? One is begun to find out. Nothing is sent and
 * nobody waits: no function blocks. */

#include <stdint.h>

typedef enum ac_knock_e {
    AC_KNOCK_TAKEN = 0,         /* by the kernel: perhaps not accepted yet */
    AC_KNOCK_REFUSED,           /* nobody listens */
    AC_KNOCK_UNKNOWN            /* full backlog, no descriptor left, … */
} ac_knock_e;

/* The connection to the unix socket is the caller's to close; *pfd is -1 where
 * there is none. */
ac_knock_e ac_knock_path(const char *path, int *pfd);
/* A connection to that port of loopback, perhaps not established yet, or -1. */
int ac_knock_port_open(uint32_t port, int ipv6);
/* Also ends the connection. */
ac_knock_e ac_knock_port(uint32_t port, int ipv6);

#endif
