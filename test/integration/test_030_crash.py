# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Apps that die, never start, or start slowly; helpers that die."""

import http.client
import os
import re
import signal
import threading
import time

import pytest

import processes
from processes import wait_for

pytestmark = pytest.mark.mpm

STARTS = {
    "exits": "AppCoreEnvironmentVariable START_EXIT 3\n"
             'AppCoreEnvironmentVariable START_TEXT "cannot open the database"\n'
             "AppCoreDetailedErrors On\n",
    "public": "AppCoreEnvironmentVariable START_EXIT 3\n"
              'AppCoreEnvironmentVariable START_TEXT "secret detail"\n'
              "AppCoreDetailedErrors Off\n",
    "bare": "AppCoreEnvironmentVariable START_EXIT 3\nAppCoreDetailedErrors On\n"
            "AppCoreDisableStartUpErrorPage On\n",
    "silent": "AppCoreEnvironmentVariable START_NEVER_LISTEN 1\n"
              "AppCoreStartupTimeLimit 1\nAppCoreDetailedErrors On\n",
    "sleepy": "AppCoreEnvironmentVariable START_DELAY_MS 700\n",
    "impatient": "AppCoreEnvironmentVariable START_GATE now\n"
                 "AppCoreQueueTimeLimit 300ms\n",
    "narrow": "AppCoreEnvironmentVariable START_GATE now\nAppCoreQueueLimit 2\n",
    "missing": "AppCoreProcessPath /no/such/program\nAppCoreDetailedErrors On\n",
    "breaker": "AppCoreEnvironmentVariable START_EXIT 4\n"
               "AppCoreRapidFailsPerMinute 1\n",
    "many": "AppCoreProcessesPerApplication 3\n",
}


@pytest.fixture(scope="module")
def httpd(env):
    text = f"AppCoreMount /plain {env.app('plain', 'plain')}\n" \
           "AppCoreRapidFailsPerMinute 100\n"
    for name, lines in STARTS.items():
        folder = env.app(name, "plain")
        text += f"<AppCoreApp {name}>\nAppCorePath {folder}\n{lines}</AppCoreApp>\n" \
                f"AppCoreMount /{name} {name}\n"
    empty = env.app("empty", files={"readme.txt": "nothing here\n"})
    text += f"AppCoreMount /empty {empty}\n" \
            f"AppCoreMount /gone {env.path('apps', 'gone')}\n"
    # Apps that fail on purpose are tried again whenever it suits the manager.
    env.always_allowed = [r"\[appcore:\w+\].* app \w+(:|,| does not| is not)"]
    env.expected = {env.path("apps", "many"): 3}
    env.start(text)
    return env


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not processes.alive(pid))


def open_gate(httpd, name):
    """What START_GATE lets the app wait for."""
    httpd.write("apps", name, "now", text="")


def test_killed_app_is_replaced(httpd):
    old = int(httpd.get("/plain/pid").text)
    kill(old)
    assert int(httpd.get("/plain/pid").text) != old


def test_replaced_without_a_request(httpd):
    """Supervised, not only started on demand."""
    folder = httpd.path("apps", "plain")
    old = int(httpd.get("/plain/pid").text)
    kill(old)
    new = wait_for(lambda: [p for p in httpd.app_processes(folder) if p != old], 15)
    assert len(new) == 1


def test_crash_is_told(httpd):
    httpd.get("/plain/pid")
    answer = httpd.get("/plain/crash", method="POST")
    assert answer.status == 502
    httpd.wait_log(r"app plain: process \d+ .*signal 6")


def test_kill_under_load_costs_no_idempotent_request(httpd):
    wait_for(lambda: httpd.get("/plain/pid").status == 200, 20)
    stop, answers, kills = threading.Event(), [], 4
    ended = [0] * 4

    def ask(i):
        while not stop.is_set():
            try:
                answers.append(httpd.get("/plain/pid", timeout=60))
            except http.client.IncompleteRead:
                pass            # killed between head and body: it had begun
            ended[i] += 1

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    try:
        killed = set()
        for _ in range(kills):
            pid = wait_for(lambda: [int(a.text) for a in answers[-1:] if a.status == 200
                                    and int(a.text) not in killed
                                    and processes.alive(int(a.text))], 20)[0]
            killed.add(pid)
            kill(pid)
            # A request is sent again once; two kills it would notice. The first that
            # ends may have been over before this one.
            before = list(ended)
            wait_for(lambda: all(n > b + 1 for n, b in zip(ended, before)), 20)
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert len(killed) == kills
    bad = [a for a in answers if a.status != 200]
    begun = re.findall("it broke its answer off|within the response head",
                       httpd.recent_log())
    assert len(bad) <= len(begun), f"{len(bad)} of {len(answers)}: {bad[0]}"


