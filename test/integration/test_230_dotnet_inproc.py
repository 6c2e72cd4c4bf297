# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""An unmodified ASP.NET Core app inside of httpd's child: what it sees of requests and
what clients see of its answers, whichever thread gives them."""

import base64
import concurrent.futures
import gzip
import hashlib
import json
import os
import socket
import ssl
import struct
import time

import pytest

import dotnet
import env as environment
import inproc
import websocket
from probe import NOTICED
from processes import wait_for
from tls import Authority

pytestmark = [pytest.mark.mpm, pytest.mark.skipif(
    environment.MPM == "prefork" or not Authority.available()
    or not os.path.exists(environment.MODULE_DIR + "/mod_ssl.so"),
    reason="needs an MPM with threads, mod_ssl and openssl")]

# Of one child, in which tests find what others left.
WORKERS = 16
UNHANDLED = r"app inside: .*(An unhandled exception|on purpose|mismatch|at Program\.|" \
            r"Microsoft\.|AppCore\.|System\.)"


def published():
    return dotnet.project(os.path.join(environment.HERE, "apps", "inside"), "Inside")


@pytest.fixture(scope="module")
def httpd(env):
    env.modules += ["auth_basic", "authn_core", "authn_file", "authz_user",
                    "authz_groupfile", "deflate", "filter", "remoteip", "socache_shmcb",
                    "ssl", "env", "headers"]
    env.always_allowed += [UNHANDLED]
    env.ca = Authority(env.path("files"))
    env.ca.issue("server", "/CN=localhost")
    env.ca.issue("visitor", "/CN=visitor")
    # {SHA} of "secret"
    env.write("files", "users", text="b\u00f6b:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")
    env.write("files", "groups", text="staff: b\u00f6b alice\n")
    folder = dotnet.app(env, "inside", published(),
                        user="root" if env.is_root else None)
    app = inproc.app("inside", folder,
                     "AppCoreEnvironmentVariable Logging__LogLevel__Default Warning",
                     "AppCoreMaxWorkers 100%", "AppCoreAsyncLimit 100", mount="/app")
    waiting = "AsyncRequestWorkerFactor 8\n" if environment.MPM == "event" else ""
    # So that a client that does not read is noticed before much is sent.
    env.start(f"""{waiting}
MaxRequestWorkers {WORKERS}
SendBufferSize 65536
Listen 127.0.0.1:{env.port2}
{app}
<Location /app/who>
    AuthType Basic
    AuthName inside
    AuthUserFile {env.path("files", "users")}
    AuthGroupFile {env.path("files", "groups")}
    Require valid-user
</Location>
<Location /app/packed>
    SetOutputFilter DEFLATE
</Location>
RemoteIPHeader X-Real
RemoteIPInternalProxy 127.0.0.1
SetEnv FROM_HTTPD yes
Header always set X-Variable "expr=%{{reqenv:SET_BY_APP}}"
<VirtualHost *:{env.port2}>
    SSLEngine On
    SSLCertificateFile {env.ca.path("server.pem")}
    SSLCertificateKeyFile {env.ca.path("server.key")}
    SSLCACertificateFile {env.ca.path("ca.pem")}
    SSLVerifyClient optional
    SSLOptions +StdEnvVars +ExportCertData
    AppCoreMount /app inside
