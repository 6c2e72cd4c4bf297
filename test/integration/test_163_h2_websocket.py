# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""WebSockets over HTTP/2 (RFC 8441). To the app they are as any other; here each holds a
worker of mod_http2, which AppCoreMaxWorkers counts."""

import os
import socket
import time

import pytest

import env as environment
from processes import wait_for
from rawapp import RawApp, data

h2 = pytest.importorskip("h2")
from h2.config import H2Configuration               # noqa: E402
from h2.connection import H2Connection              # noqa: E402
from h2.events import (DataReceived, ResponseReceived, StreamEnded,   # noqa: E402
                       StreamReset)
from h2.settings import SettingCodes                # noqa: E402

WORKERS = 8

pytestmark = pytest.mark.skipif(
    environment.MPM == "prefork"
    or not os.path.exists(environment.MODULE_DIR + "/mod_http2.so"),
    reason="needs mod_http2 and an MPM with threads")


def knows_websockets(env):
    env.modules.append("http2")
    found = "Syntax OK" in env.configtest("H2WebSockets on")
    if not found:
        env.modules.remove("http2")
    return found


@pytest.fixture(scope="module")
def httpd(env):
    if not knows_websockets(env):
        pytest.skip("needs httpd 2.4.58 or later")
    env.made = RawApp(env, "raw")
    env.start(f"""
Protocols h2c http/1.1
H2WebSockets on
H2MinWorkers {WORKERS}
H2MaxWorkers {WORKERS}
AppCoreMount /raw {env.made.folder}
""")
    assert env.get("/raw/pid").status == 200
    return env


class Client:
    """One connection; streams are WebSockets or plain requests."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.heard, self.status, self.over = {}, {}, set()
        self.write()
        self.until(lambda: self.h2.remote_settings.get(
            SettingCodes.ENABLE_CONNECT_PROTOCOL), "SETTINGS")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()

    def write(self):
        self.socket.sendall(self.h2.data_to_send())

    def until(self, condition, what):
        while not condition():
            piece = self.socket.recv(65536)
            assert piece, f"the connection ended before {what}"
            for event in self.h2.receive_data(piece):
                self.take(event)
            self.write()

    def take(self, event):
        if isinstance(event, ResponseReceived):
            self.status[event.stream_id] = int(dict(event.headers)[":status"])
        elif isinstance(event, DataReceived):
            heard = self.heard.get(event.stream_id, b"")
            self.heard[event.stream_id] = heard + event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length,
                                              event.stream_id)
        elif isinstance(event, (StreamEnded, StreamReset)):
            self.over.add(event.stream_id)

    def ask(self, path, *fields, end=True):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(":scheme", "http"), (":authority", "localhost"),
                                      (":path", path), *fields], end_stream=end)
        self.write()
        return stream

    def websocket(self, path="/raw/websocket"):
        stream = self.ask(path, (":method", "CONNECT"), (":protocol", "websocket"),
                          ("sec-websocket-version", "13"), end=False)
        self.until(lambda: stream in self.status, "an answer")
        return stream

    def say(self, stream, text):
        while text:
            room = min(self.h2.local_flow_control_window(stream),
                       self.h2.max_outbound_frame_size)
            if not room:
                self.until(lambda: self.h2.local_flow_control_window(stream), "a window")
                continue
            self.h2.send_data(stream, text[:room])
            self.write()
            text = text[room:]

    def hear(self, stream, expected):
        self.until(lambda: len(self.heard.get(stream, b"")) >= len(expected)
                   or stream in self.over, f"{len(expected)} bytes")
        found = self.heard.pop(stream, b"")
        assert found == expected, (len(found), len(expected))


def test_both_ways_in_turns(httpd):
    with Client(httpd.port) as client:
        stream = client.websocket()
        assert client.status[stream] == 200
        client.hear(stream, b"hello")
        for i in range(20):
            client.say(stream, b"word %d" % i)
            client.hear(stream, b"word %d" % i)
    seen = dict((n.lower(), v) for n, v in httpd.made.events("request")[-1]["fields"])
    assert seen["upgrade"] == "websocket" and seen["connection"].lower() == "upgrade"
    assert len(seen["sec-websocket-key"]) == 24


def test_more_than_the_windows(httpd):
    with Client(httpd.port) as client:
        stream = client.websocket("/raw/websocket?quiet=1")
        for piece in (data(60000), data(200000)):
            client.say(stream, piece)
            client.hear(stream, piece)


def test_streams_and_requests_beside_it(httpd):
    with Client(httpd.port) as client:
        streams = [client.websocket() for _ in range(3)]
        plain = client.ask("/raw/pid", (":method", "GET"))
        client.until(lambda: plain in client.over, "the plain answer")
        assert client.status[plain] == 200 and client.heard[plain].isdigit()
        for i, stream in enumerate(streams):
            client.say(stream, b"to %d" % i)
        for i, stream in enumerate(streams):
            client.hear(stream, b"hello" + b"to %d" % i)


def test_the_end_comes_from_either_side(httpd):
    httpd.made.forget()
    with Client(httpd.port) as client:
        stream = client.websocket("/raw/websocket?quiet=1")
        client.say(stream, b"bye")
        client.until(lambda: stream in client.over, "the end of the stream")
        stream = client.websocket("/raw/websocket?quiet=1")
        client.h2.end_stream(stream)
        client.write()
        client.until(lambda: stream in client.over, "the end of the stream")
    httpd.made.wait_event("closed", timeout=10)


def test_a_client_that_breaks_off(httpd):
    httpd.made.forget()
    with Client(httpd.port) as client:
        client.websocket("/raw/websocket?deaf=1")
    httpd.made.wait_event("closed", timeout=10)


def test_they_hold_workers_and_are_counted(httpd):
    """Half of mod_http2's workers, AppCoreMaxWorkers says; the next is refused, and
    whoever does not speak HTTP/2 notices nothing."""
    httpd.allow("app raw is not available")
    with Client(httpd.port) as client:
        streams = [client.websocket() for _ in range(WORKERS // 2)]
        assert {client.status[s] for s in streams} == {200}
        assert client.status[client.websocket()] == 503
        assert httpd.get("/raw/pid").status == 200
    until = time.monotonic() + 10

    def free():
        with Client(httpd.port) as client:
            return client.status[client.websocket()] == 200
    wait_for(free, until - time.monotonic())
