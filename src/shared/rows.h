/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SHARED_ROWS_H
#define AC_SHARED_ROWS_H

/* Rows: what httpd's children count, for each other and for the manager.
 *
 * One mapping per httpd parent, a sparse memfd writable by every child, so
 * nothing in it is more than a number to anybody with privileges. Shared words
 * hold totals over the server (in flight per process, waiting per app); each
 * child notes its own share in its row first, so that the manager can give a
 * dead child's share back. A row belongs to one child, claimed by
 * compare-and-swap on its pid and released by the manager when that pid ended.
 *
 * Any thread of a child; no function blocks. The order of the two stores in a
 * take is row, then total, and in a put total, then row: a child killed in
 * between leaves a share that the manager subtracts at worst once too little,
 * and totals are clamped at zero. */

#include <stdint.h>
#include <apr_errno.h>
#include <apr_pools.h>
#include "shared/board.h"

#define AC_ROWS 1024

typedef struct ac_rows_t ac_rows_t;

apr_status_t ac_rows_create(int *pfd);
apr_status_t ac_rows_map(int fd, ac_rows_t **prows, apr_pool_t *p);

/* Child: claims a row for this process; -1 when all are taken. */
int ac_rows_claim(ac_rows_t *rows, uint32_t pid);
/* Manager: gives all shares of the row back and frees it. */
void ac_rows_release(ac_rows_t *rows, int row);
/* The pid in a row, 0 if free. A number written by others: verify it. */
uint32_t ac_rows_pid(const ac_rows_t *rows, int row);

/* Requests in flight to a process, over the whole server. */
void ac_rows_proc_take(ac_rows_t *rows, int row, unsigned proc);
void ac_rows_proc_put(ac_rows_t *rows, int row, unsigned proc);
uint32_t ac_rows_proc_count(const ac_rows_t *rows, unsigned proc);
/* The same as a take where it leaves no more than limit in flight, else 0. */
int ac_rows_proc_take_below(ac_rows_t *rows, int row, unsigned proc, uint32_t limit);

/* Requests that wait for an app. take fails (0) when limit would be passed. */
int ac_rows_wait_take(ac_rows_t *rows, int row, unsigned app, uint32_t limit);
void ac_rows_wait_put(ac_rows_t *rows, int row, unsigned app);
uint32_t ac_rows_wait_count(const ac_rows_t *rows, unsigned app);

/* The order of those who wait for an app, where that matters: every child tells
 * since when the first of its own does, a number of ac_rows_moment(); 0: none does.
 * Only while a wait_take of that child holds. */
uint32_t ac_rows_moment(apr_time_t now);
void ac_rows_wait_since(ac_rows_t *rows, int row, unsigned app, uint32_t moment);
/* The row of the child whose first has waited longest; -1: nobody waits. */
int ac_rows_wait_first(const ac_rows_t *rows, unsigned app);
/* 1 iff nobody has waited longer than since that moment. */
int ac_rows_wait_is_first(const ac_rows_t *rows, unsigned app, uint32_t moment);

/* Requests that an app got since the board was made; for status and idle. */
void ac_rows_app_served(ac_rows_t *rows, unsigned app);
uint64_t ac_rows_app_total(const ac_rows_t *rows, unsigned app);

#endif
