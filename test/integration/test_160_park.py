# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Requests that wait hold no worker: one child with four threads has dozens of them
and goes on serving."""

import hashlib
import os
import re
import select
import shutil
import socket
import ssl
import time

import pytest

import env as environment
from client import Raw
from processes import wait_for
from rawapp import RawApp, data, sha256
from test_015_tls import make_certificate
from websocket import WebSocket

MANY = 40
THREADS = 4
TLS = bool(shutil.which("openssl")
           and os.path.exists(os.path.join(environment.MODULE_DIR, "mod_ssl.so")))

pytestmark = pytest.mark.skipif(environment.MPM != "event" or environment.PARK == "never",
                                reason="only the event MPM can park")


class TlsRaw(Raw):
    def __init__(self, port, timeout=30):
        super().__init__(port, timeout)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)


@pytest.fixture(scope="module")
def httpd(env):
    names = ("raw", "cold", "few", "silent", "blocked", "other", "files")
    env.made = {name: RawApp(env, name) for name in names}
    env.write("htdocs", "static.txt", text="static")
    settings = {
        "raw": "", "other": "",
        "cold": "AppCoreEnvironmentVariable RAW_START_GATE now\n",
        "few": "AppCoreAsyncLimit 3\nAppCoreMaxWorkers 1\n",
        "silent": "AppCoreRequestTimeout 700ms\n",
        "files": f"AppCoreSendfile {env.made['files'].folder}\nAppCoreMaxWorkers 1\n",
        "blocked": "AppCoreAsync Off\nAppCoreMaxWorkers 1\n"}
    if TLS:
        env.modules += ["socache_shmcb", "ssl"]
    env.modules += ["log_config", "status"]
    mounts = "".join(f"AppCoreMount /{name} {name}\n" for name in names)
    tls = f"""Listen 127.0.0.1:{env.port2}
<VirtualHost *:{env.port2}>
    SSLEngine On
    {make_certificate(env)}
    {mounts}
</VirtualHost>
""" if TLS else ""
    # Two serve; as many of before a reload may still have requests that wait.
    env.start(f"""ServerLimit 6
ThreadsPerChild {THREADS}
MaxRequestWorkers {2 * THREADS}
MinSpareThreads 1
MaxSpareThreads {2 * THREADS}
StartServers 1
AsyncRequestWorkerFactor 100
Timeout 8
CustomLog {env.path("access.log")} "%U %>s %D %X"
ExtendedStatus On
<Location /server-status>
    SetHandler server-status
</Location>
<Location /raw/blocked>
    AppCoreAsync Off
