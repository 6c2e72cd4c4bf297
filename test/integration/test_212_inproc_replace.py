# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""A child of httpd goes, for the sake of its app or because of it, and clients do not
mind: requests while it is replaced, an app that ends, exits, crashes or hangs."""

import http.client
import os
import re
import ssl
import threading

import pytest

import client
import env as environment
import inproc
import probe
from env import MPM, TOP
from load import Clients, InFlight
from processes import wait_for

pytestmark = pytest.mark.mpm
# One process that serves, and room for the next one.
ONE = "ServerLimit 8\nMaxRequestWorkers 16\n"
# The worker MPM may keep the place of one that leaves until it has ended: where that is
# to take its time, another place is needed.
ROOM = ONE.replace("16", "32") if MPM == "worker" else ONE
# Of HTTP/2.
DATA, HEADERS, RST_STREAM = 0, 1, 3
END_STREAM = 1
REFUSED_STREAM = 7


@pytest.fixture
def httpd(env):
    env.write("htdocs", "still.txt", text="there")
    yield env
    env.stop()


def start(env, name, *lines, conf=""):
    folder = inproc.build(env, name)
    os.makedirs(os.path.join(folder, "tmp"), exist_ok=True)
    env.start(inproc.app(name, folder, *lines) + conf)
    wait_for(lambda: f"app {name} runs in process" in env.recent_log(), 20, "the app")


def pids(env):
    return {p.pid for p in env.workers()}


def await_replacement(env, old):
    wait_for(lambda: pids(env) and not pids(env) & old, 30, "another child")


def await_apps(env, name):
    """A child that has not looked at the folder yet does not see that it changes."""
    wait_for(lambda: pids(env) and all(
        re.search(rf"\[pid {pid}:.*app {name} runs in process", env.log_text())
        for pid in pids(env)), 30, "the app in every child")


def replace_under(clients, env, times):
    """As often as that, and no client of the app notices."""
    for i in range(times):
        await_apps(env, "busy")
        old = pids(env)
        env.write("apps", "busy", "tmp", "restart.txt", text=str(i))
        await_replacement(env, old)
    wait_for(lambda: len(clients.answers) > 20, 30, "answers")
    assert set(clients.finish()) == {200}


def test_no_request_fails_while_the_child_is_replaced(httpd):
    start(httpd, "busy", conf=ONE)
    replace_under(Clients(httpd.port, "/busy/"), httpd, 2)


@pytest.mark.skipif(not probe.HAS_TLS, reason="no TLS")
def test_no_request_fails_over_tls_either(httpd):
    """Nobody reads half of a handshake, or a request that its sender believes gone."""
    start(httpd, "busy", conf=ONE + probe.tls_conf(httpd, "AppCoreMount / busy"))
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    replace_under(Clients(httpd.port2, "/", (False, True, True), context), httpd, 3)


@pytest.mark.parametrize("mode", ["", pytest.param("sigterm", marks=pytest.mark.skipif(
    environment.MPM == "prefork", reason="httpd's handler is there before the app's"))])
def test_long_request_outlives_the_replacement(httpd, mode):
    """Its process has lost its place among httpd's children by then, and is not lost. Nor
    does the signal end it by which the MPM wakes its first thread, whatever the app did
    to its handler while the MPM put its own in place."""
    start(httpd, "long", f'AppCoreEnvironmentVariable MODE "{mode}"', conf=ONE)
    old, answers = pids(httpd), []
    slow = threading.Thread(target=lambda: answers.append(
        client.request(httpd.port, "/long/slow")))
    slow.start()
    httpd.write("apps", "long", "tmp", "restart.txt", text="now")
    slow.join()
    await_replacement(httpd, old)
    assert answers[0].status == 200
    assert "ended while it hosted apps" not in httpd.log_text()


@pytest.mark.skipif(environment.MPM == "prefork", reason="each request has its child")
def test_callback_that_takes_its_time_holds_up_nothing_else(httpd):
    """An app that does not return when it is told of a client that left."""
    app = probe.Probe(httpd, "told", "AppCoreEnvironmentVariable PROBE_DISCONNECT wait")
    tmp = os.path.join(app.folder, "tmp")
    os.mkdir(tmp)
    httpd.start(app.conf() + ROOM)
    assert httpd.get("/told/hello").status == 200
    old = pids(httpd)
    leaves = probe.ask(httpd, "http", "GET", "/told/hold?tag=left&gate=busy")
    app.wait_event("hold", tag="left")
    leaves.socket.close()
    app.wait_event("disconnect", tag="left")
    httpd.write("apps", "told", "tmp", "restart.txt", text="now")
    wait_for(lambda: int(httpd.get("/told/pid").text) not in old, 30, "another child")
    assert not app.events("release", tag="left")
    app.open("told")
    await_replacement(httpd, old)
    app.check()


def test_app_that_ends_is_replaced(httpd):
    """What comes in between is told to come again, at worst."""
    httpd.allow("app ending has ended with exit code 3: somebody asked for it",
                "app ending is not available: it has ended")
    start(httpd, "ending", conf=ONE)
    clients = Clients(httpd.port, "/ending/", (False, False))
    old = pids(httpd)
    assert client.request(httpd.port, "/ending/end").status == 200
    await_replacement(httpd, old)
    answers = clients.finish()
    assert set(answers) <= {200, 503} and 200 in answers
    assert client.request(httpd.port, "/ending/").status == 200


def begin(httpd, method, used):
    """A request whose head a worker has begun to read, on a new connection or on one
    that served before."""
    raw = httpd.raw()
    if used:
        raw.send("GET /over/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert raw.response().status == 200
    raw.send(f"{method} /over/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n")
    return raw


@pytest.mark.skipif(environment.MPM == "prefork", reason="each connection has its child")
def test_requests_that_reach_an_app_that_has_ended(httpd):
    """Who has to ask again all the same, because connections that are kept may be closed
    at any time, is not told that it is the app's fault."""
    httpd.allow("app over has ended", "app over is not available: it has ended")
    start(httpd, "over", conf=ONE)
    old = pids(httpd)
    again, post, first = (begin(httpd, method, used) for method, used in (
        ("GET", True), ("POST", True), ("GET", False)))
    assert client.request(httpd.port, "/over/end").status == 200
    for raw in (again, post, first):
        raw.send("\r\n")
    assert again.receive() == b""
    for raw in (post, first):
        answer = raw.response()
        assert answer.status == 503 and answer.header("Retry-After") == "1"
        assert raw.receive() == b""
    for raw in (again, post, first):
        raw.socket.close()
    await_replacement(httpd, old)
    assert client.request(httpd.port, "/over/").status == 200