</VirtualHost>
""")
    return env


def get(httpd, path, **options):
    return httpd.get("/app" + path, **options)


def text(httpd, path, **options):
    answer = get(httpd, path, **options)
    assert answer.status == 200, answer
    return answer.text


def test_connection(httpd):
    with httpd.raw() as raw:
        raw.send("GET /app/json HTTP/1.1\r\nHost: x\r\n\r\n")
        seen = raw.response().json()
        assert (seen["remote"], seen["remotePort"]) == raw.socket.getsockname()
        raw.send("GET /app/json HTTP/1.1\r\nHost: x\r\nX-Real: 2001:db8::1\r\n\r\n")
        again = raw.response().json()
        assert again["remote"] == "2001:db8::1"
        assert again["connection"] == seen["connection"] != again["trace"]
        assert again["trace"] != seen["trace"]


def counts(httpd):
    return get(httpd, "/counts").json()


# What the app sees

def test_runs_in_the_child_of_httpd(httpd):
    seen = get(httpd, "/json").json()
    assert seen["pid"] in {p.pid for p in httpd.workers()}
    assert not httpd.app_processes()


def test_request(httpd):
    seen = get(httpd, "/json?a=b%20c", headers={"X-Real": "192.0.2.7", "X-Two": "a, b",
                                               "X-Umlaut": "\u00fc".encode()}).json()
    assert (seen["pathBase"], seen["path"], seen["query"]) == ("/app", "/json",
                                                              "?a=b%20c")
    assert seen["target"] == "/app/json?a=b%20c" and seen["protocol"] == "HTTP/1.1"
    assert seen["host"] == f"127.0.0.1:{httpd.port}" and seen["scheme"] == "http"
    assert seen["remote"] == "192.0.2.7" and seen["localPort"] == httpd.port
    assert seen["headers"]["X-Two"] == "a, b" and seen["headers"]["X-Umlaut"] == "\u00fc"
    assert seen["trace"] and seen["connection"]
    assert f"http://localhost:{httpd.port}/app" in seen["addresses"]


def test_addresses_are_those_of_all_virtual_hosts(httpd):
    assert sorted(get(httpd, "/json").json()["addresses"]) == [
        f"http://localhost:{httpd.port}/app", f"https://localhost:{httpd.port2}/app"]


def test_features_are_those_of_iis(httpd):
    seen = set(get(httpd, "/json").json()["features"])
    assert seen >= {
        "IHttpRequestFeature", "IHttpResponseFeature", "IHttpResponseBodyFeature",
        "IHttpRequestBodyDetectionFeature", "IHttpConnectionFeature",
        "IHttpRequestLifetimeFeature", "IHttpRequestIdentifierFeature",
        "IHttpBodyControlFeature", "IHttpMaxRequestBodySizeFeature",
        "IHttpUpgradeFeature", "IHttpAuthenticationFeature", "IServerVariablesFeature",
        "IConnectionLifetimeNotificationFeature"}
    assert not seen & {"ITlsConnectionFeature", "IHttpResetFeature"}


def test_tls(httpd):
    def seen(**options):
        return httpd.ca.request(httpd.port2, "/app/tls", sni="localhost",
                                **options).json()
    told = seen()
    assert told["protocol"] in ("Tls12", "Tls13") and told["suite"].startswith("TLS_")
    assert told["host"] == "localhost" and told["subject"] is None
    assert seen(identity="visitor")["subject"] == "CN=visitor"
    assert httpd.ca.request(httpd.port2, "/app/json").json()["scheme"] == "https"


@pytest.mark.ancm("RR16")
@pytest.mark.parametrize("late", ["", "&late=true"])
def test_server_variables(httpd, late):
    """Also where they are asked for on another thread."""
    assert text(httpd, "/variable?name=FROM_HTTPD" + late) == "yes yes"
    assert text(httpd, "/variable?name=NOBODY" + late) == "(null) yes"


@pytest.mark.ancm("AU3")
def test_user(httpd):
    login = base64.b64encode("b\u00f6b:secret".encode()).decode()
    seen = get(httpd, "/who", headers={"Authorization": f"Basic {login}",
                                       "MS-ASPNETCORE-USER": "root"}).json()
    assert seen == {"name": "b\u00f6b", "type": "Basic", "asked": "b\u00f6b",
                    "roles": ["staff"]}
    assert get(httpd, "/who").status == 401


def test_work_begins_on_the_worker(httpd):
    """And goes on elsewhere only when it really waited."""
    program = os.path.basename(environment.HTTPD)[:15]
    assert text(httpd, "/thread") == f"{program}, .NET TP Worker"


def test_programs_can_be_started(httpd):
    assert text(httpd, "/process") == "7"


# Answers

def test_small_answers_have_a_length(httpd):
    answer = get(httpd, "/")
    assert answer.text == "Hello World!" and answer.header("Content-Length") == "12"
    answer = get(httpd, "/json")
    assert answer.header("Content-Length") == str(len(answer.body))


@pytest.mark.parametrize("path, body", [("/yield", "yielded"), ("/delay/20", "delayed")])
def test_answers_of_other_threads(httpd, path, body):
    assert {text(httpd, path) for _ in range(20)} == {body}


def test_many_at_a_time(httpd):
    paths = ["/", "/yield", "/delay/5", "/stream/20", "/json"] * 40
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda path: get(httpd, path), paths))
    assert {a.status for a in answers} == {200}
    lines = "".join(f"line {i}\n" for i in range(20))
    assert all(a.text == lines for a in answers[3::5])


def test_header_fields(httpd):
    answer = get(httpd, "/headers")
    assert answer.header("X-Empty") is None and answer.header("X-Split") is None
    assert answer.header("X-Late") == answer.header("X-Unsplit") == "yes"
    assert [v for n, v in answer.headers if n == "X-Two"] == ["1", "2"]
    assert answer.header("Set-Cookie") == "a=1, b=2"
    assert answer.header("Server") == "Ours/1.0"


@pytest.mark.parametrize("code", [200, 204, 304, 404, 418, 500, 999])
def test_status_and_reason_are_the_apps(httpd, code):
    answer = get(httpd, f"/status/{code}")
    assert (answer.status, answer.reason) == (code, "As We Like")
    assert answer.body == b"" and answer.header("Transfer-Encoding") is None


def test_large_answers(httpd):
    block = bytes(i * 31 % 256 for i in range(65536))
    answer = get(httpd, "/large/10000000")
    expected = (block * 153)[:10000000]
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(expected).digest()


def slow_reader(httpd, target, is_secure=True):
    """A client that lets little come ahead, and has asked."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    made.settimeout(60)
    made.connect(("127.0.0.1", httpd.port2 if is_secure else httpd.port))
    if is_secure:
        context = ssl.create_default_context(cafile=httpd.ca.path("ca.pem"))
        context.check_hostname = False
        made = context.wrap_socket(made)
    made.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                 .encode())
    return made


