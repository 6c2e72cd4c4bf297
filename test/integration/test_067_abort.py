# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Clients that leave before they have their answer: the app hears of it within a
second, whatever was going on, and nothing is left behind."""

import random
import select
import socket
import struct
import threading

import pytest

import processes
from processes import wait_for
from rawapp import RawApp

pytestmark = pytest.mark.mpm
ABORTS = 150
# What the issue promises, and a machine that has other things to do as well.
NOTICED = 1.0 + 1.0


@pytest.fixture(scope="module")
def httpd(env):
    env.made = {name: RawApp(env, name) for name in ("raw", "late")}
    env.start(f"""
AppCoreMaxWorkers 100%
AppCoreMount /raw {env.made["raw"].folder}
<AppCoreApp late>
    AppCorePath {env.made["late"].folder}
    AppCoreEnvironmentVariable RAW_START_GATE now
    AppCoreQueueLimit 1
</AppCoreApp>
AppCoreMount /late late
""")
    return env


@pytest.fixture
def raw(httpd):
    app = httpd.made["raw"]
    wait_for(lambda: httpd.get("/raw/pid").status == 200)
    app.forget()
    return app


def head(method, target, *lines):
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *lines,
                        "", ""])


def close(client):
    client.socket.close()


def reset(client):
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
    client.socket.close()


def stop_sending(client):
    client.socket.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("leave", [close, reset, stop_sending])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_while_waiting_for_the_answer(raw, httpd, method, leave):
    gate = raw.gate()
    with httpd.raw() as client:
        client.send(head(method, raw.target("hold", gate=gate), "Content-Length: 3")
                    + "abc")
        raw.wait_gate(gate)
        leave(client)
        raw.wait_event("closed", timeout=NOTICED)
    assert len(raw.events("request")) == 1


@pytest.mark.parametrize("leave", [close, reset])
def test_while_the_answer_streams(raw, httpd, leave):
    with httpd.raw() as client:
        client.send(head("GET", raw.target("endless")))
        while len(client.socket.recv(65536)) < 10000:
            pass
        leave(client)
        raw.wait_event("closed", timeout=NOTICED)


def test_while_the_answer_pauses(raw, httpd):
    target, name = raw.answer("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
                              "data: 1\n\n<gate>data: 2\n\n")
    with httpd.raw() as client:
        client.send(head("GET", target))
        client.receive(b"data: 1\n")
        raw.wait_gate(f"{name}.1")
    raw.wait_event("closed", timeout=NOTICED)


@pytest.mark.parametrize("leave", [close, reset, stop_sending])
@pytest.mark.parametrize("framing", ["Content-Length: 1000000",
                                     "Transfer-Encoding: chunked"],
                         ids=["length", "chunked"])
def test_while_uploading(raw, httpd, framing, leave):
    with httpd.raw() as client:
        client.send(head("POST", raw.target("digest"), framing) + "5\r\nabcde\r\n")
        raw.wait_event("request")
        leave(client)
        raw.wait_event("closed", timeout=NOTICED)


def test_while_the_app_does_not_read(raw, httpd):
    """The connection to the app is full, and so is the client's."""
    with httpd.raw() as client:
        client.send(head("POST", raw.target("swallow"), "Content-Length: 99000000") + "x")
        raw.wait_event("swallow")
        while select.select([], [client.socket], [], 0.3)[1]:
            client.socket.send(b"x" * 100000)
        reset(client)
        raw.wait_event("closed", timeout=NOTICED)


def test_while_the_app_starts(httpd):
    """Its place in the queue is free again at once."""
    late = httpd.made["late"]
    with httpd.raw() as client:
        client.send(head("GET", "/late/pid?first"))
        late.wait_event("start")
        httpd.allow("/late/pid", "app late is not available")
        wait_for(lambda: httpd.get("/late/pid?second").status == 503)
    answers = []

    def ask():
        answers.append(httpd.get("/late/pid?third"))
        return answers[-1].status == 200
    thread = threading.Thread(target=lambda: wait_for(ask))
    thread.start()
    late.open("now")
    thread.join()
    assert answers[-1].status == 200
    assert [e["target"] for e in late.events("request")] == ["/late/pid?third"]


def random_abort(httpd, raw, dice):
    """A request that ends somewhere."""
    hold = raw.target("hold", gate="never")
    text = dice.choice([
        head("GET", hold),
        head("POST", hold, "Content-Length: 3") + "abc",
        head("GET", raw.target("endless")),
        head("POST", raw.target("digest"), "Content-Length: 100000") + "x" * 70000,
        head("POST", raw.target("echo"), "Transfer-Encoding: chunked") + "3\r\nabc\r\n",
        head("GET", raw.target("websocket"), "Upgrade: websocket", "Connection: upgrade",
             "Sec-WebSocket-Key: x"),
    ]).encode()
    with httpd.raw() as client:
        client.send(text[:dice.randint(1, len(text))] if dice.random() < 0.4 else text)
        select.select([client.socket], [], [], dice.choice([0, 0.01, 0.05]))
        dice.choice([close, reset])(client)


def test_many_leave_nothing_behind(raw, httpd):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    httpd.allow("app raw")
    first = {p.pid: processes.descriptors(p.pid) for p in httpd.workers()}
    sockets = max(counts.get("socket", 0) for counts in first.values())
    threads = []
    for n in range(5):
        dice = random.Random(seed + n)
        threads.append(threading.Thread(target=lambda dice=dice: [
            random_abort(httpd, raw, dice) for _ in range(ABORTS // 5)]))
    for t in threads:
        t.start()
    for t in threads:
        t.join()

    def unused():
        """None but those that were there, and idle ones to the app."""
        open_now = {e["conn"] for e in raw.events("connection")} \
            - {e["conn"] for e in raw.events("closed")}
        counts = [processes.descriptors(p.pid) or {} for p in httpd.workers()]
        return len(open_now) <= 10 and all(c.get("socket", 0) <= sockets + len(open_now)
                                           for c in counts)
    wait_for(unused, 15, "the end of all connections")
    # Nobody counts as served still: neither workers nor places are missing.
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(httpd.get("/raw/pid")))
               for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [a.status for a in answers] == [200] * 12
