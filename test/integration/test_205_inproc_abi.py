# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""What appcore.h promises for a request that is through when handle() returns, to
clients of HTTP/1.1, of HTTP/1.1 over TLS, and of HTTP/2."""

import json
import os
import re
import socket
import subprocess
import time

import pytest

import env as environment
import probe
import processes
from probe import (ABSENT, AGAIN, FAILED, GONE, INVALID, NOTICED, OK, UNSUPPORTED, WAYS,
                   WAYS_1, address, ask, curl, curl_command, digest, pattern)
from processes import wait_for

pytestmark = pytest.mark.mpm
LIMIT = 50000
CURL_TIMEOUT = 28


@pytest.fixture(scope="module")
def httpd(env):
    env.made = probe.Probe(
        env, "probe", 'AppCoreArguments "one \\"two words\\""',
        "AppCoreEnvironmentVariable GREETING hello",
        "AppCoreHandlerSetting stackSize 1000000", "AppCoreShutdownTimeLimit 7")
    env.modules += ["log_config", "setenvif", "env", "alias"]
    protocols, tls = probe.protocols(env), probe.tls_conf(
        env, "SSLOptions +StdEnvVars", "AppCoreMount /probe probe")
    env.write("htdocs", "there.txt", text="a file")
    for name, mode in (("open", 0o644), ("closed", 0o600)):
        with open(env.path("files", name), "wb") as f:
            f.write(pattern(300000))
        os.chmod(env.path("files", name), mode)
    hints = "H2EarlyHints on" if protocols else ""
    env.start(f"""{protocols}{hints}
Timeout 4
AllowEncodedSlashes NoDecode
SetEnv FROM_CONF one
LogFormat "%U|%>s|%B|%{{PROBE_VAR}}e|%{{appcore-substatus}}n|%X" probe
CustomLog {env.path("access.log")} probe
Alias /probe/declined {env.path("htdocs", "there.txt")}
<Directory {env.path("htdocs")}>
    Require all granted
</Directory>
<LocationMatch "^/probe/.*/limited">
    LimitRequestBody {LIMIT}
</LocationMatch>
{env.made.conf()}{tls}""")
    return env


def logged(httpd, path):
    """Fields of the access log's line of that path."""
    def find():
        with open(httpd.path("access.log"), encoding="utf-8") as f:
            found = [line.strip().split("|") for line in f if line.startswith(path + "|")]
        return found[-1:]
    return wait_for(find, what=f"a line of the access log for {path}")[0]


def broken(answer):
    """curl saw that the answer was cut off, and did not wait in vain."""
    return answer.code not in (0, CURL_TIMEOUT)


# The request

@pytest.mark.parametrize("way", WAYS)
def test_hello(app, httpd, way):
    answer = curl(httpd, way, "/probe/hello")
    assert (answer.status, answer.text) == (200, "hello\n")
    assert answer.header("Content-Length") == "6"
    assert answer.header("Content-Type") == "text/plain"
    assert answer.header("Date") and answer.header("Server")


@pytest.mark.parametrize("way", WAYS)
def test_info(app, httpd, way):
    target = "/probe/info/a%20b/%2f/c;d?x=%20y&z"
    answer = curl(httpd, way, target, "-H", "X-One: 1", "-H", "X-Two: a  b")
    info = answer.json()
    port = httpd.port2 if way == "https" else httpd.port
    assert info["method"] == "GET"
    assert info["protocol"] == ("HTTP/2.0" if way == "h2" else "HTTP/1.1")
    assert info["scheme"] == ("https" if way == "https" else "http")
    assert info["authority"] == f"127.0.0.1:{port}"
    assert info["target"] == target
    assert info["path_base"] == "/probe"
    assert info["path"].lower() == "/info/a b/%2f/c;d"
    assert info["query"] == "x=%20y&z"
    assert info["remote_address"] == info["local_address"] == "127.0.0.1"
    assert info["local_port"] == port and info["remote_port"] > 0
    assert info["request_id"] and info["connection_id"]
    assert info["user"] == info["auth_type"] == info["connect_protocol"] == ""
    assert info["content_length"] in (0, -1)
    assert bool(info["flags"] & probe.TLS) == (way == "https")
    assert bool(info["flags"] & probe.UPGRADABLE) == (way != "h2")
    assert bool(info["flags"] & probe.TRAILERS) == (way == "h2")
    assert bool(info["flags"] & probe.BLOCKING) == (way == "h2")
    assert not info["flags"] & (probe.HAS_BODY | probe.UPGRADE_ASKED | probe.CONNECT
                                | probe.EXPECTS_100)
    fields = {n.lower(): v for n, v in info["fields"]}
    assert fields["x-one"] == "1" and fields["x-two"] == "a  b"


