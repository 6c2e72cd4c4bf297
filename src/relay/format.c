/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "relay/format.h"

#include <string.h>
#include <apr_strings.h>
#include "base/log.h"

#define CUT_AFTER " [continues]"
#define CUT_BEFORE "[continued] "

static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char months[12][4] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

/* The escape of one byte in seq; its length, 1 for a byte that stays. */
static apr_size_t escape_byte(char seq[4], unsigned char c, int is_json)
{
    static const char hex[] = "0123456789abcdef";
    static const char named[] = "\bb\nn\rr\tt\vv\\\\";
    const char *at = c ? strchr(named, c) : NULL;

    seq[0] = (char)c;
    if (is_json && c == '\\') {
        return 1;
    }
    if (at && (at - named) % 2 == 0) {
        seq[0] = '\\';
        seq[1] = at[1];
        return 2;
    }
    if (c < 0x20 || c > 0x7e) {
        seq[0] = '\\';
        seq[1] = 'x';
        seq[2] = hex[c >> 4];
        seq[3] = hex[c & 15];
        return 4;
    }
    return 1;
}

static apr_size_t escape(char *buf, apr_size_t size, const char *text, apr_size_t len,
                         int is_json)
{
    apr_size_t n = 0;
    apr_size_t i;

    for (i = 0; i < len; ++i) {
        char seq[4];
        apr_size_t k = escape_byte(seq, (unsigned char)text[i], is_json);

        if (k > size - n) {
            break;
        }
        memcpy(buf + n, seq, k);
        n += k;
    }
    return n;
}

apr_size_t ac_format_escape(char *buf, apr_size_t size, const char *text, apr_size_t len)
{
    return escape(buf, size, text, len, 0);
}

static apr_size_t format_head(char *buf, apr_size_t size, const ac_line_head_t *head)
{
    apr_time_exp_t t;
    apr_size_t n;

    memset(&t, 0, sizeof(t));
    apr_time_exp_lt(&t, head->when);
    n = (apr_size_t)apr_snprintf(buf, size,
            "[%s %s %02d %02d:%02d:%02d.%06d %d] [appcore:%s] ",
            days[t.tm_wday], months[t.tm_mon], t.tm_mday, t.tm_hour, t.tm_min,
            t.tm_sec, t.tm_usec, t.tm_year + 1900, ac_level_name(head->level));
    if (head->pid) {
        n += (apr_size_t)apr_snprintf(buf + n, size - n, "[pid %u] ", head->pid);
    }
    if (head->app && *head->app) {
        n += (apr_size_t)apr_snprintf(buf + n, size - n, "app %.256s: ", head->app);
    }
    return n;
}

apr_size_t ac_format_line(char *buf, apr_size_t size, const ac_line_head_t *head,
                          const ac_line_t *line)
{
    apr_size_t room = size - sizeof(CUT_AFTER);     /* its NUL makes up for '\n' */
    apr_size_t len = line->len;
    apr_size_t n = format_head(buf, room, head);

    if (!line->begins) {
        n += (apr_size_t)apr_snprintf(buf + n, room - n, CUT_BEFORE);
    }
    if (line->ends && len && line->text[len - 1] == '\r') {
        --len;
    }
    n += escape(buf + n, room - n, line->text, len, line->begins && line->ends && len
                && line->text[0] == '{' && line->text[len - 1] == '}');
    if (!line->ends) {
        memcpy(buf + n, CUT_AFTER, sizeof(CUT_AFTER) - 1);
        n += sizeof(CUT_AFTER) - 1;
    }
    buf[n++] = '\n';
    return n;
}

void ac_format_stamp(char buf[AC_STAMP_SIZE], apr_time_t when)
{
    apr_time_exp_t t;

    memset(&t, 0, sizeof(t));
    apr_time_exp_gmt(&t, when);
    apr_snprintf(buf, AC_STAMP_SIZE, "%04d%02d%02d%02d%02d%02d", t.tm_year + 1900,
                 t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
}
