# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Acceptance list of the ASP.NET Core Module: what must not be held back between app
and client, compression, HTTP/2, WebSockets."""

import os
import re
import shutil
import subprocess
import time
import zlib

import pytest

import env as environment
import websocket
from acceptance import GENERAL, Site, hosting_model, ids, outside  # noqa: F401
from processes import wait_for

DEFLATE = "SetOutputFilter DEFLATE"
with_http2 = pytest.mark.skipif(
    environment.MPM == "prefork" or not shutil.which("curl")
    or not os.path.exists(environment.MODULE_DIR + "/mod_http2.so"),
    reason="needs mod_http2, curl, and an MPM with threads")


@pytest.fixture(scope="module")
def site(env, hosting_model):  # noqa: F811
    env.modules += ["deflate", "filter", "cache", "cache_socache", "socache_shmcb"]
    if with_http2.args[0] is False:
        env.modules += ["http2"]
    made = Site(env, hosting_model)
    made.add("site")
    made.add("packing", variables={"ENABLE_COMPRESSION": "1"})
    made.add("deaf", directives="AppCoreWebSockets Off")
    made.add("h2only", variables={"Kestrel__EndpointDefaults__Protocols": "Http2"})
    with open(env.path("htdocs", "static.txt"), "w", encoding="ascii") as f:
        f.write("z" * 20000)
    more = f"""
{"Protocols h2c http/1.1" if "http2" in env.modules else ""}
<If "req('X-Deflate') == 'on'">
    {DEFLATE}
</If>
CacheSocache shmcb:{env.path("run", "cache")}(512000)
CacheEnable socache /site/Counter
CacheIgnoreNoLastMod On
"""
    return made.start(lambda apps: GENERAL + apps + more)


def app_of(path):
    return path.split("/")[1]


# Lines, each of which is answered before the next is sent

class Lines:
    """A request whose body goes out line by line, chunked."""

    def __init__(self, site, path, *headers):
        self.raw = site.raw()
        self.raw.send("\r\n".join([
            f"POST {path} HTTP/1.1", "Host: x", "Transfer-Encoding: chunked",
            "Content-Type: text/plain", *headers, "", ""]))
        head, _, self.data = self.raw.receive(b"\r\n\r\n").partition(b"\r\n\r\n")
        self.head = head.decode()
        self.gzip = zlib.decompressobj(31) if "gzip" in self.head else None
        self.text = b""

    def send(self, line):
        self.raw.send(f"{len(line):x}\r\n{line}\r\n")

    def receive(self, line):
        """What came so far ends with the line."""
        while not self.text.endswith(line.encode()):
            match = re.match(rb"([0-9a-f]+)\r\n", self.data)
            size = int(match.group(1), 16) if match else 0
            if not match or len(self.data) < match.end() + size + 2:
                piece = self.raw.socket.recv(65536)
                assert piece, f"the connection ended before {line!r}"
                self.data += piece
                continue
            assert size, f"the answer ended before {line!r}"
            piece = self.data[match.end():match.end() + size]
            self.data = self.data[match.end() + size + 2:]
            self.text += self.gzip.decompress(piece) if self.gzip else piece

    def talk(self, count):
        for i in range(count):
            self.send(f"line {i}\n")
            self.receive(f"line {i}\n")
        self.send("\n")
        self.raw.socket.close()


@ids("RR11")
@pytest.mark.parametrize("path", ["ReadAndWriteEchoLines",
                                  "ReadAndWriteEchoLinesNoBuffering"])
def test_lines_are_held_back_nowhere(site, path):
    Lines(site, f"/site/{path}").talk(99)


@ids("CO1", "CO2", "CO3")
@pytest.mark.parametrize("encoding, deflate, kind", [
    ("gzip", "on", "text/event-stream"), ("identity", "on", "text/event-stream"),
    ("gzip", "off", "text/event-stream"), ("gzip", "on", "text/plain")])
def test_compression_delays_no_line(site, encoding, deflate, kind):
    lines = Lines(site, "/site/ReadAndWriteEchoLinesNoBuffering",
                  f"Accept-Encoding: {encoding}", f"X-Deflate: {deflate}",
                  f"Response-Content-Type: {kind}")
    assert bool(lines.gzip) == (encoding == "gzip" and deflate == "on")
    lines.talk(20)


@ids("V16")
@pytest.mark.parametrize("app, deflate", [("site", "off"), ("site", "on"),
                                          ("packing", "off"), ("packing", "on")])
def test_compressed_once_if_anybody_does(site, app, deflate):
    answer = site.get("/Compressible", app, headers={"Accept-Encoding": "gzip",
                                                     "X-Deflate": deflate})
    packed = app == "packing" or deflate == "on"
    assert answer.header("Content-Encoding") == ("gzip" if packed else None)
    body = zlib.decompress(answer.body, 31) if packed else answer.body
    assert body == b"z" * 20000


@ids("V16")
def test_compressed_files_beside_the_app(site):
    answer = site.env.get("/static.txt", headers={"Accept-Encoding": "gzip",
                                                  "X-Deflate": "on"})
    assert answer.header("Content-Encoding") == "gzip"
    assert zlib.decompress(answer.body, 31) == b"z" * 20000


@ids("V16")
def test_cache_of_httpd(site):
    """What IIS's output cache is for, mod_cache does."""
    def count():
        return site.get("/Counter").header("MyCustomHeader")
    wait_for(lambda: count() == count(), what="an answer from the cache")
    first = count()
    wait_for(lambda: count() != first, what="the end of its time")


