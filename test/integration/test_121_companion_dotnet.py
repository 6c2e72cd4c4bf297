# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The companion for ASP.NET Core: whatever an app was built with, it serves from the
inherited socket and has token, path base, scheme and client; what has no web server is
left alone, and what does not run hooks gets a port."""

import glob
import json
import os
import signal
import socket
import subprocess

import pytest

import dotnet
import env as environment
import processes
from processes import wait_for

SHAPES = ["web", "slim", "empty", "bare-empty", "use-urls", "run-url", "slim-run-url",
          "listen", "several", "generic", "bare-generic", "webhost", "bare-webhost",
          "two"]
# Shapes that have an address of their own, which then is none.
NAMED = {"use-urls", "run-url", "slim-run-url"}
OTHERS = {
    "hookless": "", "tcp": "AppCoreListen tcp", "socket": "AppCoreListen socket",
    "worker": "AppCoreStartupTimeLimit 2", "console": "",
    "trusting": "AppCoreTrustedProxy 127.0.0.1",
    "broken": "AppCoreEnvironmentVariable ASPNETCORE_DETAILEDERRORS true", "hooked": "",
    "elsewhere": "AppCoreListen tcp\nAppCoreStartupTimeLimit 5",
}
SHAPE_OF = {
    "hookless": "web", "tcp": "web", "socket": "web", "trusting": "web", "hooked": "web",
    "elsewhere": "use-urls",
}
COMPANIONS = os.path.join(os.path.dirname(environment.MODULE), "appcore")
HIDDEN = ("LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET", "ASPNETCORE_TOKEN",
          "DOTNET_STARTUP_HOOKS")


def without_hooks(folder):
    path, = (os.path.join(folder, n) for n in os.listdir(folder)
             if n.endswith(".runtimeconfig.json"))
    with open(path, encoding="utf-8-sig") as f:
        config = json.load(f)
    config["runtimeOptions"].setdefault("configProperties", {})[
        "System.StartupHookProvider.IsSupported"] = False
    with open(path, "w", encoding="utf-8") as f:
        json.dump(config, f)


@pytest.fixture(scope="module")
def httpd(env):
    if not glob.glob(os.path.join(COMPANIONS, "net*")):
        pytest.skip("the companion was not built")
    with open(os.path.join(environment.HERE, "apps", "shapes", "Program.cs"),
              encoding="utf-8") as f:
        published = dotnet.program(f.read(), "shapes")
    env.own, text = {}, ""
    for name in [*SHAPES, *OTHERS]:
        folder = dotnet.app(env, name, published)
        if name == "hookless":
            without_hooks(folder)
        env.own[name] = environment.free_port()
        if name == "hooked":
            OTHERS[name] = ("AppCoreEnvironmentVariable DOTNET_STARTUP_HOOKS "
                            f"{folder}/Own.dll")
        text += f"""
<AppCoreApp {name}>
    AppCorePath {folder}
    AppCoreDetailedErrors On
    AppCoreEnvironmentVariable SHAPE {SHAPE_OF.get(name, name)}
    AppCoreEnvironmentVariable OWN_PORT {env.own[name]}
    {OTHERS.get(name, "")}
