# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""What an app sees of the client: URL, headers, bodies; and what no client can get
at by spelling it differently."""

import base64
import hashlib
import time
from urllib.parse import unquote

import pytest

pytestmark = pytest.mark.mpm

RULES = """
RewriteEngine On
RewriteRule ^/old/(.*)$ /plain/new/$1 [PT]
"""


@pytest.fixture(scope="module")
def httpd(env):
    env.modules += ["rewrite", "remoteip", "headers", "auth_basic", "authn_core",
                    "authn_file", "authz_user", "authz_host", "alias", "access_compat"]
    folder = env.app("plain", "plain")
    password = "{SHA}" + base64.b64encode(hashlib.sha1(b"secret").digest()).decode()
    users = env.write("files", "users", text=f"alice:{password}\n")
    env.expected = {folder: 2}      # two prefixes, two apps
    env.start(f"""
Listen 127.0.0.1:{env.port2}
<VirtualHost *:{env.port}>
    AllowEncodedSlashes NoDecode
    AppCoreMount /plain {folder}
    {RULES}
    <Location /plain/private>
        AuthType Basic
        AuthName test
        AuthUserFile {users}
        Require valid-user
    </Location>
    <Location /plain/denied>
        Require all denied
    </Location>
</VirtualHost>
<VirtualHost *:{env.port2}>
    AppCoreTrustedProxy 127.0.0.1
    AppCoreMount /trusting {folder}
