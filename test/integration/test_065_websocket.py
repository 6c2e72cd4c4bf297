# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""WebSockets: bytes both ways once the app has agreed, over TCP and TLS."""

import base64
import hashlib
import json
import os
import select
import shutil
import socket
import ssl
import struct
import subprocess
import time

import pytest

import env as environment
import processes
from processes import wait_for
from rawapp import RawApp, data

pytestmark = pytest.mark.mpm
TLS = bool(shutil.which("openssl")
           and os.path.exists(environment.MODULE_DIR + "/mod_ssl.so"))
KEY = base64.b64encode(b"sixteen bytes ok").decode()
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ACCEPT = base64.b64encode(hashlib.sha1((KEY + GUID).encode()).digest()).decode()


def tls_host(env):
    if not TLS:
        return ""
    env.modules += ["socache_shmcb", "ssl"]
    key, cert = env.path("files", "key.pem"), env.path("files", "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
                    "2", "-subj", "/CN=localhost", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return f"""
Listen 127.0.0.1:{env.port2}
<VirtualHost *:{env.port2}>
    SSLEngine On
    SSLCertificateFile {cert}
    SSLCertificateKeyFile {key}
    AppCoreMount /raw raw
</VirtualHost>
"""


@pytest.fixture(scope="module")
def httpd(env):
    env.made = RawApp(env, "raw")
    env.app("off", "plain")
    env.start(f"""
<AppCoreApp raw>
    AppCorePath {env.made.folder}
    AppCoreRequestTimeout 1s
    AppCoreMaxWorkers 100%
</AppCoreApp>
AppCoreMount /raw raw
<AppCoreApp off>
    AppCorePath {env.path("apps", "off")}
    AppCoreWebSockets Off
</AppCoreApp>
AppCoreMount /off off
""" + tls_host(env))
    return env


@pytest.fixture
def raw(httpd):
    assert httpd.get("/raw/pid").status == 200
    httpd.made.forget()
    return httpd.made


class WebSocket:
    """A client of the app's route, one frame per message. A frame fits into 64 kB or
    has a length of eight bytes; masked as a client has to."""

    def __init__(self, httpd, tls=False, query="", early=b"", path="/raw/websocket"):
        sock = socket.create_connection(
            ("127.0.0.1", httpd.port2 if tls else httpd.port), 10)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            sock = context.wrap_socket(sock)
        self.sock, self.data = sock, b""
        self.send(f"GET {path}{query} HTTP/1.1\r\nHost: localhost\r\n"
                  "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
                  f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
                  "\r\n".encode() + early)
        self.head = self.until(b"\r\n\r\n").decode()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def until(self, end):
        while end not in self.data:
            piece = self.sock.recv(65536)
            assert piece, f"closed after {self.data[:200]}"
            self.data += piece
        at = self.data.index(end) + len(end)
        found, self.data = self.data[:at], self.data[at:]
        return found

    def exactly(self, n):
        while len(self.data) < n:
            piece = self.sock.recv(65536)
            assert piece, f"closed after {len(self.data)} bytes"
            self.data += piece
        found, self.data = self.data[:n], self.data[n:]
        return found

    def through(self, data):
        """What comes back while data is being sent; by one thread, as TLS wants it."""
        rest = data
        self.sock.setblocking(False)
        while len(self.data) < len(data):
            select.select([self.sock], [self.sock] if rest else [], [], 10)
            try:
                rest = rest[self.sock.send(rest[:65536]):] if rest else rest
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            try:
                piece = self.sock.recv(65536)
                assert piece, f"closed after {len(self.data)} bytes"
                self.data += piece
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
        self.sock.settimeout(10)
        return self.exactly(len(data))

    def at_end(self):
        """The other side closed, and had nothing more to say."""
        try:
            return not self.data and self.sock.recv(1) == b""
        except (ConnectionResetError, ssl.SSLError):
            return True


def frame(payload, mask=b"\x12\x34\x56\x78"):
    head = b"\x82"
    if len(payload) < 126:
        head += struct.pack(">B", 0x80 | len(payload))
    elif len(payload) < 65536:
        head += struct.pack(">BH", 0x80 | 126, len(payload))
    else:
        head += struct.pack(">BQ", 0x80 | 127, len(payload))
    key = int.from_bytes((mask * (len(payload) // 4 + 1))[:len(payload)], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ key).to_bytes(
        len(payload), "big")


@pytest.fixture(params=["http", "https"])
def tls(request):
    if request.param == "https" and not TLS:
        pytest.skip("needs mod_ssl and openssl")
    return request.param == "https"


def test_upgrade_and_echo(raw, httpd, tls):
    with WebSocket(httpd, tls) as ws:
        head = ws.head.lower()
        assert head.startswith("http/1.1 101 ")
        assert "\r\nupgrade: websocket\r\n" in head
        assert "\r\nconnection: upgrade\r\n" in head
        assert f"\r\nsec-websocket-accept: {ACCEPT.lower()}\r\n" in head
        assert ws.exactly(5) == b"hello"
        for i in range(50):
            sent = frame(b"message %d" % i)
            ws.send(sent)
            assert ws.exactly(len(sent)) == sent
    fields = {n.lower(): v for n, v in raw.events("request")[-1]["fields"]}
    assert fields["upgrade"].lower() == "websocket"
    assert fields["connection"].lower() == "upgrade"
    assert fields["sec-websocket-key"] == KEY


def test_client_speaks_first(raw, httpd, tls):
    with WebSocket(httpd, tls, "?quiet=1") as ws:
        sent = frame(b"me first")
        ws.send(sent)
        assert ws.exactly(len(sent)) == sent


def test_first_frame_right_behind_the_request(raw, httpd, tls):
    sent = frame(b"impatient")
    with WebSocket(httpd, tls, early=sent) as ws:
        assert ws.exactly(5 + len(sent)) == b"hello" + sent


def test_frame_of_1_mb_both_ways(raw, httpd, tls):
    sent = frame(data(1024 * 1024))
    with WebSocket(httpd, tls) as ws:
        ws.exactly(5)
        for _ in range(2):
            assert ws.through(sent) == sent


def test_client_that_closes_ends_the_apps_side(raw, httpd, tls):
    with WebSocket(httpd, tls) as ws:
        ws.exactly(5)
    raw.wait_event("closed", timeout=2)


def test_app_that_closes_ends_the_clients_side(raw, httpd, tls):
    with WebSocket(httpd, tls) as ws:
        ws.exactly(5)
        ws.send(b"bye")
        assert ws.at_end()


def test_app_that_dies_ends_the_clients_side(raw, httpd):
    httpd.allow("app raw: ")
    with WebSocket(httpd) as ws:
        ws.exactly(5)
        os.kill(raw.events("request")[-1]["pid"], 9)
        assert ws.at_end()
    wait_for(lambda: httpd.get("/raw/pid").status == 200)


def test_silence_does_not_end_it(raw, httpd):
    """Neither AppCoreRequestTimeout nor anything else."""
    with WebSocket(httpd) as ws:
        ws.exactly(5)
        began = time.monotonic()
        wait_for(lambda: time.monotonic() - began > 1.6)
        ws.send(b"still there?")
        assert ws.exactly(12) == b"still there?"


def fill(ws):
    """Sends until nobody takes more."""
    while select.select([], [ws.sock], [], 0.2)[1]:
        ws.sock.send(bytes(100000))


def worker_ticks(httpd):
    """Processor time of httpd's children, in ticks of 10 ms."""
    stats = [processes.read(p.pid, "stat").decode("latin-1").rsplit(")", 1)[1].split()
             for p in httpd.workers()]
    return sum(int(s[11]) + int(s[12]) for s in stats)


def test_app_that_does_not_listen(raw, httpd):
    """It counts as silent when it takes nothing for AppCoreRequestTimeout; waiting for
    that costs no processor time, also when the client has closed already."""
    httpd.allow("app raw, process .* silent")
    with WebSocket(httpd, query="?deaf=1") as ws:
        ws.exactly(5)
        fill(ws)
        before = worker_ticks(httpd)
        ws.sock.shutdown(socket.SHUT_WR)
        raw.wait_event("closed", timeout=5)
    assert worker_ticks(httpd) - before < 20


def test_client_that_breaks_off_is_noticed_although_the_app_is_deaf(raw, httpd):
    with WebSocket(httpd, query="?deaf=1") as ws:
        ws.exactly(5)
        fill(ws)
        ws.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        ws.sock.close()
        raw.wait_event("closed", timeout=5)
    assert "silent" not in httpd.recent_log()


def test_survives_a_graceful_restart(raw, httpd):
    with WebSocket(httpd) as ws:
        ws.exactly(5)
        httpd.reload(wait_workers=False)
        ws.send(b"still there?")
        assert ws.exactly(12) == b"still there?"
    raw.wait_event("closed", timeout=5)


def test_several_at_once(raw, httpd):
    sockets = [WebSocket(httpd, query="?quiet=1") for _ in range(4)]
    for i, ws in enumerate(sockets):
        ws.send(b"number %d" % i)
    for i, ws in reversed(list(enumerate(sockets))):
        assert ws.exactly(8) == b"number %d" % i
    for ws in sockets:
        ws.sock.close()
    raw.wait_event("closed", count=4, timeout=5)


@pytest.mark.skipif(not TLS, reason="needs mod_ssl and openssl")
def test_client_that_leaves_is_noticed_through_tls(raw, httpd):
    gate = raw.gate()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", httpd.port2), 10) as plain:
        with context.wrap_socket(plain) as client:
            client.sendall(f"GET {raw.target('hold', gate=gate)} HTTP/1.1\r\n"
                           "Host: localhost\r\n\r\n".encode())
            raw.wait_gate(gate)
    # Before AppCoreRequestTimeout would end it.
    raw.wait_event("closed", timeout=5)
    assert "silent" not in httpd.recent_log()


def test_plain_answer_to_an_upgrade(raw, httpd):
    """Then it is an ordinary request, and both connections go on."""
    path, _ = raw.answer("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", then="keep")
    with WebSocket(httpd, path=path) as ws:
        assert ws.head.startswith("HTTP/1.1 403 ") and ws.exactly(2) == b"no"
        ws.send(b"GET /raw/pid HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert ws.until(b"\r\n").startswith(b"HTTP/1.1 200 ")


def test_switched_off(httpd):
    with WebSocket(httpd, path="/off/headers") as ws:
        assert ws.head.startswith("HTTP/1.1 200 ")
        length = int(ws.head.lower().split("content-length:")[1].split()[0])
        seen = dict((n.lower(), v) for n, v in json.loads(ws.exactly(length))["headers"])
    assert "upgrade" not in seen and "upgrade" not in seen.get("connection", "").lower()


def test_other_upgrades_are_not_passed_on(raw, httpd):
    for token in ("h2c", "h2c, websocket", "TLS/1.2"):
        answer = httpd.get("/raw/digest", headers={
            "Upgrade": token, "Connection": "Upgrade, HTTP2-Settings",
            "HTTP2-Settings": "AAMAAABkAAQAAP__"})
        upgrades = [v for n, v in answer.json()["fields"] if n.lower() == "upgrade"]
        assert answer.status == 200 and upgrades in ([], ["websocket"])


def test_an_upgrade_needs_a_get(raw, httpd):
    answer = httpd.get("/raw/digest", method="POST", body=b"x", headers={
        "Upgrade": "websocket", "Connection": "Upgrade"})
    names = [n.lower() for n, _ in answer.json()["fields"]]
    assert answer.status == 200 and "upgrade" not in names