</Location>
""" + "".join(f"<AppCoreApp {name}>\nAppCorePath {env.made[name].folder}\n{lines}"
              f"</AppCoreApp>\n" for name, lines in settings.items()) + mounts + tls)
    assert env.get("/other/pid").status == 200
    assert env.get("/raw/pid").status == 200
    return env


@pytest.fixture(params=["http", pytest.param("https", marks=pytest.mark.skipif(
    not TLS, reason="needs mod_ssl and openssl"))])
def connect(request, httpd):
    made = []

    def new():
        kind, port = (Raw, httpd.port) if request.param == "http" \
            else (TlsRaw, httpd.port2)
        made.append(kind(port))
        return made[-1]
    yield new
    for raw in made:
        raw.socket.close()


def ask(raw, target, *fields, method="GET", body=""):
    lines = "".join(field + "\r\n" for field in fields)
    raw.send(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{body}")


def ask_many(connect, n, target):
    """Each asks at once: while all workers are busy the MPM closes connections on
    which no request is under way."""
    clients = []
    for _ in range(n):
        clients.append(connect())
        ask(clients[-1], target)
    return clients


def alive(httpd):
    """Everything else is served although nearly all workers could be held."""
    began = time.monotonic()
    for _ in range(3):
        assert httpd.get("/static.txt").text == "static"
        assert httpd.get("/other/pid").status == 200
    assert time.monotonic() - began < 5


def test_many_wait_for_the_app(httpd, connect):
    raw = httpd.made["raw"]
    raw.forget()
    gate = raw.gate()
    clients = ask_many(connect, MANY, raw.target("hold", gate=gate))
    raw.wait_event("gate", timeout=30, count=MANY, gate=gate)
    alive(httpd)
    raw.open(gate)
    assert {client.response().status for client in clients} == {200}


def test_many_wait_for_the_start(httpd):
    cold = httpd.made["cold"]
    clients = ask_many(lambda: Raw(httpd.port), MANY, "/cold/pid")
    cold.wait_event("start", timeout=30)
    alive(httpd)
    cold.open("now")
    answers = [client.response() for client in clients]
    assert {a.status for a in answers} == {200}
    assert len({a.text for a in answers}) == 1
    for client in clients:
        client.socket.close()


def test_event_streams(httpd, connect):
    raw = httpd.made["raw"]
    target, name = raw.answer("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
                              "data: 1\n\n<gate>data: 2\n\n")
    clients = ask_many(connect, MANY, target)
    for client in clients:
        client.receive(b"data: 1\n")
    alive(httpd)
    raw.open(f"{name}.1")
    for client in clients:
        assert b"data: 2\n" in client.receive(b"data: 2\n")


def exactly(raw, n):
    found = b""
    while len(found) < n:
        piece = raw.socket.recv(n - len(found))
        assert piece, f"the connection ended after {found}"
        found += piece
    return found


def test_websockets(httpd, connect):
    """Both ways, in turns; the app repeats what it hears."""
    sockets = [WebSocket(connect(), "/raw/websocket?quiet=1") for _ in range(MANY)]
    alive(httpd)
    for round_ in range(3):
        words = [f"{round_}.{i:02}".encode() for i in range(MANY)]
        for one, word in zip(sockets, words):
            one.raw.send(word)
        for one, word in zip(sockets, words):
            assert exactly(one.raw, len(word)) == word
    big = data(300000)
    sockets[0].raw.send(big)
    assert exactly(sockets[0].raw, len(big)) == big
    alive(httpd)


def test_slow_readers(httpd, connect):
    """More than the buffers between app and client take."""
    size = 8 << 20
    clients = ask_many(connect, MANY // 4, f"/raw/big?n={size}")
    alive(httpd)
    expected = sha256(data(size))
    for client in clients:
        assert sha256(client.response().body) == expected


def test_a_client_that_never_reads_is_given_up(httpd):
    """As long as Timeout says, and the app's connection is free again."""
    raw = httpd.made["raw"]
    raw.forget()
    with httpd.raw() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        ask(client, raw.target("endless"))
        raw.wait_event("closed", timeout=40)


def test_slow_uploads(httpd, connect):
    raw = httpd.made["raw"]
    raw.forget()
    body = data(300000)
    half = len(body) // 2
    clients = []
    for _ in range(MANY):
        client = connect()
        clients.append(client)
        ask(client, "/raw/digest", f"Content-Length: {len(body)}", method="POST")
        client.send(body[:half])
    raw.wait_event("request", timeout=30, count=MANY, method="POST")
    alive(httpd)
    for client in clients:
        client.send(body[half:])
    expected = hashlib.sha256(body).hexdigest()
    for client in clients:
        assert expected in client.response().text


def echo(raw, body, piece=16000):
    """Sends in chunks what it reads back meanwhile, with one thread: TLS objects belong
    to one at a time."""
    one, sent, heard = raw.socket, 0, bytearray()
    parts = [body[at:at + piece] for at in range(0, len(body), piece)] + [b""]
    out = (b"POST /raw/echo HTTP/1.1\r\nHost: localhost\r\n"
           b"Transfer-Encoding: chunked\r\n\r\n")
    one.setblocking(False)
    while not heard.endswith(b"\r\n0\r\n\r\n"):
        if not out and sent < len(parts):
            out = b"%x\r\n%b\r\n" % (len(parts[sent]), parts[sent])
            sent += 1
        blocked = True
        try:
            out = out[one.send(out):] if out else out
            blocked = False
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        try:
            got = one.recv(65536)
            assert got, f"cut after {sent} pieces, {len(heard)} heard"
            heard += got
            blocked = False
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            blocked = blocked or not out
        if blocked:
            ready = select.select([one], [one] if out else [], [], 30)
            assert ready[0] or ready[1], f"stuck: {sent} pieces, {len(heard)} heard"
    one.setblocking(True)
    return unchunked(heard.partition(b"\r\n\r\n")[2])


def unchunked(data):
    found, at = bytearray(), 0
    while True:
        end = data.index(b"\r\n", at)
        n = int(data[at:end], 16)
        if n == 0:
            return bytes(found)
        found += data[end + 2:end + 2 + n]
        at = end + n + 4


