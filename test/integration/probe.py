# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The test's end of test/apps/inproc: apps in process as the build made them, what the
probe saw, and clients that speak HTTP/1.1, HTTP/1.1 over TLS, or HTTP/2."""

import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import zlib

import pytest

import env as environment
from client import Raw, Response
from rawapp import RawApp
from test_015_tls import make_certificate

BUILT = os.path.join(os.path.dirname(os.path.dirname(environment.MODULE)), "test", "apps",
                     "inproc")
PERIOD = bytes(range(251))
HAS_BODY, UPGRADABLE, UPGRADE_ASKED, CONNECT, TLS, TRAILERS, EXPECTS_100, BLOCKING = \
    (1 << n for n in range(8))
OK, AGAIN, GONE, ELSEWHERE, INVALID, TOO_LARGE, MALFORMED, TIMEOUT, UNSUPPORTED, \
    FAILED, ABSENT = range(0, -11, -1)
# What the issue promises, and a machine that has other things to do as well.
NOTICED = 1.0 + 1.0


def module_file(name):
    return os.path.exists(os.path.join(environment.MODULE_DIR, f"mod_{name}.so"))


HAS_TLS = bool(shutil.which("openssl")) and module_file("ssl")
HAS_HTTP2 = environment.MPM != "prefork" and bool(shutil.which("curl")) \
    and module_file("http2")
PARKS = environment.MPM == "event" and environment.PARK != "never"
WAYS = ["http",
        pytest.param("https", marks=pytest.mark.skipif(not HAS_TLS, reason="no TLS")),
        pytest.param("h2", marks=pytest.mark.skipif(not HAS_HTTP2, reason="no HTTP/2"))]
WAYS_1 = WAYS[:2]


def pattern(n):
    """What the probe's bodies are made of."""
    return (PERIOD * (n // len(PERIOD) + 1))[:n]


def digest(data):
    return f"{len(data)} {zlib.adler32(data)}"


def install(env, name, *files):
    """A folder that belongs to root, with these shared objects of the build."""
    folder = env.app(name, user="root" if env.is_root else None)
    for file in files:
        shutil.copy(os.path.join(BUILT, file), folder)
    return folder


def app_conf(name, folder, *lines):
    body = "".join(f"    {line}\n" for line in lines)
    return f"<AppCoreApp {name}>\n    AppCorePath {folder}\n" \
           f"    AppCoreHostingModel InProcess\n{body}</AppCoreApp>\n" \
           f"AppCoreMount /{name} {name}\n"


class Probe(RawApp):
    """Events and gates as RawApp has them, in a folder that the app may write to."""

    def __init__(self, env, name="probe", *lines, init=""):
        self.env, self.name = env, name
        self.folder = install(env, name, "probe.so")
        self.shared = env.path("files", name)
        for folder in (self.shared, self.path("gates")):
            os.mkdir(folder)
            os.chmod(folder, 0o777)
        self.init, self.lines = init, lines

    def path(self, *names):
        return os.path.join(self.shared, *names)

    def conf(self):
        return app_conf(self.name, self.folder,
                        f"AppCoreEnvironmentVariable PROBE_FOLDER {self.shared}",
                        f'AppCoreEnvironmentVariable PROBE_INIT "{self.init}"',
                        *self.lines)

    def check(self):
        """The probe found nothing wrong with the host."""
        wrong = self.events("violation")
        assert not wrong, wrong


def tls_conf(env, *lines):
    """A second port, with TLS."""
    if not HAS_TLS:
        return ""
    env.modules += ["socache_shmcb", "ssl"]
    body = "\n".join(lines)
    return f"Listen 127.0.0.1:{env.port2}\n<VirtualHost *:{env.port2}>\n" \
           f"SSLEngine On\n{make_certificate(env)}\n{body}\n</VirtualHost>\n"


def protocols(env):
    if not HAS_HTTP2:
        return ""
    env.modules.append("http2")
    return "Protocols h2 h2c http/1.1\n"


class TlsRaw(Raw):
    def __init__(self, port, timeout=30):
        super().__init__(port, timeout)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)


def connect(env, way):
    return TlsRaw(env.port2) if way == "https" else Raw(env.port)


def head(method, target, *lines):
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *lines, "", ""])


def ask(env, way, method, target, *lines, body=b""):
    """A connection on which that was asked; HTTP/1.1."""
    raw = connect(env, way)
    raw.send(head(method, target, *lines).encode() + body)
    return raw


def reset(raw):
    """The client is gone, whatever is under way."""
    linger = struct.pack("ii", 1, 0)
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    raw.socket.close()


def close(raw):
    raw.socket.close()


class Answer(Response):
    """curl's: `code` is how it ended, `interim` are statuses before the last."""
    code, interim, trailers = 0, (), ""


def address(env, way, target):
    return f"https://127.0.0.1:{env.port2}{target}" if way == "https" \
        else f"http://127.0.0.1:{env.port}{target}"


def curl_command(env, way, target, *options):
    version = "--http2-prior-knowledge" if way == "h2" else "--http1.1"
    return ["curl", "-sk", version, "-m", "30", *options, address(env, way, target)]


def curl(env, way, target, *options, data=None):
    """data: the body, sent with its length unless options say otherwise."""
    dump = env.path("files", "curl-head")
    open(dump, "wb").close()
    if data is not None:
        options = ("--data-binary", "@-", "-H", "Content-Type: text/plain", *options)
    result = subprocess.run(curl_command(env, way, target, "-D", dump, *options),
                            input=data, capture_output=True, timeout=60, check=False)
    with open(dump, encoding="latin-1", newline="") as f:
        text = f.read()
    heads = [part for part in text.split("\r\n\r\n") if part.startswith("HTTP/")]
    tail = text.split("\r\n\r\n")[-2:] if heads else []
    lines = heads[-1].split("\r\n") if heads else ["HTTP/1.1 0 none"]
    status = [int(re.match(r"HTTP/\S+ (\d+)", h).group(1)) for h in heads] or [0]
    fields = [tuple(line.split(": ", 1)) for line in lines[1:] if ": " in line]
    reason = lines[0].split(" ", 2)[2] if lines[0].count(" ") > 1 else ""
    answer = Answer(status[-1], reason, fields, result.stdout)
    answer.code, answer.interim = result.returncode, tuple(status[:-1])
    answer.trailers = "".join(t for t in tail if t and not t.startswith("HTTP/"))
    return answer


def shake_hands(raw, target, *lines):
    """An upgrade that is accepted; the fields of the answer."""
    raw.send(head("GET", target, "Connection: Upgrade", "Upgrade: echo", *lines))
    text, _, rest = raw.receive(b"\r\n\r\n").partition(b"\r\n\r\n")
    assert text.startswith(b"HTTP/1.1 101 "), text
    return text.decode("latin-1"), rest


def receive_exactly(raw, n, found=b""):
    while len(found) < n:
        piece = raw.socket.recv(n - len(found))
        assert piece, f"the connection ended after {len(found)} of {n} bytes"
        found += piece
    return found
