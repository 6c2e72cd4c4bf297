/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "test_relay.h"

#include <stdlib.h>
#include <string.h>
#include <apr_general.h>
#include "base/log.h"
#include "relay/capture.h"
#include "relay/format.h"
#include "relay/level.h"
#include "relay/lines.h"
#include "relay/queue.h"
#include "relay/sink.h"
#include "shared/message.h"

/* What came out, one piece after the other: "<" before a piece that does not
 * begin its line, ">" after one that does not end it, "|" after each. */
static char seen[4 * AC_LINE_MAX];
static apr_size_t seen_len;

static void see(void *baton, const ac_line_t *line)
{
    (void)baton;
    if (!line->begins) {
        seen[seen_len++] = '<';
    }
    if (line->len) {
        memcpy(seen + seen_len, line->text, line->len);
    }
    seen_len += line->len;
    if (!line->ends) {
        seen[seen_len++] = '>';
    }
    seen[seen_len++] = '|';
    seen[seen_len] = '\0';
}

static void feed(ac_lines_t *lines, const char *text)
{
    ac_lines_feed(lines, text, strlen(text), see, NULL);
}

static void setup(void)
{
    seen_len = 0;
    seen[0] = '\0';
}

START_TEST(lines_come_out_whole)
{
    ac_lines_t lines = { NULL, 0, 0 };

    feed(&lines, "one\ntwo\n\nthr");
    ck_assert_str_eq(seen, "one|two||");
    feed(&lines, "e");
    feed(&lines, "e\nfour");
    ck_assert_str_eq(seen, "one|two||three|");
    ac_lines_end(&lines, see, NULL);
    ck_assert_str_eq(seen, "one|two||three|four|");
    ac_lines_end(&lines, see, NULL);
    ck_assert_str_eq(seen, "one|two||three|four|");
    ck_assert_ptr_null(lines.buf);
}
END_TEST

START_TEST(begun_line_goes_out_on_demand)
{
    ac_lines_t lines = { NULL, 0, 0 };

    ac_lines_flush(&lines, see, NULL);
    ck_assert_str_eq(seen, "");
    feed(&lines, "name: ");
    ac_lines_flush(&lines, see, NULL);
    ac_lines_flush(&lines, see, NULL);
    ck_assert_str_eq(seen, "name: >|");
    ck_assert_ptr_null(lines.buf);
    feed(&lines, "tea\nlast");
    ck_assert_str_eq(seen, "name: >|<tea|");
    ac_lines_flush(&lines, see, NULL);
    ac_lines_end(&lines, see, NULL);
    ck_assert_str_eq(seen, "name: >|<tea|last>|<|");
}
END_TEST

START_TEST(lines_keep_no_memory_between_lines)
{
    ac_lines_t lines = { NULL, 0, 0 };

    feed(&lines, "beg");
    ck_assert_ptr_nonnull(lines.buf);
    feed(&lines, "un\n");
    ck_assert_ptr_null(lines.buf);
    ck_assert_str_eq(seen, "begun|");
}
END_TEST

START_TEST(long_line_is_cut_at_the_bound)
{
    static char text[AC_LINE_MAX + 100];
    ac_lines_t lines = { NULL, 0, 0 };

    memset(text, 'x', sizeof(text));
    ac_lines_feed(&lines, text, 50, see, NULL);
    ck_assert_uint_eq(seen_len, 0);
    ac_lines_feed(&lines, text, sizeof(text) - 50, see, NULL);
    ck_assert_uint_eq(seen_len, AC_LINE_MAX + 2);
    ck_assert_str_eq(seen + AC_LINE_MAX, ">|");
    feed(&lines, "tail\nnext\n");
    ck_assert_int_eq(seen[AC_LINE_MAX + 2], '<');
    ck_assert_str_eq(seen + seen_len - 10, "tail|next|");
    ck_assert_uint_eq(seen_len, AC_LINE_MAX + 2 + 1 + 100 + 10);
}
END_TEST

