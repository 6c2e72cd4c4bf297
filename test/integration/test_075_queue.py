# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Requests that have to wait, and how many may."""

import threading
import time

import pytest

import env as environment
from many import at_once
from processes import wait_for
from rawapp import RawApp

THREADS = 64
ONE_EACH = environment.MPM == "prefork"
WAITERS = 12 if ONE_EACH else 50


@pytest.fixture(scope="module")
def httpd(env):
    names = ("cold", "narrow", "hasty", "slow", "stuck", "other")
    env.made = {name: RawApp(env, name) for name in names}
    env.write("htdocs", "static.txt", text="static")
    threads = "" if ONE_EACH else f"ThreadsPerChild {THREADS}\nMaxRequestWorkers 64\n"
    settings = {
        "cold": "AppCoreEnvironmentVariable RAW_START_GATE now\nAppCoreMaxWorkers 100%\n",
        "narrow": "AppCoreEnvironmentVariable RAW_START_GATE now\nAppCoreQueueLimit 3\n",
        "hasty": "AppCoreEnvironmentVariable RAW_START_GATE now\n"
                 "AppCoreQueueTimeLimit 300ms\n",
        "slow": "AppCoreMaxWorkers 4\nAppCoreAsync Off\n",
        "stuck": "AppCoreEnvironmentVariable RAW_START_GATE now\n"
                 "AppCoreMaxWorkers 25%\nAppCoreAsync Off\n",
        "other": ""}
    env.start(threads + "".join(
        f"<AppCoreApp {name}>\nAppCorePath {env.made[name].folder}\n{lines}"
        f"</AppCoreApp>\nAppCoreMount /{name} {name}\n"
        for name, lines in settings.items()))
    assert env.get("/other/pid").status == 200
    return env


def unavailable(answer):
    return answer.status == 503 and int(answer.header("Retry-After")) > 0


@pytest.mark.mpm
def test_all_wait_for_one_start(httpd):
    cold = httpd.made["cold"]
    results = []
    thread = threading.Thread(target=lambda: results.extend(at_once(
        WAITERS, lambda i: httpd.get("/cold/pid", timeout=60))))
    thread.start()
    cold.wait_event("start")
    time_waited_for = time.monotonic() + 0.3
    wait_for(lambda: time.monotonic() > time_waited_for)    # so that most have arrived
    cold.open("now")
    thread.join()
    assert {getattr(r, "status", r) for r in results} == {200}
    assert len({r.text for r in results}) == 1
    assert len(cold.events("start")) == 1


@pytest.mark.mpm
def test_queue_limit(httpd):
    httpd.allow("/narrow", "app narrow is not available")
    narrow = httpd.made["narrow"]
    refused = []

    def ask(i):
        answer = httpd.get("/narrow/pid", timeout=60)
        if answer.status == 503:
            refused.append(answer)
        return answer
    results = []
    thread = threading.Thread(target=lambda: results.extend(at_once(10, ask)))
    thread.start()
    # The seven are refused while the three wait.
    wait_for(lambda: len(refused) == 7)
    assert all(unavailable(a) for a in refused)
    # Their places are not taken again by those who went away.
    assert unavailable(httpd.get("/narrow/pid"))
    narrow.open("now")
    thread.join()
    assert sorted(r.status for r in results) == [200] * 3 + [503] * 7
    assert [a.status for a in at_once(10, lambda i: httpd.get("/narrow/pid"))] \
        == [200] * 10


@pytest.mark.mpm
def test_queue_time_limit(httpd):
    httpd.allow("/hasty", "app hasty is not available")
    hasty = httpd.made["hasty"]
    for _ in range(2):
        began = time.monotonic()
        answer = httpd.get("/hasty/pid")
        assert unavailable(answer)
        assert 0.29 < time.monotonic() - began < 10
    hasty.wait_event("start")
    hasty.open("now")
    # The start went on, and nobody is left in the queue.
    wait_for(lambda: httpd.get("/hasty/pid").status == 200)
    assert len(hasty.events("start")) == 1


def neighbours_are_well(httpd):
    """Other things that the same httpd does; time that they took."""
    began = time.monotonic()
    for _ in range(5):
        assert httpd.get("/static.txt").text == "static"
        assert httpd.get("/other/pid").status == 200
    return time.monotonic() - began


@pytest.mark.skipif(ONE_EACH, reason="a child with one thread has nothing to share")
def test_workers_that_one_app_may_hold(httpd):
    httpd.allow("/slow", "app slow is not available")
    slow = httpd.made["slow"]
    gate, results = slow.gate(), []
    target = slow.target("hold", gate=gate)
    thread = threading.Thread(target=lambda: results.extend(at_once(
        4, lambda i: httpd.get(target))))
    thread.start()
    slow.wait_event("gate", count=4, gate=gate)
    for _ in range(3):
        began = time.monotonic()
        answer = httpd.get("/slow/pid")
        assert unavailable(answer) and time.monotonic() - began < 5
    assert neighbours_are_well(httpd) < 5
    slow.open(gate)
    thread.join()
    assert [r.status for r in results] == [200] * 4
    for _ in range(3):
        assert httpd.get("/slow/pid").status == 200
    assert slow.events("request", method="GET")[-1]["target"] == "/slow/pid"
    assert len(slow.events("request")) == 7     # those refused never came here


@pytest.mark.skipif(ONE_EACH, reason="a child with one thread has nothing to share")
def test_an_app_that_does_not_start_leaves_workers_to_others(httpd):
    """A quarter of 64 wait, the rest is refused at once."""
    httpd.allow("/stuck", "app stuck is not available")
    stuck = httpd.made["stuck"]
    refused, results = [], []

    def ask(i):
        answer = httpd.get("/stuck/pid", timeout=60)
        if answer.status == 503:
            refused.append(answer)
        return answer
    thread = threading.Thread(target=lambda: results.extend(at_once(30, ask)))
    thread.start()
    wait_for(lambda: len(refused) == 30 - THREADS // 4)
    assert all(unavailable(a) for a in refused)
    assert neighbours_are_well(httpd) < 5
    stuck.open("now")
    thread.join()
    assert sorted(r.status for r in results) == [200] * 16 + [503] * 14