def ends_of_streams(connection, streams):
    """How they end: with the code of a reset, or None. mod_http2 says GOAWAY as well, and
    no more may be sent then."""
    ends, data = {}, b""
    while not ends.keys() >= set(streams):
        size = 9 + int.from_bytes(data[:3], "big")
        if len(data) < max(9, size):
            piece = connection.recv(65536)
            assert piece, f"the connection ended before the streams: {ends}"
            data += piece
            continue
        kind, flags, stream = data[3], data[4], int.from_bytes(data[5:9], "big")
        if kind == RST_STREAM:
            ends[stream] = int.from_bytes(data[9:size], "big")
        elif kind in (DATA, HEADERS) and flags & END_STREAM:
            ends.setdefault(stream, None)
        data = data[size:]
    return ends


@pytest.mark.skipif(environment.MPM == "prefork" or not probe.module_file("http2"),
                    reason="needs mod_http2 and an MPM with threads")
def test_streams_that_reach_an_app_that_has_ended(httpd):
    """They are refused, which says that nothing was done with them. One worker takes them
    one after the other."""
    pytest.importorskip("h2")
    from test_163_h2_websocket import Client, knows_websockets
    if not knows_websockets(httpd):
        pytest.skip("needs httpd 2.4.58 or later")
    httpd.allow("app over has ended")
    start(httpd, "over", "AppCoreMaxWorkers 100%", conf=ONE
          + "Protocols h2c http/1.1\nH2WebSockets on\nH2MinWorkers 1\nH2MaxWorkers 1\n")
    with Client(httpd.port) as talk:
        end, *late = (talk.ask(path, (":method", method)) for method, path in (
            ("GET", "/over/end"), ("GET", "/over/"), ("POST", "/over/")))
        ends = ends_of_streams(talk.socket, [end, *late])
    assert ends == {end: None, **dict.fromkeys(late, REFUSED_STREAM)}


@pytest.mark.parametrize("where", ["", "-thread"])
@pytest.mark.parametrize("how", ["exit", "exit-0", "crash", "fault"])
def test_app_that_takes_its_child_down(httpd, how, where):
    """exit(15) in a child is httpd's word for: stop the server."""
    httpd.allow("exit signal (Abort|Segmentation)")
    start(httpd, how, conf=ONE)
    parent, old = httpd.httpd_pid(), pids(httpd)
    with pytest.raises((http.client.HTTPException, OSError)):
        client.request(httpd.port, f"/{how}/{how}{where}")
    wait_for(lambda: not pids(httpd) >= old, 20, "the end of a child")
    if how.startswith("exit"):
        httpd.wait_log(rf"app {how} called exit\(\d+\), which ends this process")
    httpd.wait_log(r"(?m)process \d+ of httpd ended while it hosted apps in process: "
                   rf"{how}$", 20)
    assert client.request(httpd.port, f"/{how}/").status == 200
    assert httpd.httpd_pid() == parent
    remove_cores(httpd)


