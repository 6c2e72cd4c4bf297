# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Requests in process that are pending: completed by other threads, carried on by
on_io(), upgraded, waiting without a worker, and across a reload."""

import re
import select
import socket
import threading
import time

import pytest

import env as environment
import probe
from client import Raw
from many import at_once
from probe import ELSEWHERE, GONE, OK, WAYS, WAYS_1, ask, curl, digest, pattern
from processes import wait_for

pytestmark = pytest.mark.mpm
MANY = 40
THREADS = 6


@pytest.fixture(scope="module")
def httpd(env):
    env.made = probe.Probe(env, "probe", "AppCoreRequestTimeout 30s")
    env.modules += ["log_config"]
    protocols = probe.protocols(env)
    tls = probe.tls_conf(env, "AppCoreMount /probe probe")
    env.write("htdocs", "static.txt", text="static")
    limits = f"""ServerLimit 4
ThreadsPerChild {THREADS}
MaxRequestWorkers {2 * THREADS}
MinSpareThreads 1
MaxSpareThreads {2 * THREADS}
AsyncRequestWorkerFactor 100
""" if environment.MPM == "event" else environment.one_child(64)
    env.start(f"""{protocols}{limits}Timeout 20
AppCoreMaxWorkers 90%
LogFormat "%U|%>s|%B|%D|%X" probe
CustomLog {env.path("access.log")} probe
<Directory {env.path("htdocs")}>
    Require all granted