START_TEST(line_of_exactly_the_bound_is_one_piece)
{
    static char text[AC_LINE_MAX + 1];
    ac_lines_t lines = { NULL, 0, 0 };

    memset(text, 'x', AC_LINE_MAX);
    text[AC_LINE_MAX] = '\n';
    ac_lines_feed(&lines, text, sizeof(text), see, NULL);
    ck_assert_uint_eq(seen_len, AC_LINE_MAX + 1);
    ck_assert_int_eq(seen[AC_LINE_MAX], '|');

    setup();
    ac_lines_feed(&lines, text, 1, see, NULL);
    ac_lines_feed(&lines, text + 1, AC_LINE_MAX, see, NULL);
    ck_assert_uint_eq(seen_len, AC_LINE_MAX + 1);
    ck_assert_int_eq(seen[AC_LINE_MAX], '|');
}
END_TEST

static void feed_in_steps(apr_size_t step)
{
    static const char text[] = "a\nbb\n\nccc\ndddd";
    ac_lines_t lines = { NULL, 0, 0 };
    apr_size_t i;

    setup();
    for (i = 0; i < sizeof(text) - 1; i += step) {
        apr_size_t rest = sizeof(text) - 1 - i;

        ac_lines_feed(&lines, text + i, rest < step ? rest : step, see, NULL);
    }
    ac_lines_end(&lines, see, NULL);
    ck_assert_str_eq(seen, "a|bb||ccc|dddd|");
}

START_TEST(lines_do_not_depend_on_how_they_arrive)
{
    feed_in_steps((apr_size_t)_i);
}
END_TEST

static const char *escaped(const char *text, apr_size_t len, apr_size_t size)
{
    static char buf[256];

    ck_assert_uint_lt(size, sizeof(buf));
    buf[ac_format_escape(buf, size, text, len)] = '\0';
    return buf;
}

/* Each line of text: what is left of it after "LEVEL SAID ". */
START_TEST(level_is_at_the_beginning_of_a_line)
{
    static const struct {
        const char *text;
        unsigned level;
        unsigned said;
        const char *rest;
    } lines[] = {
        { " first of all", AC_LEVEL_INFO, 0, " first of all" },
        { "<3>bad", AC_LEVEL_ERR, 1, "bad" },
        { "   at Main()", AC_LEVEL_ERR, 1, "   at Main()" },
        { "", AC_LEVEL_ERR, 1, "" },
        { "\tat Main()", AC_LEVEL_ERR, 1, "\tat Main()" },
        { "plain", AC_LEVEL_INFO, 0, "plain" },
        { " more", AC_LEVEL_INFO, 0, " more" },
        { "<0>", AC_LEVEL_EMERG, 1, "" },
        { "<7>x<3>", AC_LEVEL_DEBUG, 1, "x<3>" },
        { "<8>", AC_LEVEL_INFO, 0, "<8>" },
        { "<30>x", AC_LEVEL_INFO, 0, "<30>x" },
        { "<b>bold</b>", AC_LEVEL_INFO, 0, "<b>bold</b>" },
        { "<3", AC_LEVEL_INFO, 0, "<3" },
    };
    ac_level_state_t state = { 0 };
    unsigned i;

    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); ++i) {
        ac_line_t line = { lines[i].text, strlen(lines[i].text), 1, 1 };

        ac_level_take(&state, &line);
        ck_assert_msg(state.level == lines[i].level && state.said == lines[i].said
                      && line.len == strlen(lines[i].rest)
                      && !strncmp(line.text, lines[i].rest, line.len), "%s",
                      lines[i].text);
    }
}
END_TEST

START_TEST(pieces_of_a_line_share_its_level)
{
    ac_level_state_t state = { 0 };
    ac_line_t begin = { "<3>one", 6, 1, 0 };
    ac_line_t end = { "<6>two", 6, 0, 1 };

    ac_level_take(&state, &begin);
    ac_level_take(&state, &end);
    ck_assert_uint_eq(state.level, AC_LEVEL_ERR);
    ck_assert_uint_eq(end.len, 6);
}
END_TEST

