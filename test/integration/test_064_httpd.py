# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Apps as a part of httpd: subrequests, error documents, headers of other modules,
logs."""

import re

import pytest

from processes import wait_for
from rawapp import RawApp

pytestmark = pytest.mark.mpm


def include(target):
    return f'<!--#include virtual="{target}" -->'


@pytest.fixture(scope="module")
def httpd(env):
    env.modules += ["include", "mime", "headers", "log_config", "authz_host"]
    env.write("files", "mime.types", text="text/html html shtml\n")
    env.made = RawApp(env, "raw")
    greeting, _ = env.made.answer(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-App: 1\r\n"
        "Content-Type: text/plain\r\n\r\nhello", then="keep")
    env.greeting = greeting
    env.write("htdocs", "page.shtml", text=include(greeting) + " and "
              + include("/raw/big?n=30&framing=chunked") + ".")
    env.write("htdocs", "broken.shtml", text="before " + include("/raw/no_such_route")
              + " after")
    env.start(f"""
TypesConfig {env.path("files", "mime.types")}
<Directory {env.path("htdocs")}>
    Options +Includes
    AddOutputFilter INCLUDES .shtml
</Directory>
AppCoreMount /raw {env.made.folder}
ErrorDocument 404 {greeting}
<Location /private>
    Require ip 192.0.2.1
    ErrorDocument 403 {greeting}
</Location>
<Location /raw>
    Header set X-Added "by httpd"
    Header always set X-Always yes
    Header unset X-App
    RequestHeader set X-To-App "from httpd"
</Location>
LogFormat "%m %U %>s %b %X" short
CustomLog {env.path("access.log")} short
""")
    assert env.get("/raw/pid").status == 200
    return env


@pytest.fixture
def raw(httpd):
    httpd.made.forget()
    return httpd.made


def test_included_in_a_page(raw, httpd):
    answer = httpd.get("/page.shtml")
    assert answer.status == 200
    assert answer.body.startswith(b"hello and ") and answer.body.endswith(b".")
    assert len(answer.body) == len("hello and ") + 30 + 1


def test_body_of_the_page_is_not_the_apps(raw, httpd):
    """A subrequest asks with a GET, whoever posted to the page."""
    answer = httpd.get("/page.shtml", method="POST", body=b"x" * 100000)
    assert answer.status in (200, 405)
    assert {e["method"] for e in raw.events("request")} <= {"GET"}
    for event in raw.events("request"):
        assert "content-length" not in [n.lower() for n, _ in event["fields"]]


def test_broken_include_does_not_break_the_page(raw, httpd):
    httpd.allow("app raw, process", "AH0")
    answer = httpd.get("/broken.shtml")
    assert answer.status == 200
    assert answer.text.startswith("before ") and answer.text.endswith(" after")


@pytest.mark.parametrize("path,status", [("/nowhere", 404), ("/private/x", 403)])
def test_error_document_made_by_an_app(raw, httpd, path, status):
    httpd.allow("AH01630")
    for method, body in (("GET", None), ("POST", b"x" * 1000)):
        answer = httpd.get(path, method=method, body=body)
        assert answer.status == status and answer.text == "hello"
    assert [e["method"] for e in raw.events("request")] == ["GET", "GET"]


def test_headers_of_other_modules(raw, httpd):
    answer = httpd.get(httpd.greeting)
    assert answer.header("X-Added") == "by httpd"
    assert answer.header("X-Always") == "yes"
    assert answer.header("X-App") is None
    fields = {n.lower(): v for n, v in raw.events("request")[-1]["fields"]}
    assert fields["x-to-app"] == "from httpd"


def test_headers_reach_error_pages_too(raw, httpd):
    httpd.allow("app raw, process")
    answer = httpd.get(raw.answer("nonsense")[0])
    assert answer.status == 502 and answer.header("X-Always") == "yes"


def test_access_log_tells_what_happened(raw, httpd):
    httpd.allow("app raw, process")
    httpd.get(httpd.greeting)
    with httpd.raw() as client:
        target, name = raw.answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
                                  "half<gate>")
        client.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.receive(b"half")
        raw.open(f"{name}.1")
        client.receive()
    with httpd.raw() as client:
        gate = raw.gate()
        client.send(f"GET {raw.target('hold', gate=gate)} HTTP/1.1\r\n"
                    "Host: localhost\r\n\r\n")
        raw.wait_gate(gate)
    raw.wait_event("closed", count=2)
    assert httpd.get("/raw/pid").status == 200

    def logged(line):
        """It is written when the client may be gone already."""
        with open(httpd.path("access.log"), encoding="utf-8") as f:
            return re.search(rf"^{line}", f.read(), re.M)
    for line in (r"GET /raw/answer 200 5 [+-]$", r"GET /raw/answer 200 4 X$",
                 "GET /raw/hold 499 "):
        wait_for(lambda line=line: logged(line), what=f"the line {line}")
