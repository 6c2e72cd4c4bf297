/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_BASE_RESULT_H
#define AC_BASE_RESULT_H

/* What an operator will ask about: how far a job came and why it stopped.
 *
 * A result is plain data with its text inline, so that it can be kept beyond
 * pools and sent between processes. apr_status_t stays the currency for
 * everything that no operator asks about. Stages are the steps of an app's
 * start in the order in which they happen; the error page prints them as a
 * journey. Owned by whoever declares it; no function blocks. */

#include <stdint.h>
#include <apr_errno.h>
#include "base/wire.h"

typedef enum ac_stage_e {
    AC_STAGE_NONE = 0,
    AC_STAGE_LOOK,              /* reading the app's folder as its user */
    AC_STAGE_IDENTITY,          /* user, groups, limits, working folder */
    AC_STAGE_LISTEN,            /* socket or port for the process */
    AC_STAGE_EXEC,              /* running the program */
    AC_STAGE_READY,             /* waiting until it accepts */
    AC_STAGE_WARMUP,            /* the warm-up request */
    AC_STAGE_RUN                /* it was ready, and then ended */
} ac_stage_e;

/* Why a start failed or an app is not available; see ac_fault_text(). */
typedef enum ac_fault_e {
    AC_FAULT_NONE = 0,
    AC_FAULT_CONFIG,            /* web.config or folder is wrong */
    AC_FAULT_WEB_CONFIG,        /* web.config is malformed, as IIS would say */
    AC_FAULT_ACCESS_RULES,      /* web.config restricts access and we cannot */
    AC_FAULT_IDENTITY,          /* no such user, uid 0, wrong owner */
    AC_FAULT_LISTEN,            /* no socket or port to be had */
    AC_FAULT_EXEC,              /* program missing, not executable */
    AC_FAULT_EXITED,            /* ended before it was ready */
    AC_FAULT_TIMEOUT,           /* not ready within the start-up limit */
    AC_FAULT_WRONG_LISTENER,    /* the port belongs to somebody else */
    AC_FAULT_CRASHED,           /* ended after it was ready */
    AC_FAULT_DEAF,              /* lives, but takes no connections any more */
    AC_FAULT_BREAKER,           /* too many failures; starts are paused */
    AC_FAULT_INTERNAL           /* ours */
} ac_fault_e;

#define AC_RESULT_DETAIL 512

typedef struct ac_result_t {
    apr_status_t status;        /* APR_SUCCESS or the cause's errno */
    ac_stage_e stage;
    ac_fault_e fault;
    int http_status;            /* what a request gets: 500, 502, 503, 504; 0 if none */
    int substatus;              /* ANCM's: 19, 30 … 38, 3, 5; 0 if none */
    char detail[AC_RESULT_DETAIL];  /* one sentence */
} ac_result_t;

#define AC_RESULT_OK { APR_SUCCESS, AC_STAGE_NONE, AC_FAULT_NONE, 0, 0, "" }

const char *ac_stage_name(ac_stage_e stage);        /* "exec" */
const char *ac_stage_text(ac_stage_e stage);        /* "running the program" */
const char *ac_fault_name(ac_fault_e fault);

/* Fills all members; fmt is printf-like, cut at AC_RESULT_DETAIL - 1. HTTP
 * status and sub-status follow from the fault (facts: ANCM's status table). */
void ac_result_set(ac_result_t *res, apr_status_t status, ac_stage_e stage,
                   ac_fault_e fault, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

void ac_result_put(ac_wire_writer_t *w, const ac_result_t *res);
void ac_result_get(ac_wire_reader_t *r, ac_result_t *res);

#endif
