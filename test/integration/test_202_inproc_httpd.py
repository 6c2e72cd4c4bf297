# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""An app in process as a part of httpd: sub-requests, error documents, rewrite rules,
filters, other protocols; and as a part of a process."""

import gzip
import os
import re

import pytest

import env as environment
import inproc
import probe
from probe import INVALID, OK, WAYS, curl, pattern
from processes import wait_for

pytestmark = pytest.mark.mpm
LARGE = 4000000
INCLUDED = {
    "hello": "hello\n", "later?ms=50": "later",
    "inform": f"{OK} {INVALID} {INVALID} {INVALID}",
    "posts": "handle first second third", "upgrade": "no upgrade",
    "stream?n=2&ms=20": "data: 1\n\ndata: 2\n\n", "echo": "",
    "digest-async": "0 1 0",
}


def include(*targets):
    return "".join(f'[<!--#include virtual="{target}" -->]' for target in targets)


@pytest.fixture(scope="module")
def httpd(env):
    env.made = probe.Probe(env)
    env.modules += ["include", "mime", "deflate", "rewrite", "filter", "remoteip"]
    env.write("files", "mime.types", text="text/html html shtml\n")
    for name, target in enumerate(INCLUDED):
        env.write("htdocs", f"page{name}.shtml", text=include(f"/probe/{target}"))
    env.write("htdocs", "all.shtml",
              text=include(*(f"/probe/{target}" for target in INCLUDED)))
    env.write("htdocs", "broken.shtml", text=include("/probe/nothing", "/probe/hello"))
    with open(env.path("files", "large"), "wb") as f:
        f.write(pattern(LARGE))
    env.write("files", "small", text="small\n")
    protocols = probe.protocols(env)
    tls = probe.tls_conf(env, "AppCoreMount /probe probe",
                         "RewriteEngine On", "RewriteOptions Inherit")
    serial = inproc.build(env, "serial", "serial")
    env.start(f"""{protocols}
TypesConfig {env.path("files", "mime.types")}
SendBufferSize 16384
<Directory {env.path("htdocs")}>
    Require all granted
    Options +Includes
    AddOutputFilter INCLUDES .shtml
</Directory>
ErrorDocument 404 /probe/hello
RewriteEngine On
RewriteRule ^/in/(.*) /probe/$1 [PT]
RewriteRule ^/probe/gzip/(.*) /probe/$1 [PT,E=squeeze:1]
<If "reqenv('squeeze') == '1' || reqenv('REDIRECT_squeeze') == '1'">
    SetOutputFilter DEFLATE
</If>
<Location /probe/squeezed>
    SetOutputFilter DEFLATE
</Location>
<LocationMatch "^/(serial/page|probe/echo)$">
    Options +Includes
    <If "%{{REQUEST_METHOD}} == 'POST' && %{{CONTENT_TYPE}} == ''">
        SetOutputFilter INCLUDES
    </If>
