/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* The parts of the request room that need no httpd: the error page's text, and
 * which files may be sent. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
#include <check.h>
#include <apr_general.h>
#include <apr_strings.h>
#include "request/beneath.h"
#include "request/html.h"
#include "request/page_text.h"
#include "spec/launch.h"
#include "request/spelling.h"

#define EXITED(code) ((code) << 8)

static apr_pool_t *p;

static void setup(void)
{
    apr_pool_create(&p, NULL);
}

static void teardown(void)
{
    apr_pool_destroy(p);
}

static const char *escaped(const char *text)
{
    ac_html_t html;

    ac_html_init(&html, p);
    ac_html_text(&html, text);
    return html.text;
}

START_TEST(html_escapes_markup)
{
    ck_assert_str_eq(escaped("<a href=\"x\">'&'</a>"),
                     "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
    ck_assert_str_eq(escaped(NULL), "");
    ck_assert_str_eq(escaped("tab\tline\n"), "tab\tline\n");
}
END_TEST

START_TEST(spellings_of_a_path)
{
    ck_assert_ptr_null(ac_spelling_slashes("/admin/x%20%", p));
    ck_assert_str_eq(ac_spelling_slashes("/admin%2Fx%2fy%2", p), "/admin/x/y%2");
    ck_assert_ptr_null(ac_spelling_params("/admin/x", p));
    ck_assert_str_eq(ac_spelling_params("/admin;a=1/x;b;c", p), "/admin/x");
    ck_assert_str_eq(ac_spelling_params(";/x", p), "/x");
}
END_TEST

START_TEST(html_leaves_out_what_terminals_take)
{
    ck_assert_str_eq(escaped("\033[1;31mred\033[0m \033Mup\033"), "red up");
    ck_assert_str_eq(escaped("\033[31"), "");
    ck_assert_str_eq(escaped("a\r\nb\a\177c"), "a\nbc");
}
END_TEST

START_TEST(html_takes_only_utf8)
{
    static const char bad[] = "\xef\xbf\xbd";

    ck_assert_str_eq(escaped("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8d\x8e"),
                     "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8d\x8e");
    ck_assert_str_eq(escaped("\xff"), bad);
    ck_assert_str_eq(escaped("\xc3"), bad);
    ck_assert_str_eq(escaped("\xc2\x85"), bad);
    /* Overlong "/", a surrogate, beyond U+10FFFF: byte by byte. */
    ck_assert_str_eq(escaped("\xc0\xaf"), apr_pstrcat(p, bad, bad, NULL));
    ck_assert_str_eq(escaped("\xed\xa0\x80"), apr_pstrcat(p, bad, bad, bad, NULL));
    ck_assert_str_eq(escaped("\xf4\x90\x80\x80"),
                     apr_pstrcat(p, bad, bad, bad, bad, NULL));
}
END_TEST

START_TEST(html_grows)
{
    ac_html_t html;
    int i;

    ac_html_init(&html, p);
    for (i = 0; i < 20000; ++i) {
        ac_html_printf(&html, "%d<", i % 10);
    }
    ck_assert_uint_eq(strlen(html.text), 5 * 20000);
    ck_assert_uint_eq(html.len, 5 * 20000);
    ck_assert_str_eq(html.text + html.len - 10, "8&lt;9&lt;");
}
END_TEST

START_TEST(number_as_iis_writes_it)
{
    ac_page_t page = { .status = 502, .substatus = 5 };

    ck_assert_str_eq(ac_page_number(&page, p), "502.5");
    page.status = 503;
    page.substatus = 0;
    ck_assert_str_eq(ac_page_number(&page, p), "503");
    page.status = 500;
    ck_assert_str_eq(ac_page_number(&page, p), "500.0");
}
END_TEST

START_TEST(every_status_has_a_reason)
{
    ac_page_t page = { .status = 502, .substatus = 5 };

    ck_assert_str_eq(ac_page_reason(&page), "The app failed to start");
    page.substatus = 99;
    ck_assert_str_eq(ac_page_reason(&page), "The app's response was not usable");
    page.status = 599;
    ck_assert_str_eq(ac_page_reason(&page), "The app cannot answer");
}
END_TEST

START_TEST(endings_in_words)
{
    ck_assert_ptr_null(ac_page_ending(-1, p));
    ck_assert_str_eq(ac_page_ending(SIGKILL, p), "ended by signal 9 (SIGKILL): killed "
                     "from outside, most often because memory ran out");
    ck_assert_str_eq(ac_page_ending(40, p), "ended by signal 40");
    ck_assert_str_eq(ac_page_ending(SIGABRT | 0x80, p), "ended by signal 6 (SIGABRT): "
                     "the program gave up by itself; a core was dumped");
    ck_assert_str_eq(ac_page_ending(EXITED(0), p),
                     "ended with exit status 0: it ended by its own decision");
    ck_assert_str_eq(ac_page_ending(EXITED(3), p), "ended with exit status 3");
    ck_assert_str_eq(ac_page_ending(EXITED(127), p), "ended with exit status 127, which "
                     "often stands for a command that was not found");
    ck_assert_str_eq(ac_page_ending(EXITED(143), p), "ended with exit status 143, which "
                     "often stands for signal 15 (SIGTERM): it was asked to end");
}
END_TEST

static ac_report_t *failed_start(void)
{
    ac_report_t *report = apr_pcalloc(p, sizeof(*report));

    ac_result_set(&report->result, APR_SUCCESS, AC_STAGE_READY, AC_FAULT_EXITED,
                  "the process ended <before> it was ready");
    report->folder = "/srv/shop";
    report->found = "Shop.runtimeconfig.json and Shop.dll";
    report->command = "dotnet Shop.dll --a \"<b>\"";
    report->user = "shop";
    report->pid = 456;
    report->generation = 3;
    report->wait_status = EXITED(134);
    report->lasted = 1234567;
    report->kind = AC_KIND_DOTNET;
    report->evidence = "Unhandled exception. | at <Main>";
    report->hint = "Look at the <connection string>";
    report->output = "\033[31mUnhandled exception.\033[0m "
                     "</pre><script>alert(1)</script>";
    report->notices = apr_array_make(p, 1, sizeof(const char *));
    APR_ARRAY_PUSH(report->notices, const char *) = "hostingModel=\"inprocess\" is not "
                                                    "obeyed";
    return report;
}

static int has(const char *text, const char *what)
{
    return strstr(text, what) != NULL;
}

START_TEST(public_page_says_nothing_about_the_app)
{
    ac_page_t page = { .status = 502, .substatus = 5, .app = "shop", .detail = "secret" };
    const char *text;

    page.report = failed_start();
    text = ac_page_text(&page, p);
    ck_assert(has(text, "<title>HTTP Error 502.5 - The app failed to start</title>"));
    ck_assert(has(text, "<h1>HTTP Error 502.5 - The app failed to start</h1>"));
    ck_assert(!has(text, "shop"));
    ck_assert(!has(text, "secret"));
    ck_assert(!has(text, "exception"));
    ck_assert(!has(text, "456"));
}
END_TEST

START_TEST(public_page_says_when_to_come_back)
{
    ac_page_t page = { .status = 503, .retry_after = 7 };

    ck_assert(has(ac_page_text(&page, p), "Please try again in 7 seconds."));
    page.retry_after = 1;
    ck_assert(has(ac_page_text(&page, p), "Please try again in 1 second."));
    page.retry_after = 0;
    ck_assert(has(ac_page_text(&page, p), "Please try again in a moment."));
}
END_TEST

START_TEST(detailed_page_tells_the_journey)
{
    ac_page_t page = { .status = 502, .substatus = 5, .detailed = 1, .app = "shop" };
    const char *text;

    page.report = failed_start();
    text = ac_page_text(&page, p);
    ck_assert(has(text, "<p>the process ended &lt;before&gt; it was ready</p>"));
    ck_assert(has(text, "<li class=\"done\">looking at the app&#39;s folder</li>"));
    ck_assert(has(text, "<li class=\"done\">running the program</li>"));
    ck_assert(has(text, "<li class=\"failed\">waiting until the app accepts connections "
                        "&ndash; failed</li>"));
    ck_assert(!has(text, "warm-up"));
    ck_assert(!has(text, "serving requests"));
    ck_assert(has(text, "<code>dotnet Shop.dll --a &quot;&lt;b&gt;&quot;</code>"));
    ck_assert(has(text, "<code>456 (slot 0, generation 3)</code>"));
    ck_assert(has(text, "exit status 134, which often stands for signal 6 (SIGABRT)"));
    ck_assert(has(text, ", after 1234 ms</code>"));
    ck_assert(has(text, "<li>Look at the &lt;connection string&gt;</li>"));
    ck_assert(has(text, "<pre>Unhandled exception. | at &lt;Main&gt;</pre>"));
    ck_assert(has(text, "<pre>\nUnhandled exception. &lt;/pre&gt;&lt;script&gt;"));
    ck_assert(!has(text, "<script>"));
    ck_assert(has(text, "<li>hostingModel=&quot;inprocess&quot; is not obeyed</li>"));
    ck_assert_str_eq(text + strlen(text) - 8, "</html>\n");
    ck_assert_str_eq(ac_page_text(&page, p), text);
}
END_TEST

/* In this order, as those who know ANCM's page look for them. */
START_TEST(detailed_page_is_laid_out_as_ancms)
{
    static const char *const parts[] = {
        "<h1>HTTP Error 502.5 - ", "<h2>Common solutions to this issue:</h2>",
        "Look at the", "started but then stopped", "<h2>Specific error detected:</h2>",
        "<h2>Troubleshooting steps:</h2>", "For more information visit: <a href=",
        "</html>"
    };
    ac_page_t page = { .status = 502, .substatus = 5, .detailed = 1 };
    ac_report_t *report = failed_start();
    const char *at = ac_page_text(&page, p);
    apr_size_t i;

    ck_assert(!has(at, "Common solutions"));
    page.report = report;
    at = ac_page_text(&page, p);
    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); ++i) {
        at = strstr(at, parts[i]);
        ck_assert_msg(at != NULL, "%s", parts[i]);
    }
    report->link = "https://help.example/?a=1&b=\"2\"";
    at = ac_page_text(&page, p);
    ck_assert(has(at, "<a href=\"https://help.example/?a=1&amp;b=&quot;2&quot;\">"));
    ck_assert(has(at, " and <a href=\"https://go.microsoft.com/"));
    report->link = "javascript:alert(1)";
    ck_assert(!has(ac_page_text(&page, p), "javascript"));
    report->kind = AC_KIND_NODE;
    ck_assert(!has(ac_page_text(&page, p), "For more information"));
}
END_TEST