def remove_cores(env):
    for name in os.listdir(env.path("core")):
        os.remove(env.path("core", name))


def test_app_that_takes_too_many_children_down(httpd):
    """It is not asked any more until a reload, and says so; all else is served."""
    httpd.allow("exit signal Abort", r"process \d+ of httpd ended while it hosted apps")
    start(httpd, "often", "AppCoreRapidFailsPerMinute 2", "AppCoreDetailedErrors On",
          conf=ONE)
    for _ in range(2):
        old = pids(httpd)
        with pytest.raises((http.client.HTTPException, OSError)):
            client.request(httpd.port, "/often/crash")
        # On the prefork MPM there may be others.
        wait_for(lambda: pids(httpd) and not pids(httpd) >= old, 30, "another child")
    answer = client.request(httpd.port, "/often/")
    assert answer.status == 503 and answer.header("Retry-After")
    assert "AppCoreRapidFailsPerMinute" in answer.text
    httpd.wait_log("app often is no longer hosted in process: it took processes of httpd")
    httpd.allow("app often does not run, answered with 503")
    assert client.request(httpd.port, "/still.txt").text == "there"
    httpd.reload()
    assert client.request(httpd.port, "/often/").status == 200
    remove_cores(httpd)


@pytest.mark.skipif(MPM != "event", reason="settings for the event MPM")
def test_settings_for_one_process(httpd):
    """httpd-conf/appcore-inprocess.conf: one serves, and the next one beside it while
    it ends."""
    with open(os.path.join(TOP, "httpd-conf", "appcore-inprocess.conf"),
              encoding="utf-8") as f:
        settings = f.read()
    app = probe.Probe(httpd, "single")
    httpd.start(settings + app.conf())
    assert httpd.get("/single/config").json()["processes"] == 1
    [old] = pids(httpd)
    flight = InFlight(httpd, "/single/hold?tag=slow&gate=slow")
    app.wait_event("hold", tag="slow")
    httpd.reload(wait_workers=False)
    wait_for(lambda: int(httpd.get("/single/pid").text) != old, what="the next process")
    assert old in pids(httpd) and not flight.answers
    app.open("slow")
    assert {answer.status for answer in flight.finish().values()} == {200}
    app.check()


def test_hanging_start_holds_nobody_up(httpd):
    """After some seconds httpd serves; the app's own requests wait for its limit."""
    httpd.allow(r"app hang did not start in process \(500\.37\)",
                r"app hang does not run, answered with 500\.37")
    folder = inproc.build(httpd, "hang")
    httpd.start(inproc.app("hang", folder, "AppCoreEnvironmentVariable MODE hang",
                           "AppCoreStartupTimeLimit 7"))
    assert client.request(httpd.port, "/still.txt").text == "there"
    assert "did not start in process" not in httpd.log_text()
    old = pids(httpd)
    response = client.request(httpd.port, "/hang/")
    assert response.status == 500 and "500.37" in response.text
    # Another child tries again.
    wait_for(lambda: len(pids(httpd)) and not pids(httpd) & old, 20, "another child")


@pytest.mark.parametrize("where", ["init", "loading"])
def test_child_ends_while_an_app_starts(httpd, where):
    """Nobody waits for it, and nothing goes under its feet: neither the static files that
    httpd serves meanwhile, nor httpd's end."""
    folder = inproc.build(httpd, f"starts-{where}", "life",
                          *["-DHANGS_IN_ITS_LOADING"] * (where == "loading"))
    httpd.start(inproc.app(f"starts-{where}", folder,
                           "AppCoreEnvironmentVariable MODE hang"))
    assert client.request(httpd.port, "/still.txt").text == "there"
    httpd.reload()
    assert client.request(httpd.port, "/still.txt").text == "there"


def test_start_that_hangs_again_and_again_holds_nobody_up(httpd):
    """Even where each child gives it up before it would have served anything."""
    httpd.allow(r"app hang2 did not start in process \(500\.37\)")
    folder = inproc.build(httpd, "hang2")
    httpd.start(inproc.app("hang2", folder, "AppCoreEnvironmentVariable MODE hang",
                           "AppCoreStartupTimeLimit 3"))
    while httpd.log_text().count("did not start in process") < 3:
        assert client.request(httpd.port, "/still.txt", timeout=8).text == "there"