@ids("RR10")
def test_slow_request_and_answer_at_once(site):
    with site.raw() as raw:
        request = "POST /site/ReadAndWriteSlowConnection HTTP/1.0\r\n" \
                  "Content-Length: 11\r\n\r\nhello there"
        for char in request:
            raw.send(char)
            time.sleep(0.01)        # the rhythm itself is what is tested
        body = raw.receive().split(b"\r\n\r\n", 1)[1]
    assert body == b"hello world" * 100 + b"|hello there"


@ids("RR15")
def test_answer_completes_before_its_handler(site):
    assert site.text_of("/CompleteAsync") == "completed early"
    site.write("site", "release", "")
    wait_for(lambda: site.text_of("/CompleteAsync_Completed") == "True")


# HTTP/2

def curl(site, path, *options, check=True):
    """Exit status, status, head and body over HTTP/2."""
    site.enter(app_of(path))
    head = site.env.path("files", "head")
    result = subprocess.run(
        ["curl", "-s", "--http2-prior-knowledge", "-m", "30", "-D", head, *options,
         f"http://127.0.0.1:{site.env.port}{path}"], capture_output=True, timeout=60)
    with open(head, encoding="latin-1") as f:
        text = f.read()
    if check:
        assert result.returncode == 0, (result, text)
    return text, result.stdout.decode("utf-8", "replace")


@with_http2
@ids("H21")
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE", "CUSTOM", "POST", "PUT"])
def test_http2_without_a_body(site, method):
    head, body = curl(site, "/site/Method", "-X", method)
    assert head.startswith("HTTP/2 200") and body == method


@with_http2
@ids("H21")
def test_http2_head(site):
    head, body = curl(site, "/site/Method", "-I")
    assert head.startswith("HTTP/2 200")


@with_http2
@ids("H22")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "CUSTOM"])
@pytest.mark.parametrize("framing", ["Content-Length: 11", "Transfer-Encoding: chunked"])
def test_http2_with_a_body(site, method, framing):
    options = ["-H", framing] if "chunked" in framing else []
    _, body = curl(site, "/site/ReadAndWriteEcho", "-X", method, *options,
                   "--data-binary", "Hello World")
    assert body == "Hello World"


@with_http2
@ids("H23")
def test_http2_exception_before_the_answer(site):
    head, body = curl(site, "/site/Throw")
    assert head.startswith("HTTP/2 500") and body == ""


@with_http2
@ids("H24")
def test_http2_exception_within_the_answer(site):
    """The stream is reset: the client can tell."""
    site.env.allow("appcore:error")
    site.enter("site")
    code = subprocess.run(["curl", "-s", "--http2-prior-knowledge", "-o", "/dev/null",
                           f"http://127.0.0.1:{site.env.port}/site/ThrowAfterWrite"],
                          timeout=30).returncode
    assert code != 0


@ids("H25")
def test_no_trailers_and_no_reset_for_http1(site):
    assert site.text_of("/Reset?code=1111") == "cannot reset"
    answer = site.get("/ResponseTrailers?body=x")
    assert answer.text == "x" and answer.header("TrailerName") is None


@with_http2
@ids("H26")
@pytest.mark.parametrize("query, values", [
    ("", ["TrailerValue"]), ("body=x", ["TrailerValue"]),
    ("body=x&declare", ["TrailerValue"]),
    ("body=x&complete", ["TrailerValue"]), ("body=x&several", ["One", "Two"])])
def test_http2_trailers(site, query, values):
    """In process there is no protocol between."""
    app = "site" if site.in_process else "h2only"
    head, _ = curl(site, f"/{app}/ResponseTrailers?{query}", "-H", "TE: trailers")
    found = re.findall(r"(?im)^trailername: (.*?)\r?$", head)
    assert ", ".join(found) == ", ".join(values)


@with_http2
@outside
@ids("H27")
def test_app_that_speaks_http2_alone(site):
    assert site.text_of("/HelloWorld", "h2only") == "Hello World"
    assert curl(site, "/h2only/HelloWorld")[1] == "Hello World"


