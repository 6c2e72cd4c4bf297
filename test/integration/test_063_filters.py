# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Filters of other modules between client and app: compression both ways, server-side
includes, one that fails, httpd's own limits of a body."""

import gzip
import os
import time

import pytest

from rawapp import RawApp, sha256

TEXT = b"so that there is something to compress; " * 500
INCLUDED = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nincluded"


@pytest.fixture(scope="module")
def httpd(env):
    app = RawApp(env, "raw")
    env.made = {"raw": app}
    env.modules += ["deflate", "ext_filter", "include", "reqtimeout"]
    with open(env.path("htdocs", "page.shtml"), "w", encoding="ascii") as f:
        f.write(f'[<!--#include virtual="{app.answer(INCLUDED)[0]}" -->]')
    env.start(f"""
AppCoreMount /raw {app.folder}
<If "req('X-Deflate') == 'out'">
    SetOutputFilter DEFLATE
</If>
<If "req('X-Deflate') == 'in'">
    SetInputFilter DEFLATE
</If>
ExtFilterDefine fails mode=output cmd=/no/such/program
<If "req('X-Fail') == 'yes'">
    SetOutputFilter fails
</If>
<If "%{{REQUEST_URI}} =~ /shtml$/">
    SetOutputFilter INCLUDES
</If>
<Directory {env.path("htdocs")}>
    Options +Includes
</Directory>
<Location /raw/digest>
    LimitRequestBody 100000
</Location>
RequestReadTimeout header=10 body=1
""")
    return env


@pytest.fixture
def raw(httpd):
    app = httpd.made["raw"]
    assert httpd.get("/raw/pid").status == 200
    app.forget()
    return app


@pytest.mark.parametrize("framing", [f"Content-Length: {len(TEXT)}\r\n", ""])
def test_compressed_on_the_way_out(raw, httpd, framing):
    target, _ = raw.answer(b"HTTP/1.1 200 OK\r\nETag: \"a\"\r\n" + framing.encode()
                           + b"\r\n" + TEXT)
    answer = httpd.get(target, headers={"Accept-Encoding": "gzip", "X-Deflate": "out"})
    assert answer.header("Content-Encoding") == "gzip"
    assert answer.header("ETag") == '"a-gzip"'
    assert gzip.decompress(answer.body) == TEXT


@pytest.mark.parametrize("chunked", [False, True])
def test_expanded_on_the_way_in(raw, httpd, chunked):
    """The app gets head and body that fit each other."""
    body = gzip.compress(TEXT)
    answer = httpd.get("/raw/digest", method="POST",
                       body=iter([body]) if chunked else body,
                       headers={"Content-Encoding": "gzip", "X-Deflate": "in"})
    seen = answer.json()
    assert seen["sha256"] == sha256(TEXT) and seen["length"] == len(TEXT)
    assert not [v for n, v in seen["fields"] if n.lower() == "content-encoding"]
    assert [v for n, v in seen["fields"] if n.lower() == "content-length"] \
        in ([], [str(len(TEXT))])


def test_filter_that_fails(raw, httpd):
    """What the filter answers reaches the client; nobody calls that a client who left."""
    httpd.allow("ext_filter|no/such/program")
    target, _ = raw.answer(INCLUDED)
    answer = httpd.get(target, headers={"X-Fail": "yes"})
    assert answer.status == 500 and "included" not in answer.text


def test_part_of_a_page(raw, httpd):
    for _ in range(3):
        assert httpd.get("/page.shtml").text == "[included]"
    assert not [e for e in raw.events("request") if e["method"] != "GET"]


def test_limit_request_body(raw, httpd):
    assert httpd.get("/raw/digest", method="POST", body=os.urandom(100000)).status == 200
    for body in (os.urandom(100001), iter([os.urandom(60000)] * 2)):
        assert httpd.get("/raw/digest", method="POST", body=body).status == 413
    raw.wait_event("closed")


def test_request_read_timeout(raw, httpd):
    """A client that goes silent within its body is not waited for longer than that."""
    with httpd.raw() as client:
        client.send("POST /raw/digest HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Length: 10\r\n\r\nhalf")
        began = time.monotonic()
        assert b" 408 " in client.receive(b"\r\n")
    assert time.monotonic() - began < 5
    raw.wait_event("closed")


def test_body_of_a_head_request(raw, httpd):
    """Not for the app, and no request of its own."""
    with httpd.raw() as client:
        client.send("HEAD /raw/pid HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Length: 28\r\n\r\nGET /raw/smuggled HTTP/1.1\r\n"
                    "GET /raw/pid HTTP/1.1\r\nHost: localhost\r\n"
                    "Connection: close\r\n\r\n")
        answer = client.receive()
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert len(raw.events("request")) == 2
