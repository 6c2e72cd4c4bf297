# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""AppCoreMaxConcurrency: how many requests a process gets at a time, over all children of
httpd, and in which order the others follow. Ranges of processes."""

import os
import signal
import threading
import time

import pytest

import env as environment
import processes
from many import NamedRequests, at_once
from processes import wait_for
from rawapp import RawApp

# On the worker MPM all requests of a test may wait in one child.
ONE_EACH = environment.MPM == "prefork"
CHILDREN = "StartServers 3\n" + (
    "MinSpareServers 3\n" if ONE_EACH else
    "ThreadsPerChild 16\nMaxRequestWorkers 64\n")
APPS = {
    "one": "AppCoreMaxConcurrency 1\n",
    "two": "AppCoreMaxConcurrency 2\nAppCoreProcessesPerApplication 2\n",
    "hasty": "AppCoreMaxConcurrency 1\nAppCoreQueueTimeLimit 300ms\n",
    "range": "AppCoreMaxConcurrency 1\nAppCoreProcessesPerApplication 1-3\n",
    "free": "AppCoreProcessesPerApplication 1-2\n",
}


@pytest.fixture(scope="module")
def httpd(env):
    env.made = {name: RawApp(env, name) for name in APPS}
    env.expected = {env.made[n].folder: 3 for n in ("two", "range", "free")}
    env.start(CHILDREN + "AppCoreMaxWorkers 100%\n" + "".join(
        f"<AppCoreApp {name}>\nAppCorePath {env.made[name].folder}\n{lines}"
        f"</AppCoreApp>\nAppCoreMount /{name} {name}\n"
        for name, lines in APPS.items()))
    return env


@pytest.fixture
def one(httpd):
    app = httpd.made["one"]
    assert httpd.get("/one/pid").status == 200
    app.forget()
    return app


def most_at_a_time(answers):
    assert {a.status for _, a in answers} == {200}
    return max(int(a.text.split()[1]) for _, a in answers)


@pytest.mark.mpm
@pytest.mark.parametrize("name,limit", [("one", 1), ("two", 2)])
def test_never_more_at_a_time(httpd, name, limit):
    wait_for(lambda: len(httpd.workers()) >= 3, what="children of httpd")
    with NamedRequests(httpd.port, f"/{name}/busy?ms=5", 12) as load:
        for _ in range(3):
            load.wait_round()
    assert most_at_a_time(load.answers()) == limit
    assert len({a.text.split()[0] for _, a in load.answers()}) == limit


@pytest.mark.mpm
def test_nobody_waits_for_the_clock(one, httpd):
    """A permit that comes free is used at once, whichever child waits for it."""
    began = time.monotonic()
    answers = at_once(12, lambda i: httpd.get("/one/busy?ms=5"))
    assert {a.status for a in answers} == {200}
    assert time.monotonic() - began < 3


@pytest.mark.mpm
def test_oldest_first(one, httpd):
    gate, target = one.gate(), one.target("pid")
    threads = [threading.Thread(target=httpd.get, args=(one.target("hold", gate=gate),))]
    threads[0].start()
    one.wait_gate(gate)
    for i in range(5):
        threads.append(threading.Thread(target=httpd.get, args=(target,),
                                        kwargs={"headers": {"X-Id": f"number-{i}"}}))
        threads[-1].start()
        time.sleep(0.15)        # what makes one older than the next
    one.open(gate)
    for t in threads:
        t.join()
    order = [e["id"] for e in one.events("request") if e["id"]]
    assert order == [f"number-{i}" for i in range(5)]


@pytest.mark.mpm
def test_one_connection_at_a_time(one, httpd):
    """Else another child could not reach an app that serves them one by one."""
    assert httpd.get("/one/pid").status == 200
    conn = one.wait_event("request")["conn"]
    one.wait_event("closed", conn=conn)


@pytest.mark.mpm
def test_who_waits_too_long_is_told(httpd):
    httpd.allow("app hasty is not available")
    hasty = httpd.made["hasty"]
    wait_for(lambda: httpd.get("/hasty/pid").status == 200, what="its start")
    gate, held = hasty.gate(), []
    thread = threading.Thread(target=lambda: held.append(
        httpd.get(hasty.target("hold", gate=gate))))
    thread.start()
    hasty.wait_gate(gate)
    answer = httpd.get("/hasty/pid")
    assert answer.status == 503 and answer.header("Retry-After")
    hasty.open(gate)
    thread.join()
    assert held[0].status == 200
    assert httpd.get("/hasty/pid").status == 200


@pytest.mark.mpm
def test_a_refused_connection_is_no_turn(httpd):
    """The permit that a failed attempt gives back calls nobody to the next attempt."""
    httpd.allow("app hasty is not available",
                r"app hasty: process \d+ .*takes no connections any more")
    hasty = httpd.made["hasty"]
    old = httpd.get("/hasty/pid").text
    manager = httpd.helper("manager")
    os.kill(manager, signal.SIGSTOP)
    try:
        assert httpd.get(hasty.target("retire")).text == "bye"
        assert wait_for(lambda: httpd.get("/hasty/pid", timeout=5).status == 503)
    finally:
        os.kill(manager, signal.SIGCONT)
    wait_for(lambda: httpd.get("/hasty/pid").text not in (old, ""))


def owner_of(client, port):
    """The process of httpd that holds the other end of that connection."""
    mine = f":{client.getsockname()[1]:04X}"
    lines = [line.split() for line in processes.read("net", "tcp").decode().splitlines()]
    inode, = (f[9] for f in lines[1:] if f[2].endswith(mine)
              and f[1].endswith(f":{port:04X}"))
    return lambda workers: [p.pid for p in workers
                            if f"socket:[{inode}]" in map(
                                lambda fd, pid=p.pid: processes.link(pid, f"fd/{fd}"),
                                os.listdir(f"/proc/{p.pid}/fd"))]


@pytest.mark.mpm
def test_killed_child_gives_its_permits_back(one, httpd):
    httpd.allow("exit signal Killed")
    gate = one.gate()
    with httpd.raw() as client:
        client.send(f"GET {one.target('hold', gate=gate)} HTTP/1.1\r\n"
                    "Host: localhost\r\n\r\n")
        one.wait_gate(gate)
        holder, = owner_of(client.socket, httpd.port)(httpd.workers())
        os.kill(holder, signal.SIGKILL)
        began = time.monotonic()
        assert httpd.get("/one/pid").status == 200
        assert time.monotonic() - began < 10


def folder_count(httpd, name):
    return len(httpd.app_processes(httpd.made[name].folder))


def test_range_follows_the_queue(httpd):
    """Up while requests wait, down to the least when none come."""
    assert httpd.get("/range/pid").status == 200
    assert folder_count(httpd, "range") == 1
    with NamedRequests(httpd.port, "/range/busy?ms=50", 8) as load:
        wait_for(lambda: folder_count(httpd, "range") == 3, 20, "three processes")
        load.wait_round()
        wait_for(lambda: len({a.text.split()[0] for _, a in load.answers()[-20:]}) == 3,
                 20, "answers of all")
    assert most_at_a_time(load.answers()) == 1
    httpd.wait_log(r"app range: has more to do than its processes can take: \d processes")
    wait_for(lambda: folder_count(httpd, "range") == 1, 60, "one process")
    httpd.wait_log("app range: has little to do: 1 process from")
    assert httpd.get("/range/pid").status == 200


def test_range_follows_what_is_in_flight(httpd):
    """Without a limit: eleven at a time are more than one process should have."""
    free = httpd.made["free"]
    gate, results = free.gate(), []
    thread = threading.Thread(target=lambda: results.extend(at_once(
        11, lambda i: httpd.get(free.target("hold", gate=gate), timeout=60))))
    thread.start()
    try:
        free.wait_event("gate", count=11, gate=gate)
        assert len(free.events("start")) == 1
        free.wait_event("start", 20, count=2)
    finally:
        free.open(gate)
        thread.join()
    assert {r.status for r in results} == {200}
    assert len({httpd.get("/free/pid").text for _ in range(6)}) == 2
