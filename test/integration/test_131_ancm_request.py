# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Acceptance list of the ASP.NET Core Module: requests, responses and bodies."""

import concurrent.futures
import hashlib
import socket

import pytest

from acceptance import Site, hosting_model, ids, inside, outside  # noqa: F401
from processes import wait_for

LIMIT = "<security><requestFiltering><requestLimits maxAllowedContentLength='{}' />" \
        "</requestFiltering></security>"


@pytest.fixture(scope="module")
def site(env, hosting_model):  # noqa: F811
    made = Site(env, hosting_model)
    made.add("site", variables={"ALLOW_SYNCHRONOUS_IO": "1"})
    made.add("small", "DecreaseRequestLimit")
    made.add("limit1", more=LIMIT.format(1))
    made.add("limit4g", more=LIMIT.format(4294967295))
    made.add("latin1", "Latin1")
    made.add("closing", settings={"forwardResponseConnectionHeader": "True"})
    return made.start()


def echo(site, path, body, **options):
    answer = site.get(path, method="POST", body=body, **options)
    assert answer.status == 200, answer
    return answer.body


# The path

@ids("RR1")
def test_every_escape_of_a_path(site):
    escaped = "".join(f"%{n:02X}" for n in range(0x20, 0x7f) if n != 0x2b)
    plain = "".join("%2F" if n == 0x2f else chr(n)
                    for n in range(0x20, 0x7f) if n != 0x2b)
    answer = site.raw_get(f"/RequestPath/{escaped}")
    assert (answer.status, answer.text) == (200, "/" + plain)


@ids("RR2")
def test_double_slashes_stay(site):
    answer = site.raw_get("/RequestPath//a/b//c")
    assert (answer.status, answer.text) == (200, "//a/b//c")


@ids("RR3")
@pytest.mark.parametrize("path, seen", [
    ("a/b/../c", "/a/c"), ("a/b/./c", "/a/b/c"), ("a/b/%2E%2E/c", "/a/c"),
    ("a/b/%2E/c", "/a/b/c"), ("%2E%2E/RequestPath/a", "/a")])
def test_dot_segments_are_resolved(site, path, seen):
    answer = site.raw_get(f"/RequestPath/{path}")
    assert (answer.status, answer.text) == (200, seen)


@ids("RR4")
def test_control_characters_in_a_path(site):
    # A line feed ends the line, a tab is a separator to httpd as it is to http.sys.
    for n in set(range(0x20)) - {9, 10}:
        with site.raw() as raw:
            raw.send(f"GET /site/RequestPath/{chr(n)} HTTP/1.1\r\nHost: x\r\n"
                     "Connection: close\r\n\r\n")
            assert raw.response().status == 400, f"character {n}"


@ids("RR4")
def test_escaped_nul(site):
    """Out of process the other control characters reach the app escaped, as Kestrel has
    them; in process none does, as http.sys has it."""
    assert site.raw_get("/RequestPath/%00").status in (400, 404)
    answer = site.raw_get("/RequestPath/%01")
    assert answer.status == 400 if site.in_process else answer.text == "/\x01"


# Bodies both ways

@ids("RR5")
def test_compressed_bytes_are_not_touched(site):
    answer = site.get("/CompressedData", headers={"Accept-Encoding": "gzip"})
    assert answer.header("Content-Encoding") == "gzip"
    assert answer.body.hex().upper() == answer.header("X-Bytes")


@ids("RR6")
@pytest.mark.parametrize("path", ["/ReadAndWriteEcho", "/ReadAndWriteCopyToAsync"])
def test_echo(site, path):
    assert echo(site, path, b"a" * 100000) == b"a" * 100000


@ids("RR7")
def test_echo_twice(site):
    assert echo(site, "/ReadAndWriteEchoTwice", b"a" * 10000) == b"a" * 20000


@ids("RR8")
def test_synchronous_reads_and_writes(site):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        sizes = pool.map(lambda _: len(echo(site, "/ReadAndWriteSynchronously",
                                            b"a" * 10000)), range(20))
    assert set(sizes) == {110000}