def test_what_may_have_been_done_is_not_done_twice(httpd):
    """A POST whose process dies over it gets 502, and no process sees it again."""
    wait_for(lambda: httpd.get("/plain/pid").status == 200, 20)
    count = httpd.path("apps", "plain", "count")
    assert httpd.get("/plain/count?die=1", method="POST", body=b"x").status == 502
    wait_for(lambda: httpd.get("/plain/pid").status == 200, 20)
    with open(count, encoding="ascii") as f:
        assert f.read().count("POST") == 1
    os.unlink(count)


def test_idempotent_request_is_repeated_once(httpd):
    wait_for(lambda: httpd.get("/plain/pid").status == 200, 20)
    count = httpd.path("apps", "plain", "count")
    assert httpd.get("/plain/count?die=1", timeout=60).status == 502
    wait_for(lambda: httpd.get("/plain/pid").status == 200, 20)
    with open(count, encoding="ascii") as f:
        assert f.read().count("GET") == 2
    os.unlink(count)


def test_truncated_answer_is_truncated_for_the_client(httpd):
    wait_for(lambda: httpd.get("/plain/pid").status == 200, 20)
    with httpd.raw() as raw:
        raw.send("GET /plain/truncate HTTP/1.1\r\nHost: localhost\r\n\r\n")
        data = raw.receive()
    assert b"half" in data and b"Content-Length: 100" in data
    assert len(data.split(b"\r\n\r\n", 1)[1]) < 100


def test_failing_start_is_explained(httpd):
    answer = httpd.get("/exits/")
    assert answer.status == 502
    assert "502.5" in answer.text
    assert "cannot open the database" in answer.text
    assert re.search(r"status (code )?3|exit(ed)?\D+3", answer.text), answer.text
    httpd.wait_log("app exits: .*cannot open the database")


def test_public_page_tells_nothing(httpd):
    answer = httpd.get("/public/")
    assert answer.status == 502
    assert "secret detail" not in answer.text
    assert "/apps/public" not in answer.text


def test_page_can_be_left_to_error_document(httpd):
    answer = httpd.get("/bare/")
    assert answer.status == 502
    assert "<address>" in answer.text or "502 Bad Gateway" in answer.text
    assert "502.5" not in answer.text


def test_one_that_never_listens(httpd):
    began = time.monotonic()
    answer = httpd.get("/silent/")
    assert answer.status == 502
    assert 0.9 < time.monotonic() - began < 6
    assert "1 s" in answer.text or "start-up" in answer.text.lower(), answer.text
    wait_for(lambda: "AppCoreStartupTimeLimit" in httpd.recent_log()
             or "did not" in httpd.recent_log())


def test_slow_start_is_waited_for(httpd):
    began = time.monotonic()
    assert httpd.get("/sleepy/pid").status == 200
    assert time.monotonic() - began > 0.6


def test_waiting_ends(httpd):
    answer = httpd.get("/impatient/pid")
    assert answer.status == 503
    assert int(answer.header("Retry-After")) > 0
    # The start goes on.
    open_gate(httpd, "impatient")
    wait_for(lambda: httpd.get("/impatient/pid").status == 200, 15)


def test_queue_is_bounded(httpd):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(httpd.get("/narrow/pid")))
               for _ in range(6)]
    for t in threads:
        t.start()
    wait_for(lambda: len(answers) == 4, 30, "those that find no place")
    open_gate(httpd, "narrow")
    for t in threads:
        t.join()
    codes = sorted(a.status for a in answers)
    assert codes == [200, 200, 503, 503, 503, 503]
    assert all(a.header("Retry-After") for a in answers if a.status == 503)


def test_missing_program_is_named(httpd):
    answer = httpd.get("/missing/")
    assert answer.status in (500, 502)
    assert "/no/such/program" in answer.text
    assert "which is not there" in answer.text


