# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Clients that leave a request in process: the app hears of it within a second,
whatever was going on, and everything is released."""

import random
import select
import subprocess
import threading
import time

import pytest

import env as environment
import probe
import processes
from client import Raw
from probe import GONE, NOTICED, WAYS_1, ask, close, reset
from processes import wait_for

pytestmark = pytest.mark.mpm
ABORTS = 1000
CLIENTS = 4


@pytest.fixture(scope="module")
def httpd(env):
    env.made = probe.Probe(env, "probe")
    protocols = probe.protocols(env)
    tls = probe.tls_conf(env, "AppCoreMount /probe probe")
    env.start(f"{protocols}Timeout 20\nAppCoreMaxWorkers 90%\n{env.made.conf()}{tls}")
    return env


def gone(app, tag, began=None):
    """on_disconnect() came once, and in time; then the request was released."""
    began = began or time.monotonic()
    event = app.wait_event("disconnect", NOTICED + 8, tag=tag)
    assert event["at"] - began < NOTICED, event
    app.wait_event("release", 10, tag=tag)
    assert len(app.events("disconnect", tag=tag)) == 1


def fill(raw):
    """Sends until nobody takes any more."""
    while select.select([], [raw.socket], [], 0.3)[1]:
        raw.socket.send(b"x" * 100000)


LEAVES = pytest.mark.parametrize("leave", [close, reset])


@LEAVES
@pytest.mark.parametrize("way", WAYS_1)
def test_while_it_is_pending(app, httpd, way, leave):
    raw = ask(httpd, way, "GET", "/probe/wait?tag=a")
    app.wait_event("wait", tag="a")
    leave(raw)
    gone(app, "a")


@LEAVES
@pytest.mark.parametrize("way", WAYS_1)
def test_while_handle_is_busy(app, httpd, way, leave):
    raw = ask(httpd, way, "GET", "/probe/hold?tag=b")
    app.wait_event("hold", tag="b")
    leave(raw)
    gone(app, "b")


@LEAVES
@pytest.mark.parametrize("way", WAYS_1)
def test_while_the_answer_pauses(app, httpd, way, leave):
    app.open("pause.1")
    raw = ask(httpd, way, "GET", "/probe/stream?gate=pause&tag=c&n=5")
    raw.receive(b"data: 1\n")
    leave(raw)
    gone(app, "c")


@LEAVES
@pytest.mark.parametrize("route", ["digest-async", "digest", "echo", "echo-async"])
@pytest.mark.parametrize("framing", ["Content-Length: 1000000",
                                     "Transfer-Encoding: chunked"],
                         ids=["length", "chunked"])
def test_while_the_app_reads(app, httpd, route, framing, leave):
    raw = ask(httpd, "http", "POST", f"/probe/{route}?tag=d", framing,
              body=b"5\r\nabcde\r\n")
    if "async" in route:
        time.sleep(0.05)
    leave(raw)
    app.wait_event("release", NOTICED + 8, tag="d")


@pytest.mark.parametrize("route", ["big-async", "big"])
@pytest.mark.parametrize("way", WAYS_1)
def test_while_the_app_writes(app, httpd, way, route):
    raw = ask(httpd, way, "GET", f"/probe/{route}?n=900000000&tag=e")
    assert raw.socket.recv(1000)
    began = time.monotonic()
    reset(raw)
    event = app.wait_event("release", NOTICED + 8, tag="e")
    assert event["at"] - began < NOTICED


@LEAVES
@pytest.mark.parametrize("way", WAYS_1)
@pytest.mark.parametrize("route", ["wait", "hold"])
@pytest.mark.parametrize("framing,body", [("Content-Length: 5", b"hello"),
                                          ("Content-Length: 9", b"hello"),
                                          ("Transfer-Encoding: chunked", b"0\r\n\r\n")],
                         ids=["whole", "half", "chunked"])
def test_while_its_body_is_unread(app, httpd, way, route, framing, body, leave):
    raw = ask(httpd, way, "POST", f"/probe/{route}?tag=u", framing, body=body)
    app.wait_event(route, tag="u")
    leave(raw)
    gone(app, "u")


@pytest.mark.skipif(environment.MPM == "prefork", reason="a process has one request")
@pytest.mark.parametrize("way", probe.WAYS)
def test_cut_off_while_it_reads(app, httpd, way):
    """By another thread of the app, that is."""
    command = probe.curl_command(httpd, way, "/probe/digest?tag=s", "-T", "-")
    with subprocess.Popen(command, stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL) as process:
        process.stdin.write(b"x")
        process.stdin.flush()
        number = app.wait_event("reading", tag="s")["id"]
        assert httpd.get(f"/probe/sever?id={number}").text == "cut off"
        assert app.wait_event("read", NOTICED, tag="s")["result"] == GONE
        process.stdin.close()
        assert process.wait(10) != 0


def test_while_nobody_reads_the_body(app, httpd):
    raw = ask(httpd, "http", "POST", "/probe/wait?tag=f", "Content-Length: 99000000",
              body=b"x")
    app.wait_event("wait", tag="f")
    fill(raw)
    reset(raw)
    gone(app, "f")


@LEAVES
@pytest.mark.parametrize("way", WAYS_1)
@pytest.mark.parametrize("route", ["upgrade", "tunnel-async"])
def test_while_it_is_a_tunnel(app, httpd, way, route, leave):
    raw = probe.connect(httpd, way)
    probe.shake_hands(raw, f"/probe/{route}?tag=g")
    raw.send("hear")
    probe.receive_exactly(raw, 4)
    leave(raw)
    app.wait_event("release", NOTICED + 8, tag="g")


@pytest.mark.skipif(not probe.HAS_HTTP2, reason="no HTTP/2")
@pytest.mark.parametrize("route", ["wait", "hold", "stream"])
def test_streams_that_are_reset(app, httpd, route):
    app.open("h2.1")
    command = probe.curl_command(httpd, "h2", f"/probe/{route}?gate=h2&tag=h", "-N")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        if route == "stream":
            assert process.stdout.read(7) == b"data: 1"
        else:
            app.wait_event(route, tag="h")
        process.kill()
    gone(app, "h")


def test_a_client_that_leaves_before_anything_began(app, httpd):
    for _ in range(20):
        raw = Raw(httpd.port)
        raw.send("GET /probe/wait HTTP/1.1\r\nHost: loc")
        reset(raw)
    assert httpd.get("/probe/hello").status == 200
    assert not app.events("wait")


def one_abort(httpd, dice, ways=("http", "http", "https")):
    tag = dice.randrange(1 << 40)
    way = dice.choice(ways) if probe.HAS_TLS else "http"
    method, path, line, body = dice.choice([
        ("GET", "wait?", "X-A: 1", b""), ("GET", "later?ms=5&", "X-A: 1", b""),
        ("GET", "stream?n=100000&", "X-A: 1", b""), ("GET", "hold?", "X-A: 1", b""),
        ("GET", "big?n=3000000&", "X-A: 1", b""), ("GET", "lend?ms=3&", "X-A: 1", b""),
        ("GET", "big-async?n=3000000&", "X-A: 1", b""),
        ("POST", "digest-async?", "Content-Length: 90000", b"x" * 70000),
        ("POST", "echo-async?", "Transfer-Encoding: chunked", b"3\r\nabc\r\n"),
        ("POST", "digest?", "Content-Length: 90000", b"x" * 70000),
        ("POST", "later?ms=0&", "Content-Length: 90000", b"x" * 70000),
        ("GET", "tunnel-async?", "Connection: upgrade\r\nUpgrade: echo", b"abc"),
        ("GET", "threads?threads=4&posts=20&", "X-A: 1", b""),
    ])
    raw = ask(httpd, way, method, f"/probe/{path}tag={tag}", line, body=body)
    select.select([raw.socket], [], [], dice.choice([0, 0.001, 0.01, 0.03]))
    dice.choice([close, reset])(raw)


def run_aborts(httpd, seed, failures):
    dice = random.Random(seed)
    try:
        for _ in range(ABORTS // CLIENTS):
            one_abort(httpd, dice)
    except Exception as error:      # whatever it is, the test wants to see it
        failures.append(error)


def test_an_abort_storm(app, httpd):
    """Afterwards every request is released, and nothing is left of descriptors."""
    httpd.allow("app probe")
    seed, failures = random.randrange(1 << 30), []
    print("seed", seed)
    before = {p.pid: processes.descriptors(p.pid) for p in httpd.workers()}
    most = max(sum(counts.values()) for counts in before.values())
    threads = [threading.Thread(target=run_aborts, args=(httpd, seed + i, failures))
               for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]

    def quiet():
        return {e["tag"] for e in app.events("disconnect")} \
            <= {e["tag"] for e in app.events("release")}
    wait_for(quiet, 20, "the release of all that clients left")
    assert httpd.get("/probe/hello").status == 200
    spare = 60 if environment.MPM != "prefork" else 20

    def settled():
        counts = [sum((processes.descriptors(p.pid) or {}).values())
                  for p in httpd.workers()]
        return max(counts) <= most + spare
    wait_for(settled, 15, "descriptors as before")
