# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Many requests of all kinds in one process: memory and descriptors stay as they
are."""

import os
import threading

import pytest

import env as environment
import probe
import processes
from probe import pattern

pytestmark = pytest.mark.skipif(environment.MPM == "prefork", reason="one process")
ROUND = 8000
CLIENTS = 4
BODY = pattern(20000)
# What the allocators of httpd and libc may still find room for between rounds. The
# address sanitizer keeps 256 MB of what was freed.
GROWTH = 512 << 20 if os.environ.get("APPCORE_PRELOAD") else 4 << 20

PLAN = [("GET", "hello", b"", 6), ("GET", "big?n=30000", b"", 30000),
        ("GET", "pieces?n=9000", b"", 9000), ("POST", "echo", BODY, len(BODY)),
        ("POST", "echo-async", BODY, len(BODY)), ("GET", "later?ms=0", b"", 5),
        ("POST", "digest-async", BODY, None), ("GET", "stream?n=3&ms=0", b"", None),
        ("GET", "posts", b"", None), ("GET", "var?name=A&set=b", b"", None),
        ("GET", "lend", b"", None), ("GET", "after", b"", 5), ("GET", "info", b"", None),
        ("GET", "early", b"", 5), ("GET", "twice", b"", 5)]


@pytest.fixture(scope="module")
def httpd(env):
    env.made = probe.Probe(env)
    mpm = "ServerLimit 1\nThreadsPerChild 16\nMaxRequestWorkers 16\n" \
          "MinSpareThreads 1\nMaxSpareThreads 16\n"
    env.start(f"{mpm}MaxKeepAliveRequests 500\n{env.made.conf()}")
    return env


def client(httpd, number, failures):
    try:
        raw = probe.connect(httpd, "http")
        for i in range(ROUND // CLIENTS):
            method, path, body, size = PLAN[(i * 7 + number) % len(PLAN)]
            line = f"Content-Length: {len(body)}"
            raw.send(probe.head(method, f"/probe/{path}", line).encode() + body)
            answer = raw.response()
            assert answer.status == 200 and size in (None, len(answer.body)), path
            if answer.header("Connection") == "close":
                raw.socket.close()
                raw = probe.connect(httpd, "http")
        raw.socket.close()
    except Exception as error:      # whatever it is, the test wants to see it
        failures.append((number, repr(error)))


def one_round(httpd):
    failures = []
    threads = [threading.Thread(target=client, args=(httpd, n, failures))
               for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    httpd.wait_quiet()


def test_memory_and_descriptors_stay(httpd):
    worker = httpd.workers()[0].pid
    one_round(httpd)
    memory, files = processes.private(worker), processes.descriptors(worker)
    one_round(httpd)
    assert [p.pid for p in httpd.workers()] == [worker]
    now = processes.private(worker)
    assert now - memory < GROWTH, (memory, now)
    after = processes.descriptors(worker)
    assert sum(after.values()) <= sum(files.values()) + 8, (files, after)
    httpd.made.check()
