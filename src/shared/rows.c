/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "shared/rows.h"

#include <stdatomic.h>

#include "shared/mapping.h"

/* A share is a counter of one child. Shares fill whole pages, and `touched` has
 * a bit for every page in which the child ever counted: giving a row back reads
 * these pages alone and so leaves the rest of the sparse file unallocated. */

#define SHARES (AC_BOARD_PROCS + AC_BOARD_APPS)
#define SHARES_PER_PAGE 1024
#define LINE 64

/* Totals that several children count on lie in lines of their own. */
typedef struct proc_total_t {
    _Alignas(LINE) _Atomic uint32_t in_flight;
} proc_total_t;

typedef struct app_total_t {
    _Alignas(LINE) _Atomic uint32_t waiting;
    _Atomic uint64_t served;
} app_total_t;

typedef struct owner_t {
    _Alignas(LINE) _Atomic uint32_t pid;
    _Atomic uint32_t touched;
} owner_t;

struct ac_rows_t {
    _Alignas(LINE) _Atomic uint32_t used;   /* rows from here on never had a child */
    owner_t owners[AC_ROWS];
    proc_total_t procs[AC_BOARD_PROCS];
    app_total_t apps[AC_BOARD_APPS];
    _Alignas(4096) _Atomic uint32_t shares[AC_ROWS][SHARES];
    _Atomic uint32_t since[AC_BOARD_APPS][AC_ROWS];     /* a page for each app */
};

_Static_assert(SHARES % SHARES_PER_PAGE == 0, "rows are whole pages");
_Static_assert(SHARES / SHARES_PER_PAGE <= 32, "touched has a bit per page");

apr_status_t ac_rows_create(int *pfd)
{
    return ac_mapping_create(pfd, "appcore-rows", sizeof(ac_rows_t));
}

apr_status_t ac_rows_map(int fd, ac_rows_t **prows, apr_pool_t *p)
{
    void *base;
    apr_status_t rv = ac_mapping_open(&base, fd, sizeof(ac_rows_t), 1, p);

    if (rv == APR_SUCCESS) {
        *prows = base;
    }
    return rv;
}

/* Anybody may have written anything: a count never goes below zero. */
static void subtract(_Atomic uint32_t *count, uint32_t n)
{
    uint32_t old = atomic_load_explicit(count, memory_order_relaxed);

    while (!atomic_compare_exchange_weak(count, &old, old > n ? old - n : 0)) {
    }
}

/* A child without a row counts in the totals only. */
static void share_add(ac_rows_t *rows, int row, unsigned share)
{
    uint32_t page = 1u << (share / SHARES_PER_PAGE);
    owner_t *owner;

    if (row < 0 || row >= AC_ROWS) {
        return;
    }
    owner = &rows->owners[row];
    if (!(atomic_load_explicit(&owner->touched, memory_order_relaxed) & page)) {
        atomic_fetch_or(&owner->touched, page);
    }
    atomic_fetch_add(&rows->shares[row][share], 1);
}

static void share_subtract(ac_rows_t *rows, int row, unsigned share)
{
    if (row >= 0 && row < AC_ROWS) {
        subtract(&rows->shares[row][share], 1);
    }
}

static void use_up_to(ac_rows_t *rows, uint32_t n)
{
    uint32_t used = atomic_load(&rows->used);

    while (used < n && !atomic_compare_exchange_weak(&rows->used, &used, n)) {
    }
}

int ac_rows_claim(ac_rows_t *rows, uint32_t pid)
{
    int row;

    for (row = 0; row < AC_ROWS; ++row) {
        uint32_t none = 0;

        if (atomic_compare_exchange_strong(&rows->owners[row].pid, &none, pid)) {
            use_up_to(rows, (uint32_t)row + 1);
            return row;
        }
    }
    return -1;
}

static _Atomic uint32_t *total_of(ac_rows_t *rows, unsigned share)
{
    return share < AC_BOARD_PROCS ? &rows->procs[share].in_flight
                                  : &rows->apps[share - AC_BOARD_PROCS].waiting;
}

static void page_release(ac_rows_t *rows, int row, unsigned first)
{
    _Atomic uint32_t *shares = rows->shares[row];
    unsigned share;

    for (share = first; share < first + SHARES_PER_PAGE; ++share) {
        uint32_t n = atomic_load_explicit(&shares[share], memory_order_relaxed);

        if (n) {
            atomic_store(&shares[share], 0);
            if (share >= AC_BOARD_PROCS) {
                atomic_store(&rows->since[share - AC_BOARD_PROCS][row], 0);
            }
            subtract(total_of(rows, share), n);
        }
    }
}