START_TEST(escape_as_httpd_does)
{
    ck_assert_str_eq(escaped("plain \"text\" ~", 14, 200), "plain \"text\" ~");
    ck_assert_str_eq(escaped("a\tb\\c\rd\ne\bf\vg", 13, 200),
                     "a\\tb\\\\c\\rd\\ne\\bf\\vg");
    ck_assert_str_eq(escaped("\x1b[31m\0\x7f", 7, 200), "\\x1b[31m\\x00\\x7f");
    ck_assert_str_eq(escaped("\xc3\xa9", 2, 200), "\\xc3\\xa9");
}
END_TEST

START_TEST(escape_stops_before_a_sequence_that_does_not_fit)
{
    ck_assert_str_eq(escaped("ab\x1b", 3, 5), "ab");
    ck_assert_str_eq(escaped("ab\x1b", 3, 6), "ab\\x1b");
    ck_assert_str_eq(escaped("ab\n", 3, 3), "ab");
    ck_assert_str_eq(escaped("abc", 3, 0), "");
}
END_TEST

static const char *formatted(const ac_line_head_t *head, const char *text, int begins,
                             int ends)
{
    static char buf[AC_FORMAT_MAX];
    ac_line_t line = { text, strlen(text), begins, ends };
    apr_size_t len = ac_format_line(buf, sizeof(buf), head, &line);

    ck_assert_uint_lt(len, sizeof(buf));
    buf[len] = '\0';
    return buf;
}

START_TEST(log_line_looks_like_httpds)
{
    ac_line_head_t head = { APR_TIME_C(1795241148123456), 6, 456, "shop" };

    setenv("TZ", "UTC", 1);
    ck_assert_str_eq(formatted(&head, "hello\r", 1, 1),
                     "[Sat Nov 21 06:05:48.123456 2026] [appcore:info] [pid 456] "
                     "app shop: hello\n");
    head.level = 5;
    head.pid = 0;
    head.app = NULL;
    ck_assert_str_eq(formatted(&head, "started", 1, 1),
                     "[Sat Nov 21 06:05:48.123456 2026] [appcore:notice] started\n");
}
END_TEST

START_TEST(json_keeps_its_backslashes)
{
    ac_line_head_t head = { APR_TIME_C(1795241148000007), 6, 0, "shop" };

    ck_assert_ptr_nonnull(strstr(formatted(&head, "{\"a\":\"b\\n\1\"}", 1, 1),
                                 "app shop: {\"a\":\"b\\n\\x01\"}\n"));
    ck_assert_ptr_nonnull(strstr(formatted(&head, "{\\n", 1, 1), "app shop: {\\\\n\n"));
}
END_TEST

START_TEST(pieces_of_a_long_line_are_marked)
{
    ac_line_head_t head = { APR_TIME_C(1795241148000007), 6, 0, "shop" };

    setenv("TZ", "UTC", 1);
    ck_assert_str_eq(formatted(&head, "beginning", 1, 0),
                     "[Sat Nov 21 06:05:48.000007 2026] [appcore:info] "
                     "app shop: beginning [continues]\n");
    ck_assert_str_eq(formatted(&head, "end", 0, 1),
                     "[Sat Nov 21 06:05:48.000007 2026] [appcore:info] "
                     "app shop: [continued] end\n");
}
END_TEST

