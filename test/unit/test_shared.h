/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_TEST_SHARED_H
#define AC_TEST_SHARED_H

#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <check.h>
#include <apr_general.h>
#include <apr_pools.h>

extern apr_pool_t *p;           /* made and destroyed around every test */

/* With the fixture that makes p, before any other fixture. */
TCase *case_create(const char *name);

TCase *board_case(void);
TCase *rows_case(void);
TCase *message_case(void);
TCase *report_case(void);

/* A child runs body and ends with its result. */
#define CHILD(pid, body) \
    do { \
        pid = fork(); \
        ck_assert_int_ge(pid, 0); \
        if (pid == 0) { \
            _exit(body); \
        } \
    } while (0)

static inline int child_status(pid_t pid)
{
    int status = -1;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

#endif