@pytest.mark.parametrize("way", WAYS_1)
def test_connection_id(app, httpd, way):
    """The same for all requests of a connection, and no other's."""
    command = curl_command(httpd, way, "/probe/info", "-w", r"\n",
                           address(httpd, way, "/probe/info"))
    ids = []
    for _ in range(2):
        lines = subprocess.run(command, capture_output=True, timeout=60,
                               check=True).stdout.split(b"\n")
        first, second = (json.loads(line)["connection_id"] for line in lines if line)
        assert first == second
        ids.append(first)
    assert ids[0] != ids[1]


def test_the_path_at_the_mount_itself(app, httpd):
    info = httpd.get("/probe/info").json()
    assert (info["path_base"], info["path"], info["query"]) == ("/probe", "/info", "")
    assert httpd.get("/probe").text == httpd.get("/probe/").text == "hello\n"


def test_fields_keep_their_order_and_number(app, httpd):
    with ask(httpd, "http", "GET", "/probe/info", "X-A: 1", "X-B: 2", "X-A: 3",
             "X-Empty:") as raw:
        fields = raw.response().json()["fields"]
    assert [f for f in fields if f[0].startswith("X-")] == [
        ["X-A", "1"], ["X-B", "2"], ["X-A", "3"], ["X-Empty", ""]] \
        or [f for f in fields if f[0].startswith("X-")] == [
            ["X-A", "1, 3"], ["X-B", "2"], ["X-Empty", ""]]


@pytest.mark.parametrize("way", WAYS)
def test_a_body_is_announced(app, httpd, way):
    info = curl(httpd, way, "/probe/info?read=1", data=b"12345").json()
    assert info["method"] == "POST" and info["content_length"] == 5
    assert info["flags"] & probe.HAS_BODY
    unknown = curl(httpd, way, "/probe/info?read=1", "-H", "Transfer-Encoding: chunked",
                   data=b"12345").json()
    if way != "h2":
        assert unknown["content_length"] == -1
    assert unknown["flags"] & probe.HAS_BODY


def test_the_upgrade_that_a_client_asks_for(app, httpd):
    lines = ("Connection: Upgrade", "Upgrade: echo")
    with ask(httpd, "http", "GET", "/probe/info", *lines) as raw:
        info = raw.response().json()
    assert info["flags"] & probe.UPGRADE_ASKED and info["flags"] & probe.UPGRADABLE


def test_config(app, httpd):
    config = httpd.get("/probe/config").json()
    assert config["version"] == config["host_version"] == 1
    assert config["name"] == "probe" and config["folder"] == app.folder
    assert config["file"] == app.folder + "/probe.so"
    assert config["path_base"] == "/probe"
    assert ["GREETING", "hello"] in config["environment"]
    assert ["stackSize", "1000000"] in config["settings"]
    assert config["arguments"] == ["one", "two words"]
    assert f"http://localhost:{httpd.port}/probe" in config["addresses"]
    assert config["workers"] == {"prefork": 1}.get(environment.MPM, 16)
    assert config["processes"] == {"prefork": 16}.get(environment.MPM, 4)
    assert (config["startup_ms"], config["shutdown_ms"]) == (120000, 7000)


