# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Application servers of Python, Ruby and node as people start them, most with several
processes: all serve from the one socket, and know scheme and client."""

import os
import shutil
import signal
import threading

import pytest

import env as environment
import processes
from processes import wait_for
from tls import Authority

pytestmark = pytest.mark.skipif(
    not (Authority.available()
         and os.path.exists(os.path.join(environment.MODULE_DIR, "mod_ssl.so"))),
    reason="needs mod_ssl and openssl")

RACK = """\
require 'json'
run lambda { |env|
  request = Rack::Request.new(env)
  [200, { 'Content-Type' => 'application/json' }, [JSON.generate(
    'url' => request.url, 'prefix' => env['HTTP_X_FORWARDED_PREFIX'],
    'scheme' => request.scheme, 'client' => request.ip, 'pid' => Process.pid,
    'argv' => File.read("/proc/#{Process.pid}/cmdline"))]]
}
"""
# The server for its users is the one without TLS, though another one came first.
SECURE_FIRST = """
const fs = require('fs');
const tls = { key: fs.readFileSync('key.pem'), cert: fs.readFileSync('cert.pem') };
const answer = (what) => (req, res) => res.end(what);
require('https').createServer(tls, answer('https')).listen(@PORT0@, '127.0.0.1', () =>
    require('http2').createSecureServer(tls, answer('http2')).listen(@PORT1@,
        '127.0.0.1', () => require('http').createServer(answer('http')).listen(3000)));
"""
# name: program that it needs, kind of app, Procfile or nothing, directives.
SERVERS = {
    "hypercorn": ("hypercorn", "asgi", "hypercorn -b fd://3 main:app", ""),
    "hypercorn-port": ("hypercorn", "asgi", "hypercorn -b 127.0.0.1:$PORT main:app", ""),
    "hypercorn-path": ("hypercorn", "asgi", "", "AppCoreProcessPath hypercorn\n"
                       'AppCoreArguments "-b unix:{socket} main:app"'),
    "hypercorn-workers": ("hypercorn", "asgi", "hypercorn -w 2 -b fd://3 main:app", ""),
    "uvicorn-workers": ("uvicorn", "asgi", "uvicorn --workers 2 --fd 3 main:app", ""),
    "uvicorn-module": ("uvicorn", "asgi", "python3 -m uvicorn --fd 3 main:app", ""),
    "gunicorn-workers": ("gunicorn", "wsgi", "gunicorn --workers 3 wsgi:application", ""),
    "gunicorn-module": ("gunicorn", "wsgi", "python3 -m gunicorn wsgi:application", ""),
    "puma": ("puma", "ruby", "", ""),
    "puma-port": ("puma", "ruby", "puma -b tcp://127.0.0.1:$PORT config.ru", ""),
    "puma-workers": ("puma", "ruby",
                     "puma -w 2 --bind-to-activated-sockets=only config.ru", ""),
    "npm": ("npm", "node", "npm start", ""),
    "secure-first": ("node", "secure", "", ""),
}
ON_PORT = {"hypercorn-port", "puma-port", "npm"}
PROGRAMS = {"asgi": "asgi", "wsgi": "wsgi", "node": "node"}
WORKERS = {"hypercorn-workers": 2, "uvicorn-workers": 2, "gunicorn-workers": 3,
           "puma-workers": 2}


def files_of(env, name, kind, command):
    files = {"Procfile": f"web: {command}\n"} if command else {}
    if kind == "ruby":
        files["config.ru"] = RACK
    if kind == "secure":
        env.own = [environment.free_port() for _ in range(2)]
        files["package.json"] = "{}"
        files["index.js"] = SECURE_FIRST.replace("@PORT0@", str(env.own[0])).replace(
            "@PORT1@", str(env.own[1]))
        for file, ending in (("key.pem", "key"), ("cert.pem", "pem")):
            with open(env.ca.path(f"server.{ending}"), encoding="ascii") as f:
                files[file] = f.read()
    if name == "npm":
        files["package.json"] = '{"scripts": {"start": "node server.js"}}'
    return files


@pytest.fixture(scope="module")
def httpd(env):
    env.modules += ["socache_shmcb", "ssl"]
    env.ca = Authority(env.path("files"))
    env.ca.issue("server", "/CN=localhost")
    blocks = mounts = ""
    for name, (program, kind, command, directives) in SERVERS.items():
        if not shutil.which(program):
            continue
        folder = env.app(name, PROGRAMS.get(kind),
                         files=files_of(env, name, kind, command))
        blocks += f"<AppCoreApp {name}>\nAppCorePath {folder}\n{directives}\n" \
                  "AppCoreDetailedErrors On\n</AppCoreApp>\n"
        mounts += f"AppCoreMount /{name} {name}\n"
    # node likes to listen to all addresses.
    env.always_allowed = [r"app npm: .* on all addresses"]
    env.start(f"""
Listen 127.0.0.1:{env.port2}
{blocks}
<VirtualHost *:{env.port}>
    {mounts}
