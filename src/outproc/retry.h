/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_OUTPROC_RETRY_H
#define AC_OUTPROC_RETRY_H

/* May a request whose exchange failed go to the app again?
 *
 * Pure decisions over what is known of the exchange. A request reaches an app at
 * most twice, and a second time only if repeating it cannot do harm: no byte of
 * a response arrived, its body is still at hand, and it is idempotent (RFC 9110
 * 9.2.2), or the app said that it did not look at it (as HTTP/2 can), or no byte of
 * it left this machine. A connection that could not be made is no attempt: nothing
 * was sent, so the request may wait for a process and go on. */

typedef enum ac_outcome_e {
    AC_OUTCOME_RUNNING = 0,
    AC_OUTCOME_DONE,            /* answered; maybe with an error of the app's own */
    AC_OUTCOME_UNREACHABLE,     /* no connection: nothing was sent */
    AC_OUTCOME_BUSY,            /* backlog full: nothing was sent */
    AC_OUTCOME_CLOSED,          /* ended by the app before any byte of a response */
    AC_OUTCOME_MALFORMED,       /* the response is none */
    AC_OUTCOME_TRUNCATED,       /* ended by the app within the response */
    AC_OUTCOME_SILENT,          /* AppCoreRequestTimeout passed */
    AC_OUTCOME_CLIENT_GONE,
    AC_OUTCOME_CLIENT_FAULT,    /* the request's body is bad or too large */
    AC_OUTCOME_FILTERED         /* an output filter of httpd refused the response */
} ac_outcome_e;

const char *ac_outcome_name(ac_outcome_e outcome);

typedef enum ac_retry_e {
    AC_RETRY_NO = 0,
    AC_RETRY_NOW,               /* on a fresh connection */
    AC_RETRY_WHEN_READY         /* once the app has a process for it */
} ac_retry_e;

typedef struct ac_retry_facts_t {
    ac_outcome_e outcome;
    int reused;                 /* the connection had served before */
    int gone;                   /* the process has ended for certain */
    int sent;                   /* bytes of it were taken by the kernel */
    int unread;                 /* the app said that it did not look at it */
    int idempotent;
    int replayable;             /* no body, or all of what was sent is kept */
    int repeats;                /* times it was sent before this one */
} ac_retry_facts_t;

ac_retry_e ac_retry_decide(const ac_retry_facts_t *facts);

/* By method name; what is not known is not idempotent. */
int ac_retry_idempotent(const char *method);

#endif