def rest_of(reader):
    pieces = []
    try:
        while piece := reader.recv(1 << 20):
            pieces.append(piece)
    except (ConnectionResetError, ssl.SSLError):
        pass
    return b"".join(pieces).partition(b"\r\n\r\n")


def await_standstill(httpd):
    """How much the app had written when it went on no more."""
    found = [-1, time.monotonic()]

    def stands():
        now = int(text(httpd, "/poured"))
        if now != found[0]:
            found[:] = now, time.monotonic()
        return time.monotonic() - found[1] > 0.5
    wait_for(stands, 30, "a standstill")
    return found[0]


@pytest.mark.parametrize("how", ["stream", "pipe", "late"])
@pytest.mark.parametrize("is_secure", [False, True], ids=["http", "https"])
def test_slow_client_slows_the_app(httpd, is_secure, how):
    """What nobody takes is not written, whichever thread writes."""
    size = 32 << 20
    with slow_reader(httpd, f"/app/pour/{how}?n={size}", is_secure) as reader:
        head = reader.recv(100)
        assert head.startswith(b"HTTP/1.1 200")
        assert 0 < await_standstill(httpd) < size // 4
        assert text(httpd, "/") == "Hello World!"
        head, _, body = rest_of(reader)
        assert len(body) >= size
    assert int(text(httpd, "/poured")) == size


@pytest.fixture
def content(httpd):
    folder = httpd.path("files", "of-all")
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o777)
    path, data = os.path.join(folder, "content"), os.urandom(300_000)
    with open(path, "wb") as f:
        f.write(data)
    return path, data


def test_files(httpd, content):
    """With a length, also where the app names none and where it adds to the file."""
    path, data = content
    answer = get(httpd, f"/file?path={path}")
    assert answer.body == data and answer.header("Content-Length") == "300000"
    answer = get(httpd, f"/file?path={path}&offset=1000&count=2000")
    assert answer.body == data[1000:3000] and answer.header("Content-Length") == "2000"
    answer = get(httpd, f"/file/between?path={path}")
    assert answer.body == b"[" + data + b"]"
    assert answer.header("Content-Length") == "300002"
    answer = get(httpd, f"/file?path={path}", method="HEAD")
    assert answer.header("Content-Length") == "300000"
    assert get(httpd, f"/file/late?path={path}").body == data
    assert get(httpd, f"/file?path={path}&offset=300001").status == 500
    assert get(httpd, f"/file?path={path}.not").status == 500