START_TEST(journey_ends_where_the_failure_was)
{
    ac_page_t page = { .status = 502, .substatus = 5, .detailed = 1 };
    ac_report_t *report = failed_start();
    const char *text;

    page.report = report;
    report->pid = 0;
    report->wait_status = -1;
    report->output = "";
    ac_result_set(&report->result, ENOENT, AC_STAGE_EXEC, AC_FAULT_EXEC, "no program");
    text = ac_page_text(&page, p);
    ck_assert(has(text, "<li class=\"failed\">running the program"));
    ck_assert(has(text, "<li class=\"open\">waiting until"));
    ck_assert(has(text, "No such file or directory"));
    ck_assert(!has(text, "What it printed"));
    report->result.status = APR_EGENERAL;
    ck_assert(!has(ac_page_text(&page, p), "System error"));
    ck_assert(!has(text, "Ending"));

    ac_result_set(&report->result, 0, AC_STAGE_RUN, AC_FAULT_CRASHED, "crashed");
    report->pid = 7;
    text = ac_page_text(&page, p);
    ck_assert(has(text, "<li class=\"done\">waiting until"));
    ck_assert(has(text, "<li class=\"failed\">serving requests"));
    ck_assert(!has(text, "class=\"open\""));
    ck_assert(has(text, "Nothing, neither on stdout nor on stderr."));
}
END_TEST