# Bodies

@pytest.mark.parametrize("way", WAYS)
def test_reading_a_body(app, httpd, way):
    for size in (0, 1, 100000, 3000000):
        for framing in ((), ("-H", "Transfer-Encoding: chunked")):
            answer = curl(httpd, way, "/probe/digest", *framing, data=pattern(size))
            assert answer.text == f"{digest(pattern(size))} 0"


@pytest.mark.parametrize("way", WAYS)
def test_body_that_nobody_reads(app, httpd, way):
    """More of it than a client may send on a stream before somebody reads."""
    answer = curl(httpd, way, "/probe/hello", data=pattern(90000))
    assert answer.code == 0 and answer.text == "hello\n"


@pytest.mark.parametrize("way", WAYS)
def test_echo(app, httpd, way):
    answer = curl(httpd, way, "/probe/echo", data=pattern(2000000))
    assert answer.code == 0 and answer.body == pattern(2000000)


@pytest.mark.parametrize("way", WAYS)
def test_writing(app, httpd, way):
    for options in ("", "&length=1", "&flush=1", "&piece=1000&length=1",
                    "&piece=3000000"):
        answer = curl(httpd, way, f"/probe/big?n=1234567{options}")
        assert answer.code == 0 and answer.body == pattern(1234567)
        if "length" in options:
            assert answer.header("Content-Length") == "1234567"
    answer = curl(httpd, way, "/probe/pieces?n=1000001")
    assert answer.body == pattern(1000001) and answer.header("X-Pieces") == "4"
    assert answer.header("Content-Length") == "1000001"


@pytest.mark.parametrize("way", WAYS)
def test_head(app, httpd, way):
    for path in ("hello", "pieces?n=5000", "big?n=5000&length=1", "big?n=5000"):
        answer = curl(httpd, way, f"/probe/{path}", "-I")
        assert (answer.code, answer.status) == (0, 200)
    assert curl(httpd, way, "/probe/pieces?n=5000", "-I").header("Content-Length") \
        == "5000"


def test_no_body_follows_head(app, httpd):
    with probe.connect(httpd, "http") as raw:
        for path in ("hello", "pieces?n=5000", "big?n=5000", "status?code=204"):
            raw.send(probe.head("HEAD", f"/probe/{path}"))
            text = raw.receive(b"\r\n\r\n")
            assert text.startswith(b"HTTP/1.1 20") and text.endswith(b"\r\n\r\n")
        raw.send(probe.head("GET", "/probe/hello"))
        assert raw.response().text == "hello\n"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_that_nobody_reads(app, httpd, framing):
    """The connection goes on with the next request, or is closed in order."""
    body = pattern(30000)
    line = f"Content-Length: {len(body)}"
    if framing == "chunked":
        line, body = "Transfer-Encoding: chunked", b"7530\r\n" + body + b"\r\n0\r\n\r\n"
    with ask(httpd, "http", "POST", "/probe/hello", line, body=body) as raw:
        assert raw.response().text == "hello\n"
        raw.send(probe.head("GET", "/probe/pid"))
        assert raw.response().text.isdigit()


def test_a_body_that_is_no_http(app, httpd):
    with ask(httpd, "http", "POST", "/probe/digest", "Transfer-Encoding: chunked",
             body=b"zz\r\n") as raw:
        answer = raw.receive()
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.endswith(b"\r\n\r\nrefused\n")
    assert app.events("read")[0]["result"] == probe.MALFORMED


