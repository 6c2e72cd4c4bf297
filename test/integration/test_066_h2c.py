# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Apps that speak nothing but HTTP/2: Kestrel as the gRPC template has it, on the
inherited socket and on a port, node's http2, and a gRPC server of another family.
Clients speak HTTP/1.1, HTTP/2 with and without TLS, and gRPC."""

import concurrent.futures
import hashlib
import http.client
import json
import os
import queue
import shutil
import signal
import subprocess

import pytest

import client
import dotnet
import env as environment
import tls
from processes import wait_for

grpc = pytest.importorskip("grpc")
pytestmark = pytest.mark.skipif(
    environment.MPM == "prefork" or not shutil.which("openssl")
    or not os.path.exists(environment.MODULE_DIR + "/mod_http2.so")
    or not environment.speaks_http2(),
    reason="needs mod_http2, openssl, libnghttp2, and an MPM with threads")

HTTP2_ALONE = '{"Kestrel": {"EndpointDefaults": {"Protocols": "Http2"}}}'
KESTREL = ("socket", "port")
GRPC = [*KESTREL, "python", "inside"]


@pytest.fixture(scope="module")
def httpd(env):
    env.modules += ["http2", "socache_shmcb", "ssl"]
    with open(os.path.join(environment.HERE, "apps", "h2only", "Program.cs"),
              encoding="utf-8") as f:
        published = dotnet.program(f.read(), "h2only")
    folders = {}
    for name in [*KESTREL, "hasty", "warm", "sick"]:
        folders[name] = dotnet.app(env, name, published)
        settings = os.path.join(folders[name], "appsettings.json")
        with open(settings, "w", encoding="ascii") as f:
            f.write(HTTP2_ALONE)
        env.give(settings, env.owner())
    folders["inside"] = dotnet.app(env, "inside", published,
                                   user="root" if env.is_root else None)
    folders["node"] = env.app("node", "h2node")
    for name in ("wrong", "warmnode", "sicknode"):
        folders[name] = env.app(name, "h2node")
    folders["python"] = env.app("python", "grpcpy")
    folders["ping"] = env.app("ping", "h2ping")
    authority = env.authority = tls.Authority(env.path("files"))
    authority.issue("server", "/CN=localhost")
    mounts = "".join(f"AppCoreMount /{name} {name}\n" for name in folders)
    env.start(f"""
Listen 127.0.0.1:{env.port2}
<AppCoreApp socket>
    AppCorePath {folders["socket"]}
</AppCoreApp>
<AppCoreApp inside>
    AppCoreHostingModel InProcess
    AppCorePath {folders["inside"]}
</AppCoreApp>
<AppCoreApp port>
    AppCorePath {folders["port"]}
    AppCoreListen tcp
</AppCoreApp>
<AppCoreApp hasty>
    AppCorePath {folders["hasty"]}
    AppCoreRequestTimeout 1s
    AppCoreWebSockets Off
</AppCoreApp>
<AppCoreApp node>
    AppCorePath {folders["node"]}
    AppCoreProcessPath node
    AppCoreArguments index.js
</AppCoreApp>
<AppCoreApp wrong>
    AppCorePath {folders["wrong"]}
    AppCoreProcessPath node
    AppCoreArguments index.js
    AppCoreProtocol http/1.1
</AppCoreApp>
<AppCoreApp warm>
    AppCorePath {folders["warm"]}
    AppCoreWarmUpPath /data/3000000 /trailer /
</AppCoreApp>
<AppCoreApp sick>
    AppCorePath {folders["sick"]}
    AppCoreDetailedErrors On
    AppCoreWarmUpPath / /status/500
</AppCoreApp>
<AppCoreApp warmnode>
    AppCorePath {folders["warmnode"]}
    AppCoreProcessPath node
    AppCoreArguments index.js
    AppCoreWarmUpPath /one /hints /two?x
</AppCoreApp>
<AppCoreApp sicknode>
    AppCorePath {folders["sicknode"]}
    AppCoreProcessPath node
    AppCoreArguments index.js
    AppCoreDetailedErrors On
    AppCoreWarmUpPath /reset
</AppCoreApp>
<AppCoreApp ping>
    AppCorePath {folders["ping"]}
    AppCoreProcessPath /usr/bin/python3
    AppCoreArguments ping.py
    AppCoreProtocol h2c
    AppCoreWarmUpPath /
</AppCoreApp>
<AppCoreApp python>
    AppCorePath {folders["python"]}
    AppCoreProcessPath /usr/bin/python3
    AppCoreArguments serve.py
    AppCoreProtocol h2c
</AppCoreApp>
<VirtualHost *:{env.port}>
    Protocols h2c http/1.1
    {mounts}
