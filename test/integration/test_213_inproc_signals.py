# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""httpd is stopped, restarted or reloaded while apps in process have requests: one that
holds its worker, and one that waits without."""

import os
import signal
import subprocess

import pytest

import env as environment
import probe
import processes
from load import InFlight
from processes import wait_for

pytestmark = [pytest.mark.mpm, pytest.mark.skipif(
    environment.MPM == "prefork", reason="a child has one request, and is interrupted")]
GRACEFUL = (signal.SIGUSR1, signal.SIGWINCH)
STOPS = (signal.SIGTERM, signal.SIGWINCH)
BUSY, WAITS = "/probe/hold?tag=a&gate=busy", "/probe/wait?tag=b&gate=waits"


@pytest.fixture
def httpd(env):
    if not hasattr(env, "made"):
        env.made = probe.Probe(env)
    env.made.forget()
    for gate in os.listdir(env.made.path("gates")):
        os.unlink(env.made.path("gates", gate))
    env.start(env.made.conf())
    yield env
    env.stop()
    env.made.check()


@pytest.mark.parametrize("how", [*GRACEFUL, signal.SIGTERM, signal.SIGHUP],
                         ids=["graceful", "graceful-stop", "stop", "restart"])
def test_signal_with_requests_in_flight(httpd, how):
    """Gracefully they are answered, and no call is left in the app; else they are cut
    off, and it is told of its own end."""
    app, parent = httpd.made, httpd.httpd_pid()
    flight = InFlight(httpd, BUSY, WAITS)
    app.wait_event("hold", tag="a")
    app.wait_event("wait", tag="b")
    old = {p.pid for p in httpd.workers()}
    os.kill(parent, how)
    # An app may be as slow as it likes to notice, but not for ever.
    app.wait_event("quiesce", 20)
    app.open("busy")
    if how in GRACEFUL:
        app.open("waits")
    answers = flight.finish()
    if how in GRACEFUL:
        assert {a.status for a in answers.values()} == {200}, answers
    wait_for(lambda: not any(map(processes.alive, old)), 30, "the end of the children")
    if how in STOPS:
        wait_for(lambda: not processes.alive(parent), 20, "the end of httpd")
    else:
        assert httpd.httpd_pid() == parent
        assert httpd.get("/probe/hello").status == 200
    ended = [e for e in app.events("ended") if e["pid"] in old]
    assert ended
    assert {e["calls"] for e in ended} == {0}
    if how not in GRACEFUL:
        assert app.events("release", tag="b")


def told(env, how):
    """What the app says at its end, after a signal to httpd: how many calls it has."""
    app, parent = env.made, env.httpd_pid()
    old = {p.pid for p in env.workers()}
    os.kill(parent, how)
    wait_for(lambda: not any(map(processes.alive, old)), 30, "the end of the children")
    if how in STOPS:
        wait_for(lambda: not processes.alive(parent), 20, "the end of httpd")
    return {e["calls"] for e in app.events("ended") if e["pid"] in old}


def polled(env):
    """How many descriptors the MPM polls."""
    def of(folder):
        counts = [0]
        for fd in os.listdir(folder):
            with open(os.path.join(folder, fd), encoding="ascii") as f:
                counts.append(sum(line.startswith("tfd:") for line in f))
        return max(counts)
    return sum(of(f"/proc/{p.pid}/fdinfo") for p in env.workers())


@pytest.mark.skipif(not probe.PARKS, reason="requests hold workers")
def test_stop_ends_many_requests_that_wait(httpd):
    """Each is told, and released, before the app itself is to end."""
    httpd.stop()
    httpd.start("AsyncRequestWorkerFactor 50\nAppCoreMaxWorkers 100%\n"
                + httpd.made.conf())
    assert httpd.get("/probe/hello").status == 200
    httpd.wait_quiet()
    before = polled(httpd)
    clients = [probe.ask(httpd, "http", "GET", f"/probe/wait?tag=many&gate=waits{i}")
               for i in range(12)]
    httpd.made.wait_event("wait", count=12, tag="many")
    wait_for(lambda: polled(httpd) >= before + 12, what="requests without a worker")
    assert told(httpd, signal.SIGTERM) == {0}
    assert len(httpd.made.events("release", tag="many")) == 12
    for client in clients:
        client.socket.close()


@pytest.mark.skipif(not probe.HAS_HTTP2, reason="no HTTP/2")
def test_restart_ends_streams(httpd):
    """A stream's worker is mod_http2's, which the MPM does not wait for."""
    httpd.stop()
    httpd.start(probe.protocols(httpd) + httpd.made.conf())
    client = subprocess.Popen(probe.curl_command(
        httpd, "h2", "/probe/wait?tag=stream&gate=waits", "-o", "/dev/null"))
    httpd.made.wait_event("wait", tag="stream")
    assert told(httpd, signal.SIGHUP) == {0}
    assert httpd.made.events("release", tag="stream")
    client.wait(30)
    assert httpd.get("/probe/hello").status == 200
