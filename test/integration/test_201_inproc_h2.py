# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Extended CONNECT of HTTP/2 (RFC 8441) to an app in process: a stream of bytes in both
directions, whether the app waits for them on its worker or leaves the request pending."""

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