@ids("RR9")
def test_field_from_the_body(site):
    answer = site.get("/SetHeaderFromBody", method="POST", body="Body text")
    assert answer.header("BodyAsString") == answer.text == "Body text"


def chunked(pieces):
    for piece in pieces:
        yield piece


@ids("RR13")
def test_chunked_bodies(site):
    for _ in range(100):
        assert echo(site, "/ReadFullBody", chunked([b"a", b"bc" * 50])) == b"Completed"


@ids("RR14")
@pytest.mark.parametrize("path, size", [("/UnflushedResponsePipe", 10),
                                        ("/FlushedPipeAndThenUnflushedPipe", 20)])
def test_pipes_need_no_last_flush(site, path, size):
    assert len(site.text_of(path)) == size


# Fields

@ids("RR18")
def test_response_fields(site):
    answer = site.get("/ResponseHeaders")
    assert answer.text == "Request Complete"
    assert answer.header("UnknownHeader") == "test123=foo"
    assert answer.header("Content-Type") == "text/plain"
    assert [v for n, v in answer.headers if n == "MultiHeader"] == ["1", "2"]
    answer = site.get("/ResponseEmptyHeaders")
    assert answer.text == "EmptyHeaderShouldBeSkipped"
    # Kestrel sends a field without a value; IIS drops it. Both mean nothing.
    assert answer.header("EmptyHeader", "") == ""


@ids("RR18")
def test_cookies_stay_separate(site):
    cookies = [v for n, v in site.get("/Cookies").headers if n == "Set-Cookie"]
    assert cookies == ["a=1; path=/", "b=2; path=/"]


@ids("RR22")
def test_the_apps_own_server_field(site):
    answer = site.get("/OverrideServer")
    assert [v for n, v in answer.headers if n == "Server"] == ["MyServer/7.8"]


