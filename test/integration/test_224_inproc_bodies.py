# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Clients that stay within their request bodies, with the MPM's own settings: the apps
that wait for them get no more of httpd than they may have, and whoever asks for
something else gets it."""

import hashlib
import select
import ssl
import time

import pytest

import dotnet
import env as environment
import inproc
import openid
import probe
from probe import WAYS_1, ask, digest, pattern
from processes import wait_for
from rawapp import RawApp

pytestmark = [pytest.mark.mpm, pytest.mark.skipif(
    environment.MPM == "prefork", reason="one worker in each process")]

WORKERS = 16
CLIENTS = 100
BODY = pattern(20000)
HALF = len(BODY) // 2
LENGTH = f"Content-Length: {len(BODY)}"
# What they ask, and what is said to who sent all of it.
COUNTED = f'{{"n":{len(BODY)},"sum":{sum(BODY)}}}'
TARGETS = {"/probe/digest-async": digest(BODY) + " ", "/inside/count": COUNTED,
           "/inside/blocked/read": str(len(BODY)),
           "/other/digest": hashlib.sha256(BODY).hexdigest()}
# Who answers these has not read the body.
EARLY = {"/probe/hello": 200, "/inside/": 405}
LOGIN = "/probe/field?code=401&name=AppCore-Challenge"
HAS_OPENID = probe.module_file("auth_openidc")
PROMPT = 10


@pytest.fixture(scope="module")
def provider(env):
    """What httpd needs to know of it."""
    if not HAS_OPENID:
        yield ""
        return
    env.modules += ["authn_core", "authz_user", "auth_openidc"]
    provider = openid.Provider()
    try:
        yield provider.directives(f"http://localhost:{env.port}/probe/field/back") + """
<Location /probe/field>
    AuthType openid-connect
    AuthName any
    Require all granted
</Location>
"""
    finally:
        provider.stop()


@pytest.fixture(scope="module")
def httpd(env, provider):
    env.made = probe.Probe(env)
    env.other = RawApp(env, "other")
    published = dotnet.project(f"{environment.HERE}/apps/inside", "Inside")
    folder = dotnet.app(env, "inside", published, user="root" if env.is_root else None)
    app = inproc.app("inside", folder,
                     "AppCoreEnvironmentVariable Logging__LogLevel__Default None")
    env.write("htdocs", "static.txt", text="static")
    mounts = "".join(f"AppCoreMount /{n} {n}\n" for n in ("probe", "inside", "other"))
    tls = probe.tls_conf(env, mounts)
    # What is refused, and that a child of 16 workers is all there is.
    env.always_allowed += [r"app \w+ is not available: it holds all workers",
                           environment.FULL]
    env.start(f"""ServerLimit 1
ThreadsPerChild {WORKERS}
MaxRequestWorkers {WORKERS}
MinSpareThreads 1
MaxSpareThreads {WORKERS}
Timeout 40
<Directory {env.path("htdocs")}>
    Require all granted
</Directory>
{env.made.conf()}{app}
<AppCoreApp other>
    AppCorePath {env.other.folder}
</AppCoreApp>
AppCoreMount /other other
{provider}{tls}""")
    assert env.get("/other/pid").status == 200
    return env


@pytest.fixture
def whole(httpd):
    """Afterwards everything is as it was."""
    yield httpd
    for path in ("/probe/hello", "/inside/", "/other/pid"):
        wait_for(lambda path=path: httpd.get(path).status == 200, 30, path)
    httpd.made.check()


def first_of(client):
    """Of its answer; None if what came is an affair of TLS."""
    client.socket.setblocking(False)
    try:
        return client.socket.recv(65536)
    except (BlockingIOError, ssl.SSLWantReadError):
        return None
    finally:
        client.socket.settimeout(30)


def stay(httpd, way, targets):
    """CLIENTS of them within their bodies; those that stay, once the others were
    refused."""
    clients = {}
    for i in range(CLIENTS):
        target = targets[i % len(targets)]
        client = ask(httpd, way, "POST", target, LENGTH, body=BODY[:HALF])
        clients[client.socket] = (client, target)
    while heard := select.select(list(clients), [], [], 1)[0]:
        for socket in heard:
            client, _ = clients[socket]
            text = first_of(client)
            if text is not None:
                text += client.receive()
                assert text.startswith(b"HTTP/1.1 503 "), text
                assert b"\r\nRetry-After: " in text
                clients.pop(socket)[0].socket.close()
    return list(clients.values())


def others_are_served(httpd, *paths):
    began = time.monotonic()
    for _ in range(5):
        for path in paths:
            answer = httpd.get(path, timeout=PROMPT)
            assert answer.status == 200, (path, answer)
    assert time.monotonic() - began < PROMPT


def finish(clients):
    """Who stayed gets his answer."""
    for client, _ in clients:
        client.send(BODY[HALF:])
    for client, target in clients:
        answer = client.response()
        assert answer.status == 200 and TARGETS[target] in answer.text, answer
        client.socket.close()


@pytest.mark.parametrize("target", TARGETS)
def test_within_bodies_for_one_app(whole, target):
    """It has no worker left for others than these, but all other apps have."""
    app = target.split("/")[1]
    clients = stay(whole, "http", [target])
    assert WORKERS // 2 <= len(clients) < CLIENTS
    others_are_served(whole, "/static.txt", *(
        path for path in ("/probe/hello", "/inside/", "/other/pid")
        if path.split("/")[1] != app))
    answer = whole.get(f"/{app}/pid", timeout=PROMPT)
    assert answer.status == 503 and answer.header("Retry-After"), answer
    finish(clients)


@pytest.mark.parametrize("path, status", EARLY.items())
def test_answers_before_the_body(whole, path, status):
    """Nobody waits for the rest of it, nor takes it for a request."""
    assert whole.get(path, method="POST").status == status
    clients = [ask(whole, "http", "POST", path, LENGTH, body=BODY[:HALF])
               for _ in range(2 * WORKERS)]
    answers = [client.response() for client in clients]
    others_are_served(whole, "/static.txt", path if status == 200 else "/probe/hello")
    assert {answer.status for answer in answers} == {status}
    assert {answer.header("Connection") for answer in answers} == {"close"}
    for client in clients:
        client.socket.close()


@pytest.mark.skipif(not HAS_OPENID, reason="needs mod_auth_openidc")
def test_a_login_before_the_body(whole):
    """What httpd answers in place of the app's 401."""
    clients = [ask(whole, "http", "POST", LOGIN, LENGTH, "Accept: text/html",
                   body=BODY[:HALF]) for _ in range(2 * WORKERS)]
    answers = [client.response() for client in clients]
    others_are_served(whole, "/static.txt", "/probe/hello")
    assert {answer.status for answer in answers} == {302}
    for client in clients:
        client.socket.close()


@pytest.mark.skipif(not probe.PARKS, reason="others close connections on a worker, which "
                    "waits for whoever was refused")
@pytest.mark.parametrize("way", WAYS_1)
def test_within_bodies_for_all_apps(whole, way):
    """All together would have more workers than the MPM can do without."""
    clients = stay(whole, way, list(TARGETS))
    others_are_served(whole, "/static.txt")
    finish(clients)