def test_file_results(httpd, content):
    path, data = content
    answer = get(httpd, f"/file/result?path={path}")
    assert answer.body == data and answer.header("Content-Length") == "300000"
    answer = get(httpd, f"/file/result?path={path}", headers={"Range": "bytes=5-9"})
    assert answer.status == 206 and answer.body == data[5:10]
    assert answer.header("Content-Range") == "bytes 5-9/300000"


def test_file_that_is_deleted(httpd, content):
    path, data = content
    answer = get(httpd, f"/file/deleted?path={path}")
    assert answer.body == data and not os.path.exists(path)


def test_many_files(httpd, content):
    path, data = content
    assert get(httpd, f"/file/many?path={path}&n=100").body == data[:1000] * 100


def test_file_that_a_filter_reads(httpd, content):
    path, data = content
    answer = get(httpd, f"/packed?path={path}", headers={"Accept-Encoding": "gzip"})
    assert answer.header("Content-Encoding") == "gzip"
    assert gzip.decompress(answer.body) == data


def large_file(httpd):
    path = httpd.path("files", "large")
    with open(path, "wb") as f:
        f.write(LARGE)
    return path


LARGE = bytes(range(256)) * 8000


@pytest.mark.skipif(environment.MPM != "event" or environment.PARK == "never",
                    reason="workers would be held")
