# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Clients that speak HTTP/2 (h2c); the app speaks HTTP/1.1 as ever."""

import os
import re
import shutil
import subprocess

import pytest

import env as environment
from rawapp import RawApp, data, sha256

pytestmark = pytest.mark.skipif(
    environment.MPM == "prefork" or not shutil.which("curl")
    or not os.path.exists(environment.MODULE_DIR + "/mod_http2.so"),
    reason="needs mod_http2, curl, and an MPM with threads")


@pytest.fixture(scope="module")
def httpd(env):
    env.modules.append("http2")
    env.made = RawApp(env, "raw")
    env.start(f"""
Protocols h2c http/1.1
H2EarlyHints On
AppCoreMount /raw {env.made.folder}
""")
    return env


@pytest.fixture
def raw(httpd):
    assert httpd.get("/raw/pid").status == 200
    httpd.made.forget()
    return httpd.made


def curl(httpd, target, *options, **more):
    """Exit code, headers and body."""
    folder = httpd.path("files")
    headers, body = os.path.join(folder, "headers"), os.path.join(folder, "body")
    for name in (headers, body):
        if os.path.exists(name):
            os.unlink(name)
    result = subprocess.run(
        ["curl", "-s", "--http2-prior-knowledge", "-m", "30", "-D", headers, "-o", body,
         *options, f"http://127.0.0.1:{httpd.port}{target}"], capture_output=True,
        timeout=60, **more)
    text = open(headers, encoding="latin-1").read() if os.path.exists(headers) else ""
    data = open(body, "rb").read() if os.path.exists(body) else b""
    return result.returncode, text, data


def test_get(raw, httpd):
    code, text, body = curl(httpd, "/raw/pid")
    assert code == 0 and text.startswith("HTTP/2 200") and body.isdigit()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_5_mb_both_ways(raw, httpd, framing):
    size = 5 * 1024 * 1024
    sent = httpd.path("files", "sent")
    with open(sent, "wb") as f:
        f.write(data(size))
    options = ["--data-binary", "@" + sent]
    if framing == "chunked":
        options += ["-H", "Transfer-Encoding: chunked"]
    code, _, body = curl(httpd, "/raw/echo", *options)
    assert code == 0 and sha256(body) == sha256(data(size))


TRAILERS = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-More\r\n" \
           "\r\n2\r\nok\r\n<gate>0\r\nX-Sum: 77\r\nX-More: yes\r\n\r\n"


def test_trailers_reach_the_client(raw, httpd):
    target, name = raw.answer(TRAILERS, then="keep")
    headers = httpd.path("files", "headers")
    with subprocess.Popen(["curl", "-sN", "--http2-prior-knowledge", "-m", "30", "-D",
                           headers, "-H", "TE: trailers",
                           f"http://127.0.0.1:{httpd.port}{target}"],
                          stdout=subprocess.PIPE) as process:
        # Were httpd to know the length before, curl would not wait for trailers.
        assert process.stdout.read(2) == b"ok"
        raw.open(f"{name}.1")
        assert process.stdout.read() == b"" and process.wait() == 0
    with open(headers, encoding="latin-1", newline="") as f:
        head, trailers = f.read().lower().split("\r\n\r\n", 1)
    assert "x-sum: 77" in trailers and "x-more: yes" in trailers
    assert "x-sum: 77" not in head
    seen = dict((n.lower(), v) for n, v in raw.events("request")[-1]["fields"])
    assert seen["te"] == "trailers"


def test_http_1_client_gets_no_trailers(raw, httpd):
    """httpd sends none there; the answer itself is whole."""
    target, name = raw.answer(TRAILERS, then="keep")
    raw.open(f"{name}.1")
    answer = httpd.get(target, headers={"TE": "trailers", "Connection": "TE"})
    assert answer.text == "ok" and answer.header("Trailer") is None
    assert "te" not in [n.lower() for n, _ in raw.events("request")[-1]["fields"]]


@pytest.mark.parametrize("sent", [
    "Content-Length: 100\r\n\r\nhalf<gate>",
    "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n<gate>",
], ids=["length", "chunked"])
def test_truncation_resets_the_stream(raw, httpd, sent):
    httpd.allow("app raw, process")
    target, name = raw.answer("HTTP/1.1 200 OK\r\n" + sent)
    raw.open(f"{name}.1")
    code, text, body = curl(httpd, target)
    assert code != 0, (text, body)
    assert body in (b"", b"half")
    assert curl(httpd, "/raw/pid")[0] == 0


def test_early_hints(raw, httpd):
    target, _ = raw.answer("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
                           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", then="keep")
    code, text, body = curl(httpd, target)
    assert code == 0 and body == b"ok"
    assert re.findall(r"HTTP/2 (\d+)", text) == ["103", "200"]


def test_malformed_response(raw, httpd):
    httpd.allow("app raw, process")
    target, _ = raw.answer("HTTP/1.1 200 OK\r\nX A: 1\r\n\r\n")
    code, text, body = curl(httpd, target)
    assert code == 0 and text.startswith("HTTP/2 502") and b"502.3" in body


def test_client_that_leaves_is_noticed(raw, httpd):
    """The stream is over although the app has not answered."""
    gate = raw.gate()
    code, _, _ = curl(httpd, raw.target("hold", gate=gate), "-m", "0.5")
    assert code == 28
    raw.wait_event("closed", timeout=3)
    assert raw.events("request")[-1]["target"].endswith(gate)


def test_streams_at_the_same_time(raw, httpd):
    """One connection, several requests, all waiting for the app together."""
    gate = raw.gate()
    address = f"http://127.0.0.1:{httpd.port}{raw.target('hold', gate=gate)}"
    process = subprocess.Popen(
        ["curl", "-s", "--http2-prior-knowledge", "-m", "30", "--parallel",
         "--parallel-immediate", *[f"{address}&n={i}" for i in range(6)]],
        stdout=subprocess.PIPE)
    try:
        raw.wait_event("gate", count=6, gate=gate)
        raw.open(gate)
        output = process.communicate(timeout=30)[0]
    finally:
        process.kill()
        process.wait()
    pid = str(raw.events("gate")[-1]["pid"]).encode()
    assert output == pid * 6