START_TEST(worst_line_fits)
{
    static char text[AC_LINE_MAX];
    static char buf[AC_FORMAT_MAX];
    ac_line_t line = { text, sizeof(text), 0, 0 };
    char app[300];
    ac_line_head_t head = { APR_TIME_C(1795241148000007), 6, 4294967295u, app };
    apr_size_t len;

    memset(text, 1, sizeof(text));
    memset(app, 'a', sizeof(app) - 1);
    app[sizeof(app) - 1] = '\0';
    len = ac_format_line(buf, sizeof(buf), &head, &line);
    ck_assert_uint_gt(len, 4 * sizeof(text));
    ck_assert_uint_le(len, sizeof(buf));
    ck_assert_int_eq(buf[len - 1], '\n');
    ck_assert_int_eq(buf[len - 2], ']');
    /* A buffer of any size ends in a newline and is not overrun. */
    buf[600] = '#';
    len = ac_format_line(buf, 600, &head, &line);
    ck_assert_uint_le(len, 600);
    ck_assert_int_eq(buf[len - 1], '\n');
    ck_assert_int_eq(buf[600], '#');
}
END_TEST

START_TEST(stamp_is_utc)
{
    char buf[AC_STAMP_SIZE];

    setenv("TZ", "Asia/Tokyo", 1);
    ac_format_stamp(buf, APR_TIME_C(1795241148123456));
    ck_assert_str_eq(buf, "20261121060548");
}
END_TEST

START_TEST(queue_keeps_lines_whole)
{
    ac_queue_t queue = { 0 };
    char buf[64];

    ac_queue_push(&queue, "one\n", 4);
    ac_queue_push(&queue, "two\n", 4);
    ac_queue_push(&queue, "three\n", 6);
    ck_assert_uint_eq(ac_queue_peek(&queue, buf, 10), 8);
    ck_assert_mem_eq(buf, "one\ntwo\n", 8);
    ac_queue_consume(&queue, 8);
    ck_assert_uint_eq(ac_queue_peek(&queue, buf, 4), 4);
    ck_assert_mem_eq(buf, "thre", 4);
    ac_queue_consume(&queue, 3);
    ck_assert_int_eq(ac_queue_mid_line(&queue), 1);
    ck_assert_uint_eq(ac_queue_peek(&queue, buf, sizeof(buf)), 3);
    ck_assert_mem_eq(buf, "ee\n", 3);
    ac_queue_consume(&queue, 3);
    ck_assert_int_eq(ac_queue_mid_line(&queue), 0);
    ck_assert_int_eq(ac_queue_empty(&queue), 1);
    ck_assert_ptr_null(queue.data);
}
END_TEST

static apr_size_t fill(ac_queue_t *queue, const char *line)
{
    apr_size_t n = 0;

    while (!queue->dropped) {
        ac_queue_push(queue, line, strlen(line));
        ++n;
    }
    return n - 1;
}

START_TEST(queue_is_bounded_and_counts)
{
    static char buf[AC_QUEUE_MAX];
    ac_queue_t queue = { 0 };
    apr_size_t taken = fill(&queue, "0123456789abcde\n");

    ck_assert_uint_eq(taken, AC_QUEUE_MAX / 20);
    ac_queue_push(&queue, "x\n", 2);
    ck_assert_uint_eq(queue.dropped, 2);
    ck_assert_int_eq(ac_queue_note_due(&queue), 0);

    /* Room alone does not end the dropping: one note for many drops. */
    ac_queue_consume(&queue, 16 * (taken / 4));
    ac_queue_push(&queue, "x\n", 2);
    ck_assert_uint_eq(queue.dropped, 3);
    ck_assert_int_eq(ac_queue_note_due(&queue), 0);
    ac_queue_consume(&queue, 16 * (taken / 4 + 2));
    ck_assert_int_eq(ac_queue_note_due(&queue), 1);
    ac_queue_push_note(&queue, "note\n", 5);
    ck_assert_uint_eq(queue.dropped, 0);
    ck_assert_uint_eq(queue.noted, 3);
    ac_queue_push(&queue, "last\n", 5);
    ck_assert_uint_eq(queue.dropped, 0);
    taken = ac_queue_peek(&queue, buf, sizeof(buf));
    ck_assert_mem_eq(buf + taken - 10, "note\nlast\n", 10);
    ac_queue_consume(&queue, taken);
    ck_assert_int_eq(ac_queue_empty(&queue), 1);
    ck_assert_uint_eq(queue.noted, 0);
}
END_TEST