@pytest.mark.parametrize("route", ["echo", "echo-async"])
def test_an_answer_to_a_body_that_is_no_http(app, httpd, route):
    """Once it has begun it breaks off; the end of the body is not that of the answer."""
    httpd.allow("app probe")
    with ask(httpd, "http", "POST", f"/probe/{route}", "Transfer-Encoding: chunked",
             body=b"5\r\nhello\r\n") as raw:
        text = raw.receive(b"hello")
        raw.send("zz\r\n")
        text += raw.receive()
    assert text.endswith(b"\r\n5\r\nhello\r\n")


def test_a_client_that_is_silent(app, httpd):
    with ask(httpd, "http", "POST", "/probe/digest", "Content-Length: 10",
             body=b"1") as raw:
        assert raw.response().status == 408
    assert app.events("read")[0]["result"] == probe.TIMEOUT


def test_a_body_that_breaks_off(app, httpd):
    raw = ask(httpd, "http", "POST", "/probe/digest?tag=half", "Content-Length: 10",
              body=b"12345")
    raw.socket.shutdown(socket.SHUT_WR)
    event = app.wait_event("read", tag="half")
    assert event["result"] == GONE
    raw.socket.close()


@pytest.mark.parametrize("way", WAYS)
def test_the_app_limits_a_body(app, httpd, way):
    assert curl(httpd, way, "/probe/limit?size=100", data=b"x" * 100).text == "100"
    event = app.events("limit")[-1]
    assert (event["before"], event["after"]) == (OK, INVALID)
    answer = curl(httpd, way, "/probe/limit?size=100", data=b"x" * 101)
    assert answer.status == 413
    assert app.events("limit")[-1]["read"] == probe.TOO_LARGE
    chunked = curl(httpd, way, "/probe/limit?size=100", "-H",
                   "Transfer-Encoding: chunked", data=b"x" * 60000)
    assert chunked.status == 413


def test_httpd_limits_a_body(app, httpd):
    target = "/probe/digest/limited"
    httpd.allow("Requested content-length", "AH01587", "AH01588")
    assert curl(httpd, "http", target, data=b"x" * LIMIT).status == 200
    assert curl(httpd, "http", target, data=b"x" * (LIMIT + 1)).status == 413
    answer = curl(httpd, "http", target, "-H", "Transfer-Encoding: chunked",
                  data=b"x" * 300000)
    assert (answer.status, answer.text) == (413, "refused\n")
    assert app.events("read")[-1]["result"] == probe.TOO_LARGE


def test_httpd_limits_the_body_of_an_answer(app, httpd):
    """That has begun before the body was read."""
    answer = curl(httpd, "http", "/probe/answer-first/limited", "-H",
                  "Transfer-Encoding: chunked", data=b"x" * 300000)
    assert answer.text.startswith("first ")
    assert answer.text.endswith(f" {probe.TOO_LARGE}")


