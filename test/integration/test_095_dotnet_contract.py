# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""What an ASP.NET Core app sees through us, written for IIS or for nothing at all: the
contract of the ASP.NET Core Module, out of process, on a port and without companion
(test_121 has it)."""

import hashlib
import http.client
import os
import re
import signal
import socket

import pytest

import dotnet
import env as environment
import processes
import tls
import websocket
from processes import wait_for

PROGRAM = os.path.join(environment.HERE, "apps", "aspnet", "Program.cs")
IN_BOTH = """
    AppCoreMount /app {folder}
    AppCoreMount /redirecting redirecting
    AppCoreMount /mute mute
"""


@pytest.fixture(scope="module")
def httpd(env):
    with open(PROGRAM, encoding="utf-8") as f:
        published = dotnet.program(f.read())
    if not tls.Authority.available():
        pytest.skip("there is no openssl to make certificates with")
    env.modules += ["ssl", "socache_shmcb"]
    env.ca = tls.Authority(env.path("files"))
    env.ca.issue("server", "/CN=localhost")
    env.ca.issue("alice", "/O=Wonderland/CN=alice")
    folder = dotnet.app(env, "app", published)
    in_both = IN_BOTH.format(folder=folder)
    env.folder, env.expected = folder, {folder: 3}
    env.start(f"""
AppCoreListen tcp
Listen 127.0.0.1:{env.port2}
<AppCoreApp redirecting>
    AppCorePath {folder}
    AppCoreEnvironmentVariable REDIRECT_TO_HTTPS 1
</AppCoreApp>
<AppCoreApp mute>
    AppCorePath {folder}
    AppCoreWebSockets Off
    AppCoreShutdownTimeLimit 33
    AppCoreEnvironmentVariable ASPNETCORE_HOSTINGSTARTUPASSEMBLIES Mine
</AppCoreApp>
<VirtualHost *:{env.port}>
    AllowEncodedSlashes NoDecode
    {in_both}
</VirtualHost>
<VirtualHost *:{env.port2}>
    SSLEngine on
    SSLCertificateFile {env.path("files", "server.pem")}
    SSLCertificateKeyFile {env.path("files", "server.key")}
    SSLCACertificateFile {env.path("files", "ca.pem")}
    SSLVerifyClient optional
    {in_both}
</VirtualHost>
""")
    return env


def seen(httpd, path="/app/seen", **options):
    answer = httpd.get(path, **options)
    assert answer.status == 200, answer
    return answer.json()


def secure(httpd, path, **options):
    answer = httpd.ca.request(httpd.port2, path, **options)
    assert answer.status == 200, answer
    return answer


def environ(httpd, app="app"):
    return seen(httpd, f"/{app}/environment")


def test_path_base(httpd):
    request = seen(httpd, "/app/seen?a=1&b=%20")
    assert (request["pathBase"], request["path"]) == ("/app", "/seen")
    assert request["query"] == "?a=1&b=%20"
    assert httpd.get("/app").text == httpd.get("/app/").text == "home"
    assert httpd.get("/application/seen").status == 404


@pytest.mark.parametrize("path", ["/app/raw/a%2Fb", "/app/raw/a%20b", "/app/raw/%E4",
                                  "/app/raw/a;b=c", "/app/raw/a%25b?c=%2f"])
def test_target_is_what_was_sent(httpd, path):
    assert httpd.raw_get(path).text == path


def test_scheme_and_host(httpd):
    request = seen(httpd, host="shop.example:8080")
    assert (request["scheme"], request["host"]) == ("http", "shop.example:8080")
    request = secure(httpd, "/app/seen", host="shop.example").json()
    assert (request["scheme"], request["host"]) == ("https", "shop.example")


def test_both_hosts_share_one_process(httpd):
    assert seen(httpd)["pid"] == secure(httpd, "/app/seen").json()["pid"]


def test_remote_address_is_the_clients(httpd):
    with httpd.raw() as raw:
        raw.send("GET /app/seen HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        port = raw.socket.getsockname()[1]
        request = raw.response().json()
    assert (request["remote"], request["remotePort"]) == ("127.0.0.1", port)


@pytest.mark.parametrize("headers", [
    {"X-Forwarded-For": "1.2.3.4"}, {"X-Forwarded-For": "1.2.3.4, 5.6.7.8:9"},
    {"X-Forwarded-Proto": "https"}, {"X-Forwarded-Host": "evil.example"},
    {"X-Original-For": "1.2.3.4"}, {"Forwarded": "for=1.2.3.4;proto=https"},
    {"X_Forwarded_For": "1.2.3.4"}])
def test_client_cannot_pretend(httpd, headers):
    request = seen(httpd, headers=headers)
    assert request["remote"] == "127.0.0.1"
    assert request["scheme"] == "http"
    assert request["host"].startswith("127.0.0.1:")


@pytest.mark.parametrize("name", ["MS-ASPNETCORE-TOKEN", "ms-aspnetcore-token",
                                  "MS_ASPNETCORE_TOKEN", "MS-ASPNETCORE-CLIENTCERT",
                                  "MS-ASPNETCORE-WINAUTHTOKEN", "MS-ASPNETCORE-USER"])
def test_headers_of_the_contract_cannot_be_forged(httpd, name):
    request = seen(httpd, headers={name: "forged"})
    assert "forged" not in str(request["headers"])
    assert httpd.get("/app/certificate", headers={name: "forged"}).text == "none"


def direct(httpd, *headers):
    """Past httpd, straight to the app's port."""
    port = int(environ(httpd)["ASPNETCORE_PORT"])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/app/seen", headers=dict(headers))
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def test_only_httpd_gets_in(httpd):
    assert direct(httpd) == 400
    wrong = "11111111-2222-3333-4444-555555555555"
    assert direct(httpd, ("MS-ASPNETCORE-TOKEN", wrong)) == 400
    token = environ(httpd)["ASPNETCORE_TOKEN"]
    assert direct(httpd, ("MS-ASPNETCORE-TOKEN", token)) == 200


