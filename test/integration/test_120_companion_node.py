# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The preload for node: an unmodified program serves from the inherited socket and
cannot tell; whatever is no HTTP server is left alone."""

import os
import shutil
import signal

import pytest

import env as environment
import processes
from processes import wait_for

PLAIN = """
const { serve } = require('./serve');
const server = serve(@PORT@, () => console.log('callback called'));
server.on('listening', () => console.log('at ' + JSON.stringify(server.address())));
"""
MODULE = """
import http from 'node:http';
const server = http.createServer((req, res) => res.end(JSON.stringify({
    handle: server._handle.constructor.name, env: process.env })));
await new Promise((done) => server.listen({ port: @PORT@, host: 'localhost' }, done));
console.log('at ' + JSON.stringify(server.address()));
"""
CLUSTER = """
const cluster = require('cluster');
if (cluster.isPrimary) {
    for (let i = 0; i < Number(process.env.WORKERS); i += 1) {
        cluster.fork({ GREETING: 'hello' });
    }
    cluster.on('exit', () => cluster.fork({ GREETING: 'hello' }));
    cluster.on('listening', (worker, { port }) => console.log(`worker at ${port}`));
}
else {
    require('./serve').serve(@PORT@);
}
"""
# Two servers: the second one is for something else.
SECOND = """
const { serve } = require('./serve');
serve(@PORT@, () => serve(@PORT2@, () => console.log('second too')));
"""
# As npm does: the program that is started is not the one that serves.
WRAPPER = """
require('child_process').spawn(process.execPath, ['inner.js'], { stdio: 'inherit' });
"""
INNER = "require('./serve').serve(process.env.PORT || @PORT@);"
# An own use of descriptor 3, and a server that is none of HTTP.
AWARE = """
require('net').createServer().listen(@PORT2@, '127.0.0.1', () =>
    require('./serve').serve({ fd: 3 }));