</AppCoreApp>
AppCoreMount /{name}/app {name}
"""
    env.start(text)
    return env


def seen(httpd, name, path="/", **options):
    answer = httpd.get(f"/{name}/app{path}", **options)
    assert answer.status == 200, answer
    return answer.json()


def main_pid(httpd, name):
    pid, = httpd.app_processes(httpd.path("apps", name))
    return pid


def ports(pid):
    """The TCP ports that the process listens to."""
    inodes = {processes.link(pid, f"fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    lines = [line.split() for table in ("tcp", "tcp6")
             for line in processes.read(pid, f"net/{table}").decode().splitlines()[1:]]
    return {int(fields[1].rsplit(":", 1)[1], 16) for fields in lines
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes}


def is_ready_on(httpd, name, where):
    httpd.wait_log(rf"app {name}: process \d+ .*is ready after .* on {where}")


@pytest.mark.parametrize("name", SHAPES)
def test_serves_from_the_socket(httpd, name):
    app = seen(httpd, name, "/x?y")
    is_ready_on(httpd, name, "the socket it got")
    # A second host of the process keeps its own address.
    own = {httpd.own[name]} if name == "two" else set()
    assert ports(main_pid(httpd, name)) == own
    assert app["addresses"] == [f"http://127.0.0.1:{app['port']}"]
    assert app["local"] == f"127.0.0.1:{app['port']}"
    assert app["pathBase"] == f"/{name}/app" and app["path"] == "/x"
    assert app["remote"] == "127.0.0.1" and app["scheme"] == "http"
    if name in NAMED:
        httpd.wait_log(f"app {name}: .*does not listen to http://127.0.0.1:"
                       f"{httpd.own[name]}")


def direct(httpd, name, token=None):
    """A request past httpd, which only root and httpd can send."""
    folder = httpd.path("run", "appcore", "s")
    pid = main_pid(httpd, name)
    inodes = {processes.link(pid, f"fd/{fd}")[8:-1]
              for fd in os.listdir(f"/proc/{pid}/fd")}
    path, = {fields[7] for fields in (
        line.split() for line in processes.read(pid, "net/unix").decode().splitlines())
        if len(fields) > 7 and fields[6] in inodes and fields[7].startswith(folder)}
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        field = f"MS-ASPNETCORE-TOKEN: {token}\r\n" if token else ""
        s.sendall(f"GET /{name}/app/ HTTP/1.1\r\nHost: localhost\r\n{field}"
                  "Connection: close\r\n\r\n".encode())
        return s.recv(65536).decode()


@pytest.mark.root
@pytest.mark.parametrize("name", SHAPES)
def test_a_request_without_token_is_refused(httpd, name):
    seen(httpd, name)
    env = processes.read(main_pid(httpd, name), "environ").decode().split("\0")
    token, = (line[17:] for line in env if line.startswith("ASPNETCORE_TOKEN="))
    assert direct(httpd, name).startswith("HTTP/1.1 400 ")
    assert direct(httpd, name, token[:-1] + "?").startswith("HTTP/1.1 400 ")
    assert direct(httpd, name, token).startswith("HTTP/1.1 200 ")
    assert token not in httpd.recent_log()


@pytest.mark.parametrize("name", ["web", "slim", "bare-empty"])
def test_bodies_have_the_limit_of_httpd_alone(httpd, name):
    size = 31 * 1024 * 1024
    answer = httpd.get(f"/{name}/app/upload", method="POST", body=b"x" * size)
    assert answer.status == 200 and answer.text == str(size)


@pytest.mark.parametrize("name", [s for s in SHAPES if "webhost" not in s])
def test_shutdown_timeout(httpd, name):
    assert seen(httpd, name)["shutdown"] == 9


@pytest.mark.parametrize("name", ["web", "slim", "bare-webhost"])
def test_leaves_nothing_to_programs_of_the_app(httpd, name):
    env = dict(line.split("=", 1) for line in httpd.get(
        f"/{name}/app/child").text.splitlines() if "=" in line)
    assert env["SHAPE"] == name
    assert not [n for n in HIDDEN if env.get(n)]
    assert env["ASPNETCORE_HOSTINGSTARTUPASSEMBLIES"] \
        == "Microsoft.AspNetCore.Server.IISIntegration"


def test_scheme_and_client_of_a_trusted_proxy(httpd):
    app = seen(httpd, "trusting", headers={"X-Forwarded-Proto": "https",
                                           "X-Forwarded-For": "203.0.113.9"})
    assert app["scheme"] == "https"
    app = seen(httpd, "web", headers={"X-Forwarded-Proto": "https",
                                      "X-Forwarded-For": "203.0.113.9"})
    assert app["scheme"] == "http" and app["remote"] == "127.0.0.1"


@pytest.mark.parametrize("name", ["hookless", "tcp"])
def test_port_where_hooks_do_not_run_or_it_is_asked_for(httpd, name):
    app = seen(httpd, name)
    is_ready_on(httpd, name, "127.0.0.1:")
    pid = main_pid(httpd, name)
    assert ports(pid) == {int(app["port"])}
    assert b"\0DOTNET_STARTUP_HOOKS=" not in processes.read(pid, "environ")
    assert app["pathBase"] == f"/{name}/app" and app["remote"] == "127.0.0.1"


def test_the_address_of_an_app_that_listens_elsewhere(httpd):
    """It is known from what the app prints, and named."""
    said = f"The app listens on http://127.0.0.1:{httpd.own['elsewhere']}, an address"
    httpd.allow(r"app elsewhere[:, ].*")
    answer = httpd.get("/elsewhere/app/", timeout=60)
    assert answer.status in (502, 503) and said in answer.text, answer
    wait_for(lambda: said in httpd.recent_log(), what="the line in the log")


def test_socket_and_nothing_else(httpd):
    app = seen(httpd, "socket")
    is_ready_on(httpd, "socket", "the socket it got")
    assert app["port"] is None and ports(main_pid(httpd, "socket")) == set()


def test_worker_runs_on(httpd):
    """It has no server to serve with, but comes to no harm by us."""
    httpd.allow(r"app worker[:, ].*")
    answer = httpd.get("/worker/app/")
    assert answer.status == 502, answer
    log = httpd.recent_log()
    assert "app worker: worker begins" in log and "Application started" in log
    assert "Unhandled exception" not in log and "of no use" not in log


def test_console_program_runs_to_its_end(httpd):
    httpd.allow(r"app console[:, ].*")
    assert httpd.get("/console/app/").status == 502
    wait_for(lambda: "app console: console program is done" in httpd.recent_log())
    assert "Unhandled exception" not in httpd.recent_log()


def test_other_hooks_run(httpd):
    """After ours, which took away what is not for them."""
    seen(httpd, "hooked")
    is_ready_on(httpd, "hooked", "the socket it got")
    httpd.wait_log("app hooked: another hook was run, LISTEN_FDS is gone")


def test_start_up_errors_that_the_app_captures(httpd):
    """As the stock integration wants it, it serves a page of its own, and tells the
    reason where it is told to."""
    httpd.allow(r"app broken: .*Application startup exception")
    answer = httpd.get("/broken/app/")
    assert answer.status == 500 and "on purpose" in answer.text, answer
    is_ready_on(httpd, "broken", "the socket it got")
    httpd.wait_log("on purpose")


def test_announces_itself(httpd, tmp_path):
    """To whoever asked for it, as sd_notify does: what it will speak, before it takes
    a connection, and that it serves."""
    folder = httpd.path("apps", "slim")
    program, = (n for n in os.listdir(folder) if n.endswith(".runtimeconfig.json"))
    program = program.replace(".runtimeconfig.json", ".dll")
    hook, = glob.glob(os.path.join(COMPANIONS, "net*", "AppCore.AspNetCore.dll"))
    with socket.socket(socket.AF_UNIX) as listener, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        listener.bind(str(tmp_path / "app"))
        listener.listen()
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(30)
        os.set_inheritable(listener.fileno(), True)
        process = subprocess.Popen(
            ["/bin/bash", "-c", f"exec 3<&{listener.fileno()}; LISTEN_PID=$$ exec dotnet "
             + program], cwd=folder, pass_fds=[listener.fileno()], env={
                 "PATH": os.environ["PATH"], "SHAPE": "slim", "LISTEN_FDS": "1",
                 "NOTIFY_SOCKET": str(tmp_path / "notify"), "ASPNETCORE_PORT": "1",
                 "DOTNET_STARTUP_HOOKS": hook, "HOME": str(tmp_path)})
        try:
            assert notify.recv(100) == b"X_APPCORE_PROTOCOL=http/1.1"
            assert notify.recv(100) == b"READY=1"
        finally:
            process.terminate()
            assert process.wait(30) == 0


@pytest.mark.parametrize("name", ["slim", "web"])
def test_successor_of_a_killed_process(httpd, name):
    """What was sent to the dead one's socket is answered by the one that has it now:
    they have one token."""
    httpd.allow(rf"app {name}: process \d+ .*", rf"app {name}, process")
    pids = {seen(httpd, name)["pid"]}
    for n in range(2, 6):
        os.kill(main_pid(httpd, name), signal.SIGKILL)
        pids.add(seen(httpd, name)["pid"])
        assert len(pids) == n