</VirtualHost>
""")
    return env


def target(httpd, raw, *headers, **options):
    answer = httpd.raw_get(raw, *headers, **options)
    assert answer.status == 200, answer
    return answer.json()["target"]


@pytest.mark.parametrize("url", [
    "/plain", "/plain/", "/plain/a/b", "/plain/a%20b", "/plain/a%2Fb", "/plain/%e4%f6",
    "/plain/a?x=1&y=%20", "/plain/a?", "/plain/a;b=c", "/plain/a%3Fb", "/plain/~a",
    "/plain/a%252Fb", "/plain/%7Ea"])
def test_url_arrives_as_sent(httpd, url):
    assert target(httpd, url) == url


@pytest.mark.parametrize("url,seen", [
    ("/plain/a/../b", "/plain/b"),
    ("/plain/./b", "/plain/b"),
    ("/plain/a/%2e%2e/b", "/plain/b"),
    ("/x/../plain/b", "/plain/b"),
])
def test_dot_segments_are_resolved_first(httpd, url, seen):
    assert target(httpd, url) == seen


@pytest.mark.parametrize("url", ["/plain/..", "/plain/../etc", "/plain/%2e%2e/etc",
                                 "/plain/a/../../etc"])
def test_nothing_outside_of_the_mount(httpd, url):
    assert httpd.raw_get(url).status == 404


@pytest.mark.parametrize("url", [
    "/plain/denied", "/plain/denied/x", "/plain/%64enied", "/plain/./denied",
    "/plain/x/../denied", "/plain//denied", "//plain/denied", "/plain/denied/%2e",
    "/plain/x/%2e%2e/denied", "/plain/x%2F..%2Fdenied", "/plain/x/..%2fdenied"])
def test_no_spelling_gets_around_a_location(httpd, url):
    httpd.allow("AH01630")
    answer = httpd.raw_get(url)
    if answer.status != 200:
        assert answer.status in (400, 403, 404), answer
        return
    # Then the app was given something that is not that path, segment by segment.
    seen = answer.json()["target"].split("?")[0]
    segments = [unquote(s) for s in seen.split("/") if s]
    assert segments[:2] != ["plain", "denied"] and ".." not in segments, seen


def test_encoded_slash_is_part_of_a_name(httpd):
    """With AllowEncodedSlashes NoDecode, for httpd and for the app alike."""
    assert target(httpd, "/plain/open%2Fx") == "/plain/open%2Fx"


@pytest.mark.parametrize("url", ["/plain/denied%2Fx", "/plain/denied%2fx",
                                 "/plain/denied;a=1/x", "/plain/denied;a%2Fx"])
def test_other_readings_of_a_path_are_judged_too(httpd, url):
    """Apps that see a slash in %2F, or cut parameters off, read a denied path."""
    httpd.allow("AH01630")
    assert httpd.raw_get(url).status == 403


def test_other_readings_ask_for_a_password(httpd):
    httpd.allow("AH01617", "AH01618")
    answer = httpd.raw_get("/plain/private%2Fheaders")
    assert answer.status == 401 and "Basic" in answer.header("WWW-Authenticate")


def test_encoded_slash_is_refused_by_default(httpd):
    httpd.allow("AH00026")
    answer = httpd.raw_get("/trusting/a%2Fb", port=httpd.port2)
    assert answer.status == 404


def test_rewritten_url(httpd):
    assert target(httpd, "/old/a%20b?x=1") == "/plain/new/a%20b?x=1"


def test_rewrite_cannot_reach_a_denied_location(httpd):
    httpd.allow("AH01630")
    assert httpd.raw_get("/old/../plain/denied").status == 403


def test_authenticated_user_is_told(httpd):
    httpd.allow("AH01617", "AH01618")
    assert httpd.get("/plain/private/headers").status == 401
    token = base64.b64encode(b"alice:secret").decode()
    answer = httpd.get("/plain/private/headers",
                       headers={"Authorization": f"Basic {token}"})
    assert answer.status == 200


def test_forwarded_headers_are_set_anew(httpd):
    answer = httpd.get("/plain/headers", headers={
        "X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil", "Forwarded": "for=1.2.3.4", "X-Real-IP": "1.2.3.4"})
    assert answer.seen("X-Forwarded-For") == "127.0.0.1"
    assert answer.seen("X-Forwarded-Proto") == "http"
    assert answer.seen("X-Forwarded-Host") == f"127.0.0.1:{httpd.port}"
    assert answer.seen("X-Forwarded-Prefix") == "/plain"
    for name in ("Forwarded", "X-Real-IP"):
        assert "1.2.3.4" not in (answer.seen(name) or "")


def test_trusted_proxy_is_believed(httpd):
    answer = httpd.get("/trusting/headers", port=httpd.port2, headers={
        "X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "shop.example"})
    assert answer.seen("X-Forwarded-For").replace(" ", "") == "1.2.3.4,127.0.0.1"
    assert "https" in answer.seen("X-Forwarded-Proto")
    assert answer.seen("X-Forwarded-Host").startswith("shop.example")


@pytest.mark.parametrize("name", [
    "MS-ASPNETCORE-TOKEN", "MS-ASPNETCORE-USER", "MS_ASPNETCORE_USER", "Appcore-Anything",
    "APPCORE_X", "Proxy", "X-Sendfile-Type", "X-Accel-Mapping"])
def test_headers_that_no_client_may_send(httpd, name):
    answer = httpd.get("/plain/headers", headers={name: "forged"})
    assert answer.seen(name) != "forged"
    assert "forged" not in answer.text


def test_forged_headers_folded_and_repeated(httpd):
    """The line that is folded is part of the field before it, and stays a value."""
    answer = httpd.raw_get(
        "/plain/headers", "MS-ASPNETCORE-USER: forged", "MS-ASPNETCORE-USER: forged",
        "ms_aspnetcore_user:\r\n\tforged", "MS-ASPNETCORE-CLIENTCERT:",
        "X-Mine: 1\r\n MS-ASPNETCORE-TOKEN: 2",
        "Connection: close, MS-ASPNETCORE-TOKEN")
    assert answer.status == 200 and "forged" not in answer.text
    assert answer.seen("X-Mine") == "1 MS-ASPNETCORE-TOKEN: 2"
    for name in ("MS-ASPNETCORE-USER", "MS_ASPNETCORE_USER", "MS-ASPNETCORE-CLIENTCERT"):
        assert answer.seen(name) is None


def test_blank_behind_a_name_is_refused(httpd):
    httpd.allow("AH")
    answer = httpd.raw_get("/plain/headers", "MS-ASPNETCORE-TOKEN : forged")
    assert answer.status == 400


def test_hop_by_hop_headers_end_here(httpd):
    answer = httpd.raw_get("/plain/headers", "Connection: X-Private", "X-Private: 1",
                           "Keep-Alive: timeout=5", "TE: gzip", "Upgrade: h2c")
    for name in ("X-Private", "Keep-Alive", "TE", "Upgrade"):
        assert answer.seen(name) is None, name


def test_host_is_untouched(httpd):
    assert httpd.get("/plain/headers", host="shop.example:81").seen("Host") == \
        "shop.example:81"


def test_request_id(httpd):
    first = httpd.get("/plain/headers").seen("X-Request-ID")
    second = httpd.get("/plain/headers", headers={"X-Request-ID": "forged"})
    assert first and second.seen("X-Request-ID") not in (None, first, "forged")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_methods_and_bodies(httpd, method):
    answer = httpd.get("/plain/headers", method=method, body=b"some body")
    seen = answer.json()
    assert seen["method"] == method and seen["body"] == "some body"


def test_large_body_both_ways(httpd):
    body = bytes(range(256)) * 4096 * 4
    answer = httpd.get("/plain/echo", method="POST", body=body)
    assert answer.status == 200 and answer.body == body


def test_chunked_body(httpd):
    with httpd.raw() as raw:
        raw.send("POST /plain/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n"
                 "5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\n\r\n")
        assert raw.response().body == b"hello world"


def test_both_lengths_are_no_way_to_smuggle(httpd):
    httpd.allow("AH")
    with httpd.raw() as raw:
        raw.send("POST /plain/headers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                 "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "0\r\n\r\nGET /plain/denied HTTP/1.1\r\nHost: x\r\n\r\n")
        data = raw.receive()
    assert data.count(b"HTTP/1.1 200") <= 1
    assert b"denied" not in data


def test_expect_continue(httpd):
    with httpd.raw() as raw:
        raw.send("POST /plain/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                 "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert raw.receive(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
        raw.send("abc")
        assert raw.response().body == b"abc"


def test_head_has_no_body(httpd):
    with httpd.raw() as raw:
        raw.send("HEAD /plain/bytes?n=500 HTTP/1.1\r\nHost: x\r\n"
                 "Connection: close\r\n\r\n")
        data = raw.receive()
    assert b"Content-Length: 500" in data and data.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("code", [204, 304, 404, 418, 500, 503])
def test_status_of_the_app(httpd, code):
    answer = httpd.get(f"/plain/status?code={code}")
    assert answer.status == code
    if code not in (204, 304):
        assert answer.text == "the app's own page"


def test_stream_arrives_as_it_is_made(httpd):
    with httpd.raw() as raw:
        raw.send("GET /plain/stream?n=3&ms=300 HTTP/1.1\r\nHost: x\r\n"
                 "Connection: close\r\n\r\n")
        raw.receive(b"0\n")
        began = time.monotonic()
        raw.receive(b"2\n")
        assert time.monotonic() - began > 0.4


def test_keep_alive_with_the_client(httpd):
    with httpd.raw() as raw:
        for _ in range(5):
            raw.send("GET /plain/bytes?n=10 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert raw.response().body == b"x" * 10


def test_date_and_server_once(httpd):
    answer = httpd.get("/plain/pid")
    names = [n.lower() for n, _ in answer.headers]
    assert names.count("date") == 1 and names.count("server") == 1
    assert names.count("content-length") == 1