@outside
@ids("ST49")
def test_connection_field_of_the_app_ends_here(site):
    with site.raw() as raw:
        for _ in range(2):
            raw.send("GET /site/ConnectionClose HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = raw.response()
            assert answer.text == "closing"
            assert answer.header("Connection") is None


@ids("ST49")
def test_connection_field_can_be_forwarded(site):
    """In process it needs no permission: the app is the server."""
    with site.raw("closing") as raw:
        raw.send("GET /closing/HelloWorld HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.response().header("Connection") is None
        raw.send("GET /closing/ConnectionClose HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = raw.response()
        assert answer.text == "closing"
        assert answer.header("Connection") == "close"


@ids("RR12")
def test_answer_to_a_body_that_did_not_come(site):
    with site.raw() as raw:
        raw.send("POST /site/ReadPartialBody HTTP/1.1\r\nHost: x\r\n"
                 "Content-Length: 100\r\nConnection: close\r\n\r\nHello")
        answer = raw.response()
        assert (answer.status, answer.text) == (200, "Hello")
        assert raw.receive() == b""


@ids("RR29")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_connection_close_of_the_client(site, method):
    with site.raw() as raw:
        raw.send(f"{method} /site/HelloWorld HTTP/1.1\r\nHost: x\r\n"
                 "Connection: close\r\n\r\n")
        text = raw.receive().decode()
    head, body = text.split("\r\n\r\n", 1)
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert ("Hello World" in body) == (method == "GET")


@ids("V18")
@pytest.mark.parametrize("name", [
    "MS-ASPNETCORE", "mS-ASPNETCORE", "MS-ASPNETCORE-", "mS-ASPNETCORE-f",
    "MS-ASPNETCORE-foo", "ms_aspnetcore_foo", "MS-ASPNETCORE-" + "x" * 2000,
    "MS-ASPNETCORE-WINAUTHTOKEN", "MS-ASPNETCORE-TOKEN", "MS-ASPNETCORE-CLIENTCERT"])
def test_fields_of_the_contract_are_ours(site, name):
    seen = site.text_of("/DumpRequestHeaders", headers={name: "forged" + "y" * 500})
    assert "forged" not in seen
    assert "WINAUTHTOKEN" not in seen.upper()


# Status

STATES = [(200, "custom", "body"), (200, "custom", None), (500, "", "body"),
          (500, "", None), (400, "custom", "body"), (400, "custom", None),
          (400, "", None), (999, "", "body"), (999, "", None), (404, "", None),
          (502, "mine", "of the app"), (503, "mine", "of the app")]
REASONS = {500: "Internal Server Error", 400: "Bad Request", 404: "Not Found"}


@ids("RR20")
@pytest.mark.parametrize("code, reason, body", STATES)
def test_status_reason_and_body_are_the_apps(site, code, reason, body):
    answer = site.get(f"/SetStatus?code={code}&reason={reason}&body="
                      + (body or "").replace(" ", "%20"))
    assert answer.status == code
    assert answer.text == (body or "")
    if reason or code in REASONS:
        assert answer.reason == (reason or REASONS[code])


@ids("RR21")
@pytest.mark.parametrize("code", [204, 304])
def test_status_without_a_body(site, code):
    answer = site.get(f"/SetStatus?code={code}")
    assert answer.status == code and answer.body == b""
    assert answer.header("Transfer-Encoding") is None


@ids("RR19")
def test_exception_before_the_answer(site):
    site.env.allow("app site: .*An unhandled exception was thrown")
    answer = site.get("/Throw")
    assert (answer.status, answer.reason) == (500, "Internal Server Error")
    assert answer.text == ""


@ids("RR19")
def test_exception_within_the_answer(site):
    """What had been sent arrives, and that there is more shows."""
    site.env.allow("appcore:error")
    with site.raw() as raw:
        raw.send("GET /site/ThrowAfterWrite HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            got = raw.receive()
        except ConnectionResetError:
            got = b""
    assert not got.endswith(b"0\r\n\r\n")


@ids("RR23")
def test_status_cannot_change_after_the_first_byte(site):
    assert site.text_of("/StatusAfterWrite") == "Started_Threw_Finished"


@ids("ST33")
def test_exception_after_the_answer(site):
    site.env.allow("app site: .*An unhandled exception was thrown")
    assert site.get("/OnCompletedThrows").status == 200
    wait_for(lambda: "An unhandled exception was thrown by the application."
             in site.env.recent_log())
    assert site.text_of("/HelloWorld") == "Hello World"


# Sizes

@ids("RR24")
@pytest.mark.parametrize("size", [65000, 10**6, 10**7, 10**8])
def test_large_answers(site, size):
    assert received(site, f"/LargeResponseBody?length={size}") == size


@ids("RR24")
def test_large_file(site):
    assert received(site, "/LargeResponseFile?length=200000000") == 200000000


def received(site, path):
    with site.raw() as raw:
        raw.send(f"GET /site{path} HTTP/1.0\r\nHost: x\r\n\r\n")
        data = raw.receive(b"\r\n\r\n")
        size = len(data) - data.index(b"\r\n\r\n") - 4
        while piece := raw.socket.recv(1 << 20):
            size += len(piece)
    return size


@ids("BS1")
def test_limit_that_the_app_sets_for_all(site):
    """Out of process IIS lifts it, as the front's limit is the one that counts."""
    answer = site.get("/TooLarge", app="small", method="POST", body="test")
    assert answer.status == (200 if site.model == "OutOfProcess" else 413)


@ids("BS2")
def test_limit_of_web_config(site):
    assert site.get("/TooLarge", app="limit1", method="POST",
                    body="test").status in (404, 413)
    assert site.get("/TooLarge", app="limit1", method="POST", body="t").status == 200


@outside
@ids("BS3", "BS4", "BS5", "BS7")
def test_bodies_above_the_limit_of_kestrel(site):
    """Without maxAllowedContentLength httpd's LimitRequestBody is the limit, 1 GB."""
    size = 100_000_000
    answer = site.get("/ReadAndCountRequestBody", app="limit4g", method="POST",
                      body=bytes(size), timeout=120)
    assert (answer.status, answer.text) == (200, str(size))
    answer = site.get("/ReadAndCountRequestBody", method="POST", body=bytes(30000001))
    assert (answer.status, answer.text) == (200, "30000001")
    assert site.text_of("/BodyLimit") == "null"


@inside
@ids("BS3", "BS4", "BS5")
def test_bodies_above_the_limit_of_the_server_in_process(site):
    """IISServerOptions.MaxRequestBodySize holds for whom lifts it for no request."""
    def count(size, *limit, app="limit4g"):
        return site.get("/LimitPerRequest?limit=none" if limit
                        else "/ReadAndCountRequestBody", app=app, method="POST",
                        body=bytes(size), timeout=120).status
    assert site.text_of("/BodyLimit", "limit4g") == "30000000"
    assert count(30000000) == 200
    assert count(30000001) == 413
    assert count(100_000_000, "none") == 200
    assert count(30000001, app="site") == 413


@ids("BS6", "BS8")
@pytest.mark.parametrize("limit, body, status", [
    ("4", b"12345", 413), ("4", b"1234", 200), ("none", b"x" * 5000, 200),
    ("0", b"", 200)])
def test_limit_that_the_app_sets_for_a_request(site, limit, body, status):
    answer = site.get(f"/LimitPerRequest?limit={limit}", method="POST", body=body)
    assert answer.status == status


@ids("BS8")
@pytest.mark.parametrize("limit, size, status", [("4096", 4097, 413), ("0", 0, 200),
                                                 ("none", 5000, 200)])
def test_limit_of_a_chunked_body(site, limit, size, status):
    if site.model == "OutOfProcess" and not size:
        limit = "9"         # Kestrel counts the framing of an empty body, too
    answer = site.get(f"/LimitPerRequest?limit={limit}", method="POST",
                      body=chunked([b"x" * size] if size else []))
    assert answer.status == status


@ids("V9")
@pytest.mark.parametrize("size", [1, 900])
def test_forms(site, size):
    form = "a=" + "b" * size
    answer = site.get("/ReadRequestBody", method="POST", body=form, headers={
        "Content-Type": "application/x-www-form-urlencoded"})
    assert answer.text == form


# Streams and features as ASP.NET Core promises them

@inside
@ids("RR17")
@pytest.mark.parametrize("path", ["/ReadArguments", "/WriteArguments"])
def test_arguments_of_streams(site, path):
    """Asynchronous, synchronous, and as of old."""
    wrong = ["ArgumentNullException"] + ["ArgumentOutOfRangeException"] * 5
    expected = " ".join(wrong + ["nothing"] * 2)
    assert echo(site, path, b"x").decode() == "\n".join([expected] * 3)


@inside
@ids("RR25")
def test_features_can_be_replaced(site):
    assert site.text_of("/ReplacedFeatures") == "Success"
    assert site.text_of("/ReplacedRequest") == \
        "OWN own /own /path ?own=1 OWN/1 True own trace connection 192.0.2.9 9 True"
    answer = site.get("/ReplacedResponse")
    assert (answer.status, answer.reason, answer.text) == (202, "Own", "caught, True")
    assert answer.header("X-Own") == "own"


@inside
@ids("IU5")
def test_tokens_cancel(site):
    seen = echo(site, "/CancelledTokens", b"x").decode().split()
    assert len(seen) == 3
    assert all(name.endswith("CanceledException") for name in seen), seen
    with site.raw() as raw:
        raw.send("POST /site/CancelledRead HTTP/1.1\r\nHost: x\r\n"
                 "Content-Length: 2\r\n\r\n")
        raw.receive(b"CanceledException")
        raw.send("ab")
        raw.receive(b" ab")


# Characters

@ids("LA1")
def test_latin_1_in_a_field(site):
    """An app that switched it on gets the byte. For others Kestrel refuses it, IIS's
    server has the sign for what it cannot read."""
    def foo(app, value):
        with site.raw(app) as raw:
            raw.send(f"GET /{app}/RequestHeader?name=foo HTTP/1.1\r\n"
                     "Host: x\r\nConnection: close\r\n".encode()
                     + b"foo: " + value + b"\r\n\r\n")
            return raw.response()
    assert foo("latin1", b"\xa3").text == "\u00a3"
    assert foo("latin1", b"\xa3\x00a").status == 400
    assert foo("site", "\u00a3".encode()).text == "\u00a3"
    answer = foo("site", b"\xa3")
    assert answer.text == "\ufffd" if site.in_process else answer.status == 400


# Clients that leave

def leave(site, request):
    raw = site.raw()
    raw.send(request)
    # A reset, not a farewell.
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return raw


@ids("RR26")
def test_client_that_leaves_within_the_answer(site):
    raw = leave(site, "GET /site/LargeResponseBody?length=100000000 HTTP/1.1\r\n"
                      "Host: x\r\n\r\n")
    raw.receive(b"\r\n\r\n")
    raw.socket.close()
    assert site.text_of("/HelloWorld") == "Hello World"


@ids("RR27", "IU1")
@pytest.mark.parametrize("reset", [True, False])
def test_request_is_aborted_when_its_client_leaves(site, reset):
    text = "GET /site/WaitForAbort HTTP/1.1\r\nHost: x\r\n\r\n"
    raw = leave(site, text) if reset else site.raw()
    if not reset:
        raw.send(text)
    wait_for(lambda: site.text_of("/WaitingRequestCount") == "1")
    raw.socket.close()
    wait_for(lambda: site.text_of("/WaitingRequestCount") == "0")


@inside
@ids("IU5")
def test_writes_to_a_client_that_left_go_nowhere(site):
    """But a token that is cancelled by that says so, and so do reads. What there is to
    read is given at once, where IIS's server always goes through the thread pool."""
    raw = leave(site, "POST /site/AfterTheClientLeft HTTP/1.1\r\nHost: x\r\n"
                      "Content-Length: 100\r\n\r\nsome")
    raw.receive(b"begun")
    raw.socket.close()
    seen = wait_for(lambda: site.text_of("/WhatCameAfterwards")).split()
    assert seen[:2] == ["nothing", "nothing"] and seen[3] == "ConnectionResetException"
    assert seen[2].endswith("CanceledException")


@ids("RR28")
def test_many_clients_that_leave_within_their_bodies(site):
    """In process each has a worker for a moment, and there are fewer; nobody holds one
    for longer."""
    site.env.allow("AppCoreMaxWorkers" if site.in_process else "^$")
    pid = site.pid()
    for _ in range(100):
        leave(site, "POST /site/ReadFullBody HTTP/1.1\r\nHost: x\r\n"
                    "Content-Length: 10000\r\n\r\nsome").socket.close()
    wait_for(lambda: site.get("/HelloWorld").status == 200, 3, "a worker")
    assert site.pid() == pid


@ids("IU2")
def test_malformed_chunk(site):
    """The client gets 400, and the app's read fails as if the client had left."""
    with site.raw() as raw:
        raw.send("POST /site/ReadFails HTTP/1.1\r\nHost: x\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nZZZZ\r\n")
        assert raw.response().status == 400
    wait_for(lambda: site.text_of("/LastReadFault") not in ("", "none"))


@ids("IU3", "SD14", "SD15")
def test_app_that_aborts_a_request(site):
    """Before an answer: 502 out of process, the end of the connection in process."""
    site.env.allow("appcore:error")
    with site.raw() as raw:
        raw.send("GET /site/Abort HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        try:
            head = raw.receive(b"\r\n").decode()
        except ConnectionResetError:
            head = ""
    assert head.startswith("HTTP/1.1 502 ") if site.model == "OutOfProcess" \
        else head == ""
    with site.raw() as raw:
        raw.send("GET /site/AbortAfterWrite HTTP/1.1\r\nHost: x\r\n"
                 "Connection: close\r\n\r\n")
        try:
            assert not raw.receive().endswith(b"0\r\n\r\n")
        except ConnectionResetError:
            pass


@ids("IU4")
def test_every_connection_has_an_id(site):
    assert site.text_of("/ConnectionId") != ""


def test_bodies_arrive_whole(site):
    data = hashlib.sha256(b"seed").digest() * 40000
    assert hashlib.sha256(echo(site, "/ReadAndWriteEcho", data)).digest() \
        == hashlib.sha256(data).digest()