def test_port_is_on_loopback_alone(httpd):
    port = int(environ(httpd)["ASPNETCORE_PORT"])
    listeners = [line.split() for name in ("tcp", "tcp6")
                 for line in processes.read("net", name).decode().splitlines()[1:]]
    found = [fields[1] for fields in listeners
             if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port]
    assert found == [f"0100007F:{port:04X}"]


def test_client_certificate(httpd):
    assert httpd.get("/app/certificate").text == "none"
    assert secure(httpd, "/app/certificate").text == "none"
    text = secure(httpd, "/app/certificate", identity="alice").text
    assert "CN=alice" in text and "O=Wonderland" in text
    assert text.endswith(" " + httpd.ca.thumbprint("alice"))


def test_redirects_and_links(httpd):
    assert httpd.get("/app/moved").header("Location") == "/app/target?x=1"
    assert httpd.get("/app/moved-here").header("Location") == "/app/target"
    assert httpd.get("/app/link", host="shop.example").text.strip('"') == \
        "http://shop.example/app/named/7"
    assert secure(httpd, "/app/link", host="shop.example").text.strip('"') == \
        "https://shop.example/app/named/7"


def test_redirect_to_https_knows_the_port(httpd):
    answer = httpd.get("/redirecting/seen?x=1", host="shop.example")
    assert answer.status == 307
    assert answer.header("Location") == \
        f"https://shop.example:{httpd.port2}/redirecting/seen?x=1"
    assert secure(httpd, "/redirecting/seen").json()["scheme"] == "https"


def test_environment(httpd):
    env = environ(httpd)
    assert env["ASPNETCORE_PORT"] == env["PORT"] and env["PORT"].isdigit()
    assert env["ASPNETCORE_URLS"] == f"http://127.0.0.1:{env['PORT']}"
    assert env["ASPNETCORE_APPL_PATH"] == "/app"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
                        env["ASPNETCORE_TOKEN"])
    assert env["ASPNETCORE_IIS_HTTPAUTH"] == "anonymous;"
    assert env["ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED"] == "true"
    assert env["ASPNETCORE_IIS_PHYSICAL_PATH"].rstrip("/") == httpd.folder
    assert env["ASPNETCORE_HOSTINGSTARTUPASSEMBLIES"] == \
        "Microsoft.AspNetCore.Server.IISIntegration"
    assert env["ASPNETCORE_ANCM_HTTPS_PORT"] == str(httpd.port2)
    assert env["ASPNETCORE_SHUTDOWNTIMEOUTSECONDS"] == "9"
    assert env["APPCORE_PROCESS"] == "0" and int(env["APPCORE_GENERATION"]) >= 1
    assert "ASPNETCORE_IIS_PHYSICAL_PATH" in env and "LISTEN_FDS" not in env


def test_environment_of_settings(httpd):
    env = environ(httpd, "mute")
    assert env["ASPNETCORE_APPL_PATH"] == "/mute"
    assert env["ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED"] == "false"
    assert env["ASPNETCORE_SHUTDOWNTIMEOUTSECONDS"] == "32"
    assert env["ASPNETCORE_HOSTINGSTARTUPASSEMBLIES"] == \
        "Mine;Microsoft.AspNetCore.Server.IISIntegration"
    assert env["ASPNETCORE_TOKEN"] != environ(httpd)["ASPNETCORE_TOKEN"]


