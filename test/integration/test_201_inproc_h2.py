# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""HTTP/2 to an app in process: streams of one connection at a time, and extended CONNECT
(RFC 8441), a stream of bytes in both directions, whether the app waits for them on its
worker or leaves the request pending."""

import json

import pytest

from test_163_h2_websocket import Client, knows_websockets
from test_163_h2_websocket import pytestmark as needs
from test_200_inproc_engine import install, settle

pytestmark = needs


@pytest.fixture(scope="module")
def httpd(env):
    if not knows_websockets(env):
        pytest.skip("needs httpd 2.4.58 or later")
    env.start("Protocols h2c http/1.1\nH2WebSockets on\n" + install(env, "probe"))
    settle(env)
    return env


@pytest.mark.parametrize("route", ["upgrade", "tunnel-async"])
def test_both_directions(httpd, route):
    with Client(httpd.port) as client:
        stream = client.websocket(f"/probe/{route}")
        assert client.status[stream] == 200
        said = b""
        for text in (b"a", b"b" * 1000, b"c" * 20000):
            client.say(stream, text)
            said += text
            client.until(lambda: len(client.heard.get(stream, b"")) >= len(said),
                         "the echo")
            assert client.heard[stream] == said


def test_streams_of_one_connection(httpd):
    paths = {"later?ms=200": b"later", "hello": b"hello", "stream?n=3": b"data: 3",
             "later?ms=5": b"later", "lend": b"0 0", "early": b"early"}
    with Client(httpd.port) as client:
        streams = {client.ask(f"/probe/{path}", (":method", "GET")): text
                   for path, text in paths.items()}
        client.until(lambda: client.over >= set(streams), "all answers")
        for stream, text in streams.items():
            assert client.status[stream] == 200
            assert text in client.heard[stream]


def test_connection_id(httpd):
    """Streams have that of their connection."""
    ids = []
    for _ in range(2):
        with Client(httpd.port) as client:
            streams = [client.ask("/probe/info", (":method", "GET")) for _ in range(8)]
            client.until(lambda: client.over >= set(streams), "all answers")
            found = {json.loads(client.heard[stream])["connection_id"]
                     for stream in streams}
        assert len(found) == 1 and all(found)
        ids += found
    assert ids[0] != ids[1]
