# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Processes that die under load: what may be repeated is, what may not is not. And
which of several processes gets a request."""

import collections
import os
import signal
import threading

import pytest

import env as environment
import processes
from many import NamedRequests
from processes import wait_for
from rawapp import RawApp, data, sha256

pytestmark = pytest.mark.mpm
KILLS = 5
CLIENTS = 32


@pytest.fixture(scope="module")
def httpd(env):
    env.made = {name: RawApp(env, name) for name in ("socket", "tcp", "two", "calm")}
    env.expected = {env.made["two"].folder: 2}
    # What becomes of a process may be told after the test that killed it.
    env.always_allowed = [r"app (socket|tcp|two|calm)(: |, process)", environment.FULL]
    env.start(environment.one_child(64) + f"""
AppCoreMaxWorkers 100%
AppCoreRapidFailsPerMinute 100
AppCoreMount /socket socket
<AppCoreApp socket>
    AppCorePath {env.made["socket"].folder}
    AppCoreListen socket
</AppCoreApp>
AppCoreMount /tcp tcp
<AppCoreApp tcp>
    AppCorePath {env.made["tcp"].folder}
    AppCoreListen tcp
</AppCoreApp>
AppCoreMount /two two
<AppCoreApp two>
    AppCorePath {env.made["two"].folder}
    AppCoreProcessesPerApplication 2
</AppCoreApp>
AppCoreMount /calm calm
<AppCoreApp calm>
    AppCorePath {env.made["calm"].folder}
    AppCoreRequestBuffering 1M
</AppCoreApp>
""")
    return env


@pytest.fixture(params=["socket", "tcp"])
def one(request, httpd):
    return fresh(httpd, request.param)


@pytest.fixture
def two(httpd):
    app = fresh(httpd, "two")
    wait_for(lambda: len(app.events("start")) >= 2, what="two processes")
    wait_for(lambda: len({httpd.get("/two/pid").text for _ in range(4)}) == 2, 15,
             "answers of two processes")
    return app


def fresh(httpd, name):
    app = httpd.made[name]
    wait_for(lambda: httpd.get(f"/{name}/pid").status == 200, 20)
    return app


def pids(httpd, app):
    return httpd.app_processes(app.folder)


def kill_under_load(httpd, app, load, kills=KILLS):
    """A request is repeated once, so nobody is to meet two kills."""
    killed = set()
    for _ in range(kills):
        load.wait_round()
        pid = max(pids(httpd, app), default=0)
        assert pid and pid not in killed
        killed.add(pid)
        os.kill(pid, signal.SIGKILL)
    load.wait_round()


def seen_ids(app, method):
    return collections.Counter(e["id"] for e in app.events("request")
                               if e["method"] == method and e["id"])


def test_gets_survive_kills(one, httpd):
    one.forget()
    with NamedRequests(httpd.port, f"/{one.name}/pid", CLIENTS) as load:
        kill_under_load(httpd, one, load)
    load.check(200)
    assert max(seen_ids(one, "GET").values()) <= 2


def test_posts_are_never_done_twice(one, httpd):
    one.forget()
    with NamedRequests(httpd.port, f"/{one.name}/pid", CLIENTS, "POST",
                       b"x" * 100) as load:
        kill_under_load(httpd, one, load, 3)
    load.check(200, 502)
    seen = seen_ids(one, "POST")
    assert [n for n, count in seen.items() if count > 1] == []
    assert all(seen[name] == 1 for name, r in load.answers() if r.status == 200)


def test_gets_survive_kills_of_one_of_two(two, httpd):
    with NamedRequests(httpd.port, "/two/pid", CLIENTS // 2) as load:
        kill_under_load(httpd, two, load, 3)
    load.check(200)
    wait_for(lambda: len(pids(httpd, two)) == 2, 20, "two processes again")


def test_post_to_a_dead_process_waits_for_the_next(one, httpd):
    """Nothing was sent, so nothing can have been done."""
    one.forget()
    pid, = pids(httpd, one)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"))
    answer = httpd.get(f"/{one.name}/pid", method="POST", body=b"x",
                       headers={"X-Id": "after"})
    assert answer.status == 200 and answer.text != str(pid)
    assert seen_ids(one, "POST") == {"after": 1}


@pytest.mark.parametrize("size,times", [(1000, 2), (1000000, 1)])
def test_bodies_are_repeated_while_they_are_kept(one, httpd, size, times):
    """PUT is idempotent, but of a large body only the beginning is at hand."""
    one.forget()
    answer = httpd.get(f"/{one.name}/die", method="PUT", body=data(size),
                       headers={"X-Id": "put"}, timeout=60)
    assert answer.status == 502
    assert seen_ids(one, "PUT") == {"put": times}


@pytest.mark.parametrize("name,size", [("tcp", 50000), ("calm", 500000)])
def test_repeated_body_is_the_same(httpd, name, size):
    """What AppCoreRequestBuffering took is all at hand."""
    app = fresh(httpd, name)
    app.forget()
    body, gate, result = data(size), app.gate(), []
    thread = threading.Thread(target=lambda: result.append(httpd.get(
        app.target("digest", gate=gate), method="PUT", body=body, timeout=60)))
    thread.start()
    os.kill(app.wait_gate(gate)["pid"], signal.SIGKILL)
    app.open(gate)
    thread.join()
    assert result[0].status == 200 and result[0].json()["sha256"] == sha256(body)
    assert len(app.events("request", method="PUT")) == 2


def hold(httpd, app, count):
    """Requests that are being served: name of the gate -> pid. Each comes when the one
    before has its process: two at the same moment may choose the same."""
    threads, held = [], {}
    for gate in (app.gate() for _ in range(count)):
        threads.append(threading.Thread(target=httpd.get,
                                        args=(app.target("hold", gate=gate),)))
        threads[-1].start()
        held[gate] = app.wait_gate(gate)["pid"]
    return threads, held


def test_busy_process_gets_nothing_new(two, httpd):
    threads, held = hold(httpd, two, 6)
    try:
        counts = collections.Counter(held.values())
        assert set(counts.values()) == {3}, counts
        busy = held[next(iter(held))]
        for gate, pid in held.items():
            if pid != busy:
                two.open(gate)
        # Those are counted out a moment after they were answered.
        wait_for(lambda: httpd.get("/two/pid").text != str(busy))
        wait_for(lambda: sum(not t.is_alive() for t in threads) == 3)
        assert str(busy) not in {httpd.get("/two/pid").text for _ in range(30)}
    finally:
        for gate in held:
            two.open(gate)
        for t in threads:
            t.join()
    # Both are free: they take turns.
    wait_for(lambda: len({httpd.get("/two/pid").text for _ in range(6)}) == 2)
