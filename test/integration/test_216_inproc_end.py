# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The end of a child with an app that makes it hard: one that hangs where it is told of
the end, exits there, or says more than once that it has ended."""

import pytest

import probe
from processes import wait_for

pytestmark = pytest.mark.mpm


@pytest.fixture
def httpd(env):
    yield env
    env.stop()


def start(env, name, *lines):
    app = probe.Probe(env, name, *lines)
    env.start(app.conf())
    assert env.get(f"/{name}/hello").text == "hello\n"
    return app


def pids(env):
    return {p.pid for p in env.workers()}


def reload(env, app):
    """A graceful one, after which every process of before is gone."""
    env.reload()
    assert env.get(f"/{app.name}/hello").text == "hello\n"


def test_hangs_when_told_of_the_end(httpd):
    httpd.allow("did not end within")
    app = start(httpd, "quiesce", "AppCoreShutdownTimeLimit 1",
                "AppCoreEnvironmentVariable PROBE_QUIESCE hang")
    reload(httpd, app)


def test_takes_its_time_when_told_of_the_end(httpd):
    """Within its limit; the last call is the last one all the same."""
    app = start(httpd, "slow", "AppCoreEnvironmentVariable PROBE_QUIESCE slow")
    old = pids(httpd)
    reload(httpd, app)
    for pid in old:
        seen = [e["what"] for e in app.events() if e["pid"] == pid]
        assert [what for what in seen if what in ("quiesced", "shutdown", "ended")] \
            == ["quiesced", "shutdown", "ended"]


@pytest.mark.parametrize("how", ["exit", "hang"])
def test_exits_or_hangs_at_its_shutdown(httpd, how):
    """A number that says to httpd's parent that no process can work says nothing."""
    httpd.allow("did not end within")
    app = start(httpd, how, "AppCoreShutdownTimeLimit 1",
                f"AppCoreEnvironmentVariable PROBE_SHUTDOWN {how}")
    reload(httpd, app)
    reload(httpd, app)


@pytest.mark.parametrize("route, quiesce", [
    ("wait", "quick"), ("forgotten", "quick"), ("forgotten", "hang")])
def test_requests_have_until_the_limit(httpd, route, quiesce):
    """Then their clients are cut off, and whoever ignores that has no request more. Also
    where the app does not return when it is told of the end."""
    httpd.allow("broke its answer off", "gave no answer")
    if quiesce == "hang":
        httpd.allow("did not end within")
    app = start(httpd, f"limit-{route}-{quiesce}", "AppCoreShutdownTimeLimit 1",
                f"AppCoreEnvironmentVariable PROBE_QUIESCE {quiesce}")
    client = probe.ask(httpd, "http", "GET", f"/{app.name}/{route}?tag=limit")
    app.wait_event("wait", tag="limit")
    reload(httpd, app)
    # Who looks at aborted() all the time may have completed it before he is told.
    assert len(app.events("disconnect", tag="limit")) in ((0, 1) if route == "wait"
                                                          else (1,))
    assert len(app.events("release", tag="limit")) == 1
    with pytest.raises((ConnectionError, AssertionError)):
        client.response()
    client.socket.close()
    app.check()


def test_has_ended_once(httpd):
    """However often it says so: one process is lost, not as many as make it too many."""
    httpd.allow("app often has ended", "ended while it hosted")
    app = start(httpd, "often", "AppCoreRapidFailsPerMinute 3")
    old = int(httpd.get("/often/pid").text)
    assert httpd.get("/often/ended?times=20").text == "ended"
    wait_for(lambda: old not in pids(httpd), 30, "the end of the process")
    assert httpd.get("/often/hello").text == "hello\n"
    assert httpd.log_text().count("app often has ended") <= 1 + len(pids(httpd))
    app.check()