@pytest.mark.parametrize("name", ["empty", "gone"])
def test_folder_without_an_app(httpd, name):
    answer = httpd.get(f"/{name}/")
    assert answer.status in (500, 502)
    httpd.wait_log(f"app {name}: .*")
    assert httpd.get("/sleepy/pid").status == 200


def test_breaker(httpd):
    """More failures than allowed: refused at once, with the reason in the log."""
    def refused():
        answer = httpd.get("/breaker/")
        return answer if answer.status == 503 else None
    answer = wait_for(refused, 20, "the breaker's 503")
    assert int(answer.header("Retry-After")) > 0
    began = time.monotonic()
    httpd.get("/breaker/")
    assert time.monotonic() - began < 3     # not AppCoreQueueTimeLimit


def test_breaker_stays_open_when_the_manager_dies(httpd):
    """Nothing is started before its time, and the reason is told as before."""
    httpd.allow("appcore-manager ended")
    answer = wait_for(lambda: refused_for_long(httpd), 40, "a long pause")
    started = httpd.log_text().count("app breaker: process")
    old = httpd.helper("manager")
    kill(old)
    wait_for(lambda: httpd.helper("manager") not in (0, old), what="another manager")
    wait_for(lambda: httpd.get("/plain/pid").status == 200, 20)
    again = httpd.get("/breaker/")
    assert again.status == 503
    said, before = (re.sub(r"in \d+ seconds?", "", a.text) for a in (again, answer))
    assert said == before
    assert int(again.header("Retry-After")) <= int(answer.header("Retry-After"))
    assert httpd.log_text().count("app breaker: process") == started


def refused_for_long(httpd):
    """The answer while the next start is seconds away."""
    answer = httpd.get("/breaker/")
    waits = int(answer.header("Retry-After", "0"))
    return answer if answer.status == 503 and waits > 4 else None


def test_one_of_many_dies(httpd):
    folder = httpd.path("apps", "many")
    assert httpd.get("/many/pid").status == 200
    wait_for(lambda: len(httpd.app_processes(folder)) == 3, what="three processes")
    victim = httpd.app_processes(folder)[1]
    kill(victim)
    for _ in range(20):
        assert httpd.get("/many/pid").status == 200
    wait_for(lambda: len(httpd.app_processes(folder)) == 3
             and victim not in httpd.app_processes(folder), 20, "three again")


def test_busy_process_is_avoided(httpd):
    folder = httpd.path("apps", "many")
    assert httpd.get("/many/pid").status == 200
    wait_for(lambda: len(httpd.app_processes(folder)) == 3, 20, "three processes")
    busy = []
    thread = threading.Thread(target=lambda: busy.append(httpd.get("/many/slow?ms=1500")))
    thread.start()
    httpd.wait_log("app many: slow begins")
    others = {httpd.get("/many/pid").text for _ in range(12)}
    thread.join()
    assert busy[0].text not in others


@pytest.mark.parametrize("name", ["manager", "relay"])
def test_helper_is_replaced_unnoticed(httpd, name):
    httpd.allow(r"\[appcore:\w+\].*" + name)
    wait_for(lambda: httpd.get("/plain/pid").status == 200, 20)
    app, old = httpd.get("/plain/pid").text, httpd.helper(name)
    kill(old)
    wait_for(lambda: httpd.helper(name) not in (0, old), what=f"another {name}")
    for _ in range(10):
        assert httpd.get("/plain/pid").text == app
    # The new one does its work: output arrives, a crash is noticed.
    httpd.get("/plain/print?text=still+heard")
    httpd.wait_log("app plain: still heard")
    kill(int(app))
    wait_for(lambda: httpd.get("/plain/pid").status == 200, 20)


def test_keeper_is_replaced(httpd):
    httpd.allow(r"\[appcore:\w+\]")
    old = httpd.keeper()
    kill(old)
    wait_for(lambda: httpd.keeper() not in (0, old), 15, "another keeper")
    httpd.wait_log("the keeper, which starts and watches all apps, ended")
    wait_for(lambda: httpd.get("/plain/pid").status == 200, 20)
    wait_for(lambda: int(httpd.get("/plain/pid").text)
             in {p.pid for p in processes.descendants(httpd.keeper())}, 20,
             "a process of the new keeper")
