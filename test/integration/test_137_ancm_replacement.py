# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Processes are replaced again and again under a load on keep-alive connections: no
request fails, no POST is done twice, none comes to a process before it is ready."""

import collections
import glob
import os
import socket
import threading
import time

import pytest

import env as environment
import processes
from acceptance import GENERAL, Site, hosting_model, ids  # noqa: F401
from processes import wait_for

REQUESTS = 20000
ROUNDS = 5
CLIENTS = 8


@pytest.fixture(scope="module")
def site(env, hosting_model):  # noqa: F811
    made = Site(env, hosting_model)
    done = env.path("apps", "site", "done")
    made.add("site", "", "AppCoreMaxWorkers 100%", variables={"DONE_FILE": done,
                                "Logging__LogLevel__Default": "Warning"})
    os.mkdir(made.path("site", "tmp"))
    return made.start(
        lambda apps: f"{GENERAL}MaxKeepAliveRequests 0\nKeepAliveTimeout 60\n{apps}")


class Client(threading.Thread):
    """One connection; every fourth request is a POST with a number of its own."""

    def __init__(self, port, number, stopped):
        super().__init__()
        self.number, self.stopped = number, stopped
        self.count, self.posted, self.failures, self.early = 0, [], [], 0
        self.connections, self.port = 0, port

    def connect(self):
        self.connections += 1
        self.socket = socket.create_connection(("127.0.0.1", self.port), 60)

    def run(self):
        self.connect()
        while not self.stopped.is_set():
            self.count += 1
            post = self.count % 4 == 0
            text = f"{self.number}-{self.count}" if post else "Hello World"
            try:
                self.exchange(post, text)
            except (OSError, AssertionError) as error:
                self.failures.append((post, text, repr(error)))
                self.connect()
        self.socket.close()

    def exchange(self, post, text):
        if post:
            self.posted.append(text)
            request = f"POST /site/DoOnce HTTP/1.1\r\nHost: x\r\n" \
                      f"Content-Length: {len(text)}\r\n\r\n{text}"
        else:
            request = "GET /site/HelloWorld HTTP/1.1\r\nHost: x\r\n\r\n"
        self.socket.sendall(request.encode())
        answer = b""
        while not answer.endswith((text.encode(), text.encode() + b"\r\n0\r\n\r\n")):
            piece = self.socket.recv(65536)
            assert piece, f"the connection ended after {answer!r}"
            answer += piece
            assert len(answer) < 10000, answer
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        self.early += b"X-Early" in answer
        if b"Connection: close" in answer:
            self.socket.close()
            self.connect()


def replace(site, old):
    """Asks for another process, and returns it once it serves and its predecessor is
    gone. A child of httpd is one."""
    path = site.path("site", "tmp", "restart.txt")
    with open(path, "a", encoding="ascii"):
        os.utime(path)
    if site.in_process:
        wait_for(lambda: not processes.alive(old), 60, "the end of the child")
        return site.pid()
    wait_for(lambda: site.processes("site") and old not in site.processes("site")
             and len(site.processes("site")) == 1, 60, "the replacement")
    return site.processes("site")[0]


@ids("RP1", "SD13")
def test_replacement_under_load(site):
    if site.in_process:
        # Of the old child and the new one.
        site.env.allow(environment.FULL)
    pid = site.pid()
    stopped = threading.Event()
    clients = [Client(site.env.port, i, stopped) for i in range(CLIENTS)]
    for client in clients:
        client.start()
    pids = [pid]
    end = time.monotonic() + 240
    try:
        while time.monotonic() < end and (
                len(pids) <= ROUNDS or sum(c.count for c in clients) < REQUESTS):
            pids.append(replace(site, pids[-1]))
    finally:
        stopped.set()
        for client in clients:
            client.join()
    assert len(set(pids)) > ROUNDS
    assert sum(c.count for c in clients) >= REQUESTS
    failures = [f for c in clients for f in c.failures]
    assert not failures, f"{len(failures)} failed, the first: {failures[0]}"
    if not site.in_process:
        # Connections are the app's own in process, which takes requests when it begins
        # to listen, as Kestrel does.
        assert sum(c.early for c in clients) == 0
        assert sum(c.connections for c in clients) == CLIENTS
    check_once(site, [text for c in clients for text in c.posted])


def check_once(site, posted):
    done = collections.Counter()
    for name in glob.glob(site.path("site", "done.*")):
        with open(name, encoding="ascii") as f:
            done.update(f.read().split())
    assert [text for text, count in done.items() if count > 1] == []
    assert set(done) == set(posted)