START_TEST(discarded_lines_count_as_dropped)
{
    ac_queue_t queue = { 0 };

    ac_queue_push(&queue, "one\n", 4);
    queue.dropped = 41;
    ac_queue_push_note(&queue, "41 dropped\n", 11);
    ac_queue_push(&queue, "two\n", 4);
    ac_queue_discard(&queue);
    ck_assert_uint_eq(queue.dropped, 43);
    ck_assert_int_eq(ac_queue_empty(&queue), 1);
    ck_assert_ptr_null(queue.data);
}
END_TEST

/* docs/ancm-parity.md: ANCM("NT3"). */
START_TEST(capture_keeps_the_first_characters)
{
    static char text[20000];
    ac_capture_t capture = { NULL, 0, 0 };

    memset(text, 'a', sizeof(text));
    ac_capture_add(&capture, "first", 5);
    ck_assert_uint_lt(capture.size, 1024);
    ac_capture_add(&capture, text, sizeof(text));
    ac_capture_add(&capture, text, sizeof(text));
    ac_capture_add(&capture, "never", 5);
    ck_assert_uint_eq(capture.len, AC_CAPTURE_MAX);
    ck_assert_uint_eq(capture.size, AC_CAPTURE_MAX);
    ck_assert_mem_eq(capture.data, "firsta", 6);
    ck_assert_int_eq(capture.data[AC_CAPTURE_MAX - 1], 'a');
    ac_capture_release(&capture);
    ck_assert_uint_eq(capture.len, 0);
}
END_TEST

START_TEST(rotation_is_due_when_a_line_would_pass_the_size)
{
    ck_assert_int_eq(ac_rotation_due(90, 10, 100), 0);
    ck_assert_int_eq(ac_rotation_due(91, 10, 100), 1);
    ck_assert_int_eq(ac_rotation_due(0, 1000, 100), 0);
    ck_assert_int_eq(ac_rotation_due(1000000, 1000, 0), 0);
}
END_TEST

static TCase *pure(void)
{
    TCase *tcase = tcase_create("pure");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, lines_come_out_whole);
    tcase_add_test(tcase, begun_line_goes_out_on_demand);
    tcase_add_test(tcase, lines_keep_no_memory_between_lines);
    tcase_add_test(tcase, long_line_is_cut_at_the_bound);
    tcase_add_test(tcase, line_of_exactly_the_bound_is_one_piece);
    tcase_add_loop_test(tcase, lines_do_not_depend_on_how_they_arrive, 1, 16);
    tcase_add_test(tcase, level_is_at_the_beginning_of_a_line);
    tcase_add_test(tcase, pieces_of_a_line_share_its_level);
    tcase_add_test(tcase, escape_as_httpd_does);
    tcase_add_test(tcase, json_keeps_its_backslashes);
    tcase_add_test(tcase, escape_stops_before_a_sequence_that_does_not_fit);
    tcase_add_test(tcase, log_line_looks_like_httpds);
    tcase_add_test(tcase, pieces_of_a_long_line_are_marked);
    tcase_add_test(tcase, worst_line_fits);
    tcase_add_test(tcase, stamp_is_utc);
    tcase_add_test(tcase, queue_keeps_lines_whole);
    tcase_add_test(tcase, queue_is_bounded_and_counts);
    tcase_add_test(tcase, discarded_lines_count_as_dropped);
    tcase_add_test(tcase, capture_keeps_the_first_characters);
    tcase_add_test(tcase, rotation_is_due_when_a_line_would_pass_the_size);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("relay");
    SRunner *runner;
    int failed;

    apr_initialize();
    suite_add_tcase(suite, pure());
    suite_add_tcase(suite, test_relay_sink());
    suite_add_tcase(suite, test_relay_process());
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    apr_terminate();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
