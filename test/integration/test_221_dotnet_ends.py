# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""More ways in which an ASP.NET Core app inside of httpd ends, or takes its child with
it, one by one; and signals to httpd while it has requests."""

import os
import re
import signal
import time

import pytest

import env as environment
from ending import ENDED, deploy, fail, inside
from load import InFlight
from processes import alive, wait_for

pytestmark = [pytest.mark.mpm, pytest.mark.skipif(
    environment.MPM == "prefork", reason="the prefork MPM hosts no runtime")]

CRASHED = r"exit signal (Abort|Segmentation)"


@pytest.fixture
def server(own, env):
    if not env.httpd_pid():
        own.start()
    yield own
    for name in os.listdir(env.path("core")):
        os.remove(env.path("core", name))


# Path, what the log says.
CRASHES = [("/abort/native", ""), ("/fault/native", ""), ("/fault/thread", ""),
           ("/throw/pool", "the pool does not, either"), ("/overflow", "Stack overflow")]


@pytest.mark.parametrize("path, words", CRASHES, ids=[path for path, _ in CRASHES])
def test_crash_ends_the_child_alone(server, path, words):
    server.env.allow(CRASHED)
    server.loses_its_child(path, timeout=60)
    server.env.wait_log(ENDED, 20)
    server.env.wait_log(re.escape(words))


@pytest.mark.parametrize("code", [0, 15])
def test_exit_of_a_background_thread_ends_the_child_alone(server, code):
    server.loses_its_child(f"/exit/thread?code={code}")


def test_fault_that_the_runtime_catches_is_an_exception(server):
    """SIGSEGV is the runtime's way to find null references, on threads of httpd, too."""
    old = server.pid()
    server.env.allow(r"app own\b")
    assert server.get("/fault").status == 500
    assert server.pid() == old


STARTS = {"Exit": "called exit", "thread": "", "abort": "no way to begin",
          "pool": "nobody", "overflow": "Stack overflow"}


@pytest.mark.parametrize("how", STARTS)
def test_start_that_takes_its_child_down_is_given_up(env, how):
    """httpd serves everything else, during it and afterwards."""
    env.stop()
    env.write("htdocs", "still.txt", text="there")
    folder = deploy(env, how, "failing")
    env.allow(rf"app {how}\b", ENDED, CRASHED)
    env.start(inside(how, folder, fail(how), "AppCoreRapidFailsPerMinute 2"))
    parent = env.httpd_pid()
    env.wait_log(rf"app {how} (is no longer hosted in process|did not start in process)",
                 60)
    assert env.get("/still.txt", timeout=60).text == "there"
    assert env.get(f"/{how}/", timeout=60).status >= 500
    assert env.httpd_pid() == parent
    env.wait_log(re.escape(STARTS[how]))
    env.stop()
    for name in os.listdir(env.path("core")):
        os.remove(env.path("core", name))


GRACEFUL = (signal.SIGUSR1, signal.SIGWINCH)
STOPS = (signal.SIGTERM, signal.SIGWINCH)


@pytest.mark.parametrize("how", [*GRACEFUL, signal.SIGTERM, signal.SIGHUP],
                         ids=["graceful", "graceful-stop", "stop", "restart"])
def test_signal_with_requests_in_flight(server, how):
    """One that computes, and one that waits without a worker."""
    env, old, parent = server.env, server.pid(), server.env.httpd_pid()
    before = int(server.get("/waiting").text)
    flight = InFlight(env, "/own/spin?ms=2000", "/own/wait?ms=2500")
    wait_for(lambda: int(server.get("/waiting").text) == before + 1, what="the request")
    os.kill(parent, how)
    answers = flight.finish()
    if how in GRACEFUL:
        assert {a.status for a in answers.values()} == {200}, answers
    wait_for(lambda: not alive(old), 30, "the end of the child")
    if how in STOPS:
        wait_for(lambda: not alive(parent), 20, "the end of httpd")
    else:
        server.has_another(old)
        assert env.httpd_pid() == parent
    assert "exit signal" not in env.recent_log()
    assert "did not end in time" not in env.recent_log()


def test_stop_does_not_wait_for_requests_without_end(own, env):
    """What waits for ever is cut off at the app's limit."""
    env.stop()
    own.start("AppCoreShutdownTimeLimit 2")
    before = int(own.get("/waiting").text)
    flight = InFlight(env, "/own/wait?ms=600000")
    wait_for(lambda: int(own.get("/waiting").text) == before + 1, what="the request")
    env.allow(r"app own\b")
    began = time.monotonic()
    env.stop()
    assert time.monotonic() - began < 20
    flight.finish()
    assert "exit signal" not in env.recent_log()
