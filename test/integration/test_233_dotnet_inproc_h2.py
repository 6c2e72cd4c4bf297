# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""An ASP.NET Core app inside of httpd's child over HTTP/2: WebSockets, resets, trailers,
files."""

import os
import struct

import pytest

import dotnet
import env as environment
import inproc
import websocket
from probe import NOTICED
from processes import wait_for
from test_163_h2_websocket import Client, h2, knows_websockets
from test_163_h2_websocket import pytestmark as needs
from test_230_dotnet_inproc import await_standstill

pytestmark = [pytest.mark.mpm, needs]


@pytest.fixture(scope="module")
def httpd(env):
    if not knows_websockets(env):
        pytest.skip("needs httpd 2.4.58 or later")
    published = dotnet.project(os.path.join(environment.HERE, "apps", "inside"), "Inside")
    folder = dotnet.app(env, "inside", published, user="root" if env.is_root else None)
    env.always_allowed += [r"app inside: "]
    env.start("Protocols h2c http/1.1\nH2WebSockets on\n" + inproc.app(
        "inside", folder, "AppCoreMaxWorkers 100%", mount="/app"))
    return env


class Watching(Client):
    """Keeps codes of resets, and trailers."""

    def __init__(self, port):
        self.codes, self.trailers = {}, {}
        super().__init__(port)

    def take(self, event):
        if isinstance(event, h2.events.StreamReset):
            self.codes[event.stream_id] = int(event.error_code)
        elif isinstance(event, h2.events.TrailersReceived):
            self.trailers[event.stream_id] = dict(event.headers)
        super().take(event)

    def fetch(self, path, method="GET"):
        stream = self.ask("/app" + path, (":method", method))
        self.until(lambda: stream in self.over, "the end")
        return stream


def test_websocket(httpd):
    with Client(httpd.port) as client:
        streams = [client.websocket("/app/socket") for _ in range(2)]
        assert [client.status[s] for s in streams] == [200, 200]
        for payload in (b"", b"x", os.urandom(300), os.urandom(100_000)):
            for stream in streams:
                client.say(stream, websocket.frame(payload))
            for stream in streams:
                client.hear(stream, websocket.frame(payload, is_masked=False))
        normal = struct.pack(">H", 1000), websocket.CLOSE
        for stream in streams:
            client.say(stream, websocket.frame(*normal))
            client.hear(stream, websocket.frame(*normal, is_masked=False))
        client.until(lambda: client.over >= set(streams), "the end")


@pytest.mark.ancm("H28")
@pytest.mark.parametrize("wait", [0, 50])
@pytest.mark.parametrize("code, seen", [(8, {8}), (2, {2}), (11, {11}),
                                        (1111, {1, 2}), (0, {1, 2})])
def test_reset_with_a_code(httpd, code, seen, wait):
    """Others than 1 to 99 mod_http2 has no way for, and says what it likes."""
    with Watching(httpd.port) as client:
        stream = client.fetch(f"/reset/{code}?ms={wait}")
        assert client.codes.keys() == {stream} and client.codes[stream] in seen
        assert stream not in client.status
        # The connection goes on.
        assert client.fetch("/") not in client.codes


@pytest.mark.parametrize("wait", [0, 50])
@pytest.mark.parametrize("path", ["/reset/8?late=true&ms=", "/throw/late?ms="])
def test_reset_of_an_answer_that_has_begun(httpd, path, wait):
    """Also when its worker waits for the app. The app's code is the client's where that
    worker has sent nothing yet."""
    with Watching(httpd.port) as client:
        stream = client.fetch(f"{path}{wait}")
        assert client.codes.get(stream) in (1, 2, 8)


def test_exception_while_the_body_is_awaited(httpd):
    """Nothing has gone out."""
    with Watching(httpd.port) as client:
        stream = client.ask("/app/throw/reading", (":method", "POST"), end=False)
        httpd.wait_log("An unhandled exception was thrown by the application")
        client.h2.end_stream(stream)
        client.write()
        client.until(lambda: stream in client.over, "the end")
        assert client.status == {stream: 500} and not client.codes


def test_trailers(httpd):
    with Watching(httpd.port) as client:
        stream = client.fetch("/trailers")
        assert client.heard[stream] == b"body"
        assert client.trailers == {stream: {"x-tail": "end"}}


def test_files(httpd):
    path, data = httpd.path("files", "content"), os.urandom(300_000)
    with open(path, "wb") as f:
        f.write(data)
    with Watching(httpd.port) as client:
        stream = client.fetch(f"/file?path={path}")
        assert client.heard[stream] == data and not client.codes


@pytest.mark.parametrize("late", ["false", "true"])
def test_answer_begins_while_the_body_is_awaited(httpd, late):
    """As streams of gRPC in both directions do."""
    with Watching(httpd.port) as client:
        stream = client.ask(f"/app/rules/duplex?late={late}", (":method", "POST"),
                            end=False)
        client.hear(stream, b"tick 0\ntick 1\ntick 2\n")
        client.say(stream, b"data")
        client.h2.end_stream(stream)
        client.write()
        client.until(lambda: stream in client.over, "the end")
        assert client.heard[stream] == b"read 4"


def test_client_that_resets_while_its_body_is_awaited(httpd):
    def inside():
        return httpd.get("/app/counts").json()["inside"]

    before = inside()
    with Watching(httpd.port) as client:
        stream = client.ask("/app/read/forever", (":method", "POST"), end=False)
        client.say(stream, b"data")
        wait_for(lambda: inside() == before + 1, 10, "the request")
        client.h2.reset_stream(stream)
        client.write()
        wait_for(lambda: inside() == before, NOTICED + 1, "its end")
        assert client.fetch("/") not in client.codes


class Deaf(Watching):
    """Gives back nothing of the windows that data has used up."""

    def take(self, event):
        if isinstance(event, h2.events.DataReceived):
            self.heard[event.stream_id] = event.data
        else:
            super().take(event)


def test_slow_client_slows_the_app(httpd):
    size = 32 << 20
    with Deaf(httpd.port) as client:
        stream = client.ask(f"/app/pour/stream?n={size}", (":method", "GET"))
        client.until(lambda: stream in client.heard, "the answer's begin")
        assert 0 < await_standstill(httpd) < size // 4


def test_apps_that_chunk_themselves(httpd):
    body = "5%0d%0ahello%0d%0a0%0d%0a%0d%0a"
    with Watching(httpd.port) as client:
        stream = client.fetch(f"/chunked?size=2&body={body}")
        assert client.heard[stream] == b"hello"