def test_3_mb_both_ways_on_one_connection(httpd, connect):
    """On several connections, for what goes wrong here does so once in twenty."""
    body = data(3 << 20)
    for _ in range(48 if os.environ.get("APPCORE_ALL") else 2):
        client = connect()
        for _ in range(3):
            assert sha256(echo(client, body)) == sha256(body)
        client.socket.close()


class Status:
    def __init__(self, httpd):
        self.httpd, self.asked = httpd, 0

    def get(self):
        self.asked += 1
        text = self.httpd.get("/server-status?auto").text
        return dict(re.findall(r"^(\w[\w ]*): (.*)$", text, re.MULTILINE))

    def number(self, name):
        return int(self.get()[name])


def test_mod_status_counts(httpd):
    """Who waits without a worker is a connection of the MPM's, and no busy worker; an
    access is counted once, when it is over."""
    raw = httpd.made["raw"]
    raw.forget()
    gate = raw.gate()
    status = Status(httpd)
    clients = ask_many(lambda: Raw(httpd.port), MANY, raw.target("hold", gate=gate))
    raw.wait_event("gate", timeout=30, count=MANY, gate=gate)

    def all_wait():
        now = status.get()
        return now if int(now["ConnsAsyncWriting"]) >= MANY \
            and now["BusyWorkers"] == "1" else None
    during = wait_for(all_wait, 20)
    assert int(during["IdleWorkers"]) >= THREADS - 1
    assert during["Scoreboard"].count("W") == 1
    before = int(during["Total Accesses"]) - status.asked
    wait_for(lambda: status.number("Total Accesses") - status.asked == before)
    raw.open(gate)
    for client in clients:
        assert client.response().status == 200
        client.socket.close()
    wait_for(lambda: status.number("ConnsAsyncWriting") == 0, 20)
    wait_for(lambda: status.number("Total Accesses") - status.asked == before + MANY)


def test_an_end_that_nobody_waits_for(httpd):
    """The app reads no more, and the client says that it sends no more: that is no
    reason to look again all the time."""
    def busy():
        seconds = 0
        for worker in httpd.workers():
            with open(f"/proc/{worker.pid}/stat", encoding="ascii") as f:
                seconds += sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))
        return seconds / os.sysconf("SC_CLK_TCK")

    raw = httpd.made["raw"]
    raw.forget()
    gate = raw.gate()
    client = Raw(httpd.port)
    ask(client, raw.target("digest", gate=gate), f"Content-Length: {1 << 30}",
        method="POST")
    raw.wait_gate(gate)
    client.send(data(400000))
    client.socket.shutdown(socket.SHUT_WR)
    before, until = busy(), time.monotonic() + 1
    wait_for(lambda: time.monotonic() > until)
    assert busy() - before < 0.2
    raw.open(gate)
    assert client.response().status == 400


def test_longer_than_the_timeout_of_the_mpm(httpd, connect):
    """Timeout is 8 s; the app may take longer as long as AppCoreRequestTimeout does."""
    raw = httpd.made["raw"]
    gate = raw.gate()
    client = connect()
    ask(client, raw.target("hold", gate=gate))
    raw.wait_gate(gate)
    until = time.monotonic() + 9
    wait_for(lambda: time.monotonic() > until)
    raw.open(gate)
    assert client.response().status == 200


def test_a_silent_app(httpd, connect):
    httpd.allow("silent")
    silent = httpd.made["silent"]
    client = connect()
    began = time.monotonic()
    ask(client, silent.target("hold", gate=silent.gate()))
    assert client.response().status == 504
    assert 0.6 < time.monotonic() - began < 5


def test_a_client_that_leaves(httpd, connect):
    raw = httpd.made["raw"]
    raw.forget()
    gate = raw.gate()
    client = connect()
    ask(client, raw.target("hold", gate=gate))
    raw.wait_gate(gate)
    client.socket.close()
    raw.wait_event("closed", timeout=2)


def test_the_connection_goes_on(httpd, connect):
    raw = httpd.made["raw"]
    client = connect()
    for _ in range(3):
        gate = raw.gate()
        ask(client, raw.target("hold", gate=gate))
        raw.wait_gate(gate)
        raw.open(gate)
        assert client.response().status == 200
        ask(client, "/raw/big?n=300000")
        assert sha256(client.response().body) == sha256(data(300000))


