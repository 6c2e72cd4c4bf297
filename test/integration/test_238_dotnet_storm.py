# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""ASP.NET Core in process while its collector stops the world again and again, and while
clients leave at any moment: nobody hangs, no answer is lost, nothing is left over."""

import concurrent.futures
import os
import random
import select
import struct
import subprocess
import threading

import pytest

import client
import dotnet
import env as environment
import inproc
import probe
import processes
from client import Raw
from processes import wait_for
from websocket import WebSocket

pytestmark = [pytest.mark.mpm, pytest.mark.skipif(
    environment.MPM == "prefork", reason="the prefork MPM hosts no runtime")]

WORKERS = 16
# All apps together never get the last eighth.
USABLE = WORKERS - WORKERS // 8
ABORTS = 10_000 if os.environ.get("APPCORE_ALL") else 1000
CLIENTS = 4
BODY = random.Random(1).randbytes(70_000)
CHUNK = b"11170\r\n" + BODY + b"\r\n"
# What the allocators and the runtime may still find room for: a generation 0 alone may
# take as much as the processor's cache. The address sanitizer keeps 256 MB of what was
# freed.
GROWTH = 512 << 20 if os.environ.get("APPCORE_PRELOAD") else 96 << 20


@pytest.fixture(scope="module")
def httpd(env):
    env.made = probe.Probe(env)
    published = dotnet.project(os.path.join(environment.HERE, "apps", "inside"),
                               "Inside")
    folder = dotnet.app(env, "inside", published, user="root" if env.is_root else None)
    app = inproc.app("inside", folder,
                     "AppCoreEnvironmentVariable Logging__LogLevel__Default None",
                     "AppCoreMaxWorkers 100%", mount="/app")
    protocols = probe.protocols(env)
    tls = probe.tls_conf(env, "AppCoreMount /app inside")
    env.always_allowed += BUSY
    env.start(f"{protocols}ServerLimit 1\nThreadsPerChild {WORKERS}\n"
              f"MaxRequestWorkers {WORKERS}\nMinSpareThreads 1\n"
              f"MaxSpareThreads {WORKERS}\n{env.made.conf()}{app}{tls}")
    return env


# Clients that leave hold workers for up to a second.
BUSY = (r"app inside is not available: it holds all workers", environment.FULL)


def get(httpd, path, **options):
    answer = httpd.get("/app" + path, **{"timeout": 120, **options})
    assert answer.status == 200, (path, answer)
    return answer


@pytest.fixture
def kept(httpd):
    """The child is the same afterwards, and as large; its numbers for requests were
    used again, and all of its workers are free."""
    warm_up(httpd)
    before = look(httpd)
    yield
    wait_for(lambda: inside(httpd) == 0, 30,
             "the end of all that clients left")
    all_workers_at_once(httpd)
    after = look(httpd)
    print("before", before, "after", after)
    assert after["pid"] == before["pid"]
    assert after["private"] - before["private"] < GROWTH, (before, after)
    assert after["managed"] - before["managed"] < 4000, (before, after)
    assert after["handles"] - before["handles"] < 200, (before, after)
    assert after["threads"] - before["threads"] < 40, (before, after)
    wait_for(lambda: descriptors(before["pid"]) <= before["descriptors"] + 40, 15,
             "descriptors as before")
    # A request that never ended would keep its slot; there is room for 256 at once.
    number = httpd.get("/probe/info").json()["number"]
    assert number & 0xfffff < 256
    httpd.made.check()


def warm_up(httpd):
    if not hasattr(httpd, "is_warm"):
        abort_some(httpd, 100)
        collect_everywhere(httpd, 1)
        httpd.is_warm = True


def look(httpd):
    found = get(httpd, "/memory").json()
    [worker] = [p.pid for p in httpd.workers()]
    return {"pid": worker, "private": processes.private(worker),
            "pss": processes.pss(worker), "descriptors": descriptors(worker),
            "threads": len(os.listdir(f"/proc/{worker}/task")), **found}


def descriptors(pid):
    return sum((processes.descriptors(pid) or {}).values())


def at_once(calls):
    """What each of these functions gives, all begun at the same time."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [f.result() for f in [pool.submit(call) for call in calls]]


def all_workers_at_once(httpd):
    """As many as may be inside are, and say so before anybody may leave."""
    raws = []
    for _ in range(USABLE - 1):
        raw = httpd.raw()
        raw.send("GET /app/busy HTTP/1.1\r\nHost: x\r\n\r\n")
        raws.append(raw)
    wait_for(lambda: inside(httpd) == USABLE - 1, 30,
             "all workers inside")
    for raw in raws:
        raw.socket.close()
    wait_for(lambda: inside(httpd) == 0, 30, "none inside")


def collect_everywhere(httpd, n):
    answers = at_once([lambda: get(httpd, f"/garbage/{n}").text] * (USABLE - 1))
    assert set(answers) == {str(n * 8)}