void ac_rows_release(ac_rows_t *rows, int row)
{
    uint32_t touched;
    unsigned page;

    if (row < 0 || row >= AC_ROWS) {
        return;
    }
    touched = atomic_exchange(&rows->owners[row].touched, 0);
    for (page = 0; page < SHARES / SHARES_PER_PAGE; ++page) {
        if (touched & (1u << page)) {
            page_release(rows, row, page * SHARES_PER_PAGE);
        }
    }
    atomic_store(&rows->owners[row].pid, 0);
}

uint32_t ac_rows_pid(const ac_rows_t *rows, int row)
{
    return row >= 0 && row < AC_ROWS ? atomic_load(&rows->owners[row].pid) : 0;
}

void ac_rows_proc_take(ac_rows_t *rows, int row, unsigned proc)
{
    if (proc < AC_BOARD_PROCS) {
        share_add(rows, row, proc);
        atomic_fetch_add(&rows->procs[proc].in_flight, 1);
    }
}

void ac_rows_proc_put(ac_rows_t *rows, int row, unsigned proc)
{
    if (proc < AC_BOARD_PROCS) {
        subtract(&rows->procs[proc].in_flight, 1);
        share_subtract(rows, row, proc);
    }
}

uint32_t ac_rows_proc_count(const ac_rows_t *rows, unsigned proc)
{
    return proc < AC_BOARD_PROCS ? atomic_load(&rows->procs[proc].in_flight) : 0;
}

/* 1 if that was below the limit. */
static int add_below(_Atomic uint32_t *count, uint32_t limit)
{
    uint32_t n = atomic_load(count);

    while (n < limit) {
        if (atomic_compare_exchange_weak(count, &n, n + 1)) {
            return 1;
        }
    }
    return 0;
}

int ac_rows_proc_take_below(ac_rows_t *rows, int row, unsigned proc, uint32_t limit)
{
    if (proc >= AC_BOARD_PROCS) {
        return 0;
    }
    share_add(rows, row, proc);
    if (add_below(&rows->procs[proc].in_flight, limit)) {
        return 1;
    }
    share_subtract(rows, row, proc);
    return 0;
}

int ac_rows_wait_take(ac_rows_t *rows, int row, unsigned app, uint32_t limit)
{
    if (app >= AC_BOARD_APPS) {
        return 0;
    }
    share_add(rows, row, AC_BOARD_PROCS + app);
    if (add_below(&rows->apps[app].waiting, limit)) {
        return 1;
    }
    share_subtract(rows, row, AC_BOARD_PROCS + app);
    return 0;
}

void ac_rows_wait_put(ac_rows_t *rows, int row, unsigned app)
{
    if (app < AC_BOARD_APPS) {
        subtract(&rows->apps[app].waiting, 1);
        share_subtract(rows, row, AC_BOARD_PROCS + app);
    }
}

uint32_t ac_rows_wait_count(const ac_rows_t *rows, unsigned app)
{
    return app < AC_BOARD_APPS ? atomic_load(&rows->apps[app].waiting) : 0;
}

/* A quarter of a millisecond each; they go round after twelve days. */
uint32_t ac_rows_moment(apr_time_t now)
{
    uint32_t moment = (uint32_t)(now / 256);

    return moment ? moment : 1;
}

static int is_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

void ac_rows_wait_since(ac_rows_t *rows, int row, unsigned app, uint32_t moment)
{
    if (row >= 0 && row < AC_ROWS && app < AC_BOARD_APPS) {
        atomic_store(&rows->since[app][row], moment);
    }
}

/* The row and its moment; that may be another one a moment later, or 0. */
static int find_first(const ac_rows_t *rows, unsigned app, uint32_t *pmoment)
{
    uint32_t used = atomic_load(&rows->used);
    uint32_t i;
    int row = -1;

    for (i = 0; i < used && i < AC_ROWS && app < AC_BOARD_APPS; ++i) {
        uint32_t moment = atomic_load(&rows->since[app][i]);

        if (moment && (row < 0 || is_before(moment, *pmoment))) {
            *pmoment = moment;
            row = (int)i;
        }
    }
    return row;
}

int ac_rows_wait_first(const ac_rows_t *rows, unsigned app)
{
    uint32_t first = 0;

    return find_first(rows, app, &first);
}

int ac_rows_wait_is_first(const ac_rows_t *rows, unsigned app, uint32_t moment)
{
    uint32_t first = 0;

    return find_first(rows, app, &first) < 0 || !is_before(first, moment);
}

void ac_rows_app_served(ac_rows_t *rows, unsigned app)
{
    if (app < AC_BOARD_APPS) {
        atomic_fetch_add_explicit(&rows->apps[app].served, 1, memory_order_relaxed);
    }
}

uint64_t ac_rows_app_total(const ac_rows_t *rows, unsigned app)
{
    return app < AC_BOARD_APPS ? atomic_load(&rows->apps[app].served) : 0;
}