START_TEST(detailed_page_without_a_report)
{
    ac_page_t page = { .status = 504, .detailed = 1, .detail = "silent for 120 s" };
    const char *text = ac_page_text(&page, p);

    ck_assert(has(text, "<p>silent for 120 s</p>"));
    ck_assert(!has(text, "<ol>"));
    ck_assert(!has(text, "What was run"));
}
END_TEST

static char root[64];
static int folder;
static struct stat found;

static const char *in_root(const char *name)
{
    return apr_pstrcat(p, root, "/", name, NULL);
}

static void make_file(const char *name, mode_t mode)
{
    int fd = open(in_root(name), O_CREAT | O_WRONLY, mode);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    ck_assert_int_eq(close(fd), 0);
}

static void make_link(const char *to, const char *name)
{
    ck_assert_int_eq(symlink(to, in_root(name)), 0);
}

static void setup_folder(void)
{
    setup();
    apr_cpystrn(root, "/tmp/appcore-beneath-XXXXXX", sizeof(root));
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_assert_int_eq(mkdir(in_root("www"), 0755), 0);
    ck_assert_int_eq(mkdir(in_root("www/js"), 0755), 0);
    make_file("secret", 0644);
    make_file("www/a.txt", 0644);
    make_file("www/js/app.js", 0644);
    make_file("www/.env", 0644);
    make_file("www/js/Web.Config", 0644);
    make_link("js/app.js", "www/inside.js");
    make_link("../secret", "www/outside");
    make_link(in_root("secret"), "www/absolute");
    make_link("/proc/self/exe", "www/magic");
    ck_assert_int_eq(mkfifo(in_root("www/fifo"), 0644), 0);
    folder = ac_beneath_folder(root, in_root("www"));
    ck_assert_int_ge(folder, 0);
}