def test_collections_with_all_workers_inside(httpd, kept):
    collect_everywhere(httpd, 12)


class Others(threading.Thread):
    """Requests of other kinds, one after the other, until told to stop."""

    def __init__(self, ask):
        super().__init__()
        self.ask, self.stopped = ask, threading.Event()
        self.answers, self.errors = [], []

    def run(self):
        while not self.stopped.is_set():
            try:
                self.answers.append(self.ask())
            except Exception as error:      # whatever it is, the test wants to see it
                self.errors.append(error)

    def finish(self):
        self.stopped.set()
        self.join()
        assert not self.errors, self.errors[:3]
        return self.answers


def websocket(httpd):
    with httpd.raw() as raw:
        talk = WebSocket(raw, "/app/socket")
        talk.send(BODY[:3000])
        return talk.receive()[1] == BODY[:3000]


def by_curl(httpd, way):
    command = [*probe.curl_command(httpd, way, "/app/delay/3"), "-w", " %{http_code}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_collections_while_requests_park_and_clients_leave(httpd, kept):
    """Requests come back from other threads, on connections of every kind."""
    dice = random.Random(1)
    others = [Others(lambda: get(httpd, "/delay/3").text),
              Others(lambda: get(httpd, "/stream/30").text.count("\n")),
              Others(lambda: get(httpd, "/pipe", method="POST", body=BODY).body == BODY),
              Others(lambda: one_abort(httpd, dice)),
              Others(lambda: websocket(httpd))]
    if probe.HAS_HTTP2:
        others.append(Others(lambda: by_curl(httpd, "h2")))
    if probe.HAS_TLS:
        others.append(Others(lambda: by_curl(httpd, "https")))
    for other in others:
        other.start()
    assert at_once([lambda: get(httpd, "/garbage/40").text] * 3) == ["320"] * 3
    found = [other.finish() for other in others]
    good = {"delayed", 30, True, "delayed 200", None}
    assert {answer for answers in found for answer in answers} <= good
    assert all(found)


# Clients that leave

LEFT = [("GET", "/forever", "", b""), ("GET", "/delay/5", "", b""), ("GET", "/", "", b""),
        ("GET", "/busy", "", b""), ("GET", "/endless", "", b""),
        ("GET", "/stream/1000", "", b""), ("GET", "/large/3000000", "", b""),
        ("GET", "/blocked/large", "", b""), ("GET", "/garbage/1", "", b""),
        ("GET", "/completed", "", b""),
        ("POST", "/count", "Content-Length: 90000", BODY),
        ("POST", "/read/forever", "Content-Length: 90000", BODY),
        ("POST", "/blocked/read", "Content-Length: 90000", BODY),
        ("POST", "/pipe", "Transfer-Encoding: chunked", CHUNK),
        ("POST", "/item", "Content-Length: 30", b'{"name": '),
        ("GET", "/socket", "Connection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
         b"\x82\x85abcd")]


def one_abort(httpd, dice):
    method, path, field, body = dice.choice(LEFT)
    way = dice.choice(["http", "http", "https" if probe.HAS_TLS else "http"])
    lines = [field] if field else []
    raw = probe.ask(httpd, way, method, "/app" + path, *lines,
                    body=body[:dice.randrange(len(body) + 1)])
    select.select([raw.socket], [], [], dice.choice([0, 0.001, 0.01, 0.03]))
    dice.choice([probe.close, probe.reset])(raw)


def abort_some(httpd, n):
    seed = random.randrange(1 << 30)
    print("seed", seed)

    def some(i):
        dice = random.Random(seed + i)
        for _ in range(n // CLIENTS):
            one_abort(httpd, dice)
    at_once([lambda i=i: some(i) for i in range(CLIENTS)])
    wait_for(lambda: inside(httpd) == 0, 60, "the end of all that clients left")


def inside(httpd):
    """Requests in the app, but for those that ask nothing of it; -1 while all workers
    are with clients that have left, which is noticed within a second."""
    answer = client.request(httpd.port, "/app/counts", timeout=60)
    return answer.json()["inside"] if answer.status == 200 else -1


def test_an_abort_storm(httpd, kept):
    abort_some(httpd, ABORTS)


@pytest.mark.skipif(not probe.HAS_HTTP2, reason="no HTTP/2")
def test_streams_that_are_reset(httpd, kept):
    """Many at a time on one connection that is cut."""
    for _ in range(ABORTS // 200):
        paths = ["/forever", "/stream/1000", "/endless", "/delay/20"] * 2
        urls = [probe.address(httpd, "h2", "/app" + path) for path in paths]
        with subprocess.Popen(["curl", "-s", "--parallel", "--parallel-immediate",
                               "--http2-prior-knowledge", "-o", "/dev/null",
                               *[word for url in urls for word in ("-o", "/dev/null",
                                                                   url)]],
                              stderr=subprocess.DEVNULL) as process:
            wait_for(lambda: inside(httpd) > 0, 20, "streams")
            process.kill()