"""
APPS = {
    "plain": ({"index.js": PLAIN}, ""),
    "module": ({"index.js": MODULE}, ""),
    "cluster": ({"index.js": CLUSTER}, "AppCoreEnvironmentVariable WORKERS 2"),
    "single": ({"index.js": CLUSTER}, "AppCoreEnvironmentVariable WORKERS 1"),
    "shared": ({"index.js": CLUSTER}, "AppCoreEnvironmentVariable WORKERS 2\n"
               "AppCoreEnvironmentVariable NODE_CLUSTER_SCHED_POLICY none"),
    "second": ({"index.js": SECOND}, ""),
    "wrapper": ({"index.js": WRAPPER, "inner.js": INNER}, ""),
    "aware": ({"index.js": AWARE}, ""),
    "options": ({"index.js": PLAIN}, 'AppCoreEnvironmentVariable NODE_OPTIONS '
                '"--title=mine --no-warnings"'),
    "tcp": ({"index.js": INNER}, "AppCoreListen tcp"),
    "trusting": ({"index.js": PLAIN}, "AppCoreTrustedProxy 127.0.0.1"),
}


def put(env, name, files):
    folder = env.app(name, "preload", files={
        "package.json": '{"type": "module"}' if name == "module" else "{}", **files})
    return folder


@pytest.fixture(scope="module")
def httpd(env):
    if not shutil.which("node"):
        pytest.skip("there is no node")
    env.ports, text = {}, ""
    for name, (files, directives) in APPS.items():
        port, port2 = environment.free_port(), environment.free_port()
        env.ports[name] = (port, port2)
        folder = put(env, name, {n: t.replace("@PORT@", str(port)).replace(
            "@PORT2@", str(port2)) for n, t in files.items()})
        text += f"<AppCoreApp {name}>\nAppCorePath {folder}\n{directives}\n" \
                f"</AppCoreApp>\nAppCoreMount /{name} {name}\n"
    # What listens to the port it is given does so on all addresses, as node likes it.
    env.always_allowed = [r"app (wrapper|tcp): .* on all addresses"]
    env.start(text)
    return env


def seen(httpd, name, path="/", **options):
    answer = httpd.get(f"/{name}{path}", **options)
    assert answer.status == 200, answer
    return answer.json()


def main_pid(httpd, name):
    pid, = httpd.app_processes(httpd.path("apps", name))
    return pid


def listens(pid, port):
    """Whether the process has a TCP socket listening to the port."""
    inodes = {processes.link(pid, f"fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    for table in ("tcp", "tcp6"):
        for line in processes.read(pid, f"net/{table}").decode().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port \
                    and f"socket:[{fields[9]}]" in inodes:
                return True
    return False


def ready_line(httpd, name, where):
    httpd.wait_log(rf"app {name}: process \d+ .*is ready after .* on {where}")


@pytest.mark.parametrize("name", ["plain", "module", "cluster", "single", "shared",
                                  "second", "aware", "options", "trusting"])
def test_serves_from_the_socket(httpd, name):
    app = seen(httpd, name)
    ready_line(httpd, name, "the socket it got")
    if name != "shared":
        assert app["handle"] in ("Pipe", "Object"), app
    assert not listens(main_pid(httpd, name), httpd.ports[name][0])


def test_is_called_back_and_shows_the_port_it_wanted(httpd):
    port = httpd.ports["plain"][0]
    app = seen(httpd, "plain")
    assert app["address"] == {"address": "::", "family": "IPv6", "port": port}
    log = httpd.log_text()
    assert "app plain: callback called" in log
    assert f'app plain: at {{"address":"::","family":"IPv6","port":{port}}}' in log
    seen(httpd, "module")
    assert f'app module: at {{"address":"127.0.0.1","family":"IPv4",' \
           f'"port":{httpd.ports["module"][0]}}}' in httpd.log_text()


def test_client_is_the_one_of_httpd(httpd):
    app = seen(httpd, "plain", headers={"X-Forwarded-For": "203.0.113.9",
                                        "X-Forwarded-Proto": "https"})
    assert app["remoteAddress"] == "127.0.0.1" and app["remoteFamily"] == "IPv4"
    assert app["encrypted"] is False


def test_scheme_of_a_trusted_proxy(httpd):
    secure = {"X-Forwarded-For": "2001:db8::7", "X-Forwarded-Proto": "https"}
    assert seen(httpd, "trusting", headers=secure)["encrypted"] is True
    # The next request on the same connection is another client's.
    assert seen(httpd, "trusting")["encrypted"] is False


def test_upgraded_connection_has_its_client(httpd):
    with httpd.raw() as raw:
        raw.send("GET /plain/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        head, _, rest = raw.receive().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ") and rest == b"127.0.0.1"


def test_leaves_nothing_to_programs_of_the_app(httpd):
    assert {"LISTEN_FDS", "LISTEN_PID", "NODE_OPTIONS"}.isdisjoint(
        seen(httpd, "plain")["env"])
    child = seen(httpd, "plain", "/child")
    assert child["path"] == "TCP" and child["address"]["address"] == "127.0.0.1"
    assert {"LISTEN_FDS", "LISTEN_PID", "NODE_OPTIONS"}.isdisjoint(child["env"])


def test_keeps_the_options_of_the_app(httpd):
    app = seen(httpd, "options")
    assert app["title"] == "mine"
    assert app["env"]["NODE_OPTIONS"] == "--title=mine --no-warnings"
    assert seen(httpd, "options", "/child")["env"]["NODE_OPTIONS"] \
        == "--title=mine --no-warnings"


@pytest.mark.parametrize("name", ["cluster", "shared"])
def test_workers_of_a_cluster_share_it(httpd, name):
    def both():
        # Each answer ends its connection, so the next one is another worker's turn.
        return len({seen(httpd, name, "/close")["pid"] for _ in range(20)}) == 2
    if name == "cluster":
        wait_for(both, what="answers of both workers")
    app = seen(httpd, name)
    assert app["pid"] != main_pid(httpd, name)
    assert app["env"]["GREETING"] == "hello"
    assert {"NODE_OPTIONS", "APPCORE_NODE_PRIMARY"}.isdisjoint(app["env"])
    assert app["remoteAddress"] == "127.0.0.1"
    assert app["address"]["port"] == httpd.ports[name][0]
    assert f"app {name}: worker at {httpd.ports[name][0]}" in httpd.log_text()


def test_a_cluster_outlives_all_its_workers(httpd):
    """The primary keeps the descriptor while there is nobody to hand it to."""
    main = main_pid(httpd, "single") if httpd.get("/single/").status == 200 else 0
    pids = set()
    for _ in range(5):
        pid = seen(httpd, "single", "/exit", timeout=90)["pid"]
        assert pid not in pids and pid != main
        pids.add(pid)
        wait_for(lambda pid=pid: not processes.alive(pid), what="the worker's end")
        # node loses a connection that it hands to a worker of whose end it has not heard.
        wait_for(lambda: any(p.pid not in pids for p in processes.children(main)),
                 what="another worker")
    assert main_pid(httpd, "single") == main


def test_takes_the_first_server_only(httpd):
    assert seen(httpd, "second")["handle"] == "Pipe"
    wait_for(lambda: "app second: second too" in httpd.log_text())
    assert listens(main_pid(httpd, "second"), httpd.ports["second"][1])


def test_a_program_that_starts_the_server_leaves_it_the_port(httpd):
    app = seen(httpd, "wrapper")
    ready_line(httpd, "wrapper", "127.0.0.1:")
    assert app["handle"] == "TCP" and app["pid"] != main_pid(httpd, "wrapper")
    assert "NODE_OPTIONS" not in app["env"] and "LISTEN_FDS" not in app["env"]


def test_port_where_it_is_asked_for(httpd):
    app = seen(httpd, "tcp")
    ready_line(httpd, "tcp", "127.0.0.1:")
    assert app["handle"] == "TCP" and "LISTEN_FDS" not in app["env"]


def test_successor_of_a_killed_process(httpd):
    pid = seen(httpd, "plain")["pid"]
    httpd.allow(r"app plain: process \d+ .*")
    os.kill(pid, signal.SIGKILL)
    assert seen(httpd, "plain")["pid"] != pid