def test_slow_readers_of_files_over_tls_hold_no_worker(httpd):
    path = large_file(httpd)
    slow = [slow_reader(httpd, f"/app/file?path={path}") for _ in range(WORKERS + 4)]
    assert {s.recv(8) for s in slow} == {b"HTTP/1.1"}
    assert text(httpd, "/yield") == "yielded"
    for secure in slow:
        # On a machine that is this busy, what was flushed may have gone out earlier.
        head, _, body = rest_of(secure)
        assert body == LARGE or (b"chunked" in head
                                 and body.count(LARGE[:256]) == len(LARGE) // 256)
        secure.close()


def test_file_that_becomes_shorter(httpd):
    """The client sees that its answer is cut off."""
    path = large_file(httpd)
    with slow_reader(httpd, f"/app/file?path={path}") as secure:
        assert secure.recv(8) == b"HTTP/1.1"
        os.truncate(path, 0)
        head, _, body = rest_of(secure)
        assert b"Content-Length: 2048000" in head and len(body) < len(LARGE)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_apps_that_chunk_themselves(httpd, size):
    body = "5%0d%0ahello%0d%0a0006;a=b%0d%0a%20world%0d%0a0%0d%0aX:y%0d%0a%0d%0a"
    with httpd.raw() as raw:
        for _ in range(2):
            raw.send(f"GET /app/chunked?size={size}&body={body} HTTP/1.1\r\nHost: x\r\n"
                     "\r\n")
            answer = raw.response()
            assert (answer.status, answer.text) == (200, "hello world")


@pytest.mark.parametrize("body", ["hello", "5%0d%0ahello", "0%0d%0a%0d%0amore",
                                  "1%0d%0aab%0d%0a0%0d%0a%0d%0a", "", "0%0d%0a"])
def test_apps_that_chunk_wrongly(httpd, body):
    assert get(httpd, f"/chunked?size=1&body={body}").status == 500
    with httpd.raw() as raw:
        raw.send(f"GET /app/chunked?size=3&body={body} HTTP/1.1\r\nHost: x\r\n"
                 "Connection: close\r\n\r\n")
        try:
            data = raw.receive()
        except ConnectionResetError:
            return
        assert b" 500 " in data or not data.endswith(b"\r\n0\r\n\r\n")


def test_other_codings_are_refused(httpd):
    assert get(httpd, "/chunked?size=1&body=x&coding=gzip").status == 500
    assert text(httpd, "/chunked?size=1&body=x&coding=identity") == "x"


def test_chunk_with_a_file(httpd, content):
    path, data = content
    answer = get(httpd, f"/chunked/file?path={path}&n=100000")
    assert answer.body == b"[" + data[:100_000] + b"]"
    assert get(httpd, f"/chunked/file?path={path}&n=0").body == b"[]"


def test_connection_is_closed_on_demand(httpd):
    answer = get(httpd, "/close")
    assert answer.header("Connection") == "close" and answer.text == "False True"


def test_no_trailers_over_http1(httpd):
    """As with IIS and Kestrel."""
    assert text(httpd, "/trailers") == "none"


# Synchronous apps

def test_synchronous_writes_are_refused_unless_allowed(httpd):
    assert text(httpd, "/synchronous") == "refused, then allowed"


def test_blocked_worker_is_helped_to_write(httpd):
    assert text(httpd, "/blocked/write") == "".join(f"line {i}\n" for i in range(5))
    assert len(get(httpd, "/blocked/large").body) == 3_000_000


def test_blocked_worker_is_helped_to_read(httpd):
    with httpd.raw() as raw:
        raw.send("POST /app/blocked/read HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n"
                 "\r\n")
        for _ in range(5):
            time.sleep(0.05)        # so that it does wait in between
            raw.send("ab")
        assert raw.response().text == "10"


def test_what_a_blocked_worker_wrote_goes_out(httpd):
    with httpd.raw() as raw:
        raw.send("GET /app/blocked/first HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"first" in raw.receive(b"first\n")
        get(httpd, "/release")
        assert b"second" in raw.receive(b"second\n")


# Bodies

def test_uploads(httpd):
    body = os.urandom(100_000) * 50
    expected = {"n": len(body), "sum": sum(body)}
    assert get(httpd, "/count", method="POST", body=body).json() == expected
    pieces = (body[i:i + 70_001] for i in range(0, len(body), 70_001))
    assert get(httpd, "/count", method="POST", body=pieces).json() == expected


def test_body_pipe(httpd):
    body = os.urandom(1_000_000)
    assert get(httpd, "/pipe", method="POST", body=body).body == body


def test_json_both_ways(httpd):
    answer = get(httpd, "/item", method="POST", body='{"name": "a", "number": 41}',
                 headers={"Content-Type": "application/json"})
    assert answer.json() == {"name": "a", "number": 42}


def test_slow_app_slows_its_client(httpd):
    """Nothing is taken that nobody asked for."""
    with httpd.raw() as raw:
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        raw.send("POST /app/slowly HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n"
                 "\r\n")
        raw.socket.settimeout(2)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 20_000_000:
                sent += raw.socket.send(b"x" * 65536)
        assert sent < 15_000_000
        get(httpd, "/release")
        raw.socket.settimeout(30)
        raw.send(b"x" * (20_000_000 - sent))
        assert raw.response().text == "20000000"


@pytest.mark.parametrize("chunked", [False, True])
def test_too_large_a_body(httpd, chunked):
    body = (b"x" * 1000 for _ in range(5)) if chunked else b"x" * 5000
    assert get(httpd, "/limit/4999", method="POST", body=body).status == 413
    body = (b"x" * 1000 for _ in range(5)) if chunked else b"x" * 5000
    assert get(httpd, "/limit/5000", method="POST", body=body).text == "accepted"


def test_default_limit_is_that_of_iis(httpd):
    with httpd.raw() as raw:
        raw.send("POST /app/count HTTP/1.1\r\nHost: x\r\nContent-Length: 30000001\r\n"
                 "\r\n")
        assert raw.response().status == 413


def test_malformed_body(httpd):
    with httpd.raw() as raw:
        raw.send("POST /app/count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                 "\r\nZZZZ\r\n")
        assert raw.response().status == 400


# Failures

def test_exception(httpd):
    answer = get(httpd, "/throw")
    assert answer.status == 500 and answer.body == b""
    httpd.wait_log("An unhandled exception was thrown by the application")


def test_exception_in_the_middle(httpd):
    with httpd.raw() as raw:
        raw.send("GET /app/throw/late HTTP/1.1\r\nHost: x\r\n\r\n")
        data = raw.receive()
    assert b"some of it" in data and not data.endswith(b"0\r\n\r\n")


def test_length_is_kept_to(httpd):
    assert get(httpd, "/length/10/10").body == bytes(10)
    assert get(httpd, "/length/10/20").status == 500
    with httpd.raw() as raw:
        raw.send("GET /app/length/10/5 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.receive().endswith(b"\r\n\r\n" + bytes(5))


def test_abort(httpd):
    with httpd.raw() as raw:
        raw.send("GET /app/abort HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            assert raw.receive() == b""
        except ConnectionResetError:
            pass
    assert text(httpd, "/") == "Hello World!"


@pytest.mark.parametrize("path", ["/forever", "/busy"])
def test_clients_that_leave_are_noticed(httpd, path):
    """Within a second, wherever the request is."""
    before = counts(httpd)["aborted"]
    raw = httpd.raw()
    raw.send(f"GET /app{path} HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: counts(httpd)["inside"] == 1, what="the request")
    raw.socket.close()
    # Asking takes its time as well.
    wait_for(lambda: counts(httpd)["aborted"] == before + 1, NOTICED + 2, "its end")


# Each holds a worker of the worker MPM, and there are 16 in the child with the app.
LEAVING = 20 if environment.MPM == "event" else 10


def test_clients_that_leave_while_they_send_and_receive(httpd):
    before = counts(httpd)["aborted"]
    head = "Host: x\r\nContent-Length: 100000\r\n\r\n"
    sockets = []
    for i in range(LEAVING):
        raw = httpd.raw()
        raw.send("GET /app/endless HTTP/1.1\r\nHost: x\r\n\r\n" if i % 2
                 else f"POST /app/read/forever HTTP/1.1\r\n{head}some")
        sockets.append(raw)
    wait_for(lambda: counts(httpd)["inside"] == LEAVING, what="the requests")
    for i, raw in enumerate(sockets):
        if i % 4 > 1:
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                  struct.pack("ii", 1, 0))
        raw.socket.close()
    wait_for(lambda: counts(httpd)["inside"] == 0, what="their ends")
    assert counts(httpd)["aborted"] == before + LEAVING // 2


# One request after the other

@pytest.mark.parametrize("path", ["/local", "/local/late"])
def test_nothing_of_one_request_reaches_the_next(httpd, path):
    assert {text(httpd, path) for _ in range(40)} == {"nothing"}


def test_leaked_context_is_dead(httpd):
    text(httpd, "/leak")
    seen = [text(httpd, "/leaked").split(" ") for _ in range(20)]
    assert all(s[-1] == "ObjectDisposedException" for s in seen), seen
    assert {e for s in seen for e in s} == {"ObjectDisposedException"}


def test_on_completed_is_after_the_answer(httpd):
    assert text(httpd, "/completed") == "x"
    wait_for(lambda: counts(httpd)["completed"] == "/completed")


def test_answer_is_complete_while_the_app_goes_on(httpd):
    with httpd.raw() as raw:
        raw.send("GET /app/complete HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.response().text == "all of it"
        assert counts(httpd)["completed"] != "went on"
        get(httpd, "/release")
        wait_for(lambda: counts(httpd)["completed"] == "went on")


# Streams in both directions

def test_websocket(httpd):
    with httpd.raw() as raw:
        talk = websocket.WebSocket(raw, "/app/socket")
        for payload in (b"", b"x", os.urandom(300), os.urandom(150_000)):
            talk.send(payload)
            assert talk.receive() == (websocket.BINARY, payload)
        talk.send(struct.pack(">H", 1000), websocket.CLOSE)
        assert talk.receive() == (websocket.CLOSE, struct.pack(">H", 1000))


def test_signalr_over_websockets(httpd):
    offered = get(httpd, "/hub/negotiate?negotiateVersion=1", method="POST").json()
    assert "WebSockets" in {t["transport"] for t in offered["availableTransports"]}
    with httpd.raw() as raw:
        talk = websocket.WebSocket(raw, f"/app/hub?id={offered['connectionToken']}")

        def send(message):
            talk.send(json.dumps(message).encode() + b"\x1e", websocket.TEXT)

        def receive(count):
            messages = []
            while len(messages) < count:
                pieces = talk.receive()[1].split(b"\x1e")[:-1]
                messages += [m for m in map(json.loads, pieces) if m.get("type") != 6]
            return messages

        send({"protocol": "json", "version": 1})
        assert receive(1) == [{}]
        send({"type": 1, "invocationId": "1", "target": "Say", "arguments": ["hello"]})
        assert receive(1)[0]["result"] == "hello!"
        send({"type": 4, "invocationId": "2", "target": "Count", "arguments": [50]})
        answers = receive(51)
        assert [m["item"] for m in answers[:-1]] == list(range(50))
