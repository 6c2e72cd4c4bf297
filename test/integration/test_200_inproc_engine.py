# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Requests around an app in process: they wait for its start within the limits of the
queue, hold no more workers than they may, and go to the rest of httpd if the app does
not want them."""

import os
import select
import shutil
import time

import pytest

import env as environment
import processes
from client import Raw
from processes import wait_for

pytestmark = pytest.mark.mpm
BUILT = os.path.join(os.path.dirname(os.path.dirname(environment.MODULE)), "test", "apps",
                     "inproc")
QUEUE = 3
# Half of 16 workers an app may hold.
CROWD = 14
PARKS = environment.MPM == "event" and environment.PARK != "never"


def install(env, name, *lines):
    """A folder with the probe, which root owns, and one that the probe may read."""
    folder = env.app(name, user="root" if env.is_root else None)
    shutil.copy(os.path.join(BUILT, "probe.so"), folder)
    shared = env.path("files", name)
    os.makedirs(os.path.join(shared, "gates"))
    for path in (shared, os.path.join(shared, "gates")):
        os.chmod(path, 0o777)
    body = "\n    ".join(lines)
    return f"""<AppCoreApp {name}>
    AppCorePath {folder}
    AppCoreHostingModel InProcess
    AppCoreEnvironmentVariable PROBE_FOLDER {shared}
    {body}
</AppCoreApp>
AppCoreMount /{name} {name}
"""


@pytest.fixture(scope="module")
def httpd(env):
    os.mkdir(env.path("htdocs", "probe"))
    env.write("htdocs", "probe", "declined", text="a file")
    env.write("htdocs", "static.txt", text="static")
    one = "StartServers 1\nServerLimit 1\nThreadsPerChild 16\nMaxRequestWorkers 16\n" \
        if environment.MPM != "prefork" else ""
    env.start(one + f"<Directory {env.path('htdocs')}>\nRequire all granted\n"
              "</Directory>\n"
              + install(env, "probe")
              + install(env, "late", "AppCoreEnvironmentVariable PROBE_INIT late",
                        f"AppCoreQueueLimit {QUEUE}")
              + install(env, "crowd", "AppCoreEnvironmentVariable PROBE_INIT late")
              + install(env, "slow", "AppCoreEnvironmentVariable PROBE_INIT late",
                        "AppCoreQueueTimeLimit 1s")
              + install(env, "few", "AppCoreMaxWorkers 1"))
    settle(env)
    return env


def settle(env):
    """Until the supervisor knows the child: what it has open then does not change. An
    ordinary user does not see it."""
    def known():
        manager = env.helper("manager")
        return manager and (not env.is_root or "anon_inode:[eventfd]" in (
            processes.descriptors(manager) or {}))
    wait_for(known, what="the manager's acquaintance with the child")


def open_gate(env, app, gate):
    env.write("files", app, "gates", gate, text="")


def ask(env, target):
    raw = Raw(env.port)
    raw.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return raw


def test_hello(httpd):
    answer = httpd.get("/probe/hello")
    assert (answer.status, answer.text) == (200, "hello\n")


def test_what_the_app_declines_is_httpds(httpd):
    assert httpd.get("/probe/declined").text == "a file"
    assert httpd.get("/probe/declined?x=%20y").text == "a file"
    assert httpd.get("/probe/hello").text == "hello\n"


@pytest.mark.skipif(environment.MPM == "prefork", reason="each process has a queue")
def test_requests_wait_for_the_start(httpd):
    """As many as the queue takes; one that leaves makes room for another."""
    httpd.allow("app late is not available")
    asked = [ask(httpd, "/late/hello") for _ in range(QUEUE + 1)]
    refused, = select.select([raw.socket for raw in asked], [], [], 30)[0]
    waiting = [raw for raw in asked if raw.socket is not refused]
    raw, = set(asked) - set(waiting)
    assert raw.response().status == 503
    waiting.pop().socket.close()

    def waits():
        raw = ask(httpd, "/late/hello")
        raw.socket.settimeout(2)
        try:
            return raw.response().status != 503
        except TimeoutError:
            raw.socket.settimeout(30)
            waiting.append(raw)
            return True
    wait_for(waits, what="room in the queue")
    assert httpd.get("/static.txt").text == "static"
    open_gate(httpd, "late", "start")
    for raw in waiting:
        assert raw.response().text == "hello\n"
        raw.socket.close()
    assert httpd.get("/late/hello").status == 200


@pytest.mark.skipif(not PARKS, reason="only the event MPM can park")
def test_more_wait_for_the_start_than_may_hold_workers(httpd):
    """None is refused, neither when they come at the same moment nor when it is over."""
    waiting = [ask(httpd, "/crowd/hello") for _ in range(CROWD)]
    assert httpd.get("/static.txt").text == "static"
    open_gate(httpd, "crowd", "start")
    assert [raw.response().status for raw in waiting] == [200] * CROWD
    for raw in waiting:
        raw.socket.close()


def test_the_wait_has_a_limit(httpd):
    httpd.allow("app slow is not available")
    began = time.monotonic()
    answer = httpd.get("/slow/hello")
    assert answer.status == 503 and answer.header("Retry-After")
    assert 1 <= time.monotonic() - began < 10
    assert httpd.get("/static.txt").text == "static"
    open_gate(httpd, "slow", "start")


def refused(env, path):
    answer = env.get(path)
    return answer if answer.status == 503 else None


@pytest.mark.skipif(environment.MPM == "prefork", reason="a process has one worker")
def test_busy_workers_are_counted(httpd):
    """An app that is busy on its one worker gets no second one: it may hang."""
    raw = ask(httpd, "/few/hold?gate=workers")
    answer = wait_for(lambda: refused(httpd, "/few/hello"), what="all its workers")
    assert answer.header("Retry-After") and "HTTP Error 503" in answer.text
    httpd.wait_log(r"app few is not available: it holds all workers of this process that "
                   r"it may \(AppCoreMaxWorkers\)")
    assert httpd.get("/probe/hello").status == 200
    open_gate(httpd, "few", "workers")
    assert raw.response().text == "held"
    assert httpd.get("/few/hello").status == 200
    raw.socket.close()
