# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""httpd is stopped, restarted or reloaded while apps in process have requests: one that
holds its worker, and one that waits without."""

import os
import signal

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
    old = {p.pid for p in httpd.workers()}
    flight = InFlight(httpd, BUSY, WAITS)
    app.wait_event("hold", tag="a")
    app.wait_event("wait", tag="b")
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
    if how in GRACEFUL:
        assert {e["calls"] for e in ended} == {0}