</VirtualHost>
<VirtualHost *:{env.port2}>
    Protocols h2 http/1.1
    SSLEngine On
    SSLCertificateFile {authority.path("server.pem")}
    SSLCertificateKeyFile {authority.path("server.key")}
    {mounts}
</VirtualHost>
""")
    return env


def main_pid(httpd, name):
    pid, = httpd.app_processes(httpd.path("apps", name))
    return pid


@pytest.mark.parametrize("name, where", [("socket", "the socket it got"),
                                         ("port", r"127\.0\.0\.1:\d+"),
                                         ("node", r"127\.0\.0\.1:\d+"),
                                         ("python", r"127\.0\.0\.1:\d+")])
def test_is_found_out(httpd, name, where):
    """Also with a first request that comes before the app runs."""
    if name == "python":
        with pytest.raises(grpc.RpcError) as error:
            call(channel(httpd), name, "Nothing", b"")
        assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
    else:
        assert httpd.get(f"/{name}/").status == 200
    httpd.wait_log(rf"app {name}: process \d+ .*is ready after .* on {where}, "
                   "speaking HTTP/2")


# Requests that know nothing of it

@pytest.mark.parametrize("name", KESTREL)
def test_an_http_1_client(httpd, name):
    answer = httpd.get(f"/{name}/a%20b?c=d", headers={"X-Two": "1", "TE": "trailers",
                                                     "Connection": "TE"})
    assert answer.status == 404
    answer = httpd.get(f"/{name}/?c=d", headers={"TE": "trailers", "Connection": "TE"})
    assert (answer.status, answer.reason) == (200, "OK"), answer
    app = answer.json()
    assert app["protocol"] == "HTTP/2" and app["scheme"] == "http"
    assert app["host"] == f"127.0.0.1:{httpd.port}" and app["query"] == "?c=d"
    assert app["pathBase"] == f"/{name}" and app["path"] == "/"
    assert app["remote"] == "127.0.0.1" and app["te"] == ""
    assert not {"connection", "transfer-encoding", "upgrade"} \
        & {n.lower() for n in app["names"]}


def test_the_scheme_is_the_clients(httpd):
    answer = curl(httpd, "--http2", f"https://127.0.0.1:{httpd.port2}/socket/")
    assert json.loads(answer)["scheme"] == "https"


def curl(httpd, *arguments):
    return subprocess.run(["curl", "-sk", "-m", "30", *arguments], capture_output=True,
                          check=True, timeout=60).stdout


def test_connections_are_kept(httpd):
    seen = {httpd.get("/socket/").json()["connection"] for _ in range(10)}
    assert len(seen) <= 2


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_larger_than_every_window(httpd, chunked):
    body = os.urandom(1024 * 1024) * 5
    pieces = (body[i:i + 50000] for i in range(0, len(body), 50000))
    answer = httpd.get("/socket/echo", method="POST", body=pieces if chunked else body)
    assert answer.text.split() == [str(len(body)),
                                   hashlib.sha256(body).hexdigest().upper()]
    answer = httpd.get("/socket/data/9000000")
    assert answer.status == 200 and answer.body == b"x" * 9000000


def test_a_slow_client_loses_nothing(httpd):
    with httpd.raw() as raw:
        raw.send("GET /socket/data/9000000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                 "\r\n")
        raw.receive(b"\r\n\r\n")
        # Everything in between is full meanwhile; other requests are not.
        assert httpd.get("/socket/data/100").body == b"x" * 100
        assert raw.receive().count(b"x") > 8900000


def test_trailers_of_the_client(httpd):
    with httpd.raw() as raw:
        raw.send("POST /socket/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                 "Trailer: X-Tail\r\n\r\n2\r\nok\r\n0\r\nX-Tail: 77\r\n"
                 "Cookie: a=b\r\n\r\n")
        assert raw.response().text.split()[0::2] == ["2", "77"]


def test_100_continue(httpd):
    with httpd.raw() as raw:
        raw.send("POST /socket/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                 "Expect: 100-continue\r\n\r\n")
        assert raw.receive(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        raw.send("ok")
        assert raw.response().text.startswith("2 ")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [200, 204, 304, 404, 599])
def test_bodies_that_there_are_none_of(httpd, method, status):
    with httpd.raw() as raw:
        for _ in range(2):
            raw.send(f"{method} /socket/status/{status} HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = http.client.HTTPResponse(raw.socket, method=method)
            answer.begin()
            assert answer.status == status and answer.read() == b""


@pytest.mark.parametrize("name", ["socket", "node"])
def test_a_websocket_is_refused_with_the_reason(httpd, name):
    asks = {"Connection": "Upgrade", "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    answer = httpd.get(f"/{name}/", headers=asks)
    assert answer.status == 501 and answer.header("Upgrade") is None
    httpd.wait_log(f"app {name} was asked for a WebSocket, but it speaks HTTP/2 alone")
    # Other offers may be overlooked, and where WebSockets are off this one as well.
    for path, offer in ((f"/{name}/", "h2c"), ("/hasty/", "websocket")):
        assert httpd.get(path, headers={**asks, "Upgrade": offer}).status == 200


def test_is_warmed_up(httpd):
    """By requests in HTTP/2, whole answers of which are taken."""
    assert httpd.get("/warm/").json()["protocol"] == "HTTP/2"
    seen = httpd.get("/warmnode/count").json()["seen"]
    assert seen == {"/one": 1, "/hints": 1, "/two?x": 1, "/count": 1}


def test_what_is_said_during_an_answer_is_answered(httpd):
    assert httpd.get("/ping/").text == "1"


@pytest.mark.parametrize("name, why", [("sick", "was answered with status 500"),
                                       ("sicknode", "the app reset the stream")])
def test_does_not_start_with_a_bad_warm_up(httpd, name, why):
    httpd.allow(f"app {name}")
    answer = httpd.get(f"/{name}/")
    assert answer.status == 502 and why in answer.text


def test_many_at_a_time(httpd):
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda i: httpd.get(f"/socket/data/{i * 1000}"),
                                range(1, 60)))
    assert [len(a.body) for a in answers] == [i * 1000 for i in range(1, 60)]


# gRPC

def channel(httpd, secure=False):
    if not secure:
        return grpc.insecure_channel(f"127.0.0.1:{httpd.port}")
    with open(httpd.authority.path("ca.pem"), "rb") as f:
        credentials = grpc.ssl_channel_credentials(f.read())
    return grpc.secure_channel(
        f"127.0.0.1:{httpd.port2}", credentials,
        [("grpc.ssl_target_name_override", "localhost")])


def call(channel, name, method, message, **options):
    return channel.unary_unary(f"/{name}/t.Test/{method}")(message, timeout=30, **options)


@pytest.fixture(params=[False, True], ids=["h2c", "tls"])
def grpc_channel(httpd, request):
    made = channel(httpd, request.param)
    yield made
    made.close()


@pytest.mark.parametrize("name", GRPC)
def test_grpc_unary(httpd, grpc_channel, name):
    method = grpc_channel.unary_unary(f"/{name}/t.Test/Unary")
    for _ in range(3):
        answer, rpc = method.with_call(b"hello", timeout=30)
        assert answer == b"hello!" and rpc.code() == grpc.StatusCode.OK
        assert ("x-tail", "end") in [tuple(m) for m in rpc.trailing_metadata()]
    assert bool(httpd.app_processes(httpd.path("apps", name))) == (name != "inside")


@pytest.mark.parametrize("name", GRPC)
def test_grpc_streams(httpd, grpc_channel, name):
    method = grpc_channel.unary_stream(f"/{name}/t.Test/ServerStream")
    assert list(method(b"500", timeout=30)) == [b"%d" % i for i in range(500)]
    method = grpc_channel.stream_unary(f"/{name}/t.Test/ClientStream")
    assert method((b"%d" % i for i in range(500)), timeout=30) == b"124750"


@pytest.mark.parametrize("name", GRPC)
def test_grpc_duplex(httpd, grpc_channel, name):
    """Each answer comes before the next question is put."""
    questions = queue.Queue()
    answers = grpc_channel.stream_stream(f"/{name}/t.Test/Duplex")(
        iter(questions.get, None), timeout=30)
    for i in range(20):
        questions.put(b"m%d" % i)
        assert next(answers) == b"m%d?" % i
    questions.put(None)
    assert list(answers) == [] and answers.code() == grpc.StatusCode.OK


@pytest.mark.parametrize("name", GRPC)
def test_grpc_trailers_only(httpd, grpc_channel, name):
    with pytest.raises(grpc.RpcError) as error:
        call(grpc_channel, name, "Fail", b"x")
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    assert error.value.details() == "no such thing"


def test_grpc_client_that_gives_up(httpd):
    with channel(httpd) as made:
        with pytest.raises(grpc.RpcError) as error:
            made.unary_unary("/socket/t.Test/Wait")(b"", timeout=1)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    wait_for(lambda: httpd.get("/socket/aborted").text == "aborted")


def test_an_http_1_client_that_leaves(httpd):
    httpd.get("/socket/aborted")
    with httpd.raw() as raw:
        raw.send("POST /socket/t.Test/Wait HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
                 "\r\n")
        wait_for(lambda: httpd.get("/socket/aborted").text == "waits")
    wait_for(lambda: httpd.get("/socket/aborted").text == "aborted")


# What goes wrong

def test_a_reset_is_a_502(httpd):
    httpd.allow("app socket, process .*: it closed the connection without an answer",
                "app node, process .*: it closed the connection without an answer")
    assert httpd.get("/socket/abort").status == 502
    for method, expected in (("POST", 1), ("GET", 2)):
        path = f"/reset-{method}"
        assert httpd.get("/node" + path, method=method).status == 502
        assert httpd.get("/node/count").json()["seen"][path] == expected
    assert httpd.get("/socket/data/1").body == b"x"


def test_a_broken_response_breaks_off(httpd):
    httpd.allow("app socket, process .*: it broke its answer off")
    answer = None
    try:
        answer = httpd.get("/socket/half")
    except (http.client.HTTPException, ConnectionError):
        pass
    # Nothing had reached the client, or it sees that something is missing.
    assert answer is None or answer.status == 502


@pytest.mark.parametrize("how", ["refuse", "goaway"])
def test_what_was_not_looked_at_is_sent_again(httpd, how):
    """Even a POST, with its body. GOAWAY needs a connection that served before."""
    for count in range(1, 20):
        answer = httpd.get(f"/node/{how}-once", method="POST", body=b"x" * 1000)
        assert answer.status == 200
        if answer.text == f"POST 1000 {count + 1}":
            return
        assert answer.text == f"POST 1000 {count}"
    pytest.fail("the app broke off nothing")


def test_a_process_that_refuses_everything(httpd):
    httpd.allow("app node, process .*: it closed the connection without an answer")
    assert httpd.get("/node/always-refuse", method="POST", body=b"x").status == 502
    assert httpd.get("/node/count").json()["seen"]["/always-refuse"] == 2


def test_an_early_answer(httpd):
    """The body is still on its way, and is not made to look complete."""
    answer = httpd.get("/node/early", method="POST", body=b"x" * 2000000)
    assert answer.status == 403
    assert httpd.get("/node/after").text.startswith("GET 0")


def test_early_hints(httpd):
    with httpd.raw() as raw:
        raw.send("GET /node/hints HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        first, answer = raw.receive().split(b"\r\n\r\n", 1)
    assert first.startswith(b"HTTP/1.1 103 ") and b"</a.css>" in first
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"hinted")


def test_the_wrong_protocol_is_named(httpd):
    assert httpd.get("/wrong/").status == 502
    httpd.wait_log("app wrong, process .*: it speaks HTTP/2, which 'AppCoreProtocol h2c' "
                   "is for")


def test_silence_is_a_504(httpd):
    httpd.allow("app hasty, process .*: it was silent")
    assert httpd.get("/hasty/").status == 200
    assert httpd.get("/hasty/silent").status == 504


def test_a_killed_process(httpd):
    httpd.allow(r"app socket[:, ].*")
    pid = httpd.get("/socket/").json()["pid"]
    os.kill(pid, signal.SIGKILL)
    # Its connections are closed when the last of its threads has ended.
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"))
    assert httpd.get("/socket/echo", method="POST", body=b"x").status == 200
    assert httpd.get("/socket/").json()["pid"] != pid


def test_a_process_that_is_killed_within_a_request(httpd):
    """A GET is answered by the successor."""
    httpd.allow(r"app port[:, ].*")
    pid = httpd.get("/port/").json()["pid"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool, httpd.raw() as raw:
        raw.send("POST /port/t.Test/Wait HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
                 "\r\n")
        wait_for(lambda: httpd.get("/port/aborted").text == "waits")
        os.kill(pid, signal.SIGKILL)
        later = pool.submit(httpd.get, "/port/")
        assert raw.response().status == 502
        assert later.result(60).json()["pid"] != pid


def test_a_reload_keeps_it(httpd):
    pid = httpd.get("/socket/").json()["pid"]
    httpd.reload()
    app = httpd.get("/socket/").json()
    assert app["pid"] == pid and app["protocol"] == "HTTP/2"


def test_a_new_manager_knows_it(httpd):
    httpd.allow("manager")
    pid = httpd.get("/port/").json()["pid"]
    manager = httpd.helper("manager")
    os.kill(manager, signal.SIGKILL)
    wait_for(lambda: httpd.helper("manager") not in (0, manager))
    wait_for(lambda: "a new manager found" in httpd.recent_log())
    app = httpd.get("/port/").json()
    assert app["pid"] == pid and app["protocol"] == "HTTP/2"


def test_http_1_is_still_spoken_to_others(httpd):
    assert client.request(httpd.port, "/none").status == 404
