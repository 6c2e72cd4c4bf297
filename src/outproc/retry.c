/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "outproc/retry.h"

#include <string.h>

#define REPEATS_MAX 1

static const char *const outcomes[] = {
    [AC_OUTCOME_RUNNING] = "running",
    [AC_OUTCOME_DONE] = "done",
    [AC_OUTCOME_UNREACHABLE] = "unreachable",
    [AC_OUTCOME_BUSY] = "busy",
    [AC_OUTCOME_CLOSED] = "closed",
    [AC_OUTCOME_MALFORMED] = "malformed",
    [AC_OUTCOME_TRUNCATED] = "truncated",
    [AC_OUTCOME_SILENT] = "silent",
    [AC_OUTCOME_CLIENT_GONE] = "client gone",
    [AC_OUTCOME_CLIENT_FAULT] = "client fault",
    [AC_OUTCOME_FILTERED] = "filtered",
};

const char *ac_outcome_name(ac_outcome_e outcome)
{
    return (unsigned)outcome < sizeof(outcomes) / sizeof(outcomes[0])
           ? outcomes[outcome] : "unknown";
}

/* A connection from the pool that broke says little about the process: the app
 * may just have closed an idle one. Where the process is gone, or a fresh one
 * broke, the request waits for the successor: a listener that is left over may
 * take connections, but perhaps nobody ever will serve them. */
static ac_retry_e again(const ac_retry_facts_t *facts)
{
    return facts->reused && !facts->gone ? AC_RETRY_NOW : AC_RETRY_WHEN_READY;
}

static ac_retry_e after_close(const ac_retry_facts_t *facts)
{
    if (!facts->replayable) {
        return AC_RETRY_NO;
    }
    if (facts->sent && ((!facts->idempotent && !facts->unread)
                        || facts->repeats >= REPEATS_MAX)) {
        return AC_RETRY_NO;
    }
    return again(facts);
}

ac_retry_e ac_retry_decide(const ac_retry_facts_t *facts)
{
    switch (facts->outcome) {
    case AC_OUTCOME_UNREACHABLE:
    case AC_OUTCOME_BUSY:
        return AC_RETRY_WHEN_READY;
    case AC_OUTCOME_CLOSED:
        return after_close(facts);
    default:
        return AC_RETRY_NO;
    }
}

int ac_retry_idempotent(const char *method)
{
    static const char *const safe[] = {
        "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE",
    };
    unsigned i;

    for (i = 0; i < sizeof(safe) / sizeof(safe[0]); i++) {
        if (strcmp(method, safe[i]) == 0) {
            return 1;
        }
    }
    return 0;
}