</LocationMatch>
RemoteIPHeader X-Real-Client
RemoteIPInternalProxy 127.0.0.1
{env.made.conf()}{inproc.app("serial", serial)}{tls}""")
    return env


# Sub-requests

@pytest.mark.parametrize("way", WAYS)
def test_parts_of_a_page(app, httpd, way):
    answer = curl(httpd, way, "/all.shtml")
    assert (answer.code, answer.status, answer.interim) == (0, 200, ())
    assert answer.text == "".join(f"[{text}]" for text in INCLUDED.values())


def test_no_head_in_the_middle_of_a_page(app, httpd):
    """An interim response would stand between two chunks."""
    for number, text in enumerate(INCLUDED.values()):
        with probe.ask(httpd, "http", "GET", f"/page{number}.shtml") as raw:
            assert raw.response().text == f"[{text}]"
            raw.send(probe.head("GET", "/probe/pid"))
            assert raw.response().text.isdigit()


def test_a_part_that_fails(app, httpd):
    httpd.allow("gave no answer", "unable to include")
    answer = httpd.get("/broken.shtml")
    assert answer.status == 200 and answer.text.endswith("[hello\n]")
    assert "error occurred" in answer.text


def test_a_part_of_its_own_page(app, httpd):
    """An app that is not thread-safe is not called while it is called; nor is it waited
    for, by the thread that it is waiting for."""
    httpd.allow("is at work on the page", "unable to include")
    page = 'a<!--#include virtual="/serial/b" -->c<!--#include virtual="/probe/hello" -->'
    for _ in range(2):
        answer = httpd.get("/serial/page", method="POST", body=page)
        assert answer.status == 200 and "error occurred" in answer.text
        assert answer.text.startswith("a[") and answer.text.endswith("]chello\n")
    assert httpd.get("/serial/b").text == "part"
    answer = httpd.get("/probe/echo", method="POST", body=page)
    assert answer.text == "apartchello\n"


def test_ranges_of_a_page(app, httpd):
    """What the app did with them is of no importance to the page around it."""
    answer = curl(httpd, "http", "/page0.shtml", "-H", "Range: bytes=0-0")
    assert (answer.status, answer.text) in ((200, "[hello\n]"), (206, "["))


# Redirects within httpd

@pytest.mark.parametrize("way", WAYS)
def test_an_error_document(app, httpd, way):
    answer = curl(httpd, way, "/missing")
    assert (answer.status, answer.text) == (404, "hello\n")
    if way != "h2":     # mod_http2 may reset a stream whose body nobody read
        answer = curl(httpd, way, "/missing", data=pattern(20000))
        assert (answer.code, answer.status, answer.text) == (0, 404, "hello\n")
    answer = curl(httpd, way, "/missing", "-I")
    assert (answer.code, answer.status) == (0, 404)


@pytest.mark.parametrize("way", WAYS)
def test_a_rule_that_leads_to_the_app(app, httpd, way):
    info = curl(httpd, way, "/in/info/a%20b?c=d").json()
    assert (info["path_base"], info["path"], info["query"]) \
        == ("/probe", "/info/a b", "c=d")
    assert curl(httpd, way, "/in/later?ms=40").text == "later"
    assert curl(httpd, way, "/in/echo", data=pattern(50000)).body == pattern(50000)


# Filters

@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("route", ["big?n=300000", "big?n=300000&length=1",
                                   "big-async?n=300000", "stream?n=9&ms=2",
                                   "pieces?n=90000"])
def test_a_filter_that_compresses(app, httpd, way, route):
    plain = curl(httpd, way, f"/probe/{route}")
    answer = curl(httpd, way, f"/probe/gzip/{route}", "-H", "Accept-Encoding: gzip")
    assert plain.code == answer.code == 0
    assert answer.header("Content-Encoding") == "gzip"
    assert gzip.decompress(answer.body) == plain.body
    head = curl(httpd, way, f"/probe/gzip/{route}", "-I", "-H", "Accept-Encoding: gzip")
    assert (head.code, head.status) == (0, 200)


def test_events_are_not_held_back(app, httpd):
    """A flush goes through what compresses, while the rest is not there yet."""
    with probe.ask(httpd, "http", "GET", "/probe/gzip/stream?n=2&gate=zip",
                   "Accept-Encoding: gzip") as raw:
        app.open("zip.1")
        raw.receive(b"\r\n\r\n")
        app.open("zip.2")


def test_the_client_behind_a_proxy(app, httpd):
    info = curl(httpd, "http", "/probe/info", "-H", "X-Real-Client: 192.0.2.7").json()
    assert info["remote_address"] == "192.0.2.7"
    assert info["local_address"] == "127.0.0.1"


# Files

def opened(pid, path):
    """How often a process has that file open."""
    folder = f"/proc/{pid}/fd"
    found = 0
    for name in os.listdir(folder):
        try:
            found += os.readlink(os.path.join(folder, name)) == path
        except FileNotFoundError:
            pass
    return found


@pytest.mark.parametrize("way", probe.WAYS_1)
def test_a_file_is_closed_although_its_client_is_slow(app, httpd, way):
    path = httpd.path("files", "large")
    with probe.connect(httpd, way) as raw:
        for _ in range(3):
            raw.send(probe.head("GET", f"/probe/sendfile?path={path}"))
            assert raw.response().body == pattern(LARGE)
        raw.send(probe.head("GET", "/probe/pid"))
        assert opened(int(raw.response().text), path) == 0


def test_many_files_in_one_answer(app, httpd):
    """Those that have been sent are not kept until its end."""
    path = httpd.path("files", "small")
    with probe.ask(httpd, "http", "GET", f"/probe/files?path={path}&n=2000") as raw:
        assert raw.response().body == b"small\n" * 2000
        assert app.wait_event("files")["most"] < 200


# HTTP/1.0

def test_connections_of_http_1_0(app, httpd):
    with probe.connect(httpd, "http") as raw:
        for path, close in (("hello", False), ("big?n=5000&length=1", False),
                            ("stream?n=2", True)):
            raw.send(f"GET /probe/{path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            answer = raw.response()
            assert answer.status == 200
            assert (answer.header("Connection") == "close") == close
            assert answer.header("Transfer-Encoding") is None


# Upgraded connections

@pytest.mark.parametrize("size", [200000, 500000, 1000000, 3000000])
def test_the_last_word_is_not_lost(app, httpd, size):
    """The app ends its direction while the client has not taken what came before."""
    with probe.connect(httpd, "http") as raw:
        raw.socket.settimeout(20)
        _, found = probe.shake_hands(raw, f"/probe/farewell?n={size}")
        piece = found
        while len(found) < size and piece is not None:
            piece = raw.socket.recv(4096) or None
            found += piece or b""
        assert len(found) == size and found == pattern(size)
        assert raw.socket.recv(1) == b""
    assert app.wait_event("async", name="farewell")["result"] == OK


@pytest.mark.parametrize("way", probe.WAYS_1)
def test_who_waits_for_an_answer_has_sent_all(app, httpd, way):
    """What a write that did not wait has left goes out while a read waits."""
    with probe.connect(httpd, way) as raw:
        raw.socket.settimeout(20)
        _, found = probe.shake_hands(raw, "/probe/mixed")
        taken = app.wait_event("mixed")["taken"]
        probe.receive_exactly(raw, taken, found)
        raw.send("!")
        assert app.wait_event("heard")["read"] == 1


def test_nobody_leaves_a_request_that_is_over(app, httpd):
    assert curl(httpd, "http", "/probe/complete-abort").code != 0
    assert curl(httpd, "http", "/probe/hello").text == "hello\n"
    assert not app.events("disconnect")


# A part of a process

def test_processes_of_the_app_end_as_they_like(app, httpd):
    for code in (7, 0):
        assert httpd.get(f"/probe/fork?code={code}").text == str(code)
    assert "called exit" not in httpd.log_text()


def test_programs_of_the_app_get_nothing_of_httpds(app, httpd):
    listing = httpd.get("/probe/descriptors").text
    found = {int(n): what for n, what in re.findall(r" (\d+) -> (\S+)", listing)}
    assert {0, 1, 2} <= set(found) <= {0, 1, 2, 3}, listing
    assert found.get(3, "/proc/").startswith("/proc/"), listing
