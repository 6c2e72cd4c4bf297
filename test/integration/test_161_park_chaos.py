# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Parked requests whose clients leave at any moment, while httpd reloads and the app
dies: nothing crashes, nothing is left, and polite clients notice nothing."""

import os
import random
import signal
import threading
import time

import pytest

import env as environment
from client import Raw
from processes import wait_for
from rawapp import RawApp
from test_015_tls import make_certificate
from test_160_park import TLS, TlsRaw, ask

pytestmark = pytest.mark.skipif(environment.MPM != "event" or environment.PARK == "never",
                                reason="only the event MPM can park")
THREADS = 12
SECONDS = 6


@pytest.fixture(scope="module")
def httpd(env):
    env.made = RawApp(env, "raw")
    if TLS:
        env.modules += ["socache_shmcb", "ssl"]
    tls = f"""Listen 127.0.0.1:{env.port2}
<VirtualHost *:{env.port2}>
    SSLEngine On
    {make_certificate(env)}
    AppCoreMount /raw raw
</VirtualHost>
""" if TLS else ""
    env.start(f"""Define APPCORE_PARK_ALWAYS
AsyncRequestWorkerFactor 50
<AppCoreApp raw>
    AppCorePath {env.made.folder}
    AppCoreRapidFailsPerMinute 100
</AppCoreApp>
AppCoreMount /raw raw
{tls}""")
    assert env.get("/raw/pid").status == 200
    return env


def leave_before_the_answer(raw, rng):
    ask(raw, "/raw/hold?gate=never")
    time.sleep(rng.random() / 50)


def leave_within_the_answer(raw, rng):
    ask(raw, "/raw/big?n=3000000")
    for _ in range(rng.randrange(5)):
        raw.socket.recv(rng.randrange(1, 100000))


def leave_within_the_body(raw, rng):
    ask(raw, "/raw/digest", "Content-Length: 500000", method="POST")
    raw.send(b"x" * rng.randrange(300000))


def leave_a_stream(raw, rng):
    ask(raw, "/raw/endless")
    raw.socket.recv(rng.randrange(1, 100000))


def leave_a_tunnel(raw, rng):
    ask(raw, "/raw/websocket", "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version: 13")
    raw.socket.recv(1000)
    raw.send(b"x" * rng.randrange(1, 100000))


RUDE = (leave_before_the_answer, leave_within_the_answer, leave_within_the_body,
        leave_a_stream, leave_a_tunnel)


class Crowd:
    def __init__(self, httpd):
        self.httpd, self.stop = httpd, threading.Event()
        self.left, self.answered, self.wrong = 0, 0, []
        self.threads = [threading.Thread(target=self.run, args=[i])
                        for i in range(THREADS)]

    def polite(self):
        answer = self.httpd.get("/raw/pid", timeout=30)
        if answer.status != 200:
            self.wrong.append(answer)
        self.answered += 1

    def rude(self, rng):
        tls = TLS and rng.random() < 0.5
        try:
            with (TlsRaw(self.httpd.port2) if tls else Raw(self.httpd.port)) as raw:
                rng.choice(RUDE)(raw, rng)
            self.left += 1
        except OSError:
            pass

    def run(self, i):
        rng = random.Random(i)
        while not self.stop.is_set():
            if i % 4:
                self.rude(rng)
                continue
            try:
                self.polite()
            except OSError as error:
                self.wrong.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def test_chaos(httpd):
    httpd.allow("broke the exchange", "ended by signal", "app raw", "AH10")
    end = time.monotonic() + SECONDS
    with Crowd(httpd) as crowd:
        for _ in range(3):
            before = crowd.answered
            wait_for(lambda: crowd.answered > before + 10, 30)
            httpd.reload(wait_workers=False)
            os.kill(httpd.app_processes()[0], signal.SIGKILL)
        wait_for(lambda: time.monotonic() > end, SECONDS + 30)
    assert not crowd.wrong, crowd.wrong[0]
    assert crowd.left > 50 and crowd.answered > 30
    # Nothing waits any more: the old children go, which they do not before.
    httpd.reload()
    assert httpd.get("/raw/pid").status == 200