static void teardown_folder(void)
{
    const char *argv[] = { "rm", "-rf", root, NULL };
    pid_t pid;

    close(folder);
    pid = fork();
    if (pid == 0) {
        execvp(argv[0], (char *const *)argv);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
    teardown();
}

/* 0, or the errno of looking for it as the user that owns the files. */
static int look_for(const char *name)
{
    int fd = ac_beneath_file(folder, name, geteuid(), &found);

    if (fd < 0) {
        return errno;
    }
    close(fd);
    return 0;
}

START_TEST(names_that_may_be_asked_for)
{
    ck_assert_int_eq(ac_beneath_name_allowed("a"), 1);
    ck_assert_int_eq(ac_beneath_name_allowed("js/app.min.js"), 1);
    ck_assert_int_eq(ac_beneath_name_allowed("web.config.txt"), 1);
    ck_assert_int_eq(ac_beneath_name_allowed(""), 0);
    ck_assert_int_eq(ac_beneath_name_allowed("/etc/passwd"), 0);
    ck_assert_int_eq(ac_beneath_name_allowed("a//b"), 0);
    ck_assert_int_eq(ac_beneath_name_allowed("a/"), 0);
    ck_assert_int_eq(ac_beneath_name_allowed("."), 0);
    ck_assert_int_eq(ac_beneath_name_allowed("a/../b"), 0);
    ck_assert_int_eq(ac_beneath_name_allowed(".git/config"), 0);
    ck_assert_int_eq(ac_beneath_name_allowed("js/.map"), 0);
    ck_assert_int_eq(ac_beneath_name_allowed("web.config"), 0);
    ck_assert_int_eq(ac_beneath_name_allowed("sub/WEB.Config"), 0);
    ck_assert_int_eq(ac_beneath_name_allowed("web.config/x"), 0);
}
END_TEST

START_TEST(files_beneath_are_found)
{
    ck_assert_int_eq(look_for("a.txt"), 0);
    ck_assert_int_eq(look_for("js/app.js"), 0);
    ck_assert_int_eq(look_for("nothing"), ENOENT);
    ck_assert_int_eq(look_for("a.txt/more"), ENOTDIR);
    ck_assert_int_eq(look_for("js/Web.Config"), ENOENT);
    ck_assert_int_eq(look_for(".env"), ENOENT);
}
END_TEST

/* Where the kernel does not resolve beneath a folder (valgrind does not know the
 * call), no link is followed at all. */
static int leads_out(int error)
{
    return error == EXDEV || error == EACCES || error == ENOTDIR;
}

START_TEST(links_lead_nowhere_else)
{
    ck_assert(leads_out(look_for("outside")));
    ck_assert(leads_out(look_for("absolute")));
    ck_assert(leads_out(look_for("magic")));
}
END_TEST

START_TEST(only_regular_files)
{
    ck_assert_int_eq(look_for("js"), EACCES);
    ck_assert_int_eq(look_for("fifo"), EACCES);
}
END_TEST

START_TEST(owner_is_root_or_the_app)
{
    uid_t other = geteuid() + 12345;
    int fd = ac_beneath_file(folder, "a.txt", other, &found);

    /* A file of root is for everybody only if everybody may read it. */
    if (geteuid() == 0) {
        ck_assert_int_ge(fd, 0);
        close(fd);
        ck_assert_int_eq(chmod(in_root("www/a.txt"), 0640), 0);
        fd = ac_beneath_file(folder, "a.txt", other, &found);
    }
    ck_assert_int_eq(fd, -1);
    ck_assert_int_eq(errno, EACCES);
    ck_assert_int_eq(look_for("a.txt"), 0);
}
END_TEST

START_TEST(folder_itself_may_not_be_a_way_out)
{
    make_link("/etc", "www2");
    ck_assert_int_eq(ac_beneath_folder(root, in_root("www2")), -1);
    ck_assert(leads_out(errno));
    ck_assert_int_eq(ac_beneath_folder(root, in_root("nothing")), -1);
    ck_assert_int_eq(errno, ENOENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("request");
    TCase *page = tcase_create("page");
    TCase *beneath = tcase_create("beneath");
    SRunner *runner;
    int failed;

    apr_initialize();
    tcase_add_checked_fixture(page, setup, teardown);
    tcase_add_test(page, spellings_of_a_path);
    tcase_add_test(page, html_escapes_markup);
    tcase_add_test(page, html_leaves_out_what_terminals_take);
    tcase_add_test(page, html_takes_only_utf8);
    tcase_add_test(page, html_grows);
    tcase_add_test(page, number_as_iis_writes_it);
    tcase_add_test(page, every_status_has_a_reason);
    tcase_add_test(page, endings_in_words);
    tcase_add_test(page, public_page_says_nothing_about_the_app);
    tcase_add_test(page, public_page_says_when_to_come_back);
    tcase_add_test(page, detailed_page_tells_the_journey);
    tcase_add_test(page, detailed_page_is_laid_out_as_ancms);
    tcase_add_test(page, journey_ends_where_the_failure_was);
    tcase_add_test(page, detailed_page_without_a_report);
    suite_add_tcase(suite, page);

    tcase_add_checked_fixture(beneath, setup_folder, teardown_folder);
    tcase_add_test(beneath, names_that_may_be_asked_for);
    tcase_add_test(beneath, files_beneath_are_found);
    tcase_add_test(beneath, links_lead_nowhere_else);
    tcase_add_test(beneath, only_regular_files);
    tcase_add_test(beneath, owner_is_root_or_the_app);
    tcase_add_test(beneath, folder_itself_may_not_be_a_way_out);
    suite_add_tcase(suite, beneath);

    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    apr_terminate();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
