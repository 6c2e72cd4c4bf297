# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""An ASP.NET Core app inside of httpd's child, over TLS and over HTTP/2: threads,
streams and failures as over plain HTTP/1.1."""

import json
import os
import subprocess

import pytest

import dotnet
import env as environment
import inproc
import probe
import websocket
from processes import wait_for
from test_230_dotnet_inproc import UNHANDLED, published

pytestmark = [pytest.mark.mpm, pytest.mark.skipif(
    environment.MPM == "prefork", reason="needs an MPM with threads")]
ways = pytest.mark.parametrize("way", probe.WAYS[1:])


@pytest.fixture(scope="module")
def httpd(env):
    env.always_allowed += [UNHANDLED]
    folder = dotnet.app(env, "inside", published(),
                        user="root" if env.is_root else None)
    env.start(inproc.app("inside", folder, "AppCoreMaxWorkers 100%", mount="/app")
              + probe.protocols(env) + probe.tls_conf(env, "AppCoreMount /app inside"))
    return env


def curl(httpd, way, path, *options, **more):
    answer = probe.curl(httpd, way, "/app" + path, *options, **more)
    assert answer.code == 0, (answer.code, answer)
    return answer


@ways
def test_answers(httpd, way):
    assert curl(httpd, way, "/").text == "Hello World!"
    assert curl(httpd, way, "/delay/20").text == "delayed"
    lines = "".join(f"line {i}\n" for i in range(20))
    assert curl(httpd, way, "/stream/20").text == lines
    assert len(curl(httpd, way, "/large/10000000").body) == 10_000_000
    assert curl(httpd, way, "/headers").header("X-Late") == "yes"
    seen = curl(httpd, way, "/json").json()
    assert (seen["scheme"], seen["protocol"]) == {
        "https": ("https", "HTTP/1.1"), "h2": ("http", "HTTP/2")}[way]


@ways
@pytest.mark.parametrize("framing", [(), ("-H", "Transfer-Encoding: chunked")],
                         ids=["length", "chunked"])
def test_bodies(httpd, way, framing):
    body = os.urandom(100_000) * 30
    assert curl(httpd, way, "/pipe", *framing, data=body).body == body
    assert curl(httpd, way, "/limit/4999", *framing, data=b"x" * 5000).status == 413


@ways
def test_failures(httpd, way):
    assert curl(httpd, way, "/throw").status == 500
    assert probe.curl(httpd, way, "/app/throw/late").code != 0

    def aborted():
        return curl(httpd, way, "/counts").json()["aborted"]
    before = aborted()
    assert probe.curl(httpd, way, "/app/forever", "-m", "0.5").code == 28
    wait_for(lambda: aborted() == before + 1, what="the end of the request")


@pytest.mark.skipif(not (probe.HAS_TLS and probe.HAS_HTTP2), reason="no TLS or HTTP/2")
def test_tls_of_streams(httpd):
    """They have that of their connection."""
    def seen(path):
        done = subprocess.run(["curl", "-sk", "--http2", "-m", "30",
                               probe.address(httpd, "https", "/app" + path)],
                              capture_output=True, check=True)
        return json.loads(done.stdout)
    request, tls = seen("/json"), seen("/tls")
    assert (request["scheme"], request["protocol"]) == ("https", "HTTP/2")
    assert {"ITlsConnectionFeature", "ITlsHandshakeFeature", "IHttpResetFeature",
            "IHttpResponseTrailersFeature",
            "IHttpExtendedConnectFeature"} <= set(request["features"])
    assert "IHttpUpgradeFeature" not in request["features"]
    assert tls["protocol"] in ("Tls12", "Tls13") and tls["suite"].startswith("TLS_")


@pytest.mark.skipif(not probe.HAS_TLS, reason="no TLS")
def test_websocket(httpd):
    with probe.TlsRaw(httpd.port2) as raw:
        talk = websocket.WebSocket(raw, "/app/socket")
        for payload in (b"x", os.urandom(150_000)):
            talk.send(payload)
            assert talk.receive() == (websocket.BINARY, payload)