def test_pipelined_requests(httpd, connect):
    raw = httpd.made["raw"]
    gate = raw.gate()
    client = connect()
    ask(client, raw.target("hold", gate=gate))
    for _ in range(3):
        ask(client, "/raw/pid")
    raw.wait_gate(gate)
    raw.open(gate)
    text = b""
    while text.count(b"HTTP/1.1 200 OK") < 4:
        piece = client.socket.recv(65536)
        assert piece, text
        text += piece


def test_a_reload_with_many_waiting(httpd, connect):
    raw = httpd.made["raw"]
    raw.forget()
    gate = raw.gate()
    clients = ask_many(connect, MANY, raw.target("hold", gate=gate))
    raw.wait_event("gate", timeout=30, count=MANY, gate=gate)
    before = {p.pid for p in httpd.workers()}
    httpd.reload(wait_workers=False)
    alive(httpd)
    raw.open(gate)
    assert {client.response().status for client in clients} == {200}
    for client in clients:
        client.socket.close()
    wait_for(lambda: not before & {p.pid for p in httpd.workers()}, 20)


def hold_until_refused(httpd, app, most):
    """How many requests the app's two children, or one, take at a time."""
    gate = app.gate()
    clients = []
    while True:
        clients.append(httpd.raw())
        ask(clients[-1], app.target("hold", gate=gate))
        clients[-1].socket.settimeout(0.5)
        try:
            answer = clients[-1].response()
        except TimeoutError:
            app.wait_event("gate", count=len(clients), gate=gate)
            assert len(clients) <= most
            continue
        assert answer.status == 503
        break
    app.open(gate)
    for client in clients[:-1]:
        client.socket.settimeout(10)
        assert client.response().status == 200
    for client in clients:
        client.socket.close()
    assert len(app.events("gate", gate=gate)) == len(clients) - 1, \
        "the app got what was refused"
    return len(clients) - 1


def test_switched_off(httpd):
    """Then the request holds a worker, and AppCoreMaxWorkers counts it."""
    httpd.allow("app blocked is not available")
    assert hold_until_refused(httpd, httpd.made["blocked"], 2) in (1, 2)


def test_no_more_than_the_limit(httpd):
    """Three wait without a worker, a fourth holds the one that the app may have."""
    httpd.allow("app few is not available", "as many requests wait")
    assert 4 <= hold_until_refused(httpd, httpd.made["few"], 8) <= 8
    httpd.wait_log("as many requests wait without a worker as may")


@pytest.mark.skipif(not TLS, reason="needs mod_ssl and openssl")
def test_files_for_slow_readers_hold_what_workers_they_may(httpd):
    """TLS makes other bytes of a file, and httpd holds few of them for a client: it
    holds the worker instead, also of a request that had none while it waited."""
    httpd.allow("app files is not available")
    app = httpd.made["files"]
    body = data(20 << 20)
    with open(app.path("big"), "wb") as f:
        f.write(body)
    httpd.give(app.path("big"), httpd.owner())
    gate, clients = app.gate(), []
    for _ in range(MANY // 8):
        clients.append(TlsRaw(httpd.port2))
        clients[-1].socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        ask(clients[-1], app.target("hold", gate=gate, line="X-Sendfile:big"))
    app.wait_event("gate", timeout=30, count=len(clients), gate=gate)
    app.open(gate)
    alive(httpd)
    answers = [client.response() for client in clients]
    statuses = [a.status for a in answers]
    assert set(statuses) == {200, 503} and statuses.count(200) <= 2, statuses
    assert all(a.body == body for a in answers if a.status == 200)
    for client in clients:
        client.socket.close()


def test_the_access_log_has_each_once(httpd):
    raw = httpd.made["raw"]
    gate = raw.gate()
    target = f"/raw/{gate}/hold"
    with httpd.raw() as client:
        ask(client, f"{target}?gate={gate}")
        raw.wait_gate(gate)
        began = time.monotonic()
        wait_for(lambda: time.monotonic() > began + 0.3)
        raw.open(gate)
        client.response()

    def lines():
        with open(httpd.path("access.log"), encoding="utf-8") as f:
            return [line.split() for line in f if line.startswith(target + " ")]
    found = wait_for(lines)
    assert len(found) == 1
    _, status, micros, _ = found[0]
    assert status == "200" and int(micros) > 300000
