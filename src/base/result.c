/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "base/result.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <apr_strings.h>

static const struct {
    const char *name;
    const char *text;
} stages[] = {
    [AC_STAGE_NONE] = { "none", "nothing yet" },
    [AC_STAGE_LOOK] = { "look", "looking at the app's folder" },
    [AC_STAGE_IDENTITY] = { "identity", "taking the app's user, limits and folder" },
    [AC_STAGE_LISTEN] = { "listen", "preparing the app's socket or port" },
    [AC_STAGE_EXEC] = { "exec", "running the program" },
    [AC_STAGE_READY] = { "ready", "waiting until the app accepts connections" },
    [AC_STAGE_WARMUP] = { "warm-up", "sending the warm-up request" },
    [AC_STAGE_RUN] = { "run", "serving requests" },
};

static const struct {
    const char *name;
    int http_status;
    int substatus;
} faults[] = {
    [AC_FAULT_NONE] = { "none", 0, 0 },
    [AC_FAULT_CONFIG] = { "config", 500, 0 },
    [AC_FAULT_WEB_CONFIG] = { "web-config", 500, 19 },
    [AC_FAULT_ACCESS_RULES] = { "access-rules", 500, 19 },
    [AC_FAULT_IDENTITY] = { "identity", 500, 0 },
    [AC_FAULT_LISTEN] = { "listen", 502, 5 },
    [AC_FAULT_EXEC] = { "exec", 502, 5 },
    [AC_FAULT_EXITED] = { "exited", 502, 5 },
    [AC_FAULT_TIMEOUT] = { "timeout", 502, 5 },
    [AC_FAULT_WRONG_LISTENER] = { "wrong-listener", 502, 5 },
    [AC_FAULT_CRASHED] = { "crashed", 502, 3 },
    [AC_FAULT_DEAF] = { "deaf", 502, 3 },
    [AC_FAULT_BREAKER] = { "breaker", 503, 0 },
    [AC_FAULT_INTERNAL] = { "internal", 503, 0 },
};

#define N_STAGES (sizeof(stages) / sizeof(stages[0]))
#define N_FAULTS (sizeof(faults) / sizeof(faults[0]))

const char *ac_stage_name(ac_stage_e stage)
{
    return (unsigned)stage < N_STAGES ? stages[stage].name : "unknown";
}

const char *ac_stage_text(ac_stage_e stage)
{
    return (unsigned)stage < N_STAGES ? stages[stage].text : "unknown";
}

const char *ac_fault_name(ac_fault_e fault)
{
    return (unsigned)fault < N_FAULTS ? faults[fault].name : "unknown";
}

void ac_result_set(ac_result_t *res, apr_status_t status, ac_stage_e stage,
                   ac_fault_e fault, const char *fmt, ...)
{
    va_list ap;

    res->status = status;
    res->stage = stage;
    res->fault = fault;
    res->http_status = (unsigned)fault < N_FAULTS ? faults[fault].http_status : 503;
    res->substatus = (unsigned)fault < N_FAULTS ? faults[fault].substatus : 0;
    va_start(ap, fmt);
    apr_vsnprintf(res->detail, sizeof(res->detail), fmt, ap);
    va_end(ap);
}

void ac_result_put(ac_wire_writer_t *w, const ac_result_t *res)
{
    ac_wire_put_u32(w, (uint32_t)res->status);
    ac_wire_put_u8(w, (uint8_t)res->stage);
    ac_wire_put_u8(w, (uint8_t)res->fault);
    ac_wire_put_u32(w, (uint32_t)res->http_status);
    ac_wire_put_u32(w, (uint32_t)res->substatus);
    ac_wire_put_str(w, res->detail);
}

void ac_result_get(ac_wire_reader_t *r, ac_result_t *res)
{
    apr_size_t len;
    const char *text;

    memset(res, 0, sizeof(*res));
    res->status = (apr_status_t)ac_wire_get_u32(r);
    res->stage = (ac_stage_e)ac_wire_get_u8(r);
    res->fault = (ac_fault_e)ac_wire_get_u8(r);
    res->http_status = (int)ac_wire_get_u32(r);
    res->substatus = (int)ac_wire_get_u32(r);
    text = ac_wire_get_bytes(r, &len);
    if (text) {
        if (len >= sizeof(res->detail)) {
            len = sizeof(res->detail) - 1;
        }
        memcpy(res->detail, text, len);
        res->detail[len] = '\0';
    }
}
