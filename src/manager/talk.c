/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Messages to the keeper, which must arrive, and to the relay, which may be
 * lost: a relay that cannot keep up costs log lines, never supervision. */

#include "manager/loop.h"

#include <stdarg.h>
#include <unistd.h>
#include <apr_strings.h>

#define LINE_MAX_LEN 2048

void ac_talk_begin(ac_manager_t *m, ac_wire_writer_t *w, ac_message_e type, uint64_t tag)
{
    ac_message_begin(w, type, m->ptemp);
    ac_wire_put_u64(w, tag);
}

void ac_talk_keeper_fd(ac_manager_t *m, const ac_wire_writer_t *w, int fd)
{
    apr_status_t rv = ac_outbox_send(&m->to_keeper, w, &fd, fd >= 0);

    /* Without its keeper a manager can do nothing; a new one finds everything. */
    if (rv != APR_SUCCESS) {
        _exit(1);
    }
}

void ac_talk_keeper(ac_manager_t *m, const ac_wire_writer_t *w)
{
    ac_talk_keeper_fd(m, w, -1);
}

void ac_talk_relay(ac_manager_t *m, const ac_wire_writer_t *w)
{
    ac_outbox_send(&m->to_relay, w, NULL, 0);
}

void ac_talk_tag(ac_manager_t *m, ac_message_e type, uint64_t tag)
{
    ac_wire_writer_t w;

    ac_talk_begin(m, &w, type, tag);
    ac_talk_keeper(m, &w);
}

static void send_line(ac_manager_t *m, const ac_home_t *home, ac_level_e level,
                      const char *text)
{
    ac_wire_writer_t w;

    ac_message_begin(&w, AC_MSG_LINE, m->ptemp);
    ac_wire_put_u32(&w, home ? home->log_index : 0);
    ac_wire_put_u32(&w, (uint32_t)level);
    ac_wire_put_str(&w, home ? home->name : NULL);
    ac_wire_put_u32(&w, (uint32_t)getpid());
    ac_wire_put_str(&w, text);
    ac_talk_relay(m, &w);
}

/* Notices are always written, as httpd does with its own. */
static int is_logged(const ac_manager_t *m, const ac_home_t *home, ac_level_e level)
{
    return level == AC_LEVEL_NOTICE || !m->table
           || (uint32_t)level <= (home ? home->log_level : m->table->globals.log_level);
}

void ac_talk_line(ac_manager_t *m, const ac_home_t *home, ac_level_e level,
                  const char *fmt, ...)
{
    char text[LINE_MAX_LEN];
    va_list ap;

    if (is_logged(m, home, level)) {
        va_start(ap, fmt);
        apr_vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        send_line(m, home, level, text);
    }
}

void ac_talk_run(const ac_run_t *run, ac_level_e level, const char *fmt, ...)
{
    char text[LINE_MAX_LEN];
    ac_sup_proc_t *proc = run->proc;
    int len;
    va_list ap;

    if (is_logged(run->m, ac_home_of(proc->app), level)) {
        len = apr_snprintf(text, sizeof(text), "process %u (slot %u, generation %u) ",
                           run->pid, proc->is.slot, proc->is.generation);
        va_start(ap, fmt);
        apr_vsnprintf(text + len, sizeof(text) - (apr_size_t)len, fmt, ap);
        va_end(ap);
        send_line(run->m, ac_home_of(proc->app), level, text);
    }
}

const char *ac_talk_span(char *buf, apr_size_t size, apr_interval_time_t span)
{
    if (span < apr_time_from_sec(1)) {
        apr_snprintf(buf, size, "%d ms", (int)apr_time_as_msec(span));
    }
    else if (span < apr_time_from_sec(120)) {
        apr_snprintf(buf, size, "%d.%d s", (int)apr_time_sec(span),
                     (int)(span % APR_USEC_PER_SEC / 100000));
    }
    else {
        apr_snprintf(buf, size, "%d min", (int)(apr_time_sec(span) / 60));
    }
    return buf;
}
