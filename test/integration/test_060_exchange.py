# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""One request and its answer: framing, streaming in both directions, interim answers,
what httpd adds and takes away."""

import http.client
import re
import select
import statistics
import threading
import time

import pytest

from processes import wait_for
from rawapp import RawApp, data, sha256

MB20 = 20 * 1024 * 1024
HEAD_OK = "HTTP/1.1 200 OK\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"
TRUNCATED = {
    "length": "Content-Length: 100\r\n\r\nhalf<gate>",
    "chunk": CHUNKED + "4\r\nhalf\r\n<gate>6\r\nan",
    "last chunk": CHUNKED + "4\r\nhalf\r\n<gate>",
    "trailer": CHUNKED + "4\r\nhalf\r\n<gate>0\r\nX-A: 1\r\n",
    "garbage": CHUNKED + "4\r\nhalf\r\n<gate>zz\r\nabc\r\n",
}


@pytest.fixture(scope="module")
def httpd(env):
    env.made = {name: RawApp(env, name) for name in ("raw", "fd", "own")}
    env.start(f"""
AppCoreMount /raw raw
AppCoreMount /fd fd
AppCoreMount /own own
<AppCoreApp raw>
    AppCorePath {env.made["raw"].folder}
    AppCoreListen tcp
</AppCoreApp>
<AppCoreApp fd>
    AppCorePath {env.made["fd"].folder}
    AppCoreListen socket
</AppCoreApp>
<AppCoreApp own>
    AppCorePath {env.made["own"].folder}
    AppCoreProcessPath python3
    AppCoreArguments "raw.py {{socket}}"
