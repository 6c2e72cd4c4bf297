# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Time in an exchange: an app that is silent, one that closes idle connections while
they are being used, connections to a process that was replaced."""

import http.client
import os
import select
import threading
import time

import pytest

from processes import wait_for
from rawapp import RawApp

pytestmark = pytest.mark.mpm
KEEP_ALIVE_MS = 1200
# Just above the idle time at which a POST still takes a connection.
CROSS_MS = 1010


@pytest.fixture(scope="module")
def httpd(env):
    env.made = {name: RawApp(env, name) for name in ("quick", "steady", "idle", "cross")}
    env.start(f"""
<AppCoreApp quick>
    AppCorePath {env.made["quick"].folder}
    AppCoreRequestTimeout 700ms
</AppCoreApp>
AppCoreMount /quick quick
<AppCoreApp steady>
    AppCorePath {env.made["steady"].folder}
    AppCoreRequestTimeout 2s
</AppCoreApp>
AppCoreMount /steady steady
<AppCoreApp idle>
    AppCoreMaxWorkers 100%
    AppCorePath {env.made["idle"].folder}
    AppCoreEnvironmentVariable RAW_KEEP_ALIVE_MS {KEEP_ALIVE_MS}
</AppCoreApp>
AppCoreMount /idle idle
<AppCoreApp cross>
    AppCorePath {env.made["cross"].folder}
    AppCoreEnvironmentVariable RAW_CROSS_MS {CROSS_MS}
</AppCoreApp>
AppCoreMount /cross cross
KeepAliveTimeout 30
""")
    return env


@pytest.fixture
def quick(httpd):
    app = httpd.made["quick"]
    assert httpd.get("/quick/pid").status == 200
    app.forget()
    return app


def head(method, target, *lines):
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *lines,
                        "", ""])


def test_connections_of_a_dead_process_are_not_used(httpd):
    """Many idle ones at the time of the crash."""
    httpd.allow("app idle: ", "app idle, process .* closed the connection")
    app = httpd.made["idle"]
    assert httpd.get("/idle/pid").status == 200
    gate = app.gate()
    threads = [threading.Thread(target=httpd.get, args=(app.target("hold", gate=gate),))
               for _ in range(4)]
    for t in threads:
        t.start()
    app.wait_event("gate", count=4, gate=gate)
    app.open(gate)
    for t in threads:
        t.join()
    assert httpd.get("/idle/die", method="POST").status == 502
    old = app.events("gate")[-1]["pid"]
    wait_for(lambda: not os.path.exists(f"/proc/{old}"))
    for _ in range(10):
        answer = httpd.get("/idle/pid", method="POST")
        assert answer.status == 200 and answer.text != str(old)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_silence_instead_of_an_answer(quick, httpd, method):
    httpd.allow("app quick, process .* silent")
    target = quick.target("hold", gate=quick.gate())
    began = time.monotonic()
    answer = httpd.get(target, method=method)
    assert answer.status == 504
    assert 0.6 < time.monotonic() - began < 5
    assert len(quick.events("request")) == 1        # not asked again
    quick.wait_event("closed")


@pytest.mark.parametrize("rest", ["Content-Length: 100\r\n\r\nhalf",
                                  "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
                                  "\r\nhalf"])
def test_silence_within_an_answer(quick, httpd, rest):
    """The client must not take what it got for the whole."""
    httpd.allow("app quick, process .* silent")
    target, _ = quick.answer("HTTP/1.1 200 OK\r\n" + rest, "hang")
    with httpd.raw() as client:
        client.send(head("GET", target))
        answer = client.receive()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith((b"half", b"4\r\nhalf\r\n"))
    quick.wait_event("closed")


def test_app_that_stops_reading(quick, httpd):
    httpd.allow("app quick, process .* silent")
    with httpd.raw() as client:
        client.send(head("POST", quick.target("swallow"), "Content-Length: 60000000"))
        client.send("x")
        quick.wait_event("swallow")
        while not select.select([client.socket], [], [], 0)[0]:
            if select.select([], [client.socket], [], 0.05)[1]:
                client.socket.send(b"x" * 100000)
        assert b"HTTP/1.1 504 " in client.receive(b"\r\n")
    quick.wait_event("closed")


def test_slow_but_not_silent(httpd):
    """The limit is for a pause, not for the whole."""
    steady = httpd.made["steady"]
    assert httpd.get("/steady/pid").status == 200
    target, name = steady.answer("HTTP/1.1 200 OK\r\n\r\n" + "<gate>x" * 5)
    result = []
    thread = threading.Thread(target=lambda: result.append(httpd.get(target)))
    thread.start()
    began = time.monotonic()
    for i in range(1, 6):
        steady.wait_gate(f"{name}.{i}")
        wait_for(lambda: time.monotonic() - began > 0.5 * i)
        steady.open(f"{name}.{i}")
    thread.join()
    assert result[0].text == "xxxxx"
    assert time.monotonic() - began > 2.4


def test_slow_client_is_not_the_apps_silence(quick, httpd):
    began = time.monotonic()
    with httpd.raw() as client:
        client.send(head("POST", quick.target("digest"), "Content-Length: 10") + "12345")
        quick.wait_event("request")
        wait_for(lambda: time.monotonic() - began > 1.2)
        client.send("67890")
        assert client.response().json()["length"] == 10


def test_idle_connection_is_closed_although_nobody_asks(quick, httpd):
    """An app with one thread is free for the connection of another child again."""
    for _ in range(2):
        target, _ = quick.answer("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\n"
                                 "Content-Length: 2\r\n\r\nok", "keep")
        assert httpd.get(target).text == "ok"
        conn = quick.events("request", target=target)[-1]["conn"]
        quick.wait_event("closed", timeout=12, conn=conn)


def ask_around(httpd, method, moments, statuses):
    """Requests on one client connection, each so long after the one before."""
    connection = http.client.HTTPConnection("127.0.0.1", httpd.port, timeout=30)
    for moment in moments:
        connection.request(method, "/idle/pid", body=b"x" if method == "POST" else None)
        answer = connection.getresponse()
        answer.read()
        statuses.append((method, moment, answer.status))
        time.sleep(moment)      # the moment of the next request is what is tried
    connection.close()


def test_app_that_closes_idle_connections_at_the_worst_moment(httpd):
    """Around the app's own limit a request may meet a connection that is just being
    closed: one that can be repeated is, one that cannot takes a fresh connection."""
    limit = KEEP_ALIVE_MS / 1000
    httpd.get("/idle/pid")
    statuses = []
    threads = [threading.Thread(target=ask_around, args=(
        httpd, ("GET", "POST")[i % 2], [limit + (i - 6) * 0.002, limit + (i - 6) * 0.0003,
                                        0], statuses)) for i in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(statuses) == 36
    assert not [s for s in statuses if s[2] != 200]


def test_end_of_an_idle_connection_crosses_the_next_request(httpd):
    """The worst moment every time: the app closes instead of reading."""
    app = httpd.made["cross"]
    connection = http.client.HTTPConnection("127.0.0.1", httpd.port, timeout=30)
    for method in ("GET", "POST", "GET", "PUT", "POST"):
        body = None if method == "GET" else b"x"
        connection.request(method, "/cross/digest", body=body)
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read(), method
        time.sleep(CROSS_MS / 1000 + 0.05)      # the idle time is what is tried
    connection.close()
    assert len(app.events("request")) == 5