</Directory>
{env.made.conf()}{tls}""")
    return env


def wait_ms(ms):
    until = time.monotonic() + ms / 1000
    wait_for(lambda: time.monotonic() > until)


# Completed by another thread

@pytest.mark.parametrize("way", WAYS)
def test_later(app, httpd, way):
    for ms in (0, 5, 300):
        answer = curl(httpd, way, f"/probe/later?ms={ms}")
        assert (answer.status, answer.text) == (200, "later")
        assert answer.header("Content-Length") == "5"


@pytest.mark.parametrize("way", WAYS)
def test_who_completes_and_when(app, httpd, way):
    for path, text in (
            ("early", "early"), ("early-inside", "early inside"), ("lend", "0 0"),
            ("lend?ms=50", "0 0"), ("posts", "handle first second third"),
            ("threads?threads=8&posts=500", "4000")):
        answer = curl(httpd, way, f"/probe/{path}")
        assert (answer.code, answer.status, answer.text) == (0, 200, text)


@pytest.mark.parametrize("way", WAYS)
def test_another_thread_reads_for_a_handle_that_waits(app, httpd, way):
    answer = curl(httpd, way, "/probe/lend", data=pattern(200000))
    assert answer.text == "200000 0"


def test_completed_twice(app, httpd):
    assert httpd.get("/probe/twice").text == "twice"
    event = app.wait_event("twice")
    assert (event["first"], event["second"]) == (OK, GONE)


def test_on_a_thread_that_holds_nothing(app, httpd):
    results = httpd.get("/probe/elsewhere").text.split()
    assert set(results) == {str(ELSEWHERE)} and len(results) == 12


def test_many_at_a_time(app, httpd):
    """Everybody gets an answer of his own kind."""
    def one(i):
        path, text = [("later?ms=20", "later"), ("hello", "hello\n"), ("lend", "0 0"),
                      ("posts", "handle first second third"), ("early", "early"),
                      ("threads?threads=4&posts=50", "200")][i % 6]
        with ask(httpd, "http", "GET", f"/probe/{path}") as raw:
            return raw.response().text == text
    for _ in range(5):
        assert at_once(30, one) == [True] * 30


def test_the_access_log_has_each_once(app, httpd):
    began = time.monotonic()
    httpd.get("/probe/later?ms=300")
    assert time.monotonic() - began >= 0.3

    def lines():
        with open(httpd.path("access.log"), encoding="utf-8") as f:
            return [line.split("|") for line in f if line.startswith("/probe/later|")
                    and int(line.split("|")[3]) >= 300000]
    found = wait_for(lines)
    assert found[-1][1] == "200" and found[-1][2] == "5"


# Without a worker

@pytest.mark.skipif(not probe.PARKS, reason="only the event MPM can park")
@pytest.mark.parametrize("way", WAYS_1)
def test_many_wait_without_a_worker(app, httpd, way):
    clients = [ask(httpd, way, "GET", "/probe/wait?gate=many&tag=many")
               for _ in range(MANY)]
    app.wait_event("wait", 30, MANY, tag="many")
    began = time.monotonic()
    for _ in range(3):
        assert httpd.get("/static.txt").text == "static"
        assert httpd.get("/probe/hello").status == 200
    assert time.monotonic() - began < 5
    app.open("many")
    for client in clients:
        assert client.response().text == "later"
        client.socket.close()


@pytest.mark.skipif(not probe.PARKS, reason="only the event MPM can park")
def test_streams_without_a_worker(app, httpd):
    clients = [ask(httpd, "http", "GET", "/probe/stream?gate=events&n=3")
               for _ in range(MANY)]
    for n in (1, 2, 3):
        app.open(f"events.{n}")
        for client in clients:
            assert f"data: {n}\n\n".encode() in client.receive(f"data: {n}\n\n".encode())
        assert httpd.get("/static.txt").text == "static"
    for client in clients:
        client.socket.close()


@pytest.mark.parametrize("way", WAYS_1)
def test_the_connection_goes_on(app, httpd, way):
    with probe.connect(httpd, way) as raw:
        for _ in range(4):
            raw.send(probe.head("GET", "/probe/later?ms=30"))
            assert raw.response().text == "later"
            raw.send(probe.head("GET", "/probe/stream?n=3"))
            assert raw.response().text.count("data: ") == 3
            raw.send(probe.head("POST", "/probe/digest-async", "Content-Length: 3")
                     + "abc")
            assert raw.response().text.startswith(digest(b"abc"))


def test_pipelined_requests(app, httpd):
    with probe.connect(httpd, "http") as raw:
        raw.send("".join(probe.head("GET", f"/probe/{path}") for path in (
            "later?ms=100", "hello", "stream?n=2", "later?ms=1", "pid")))
        text = b""
        while text.count(b"HTTP/1.1 200 OK") < 5:
            piece = raw.socket.recv(65536)
            assert piece, text
            text += piece
    assert re.search(rb"later.*hello.*data: 2.*later", text, re.S)


# Bodies and on_io()

@pytest.mark.parametrize("way", WAYS)
def test_echo_of_one_who_never_waits(app, httpd, way):
    for size in (0, 1, 70000, 3000000):
        answer = curl(httpd, way, "/probe/echo-async", data=pattern(size))
        assert answer.code == 0 and answer.body == pattern(size)


@pytest.mark.parametrize("way", WAYS_1)
def test_a_slow_body(app, httpd, way):
    body = pattern(60000)
    with ask(httpd, way, "POST", "/probe/digest-async?tag=slow",
             f"Content-Length: {len(body)}") as raw:
        for n, i in enumerate(range(0, len(body), 10000)):
            app.wait_event("again", tag="slow", count=n + 1)
            raw.send(body[i:i + 10000])
        text = raw.response().text
    assert text.startswith(digest(body) + " ") and int(text.split()[2]) >= 6


@pytest.mark.parametrize("way", WAYS_1)
def test_a_slow_chunked_body(app, httpd, way):
    with ask(httpd, way, "POST", "/probe/digest-async?tag=chunks",
             "Transfer-Encoding: chunked") as raw:
        app.wait_event("again", tag="chunks")
        for piece in ("3\r\nab", "c\r\n", "1", "0\r\n0123456789abcdef", "\r\n0\r\n",
                      "\r\n"):
            raw.send(piece)
            wait_ms(30)
        text = raw.response().text
    assert text.startswith(digest(b"abc0123456789abcdef") + " ")


@pytest.mark.parametrize("way", WAYS_1)
def test_a_slow_reader(app, httpd, way):
    size = 20 << 20
    with ask(httpd, way, "GET", f"/probe/big-async?n={size}&tag=slow") as raw:
        app.wait_event("again", 30, tag="slow")
        body = raw.response().body
    assert len(body) == size and body == pattern(size)
    event = app.wait_event("async", tag="slow")
    assert event["result"] == OK and event["again"] >= 1


@pytest.mark.parametrize("way", WAYS_1)
def test_a_slow_reader_of_one_who_waits(app, httpd, way):
    size = 8 << 20
    for path in (f"big?n={size}", f"pieces?n={size}"):
        with ask(httpd, way, "GET", f"/probe/{path}") as raw:
            wait_ms(200)
            assert raw.response().body == pattern(size)


def test_both_directions_at_a_time(app, httpd):
    """An echo whose client reads nothing until it has sent it all stops the client."""
    size = 12 << 20
    raw = ask(httpd, "http", "POST", "/probe/echo-async?tag=both",
              f"Content-Length: {size}")
    data, sent = pattern(size), 0
    while sent < size and select.select([], [raw.socket], [], 0.5)[1]:
        sent += raw.socket.send(data[sent:sent + 65536])
    assert sent < size, "nobody held the client back"
    rest = threading.Thread(target=lambda: raw.send(data[sent:]))
    rest.start()
    assert raw.response().body == data
    rest.join()
    raw.socket.close()
    assert app.wait_event("async", tag="both")["again"] >= 1


# Upgrades

@pytest.mark.parametrize("way", WAYS_1)
@pytest.mark.parametrize("route", ["upgrade", "tunnel-async"])
def test_upgrade(app, httpd, way, route):
    with probe.connect(httpd, way) as raw:
        text, rest = probe.shake_hands(raw, f"/probe/{route}")
        assert "upgrade: echo" in text.lower() and "connection: upgrade" in text.lower()
        assert "content-length" not in text.lower()
        assert "transfer-encoding" not in text.lower()
        for size in (1, 10, 1000, 60000, 60000):
            raw.send(pattern(size))
            assert probe.receive_exactly(raw, size, rest) == pattern(size)
            rest = b""
            wait_ms(10)


def test_an_upgrade_to_one_of_several(app, httpd):
    """The answer names the one that the app chose."""
    with probe.connect(httpd, "http") as raw:
        raw.send(probe.head("GET", "/probe/upgrade", "Connection: Upgrade",
                            "Upgrade: foo/2, echo"))
        text = raw.receive(b"\r\n\r\n").decode().lower()
        assert text.startswith("http/1.1 101 ") and "\r\nupgrade: echo\r\n" in text


@pytest.mark.parametrize("route", ["upgrade", "tunnel-async"])
def test_the_client_ends_its_direction(app, httpd, route):
    """The other one is whole, and then the connection is over."""
    with probe.connect(httpd, "http") as raw:
        _, rest = probe.shake_hands(raw, f"/probe/{route}?tag=end")
        raw.send(pattern(50000))
        raw.socket.shutdown(socket.SHUT_WR)
        assert rest + raw.receive() == pattern(50000)
    if route == "upgrade":
        assert app.wait_event("upgrade", tag="end")["end"] == 0
    else:
        assert app.wait_event("async", tag="end")["result"] == OK


@pytest.mark.parametrize("route", ["upgrade", "tunnel-async"])
def test_bytes_that_come_with_the_upgrade(app, httpd, route):
    with probe.connect(httpd, "http") as raw:
        raw.send(probe.head("GET", f"/probe/{route}", "Connection: Upgrade",
                            "Upgrade: echo") + "at once")
        assert raw.receive(b"at once").endswith(b"at once")


@pytest.mark.skipif(not probe.HAS_HTTP2, reason="no HTTP/2")
def test_an_upgrade_that_cannot_be(app, httpd):
    answer = curl(httpd, "h2", "/probe/upgrade")
    assert (answer.status, answer.text) == (426, "no upgrade")


@pytest.mark.skipif(not probe.PARKS, reason="only the event MPM can park")
def test_tunnels_without_a_worker(app, httpd):
    tunnels = [Raw(httpd.port) for _ in range(MANY)]
    for tunnel in tunnels:
        probe.shake_hands(tunnel, "/probe/tunnel-async")
    assert httpd.get("/static.txt").text == "static"
    for n in range(3):
        for i, tunnel in enumerate(tunnels):
            tunnel.send(f"{n}.{i:02}")
        for i, tunnel in enumerate(tunnels):
            assert probe.receive_exactly(tunnel, 4) == f"{n}.{i:02}".encode()
    for tunnel in tunnels:
        tunnel.socket.close()


# Life

def test_a_reload_with_requests_that_wait(app, httpd):
    """They are answered by the old child, which ends then, in order."""
    n = MANY if probe.PARKS else 4
    clients = [ask(httpd, "http", "GET", "/probe/wait?gate=reload&tag=reload")
               for _ in range(n)]
    app.wait_event("wait", 30, n, tag="reload")
    old = {p.pid for p in httpd.workers()}
    httpd.reload(wait_workers=False)
    app.wait_event("quiesce", 20)
    assert httpd.get("/probe/hello").text == "hello\n"
    app.open("reload")
    for client in clients:
        assert client.response().text == "later"
        client.socket.close()
    wait_for(lambda: not old & {p.pid for p in httpd.workers()}, 25)
    ended = [e for e in app.events("ended") if e["pid"] in old]
    assert ended and all(e["calls"] == 0 for e in ended)
    assert all(e["limit"] <= 10000 for e in app.events("shutdown"))
    assert len(app.events("shutdown")) == len(app.events("ended"))