</AppCoreApp>
""")
    return env


@pytest.fixture
def raw(httpd):
    app = httpd.made["raw"]
    assert httpd.get("/raw/pid").status == 200
    app.forget()
    return app


def head(method, target, *lines):
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *lines,
                        "", ""])


def pieces(body, size=100000):
    return (body[at:at + size] for at in range(0, len(body), size))


def nothing_comes(sock, seconds=0.2):
    return not select.select([sock], [], [], seconds)[0]


def content(answer):
    """Of a raw answer: head as text, rest."""
    first, rest = answer.split(b"\r\n\r\n", 1)
    return first.decode("latin-1"), rest


@pytest.mark.mpm
@pytest.mark.parametrize("name", ["raw", "fd", "own"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_request_framing(httpd, name, framing):
    """The client's is the app's; each of the three ways to reach an app."""
    for size in (0, 1, 70000):
        body = data(size)
        sent = body if framing == "length" else pieces(body, 7001)
        seen = httpd.get(f"/{name}/digest", method="POST", body=sent).json()
        assert seen["length"] == size and seen["sha256"] == sha256(body)
        assert seen["framing"] == framing


def test_get_has_no_framing(raw, httpd):
    seen = httpd.get("/raw/digest").json()
    assert seen["framing"] == "none"


def test_trailers_of_a_request_reach_the_app(raw, httpd):
    with httpd.raw() as client:
        client.send(head("POST", "/raw/digest", "Transfer-Encoding: chunked",
                         "Trailer: X-Sum") + "3\r\nabc\r\n0\r\nX-Sum: 6\r\n"
                    "Content-Length: 9\r\nX-Forwarded-For: 1.2.3.4\r\n"
                    "X_Forwarded_Proto: https\r\nMS_ASPNETCORE_USER: root\r\n\r\n")
        seen = client.response().json()
    assert seen["length"] == 3
    assert seen["trailers"] == ["X-Sum: 6"]


@pytest.mark.mpm
def test_response_framing(raw, httpd):
    for framing in ("length", "chunked", "eof"):
        answer = httpd.get(f"/raw/big?n=300000&framing={framing}")
        assert answer.body == data(300000)
        assert (answer.header("Content-Length") == "300000") == (framing == "length")


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_20_mb_up(raw, httpd, framing):
    body = data(MB20)
    sent = body if framing == "length" else pieces(body)
    seen = httpd.get("/raw/digest", method="PUT", body=sent).json()
    assert seen["framing"] == framing
    assert seen["length"] == MB20 and seen["sha256"] == sha256(body)


@pytest.mark.parametrize("framing", ["length", "chunked", "eof"])
def test_20_mb_down(raw, httpd, framing):
    answer = httpd.get(f"/raw/big?n={MB20}&framing={framing}")
    assert len(answer.body) == MB20
    assert sha256(answer.body) == sha256(data(MB20))


@pytest.mark.mpm
def test_answers_without_a_body(raw, httpd):
    """Both connections go on: nothing is waited for, nothing is left over."""
    connection = http.client.HTTPConnection("127.0.0.1", httpd.port, timeout=10)
    for method, status, extra in (
            ("HEAD", "200 OK", "Content-Length: 12345\r\n"),
            ("HEAD", "200 OK", "Transfer-Encoding: chunked\r\n"),
            ("HEAD", "200 OK", ""),
            ("GET", "204 No Content", ""),
            ("GET", "304 Not Modified", 'ETag: "x"\r\n')):
        target, _ = raw.answer(f"HTTP/1.1 {status}\r\n{extra}\r\n", then="keep")
        connection.request(method, target)
        answer = connection.getresponse()
        assert answer.status == int(status[:3]) and answer.read() == b""
        if "12345" in extra:
            assert answer.getheader("Content-Length") == "12345"
        connection.request("GET", "/raw/pid")
        assert connection.getresponse().read().isdigit()
    connection.close()
    assert len(raw.events("connection")) <= 1


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_body_that_cannot_be_spoils_no_other_answer(raw, httpd, status, framing):
    """It may come at any time after its head."""
    target, _ = raw.answer(f"HTTP/1.1 {status}\r\n{framing}\r\n\r\n", then="keep")
    for _ in range(2):
        raw.forget()
        assert httpd.get(target).status == int(status[:3])
        assert httpd.get("/raw/pid").text.isdigit()
        assert raw.events("connection")


def test_bytes_after_an_answer_are_not_taken_for_the_next(raw, httpd):
    evil = HEAD_OK + "Content-Length: 4\r\n\r\nevil"
    target, _ = raw.answer("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nwrong"
                           + evil, then="keep")
    assert httpd.get(target).status == 204
    for _ in range(3):
        assert httpd.get("/raw/pid").text.isdigit()
    target, _ = raw.answer(HEAD_OK + "Content-Length: 2\r\n\r\nok" + evil, then="keep")
    assert httpd.get(target).text == "ok"
    for _ in range(3):
        assert httpd.get("/raw/pid").text.isdigit()


@pytest.mark.mpm
def test_both_directions_at_once(raw, httpd):
    """Every piece comes back before the next is sent."""
    with httpd.raw() as client:
        client.send(head("POST", "/raw/echo", "Transfer-Encoding: chunked"))
        client.receive(b"\r\n\r\n")
        for i in range(20):
            text = b"piece %d!" % i
            client.send(b"%x\r\n%b\r\n" % (len(text), text))
            assert text in client.receive(text)
        client.send("0\r\n\r\n")
        assert client.receive(b"0\r\n\r\n").endswith(b"0\r\n\r\n")


def test_20_mb_both_directions_at_once(raw, httpd):
    """A reader and a writer that do not wait for each other."""
    body = data(MB20)
    connection = http.client.HTTPConnection("127.0.0.1", httpd.port, timeout=60)
    connection.putrequest("POST", "/raw/echo")
    connection.putheader("Content-Length", str(MB20))
    connection.endheaders()
    sender = threading.Thread(target=lambda: connection.sock.sendall(body))
    sender.start()
    answer = connection.getresponse().read()
    sender.join()
    connection.close()
    assert len(answer) == MB20 and answer == body


@pytest.mark.mpm
@pytest.mark.parametrize("framing", ["chunked", "eof"])
def test_events_arrive_while_the_app_pauses(raw, httpd, framing):
    """The app waits between messages until the test has the one before."""
    count = 9
    start = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    wrap = "{}"
    if framing == "chunked":
        start += "Transfer-Encoding: chunked\r\n"
        wrap = "7\r\n{}\r\n"
    messages = [wrap.format(f"data:{i}\n") for i in range(count)]
    end = "0\r\n\r\n" if framing == "chunked" else ""
    target, name = raw.answer("<gate>".join([start + "\r\n", *messages, end]))
    took = []
    with httpd.raw() as client:
        client.send(head("GET", target))
        assert b"text/event-stream" in client.receive(b"\r\n\r\n")
        for i in range(count):
            raw.wait_gate(f"{name}.{i + 1}")
            began = time.monotonic()
            raw.open(f"{name}.{i + 1}")
            assert b"data:%d" % i in client.receive(b"data:%d\n" % i)
            took.append(time.monotonic() - began)
        raw.open(f"{name}.{count + 1}")
    assert statistics.median(took) < 0.5, took


@pytest.mark.mpm
def test_early_hints(raw, httpd):
    target, name = raw.answer(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n"
        "X-Sendfile: /srv/secret\r\n\r\n<gate>"
        "HTTP/1.1 103 Early Hints\r\nLink: </b.css>; rel=preload\r\n\r\n"
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Final: 1\r\n\r\nok", then="keep")
    with httpd.raw() as client:
        client.send(head("GET", target))
        hint = client.receive(b"\r\n\r\n").decode()
        assert hint.startswith("HTTP/1.1 103 ") and "Link: </a.css>; rel=preload" in hint
        assert "secret" not in hint
        raw.open(f"{name}.1")
        rest = client.receive(b"ok").decode()
        assert rest.count("HTTP/1.1 103 ") == 1 and rest.count("HTTP/1.1 200 OK") == 1
        assert "</b.css>" in rest.split("HTTP/1.1 200")[0]
        assert "Link" not in rest.split("HTTP/1.1 200")[1] and "X-Final: 1" in rest


def test_endless_interim_answers_end(raw, httpd):
    httpd.allow("app raw, process")
    target, _ = raw.answer("HTTP/1.1 102 Processing\r\n\r\n" * 100, then="hang")
    with httpd.raw() as client:
        client.send(head("GET", target))
        assert b"HTTP/1.1 502 " in client.receive(b"HTTP/1.1 502 ")


@pytest.mark.mpm
def test_body_is_held_until_the_app_asks_for_it(raw, httpd):
    gate = raw.gate()
    with httpd.raw() as client:
        target = raw.target("digest", gate=gate, **{"continue": 1})
        client.send(head("POST", target, "Content-Length: 5", "Expect: 100-continue"))
        raw.wait_gate(gate)
        fields = {n.lower(): v for n, v in raw.events("request")[-1]["fields"]}
        assert fields["expect"].lower() == "100-continue"
        assert nothing_comes(client.socket)
        raw.open(gate)
        assert client.receive(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        client.send(b"hello")
        seen = client.response().json()
    assert seen["sha256"] == sha256(b"hello")


def test_app_that_just_reads_gets_the_body_after_a_moment(raw, httpd):
    """Nobody waits for 100 forever (RFC 9110 10.1.1)."""
    with httpd.raw() as client:
        client.send(head("POST", "/raw/digest", "Content-Length: 5",
                         "Expect: 100-continue"))
        assert client.receive(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        client.send(b"hello")
        assert client.response().json()["sha256"] == sha256(b"hello")


def test_impatient_client_need_not_wait_for_100(raw, httpd):
    with httpd.raw() as client:
        client.send(head("POST", "/raw/digest", "Content-Length: 5",
                         "Expect: 100-continue") + "hello")
        answer = client.receive(b"}")
    assert sha256(b"hello").encode() in answer


def test_no_100_within_an_answer(raw, httpd):
    """The app has begun to answer, so nothing may be said in between."""
    target, name = raw.answer("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"
                              "half<gate>half")
    with httpd.raw() as client:
        client.send(head("POST", target, "Content-Length: 5", "Expect: 100-continue"))
        text = client.receive(b"half")
        assert nothing_comes(client.socket, 1.5)
        raw.open(f"{name}.1")
        text += client.receive(b"half")
    assert b" 100 " not in text and text.endswith(b"halfhalf")


@pytest.mark.mpm
def test_app_that_does_not_want_the_body(raw, httpd):
    """The client never sends it, and its connection cannot be used again."""
    for status in ("417 Expectation Failed", "413 Content Too Large"):
        target, _ = raw.answer(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno")
        with httpd.raw() as client:
            client.send(head("POST", target, "Content-Length: 5000000",
                             "Expect: 100-continue"))
            text, body = content(client.receive())
        assert text.startswith(f"HTTP/1.1 {status}") and body == b"no"
        assert " 100 " not in text and "connection: close" in text.lower()


@pytest.mark.mpm
def test_early_answer_stops_an_upload(raw, httpd):
    """It arrives although most of the body never came."""
    target, _ = raw.answer("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno",
                           then="hang")
    with httpd.raw() as client:
        client.send(head("POST", target, "Content-Length: 50000000"))
        client.send(data(500000))
        text, body = content(client.receive())
    assert text.startswith("HTTP/1.1 401 ") and body == b"no"
    assert "connection: close" in text.lower()


def test_early_answer_of_an_app_that_resets(raw, httpd):
    """What it said counts, also when sending to it fails."""
    httpd.allow("app raw")
    target, _ = raw.answer("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n"
                           "Connection: close\r\n\r\nno")
    answered = 0
    for _ in range(5):
        with httpd.raw() as client:
            client.send(head("POST", target, "Content-Length: 50000000"))
            try:
                for piece in pieces(data(2000000)):
                    client.send(piece)
            except OSError:
                pass
            try:
                answered += client.receive().startswith(b"HTTP/1.1 413 ")
            except ConnectionError:
                pass
    # The kernel may throw away what was received when the reset arrives.
    assert answered >= 1


@pytest.mark.mpm
@pytest.mark.parametrize("name", TRUNCATED)
def test_truncation_is_visible(raw, httpd, name):
    line = "app raw, process .*: it broke its answer off"
    httpd.allow(line)
    for then in ("close", "reset"):
        broken_off(raw, httpd, TRUNCATED[name], then)
    wait_for(lambda: len(re.findall(line, httpd.recent_log())) == 2, what="two log lines")
    assert httpd.get("/raw/pid").status == 200


def broken_off(raw, httpd, sent, then):
    target, gate = raw.answer(HEAD_OK + sent, then=then)
    with httpd.raw() as client:
        client.send(head("GET", target))
        start = client.receive(b"half")
        assert start.startswith(b"HTTP/1.1 200 ")
        raw.open(f"{gate}.1")
        rest = client.receive()     # to the end: the connection is closed
    assert b"0\r\n\r\n" not in rest and b"HTTP/1.1" not in rest


def test_truncation_before_anything_was_passed_on(raw, httpd):
    """Either a page that says so, or an answer that is visibly incomplete."""
    httpd.allow("app raw, process")
    for then in ("close", "reset"):
        target, _ = raw.answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", then)
        try:
            assert httpd.get(target).status == 502
        except http.client.IncompleteRead as e:
            assert e.partial in (b"", b"half")


MALFORMED = {
    "no http": "220 mail.example ESMTP\r\n\r\n",
    "http/2": "HTTP/2 200 OK\r\n\r\n",
    "status of two digits": "HTTP/1.1 20 OK\r\n\r\n",
    "status 099": "HTTP/1.1 099 Near\r\n\r\n",
    "status 099": "HTTP/1.1 099 Low\r\n\r\n",
    "space before colon": HEAD_OK + "X-A : 1\r\nContent-Length: 0\r\n\r\n",
    "folded line": HEAD_OK + "X-A: 1\r\n and more\r\nContent-Length: 0\r\n\r\n",
    "name is no token": HEAD_OK + "X(A): 1\r\nContent-Length: 0\r\n\r\n",
    "no colon": HEAD_OK + "X-A\r\nContent-Length: 0\r\n\r\n",
    "nul": HEAD_OK + "X-A: a\0b\r\nContent-Length: 0\r\n\r\n",
    "bare cr": HEAD_OK + "X-A: a\rX-B: b\r\nContent-Length: 0\r\n\r\n",
    "differing lengths": HEAD_OK + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "differing lengths in one": HEAD_OK + "Content-Length: 1, 2\r\n\r\nab",
    "negative length": HEAD_OK + "Content-Length: -1\r\n\r\n",
    "length with a sign": HEAD_OK + "Content-Length: +1\r\n\r\na",
    "length too large": HEAD_OK + "Content-Length: 99999999999999999999\r\n\r\n",
    "unknown coding": HEAD_OK + "Transfer-Encoding: gzip\r\n\r\n",
    "chunked not last": HEAD_OK + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": HEAD_OK + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "line too long": HEAD_OK + "X-A: " + "a" * 20000 + "\r\n\r\n",
    "head too large": HEAD_OK + ("X-A: " + "a" * 8000 + "\r\n") * 20 + "\r\n",
    "too many fields": HEAD_OK + "X-A: 1\r\n" * 1000 + "\r\n",
    "cut head": HEAD_OK + "Content-Le",
    "unasked 101": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n"
                   "Connection: upgrade\r\n\r\n",
}


def test_malformed_responses(raw, httpd):
    httpd.allow("app raw, process")
    wrong = {}
    for name, sent in MALFORMED.items():
        answer = httpd.get(raw.answer(sent)[0])
        if answer.status != 502 or "502.3" not in answer.text or answer.header("X-A"):
            wrong[name] = answer
    assert not wrong
    assert httpd.get("/raw/pid").status == 200


def test_closed_without_an_answer(raw, httpd):
    httpd.allow("app raw, process")
    target, _ = raw.answer("")
    answer = httpd.get(target, method="POST", body=b"x")
    assert answer.status == 502 and "502.3" in answer.text


def test_equal_lengths_are_one(raw, httpd):
    target, _ = raw.answer(HEAD_OK + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok")
    assert httpd.get(target).text == "ok"


def test_line_feeds_alone_are_line_ends(raw, httpd):
    target, _ = raw.answer("HTTP/1.1 200 OK\nContent-Length: 2\nX-A: 1\n\nok")
    answer = httpd.get(target)
    assert answer.text == "ok" and answer.header("X-A") == "1"


def test_length_beside_chunked(raw, httpd):
    """The coding counts, and the connection is not used again (RFC 9112 6.3)."""
    target, _ = raw.answer(HEAD_OK + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"
                           "\r\n2\r\nok\r\n0\r\n\r\n", then="keep")
    answer = httpd.get(target)
    assert answer.text == "ok" and answer.header("Content-Length") != "3"
    raw.wait_event("closed")


def test_head_in_single_bytes(raw, httpd):
    text = "HTTP/1.1 201 Made\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok"
    target, name = raw.answer("<gate>".join(text))
    for i in range(1, len(text)):
        raw.open(f"{name}.{i}")
    answer = httpd.get(target)
    assert (answer.status, answer.reason, answer.text) == (201, "Made", "ok")


def test_response_head_is_kept(raw, httpd):
    target, _ = raw.answer(
        "HTTP/1.1 299 Very Special\r\nServer: raw/1.0\r\n"
        "Date: Sat, 01 Jan 2000 00:00:00 GMT\r\nX-Twice: a\r\nX-Twice: b\r\n"
        "Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nETag: W/\"1\"\r\n"
        "Content-Type: text/x-special; charset=latin-9\r\nX-Empty:\r\n"
        "Content-Length: 2\r\n\r\nok")
    answer = httpd.get(target)
    assert (answer.status, answer.reason) == (299, "Very Special")
    assert answer.header("Server") == "raw/1.0"
    assert answer.header("Date") == "Sat, 01 Jan 2000 00:00:00 GMT"
    assert answer.header("X-Twice") == "a, b"
    assert [v for n, v in answer.headers if n == "Set-Cookie"] == ["a=1; Path=/", "b=2"]
    assert answer.header("ETag") == 'W/"1"'
    assert answer.header("Content-Type") == "text/x-special; charset=latin-9"
    assert answer.header("X-Empty") == ""


def test_status_without_a_reason(raw, httpd):
    target, _ = raw.answer("HTTP/1.1 299\r\nContent-Length: 2\r\n\r\nok")
    answer = httpd.get(target)
    assert answer.status == 299 and answer.text == "ok"


def test_error_pages_of_the_app_are_its_own(raw, httpd):
    for status in (400, 404, 418, 500, 502, 503, 599):
        target, _ = raw.answer(f"HTTP/1.1 {status} Mine\r\nContent-Length: 4\r\n"
                               "Content-Type: text/x-mine\r\n\r\nmine")
        answer = httpd.get(target)
        assert (answer.status, answer.reason, answer.text) == (status, "Mine", "mine")
        assert answer.header("Content-Type") == "text/x-mine"


def test_hop_by_hop_fields_end_here(raw, httpd):
    target, _ = raw.answer(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
        "Keep-Alive: timeout=77\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\n"
        "TE: trailers\r\nX-Stays: 1\r\nContent-Length: 2\r\n\r\nok", then="keep")
    with httpd.raw() as client:
        client.send(head("GET", target, "Connection: close"))
        text = client.receive().decode().lower()
    for name in ("x-hop", "timeout=77", "proxy-connection", "upgrade", "\r\nte:"):
        assert name not in text
    assert "x-stays: 1" in text and "connection: close" in text


def test_sendfile_headers_never_reach_the_client(raw, httpd):
    target, _ = raw.answer("HTTP/1.1 200 OK\r\nX-Sendfile: /etc/passwd\r\n"
                           "X-Accel-Redirect: /etc/passwd\r\nContent-Length: 2\r\n\r\nok")
    answer = httpd.get(target)
    assert answer.text == "ok"
    assert not [n for n, _ in answer.headers if n.lower().startswith(("x-send", "x-acc"))]


@pytest.mark.mpm
@pytest.mark.parametrize("name", ["raw", "fd", "own"])
def test_one_connection_serves_many_requests(httpd, name):
    app = httpd.made[name]
    connection = http.client.HTTPConnection("127.0.0.1", httpd.port, timeout=10)
    connection.request("GET", f"/{name}/pid")
    connection.getresponse().read()
    app.forget()
    for i in range(50):
        if i % 2:
            connection.request("GET", f"/{name}/big?n=5000&framing=chunked")
        else:
            connection.request("POST", f"/{name}/digest", body=b"x" * i)
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read()
    connection.close()
    assert len(app.events("request")) == 50
    assert len(app.events("connection")) <= 1
    assert len({e["conn"] for e in app.events("request")}) <= 2


def test_app_that_closes_after_every_answer(raw, httpd):
    target, _ = raw.answer("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n"
                           "\r\nok")
    connection = http.client.HTTPConnection("127.0.0.1", httpd.port, timeout=10)
    for i in range(30):
        connection.request("POST" if i % 2 else "GET", target)
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read() == b"ok"
        assert answer.getheader("Connection") is None
    connection.close()
    assert len({e["conn"] for e in raw.events("request")}) == 30


def test_http_1_0_app(raw, httpd):
    target, _ = raw.answer("HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\nold")
    for _ in range(3):
        answer = httpd.get(target)
        assert answer.status == 200 and answer.text == "old"


@pytest.mark.mpm
def test_app_that_leaves_without_a_word(raw, httpd):
    """What the app closed meanwhile is not used, not even for a POST."""
    for i in range(20):
        method = ("GET", "POST")[i % 2]
        assert httpd.get("/raw/quit_after", method=method).text == "bye"
        raw.wait_event("left", count=i + 1)
    assert len(raw.events("request")) == 20


def test_closed_in_the_moment_of_a_get(raw, httpd):
    """No time is left to notice: the request goes again, on a fresh connection."""
    answers = [httpd.get("/raw/quit_after") for _ in range(100)]
    assert {a.text for a in answers} == {"bye"}