# WebSockets

def talk(site, path, *headers):
    raw = site.raw(app_of(path))
    return websocket.WebSocket(raw, path, *headers)


@ids("WS1")
def test_what_can_be_upgraded(site):
    """Out of process Kestrel decides: it wants the fields of an upgrade."""
    assert site.text_of("/IsUpgradable", method="POST", body="x") == "False"


@ids("WS2")
def test_events_of_an_upgrade(site):
    socket = talk(site, "/site/WebSocketLifetimeEvents")
    assert socket.receive() == (websocket.TEXT, b"OnStarting Upgraded")
    assert socket.receive()[0] == websocket.CLOSE
    socket.raw.socket.close()


@ids("WS3")
def test_body_is_read_before_the_upgrade(site):
    socket = talk(site, "/site/WebSocketReadBeforeUpgrade")
    assert socket.receive() == (websocket.TEXT, b"read 0")
    socket.raw.socket.close()


@ids("WS4")
def test_a_thousand_texts(site):
    socket = talk(site, "/site/WebSocketEcho")
    for i in range(1000):
        text = f"message {i} ".encode() * (i % 10 + 1)
        socket.send(text, websocket.TEXT)
        assert socket.receive() == (websocket.TEXT, text)
    socket.send(b"\x03\xe8", websocket.CLOSE)
    assert socket.receive()[0] == websocket.CLOSE
    socket.raw.socket.close()


@ids("WS5", "V20b")
def test_switch(site):
    """Where it is off the upgrade is not relayed, and the app says 400 itself."""
    assert site.text_of("/UpgradeFeatureDetection") == "Enabled"
    assert site.text_of("/UpgradeFeatureDetection", "deaf") == "Disabled"
    with pytest.raises(AssertionError, match="HTTP/1.1 400"):
        talk(site, "/deaf/WebSocketEcho")
    assert "Upgrade" not in site.text_of("/DumpRequestHeaders", "deaf", headers={
        "Connection": "Upgrade", "Upgrade": "websocket"})
    assert site.text_of("/HelloWorld", "deaf") == "Hello World"


@ids("WS6")
def test_ping(site):
    socket = talk(site, "/site/WebSocketEcho")
    socket.send(b"are you there", websocket.PING)
    assert socket.receive() == (websocket.PONG, b"are you there")
    socket.raw.socket.close()


@ids("WS7")
def test_fragments(site):
    """Three frames of one message come back as one message."""
    socket = talk(site, "/site/WebSocketEcho")
    for first, payload in ((0x01, b"one "), (0x00, b"two "), (0x80, b"three")):
        socket.raw.send(bytes([first, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
    assert socket.receive() == (websocket.TEXT, b"one two three")
    socket.raw.socket.close()


@ids("WS8")
@pytest.mark.parametrize("code, why", [(1000, b""), (1001, b"leaving"), (4000, b"own")])
def test_close_code_goes_there_and_back(site, code, why):
    socket = talk(site, "/site/WebSocketEcho")
    socket.send(code.to_bytes(2, "big") + why, websocket.CLOSE)
    assert socket.receive() == (websocket.CLOSE, code.to_bytes(2, "big") + why)
    socket.raw.socket.close()
    socket = talk(site, "/site/WebSocketCloses")
    assert socket.receive() == (websocket.CLOSE, b"\x03\xe9going away")
    socket.raw.socket.close()


@ids("WS9")
def test_several_sockets(site):
    sockets = [talk(site, "/site/WebSocketEcho") for _ in range(6)]
    for i, socket in enumerate(sockets):
        socket.send(str(i).encode(), websocket.TEXT)
    assert [socket.receive()[1] for socket in sockets] == \
        [str(i).encode() for i in range(6)]
    assert site.text_of("/OpenSockets") == "6"
    for socket in sockets:
        socket.raw.socket.close()
    wait_for(lambda: site.text_of("/OpenSockets") == "0")


@ids("WS10")
def test_malformed_upgrade(site):
    """The app's own refusal arrives."""
    answer = site.get("/WebSocketEcho", headers={
        "Connection": "Upgrade", "Upgrade": "websocket"})
    assert answer.status == 400


@ids("WS11")
def test_extensions_pass(site):
    """Better than IIS, which cannot relay them out of process."""
    socket = talk(site, "/site/WebSocketEcho",
                  "Sec-WebSocket-Extensions: permessage-deflate")
    assert "permessage-deflate" in socket.head
    socket.raw.socket.close()


@ids("WS12")
def test_exception_beside_a_socket(site):
    socket = talk(site, "/site/WebSocketThrows")
    try:
        assert socket.raw.receive() == b""
    except ConnectionResetError:
        pass
    assert site.text_of("/HelloWorld") == "Hello World"