def test_expect_100_continue(app, httpd):
    line = ("Content-Length: 3", "Expect: 100-continue")
    with ask(httpd, "http", "POST", "/probe/digest", *line) as raw:
        assert raw.receive(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        raw.send("abc")
        assert raw.response().text == f"{digest(b'abc')} 0"
    with ask(httpd, "http", "POST", "/probe/expect", *line) as raw:
        assert raw.response().status == 417


def test_no_100_within_an_answer(app, httpd):
    """An app may begin its answer first; then it is too late for an interim one."""
    with ask(httpd, "http", "POST", "/probe/answer-first", "Content-Length: 3",
             "Expect: 100-continue", "Connection: close") as raw:
        text = raw.receive(b"first ")
        raw.send("abc")
        text += raw.receive()
    assert b"HTTP/1.1 100 " not in text and b"3 0" in text


def test_a_client_that_takes_nothing(app, httpd):
    """It is given up at Timeout, and no read waits for it after that."""
    with ask(httpd, "http", "POST", "/probe/deaf", "Content-Length: 3"):
        event = app.wait_event("async", 20, name="deaf")
        assert event["result"] == FAILED
    last = app.events("deaf")[-1]
    assert last["read"] == GONE and last["ms"] < 1000
    assert all(event["read"] == AGAIN for event in app.events("deaf")[:-1])


# The answer

@pytest.mark.parametrize("way", WAYS)
def test_status(app, httpd, way):
    for status in (200, 201, 404, 418, 500, 599, 999):
        answer = curl(httpd, way, f"/probe/status/{status}?code={status}&body=mine")
        assert (answer.status, answer.text) == (status, "mine")
        assert logged(httpd, f"/probe/status/{status}")[1] == str(status)


@pytest.mark.parametrize("way", WAYS)
def test_status_without_a_body(app, httpd, way):
    for status in (204, 304):
        answer = curl(httpd, way, f"/probe/status?code={status}")
        assert (answer.code, answer.status, answer.body) == (0, status, b"")


def test_status_that_is_none(app, httpd):
    for status in (0, 99, 100, 101, 199, 1000, -1):
        answer = httpd.get(f"/probe/status?code={status}")
        assert (answer.status, answer.text) == (200, str(INVALID))


def test_reason(app, httpd):
    answer = httpd.get("/probe/status?code=200&reason=Very%20Well")
    assert (answer.status, answer.reason) == (200, "Very Well")
    assert httpd.get("/probe/status?code=404").reason == "Not Found"
    answer = httpd.get("/probe/status?code=200&reason=a%0d%0aX-B:%20b")
    assert answer.text == str(INVALID) and answer.header("X-B") is None


@pytest.mark.parametrize("way", WAYS)
def test_fields_of_the_answer(app, httpd, way):
    answer = curl(httpd, way, "/probe/field?name=Set-Cookie&value=a=1&times=3")
    assert [v for n, v in answer.headers if n.lower() == "set-cookie"] == ["a=1"] * 3
    answer = curl(httpd, way, "/probe/field?name=Server&value=probe/1")
    assert answer.header("Server") == "probe/1"
    for name, value in (("Connection", "close"), ("Transfer-Encoding", "chunked"),
                        ("Keep-Alive", "x")):
        answer = curl(httpd, way, f"/probe/field?name={name}&value={value}")
        assert answer.code == 0 and answer.status == 200
        assert answer.header("Content-Length") == "0" or answer.text == "refused"


def test_fields_that_would_split_the_answer(app, httpd):
    for way in ("http", "h2") if probe.HAS_HTTP2 else ("http",):
        results = curl(httpd, way, "/probe/bad-field").text.split()
        assert set(results[0::3]) == set(results[1::3]) == {str(INVALID)}
        assert set(results[2::3]) == {str(INVALID if way == "h2" else UNSUPPORTED)}


@pytest.mark.parametrize("way", WAYS)
def test_trailers(app, httpd, way):
    answer = curl(httpd, way, "/probe/trailers", "-H", "TE: trailers")
    assert answer.code == 0 and answer.body == b"body"
    event = app.events("trailer")[-1]
    assert event["promised"] == (way == "h2")
    assert event["result"] == (OK if way == "h2" else UNSUPPORTED)
    if way == "h2":
        assert "x-sum: 77" in answer.trailers


@pytest.mark.parametrize("way", WAYS)
def test_interim_answers(app, httpd, way):
    answer = curl(httpd, way, "/probe/inform")
    assert answer.interim == (103,) and answer.status == 200
    assert answer.text == f"{OK} {INVALID} {INVALID} {INVALID}"


def test_the_form_of_an_interim_answer(app, httpd):
    with ask(httpd, "http", "GET", "/probe/inform", "Connection: close") as raw:
        interim, final, _ = raw.receive().decode().lower().split("\r\n\r\n")
    assert interim.startswith("http/1.1 103 ") and "\r\nlink: " in interim
    assert "content-length" not in interim
    assert final.startswith("http/1.1 200 ")


def test_no_interim_answer_to_http_1_0(app, httpd):
    answer = curl(httpd, "http", "/probe/inform", "--http1.0")
    assert answer.interim == () and answer.text.startswith(f"{OK} ")


@pytest.mark.parametrize("way", WAYS)
def test_sendfile(app, httpd, way):
    path = httpd.path("files", "open")
    data = pattern(300000)
    for query, expected in (
            ("", data), ("&offset=1000", data[1000:]), ("&length=5", data[:5]),
            ("&offset=299999&length=1", data[-1:]), ("&offset=300000", b""),
            ("&length=0", b""), ("&before=abc", b"abc" + data),
            ("&before=abc&after=xyz&last=0&offset=7&length=9", b"abc" + data[7:16]
             + b"xyz")):
        answer = curl(httpd, way, f"/probe/sendfile?path={path}{query}")
        assert answer.code == 0 and answer.body == expected, query


@pytest.mark.parametrize("way", WAYS)
def test_sendfile_that_must_not_wait(app, httpd, way):
    """Where httpd has to read the file itself the app is told to do so."""
    path = httpd.path("files", "open")
    answer = curl(httpd, way, f"/probe/sendfile?path={path}&nonblock=1")
    assert answer.body == (pattern(300000) if way == "http" else b"%d" % UNSUPPORTED)


@pytest.mark.parametrize("way", WAYS)
def test_files_are_closed(httpd, way):
    """Also where httpd keeps what the client has not taken yet, or HTTP/2 does."""
    path = httpd.write("files", "many-times", text="x" * 3_000_000)
    for _ in range(5):
        assert len(curl(httpd, way, f"/probe/sendfile?path={path}").body) == 3_000_000
    wait_for(lambda: not any((processes.descriptors(p.pid) or {}).get(path)
                             for p in httpd.workers()), what="the end of all files")


def test_sendfile_of_what_cannot_be_sent(app, httpd):
    httpd.allow("closed", "nonexistent")
    unreadable = [httpd.path("files", "closed")] if environment.AS_ROOT else []
    for path in [*unreadable, "/nonexistent", "/tmp", "relative", "/dev/zero"]:
        answer = httpd.get(f"/probe/sendfile?path={path}")
        assert answer.status == 200 and int(answer.text) == ABSENT, path
    path = httpd.path("files", "open")
    for query in ("&offset=300001", "&offset=-1", "&length=300001", "&length=-2"):
        answer = httpd.get(f"/probe/sendfile?path={path}{query}")
        assert int(answer.text) == INVALID, query


# What else there is

@pytest.mark.parametrize("way", WAYS)
def test_variables(app, httpd, way):
    def var(query):
        return curl(httpd, way, f"/probe/var?{query}").text
    assert var("name=FROM_CONF") == f"{OK} {OK} one"
    assert var("name=NO_SUCH_THING") == f"{OK} {ABSENT} "
    assert var("name=PROBE_VAR&set=two") == f"{OK} {OK} two"
    assert logged(httpd, "/probe/var")[3] == "two"
    assert var("name=FROM_CONF&unset=1") == f"{OK} {ABSENT} "
    if way == "https":
        assert var("name=HTTPS") == f"{OK} {OK} on"
        assert var("name=SSL_PROTOCOL").startswith(f"{OK} {OK} TLSv1")
        assert var("name=SSL_CIPHER").startswith(f"{OK} {OK} ")


def test_log(app, httpd):
    answer = httpd.get("/probe/log?level=6&text=for%20your%20information")
    level = int(answer.text)
    assert level == 6       # LogLevel info
    httpd.wait_log(r"\[appcore:info\].*app probe.*for your information")
    httpd.get("/probe/log?level=4&text=take%20care&app=1")
    httpd.wait_log(r"\[appcore:warn\].*app probe.*take care")
    httpd.get("/probe/log?level=7&text=not%20seen")
    httpd.get("/probe/log?level=6&text=one%0atwo%1b%ff")
    httpd.wait_log(r"app probe: one\\ntwo\\x1b\\xff\n")
    assert "not seen" not in httpd.recent_log() and "\x1b" not in httpd.recent_log()


def test_the_connection_is_closed(app, httpd):
    with ask(httpd, "http", "GET", "/probe/close") as raw:
        assert "close" in raw.response().header("Connection")
        assert raw.receive() == b""


def test_the_connection_is_kept(app, httpd):
    with probe.connect(httpd, "http") as raw:
        for path in ("hello", "big?n=100000", "digest", "var?name=A", "inform"):
            raw.send(probe.head("GET", f"/probe/{path}"))
            assert raw.response().status == 200 or path == "inform"


@pytest.mark.parametrize("way", WAYS)
def test_declined(app, httpd, way):
    """Then httpd goes on: here with a file, or without one."""
    assert curl(httpd, way, "/probe/declined").text == "a file"
    assert curl(httpd, way, "/probe/no-such-route").status == 404


@pytest.mark.parametrize("way", WAYS)
def test_no_answer(app, httpd, way):
    httpd.allow("app probe")
    paths = ("nothing", "pending-nothing", "failed", "nonsense", "nonsense?value=-1",
             "nonsense?value=2147483647", "nonsense?value=-200", "nonsense?value=-201",
             "read-declined", "complete-failed")
    for path in paths:
        answer = curl(httpd, way, f"/probe/{path}")
        assert answer.code == 0 and answer.status == 500, path
    assert len(re.findall(r"\[appcore:error\].*app probe", httpd.recent_log())) \
        == len(paths)


@pytest.mark.parametrize("way", WAYS)
def test_half_an_answer_is_no_answer(app, httpd, way):
    httpd.allow("app probe")
    for path in ("failed?begun=1", "nonsense?begun=1", "short",
                 "complete-failed?begun=1"):
        answer = curl(httpd, way, f"/probe/{path}")
        assert broken(answer), answer
        assert answer.body in (b"begun", b"too little", b"")


@pytest.mark.parametrize("way", WAYS)
def test_more_than_was_announced(app, httpd, way):
    answer = curl(httpd, way, "/probe/long")
    assert answer.code == 0 and answer.text == "12345"
    event = app.wait_event("long")
    assert (event["first"], event["second"]) == (5, INVALID)


@pytest.mark.parametrize("way", WAYS)
def test_the_app_cuts_the_client_off(app, httpd, way):
    for query in ("", "?begun=1"):
        began = time.monotonic()
        assert broken(curl(httpd, way, f"/probe/abort{query}"))
        # Beside that, a program was started for it, and a handshake made.
        assert time.monotonic() - began < NOTICED + 2
        event = app.wait_event("abort", count=1 + bool(query))
        assert (event["result"], event["aborted"], event["write"]) == (OK, 1, GONE)


def test_rules_within_a_request(app, httpd):
    lines = dict(line.split(": ") for line in
                 httpd.get("/probe/rules").text.strip().split("\n"))
    results = {name: int(value) for name, value in lines.items()}
    assert results.pop("started") == OK
    for name in ("sendfile of nothing", "sendfile of a folder", "unknown variable"):
        assert results.pop(name) == ABSENT
    assert set(results.values()) == {INVALID}, results
    event = app.wait_event("rules")
    assert (event["after_last"], event["last_trailer"]) == (INVALID, UNSUPPORTED)


def test_requests_that_never_were(app, httpd):
    for line in httpd.get("/probe/invented").text.strip().split("\n"):
        assert set(line.split()) == {str(GONE)}


def test_a_request_that_is_over(app, httpd):
    assert httpd.get("/probe/after").text == "after"
    event = app.wait_event("after")
    assert set(event["results"].split()) == {str(GONE)}
    assert len(event["results"].split()) == 17


def test_the_substatus_of_an_answer_is_its_own(app, httpd):
    httpd.get("/probe/hello")
    assert logged(httpd, "/probe/hello")[4] == "-"