def test_folders(httpd):
    answer = seen(httpd, "/app/folder")
    assert answer["folder"] == answer["content"] == httpd.folder
    home = answer["home"] or environ(httpd)["HOME"]
    assert os.path.isdir(home)
    # Keys of data protection outlive the process only if they can be written.
    assert os.stat(home).st_uid == os.stat(f"/proc/{seen(httpd)['pid']}").st_uid


def test_websocket(httpd):
    with httpd.raw() as raw:
        talk = websocket.WebSocket(raw, "/app/socket")
        for message in (b"hello", b"", os.urandom(100), os.urandom(70000)):
            talk.send(message)
            got = b""
            while len(got) < len(message) or not message:
                _, piece = talk.receive()
                got += piece
                if not message:
                    break
            assert got == message
        talk.send("gr\u00fc\u00dfe".encode(), websocket.TEXT)
        assert talk.receive() == (websocket.TEXT, "gr\u00fc\u00dfe".encode())
        talk.send(b"\x03\xe8", websocket.CLOSE)
        assert talk.receive()[0] == websocket.CLOSE


def test_websocket_that_is_not_allowed(httpd):
    with httpd.raw() as raw:
        with pytest.raises(AssertionError, match="HTTP/1.1 400"):
            websocket.WebSocket(raw, "/mute/socket")


def test_websocket_ends_with_its_client(httpd):
    with httpd.raw() as raw:
        talk = websocket.WebSocket(raw, "/app/socket")
        talk.send(b"x")
        talk.receive()
        pid = seen(httpd)["pid"]
        before = processes.descriptors(pid)["socket"]
    wait_for(lambda: processes.descriptors(pid)["socket"] < before, 10,
             "the end of the app's connection")


def upload(httpd, path, size):
    body = os.urandom(1 << 20) * (size >> 20) + bytes(size & ((1 << 20) - 1))
    return httpd.get(path, method="POST", body=body, timeout=60), \
        hashlib.sha256(body).hexdigest()


def test_upload_within_the_limit_of_kestrel(httpd):
    answer, digest = upload(httpd, "/app/upload", 28 << 20)
    assert (answer.status, answer.text) == (200, digest)


def test_upload_of_40_mb_where_the_app_allows_it(httpd):
    answer, digest = upload(httpd, "/app/upload-any", 40 << 20)
    assert (answer.status, answer.text) == (200, digest)


def test_upload_of_40_mb_where_it_does_not(httpd):
    """The app's own answer arrives, although it read no more than a part."""
    pid = seen(httpd)["pid"]
    answer, _ = upload(httpd, "/app/upload", 40 << 20)
    assert answer.status == 413
    assert seen(httpd)["pid"] == pid


def test_download(httpd):
    answer = httpd.get("/app/download?n=5000000")
    assert answer.status == 200 and answer.body == bytes(5000000)


def test_exception_of_a_request(httpd):
    pid = seen(httpd)["pid"]
    assert httpd.get("/app/throw").status == 500
    assert seen(httpd)["pid"] == pid
    wait_for(lambda: "InvalidOperationException: on purpose" in httpd.recent_log())


def test_killed_app_comes_back(httpd):
    httpd.allow(r"app app: process \d+ ")
    old = seen(httpd)["pid"]
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: not processes.alive(old))
    # The very next request waits for the new process; nobody sees an error.
    assert seen(httpd)["pid"] != old
    httpd.wait_log(rf"app app: process {old} .*signal 9")


def test_token_is_new_with_every_process(httpd):
    httpd.allow(r"app app: process \d+ ")
    before = environ(httpd)
    os.kill(seen(httpd)["pid"], signal.SIGKILL)
    wait_for(lambda: environ(httpd)["ASPNETCORE_TOKEN"] != before["ASPNETCORE_TOKEN"])
    with socket.socket() as old:
        assert environ(httpd)["PORT"] == before["PORT"] \
            or old.connect_ex(("127.0.0.1", int(before["PORT"]))) != 0


def test_app_that_leaves_is_started_again(httpd):
    httpd.allow(r"app app: process \d+ ", "app app, process")
    old = seen(httpd)["pid"]
    httpd.get("/app/exit?code=7")
    httpd.wait_log(rf"app app: process {old} .*(status|code) 7")
    assert seen(httpd)["pid"] != old
