# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Request bodies that are wrong, too large, slow, or changed on their way through
httpd; requests behind one another."""

import zlib

import pytest

from processes import wait_for
from rawapp import RawApp, data, sha256

pytestmark = pytest.mark.mpm
WEB_CONFIG = """<configuration><system.webServer>
<security><requestFiltering><requestLimits maxAllowedContentLength="1000" />
</requestFiltering></security>
<aspNetCore processPath="python3" arguments="raw.py" /></system.webServer></configuration>
"""


@pytest.fixture(scope="module")
def httpd(env):
    env.modules += ["filter", "deflate"]
    env.made = {name: RawApp(env, name) for name in ("raw", "calm", "small")}
    env.give(env.write("apps", "small", "web.config", text=WEB_CONFIG), env.owner())
    env.start(f"""
AppCoreMount /raw {env.made["raw"].folder}
<AppCoreApp calm>
    AppCorePath {env.made["calm"].folder}
    AppCoreRequestBuffering 64K
</AppCoreApp>
AppCoreMount /calm calm
<AppCoreApp small>
    AppCorePath {env.made["small"].folder}
    AppCoreListen tcp
</AppCoreApp>
AppCoreMount /small small
<Location /raw/limited>
    LimitRequestBody 1000
</Location>
<Location /raw/inflated>
    SetInputFilter DEFLATE
</Location>
<Location /raw/deflated>
    SetOutputFilter DEFLATE
</Location>
""")
    return env


@pytest.fixture
def raw(httpd):
    return ready(httpd, "raw")


def ready(httpd, name):
    app = httpd.made[name]
    wait_for(lambda: httpd.get(f"/{name}/pid").status == 200)
    app.forget()
    return app


def head(method, target, *lines):
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *lines,
                        "", ""])


@pytest.mark.parametrize("rest", ["zz\r\nabc\r\n", "3\r\nabcdef\r\n",
                                  "fffffffffffffffff\r\nabc"])
def test_wrong_chunks_end_the_request(raw, httpd, rest):
    """The app must not take what it got for a whole body."""
    httpd.allow("AH0")
    with httpd.raw() as client:
        client.send(head("POST", "/raw/digest", "Transfer-Encoding: chunked")
                    + "3\r\nabc\r\n")
        raw.wait_event("request")
        client.send(rest)
        answer = client.receive()
    assert answer.startswith(b"HTTP/1.1 4") and b"sha256" not in answer
    assert answer.count(b"HTTP/1.1") == 1
    raw.wait_event("closed")


@pytest.mark.parametrize("path,rest", [("/raw/echo", "zz\r\nabc\r\n"),
                                       ("/raw/limited/echo", "3e8\r\n" + "x" * 1000)],
                         ids=["wrong", "too long"])
def test_wrong_chunks_end_the_answer(raw, httpd, path, rest):
    """Where it has begun; nobody takes half of it for the whole."""
    httpd.allow("AH0", "app raw")
    with httpd.raw() as client:
        client.send(head("POST", path, "Transfer-Encoding: chunked") + "3\r\nabc\r\n")
        answer = client.receive(b"abc\r\n")
        client.send(rest)
        answer += client.receive()
    assert answer.endswith(b"\r\n3\r\nabc\r\n")
    raw.wait_event("closed")


def test_limit_request_body(raw, httpd):
    httpd.allow("AH0")
    path = "/raw/limited/digest"
    assert httpd.get(path, method="POST", body=b"x" * 1000).json()["length"] == 1000
    assert httpd.get(path, method="POST", body=b"x" * 1001).status == 413
    pieces = (b"x" * 300 for _ in range(4))
    assert httpd.get(path, method="POST", body=pieces).status == 413
    # A length that is too large is refused before the app hears of it.
    lengths = [dict((n.lower(), v) for n, v in e["fields"]).get("content-length")
               for e in raw.events("request", method="POST")]
    assert "1000" in lengths and "1001" not in lengths


def test_limit_of_web_config(httpd):
    """requestLimits maxAllowedContentLength."""
    ready(httpd, "small")
    httpd.allow("app small")
    path = "/small/digest"
    assert httpd.get(path, method="POST", body=b"x" * 1000).json()["length"] == 1000
    assert httpd.get(path, method="POST", body=b"x" * 1001).status == 413
    pieces = (b"x" * 300 for _ in range(4))
    assert httpd.get(path, method="POST", body=pieces).status == 413


def test_buffering_asks_the_app_late(httpd):
    """Of a slow client it hears when the body is there, and its length then."""
    calm = ready(httpd, "calm")
    for framing, sent in (("Content-Length: 6", ("abc", "def")),
                          ("Transfer-Encoding: chunked",
                           ("3\r\nabc\r\n", "3\r\ndef\r\n0\r\n\r\n"))):
        calm.forget()
        with httpd.raw() as client:
            client.send(head("POST", "/calm/digest", framing) + sent[0])
            # Another request meanwhile shows that the first is not on its way.
            assert httpd.get("/calm/pid").status == 200
            assert [e["target"] for e in calm.events("request")] == ["/calm/pid"]
            client.send(sent[1])
            seen = client.response().json()
        assert seen["sha256"] == sha256(b"abcdef") and seen["framing"] == "length"


def test_larger_bodies_are_not_buffered_whole(httpd):
    calm = ready(httpd, "calm")
    body = data(300000)
    with httpd.raw() as client:
        client.send(head("POST", "/calm/digest", f"Content-Length: {len(body)}"))
        client.send(body[:200000])
        calm.wait_event("request")
        client.send(body[200000:])
        assert client.response().json()["sha256"] == sha256(body)


def test_filters_may_change_the_length(raw, httpd):
    body = data(50000) + bytes(50000)
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(body) + packer.flush()
    seen = httpd.get("/raw/inflated/digest", method="POST", body=packed,
                     headers={"Content-Encoding": "gzip"}).json()
    assert seen["sha256"] == sha256(body) and seen["framing"] == "chunked"
    answer = httpd.get("/raw/deflated/big?n=100000&framing=length",
                       headers={"Accept-Encoding": "gzip"})
    assert answer.header("Content-Encoding") == "gzip"
    assert zlib.decompress(answer.body, wbits=31) == data(100000)


def test_requests_behind_one_another(raw, httpd):
    """The second is there before the first is answered: it waits for its turn, and
    does not count as the end of the client."""
    gate = raw.gate()
    with httpd.raw() as client:
        client.send(head("GET", raw.target("hold", gate=gate))
                    + head("POST", "/raw/digest", "Content-Length: 3") + "abc"
                    + head("GET", "/raw/pid", "Connection: close"))
        raw.wait_gate(gate)
        assert len(raw.events("request")) == 1
        raw.open(gate)
        text = client.receive().decode()
    assert text.count("HTTP/1.1 200 ") == 3
    assert [e["target"].split("?")[0] for e in raw.events("request")] \
        == ["/raw/hold", "/raw/digest", "/raw/pid"]