</VirtualHost>
<VirtualHost *:{env.port2}>
    SSLEngine On
    SSLCertificateFile {env.ca.path("server.pem")}
    SSLCertificateKeyFile {env.ca.path("server.key")}
    {mounts}
</VirtualHost>
""")
    return env


def need(name):
    program = SERVERS[name][0]
    if not shutil.which(program):
        pytest.skip(f"there is no {program}")


def ask(httpd, name, path="/headers"):
    answer = httpd.get(f"/{name}{path}", timeout=60)
    assert answer.status == 200, answer
    return answer


def pid_of(httpd, name):
    """The process that answered."""
    if SERVERS[name][1] == "ruby":
        return ask(httpd, name, "/").json()["pid"]
    return int(ask(httpd, name, "/pid").text)


def main_pid(httpd, name):
    pid, = httpd.app_processes(httpd.path("apps", name))
    return pid


def ports(httpd, name):
    """The TCP ports to which processes of the app listen."""
    found = set()
    main = main_pid(httpd, name)
    for p in [p.pid for p in processes.everything().values() if p.sid == main]:
        inodes = {processes.link(p, f"fd/{fd}") for fd in os.listdir(f"/proc/{p}/fd")}
        for table in ("tcp", "tcp6"):
            for line in processes.read(p, f"net/{table}").decode().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                    found.add(int(fields[1].rsplit(":", 1)[1], 16))
    return found


@pytest.mark.parametrize("name", SERVERS)
def test_serves(httpd, name):
    need(name)
    if name == "secure-first":
        assert ask(httpd, name).text == "http"
        assert ports(httpd, name) == set(httpd.own)
        assert httpd.ca.request(httpd.own[0], "/").text == "https"
        return
    app = ask(httpd, name).json()
    if SERVERS[name][1] == "ruby":
        assert app["url"] == f"http://127.0.0.1:{httpd.port}/{name}/headers"
        assert app["prefix"] == f"/{name}"
    else:
        assert {k.lower(): v for k, v in app["headers"].items()}[
            "x-forwarded-prefix"] == f"/{name}"
    # There is no second door.
    assert len(ports(httpd, name)) == (1 if name in ON_PORT else 0)


@pytest.mark.parametrize("name", ["uvicorn-workers", "uvicorn-module", "puma",
                                  "puma-workers", "gunicorn-workers",
                                  "gunicorn-module"])
def test_scheme_and_client(httpd, name):
    """The server believes us without being told to."""
    need(name)
    app = httpd.ca.request(httpd.port2, f"/{name}/headers")
    assert app.status == 200, app
    app = app.json()
    assert app["scheme"] == "https"
    if SERVERS[name][1] == "ruby":
        assert app["url"] == f"https://127.0.0.1:{httpd.port2}/{name}/headers"
    client = app["client"]
    # gunicorn leaves REMOTE_ADDR empty on a unix socket.
    assert client == "" if "gunicorn" in name \
        else (client[0] if isinstance(client, list) else client) == "127.0.0.1"
    assert ask(httpd, name).json()["scheme"] == "http"


@pytest.mark.parametrize("name", WORKERS)
def test_workers_share_the_socket(httpd, name):
    """Each of them is asked in its turn, and one that is killed has a successor, which
    is the business of the server and not of the keeper."""
    need(name)
    main, seen = main_of(httpd, name), set()

    def all_answer():
        burst(httpd, name, seen)
        return len(seen) >= WORKERS[name]
    wait_for(all_answer, 60, "answers of all workers")
    assert main not in seen and len(seen) == WORKERS[name]
    if name in ("hypercorn-workers", "uvicorn-workers"):
        # These servers have no successors for workers.
        return
    killed = min(seen)
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: not processes.alive(killed), what="the worker's end")
    before = set(seen)

    def successor_answers():
        burst(httpd, name, seen)
        return seen - before
    wait_for(successor_answers, 60, "an answer of the successor")
    assert main_pid(httpd, name) == main


def main_of(httpd, name):
    pid_of(httpd, name)
    return main_pid(httpd, name)


def burst(httpd, name, seen):
    """Several requests at the same time, so that more than one worker is needed."""
    threads = [threading.Thread(target=lambda: seen.add(pid_of(httpd, name)))
               for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("name", ["gunicorn-workers", "uvicorn-workers", "hypercorn"])
def test_a_replaced_server_finishes_what_it_has(httpd, name):
    need(name)
    main = main_of(httpd, name)
    with httpd.raw(timeout=60) as raw:
        raw.send(f"GET /{name}/stream?n=4&ms=700 HTTP/1.1\r\nHost: localhost\r\n"
                 "Connection: close\r\n\r\n")
        raw.receive(b"data: 1\n")
        os.makedirs(httpd.path("apps", name, "tmp"), exist_ok=True)
        httpd.write("apps", name, "tmp", "restart.txt", text="")
        wait_for(lambda: httpd.app_processes(httpd.path("apps", name)) != [main], 60,
                 "the successor")
        assert ask(httpd, name, "/pid").text
        assert b"data: 4\n\n\r\n0\r\n\r\n" in raw.receive()
    wait_for(lambda: not processes.alive(main), 60, "the end of the old server")
